"""Video files in: frames as a person sees them, each with the time at which it is shown.

Phones store a rotation beside the pixels and a rate that varies: the display matrix is applied and
presentation times are used, never frame / fps. Frames are decoded in sequence and handed on one at a time, so that
memory does not grow with the clip.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"}
    | {".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"}
)

_DEFAULT_FPS = 30.0
"""The rate of a file with a single frame that states none."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video is before all of it has been decoded."""

    size_px: tuple[int, int]
    """(width, height) as displayed: rotated, with square pixels."""
    fps: float
    """The average rate that the file states; `frame_rate` gives the one its frames have."""
    frames: int | None
    """How many frames the file announces; None where it does not say."""


@dataclass(frozen=True)
class Frame:
    """One picture of a video."""

    rgb: UInt8[ndarray, "height width 3"]
    """As displayed: rotated, with square pixels."""
    time_s: float | None
    """Presentation time, seconds; None where the file does not say."""


def is_video(path: Path | str) -> bool:
    """True if the file's name says that it is a video. What is inside shows when it is opened."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def video_info(path: Path | str) -> VideoInfo:
    """Size, rate and length of a video, read from its head and its first frame.

    Raises:
        ValueError: If it is not a video, or holds no frame that can be decoded.
    """
    with _opened(path) as stream:
        first = next(_decoded(stream, path), None)
        if first is None:
            raise _no_frame(path)
        height, width = _as_displayed(first, stream).shape[:2]
        return VideoInfo((width, height), float(stream.average_rate or _DEFAULT_FPS), stream.frames or None)


def read_video(path: Path | str) -> Iterator[Frame]:
    """Yield the frames of a video one after another, in the order in which they are shown.

    A damaged or truncated file yields what can be decoded, and a warning says how much is missing.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a video, has no picture track, or holds no frame that can be decoded.
    """
    with _opened(path) as stream:
        count = 0
        for frame in _decoded(stream, path):
            yield Frame(_as_displayed(frame, stream), frame.time)
            count += 1
        if not count:
            raise _no_frame(path)
        if stream.frames - count > 2:  # encoders miscount by a frame or two
            warnings.warn(
                f"{path}: the file announces {stream.frames} frames, only {count} could be decoded "
                "(is it truncated?); going on with these",
                stacklevel=2,
            )


def frame_rate(time_s: Sequence[float] | Float[ndarray, " N"], default: float = _DEFAULT_FPS) -> float:
    """The usual rate of frames shown at these times, frames per second.

    It is one over the mean of the steps near the median step: a pause or a dropped frame does not count, and times that
    the container rounds to milliseconds (33, 33, 34) still give 30.

    Args:
        time_s: Increasing times, seconds.
        default: The rate to give for a single frame.
    """
    steps = np.diff(np.asarray(time_s, dtype=np.float64))
    if not len(steps):
        return default
    median = float(np.median(steps))
    return 1 / float(steps[np.abs(steps - median) <= 0.3 * median].mean())


def presentation_times(time_s: Sequence[float | None], fps: float, name: Path | str = "video") -> Float[ndarray, " N"]:
    """The frames' times, or frame / fps, with a warning, where the file's times are missing or do not increase."""
    times = np.array([np.nan if t is None else t for t in time_s], dtype=np.float64)
    if np.isfinite(times).all() and (np.diff(times) > 0).all():
        return times
    warnings.warn(
        f"{name}: its presentation times are missing or do not increase; counting frames at {fps:g} fps instead",
        stacklevel=2,
    )
    return np.arange(len(times)) / fps


def _av() -> ModuleType:
    try:
        import av
    except ImportError:
        raise ValueError('reading video needs an extra: pip install "dreampose3d[video]"') from None
    return av  # type: ignore[no-any-return]


@contextmanager
def _opened(path: Path | str) -> Iterator[Any]:
    """The file's picture track."""
    av = _av()
    if not Path(path).exists():
        raise FileNotFoundError(f"no such video: {path}")
    try:
        container = av.open(str(path))
    except av.error.FFmpegError as error:
        raise ValueError(
            f"{path} is not a video that can be read ({error.strerror}); is it cut off or not a video?"
        ) from error
    with container:
        if not container.streams.video:
            raise ValueError(f"{path} has no picture track; is it sound alone, or cut off?")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield stream


def _decoded(stream: Any, path: Path | str) -> Iterator[Any]:
    """Every frame that can be decoded; damaged packets are passed over and counted in a warning."""
    error_type, damaged = _av().error.FFmpegError, 0
    try:
        for packet in stream.container.demux(stream):  # the last is empty and hands out what the decoder still holds
            try:
                yield from packet.decode()
            except error_type:
                damaged += 1
    except error_type:  # the file ends in the middle of a packet
        damaged += 1
        yield from stream.decode(None)
    if damaged:
        warnings.warn(f"{path}: {damaged} damaged parts could not be decoded; going on without them", stacklevel=3)


def _as_displayed(frame: Any, stream: Any) -> UInt8[ndarray, "height width 3"]:
    """The frame as RGB with square pixels, turned and mirrored as its display matrix says.

    The matrix (a b . c d . . . .) sends stored (x, y) to shown (a x + c y, b x + d y) (ISO/IEC 14496-12, 6.2.2).
    """
    width = round(stream.width * float(stream.sample_aspect_ratio or 1))
    rgb: UInt8[ndarray, "height width 3"] = frame.reformat(width, stream.height, format="rgb24").to_ndarray()
    matrix = [np.frombuffer(side, np.int32) for side in frame.side_data if side.type.name == "DISPLAYMATRIX"]
    if not matrix:
        return rgb
    a, b, c, d = (int(matrix[0][i]) for i in (0, 1, 3, 4))
    if abs(b) + abs(c) > abs(a) + abs(d):  # a quarter turn: shown x runs along stored y
        rgb, a, d = rgb.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(rgb[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _no_frame(path: Path | str) -> ValueError:
    return ValueError(f"{path} holds no frame that can be decoded; is it empty or cut off?")
