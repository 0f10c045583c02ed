"""Can the seams between windows be seen: acceleration there against elsewhere; and what batches and threads change.

python benchmarks/seams.py --data MOCAP/cmu
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor

from dreampose3d.data.mocap import read_mocap
from dreampose3d.evaluation import FilmedClip, film_clip
from dreampose3d.hypotheses import p_agg
from dreampose3d.lifting import lifter as lifting
from dreampose3d.lifting.lifter import Lifter, LiftOptions


@dataclass(frozen=True)
class Seams:
    """The longest clips of a split, first camera, at the default H, K."""

    data: Path
    split: str = "test"
    weights: str = "small"
    clips: int = 4
    near: int = 2
    """Frames on either side of a window's first and last frame that count as its seam."""


def main(seams: Seams) -> None:
    lifter = Lifter.load(seams.weights, "cpu")
    clips = sorted(read_mocap(seams.data, split=seams.split), key=lambda clip: -len(clip.joints_mm))[: seams.clips]
    print("| 2D | acceleration at the seams, m/s^2 | elsewhere | ratio | the truth's ratio |\n|---|--:|--:|--:|--:|")
    for input in ("gt", "noisy"):
        filmed = [next(iter(film_clip(clip, input))) for clip in clips]
        at = torch.cat([near_seams(lifter, clip, seams.near) for clip in filmed])
        lifted = torch.cat([acceleration(p_agg(lifter.hypotheses(f.sequence)), f.sequence.fps) for f in filmed])
        true = torch.cat([acceleration(f.joints_mm - f.joints_mm[:, :1], f.sequence.fps) for f in filmed])
        there, else_ = lifted[at].mean(), lifted[~at].mean()
        print(
            f"| {input} | {there:.2f} | {else_:.2f} | {there / else_:.3f} | {true[at].mean() / true[~at].mean():.3f} |"
        )
    longest = next(iter(film_clip(clips[0], "noisy"))).sequence
    torch.set_num_threads(2)
    still = lifter.hypotheses(longest)
    print("\n| changed | greatest difference of a joint, mm |\n|---|--:|")
    for batch in (1, 3, 16):
        lifting._WINDOWS_AT_ONCE = batch
        print(f"| {batch} windows at once for 4 | {difference(lifter.hypotheses(longest), still):.2g} |", flush=True)
    lifting._WINDOWS_AT_ONCE = 4
    torch.set_num_threads(1)
    print(f"| 1 thread for 2 | {difference(lifter.hypotheses(longest), still):.2g} |")
    three, one = LiftOptions(hypotheses=3), LiftOptions(hypotheses=1)
    torch.set_num_threads(2)
    change = difference(lifter.hypotheses(longest, three)[:1], lifter.hypotheses(longest, one))
    print(f"| H=1 for the first of H=3 | {change:.2g} |")


def near_seams(lifter: Lifter, clip: FilmedClip, near: int) -> Tensor:
    """Which accelerations, (N - 2), lie within `near` frames of a window's first or last frame inside the clip."""
    count = len(clip.joints_mm)
    seam = torch.zeros(count, dtype=torch.bool)
    for first, end in lifting._spans(count, lifter.config.frames, None):
        for frame in (first, end - 1):
            if 0 < frame < count - 1:
                seam[max(0, frame - near) : frame + near + 1] = True
    return seam[1:-1]


def acceleration(joints_mm: Tensor, fps: float) -> Tensor:
    """Mean over joints of the acceleration's size, m/s^2, (N - 2)."""
    return joints_mm.diff(dim=0).diff(dim=0).norm(dim=-1).mean(-1) * fps**2 / 1000


def difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm(dim=-1).max())


if __name__ == "__main__":
    main(tyro.cli(Seams))
