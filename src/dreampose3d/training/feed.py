"""Where a run's batches come from: motion capture seen by virtual cameras, or a benchmark's own clips.

The trainer asks a `Feed` for the batch of a step and for the windows to watch; it knows nothing else of the data.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, assert_never, runtime_checkable

import torch

from dreampose3d.data import h36m, mlbpitchdb, mpi_inf_3dhp
from dreampose3d.data.cameras import VirtualCameras, film
from dreampose3d.data.clips import ClipBank, epoch_order
from dreampose3d.data.mocap import read_mocap
from dreampose3d.data.windows import MILLIMETRES, Batch, MotionBank, make_batch
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17, skeleton_named
from dreampose3d.training.config import BenchmarkConfig, Phase, RunConfig, TrainConfig
from dreampose3d.training.spread import calibrate_spread
from dreampose3d.view import normalise_view

_WATCHED_FRAMES, _WATCHED_BATCH, _WATCHED = 81, 16, 192
_WATCHED_CLIPS = 64


@runtime_checkable
class Feed(Protocol):
    """What a trainer needs to know of its data."""

    frames: int
    """How many there are to train on."""
    choice: str
    """In words, which step's average becomes the weights."""
    chooses: bool
    """Whether it is the one that does best on `watched`, instead of the last."""

    def batch(self, phase: Phase, step: int, num_poses: int, generator: torch.Generator) -> Batch:
        """The batch of a step: a pure function of the step and of the generator, which is seeded with it."""

    def watched(self, generator: torch.Generator) -> Iterator[Batch]:
        """Windows to validate on, of people who are not trained on; with a target for the centre pose alone."""

    def calibrate(self, weights: Path) -> None:
        """Write the uncertainty into a weights file, where there are people left to learn it from."""


def feed_of(config: RunConfig, labels: Sequence[str], device: torch.device | str = "cpu") -> Feed:
    """The feed of a run; motion capture is drawn on its device.

    Raises:
        FileNotFoundError: If a file of the data is missing.
        ValueError: If there is nothing to train on, or the data is not what it should be.
    """
    if isinstance(config, BenchmarkConfig):
        return ClipFeed(config, labels)
    assert isinstance(config, TrainConfig)
    return MotionFeed(config, labels, device)


class MotionFeed:
    """Motion capture: every batch is drawn, augmented and filmed from the generator alone."""

    choice = "the weights are the last average (EMA); the split val is only watched"
    chooses = False

    def __init__(self, config: TrainConfig, labels: Sequence[str], device: torch.device | str = "cpu") -> None:
        clips = [clip for folder in config.data for clip in read_mocap(folder)]
        self.windows = config.windows
        trained = [clip for clip in clips if clip.split == "train"]
        self.bank = MotionBank(trained, labels, config.windows.balance, device)
        self.frames = self.bank.frames
        self.held_out = [clip for clip in clips if clip.split == "val"]
        self.labels = labels

    def batch(self, phase: Phase, step: int, num_poses: int, generator: torch.Generator) -> Batch:
        """Windows as `data.windows` makes them."""
        return make_batch(self.bank, phase.batch, phase.frames, num_poses, self.windows, generator)

    def watched(self, generator: torch.Generator) -> Iterator[Batch]:
        """Windows of the split `val`, 50 frames/s, exact 2D; four fifths of the virtual cameras stand level."""
        if not self.held_out:
            return
        bank = MotionBank(self.held_out, self.labels, balance=1.0)
        for _ in range(_WATCHED // _WATCHED_BATCH):
            world, valid, label = bank.windows(_WATCHED_FRAMES, torch.full((_WATCHED_BATCH,), 50.0), generator)
            filmed = film(world, generator, VirtualCameras(panning=0))
            rays = filmed[..., :2] / filmed[..., 2:]
            view = normalise_view(rays, torch.ones(filmed.shape[:-1]), torch.ones(_WATCHED_BATCH), valid, H36M_17.root)
            true = (filmed - filmed[:, :, H36M_17.root, None]) @ view.rotation[:, None].transpose(-1, -2) / MILLIMETRES
            time_s = ((torch.arange(_WATCHED_FRAMES) - (_WATCHED_FRAMES - 1) / 2) / 50).expand(_WATCHED_BATCH, -1)
            yield Batch(view.observed, view.condition, true[:, :, None], valid[..., None], time_s, valid, label)

    def calibrate(self, weights: Path) -> None:
        """On the split `val`."""
        if self.held_out:
            calibrate_spread(weights, self.held_out)


class ClipFeed:
    """A benchmark: each clip once plain and once mirrored an epoch; the epoch's order comes from (seed, epoch)."""

    def __init__(self, config: BenchmarkConfig, labels: Sequence[str]) -> None:
        sequences = list(read_benchmark(config))
        subjects = sorted({sequence.subject for sequence in sequences})
        if strangers := sorted(set(config.hold_out) - set(subjects)):
            raise ValueError(
                f"there is no training subject {', '.join(strangers)} to hold out; there are {', '.join(subjects)}"
            )
        skeleton = skeleton_named(config.architecture().skeleton)
        watched = [sequence for sequence in sequences if sequence.subject in config.hold_out]
        trained = [sequence for sequence in sequences if sequence.subject not in config.hold_out]
        self.bank = ClipBank(trained, skeleton, labels)
        self.watch = ClipBank(watched, skeleton, labels) if watched else None
        self.clips = self.bank.clips(config.frames)
        self.config = config
        self.frames = len(self.bank.target)
        self.chooses = bool(config.hold_out)
        self.choice = "the weights are the last average (EMA), of all training subjects; no test subject is looked at"
        if self.chooses:
            self.choice = (
                f"the weights are the average (EMA) of the step that is best on {', '.join(config.hold_out)}, held out "
                "of training; no test subject is looked at"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Batches that show every clip twice; the last one may be short."""
        return math.ceil(2 * len(self.clips) / self.config.batch)

    @property
    def steps(self) -> int:
        """Of all epochs."""
        return self.config.epochs * self.steps_per_epoch

    def batch(self, phase: Phase, step: int, num_poses: int, generator: torch.Generator) -> Batch:
        """The step's clips in its epoch's order."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = epoch_order(len(self.clips), self.config.seed, epoch)
        chosen = order[place * phase.batch :][: phase.batch]
        return self.bank.batch(self.clips[chosen % len(self.clips)], chosen >= len(self.clips), phase.frames, num_poses)

    def watched(self, generator: torch.Generator) -> Iterator[Batch]:
        """Clips of the subjects that were held out, evenly spread over them, not mirrored."""
        if self.watch is None:
            return
        clips = self.watch.clips(self.config.frames)
        spread = torch.linspace(0, len(clips) - 1, min(len(clips), _WATCHED_CLIPS)).long()
        for some in clips[spread].split(self.config.batch):
            yield self.watch.batch(some, torch.zeros(len(some), dtype=torch.bool), self.config.frames)

    def calibrate(self, weights: Path) -> None:
        """Nothing: the protocols measure poses, and the spread is fitted on motion capture."""


def read_benchmark(config: BenchmarkConfig) -> Iterator[PoseSequence]:
    """The training sequences of a benchmark, from every folder of the run.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If no folder is named, or a file is not what it should be.
    """
    if not config.data:
        raise ValueError("there is nothing to train on: name the folder of the data set's files with --data")
    for folder in config.data:
        match config.dataset:
            case "h36m":
                yield from h36m.read(folder, "train", config.keypoints)
            case "3dhp":
                yield from mpi_inf_3dhp.read(folder, "train", config.keypoints, config.scale)
            case "mlb":
                yield from mlbpitchdb.read(folder, "train", config.keypoints)
            case _:
                assert_never(config.dataset)
