"""Benchmark windows: a data set's own 2D and 3D, cut into clips as the papers cut them (VideoPose3D, D3DP).

A sequence of T frames gives ceil(T / N) clips of N frames that do not overlap, centred on it: what its ends lack is
padded with its first and last frame. Each clip is seen twice an epoch, plain and mirrored, in an order that is drawn
anew for each epoch. Padding takes no part here, neither in attention nor in the loss [ours]: the papers count it.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dreampose3d.camera import normalise_screen
from dreampose3d.data.windows import MILLIMETRES, UNLABELLED, Batch
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import Skeleton
from dreampose3d.view import mirror_poses


class ClipBank:
    """Sequences in memory: 2D in screen coordinates, 3D relative to the root in metres, and which frames are true."""

    def __init__(self, sequences: Iterable[PoseSequence], skeleton: Skeleton, labels: Sequence[str]) -> None:
        """Take sequences with 2D, 3D (camera frame) and a camera; in other joints than `skeleton` they are converted.

        Raises:
            ValueError: If a sequence lacks its 2D, its 3D or its camera, or there is no sequence.
        """
        known = {name: i for i, name in enumerate(labels)}
        observed, target, true = [], [], []
        length, fps, label = [], [], []
        for sequence in sequences:
            points, joints = _screen_and_metres(sequence, skeleton)
            observed.append(points.nan_to_num())
            finite = joints.isfinite().all(-1).all(-1)
            true.append(finite if sequence.valid is None else finite & torch.from_numpy(sequence.valid))
            target.append(joints.nan_to_num())
            length.append(len(sequence))
            fps.append(sequence.fps)
            label.append(known.get(sequence.action, UNLABELLED))
        if not length:
            raise ValueError("there are no sequences to train on")
        self.observed, self.target, self.true = torch.cat(observed), torch.cat(target), torch.cat(true)
        self.length = torch.tensor(length)
        self.start = self.length.cumsum(0) - self.length
        self.fps = torch.tensor(fps)
        self.label = torch.tensor(label)
        self.mirror = torch.from_numpy(skeleton.mirror)

    def clips(self, frames: int) -> Int[Tensor, "clips 2"]:
        """Sequence and first frame of every clip; the first frame may lie before the sequence's own."""
        return torch.tensor([(i, first) for i, n in enumerate(self.length.tolist()) for first in cut(n, frames)])

    def batch(self, clips: Int[Tensor, "B 2"], mirrored: Bool[Tensor, " B"], frames: int, num_poses: int = 1) -> Batch:
        """Clips as the network sees them, with the poses of `num_poses` frames around each frame as targets.

        A neighbour beyond the clip is the sequence's own frame there; where the sequence has none it is masked.
        """
        reach = (num_poses - 1) // 2
        sequence, first = clips.unbind(-1)
        place = first[:, None] + torch.arange(-reach, frames + reach)
        last = self.length[sequence, None] - 1
        inside = (place >= 0) & (place <= last)
        index = self.start[sequence, None] + place.clamp(min=0).minimum(last)
        window = slice(reach, reach + frames)

        def seen(poses: Tensor) -> Tensor:
            return torch.where(mirrored[:, None, None, None], mirror_poses(poses, self.mirror), poses)

        target, true = seen(self.target[index]), inside & self.true[index]
        valid = inside[:, window]
        return Batch(
            observed=seen(self.observed[index[:, window]]),
            view=torch.zeros(len(clips), 2),
            target=torch.stack([target[:, m : m + frames] for m in range(num_poses)], 2),
            target_valid=torch.stack([true[:, m : m + frames] for m in range(num_poses)], 2) & valid[..., None],
            time_s=(torch.arange(frames) - (frames - 1) / 2) / self.fps[sequence, None],
            valid=valid,
            label=self.label[sequence],
        )


def cut(length: int, frames: int) -> list[int]:
    """First frames of the clips of a sequence: they do not overlap, and it lies in the middle of them."""
    count = -(-length // frames)
    padding = (count * frames - length) // 2
    return [number * frames - padding for number in range(count)]


def epoch_order(clips: int, seed: int, epoch: int) -> Int[Tensor, " both"]:
    """Numbers below 2 `clips` in the order of an epoch: number i is clip i % clips, mirrored from `clips` on."""
    generator = torch.Generator().manual_seed((1 << 40) + 1_000_003 * seed + epoch)
    return torch.randperm(2 * clips, generator=generator)


def _screen_and_metres(
    sequence: PoseSequence, skeleton: Skeleton
) -> tuple[Float[Tensor, "N J 2"], Float[Tensor, "N J 3"]]:
    if sequence.keypoints_px is None or sequence.joints_mm is None or sequence.camera is None:
        lacks = [
            name
            for name, part in (
                ("2D", sequence.keypoints_px), ("3D", sequence.joints_mm), ("a camera", sequence.camera),
            )
            if part is None
        ]  # fmt: skip
        raise ValueError(f"{sequence.name}: training needs 2D, 3D and a camera; this sequence lacks {', '.join(lacks)}")
    keypoints, _ = sequence.skeleton.to(skeleton, np.asarray(sequence.keypoints_px, np.float32), sequence.confidence)
    joints, _ = sequence.skeleton.to(skeleton, np.asarray(sequence.joints_mm, np.float32))
    points = normalise_screen(torch.from_numpy(keypoints), sequence.camera.size_px)
    metres = torch.from_numpy(joints) / MILLIMETRES
    return points, metres - metres[:, skeleton.root, None]
