"""What is imagined where nothing, or a limb, is seen for a while: errors in the gap, and how many the spread covers.

Every so-manieth clip of cmu val, one camera each, the gap in its middle; over the joints that are lost and the frames
in which they are.

    python benchmarks/gaps.py --data MOCAP/cmu
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro

from dreampose3d.data.mocap import MocapClip, read_mocap
from dreampose3d.evaluation import FilmedClip, film_clip
from dreampose3d.evaluation.mocap import Input
from dreampose3d.evaluation.tables import Report, Table, to_markdown
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.skeleton import H36M_17
from dreampose3d.training.spread import hide

GAPS_S = (0.1, 0.3, 0.6, 1.2)
LIMBS = [
    list(H36M_17.indices(*names))
    for side in ("left", "right")
    for names in (
        (f"{side}_wrist",),
        (f"{side}_elbow", f"{side}_wrist"),
        (f"{side}_ankle",),
        (f"{side}_knee", f"{side}_ankle"),
    )
]
ALL = [joint for joint in range(H36M_17.num_joints) if joint != H36M_17.root]
AROUND_S = 1.4
"""Of each clip, beside the gap."""


@dataclass(frozen=True)
class Gaps:
    """Exact and noisy 2D."""

    data: Path
    split: str = "val"
    weights: str = "small"
    every: int = 2
    threads: int = 1


def main(gaps: Gaps) -> None:
    torch.set_num_threads(gaps.threads)
    lifter = Lifter.load(gaps.weights, "cpu")
    found = defaultdict(list)
    inputs: tuple[Input, ...] = ("gt", "noisy")
    for number, clip in enumerate(read_mocap(gaps.data, split=gaps.split)[:: gaps.every]):
        seconds = GAPS_S[number % len(GAPS_S)]
        for input in inputs:
            seen = list(film_clip(middle(clip, AROUND_S + seconds), input))[number % 4]
            hidden = hide(seen, seconds)
            frames = (hidden.confidence == 0).all(1)
            for lost, joints in (("everything", ALL), ("a limb", LIMBS[number % len(LIMBS)])):
                shown = hidden if lost == "everything" else hide(seen, seconds, joints)
                found[input, lost, seconds].append(measured(lifter, seen, shown, frames, joints))
    header = ["2D", "lost", "for, s", "clips", "network alone", "fitted", "if it were seen", "within the spread, %"]
    rows = []
    for (input, lost, seconds), clips in sorted(found.items()):
        errors = [f"{error:.0f}" for error in np.mean(clips, 0)[:3]]
        rows.append([input, lost, f"{seconds:g}", str(len(clips)), *errors, f"{100 * np.mean(clips, 0)[3]:.0f}"])
    conditions = f"{gaps.split}, every {gaps.every}. clip; H={LiftOptions.hypotheses} K={LiftOptions.steps}; mm"
    print(to_markdown(Report(conditions, [Table(header, rows)])))


def measured(
    lifter: Lifter, seen: FilmedClip, shown: FilmedClip, frames: torch.Tensor, joints: list[int]
) -> tuple[float, ...]:
    """MPJPE of the network, fitted, and of the clip without the gap; the share of errors within the spread."""
    true = (seen.joints_mm - seen.joints_mm[:, H36M_17.root, None]).numpy()
    motions = [lifter.lift(shown.sequence, LiftOptions(fit=fit)) for fit in (False, True)] + [
        lifter.lift(seen.sequence)
    ]
    errors = [np.linalg.norm(m.root_relative_mm - true, axis=-1)[frames.numpy()][:, joints] for m in motions]
    within = errors[1] <= motions[1].spread_mm[frames.numpy()][:, joints]
    return (*(float(error.mean()) for error in errors), float(within.mean()))


def middle(clip: MocapClip, seconds: float) -> MocapClip:
    """The middle of a clip."""
    frames = round(seconds * clip.fps)
    start = max(0, (len(clip.joints_mm) - frames) // 2)
    return replace(clip, joints_mm=clip.joints_mm[start : start + frames])


if __name__ == "__main__":
    main(tyro.cli(Gaps))
