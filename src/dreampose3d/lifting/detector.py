"""From a video to 2D keypoints: what a detector is, and running one over a clip.

A new detector is one new file with a class that has `Detector`'s members, and one line in `get_detector`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeVar, get_args, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from dreampose3d.lifting.detection import Detection
from dreampose3d.lifting.video import frame_rate, presentation_times, read_video, video_info
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import Skeleton

T = TypeVar("T")

DetectorName = Literal["blazepose", "rtmpose"]


@runtime_checkable
class Detector(Protocol):
    """Finds one person's joints in one frame after another; it may use what it saw in the frames before."""

    @property
    def name(self) -> str:
        """What it calls itself in the files that are made from its keypoints."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """The joints that it yields, in its order."""
        ...

    def detect(self, frame_rgb: UInt8[ndarray, "height width 3"]) -> Detection | None:
        """The person in the next frame, or None if it sees none."""
        ...

    def reset(self) -> None:
        """Forget the frames seen: another clip begins."""
        ...


@dataclass(frozen=True)
class Detections:
    """One person's 2D motion in a video."""

    sequence: PoseSequence
    """`keypoints_px` is NaN and `confidence` 0 in frames in which nobody was found."""
    size_px: tuple[int, int]
    """(width, height) of the video as displayed."""
    detector: str
    """The detector's name."""


def get_detector(name: str = "blazepose") -> Detector:
    """A detector by name (one of `DetectorName`), with its weights loaded.

    Raises:
        ValueError: If there is none of that name, or its extra or weights are not there, with the command that helps.
    """
    match name:
        case "blazepose":
            from dreampose3d.lifting.blazepose import BlazePose

            return BlazePose.load()
        case "rtmpose":
            from dreampose3d.lifting.rtmpose import RTMPose

            return RTMPose.load()
        case _:
            raise ValueError(f"unknown detector {name!r}; known are {', '.join(get_args(DetectorName))}")


def detect_video(
    path: Path | str,
    detector: str | Detector = "blazepose",
    fps: float | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Detections:
    """Find one person in every frame of a video. The frames are streamed; only keypoints are kept.

    Args:
        path: A video file.
        detector: A name, or a detector of your own.
        fps: The rate at which the scene was filmed, if the file plays at another one (slow motion): all
            times are scaled so that the usual rate is this one.
        progress: Called with (frames done, frames announced or None) after each frame.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a readable video, no frame shows a person, or `fps` is not positive.
    """
    runner = get_detector(detector) if isinstance(detector, str) else detector
    runner.reset()
    watched = watch(path, runner.detect, fps, progress)
    keypoints, confidence = _stacked(watched.seen, runner.skeleton, path)
    sequence = PoseSequence(
        name=Path(path).stem,
        fps=watched.fps,
        skeleton=runner.skeleton,
        keypoints_px=keypoints,
        confidence=confidence,
        time_s=watched.time_s,
    )
    return Detections(sequence, watched.size_px, runner.name)


@dataclass(frozen=True)
class Watched(Generic[T]):
    """What was seen in each frame of a video, and when."""

    seen: list[T]
    time_s: Float[ndarray, " N"]
    fps: float
    size_px: tuple[int, int]


def watch(
    path: Path | str,
    see: Callable[[UInt8[ndarray, "height width 3"]], T],
    fps: float | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Watched[T]:
    """Show a video to a detector, frame after frame; only what it says is kept.

    Args:
        path: A video file.
        see: Told each frame.
        fps: As in `detect_video`.
        progress: As in `detect_video`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a readable video, or `fps` is not positive.
    """
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"expected a positive frame rate, got {fps}")
    info = video_info(path)
    seen: list[T] = []
    raw_times: list[float | None] = []
    for frame in read_video(path):
        seen.append(see(frame.rgb))
        raw_times.append(frame.time_s)
        if progress:
            progress(len(seen), info.frames)
    times = presentation_times(raw_times, info.fps, path)
    rate = frame_rate(times, info.fps)
    if fps is not None:
        times, rate = times * (rate / fps), fps
    return Watched(seen, times, rate, info.size_px)


def _stacked(
    found: list[Detection | None], skeleton: Skeleton, path: Path | str
) -> tuple[Float[ndarray, "N K 2"], Float[ndarray, "N K"]]:
    """All frames in one array; NaN and 0 where nobody was found."""
    if not any(found):
        raise ValueError(
            f"{path}: no person found in any of its {len(found)} frames; "
            "it should show one person, whole, for most of the time"
        )
    keypoints = np.full((len(found), skeleton.num_joints, 2), np.nan, np.float32)
    confidence = np.zeros((len(found), skeleton.num_joints), np.float32)
    for frame, detection in enumerate(found):
        if detection is not None:
            keypoints[frame], confidence[frame] = detection
    return keypoints, np.where(np.isfinite(keypoints).all(-1), np.clip(np.nan_to_num(confidence), 0, 1), 0)
