"""People nobody trained on, as a detector sees them: what an ingredient of the training data is judged by."""

from collections.abc import Iterator
from pathlib import Path

import torch

from dreampose3d.data.augment import as_recorded
from dreampose3d.data.cameras import wild_cameras
from dreampose3d.data.mocap import read_mocap
from dreampose3d.data.noise import blazepose_noise
from dreampose3d.data.windows import Batch, MotionBank, WindowConfig, make_batch

_WINDOWS, _BATCH, _FRAMES = 192, 16, 81


def detected_windows(folder: Path, split: str = "test") -> Iterator[Batch]:
    """Windows of a canonical set through cameras of all kinds; always the same ones.

    Poses as recorded, at 50 frames/s; BlazePose's joints, and its errors at a level from 0 to twice the fitted one.
    """
    clips = [clip for clip in read_mocap(folder) if clip.split == split]
    bank, generator = MotionBank(clips, (), balance=1.0), torch.Generator().manual_seed(0)
    shown = WindowConfig(
        rates=(50, 50), warp=0, reverse=0, short=0, conventions=(0, 1, 0, 0), exact=0, max_level=2,
        pose=as_recorded(), cameras=wild_cameras(), noise=blazepose_noise(),
    )  # fmt: skip
    for _ in range(_WINDOWS // _BATCH):
        yield make_batch(bank, _BATCH, _FRAMES, 1, shown, generator)
