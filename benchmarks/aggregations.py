"""Every way from hypotheses to one pose that needs no truth, on the split that may choose among them.

python benchmarks/aggregations.py --data MOCAP/cmu

P-Agg, L-Agg and J-Agg are the package's; the bone-consistent choice over time was measured against them here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from dreampose3d.data.mocap import read_mocap
from dreampose3d.evaluation import FilmedClip, film_clip
from dreampose3d.hypotheses import DETECTORS_ERROR, j_agg, l_agg, p_agg
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.metrics import mpjpe, p_mpjpe
from dreampose3d.skeleton import H36M_17
from dreampose3d.trajectory import estimate_root

Aggregation = Callable[[Tensor, Tensor, Tensor], Tensor]
_BONE_STD_MM, _STEP_STD_MM = 5.0, 3.0


@dataclass(frozen=True)
class Aggregations:
    """One camera a clip, flip on."""

    data: Path
    split: str = "val"
    weights: str = "small"
    frames: int = 60
    """Of each clip, at most."""
    hypotheses: int = 3
    steps: int = 2
    spans: tuple[float, ...] = (0.2, 0.4)
    threads: int = 2


def main(chosen: Aggregations) -> None:
    torch.set_num_threads(chosen.threads)
    lifter = Lifter.load(chosen.weights, "cpu")
    clips = [
        replace(clip, joints_mm=clip.joints_mm[: chosen.frames]) for clip in read_mocap(chosen.data, split=chosen.split)
    ]
    print(f"{len(clips)} clips of {chosen.data.name} {chosen.split}, weights {lifter.weights.sha256[:12]}")
    print("| 2D | H | K | span | aggregation | MPJPE | P-MPJPE |\n|---|--:|--:|--:|---|--:|--:|")
    for kind in ("gt", "noisy"):
        filmed = [list(film_clip(clip, kind))[i % 4] for i, clip in enumerate(clips)]
        single = [lifter.hypotheses(clip.sequence, LiftOptions(1, 1))[0] for clip in filmed]
        print(f"| {kind} | 1 | 1 | | one hypothesis | {errors(single, filmed)} |", flush=True)
        for span in chosen.spans:
            options = LiftOptions(chosen.hypotheses, chosen.steps, span=span)
            lifted = [lifter.hypotheses(clip.sequence, options) for clip in filmed]
            for name, aggregate in AGGREGATIONS.items():
                poses = [
                    aggregate(h, c.rays.float(), c.confidence.float()) for h, c in zip(lifted, filmed, strict=True)
                ]
                row = f"| {kind} | {chosen.hypotheses} | {chosen.steps} | {span:g} | {name} | {errors(poses, filmed)} |"
                print(row, flush=True)


def consistent_choice(
    hypotheses: Float[Tensor, "H N J 3"], rays: Float[Tensor, "N J 2"], confidence: Float[Tensor, "N J"]
) -> Float[Tensor, "N J 3"]:
    """One whole hypothesis a frame, by dynamic programming over time (Viterbi).

    It pays for missing the 2D, for bones that are not the clip's own (5 mm), and for moving otherwise than the mean of
    the hypotheses does (3 mm).
    """
    root = estimate_root(hypotheses, rays, confidence)
    placed = hypotheses + root[..., None, :]
    size = (rays - rays.nanmean(-2, keepdim=True)).square().sum(-1).nanmean(-1).sqrt()
    misses = (placed[..., :2] / placed[..., 2:] - rays).square().sum(-1).nan_to_num(0) / (DETECTORS_ERROR * size)[
        :, None
    ] ** 2
    bones = _bones(hypotheses)
    unlike = ((bones - bones.mean(0).median(0).values) / _BONE_STD_MM).square().sum(-1)
    cost = (confidence * misses).sum(-1) + unlike  # H N
    strays = hypotheses - hypotheses.mean(0)
    came_from = []
    total = cost[:, 0]
    for frame in range(1, hypotheses.shape[1]):
        jump = (strays[:, None, frame] - strays[None, :, frame - 1]).square().sum((-1, -2)) / _STEP_STD_MM**2
        best = (total[None] + jump).min(1)  # over where it came from
        came_from.append(best.indices)
        total = best.values + cost[:, frame]
    path = [int(total.argmin())]
    for before in reversed(came_from):
        path.append(int(before[path[-1]]))
    return hypotheses[path[::-1], range(len(path))]


def _bones(poses: Float[Tensor, "*batch J 3"]) -> Float[Tensor, "*batch bones"]:
    child, parent = zip(*H36M_17.bones, strict=True)
    return (poses[..., list(child), :] - poses[..., list(parent), :]).norm(dim=-1)


def errors(poses: list[Tensor], filmed: list[FilmedClip]) -> str:
    """MPJPE and P-MPJPE over all frames, mm."""
    true = torch.cat([clip.joints_mm - clip.joints_mm[:, :1] for clip in filmed])
    pred = torch.cat(poses).to(true)
    return f"{float(mpjpe(pred, true).mean()):.2f} | {float(p_mpjpe(pred, true).mean()):.2f}"


AGGREGATIONS: dict[str, Aggregation] = {
    "P-Agg": lambda hypotheses, rays, confidence: p_agg(hypotheses),
    **{f"L-Agg, std {std:g}": lambda h, r, c, std=std: l_agg(h, r, c, std) for std in (0.1, DETECTORS_ERROR, 0.01)},
    "J-Agg": j_agg,
    "bone-consistent choice": consistent_choice,
}

if __name__ == "__main__":
    main(tyro.cli(Aggregations))
