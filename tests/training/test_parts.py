"""A batch in parts, one after the other or in several processes: the loss and the gradient of the whole."""

import csv
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from tests.motion import clip_row, write_set

from dreampose3d.cli import main
from dreampose3d.data.windows import UNLABELLED, Batch, WindowConfig
from dreampose3d.training.config import Phase, TrainConfig
from dreampose3d.training.loss import Losses
from dreampose3d.training.parts import WHOLE, split
from dreampose3d.training.trainer import Run, train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One clip is so short that most of its windows' frames are not valid, one has no label."""
    clips = [clip_row(0), clip_row(1, frames=7, action="running"), clip_row(2, action="other")]
    return write_set(tmp_path_factory.mktemp("mocap") / "studio", clips)


@pytest.fixture
def config(data, tmp_path):
    return TrainConfig(
        data=(data,), out=tmp_path / "run", model="tiny", steps=6, threads=1, precision="fp32", lambda_velocity=1.0,
        own_guess=0.3, optimizer="adamw", learning_rate=1e-3, windows=WindowConfig(short=0.5),
        phases=(Phase(0.5, 5, 5, prompt=0.5), Phase(0.5, 9, 3)),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setattr(os, "fsync", lambda _: None)


def quiet(_):
    """Reports go nowhere."""


def test_shares_of_the_parts_add_up():
    """Five windows in two parts and in seven, of which two are empty; counted by hand for the two."""
    valid = torch.ones(5, 4, 3, dtype=torch.bool)
    valid[0, 1:] = False  # one frame of the first window, so no pair of neighbours
    valid[:, :, 2] = False
    label = torch.tensor([0, UNLABELLED, 2, UNLABELLED, UNLABELLED])
    batch = Batch(*[torch.zeros(5, 4)] * 3, valid, torch.zeros(5, 4), valid[:, :, 1], label)
    first, second = split(batch, 2)
    assert (first.windows, second.windows) == (slice(0, 2), slice(2, 5))
    assert (first.frames, first.pairs, first.labels) == pytest.approx((5 / 17, 3 / 12, 1 / 2))
    assert first.poses.tolist() == pytest.approx([5 / 17, 5 / 17, 0])
    for parts in (split(batch, 2), split(batch, 7)):
        total = [sum(share) for share in zip(*(part[2:] for part in parts), strict=True)]
        assert total == pytest.approx([1, 1, 1])
        assert sum(part.poses for part in parts).tolist() == pytest.approx([1, 1, 0])
    idle = [part for part in split(batch, 7) if part.windows == slice(0, 1) and part.frames == 0]
    assert len(idle) == 2, "one window each, that weighs nothing"
    assert split(batch, 1) == [WHOLE]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_losses_and_gradients_of_the_parts_add_up(config, count):
    run = Run.start(config, quiet)
    batch = run.feed.batch(config.phases[0], 3, 3, torch.Generator().manual_seed(5))
    assert not batch.valid.all()
    found = []
    for parts in ([WHOLE], split(batch, count)):
        run.model.zero_grad()
        losses = [run.loss(batch, 1.0, torch.Generator().manual_seed(7), part) for part in parts]
        sum(part.total for part in losses).backward()
        gradient = torch.cat([p.grad.flatten() for p in run.trained])
        found.append((Losses(*(sum(term) for term in zip(*losses, strict=True))), gradient))
    (whole, gradient), (summed, of_parts) = found
    torch.testing.assert_close(torch.stack(summed), torch.stack(whole))
    torch.testing.assert_close(of_parts, gradient, atol=1e-5, rtol=1e-4)


def losses(folder):
    with (folder / "log.csv").open(newline="") as file:
        return torch.tensor([[float(value or 0) for value in row.values()] for row in csv.DictReader(file)])


def test_accumulation_changes_nothing_but_rounding(config):
    train(config, quiet, calibrate=False)
    other = replace(config, out=config.out.with_name("three"), accumulate=3)
    train(other, quiet, calibrate=False)
    torch.testing.assert_close(losses(other.out), losses(config.out), rtol=1e-4, atol=1e-6)


def test_two_processes_equal_one(data, tmp_path):
    """The command under torchrun, two processes that talk by gloo: the losses of one process on the same batches."""
    options = ["train", "--data", str(data), "--model=tiny", "--steps=3", "--threads=1", "--precision=fp32", "--out"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    two = subprocess.run(
        [*torchrun, "-m", "dreampose3d", *options, str(tmp_path / "two")],
        stderr=subprocess.PIPE, text=True, timeout=180, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert two.returncode == 0, two.stderr
    assert two.stderr.count("step      3/3") == 1, "the first process alone reports"
    assert main([*options, str(tmp_path / "one")]) == 0
    torch.testing.assert_close(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-4, atol=1e-6)
