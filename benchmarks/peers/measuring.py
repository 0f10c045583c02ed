"""What is measured of a trained run: cmu val as while training, and a stated part of the mocap protocol."""

import platform
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.peers.peer import Peer, PeerRun
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dreampose3d.data.mocap import read_mocap
from dreampose3d.evaluation import FilmedClip, film_clip
from dreampose3d.evaluation.mocap import AZIMUTHS_DEGREES
from dreampose3d.hypotheses import p_agg
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.metrics import mpjpe, p_mpjpe
from dreampose3d.model.weights import Weights
from dreampose3d.training.trainer import Report

HYPOTHESES = 3
"""H of P-Agg."""


def measured(run: PeerRun, tests: tuple[Path, ...], frames: int, report: Report) -> dict[str, Any]:
    """Everything in the table, of the averaged weights."""
    found: dict[str, Any] = run.validate()
    with run.averaged():
        lifter = lifter_of(run)
        for folder in tests:
            errors = on_test(lifter, run.peer, folder, frames)
            report(f"{run.peer.title}, {folder.name} test: {errors}")
            found |= {f"{folder.name}_{name}": value for name, value in errors.items()}
    return found | {
        "steps": run.config.steps,
        "trained_m": sum(p.numel() for p in run.trained) / 1e6,
        "window_gmacs": gmacs(run),
    }


def lifter_of(run: PeerRun) -> Lifter:
    """The lifter of a run's model as it is now, whatever its network and its schedule are."""
    lifter = Lifter(Weights(run.model, run.peer.name, "", {"config": {"clamp": run.config.clamp}}), run.device)
    lifter.alpha_bar = run.alpha_bar
    return lifter


def on_test(lifter: Lifter, peer: Peer, folder: Path, frames: int) -> dict[str, float]:
    """MPJPE and P-MPJPE, mm, of one hypothesis in one step and of the mean of several, flip on, frame by frame."""
    asked = {"h1k1": LiftOptions(hypotheses=1, steps=1)}
    if peer.steps is not None:
        asked["p_agg"] = LiftOptions(hypotheses=HYPOTHESES, steps=peer.steps, span=peer.span)
    errors: dict[str, list[Tensor]] = {}
    for clip in shown(folder, frames):
        true = clip.joints_mm - clip.joints_mm[:, lifter.skeleton.root, None]
        for name, options in asked.items():
            pose = p_agg(lifter.hypotheses(clip.sequence, options)).double()
            errors.setdefault(f"{name}_mpjpe_mm", []).append(mpjpe(pose, true))
            errors.setdefault(f"{name}_p_mpjpe_mm", []).append(p_mpjpe(pose, true))
    return {name: round(float(torch.cat(found).mean()), 3) for name, found in errors.items()}


def shown(folder: Path, frames: int) -> Iterator[FilmedClip]:
    """Every test clip of a set in exact 2D: the frames in its middle, seen by one of the protocol's four cameras."""
    for number, clip in enumerate(read_mocap(folder, split="test")):
        index = number % len(AZIMUTHS_DEGREES)
        (filmed,) = islice(film_clip(clip, "gt"), index, index + 1)
        first = max(0, (len(clip.joints_mm) - frames) // 2)
        yield part(filmed, slice(first, first + frames))


def part(clip: FilmedClip, frames: slice) -> FilmedClip:
    """Some frames of a filmed clip."""
    shown = clip.sequence
    some = replace(
        shown, keypoints_px=np.asarray(shown.keypoints_px)[frames], confidence=np.asarray(shown.confidence)[frames]
    )
    return FilmedClip(some, clip.joints_mm[frames], clip.rays[frames], clip.confidence[frames])


@torch.no_grad()
def gmacs(run: PeerRun) -> float:
    """Thousand million multiply-accumulates for one window at H = 1, K = 1, no flip, the prompt included."""
    frames, joints = run.model.config.frames, run.skeleton.num_joints
    observed, x_t = torch.zeros(1, frames, joints, 3), torch.zeros(1, frames, joints, 3)
    t, time_s, valid = torch.zeros(1, dtype=torch.long), torch.zeros(1, frames), torch.ones(1, frames, dtype=torch.bool)
    given = [part.to(run.device) for part in (x_t, observed, t, time_s, valid, torch.zeros(1, 2))]
    x_t, observed, t, time_s, valid, view = given
    with FlopCounterMode(display=False) as counter:
        prompt = run.model.read_intent(observed, time_s, valid)
        run.model(x_t, observed, t, prompt, time_s, valid, view)
    return counter.get_total_flops() / 2e9


def hardware(device: torch.device) -> str:
    """The processor's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    told = Path("/proc/cpuinfo")
    names = [line for line in told.read_text().splitlines() if line.startswith("model name")] if told.is_file() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()
