"""What changes when only the camera moves: turned about its centre, rolled, or carried sideways past the person.

Turning about y, and tilt with the person on the midline, are exact by construction (tests/test_view.py). What is left
is learned, and measured here: exact 2D, H=1 K=1, flip, one camera a clip.

python benchmarks/camera_turns.py --data MOCAP/cmu
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from torch import Tensor

from dreampose3d.camera import Camera
from dreampose3d.data.mocap import read_mocap
from dreampose3d.evaluation import film_clip
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.metrics import mpjpe, p_mpjpe
from dreampose3d.sequence import PoseSequence

TILTS = (-40.0, -20.0, -10.0, 10.0, 20.0, 40.0)
ROLLS = (5.0, 10.0, 20.0, 30.0, 45.0, 90.0)
SIDEWAYS_M = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0)
BESIDE_DEGREES = 15.0
"""Where the person stands beside the midline when the camera tilts."""


@dataclass(frozen=True)
class Turns:
    """The first frames of every clip of a split."""

    data: Path
    split: str = "test"
    weights: str = "small"
    frames: int = 81
    threads: int = 2


def main(turns: Turns) -> None:
    torch.set_num_threads(turns.threads)
    lifter = Lifter.load(turns.weights, "cpu")
    clips = [replace(c, joints_mm=c.joints_mm[: turns.frames]) for c in read_mocap(turns.data, split=turns.split)]
    filmed = [list(film_clip(clip, "gt"))[i % 4] for i, clip in enumerate(clips)]
    scenes = [(clip.joints_mm, clip.sequence.fps) for clip in filmed]

    def lifted(turn: Tensor | None = None, shift_mm: float = 0.0) -> list[tuple[Tensor, Tensor]]:
        """Each clip lifted as seen after a turn and a step to the side: (root-relative 3D turned back, truth)."""
        pairs = []
        for joints, fps in scenes:
            moved = joints + joints.new_tensor((shift_mm, 0, 0))
            seen = moved if turn is None else moved @ turn.T
            camera = Camera.from_fov((1000, 1000), 50)
            pose = lifter.hypotheses(
                PoseSequence("clip", fps, keypoints_px=camera.project(seen).float().numpy(), camera=camera),
                LiftOptions(hypotheses=1, steps=1),
            )[0].double()
            pairs.append((pose if turn is None else pose @ turn, joints - joints[:, :1]))
        return pairs

    frames = sum(len(joints) for joints, _ in scenes)
    print(f"{turns.data.name} {turns.split}: {len(scenes)} clips, {frames} frames")
    beside = turned(1, BESIDE_DEGREES)
    for what, degrees, axis, aside in (("tilt", TILTS, 0, beside), ("roll", ROLLS, 2, torch.eye(3).double())):
        still = lifted(aside)
        print(f"\n| {what}, degrees | moves the result by, mm | MPJPE | P-MPJPE |\n|--:|--:|--:|--:|")
        print(f"| 0 | 0.0 | {errors(still)} |")
        for angle in degrees:
            now = lifted(turned(axis, angle) @ aside)
            change = torch.cat([mpjpe(a, b) for (a, _), (b, _) in zip(now, still, strict=True)]).mean()
            print(f"| {angle:g} | {change:.1f} | {errors(now)} |", flush=True)
    print("\n| person beside the midline, m | MPJPE | P-MPJPE |\n|--:|--:|--:|")
    for metres in SIDEWAYS_M:
        print(f"| {metres:g} | {errors(lifted(shift_mm=1000 * metres))} |", flush=True)


def turned(axis: int, degrees: float) -> Tensor:
    """Rotation about one axis of the camera."""
    angle = math.radians(degrees)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation = torch.eye(3, dtype=torch.float64)
    rotation[i, i] = rotation[j, j] = math.cos(angle)
    rotation[i, j], rotation[j, i] = -math.sin(angle), math.sin(angle)
    return rotation


def errors(pairs: list[tuple[Tensor, Tensor]]) -> str:
    pred, true = (torch.cat(part) for part in zip(*pairs, strict=True))
    return f"{mpjpe(pred, true).mean():.1f} | {p_mpjpe(pred, true).mean():.1f}"


if __name__ == "__main__":
    main(tyro.cli(Turns))
