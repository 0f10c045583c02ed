"""What the page costs: how long a long clip takes to open, and its script a frame, in headless Chromium.

python benchmarks/viewer.py --frames 10000
"""

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from dreampose3d.camera import Camera
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import H36M_17
from dreampose3d.viewer.measured import measured
from dreampose3d.viewer.page import write_page

FLAGS = (
    "--headless --no-sandbox --disable-quic --no-first-run --disable-background-networking --window-size=1280,800 "
    "--use-angle=swiftshader --enable-unsafe-swiftshader --disable-dev-shm-usage"
)


@dataclass(frozen=True)
class Viewing:
    """A page of one result, or of several copies of it."""

    frames: int = 10_000
    people: int = 1
    shown: int = 300
    """Frames that are shown one after another to time the script."""


def swaying(frames: int) -> LiftedMotion:
    """A figure whose joints all move, with as many digits as a real result."""
    rng = np.random.default_rng(0)
    time_s = np.arange(frames) / 50
    joints = H36M_17.num_joints
    poses = rng.normal(0, 400, (joints, 3)) + 80 * np.sin(time_s[:, None, None] + 6 * rng.random((joints, 3)))
    poses = poses - poses[:, :1]
    root = np.stack((500 * np.sin(time_s / 3), 100 + 0 * time_s, 4000 + 300 * np.cos(time_s / 5)), -1)
    flat = np.ones((frames, joints))
    names, intent = tuple(f"intent {i}" for i in range(25)), np.full((frames, 25), 1 / 25)
    keypoints, camera = 500 + poses[..., :2] / 5, Camera.from_fov((1000, 1000))
    return LiftedMotion("long", 50.0, time_s, poses, root, 40 * flat, keypoints, flat, names, intent, camera)


def main(viewing: Viewing) -> None:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in FLAGS.split():
        options.add_argument(flag)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "long.html"
        write_page([measured(swaying(viewing.frames))] * viewing.people, page)
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        driver.set_script_timeout(300)
        begun = time.perf_counter()
        driver.get(page.as_uri())
        while not driver.execute_script("return document.body.dataset.ready === 'true'"):
            time.sleep(0.01)
        opened = time.perf_counter() - begun
        script, drawn = driver.execute_script(
            """
            const median = times => times.sort((a, b) => a - b)[times.length >> 1];
            const script = [], drawn = [], step = Math.max(1, Math.floor(player.motion.frames / arguments[0]));
            for (let frame = 0; frame < player.motion.frames; frame += step) {
              let begun = performance.now();
              player.show(frame);
              script.push(performance.now() - begun);
            }
            for (let i = 0; i < 10; i++) {
              const begun = performance.now();
              player.stage.render();
              const gl = player.stage.renderer.getContext();
              gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4)); // waits until it is drawn
              drawn.push(performance.now() - begun);
            }
            return [median(script), median(drawn)];
            """,
            viewing.shown,
        )
        driver.quit()
        size = page.stat().st_size / 2**20
    print("| frames | people | page, MB | opens in, s | script a frame, ms (median) | software rendering, ms |")
    print("|--:|--:|--:|--:|--:|--:|")
    print(f"| {viewing.frames} | {viewing.people} | {size:.1f} | {opened:.2f} | {script:.2f} | {drawn:.0f} |")


if __name__ == "__main__":
    main(tyro.cli(Viewing))
