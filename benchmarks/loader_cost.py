"""What drawing a batch costs of a training step, in each phase.

python benchmarks/loader_cost.py data/cmu data/hdm05

Windows, augmentation, virtual cameras and noise are made anew for every step, on the device that trains. The table
gives medians over alternating measurements, so that other work on the machine falls on both alike. Bars: 15 % of a step
on a CPU, 10 % on a GPU (not measured yet: no GPU was to be had).
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from dreampose3d.commands.train import Preset
from dreampose3d.training.config import TrainConfig
from dreampose3d.training.recipes import RECIPES
from dreampose3d.training.trainer import Run


@dataclass(frozen=True)
class Options:
    """What is measured."""

    data: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Canonical set folders."""
    preset: Preset = "mocap"
    model: Literal["small", "base", "tiny"] = "small"
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 2
    steps: int = 12
    """Of each phase."""


def main(options: Options) -> None:
    config = RECIPES[options.preset]()
    assert isinstance(config, TrainConfig)
    with tempfile.TemporaryDirectory() as folder:
        config = replace(
            config, data=options.data, out=Path(folder), model=options.model, device=options.device,
            threads=options.threads, init=None,
        )  # fmt: skip
        run = Run.start(config, print)
        print("| frames | windows | batch, ms | step, ms | share |\n| --: | --: | --: | --: | --: |")
        for phase in config.phases:
            run.step = config.steps  # all n poses
            batches, steps = [], []
            for number in range(options.steps + 2):  # two to warm up
                generator = torch.Generator(run.device).manual_seed(number)
                batches.append(_seconds(lambda: run.feed.batch(phase, run.step, config.num_poses, generator)))  # noqa: B023
                steps.append(_seconds(lambda: run.train_step(phase)))  # noqa: B023
                run.step += 1
            batch, step = (1000 * statistics.median(times[2:]) for times in (batches, steps))
            print(f"| {phase.frames} | {phase.batch} | {batch:.1f} | {step:.1f} | {batch / step:.1%} |", flush=True)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main(tyro.cli(Options))
