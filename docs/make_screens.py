"""The pictures of docs/viewer.md, from the result of `make demo`: pages in headless Chromium, a frame of the overlay.

python docs/make_screens.py --demo demo     (needs chromium and chromedriver; about a minute with software WebGL)
"""

import io
import shutil
import time
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import tyro
from PIL import Image
from selenium import webdriver

from dreampose3d.commands.report import report

_FLAGS = (
    "--headless --no-sandbox --disable-quic --no-first-run --disable-background-networking --hide-scrollbars "
    "--use-angle=swiftshader --enable-unsafe-swiftshader --disable-dev-shm-usage"
)
_PATIENCE_S = 120
_LARGEST_KB = 150
_DESKTOP, _PHONE = (1280, 800), (390, 844)


@dataclass(frozen=True)
class Screens:
    """Where the result is, and where the pictures go."""

    demo: Path = Path("demo")
    out: Path = Path(__file__).parent / "screens"
    time_s: float = 0.6
    """The moment that the viewer and the overlay show."""


def main(screens: Screens) -> None:
    """Make them all."""
    result = next(screens.demo.glob("*.pose3d.npz"))
    stem = result.name.removesuffix(".pose3d.npz")
    page, sheet = (screens.demo / f"{stem}{suffix}" for suffix in (".html", ".report.html"))
    report(result, out=sheet)
    screens.out.mkdir(exist_ok=True)
    browser = _browser()
    go = f"player.go(frameOf({screens.time_s})); "
    views = {
        "viewer": (page, _DESKTOP, go + "document.querySelector('[data-view=start]')?.click()"),
        "viewer-scene": (
            page,
            _DESKTOP,
            go + "['trails', 'frustum'].forEach(id => document.getElementById(id).click())",
        ),
        "viewer-phone": (page, _PHONE, go),
        "report": (sheet, _DESKTOP, ""),
        "report-angles": (sheet, _DESKTOP, "document.getElementById('angles').scrollIntoView()"),
        "report-phone": (sheet, _PHONE, ""),
    }
    for name, (shown, size, script) in views.items():
        save(_screenshot(browser, shown, size, script), screens.out / f"{name}.png")
    browser.quit()
    save(frame_of(screens.demo / f"{stem}.overlay.mp4", screens.time_s), screens.out / "overlay.png")


def _browser() -> Any:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in _FLAGS.split():
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_script_timeout(_PATIENCE_S)
    return driver


def _screenshot(browser: Any, page: Path, size: tuple[int, int], script: str) -> Image.Image:
    """A page at a size, after a script; the viewer is waited for."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == _PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.resolve().as_uri())
    viewer = browser.execute_script("return Boolean(document.getElementById('stage'))")
    until = time.monotonic() + _PATIENCE_S
    while viewer and not browser.execute_script("return document.body.dataset.ready === 'true'"):
        if time.monotonic() > until:
            raise TimeoutError(f"{page} did not open within {_PATIENCE_S} s")
        time.sleep(0.1)
    frame_of_time = "const frameOf = time => Math.round(time * player.motion.fps); " if viewer else ""
    browser.execute_script(frame_of_time + script)
    time.sleep(3 if viewer else 0.2)  # video and camera come to rest
    return Image.open(io.BytesIO(b64decode(browser.get_screenshot_as_base64())))


def frame_of(video: Path, time_s: float) -> Image.Image:
    """The first frame at or after a time."""
    with av.open(str(video)) as container:
        return next(f for f in container.decode(video=0) if f.time >= time_s - 1e-3).to_image()


def save(picture: Image.Image, path: Path) -> None:
    """As a PNG of 256 colours, scaled down until it is small enough."""
    picture = picture.convert("RGB")
    scale = min(1.0, _DESKTOP[0] / picture.width, _PHONE[1] / picture.height)
    while True:
        size = (round(scale * picture.width), round(scale * picture.height))
        shown = picture.resize(size, Image.Resampling.LANCZOS) if scale < 1 else picture
        shown.quantize(256, kmeans=4, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= 1000 * _LARGEST_KB:
            print(f"{path}: {size[0]} x {size[1]}, {path.stat().st_size / 1000:.0f} kB")
            return
        scale *= 0.93


if __name__ == "__main__":
    main(tyro.cli(Screens))
