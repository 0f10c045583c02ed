"""Readers of keypoint files, one format a module: `recognises` by content, `read`."""

from dreampose3d.lifting.readers import (
    alphapose,
    arrays,
    coco,
    deeplabcut,
    mediapipe,
    mmpose,
    movement,
    openpose,
    sleap,
    table,
    trc,
    videopose3d,
)
from dreampose3d.lifting.readers.raw import KeypointFormat

FORMATS: tuple[KeypointFormat, ...] = (
    videopose3d, arrays, openpose, alphapose, mmpose, coco, mediapipe, deeplabcut, sleap, movement, trc, table,
)  # fmt: skip
"""In the order of asking: npz with `positions_2d` before other npz, MediaPipe after the JSON that has a format."""
