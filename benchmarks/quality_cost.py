"""Quality against cost: the error at H hypotheses and K steps on the val split, and what an assumed camera costs.

python benchmarks/quality_cost.py --data MOCAP/cmu
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro

from dreampose3d.camera import Camera
from dreampose3d.data.mocap import read_mocap
from dreampose3d.evaluation import FilmedClip, film_clip
from dreampose3d.hypotheses import j_agg, p_agg
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.metrics import mpjpe, p_mpjpe

CURVE = (
    (1, 1, 0.2, 0.0),
    (3, 1, 0.2, 0.0),
    (5, 1, 0.2, 0.0),
    (2, 2, 0.2, 0.0),
    (3, 2, 0.2, 0.0),
    (5, 2, 0.2, 0.0),
    (3, 3, 0.2, 0.0),
    (3, 5, 0.2, 0.0),
    (3, 2, 0.2, 1.0),
    (3, 5, 0.2, 1.0),
    (3, 2, 0.4, 0.0),
    (3, 2, 1.0, 0.0),
    (3, 2, 1.0, 1.0),
)
"""H, K, the share of the schedule over which the steps are spread (1: D3DP's grid), and eta."""
FIELDS_OF_VIEW = (25.0, 40.0, 50.0, 55.0, 70.0, 90.0)


@dataclass(frozen=True)
class Quality:
    """Noisy 2D, the first clips of the split, one camera each."""

    data: Path
    split: str = "val"
    weights: str = "small"
    frames: int = 200
    """Of each clip, at most."""
    threads: int = 2


def main(quality: Quality) -> None:
    torch.set_num_threads(quality.threads)
    lifter = Lifter.load(quality.weights, "cpu")
    clips = [
        replace(clip, joints_mm=clip.joints_mm[: quality.frames])
        for clip in read_mocap(quality.data, split=quality.split)
    ]
    filmed = [list(film_clip(clip, "noisy"))[i % 4] for i, clip in enumerate(clips)]
    frames = sum(len(clip.sequence) for clip in filmed)
    print(f"{len(filmed)} clips, {frames} frames, noisy 2D, flip, {quality.threads} threads")
    print("| H | K | span | eta | frames/s | P-Agg MPJPE | P-MPJPE | J-Agg MPJPE | P-MPJPE |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for hypotheses, steps, span, eta in CURVE:
        options = LiftOptions(hypotheses=hypotheses, steps=steps, span=span, eta=eta)
        begun = time.perf_counter()
        lifted = [lifter.hypotheses(clip.sequence, options) for clip in filmed]
        rate = frames / (time.perf_counter() - begun)
        mean = errors([p_agg(h) for h in lifted], filmed)
        chosen = errors(
            [j_agg(h, c.rays.float(), c.confidence.float()) for h, c in zip(lifted, filmed, strict=True)], filmed
        )
        print(f"| {hypotheses} | {steps} | {span:g} | {eta:g} | {rate:.0f} | {mean} | {chosen} |", flush=True)
    print("\n| assumed field of view (true: 50 degrees) | MPJPE | P-MPJPE |\n|--:|--:|--:|")
    for fov in FIELDS_OF_VIEW:
        camera = replace(Camera.from_fov((1000, 1000), fov), assumed=True)
        lifted = [lifter.hypotheses(replace(c.sequence, camera=camera), LiftOptions(1, 1))[0] for c in filmed]
        print(f"| {fov:g} | {errors(lifted, filmed)} |", flush=True)


def errors(poses: list[torch.Tensor], filmed: list[FilmedClip]) -> str:
    """MPJPE and P-MPJPE over all frames, mm."""
    true = torch.cat([clip.joints_mm - clip.joints_mm[:, :1] for clip in filmed])
    pred = torch.cat(poses).to(true)
    return f"{float(mpjpe(pred, true).mean()):.1f} | {float(p_mpjpe(pred, true).mean()):.1f}"


if __name__ == "__main__":
    main(tyro.cli(Quality))
