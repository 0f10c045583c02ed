"""Parts of a batch, for gradient accumulation and for several processes: their losses add up to the batch's.

A loss is made of means: over frames with a pose (for each hallucinated neighbour), over frames, over pairs of frames,
over labelled windows. A part's own mean, times the share that the part holds of what is counted, is what it adds to
the batch's. So a batch gives the same gradient in one part or in many, wherever they are computed.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from dreampose3d.data.windows import Batch


class Part(NamedTuple):
    """Some windows of a batch, and which share they hold of what each of its means is taken over."""

    windows: slice = slice(None)
    poses: Float[Tensor, " M"] | float = 1.0
    frames: float = 1.0
    pairs: float = 1.0
    labels: float = 1.0


WHOLE = Part()


def split(batch: Batch, count: int) -> list[Part]:
    """Parts of nearly equal size; a part without windows is given one that weighs nothing."""
    if count == 1:
        return [WHOLE]
    size = len(batch.label)
    windows = [slice(size * i // count, size * (i + 1) // count) for i in range(count)]
    whole = _counted(batch, slice(None)).clamp(min=1)
    return [_part(some, _counted(batch, some) / whole) for some in windows]


def _part(windows: slice, share: Float[Tensor, " counts"]) -> Part:
    *_, frames, pairs, labels = share.tolist()
    return Part(windows if windows.start < windows.stop else slice(0, 1), share[:-3], frames, pairs, labels)


def _counted(batch: Batch, windows: slice) -> Float[Tensor, " counts"]:
    """Poses at each offset, frames, pairs of neighbouring frames, labelled windows."""
    valid = batch.target_valid[windows]
    centre = valid[:, :, valid.shape[2] // 2]
    pairs = centre[:, 1:] & centre[:, :-1]
    counts = (*valid.sum((0, 1)), centre.sum(), pairs.sum(), (batch.label[windows] >= 0).sum())
    return torch.stack(counts).float().cpu()
