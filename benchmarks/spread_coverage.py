"""Does the uncertainty keep its word: how many errors lie within `spread_mm` (68 % should), and does it follow them.

The rank correlation is Spearman's, of spread and error over joints and frames pooled.

python benchmarks/spread_coverage.py --data MOCAP/cmu --split test
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro

from dreampose3d.data.mocap import read_mocap
from dreampose3d.evaluation import film_clip
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.view import MISSING_BELOW


@dataclass(frozen=True)
class Coverage:
    """Every clip of a split, one camera each."""

    data: Path
    split: str = "test"
    weights: str = "small"
    frames: int = 250
    """Of each clip, at most."""
    hypotheses: int = LiftOptions.hypotheses
    steps: int = LiftOptions.steps
    threads: int = 2


def main(coverage: Coverage) -> None:
    torch.set_num_threads(coverage.threads)
    lifter = Lifter.load(coverage.weights, "cpu")
    options = LiftOptions(hypotheses=coverage.hypotheses, steps=coverage.steps)
    clips = [
        replace(clip, joints_mm=clip.joints_mm[: coverage.frames])
        for clip in read_mocap(coverage.data, split=coverage.split)
    ]
    print(f"{coverage.data.name} {coverage.split}, {len(clips)} clips, H={options.hypotheses} K={options.steps}, flip")
    print(
        "| 2D | frames | within the spread, % | joints from .. to | missing joints | rank correlation with the error |"
    )
    print("|---|--:|--:|--:|--:|--:|")
    for input in ("gt", "noisy"):
        errors, spreads, missing = [], [], []
        for i, clip in enumerate(clips):
            filmed = list(film_clip(clip, input))[i % 4]
            motion = lifter.lift(filmed.sequence, options)
            true = filmed.joints_mm - filmed.joints_mm[:, :1]
            errors.append((torch.from_numpy(motion.root_relative_mm) - true).norm(dim=-1))
            spreads.append(torch.from_numpy(motion.spread_mm))
            missing.append(filmed.confidence < MISSING_BELOW)
        error, spread, lost = (torch.cat(part)[:, 1:] for part in (errors, spreads, missing))  # the root has no error
        within = (error <= spread).double()
        joints = 100 * within.mean(0)
        lost_share = f"{100 * within[lost].mean():.1f}" if lost.any() else "-"
        print(
            f"| {input} | {len(error)} | {100 * within.mean():.1f} | {joints.min():.1f} .. {joints.max():.1f} "
            f"| {lost_share} | {rank_correlation(error, spread):.2f} |",
            flush=True,
        )


def rank_correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """Spearman's, over joints and frames pooled."""
    ranks = torch.stack([x.flatten().argsort().argsort().double() for x in (a, b)])
    return float(torch.corrcoef(ranks)[0, 1])


if __name__ == "__main__":
    main(tyro.cli(Coverage))
