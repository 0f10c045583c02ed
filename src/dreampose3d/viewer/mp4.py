"""Video out: an mp4 that every browser and player shows (H.264, yuv420p, even sizes), presentation times kept."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from dreampose3d.viewer.sound import sound_of

_TIME_BASE = Fraction(1, 90_000)  # s; MPEG's clock, a multiple of all usual frame rates

WriteFrame = Callable[[float, UInt8[ndarray, "height width 3"]], None]
"""Takes a frame's presentation time (s, increasing) and its RGB picture."""


@contextmanager
def mp4_writer(
    path: Path,
    size_px: tuple[int, int],
    fps: float,
    quality: int,
    keyframe_every: int = 250,
    sound: Path | None = None,
) -> Iterator[WriteFrame]:
    """Open an mp4 for writing; closed, with its index at the front, when the block ends.

    Args:
        path: The file, written in place (wrap it in `atomic_write`).
        size_px: (width, height) that every frame is scaled to; made even by rounding, as yuv420p needs.
        fps: The nominal rate, frames/s; the times given with the frames are what counts.
        quality: x264's constant rate factor: 18 looks lossless, 28 is small.
        keyframe_every: Frames between two that decode alone: small is quick to seek, large is small on disk.

        sound: A video whose sound is heard beside the pictures, at the times that they are given with.

    Yields:
        A function that appends one frame. The first frame's time becomes 0.

    Raises:
        ValueError: If PyAV is not installed.
    """
    try:
        import av
        from av.video.reformatter import Interpolation
    except ImportError:
        raise ValueError('writing video needs an extra: pip install "dreampose3d[video]"') from None
    width, height = (max(2, round(side / 2) * 2) for side in size_px)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(10_000))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = keyframe_every
        stream.codec_context.time_base = _TIME_BASE
        stream.options = {"crf": str(quality), "preset": "veryfast", "bf": "0"}
        fill = None if sound is None else sound_of(sound, container)
        first_s: float | None = None

        def write(time_s: float, picture: UInt8[ndarray, "height width 3"]) -> None:
            nonlocal first_s
            first_s = time_s if first_s is None else first_s
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(width, height, "yuv420p", interpolation=Interpolation.AREA)
            frame.pts, frame.time_base = round((time_s - first_s) / _TIME_BASE), _TIME_BASE
            container.mux(stream.encode(frame))
            if fill is not None:
                fill(time_s, first_s)

        yield write
        container.mux(stream.encode(None))
        if fill is not None and first_s is not None:
            fill(math.inf, first_s)


def frames_of(
    times_s: Float[ndarray, " N"], fps: float, video: Path
) -> Iterator[tuple[float, int | None, UInt8[ndarray, "height width 3"]]]:
    """Yield a clip's frames with their times and the motion's frame that is shown then.

    They are matched by presentation time, never by index. A time that is missing or does not increase counts as one
    frame after the one before.

    Args:
        times_s: The motion's frames, s.
        fps: The motion's rate.
        video: The clip that it was lifted from.

    Yields:
        Time (s), the motion's frame (None if there is none then) and the picture.

    Raises:
        ValueError: If the video cannot be read.
    """
    from dreampose3d.lifting.video import read_video

    time_s = -1 / fps
    for frame in read_video(video):
        next_s = time_s + 1 / fps
        time_s = frame.time_s if frame.time_s is not None and frame.time_s > time_s else next_s
        yield time_s, frame_at(times_s, fps, time_s), frame.rgb


def frame_at(times_s: Float[ndarray, " N"], fps: float, time_s: float) -> int | None:
    """The motion's frame nearest to a time; None if that is more than a frame away."""
    nearest = int(np.abs(times_s - time_s).argmin())
    return nearest if abs(times_s[nearest] - time_s) <= 1 / fps else None
