"""What lifting costs: frames a second and peak memory on procedural keypoints, each clip in a process of its own.

python benchmarks/lift_cost.py --minutes 1 60
"""

import resource
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import tyro


@dataclass(frozen=True)
class Cost:
    """Clips of 50 frames/s."""

    minutes: tuple[float, ...] = (1.0,)
    threads: int = 2
    weights: str = "small"
    hypotheses: int | None = None
    steps: int | None = None
    alone: bool = False
    """Measure the one clip in this process."""


def clip(minutes: float) -> np.ndarray:
    """A swaying figure: (frames, 17, 2) pixels."""
    frames = int(3000 * minutes)
    time_s = np.arange(frames)[:, None, None] / 50
    rng = np.random.default_rng(0)
    return (rng.normal(0, 90, (17, 2)) + 40 * np.sin(time_s + 6 * rng.random((17, 2))) + 500).astype(np.float32)


def measure(cost: Cost) -> None:
    import torch

    from dreampose3d.camera import Camera
    from dreampose3d.lifting.lifter import Lifter, LiftOptions
    from dreampose3d.sequence import PoseSequence

    torch.set_num_threads(cost.threads)
    given = {k: v for k, v in (("hypotheses", cost.hypotheses), ("steps", cost.steps)) if v is not None}
    options = LiftOptions(**given)
    lifter = Lifter.load(cost.weights, "cpu")
    keypoints = clip(cost.minutes[0])
    sequence = PoseSequence("cost", 50.0, keypoints_px=keypoints, camera=Camera.from_fov((1000, 1000)))
    lifter.lift(PoseSequence("warm", 50.0, keypoints_px=keypoints[:200], camera=sequence.camera), options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begun = time.perf_counter()
    motion = lifter.lift(sequence, options)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    arrays = sum(a.nbytes for a in vars(motion).values() if isinstance(a, np.ndarray)) / 2**20
    print(
        f"| {cost.minutes[0]:g} | {len(keypoints)} | {options.hypotheses} | {options.steps} | {cost.threads} "
        f"| {len(keypoints) / seconds:.0f} | {before:.0f} | {peak:.0f} | {arrays:.0f} |"
    )


def main(cost: Cost) -> None:
    if cost.alone:
        measure(cost)
        return
    print("| minutes | frames | H | K | threads | frames/s | MB before | MB at the peak | MB of results |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    for minutes in cost.minutes:
        same = [f"--{k}={v}" for k, v in vars(cost).items() if k not in ("minutes", "alone") and v is not None]
        subprocess.run([sys.executable, __file__, "--minutes", str(minutes), "--alone", *same], check=True)


if __name__ == "__main__":
    main(tyro.cli(Cost))
