"""The page in a real browser, from disk. Needs Debian's `chromium` and `chromium-driver`."""

import base64
import shutil
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from dreampose3d.viewer.mp4 import mp4_writer
from dreampose3d.viewer.page import Event, Shown, Signal, write_page

webdriver = pytest.importorskip("selenium.webdriver", reason="needs the extra dev")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

_CHROMIUM, _DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (_CHROMIUM and _DRIVER), reason="needs a browser: apt-get install chromium chromium-driver"
)
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-angle=swiftshader --enable-unsafe-swiftshader "
    "--disable-dev-shm-usage --window-size=760,560"
)
_PATIENCE_S = 120  # software WebGL on a busy machine


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = _CHROMIUM
    for flag in (*_FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(_DRIVER))
    driver.set_script_timeout(_PATIENCE_S)
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser):
    """Open a page and wait until it shows something; afterwards, nobody may have complained."""

    def open_page(path):
        browser.get(path.as_uri())
        _wait(browser, "return document.body.dataset.ready === 'true'")
        return browser

    yield open_page
    complaints = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not complaints


def _wait(browser, script):
    WebDriverWait(browser, _PATIENCE_S, poll_frequency=0.05).until(lambda b: b.execute_script(script))


def _press(browser, name):
    browser.find_element(By.CSS_SELECTOR, name).click()


def _shown(browser):
    """The frame that each part of the page says it shows."""
    return browser.execute_script(
        "return [player.frame, player.picture.frame, player.stage.frame, Number(document.all.scrub.value)]"
    )


@contextmanager
def _still(browser):
    """Camera flights end at once, as for people who ask for less motion."""
    feature = {"name": "prefers-reduced-motion", "value": "reduce"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    yield
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.fixture
def page(make_walk, tmp_path):
    write_page(make_walk(60), tmp_path / "walk.html")
    return tmp_path / "walk.html"


def test_page_draws_a_body_with_webgl(opened, page):
    browser = opened(page)
    colours = browser.execute_script("""
        const gl = player.stage.renderer.getContext();
        player.stage.render();
        const width = gl.drawingBufferWidth, height = gl.drawingBufferHeight;
        const pixels = new Uint8Array(width * height * 4);
        gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
        let blue = 0, orange = 0;
        for (let i = 0; i < pixels.length; i += 4) {
          if (pixels[i + 2] > pixels[i] + 60) blue++;
          if (pixels[i] > pixels[i + 2] + 60) orange++;
        }
        return [gl instanceof WebGL2RenderingContext, blue, orange];
    """)
    assert colours[0]
    assert min(colours[1:]) > 50  # left and right limbs


def test_controls_do_what_they_say(opened, page, make_walk):
    browser = opened(page)
    motion = make_walk(60)
    assert _shown(browser) == [0] * 4
    _press(browser, "#forward")
    _press(browser, "#forward")
    _press(browser, "#back")
    assert _shown(browser) == [1] * 4
    _press(browser, "#play")
    assert browser.find_element(By.ID, "play").get_attribute("aria-label") == "Pause"
    _wait(browser, "return player.frame !== 1")
    _press(browser, "#play")
    assert browser.find_element(By.ID, "play").get_attribute("aria-label") == "Play"
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.END)
    assert _shown(browser) == [59] * 4
    body.send_keys(Keys.ARROW_LEFT, Keys.SHIFT, Keys.ARROW_LEFT)
    assert _shown(browser) == [48] * 4
    named = [text.split()[0] for text in browser.find_element(By.ID, "intents").text.split("%") if text.strip()]
    assert named == [name for name, _ in motion.top_intents(48)]
    scrub = browser.find_element(By.ID, "scrub")
    scrub.send_keys(Keys.HOME)
    assert _shown(browser) == [0] * 4
    assert scrub.get_attribute("aria-valuetext") == "frame 1 of 60, 0.00 seconds"
    body.send_keys(Keys.SPACE)
    assert browser.execute_script("return player.playing")
    body.send_keys(Keys.SPACE, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert browser.execute_script("return [player.playing, player.speed]") == [False, 0.8]


def test_view_buttons_place_the_camera(opened, page, make_walk):
    browser, motion = opened(page), make_walk(60)
    root = motion.joints_mm[0, 0] * [1, -1, -1] / 1000
    hips = motion.skeleton.indices("left_hip", "right_hip")
    left = np.subtract(*motion.joints_mm[0, hips]) * [1, 0, -1]
    left /= np.linalg.norm(left)
    directions = {"front": np.cross(left, [0, 1, 0]), "side": left, "top": np.array([0, 1, 0])}
    with _still(browser):
        for name, direction in directions.items():
            _press(browser, f"[data-view={name}]")
            lens, target = browser.execute_script(
                "return [player.stage.lens.position.toArray(), player.stage.controls.target.toArray()]"
            )
            seen = np.subtract(lens, target)
            assert seen @ direction / np.linalg.norm(seen) > 0.99, name
            np.testing.assert_allclose(np.array(target)[[0, 2]], root[[0, 2]], atol=1e-3)
        _press(browser, "[data-view=camera]")
    pressed = browser.find_elements(By.CSS_SELECTOR, "[data-view][aria-pressed=true]")
    assert [button.text for button in pressed] == ["Camera"]


def test_cameras_own_view_shows_joints_where_the_camera_saw_them(opened, page, make_walk):
    """Three.js's projection, taken to the camera's pixels, must agree with `Camera.project`."""
    browser, motion = opened(page), make_walk(60)
    with _still(browser):
        _press(browser, "[data-view=camera]")
    seen = np.array(
        browser.execute_script("""
            const {lens, motion} = player.stage, [width, height] = motion.camera.size_px;
            const tall = Math.max(height, width / lens.aspect), wide = tall * lens.aspect;
            lens.updateMatrixWorld();
            return motion.skeleton.joints.map((_, joint) => {
              const at = player.stage.joint(0, joint).project(lens);
              return [width / 2 + at.x * wide / 2, height / 2 - at.y * tall / 2];
            });
        """)
    )
    np.testing.assert_allclose(seen, motion.keypoints_px[0], atol=0.1)  # px; the page rounds to 0.1 mm


def test_keys_turn_the_view_when_it_has_the_focus(opened, page):
    browser = opened(page)
    where = "return player.stage.lens.position.toArray()"
    before = browser.execute_script(where)
    browser.find_element(By.ID, "scene").send_keys(Keys.ARROW_LEFT)
    after = browser.execute_script(where)
    assert np.linalg.norm(np.subtract(before, after)) > 0.05
    assert _shown(browser) == [0] * 4


def test_video_plays_in_step_with_the_motion(opened, make_walk, tmp_path):
    motion = make_walk(30)
    with mp4_writer(tmp_path / "clip.mp4", (640, 480), 30.0, quality=20) as write:
        for i, time_s in enumerate(motion.time_s):
            write(float(time_s), np.full((480, 640, 3), 8 * i, np.uint8))
    write_page(motion, tmp_path / "walk.html", tmp_path / "clip.mp4")
    browser = opened(tmp_path / "walk.html")
    brightness = """
        const video = player.picture.video, draw = document.createElement("canvas").getContext("2d");
        draw.drawImage(video, 0, 0, 1, 1);
        return draw.getImageData(0, 0, 1, 1).data[0];
    """
    for frame in (20, 7):
        browser.execute_script(f"player.go({frame})")
        _wait(browser, "return !player.picture.video.seeking && player.picture.video.readyState >= 2")
        assert browser.execute_script(brightness) == pytest.approx(8 * frame, abs=3.9)
    _press(browser, "#play")
    _wait(browser, "return player.frame !== 7")
    _press(browser, "#play")
    in_step = f"const shown = (() => {{ {brightness} }})(); return Math.abs(shown - 8 * player.frame) < 3.9"
    _wait(browser, in_step)  # a slow machine is still decoding the frame when the seek is over
    still = _shown(browser)
    _wait(browser, in_step)
    assert _shown(browser) == still, "paused"


def test_several_people_are_shown_and_one_is_chosen(opened, make_walk, tmp_path):
    first, second = make_walk(60), make_walk(60)
    late = replace(second, time_s=second.time_s + 1, root_mm=second.root_mm + np.array([800, 0, 0]), name="late")
    write_page([Shown(first, "Anna"), Shown(late, "Ben")], tmp_path / "two.html")
    browser = opened(tmp_path / "two.html")
    visible = "return player.stage.bodies.map(body => body.group.visible)"
    assert browser.execute_script(visible) == [True, False]  # the second one comes a second later
    browser.execute_script("player.go(45)")
    assert browser.execute_script(visible) == [True, True]
    assert browser.execute_script("return player.stage.bodies.map(body => body.frame)") == [45, 15]
    assert [option.text for option in browser.find_elements(By.CSS_SELECTOR, "#person option")] == ["Anna", "Ben"]
    browser.execute_script("player.choose(1)")
    root = late.joints_mm[15, 0] * [1, -1, -1] / 1000
    np.testing.assert_allclose(browser.execute_script("return player.stage.root(15).toArray()"), root, atol=1e-3)
    named = [text.split()[0] for text in browser.find_element(By.ID, "intents").text.split("%") if text.strip()]
    assert named == [name for name, _ in late.top_intents(15)]


def test_graph_tells_the_value_at_the_frame(opened, make_walk, tmp_path):
    motion = make_walk(60)
    values = np.linspace(-30, 90, 60)
    values[50] = np.nan
    write_page(Shown(motion, signals=[Signal("left knee flexion", "°", values)]), tmp_path / "walk.html")
    browser = opened(tmp_path / "walk.html")
    assert not browser.find_element(By.CSS_SELECTOR, "#graph .plot").is_displayed()
    choice, told = (browser.find_element(By.CSS_SELECTOR, f"#graph {tag}") for tag in ("select", "output"))
    choice.send_keys("left knee")
    _wait(browser, "return player.graph.values !== undefined")
    assert browser.find_element(By.CSS_SELECTOR, "#graph .plot").is_displayed()
    for frame, text in ((0, "-30 °"), (59, "90 °"), (50, "–")):
        browser.execute_script(f"player.go({frame})")
        assert told.text == text
    wrist = motion.skeleton.index("left_wrist")
    speed = np.linalg.norm(motion.joints_mm[31, wrist] - motion.joints_mm[29, wrist]) / (2 / 30) / 1000
    browser.execute_script("player.graph.select.value = 'left wrist speed'; player.graph.draw(); player.go(30)")
    assert float(told.text.split()[0]) == pytest.approx(speed, abs=0.0051)


def test_a_graph_that_is_named_is_shown_at_first(opened, make_walk, tmp_path):
    signals = [Signal("knee", "°", np.zeros(20)), Signal("hip", "°", np.linspace(10, 50, 20))]
    write_page(Shown(make_walk(20), signals=signals, graph="hip"), tmp_path / "walk.html")
    browser = opened(tmp_path / "walk.html")
    _wait(browser, "return player.graph.values !== undefined")
    assert browser.find_element(By.CSS_SELECTOR, "#graph .plot").is_displayed()
    assert browser.find_element(By.CSS_SELECTOR, "#graph output").text == "10 °"


def test_names_of_events_never_overlap_and_none_is_lost(opened, make_walk, tmp_path):
    times = [0.1, 0.5, 0.52, 0.54, 0.56, 1.2, 1.93, 1.95]
    events = [Event(f"moment number {i}", time_s) for i, time_s in enumerate(times)]
    write_page(Shown(make_walk(60), events=events), tmp_path / "walk.html")
    browser = opened(tmp_path / "walk.html")
    boxes = browser.execute_script("""
        return [...document.querySelectorAll("#marks .event")].map(button => {
          const box = button.getBoundingClientRect();
          return [button.classList.contains("brief"), box.left, box.right, box.top, box.bottom, button.title];
        });
    """)
    assert [title.split(",")[0] for *_, title in boxes] == [event.name for event in events]
    named = [box[1:5] for box in boxes if not box[0]]
    assert 0 < len(named) < len(boxes)
    for i, (left, right, top, bottom) in enumerate(named):
        assert 0 <= left < right <= 760
        for other_left, other_right, other_top, other_bottom in named[:i]:
            apart = right <= other_left or other_right <= left or bottom <= other_top or other_bottom <= top
            assert apart


def test_a_range_is_played_over_and_over_and_events_are_jumped_to(opened, make_walk, tmp_path):
    write_page(Shown(make_walk(60), events=[Event("foot plant", 0.5), Event("release", 1.0)]), tmp_path / "walk.html")
    browser = opened(tmp_path / "walk.html")
    marks = browser.find_elements(By.CSS_SELECTOR, "#marks .event")
    assert [mark.text for mark in marks] == ["foot plant", "release"]
    browser.execute_script("arguments[0].click()", marks[1])
    assert _shown(browser) == [30] * 4
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys("i")
    browser.execute_script("player.go(34)")
    body.send_keys("o")
    assert browser.execute_script("return player.range") == [30, 34]
    seen = browser.execute_async_script("""
        const done = arguments[0], seen = new Set(), show = player.show.bind(player);
        player.show = frame => { seen.add(frame); show(frame); };
        player.play();
        setTimeout(() => { player.pause(); done([...seen]); }, 1500);
    """)
    assert 30 <= min(seen) <= max(seen) <= 34
    body.send_keys("l")
    assert browser.execute_script("return player.range") is None


def test_trails_hypotheses_and_the_camera_are_shown_when_asked_for(opened, make_walk, tmp_path):
    motion = make_walk(40)
    motion = replace(motion, hypotheses_mm=np.stack([motion.root_relative_mm, motion.root_relative_mm + 30]))
    write_page(motion, tmp_path / "walk.html")
    browser = opened(tmp_path / "walk.html")
    state = (
        "const {bodies: [body], pyramid} = player.stage; return [body.trails, body.ghosts, pyramid].map(o => o.visible)"
    )
    assert browser.execute_script(state) == [False] * 3
    for name in ("trails", "ghosts", "frustum"):
        _press(browser, f"#{name}")
    assert browser.execute_script(state) == [True] * 3
    browser.execute_script("player.go(20)")
    ends = np.array(browser.execute_script("return [...player.stage.body.ghostPoints]")).reshape(2, -1, 2, 3)
    joint, parent = motion.skeleton.bones[4]
    expected = (motion.hypotheses_mm[1, 20, [joint, parent]] + motion.root_mm[20]) * [1, -1, -1] / 1000
    np.testing.assert_allclose(ends[1, 4], expected, atol=2e-3)  # m; the page rounds hypotheses to 1 mm
    trail = "const {start, count} = player.stage.body.trails.children[0].geometry.drawRange; return [start, count]"
    assert browser.execute_script(trail) == [0, 21]
    with _still(browser):
        _press(browser, "[data-view=camera]")
    assert browser.execute_script(state) == [True, True, False]  # its own pyramid is not seen from the camera


def test_who_is_not_seen_is_pale(opened, make_walk, tmp_path):
    motion = make_walk(20)
    confidence = motion.confidence.copy()
    confidence[5:15] = 0
    write_page(replace(motion, confidence=confidence), tmp_path / "gap.html")
    browser = opened(tmp_path / "gap.html")
    opacity = (
        "player.go(arguments[0]);"
        "const {limbs, balls} = player.stage.body; return [limbs, balls].map(mesh => mesh.material.opacity)"
    )
    assert [browser.execute_script(opacity, frame) for frame in (4, 5, 14, 15)] == [
        [1, 1],
        [0.3, 0.3],
        [0.3, 0.3],
        [1, 1],
    ]


def test_a_page_without_hypotheses_or_company_offers_neither(opened, page):
    browser = opened(page)
    assert not browser.find_element(By.ID, "ghosts").is_displayed()
    assert not browser.find_element(By.ID, "person").is_displayed()


def test_the_cameras_view_has_the_video_behind_it(opened, make_walk, tmp_path):
    motion = make_walk(5)
    with mp4_writer(tmp_path / "clip.mp4", (640, 480), 30.0, quality=20) as write:
        for time_s in motion.time_s:
            write(float(time_s), np.full((480, 640, 3), (20, 220, 20), np.uint8))
    write_page(motion, tmp_path / "walk.html", tmp_path / "clip.mp4")
    browser = opened(tmp_path / "walk.html")
    _wait(browser, "return player.picture.video.readyState >= 2 && !player.picture.video.seeking")
    green = """
        const gl = player.stage.renderer.getContext(), pixel = new Uint8Array(4);
        player.stage.texture.needsUpdate = true;
        player.stage.render();
        gl.readPixels(gl.drawingBufferWidth / 2, gl.drawingBufferHeight * 0.9, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
        return pixel[1] > 180 && pixel[0] < 90 && pixel[2] < 90;
    """
    assert not browser.execute_script(green)
    with _still(browser):
        _press(browser, "[data-view=camera]")
    assert browser.execute_script(green)


def test_one_frame_opens_and_plays(opened, make_walk, tmp_path):
    write_page(make_walk(1), tmp_path / "one.html")
    browser = opened(tmp_path / "one.html")
    _press(browser, "#play")
    _press(browser, "#forward")
    assert _shown(browser) == [0] * 4


def test_phone_sees_everything_without_scrolling_sideways(opened, page):
    browser = opened(page)
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        widths = browser.execute_script(
            "return [...document.querySelectorAll('button, input, canvas, header, main, footer')]"
            ".map(e => e.getBoundingClientRect()).map(box => [box.left, box.right])"
        )
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert min(left for left, _ in widths) >= 0
        assert max(right for _, right in widths) <= 390
        shot = base64.b64decode(browser.get_screenshot_as_base64())
        assert shot.startswith(b"\x89PNG")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_policy_lets_no_request_out(opened, page):
    browser = opened(page)
    asked = browser.execute_async_script(
        "const done = arguments[0]; fetch('https://example.invalid/').then(() => done('got out'), e => done(e.name))"
    )
    assert asked == "TypeError"
    entries = browser.get_log("browser")
    assert any("Content Security Policy" in entry["message"] for entry in entries)
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
