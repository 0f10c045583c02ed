"""Everyone in a video: BlazePose is one person a region, so each person has a region that follows them.

The people of a frame are looked for where those of the frame before were. Now and then, or when one was lost, the
person detector looks at the whole frame and at squares of it, which show those who are small in the whole. Who is who
over time is not decided here but by the tracker (`people.py`), which sees the whole clip.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, assert_never, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from dreampose3d.camera import Camera
from dreampose3d.lifting.blazepose import BlazePose, Landmarks, Region
from dreampose3d.lifting.detection import Detection
from dreampose3d.lifting.detector import DetectorName, watch
from dreampose3d.lifting.people import Sightings
from dreampose3d.skeleton import Skeleton

_LOOK_EVERY = 10
"""Frames between two searches for people who are not followed yet."""
_SAME = 0.12
"""Landmarks of one person differ by less than this share of the region's side; two people hardly ever do."""
_NEAR = 0.25
"""A detection within this share of a region's side of someone already followed is that person."""


@runtime_checkable
class CrowdDetector(Protocol):
    """Finds everyone's joints in one frame after another."""

    skeleton: Skeleton

    def detect_people(self, frame_rgb: UInt8[ndarray, "height width 3"]) -> list[Detection]:
        """The people in the next frame, in no particular order."""

    def reset(self) -> None:
        """Forget the frames seen: another clip begins."""


def see_everyone(
    path: Path,
    detector: DetectorName | CrowdDetector = "blazepose",
    fps: float | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Sightings:
    """Find everyone in every frame of a video; who is who is left to `people.follow`.

    Args:
        path: A video file.
        detector: A name, or a detector of your own.
        fps: The rate at which the scene was filmed, if the file plays at another one (slow motion).
        progress: Called with (frames done, frames announced or None) after each frame.

    Returns:
        The people of each frame, with the default field of view assumed.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a readable video, no frame shows a person, or `fps` is not positive.
    """
    crowd = _crowd(detector) if isinstance(detector, str) else detector
    crowd.reset()
    watched = watch(path, crowd.detect_people, fps, progress)
    most = max(map(len, watched.seen))
    if not most:
        raise ValueError(f"{path}: no person found in any of its {len(watched.seen)} frames")
    keypoints = np.full((len(watched.seen), most, crowd.skeleton.num_joints, 2), np.nan, np.float32)
    confidence = np.zeros(keypoints.shape[:-1], np.float32)
    for frame, people in enumerate(watched.seen):
        for place, person in enumerate(people):
            keypoints[frame, place], confidence[frame, place] = person
    camera = replace(Camera.from_fov(watched.size_px), assumed=True)
    return Sightings(path.stem, watched.fps, crowd.skeleton, keypoints, confidence, watched.time_s, camera)


def _crowd(name: DetectorName) -> CrowdDetector:
    match name:
        case "blazepose":
            return Crowd(BlazePose.load())
        case "rtmpose":
            from dreampose3d.lifting.rtmpose import RTMPose

            return RTMPose.load()
        case _:
            assert_never(name)


class Crowd:
    """Everyone's 33 joints in one frame after another, by BlazePose."""

    def __init__(self, pose: BlazePose) -> None:
        self._pose = pose
        self.name, self.skeleton = f"{pose.name}, everyone", pose.skeleton
        self.reset()

    skeleton: Skeleton

    def reset(self) -> None:
        """Forget the frames seen: another clip begins."""
        self._regions: list[Region] = []
        self._frame = 0

    def detect_people(self, frame_rgb: UInt8[ndarray, "height width 3"]) -> list[Detection]:
        """The people in the next frame, in no particular order."""
        followed = [self._pose.landmarks(frame_rgb, region) for region in self._regions]
        people = _different([person for person in followed if person is not None])
        if self._frame % _LOOK_EVERY == 0 or len(people) < len(self._regions):
            people = _different(people + self._newcomers(frame_rgb, people))
        self._regions = [person.next_region for person in people]
        self._frame += 1
        return [(person.keypoints_px, person.confidence) for person in people]

    def _newcomers(self, frame_rgb: UInt8[ndarray, "height width 3"], known: list[Landmarks]) -> list[Landmarks]:
        """People whom the detector sees and nobody follows."""
        found: list[Landmarks] = []
        for square in _squares(*frame_rgb.shape[1::-1]):
            for region in self._pose.people(frame_rgb, square):
                if any(_near(region, person.next_region) for person in known + found):
                    continue
                person = self._pose.look_twice(frame_rgb, region)
                if person is not None:
                    found.append(person)
        return found


def _squares(width: int, height: int) -> list[Region]:
    """The whole frame, and squares over its shorter side that overlap by half or more."""
    side, length = min(width, height), max(width, height)
    whole = Region((width / 2, height / 2), length)
    if length < 1.2 * side:
        return [whole]
    count = int(np.ceil((length - side) / (side / 2))) + 1
    middles = np.linspace(side / 2, length - side / 2, count)
    along = [(float(m), side / 2) if width > height else (side / 2, float(m)) for m in middles]
    return [whole, *(Region(center, side) for center in along)]


def _near(one: Region, other: Region) -> bool:
    distance = np.subtract(one.center_px, other.center_px)
    return bool(np.hypot(*distance) < _NEAR * max(one.side_px, other.side_px))


def _different(people: list[Landmarks]) -> list[Landmarks]:
    """Each person once: of landmarks that coincide, those with the greater presence."""
    kept: list[Landmarks] = []
    for person in sorted(people, key=lambda p: -p.presence):
        gaps = (np.linalg.norm(person.keypoints_px - other.keypoints_px, axis=-1).mean() for other in kept)
        if all(gap > _SAME * person.next_region.side_px for gap in gaps):
            kept.append(person)
    return kept
