"""Frames a second of the detector on one thread, decoding apart. Run `dreampose3d fetch blazepose` first.

python benchmarks/detector.py            # view 3 of Pose2Sim's clip (dreampose3d fetch pose2sim)
python benchmarks/detector.py VIDEO
"""

import time
from pathlib import Path
from typing import Annotated

import tyro

from dreampose3d.lifting.blazepose import BlazePose, Complexity
from dreampose3d.lifting.fetch import cache_folder
from dreampose3d.lifting.video import read_video, video_info


def main(
    video: Annotated[Path | None, tyro.conf.Positional] = None,
    networks: tuple[Complexity, ...] = ("heavy", "full", "lite"),
) -> None:
    """Time decoding and each landmark network.

    Args:
        video: The clip; view 3 of Pose2Sim's if not given.
        networks: The landmark networks to time.
    """
    path = video or cache_folder() / "pose2sim" / "cam03.mp4"
    width, height = video_info(path).size_px
    start = time.perf_counter()
    frames = sum(1 for _ in read_video(path))
    print(
        f"{path.name}: {frames} frames of {width}x{height}; decoding {frames / (time.perf_counter() - start):.0f} fps"
    )
    for network in networks:
        detector, busy, found = BlazePose.load(network), 0.0, 0
        for frame in read_video(path):
            start = time.perf_counter()
            found += detector.detect(frame.rgb) is not None
            busy += time.perf_counter() - start
        print(f"  {network}: {frames / busy:.1f} fps; a person in {found} frames, searched for in {detector.searches}")


if __name__ == "__main__":
    tyro.cli(main)
