import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from dreampose3d.camera import Camera
from dreampose3d.viewer.page import Event, Shown, Signal, pack, read_page, unpack, write_page


class _Tags(HTMLParser):
    """All tags with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def page(walk, tmp_path):
    write_page(walk, tmp_path / "walk.html")
    return tmp_path / "walk.html"


def test_page_carries_the_motion_to_the_stated_step(walk, page):
    data = read_page(page)
    assert [data["name"], data["fps"], data["skeleton"]["joints"]] == ["walk", 30.0, list(walk.skeleton.joints)]
    for name, step in (
        ("time_s", 1e-4), ("root_mm", 0.1), ("root_relative_mm", 0.1), ("spread_mm", 0.1), ("keypoints_px", 0.1),
        ("confidence", 0.01),
    ):  # fmt: skip
        assert data[name]["step"] == step
        true, carried = getattr(walk, name), unpack(data[name])
        np.testing.assert_array_equal(np.round(true / step), np.round(carried / step), err_msg=name)
    shown = [walk.intent_names.index(name) for name in data["intents"]]
    np.testing.assert_allclose(unpack(data["intent_probability"]), walk.intent_probability[:, shown], atol=5.01e-4)


def test_page_carries_each_frames_likeliest_intents(walk, page):
    carried = set(read_page(page)["intents"])
    assert {name for frame in range(len(walk)) for name, _ in walk.top_intents(frame)} == carried
    assert carried < set(walk.intent_names)


@pytest.mark.parametrize(("kind", "largest"), [("int16", 4e3), ("int16", 9e5), ("int32", 9e5)])
def test_packing_is_exact_to_half_a_step_and_keeps_what_is_missing(kind, largest):
    values = np.random.default_rng(0).uniform(-largest, largest, (50, 3, 2))
    values[7, 1] = np.nan
    packed = pack(values, kind, 0.1)
    assert packed["step"] >= 0.1
    np.testing.assert_allclose(unpack(packed), values, rtol=0, atol=packed["step"] * 0.5001)


def test_page_asks_for_nothing_from_outside(page):
    text = page.read_text("utf-8")
    linked = [
        value for _, attrs in _Tags(text).found for key, value in attrs.items() if key in ("src", "href", "srcset")
    ]
    assert linked == ["data:,"]
    assert set(re.findall(r"\w+://[^\s\"'`]*", text)) == {"http://www.w3.org/1999/xhtml"}  # a name, never asked for


def test_policy_names_each_script_and_style_by_its_hash(page):
    text = page.read_text("utf-8")
    policy = next(tag["content"] for _, tag in _Tags(text).found if tag.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert (rules["default-src"], rules["connect-src"]) == ("'none'", "'none'")
    for kind in ("script", "style"):
        inside = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" for part in inside]
        assert hashes == rules[f"{kind}-src"].split() != []


def test_words_from_outside_cannot_end_the_script(make_walk, tmp_path):
    name = "</script><script>alert(1)</script> {{three}} ü"
    write_page(replace(make_walk(3), name=name, meta={"note": name}), tmp_path / "odd.html")
    data = read_page(tmp_path / "odd.html")
    assert (data["name"], data["meta"]["note"]) == (name, name)
    assert "alert(1)</script>" not in (tmp_path / "odd.html").read_text("utf-8")


def test_header_tells_how_the_motion_came_about(make_walk, tmp_path):
    def facts(motion):
        write_page(motion, tmp_path / "facts.html")
        return read_page(tmp_path / "facts.html")["facts"]

    motion = make_walk(2)
    assert facts(motion) == (
        "model small · H = 3 · K = 2 · flip on · p-agg · camera given: 55° field of view · millimetres"
    )
    assumed = replace(motion, meta={}, camera=replace(motion.camera, assumed=True))
    assert facts(assumed) == "camera assumed: 55° field of view · millimetres"


def test_up_is_the_worlds_z_where_the_cameras_pose_is_known(make_walk, tmp_path):
    tilted = ((1.0, 0.0, 0.0), (0.0, -0.6, -0.8), (0.0, 0.8, -0.6))  # looks down by 37 degrees
    for camera, up in (
        (Camera.from_fov((640, 480)), [0, -1, 0]),
        (replace(Camera.from_fov((640, 480)), rotation=tilted), [0, -0.8, -0.6]),
    ):
        write_page(make_walk(2, camera=camera), tmp_path / "up.html")
        np.testing.assert_allclose(read_page(tmp_path / "up.html")["camera"]["up"], up, atol=1e-12)


def test_long_clips_stay_small(make_walk, tmp_path):
    write_page(make_walk(1), tmp_path / "one.html")
    write_page(make_walk(2000), tmp_path / "long.html")
    sizes = [(tmp_path / name).stat().st_size for name in ("one.html", "long.html")]
    assert sizes[0] < 700_000  # three.js and our scripts
    assert sizes[1] - sizes[0] < 2000 * 250  # bytes a frame; 16-bit numbers without compression need 300


def test_page_is_the_same_each_time(walk, page, tmp_path):
    write_page(walk, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_reading_another_page_says_what_was_expected(tmp_path):
    (tmp_path / "other.html").write_text("<html></html>")
    with pytest.raises(ValueError, match=r"other\.html: expected a page written by dreampose3d"):
        read_page(tmp_path / "other.html")


def test_page_carries_company_signals_events_and_hypotheses(make_walk, tmp_path):
    motion = make_walk(20)
    hypotheses = np.stack([motion.root_relative_mm, motion.root_relative_mm + 40.0])
    angle = np.linspace(0, 90, 20)
    first = Shown(replace(motion, hypotheses_mm=hypotheses), "A", [Signal("knee", "°", angle)], [Event("plant", 0.2)])
    write_page([first, make_walk(10)], tmp_path / "two.html")
    data = read_page(tmp_path / "two.html")
    assert (data["label"], data["events"]) == ("A", [{"name": "plant", "time_s": 0.2}])
    assert [data["signals"][0][key] for key in ("name", "unit")] == ["knee", "°"]
    np.testing.assert_allclose(unpack(data["signals"][0]["values"]), angle, atol=5e-3)
    np.testing.assert_allclose(unpack(data["hypotheses_mm"]), hypotheses.swapaxes(0, 1), atol=0.5)
    (other,) = data["others"]
    assert (other["hypotheses_mm"], other["signals"], other["events"]) == (None, [], [])
    assert unpack(other["root_mm"]).shape == (10, 3)


def test_nothing_to_show_and_signals_of_another_length_are_refused(make_walk, tmp_path):
    with pytest.raises(ValueError, match="at least one motion to show, got none"):
        write_page([], tmp_path / "none.html")
    with pytest.raises(ValueError, match="knee: expected a value for each of 5 frames, got 4"):
        write_page(Shown(make_walk(5), signals=[Signal("knee", "°", np.zeros(4))]), tmp_path / "short.html")
    assert not list(tmp_path.iterdir())


def test_unwritable_place_leaves_nothing(walk, tmp_path):
    with pytest.raises(OSError, match="could not write"):
        write_page(walk, tmp_path / "missing" / "walk.html")
    assert not list(tmp_path.iterdir())


def test_page_says_that_the_video_was_left_out(walk, tmp_path, monkeypatch):
    monkeypatch.setattr("dreampose3d.viewer.page.find_spec", lambda _: None)
    write_page(walk, tmp_path / "walk.html", video=tmp_path / "walk.mp4")
    data = read_page(tmp_path / "walk.html")
    assert (data["video"], "dreampose3d[video]" in data["note"]) == (None, True)
