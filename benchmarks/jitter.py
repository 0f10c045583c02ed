"""Jitter against over-smoothing: are accelerations and the speeds of fast wrists as large as the truth's.

Root-relative joints. Acceleration: the mean over joints and frames of the size of second differences, as a ratio to
the truth's (1: neither jitter nor smoothing; wanted: 0.9 to 1.2), and its error. Fast clips: those in which a wrist
truly exceeds 4 m/s (central differences); the ratio of the 95th percentiles of the speeds of both wrists, lifted over
true, and the median over clips of its distance from 1 (wanted: at most 10 %).

    python benchmarks/jitter.py --data MOCAP/cmu
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import tyro
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from dreampose3d.data.mocap import read_mocap
from dreampose3d.evaluation import FilmedClip, film_clip
from dreampose3d.evaluation.mocap import Input
from dreampose3d.evaluation.tables import Report, Table, to_markdown, write_result
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.metrics import acceleration_error, acceleration_magnitude, mpjpe
from dreampose3d.motion.speeds import joint_speeds
from dreampose3d.skeleton import H36M_17

WRISTS = list(H36M_17.indices("left_wrist", "right_wrist"))
FAST_M_S = 4.0
"""The true peak above which a clip counts as fast."""


@dataclass(frozen=True)
class Jitter:
    """Every so-manieth clip of a split, one camera each."""

    data: Path
    split: str = "test"
    weights: str = "small"
    every: int = 1
    """Take every so-manieth clip."""
    frames: int = 100
    """Of each clip, at most: those about its fastest wrist."""
    hypotheses: int = LiftOptions.hypotheses
    steps: int = LiftOptions.steps
    threads: int = 1
    out: Path | None = None
    """A JSON file for the numbers."""


@dataclass(frozen=True)
class Compared:
    """One clip's measures."""

    lifted_m_s2: Float[Tensor, " triples"]
    true_m_s2: Float[Tensor, " triples"]
    error_m_s2: Float[Tensor, " triples"]
    error_mm: Float[Tensor, " N"]
    peak_m_s: float
    wrist_ratio: float


def main(jitter: Jitter) -> None:
    torch.set_num_threads(jitter.threads)
    lifter = Lifter.load(jitter.weights, "cpu")
    options = LiftOptions(hypotheses=jitter.hypotheses, steps=jitter.steps)
    inputs: tuple[Input, ...] = ("gt", "noisy")
    results = {input: summary([compare(lifter, clip, options) for clip in filmed(jitter, input)]) for input in inputs}
    conditions = (
        f"{jitter.data.name} {jitter.split}, every {jitter.every}. clip, at most {jitter.frames} frames about the "
        f"fastest wrist, one camera each; weights {jitter.weights}, H={options.hypotheses} K={options.steps}, flip"
    )
    header = ["2D", *next(iter(results.values()))]
    rows = [
        [input, *("-" if n is None else str(n) if isinstance(n, int) else f"{n:.2f}" for n in result.values())]
        for input, result in results.items()
    ]
    print(to_markdown(Report(conditions, [Table(header, rows)])))
    if jitter.out is not None:
        write_result({"conditions": conditions, "results": results}, jitter.out)


def filmed(jitter: Jitter, input: Input) -> Iterator[FilmedClip]:
    """The clips, each cut to the frames about its fastest wrist and seen by one of the four cameras in turn."""
    for number, clip in enumerate(read_mocap(jitter.data, split=jitter.split)[:: jitter.every]):
        start = fastest_stretch(clip.joints_mm, clip.fps, jitter.frames)
        cut = replace(clip, joints_mm=clip.joints_mm[start : start + jitter.frames])
        yield list(film_clip(cut, input))[number % 4]


def fastest_stretch(joints_mm: Float[ndarray, "N J 3"], fps: float, frames: int) -> int:
    """The first frame of a stretch of at most `frames` that has the fastest wrist in its middle, if the clip lasts."""
    peak = int(wrist_speeds(joints_mm, fps).max(1).argmax())
    return max(0, min(peak - frames // 2, len(joints_mm) - frames))


def wrist_speeds(joints_mm: Float[ndarray, "N J 3"], fps: float) -> Float[ndarray, "N 2"]:
    """Of both wrists against the root, m/s."""
    relative = np.asarray(joints_mm - joints_mm[:, :1], np.float64)[:, WRISTS]
    return joint_speeds(relative, np.arange(len(relative)) / fps) / 1000


def compare(lifter: Lifter, clip: FilmedClip, options: LiftOptions) -> Compared:
    """Lift a clip and set it beside the truth."""
    fps = clip.sequence.fps
    true = clip.joints_mm - clip.joints_mm[:, :1]
    lifted = torch.from_numpy(lifter.lift(clip.sequence, options).root_relative_mm).double()
    return Compared(
        acceleration_magnitude(lifted, fps),
        acceleration_magnitude(true, fps),
        acceleration_error(lifted, true, fps),
        mpjpe(lifted, true),
        float(wrist_speeds(true.numpy(), fps).max()),
        speed_ratio(lifted.numpy(), true.numpy(), fps),
    )


def speed_ratio(lifted_mm: Float[ndarray, "N J 3"], true_mm: Float[ndarray, "N J 3"], fps: float) -> float:
    """95th percentile of the wrists' speeds, lifted over true."""
    return float(np.divide(*(np.percentile(wrist_speeds(joints, fps), 95) for joints in (lifted_mm, true_mm))))


def summary(clips: list[Compared]) -> dict[str, Any]:
    """All frames pooled; fast clips by their median."""
    lifted, true, error = (
        float(torch.cat([getattr(clip, name) for clip in clips]).mean())
        for name in ("lifted_m_s2", "true_m_s2", "error_m_s2")
    )
    fast = [clip.wrist_ratio for clip in clips if clip.peak_m_s > FAST_M_S]
    return {
        "frames": sum(len(clip.error_mm) for clip in clips),
        "MPJPE, mm": float(torch.cat([clip.error_mm for clip in clips]).mean()),
        "acceleration, m/s^2": lifted,
        "the truth's": true,
        "ratio": lifted / true,
        "acceleration error, m/s^2": error,
        "fast clips": len(fast),
        "median wrist-speed ratio": median(fast) if fast else None,
        "median of its distance from 1, %": 100 * median(abs(ratio - 1) for ratio in fast) if fast else None,
    }


if __name__ == "__main__":
    main(tyro.cli(Jitter))
