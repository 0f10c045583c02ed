"""Video out: an mp4 that every browser and player shows (H.264, yuv420p, even sizes), presentation times kept."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from dreampose3d.sequence import LiftedMotion

_TIME_BASE = Fraction(1, 90_000)  # s; MPEG's clock, a multiple of all usual frame rates

WriteFrame = Callable[[float, UInt8[ndarray, "height width 3"]], None]
"""Takes a frame's presentation time (s, increasing) and its RGB picture."""


@contextmanager
def mp4_writer(
    path: Path, size_px: tuple[int, int], fps: float, quality: int, keyframe_every: int = 250
) -> Iterator[WriteFrame]:
    """Open an mp4 for writing; closed, with its index at the front, when the block ends.

    Args:
        path: The file, written in place (wrap it in `atomic_write`).
        size_px: (width, height) that every frame is scaled to; made even by rounding, as yuv420p needs.
        fps: The nominal rate, frames/s; the times given with the frames are what counts.
        quality: x264's constant rate factor: 18 looks lossless, 28 is small.
        keyframe_every: Frames between two that decode alone: small is quick to seek, large is small on disk.

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
        first_s: float | None = None

        def write(time_s: float, picture: UInt8[ndarray, "height width 3"]) -> None:
            nonlocal first_s
            first_s = time_s if first_s is None else first_s
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(width, height, "yuv420p", interpolation=Interpolation.AREA)
            frame.pts, frame.time_base = round((time_s - first_s) / _TIME_BASE), _TIME_BASE
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode(None))


def frames_of(
    motion: LiftedMotion, video: Path
) -> Iterator[tuple[float, int | None, UInt8[ndarray, "height width 3"]]]:
    """Yield a clip's frames with their times and the motion's frame that is shown then.

    They are matched by presentation time, never by index. A time that is missing or does not increase counts as one
    frame after the one before.

    Args:
        motion: What was lifted from the clip.
        video: The clip.

    Yields:
        Time (s), the motion's nearest frame (None if it is more than a frame away) and the picture.

    Raises:
        ValueError: If the video cannot be read.
    """
    from dreampose3d.lifting.video import read_video

    time_s = -1 / motion.fps
    for frame in read_video(video):
        next_s = time_s + 1 / motion.fps
        time_s = frame.time_s if frame.time_s is not None and frame.time_s > time_s else next_s
        nearest = int(np.abs(motion.time_s - time_s).argmin())
        yield time_s, nearest if abs(motion.time_s[nearest] - time_s) <= 1 / motion.fps else None, frame.rgb
