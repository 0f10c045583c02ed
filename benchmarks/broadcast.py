"""What a television broadcast costs the lifter: exact 2D, then a far camera, blur, jitter and a hidden arm, one by one.

python benchmarks/broadcast.py --data MOCAP/obp MOCAP/spl MOCAP/cmu
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro

from dreampose3d.camera import Camera
from dreampose3d.data.broadcast import Broadcast, broadcast
from dreampose3d.data.mocap import MocapClip, read_mocap
from dreampose3d.evaluation.mocap import film_clip, stable_seed
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.metrics import mpjpe, p_mpjpe
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17

_CLEAN = Broadcast(blur=0, jitter_px=0, block_px=0, hidden=0)
_FULL = Broadcast()
CONDITIONS = {
    "far camera at 30 frames/s, exact": _CLEAN,
    "+ exposure blur": replace(_CLEAN, blur=_FULL.blur),
    "+ compression jitter": replace(_FULL, hidden=0),
    "+ far arm hidden: the broadcast": _FULL,
}
_ACTIONS = ("baseball-pitching", "sports-basketball", "karate", "punching-boxing", "sports-soccer")
_LIMBS = sorted(H36M_17.left + H36M_17.right)
_WRISTS = H36M_17.indices("left_wrist", "right_wrist")


@dataclass(frozen=True)
class Broadcasts:
    """Throwing and striking clips of the test split; the 12 limb joints, since some sets lack the head."""

    data: tuple[Path, ...]
    weights: str = "small"
    seconds: float = 4.0
    """Of each clip, from its middle, at most."""
    clips: int = 12
    """Of each set, at most."""
    fast_m_per_s: float = 3.0
    """Wrists above this speed are counted apart."""
    threads: int = 2


def main(chosen: Broadcasts) -> None:
    torch.set_num_threads(chosen.threads)
    lifter = Lifter.load(chosen.weights, "cpu")
    options = LiftOptions()
    for folder in chosen.data:
        clips = list(throws(folder, chosen))
        print(
            f"\n{folder.name}: {len(clips)} clips, {len({clip.subject for clip in clips})} subjects, "
            f"{sum(len(clip.joints_mm) / clip.fps for clip in clips):.0f} s; H={options.hypotheses} K={options.steps} "
            f"flip {options.aggregate}, weights {lifter.weights.sha256[:12]}"
        )
        print(f"| 2D | limb MPJPE | limb P-MPJPE | wrists above {chosen.fast_m_per_s:g} m/s |\n|---|--:|--:|--:|")
        near = [list(film_clip(clip, "gt"))[number % 4] for number, clip in enumerate(clips)]
        row("near camera at the clip's rate, exact", lifter, [(f.sequence, f.joints_mm) for f in near], chosen)
        for name, conditions in CONDITIONS.items():
            seen = [far(clip, conditions) for clip in clips]
            row(name, lifter, [(sequence, joints_of(sequence)) for sequence in seen], chosen)
        unknown = replace(Camera.from_fov(_FULL.size_px), assumed=True)
        guessed = [(replace(sequence, camera=unknown), joints_of(sequence)) for sequence in seen]
        row(f"the broadcast, with {unknown.fov_degrees:g} degrees assumed", lifter, guessed, chosen)


def throws(folder: Path, chosen: Broadcasts) -> Iterator[MocapClip]:
    """The middle of the first clips of the actions that are asked for."""
    wanted = [clip for clip in read_mocap(folder, split="test") if clip.action in _ACTIONS]
    for clip in wanted[: chosen.clips]:
        frames = min(len(clip.joints_mm), round(chosen.seconds * clip.fps))
        start = (len(clip.joints_mm) - frames) // 2
        yield replace(clip, joints_mm=clip.joints_mm[start : start + frames])


def far(clip: MocapClip, conditions: Broadcast) -> PoseSequence:
    """The same camera and the same draws for all conditions. OpenBiomechanics' x points to home plate."""
    generator = torch.Generator().manual_seed(stable_seed(clip.trial))
    return broadcast(clip, generator, conditions, ahead_degrees=0.0 if clip.action == "baseball-pitching" else None)


def joints_of(sequence: PoseSequence) -> torch.Tensor:
    return torch.from_numpy(sequence.joints_mm)


def row(name: str, lifter: Lifter, seen: list[tuple[PoseSequence, torch.Tensor]], chosen: Broadcasts) -> None:
    """Lift each sequence from its 2D alone and print the errors over all frames, mm."""
    poses, truth, speed = [], [], []
    for sequence, joints in seen:
        shown = replace(sequence, joints_mm=None, subject="", action="")
        poses.append(torch.from_numpy(lifter.lift(shown).root_relative_mm).double())
        truth.append((joints - joints[:, :1]).double())
        step = joints.diff(dim=0).norm(dim=-1).double() * sequence.fps / 1000
        speed.append(torch.cat((step[:1], step))[:, _WRISTS])
    pred, true = torch.cat(poses), torch.cat(truth)
    fast = torch.cat(speed) > chosen.fast_m_per_s
    wrists = (pred - true).norm(dim=-1)[:, _WRISTS][fast]
    limbs = (pred[:, _LIMBS], true[:, _LIMBS])
    told = f"{float(wrists.mean()):.1f} ({len(wrists)})" if len(wrists) else "none"
    print(f"| {name} | {float(mpjpe(*limbs).mean()):.1f} | {float(p_mpjpe(*limbs).mean()):.1f} | {told} |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Broadcasts))
