"""`dreampose3d ablate`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from dreampose3d.commands.console import given, say
from dreampose3d.commands.train import Preset


def ablate(
    table: Literal[5, 6, 7, 8, 9, 10, "model", "data"],
    data: Annotated[tuple[Path, ...], arg(metavar="DIR [DIR ...]")],
    preset: Preset = "mocap",
    model: Annotated[
        Literal["paper", "base", "small", "tiny"] | None, arg(help_behavior_hint="(default: the preset's)")
    ] = None,
    init: Annotated[str | None, arg(metavar="WEIGHTS", help_behavior_hint="")] = None,
    steps: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: the preset's)")] = None,
    core_minutes: Annotated[float | None, arg(metavar="M", help_behavior_hint="")] = None,
    epochs: Annotated[int | None, arg(metavar="E", help_behavior_hint="(default: the preset's)")] = None,
    seeds: Annotated[tuple[int, ...], arg(metavar="S [S ...]")] = (0,),
    unseen: Annotated[tuple[Path, ...], arg(metavar="DIR [DIR ...]")] = (),
    hold_out: Annotated[tuple[str, ...], arg(metavar="SUBJECT [SUBJECT ...]")] = ("S8",),
    clip: Annotated[str | None, arg(metavar="FOLDER", help_behavior_hint="")] = None,
    clip_revision: Annotated[str | None, arg(metavar="COMMIT", help_behavior_hint="")] = None,
    out: Annotated[Path, arg(metavar="DIR")] = Path("runs/ablation"),
    threads: int = 2,
) -> None:
    """Train and print an ablation: the paper's Tables 5 to 10, or our own choices, all equal but for one switch.

    Runs that are complete are not repeated; Ctrl-C stops at a checkpoint, from which the same command goes on. Also
    writes table-<table>.md and .json into --out.

    Args:
        table: 5 parts of the method, 6 prompts, 7 terms of the loss, 8 numbers of hallucinated poses, 9 which of them
            are sampled and when, 10 HPD against denoisers with shared weights (accuracy and time); model: what is ours
            in model and loss; data: the ingredients of the preset's training windows (mocap-wild has them all).
        data: Canonical set folders (mocap), or the folder of a benchmark's files.
        preset: What all runs have in common, as in train.
        model: The size, if not the preset's.
        init: Weights that all runs begin with, as in train.
        steps: How long each run is trained.
        core_minutes: The same as an equal budget of CPU time (of all threads), whatever a variant's step costs.
        epochs: The same in epochs (benchmarks).
        seeds: A run of each variant for each; their spread is printed.
        unseen: Canonical set folders whose split test is measured too, as a noisy detector sees it.
        hold_out: Training subjects to measure on, where the data has no split val (benchmarks).
        clip: CLIP's folder or repository, as in train.
        clip_revision: The repository's commit.
        out: The parent of the runs' folders.
        threads: Of the CPU.
    """
    from dreampose3d.training.ablation import ablate as run
    from dreampose3d.training.ablation import format_ablation
    from dreampose3d.training.config import BenchmarkConfig
    from dreampose3d.training.recipes import RECIPES

    config = replace(
        RECIPES[preset](), data=data, out=out, threads=threads,
        **given(model=model, init=init, steps=steps, core_minutes=core_minutes, clip=clip, clip_revision=clip_revision),
    )  # fmt: skip
    if isinstance(config, BenchmarkConfig):
        config = replace(config, hold_out=hold_out, **given(epochs=epochs))
    elif epochs is not None:
        raise ValueError("motion capture is drawn at random, without epochs; give --steps")
    result = run(table, config, seeds, say, unseen)
    if result is not None:
        print(format_ablation(result), end="")
