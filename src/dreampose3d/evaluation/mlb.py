"""The protocol of MLBPitchDB: MPJPE of each pitch and of all, on a capture in its format or on any motion capture.

The paper states MPJPE alone, with exact 2D and with ViTPose's, and not how pitches are averaged: here the mean of the
pitches, with the mean of all frames beside it. Frames that a capture marks as padding or as not valid do not count.
Motion capture in the canonical folder is seen by the centre-field camera of `data.broadcast`, at 30 frames/s.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from dreampose3d.data import mlbpitchdb
from dreampose3d.data.broadcast import broadcast
from dreampose3d.data.mocap import read_mocap
from dreampose3d.evaluation.mocap import stable_seed
from dreampose3d.evaluation.protocol import MPJPE, P_MPJPE, Protocol
from dreampose3d.sequence import PoseSequence


def read(folder: Path, split: str, keypoints: str) -> Iterator[PoseSequence]:
    """Pitches of a capture in MLBPitchDB's format, or the clips of a canonical folder as a broadcast shows them.

    Args:
        folder: The one or the other.
        split: Of its index.
        keypoints: `gt`, or a detector of the capture; for a canonical folder `gt`, or `broadcast` for the errors that
            a detector makes on one, drawn from the clip's name.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If there is no such split or 2D.
    """
    if mlbpitchdb.recognises(folder):
        yield from mlbpitchdb.read(folder, split, keypoints)
        return
    if keypoints not in ("gt", "broadcast"):
        raise ValueError(f"{folder} holds motion capture and no 2D: expected gt, noisy or broadcast, got {keypoints!r}")
    for clip in read_mocap(folder, split=split):
        seen = broadcast(clip, torch.Generator().manual_seed(stable_seed(clip.trial)))
        yield seen if keypoints == "broadcast" else replace(seen, keypoints_px=None, confidence=None)


MLB = Protocol(
    name="mlb",
    title="MLBPitchDB or a capture like it",
    read=read,
    metrics=(MPJPE, P_MPJPE),
    part=lambda sequence: sequence.name,
    parts="sequences",
)
