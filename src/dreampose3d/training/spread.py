"""Calibrated uncertainty: how far off the lifter is, learned on the validation clips, per joint."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dreampose3d.data.mocap import MocapClip
from dreampose3d.evaluation import FilmedClip, film_clip
from dreampose3d.evaluation.mocap import Input
from dreampose3d.hypotheses import p_agg
from dreampose3d.lifting.fitting import fit_to_2d
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.lifting.spread import doubt_of_2d, forgotten, spread_mm, variance_of
from dreampose3d.model.weights import load_weights, save_weights
from dreampose3d.motion.bones import bone_lengths
from dreampose3d.trajectory import estimate_root, reprojection_residual
from dreampose3d.view import MISSING_BELOW

COVERAGE = 0.68
_FLOORS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0)
"""Candidates for f_j, in shares of the joint's median error."""
_SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 0.8)
"""Candidates for g."""
_STILL_MM = 1e-6
"""A joint that never errs by as much is the root."""
GAPS_S = (0.1, 0.2, 0.4, 0.8, 1.6)
"""How long something is hidden, one of these by chance."""
SIZE_SHARE = 0.054
"""Standard deviation of stature among adults of both sexes, as a share (ANSUR II: Gordon et al. 2014). A few people's
clips cannot tell it."""


def calibrate_spread(
    weights: Path, clips: Sequence[MocapClip], options: LiftOptions | None = None, frames: int = 60
) -> dict[str, Any]:
    """Fit the spread and write it into the weights.

    Each clip's middle is seen by one camera, with exact and with noisy 2D: only both together tell how an error grows
    with the doubt in the 2D. Then each is seen again with a gap, in which a joint with all that hangs on it is lost, or
    everything. Errors are those at each person's true size; how sizes differ is known from elsewhere.

    Args:
        weights: A weights file; rewritten with the fit in its card.
        clips: The validation split, never the test split.
        options: How results are lifted by default.
        frames: Of each clip, at most.

    Returns:
        `scale`, `floor_mm`, `missing_floor_mm`, `residual_share`, `lost_mm`, `gap_mm` and `size_share` of every
        joint.
    """
    options = options or LiftOptions()
    lifter = Lifter.load(weights, "cpu")
    measured = [_measured(lifter, filmed, options) for filmed in _filmed(clips, frames)]
    error, variance, residual, lost, _ = (torch.cat(part) for part in zip(*measured, strict=True))
    table = fit_spread(error, variance, residual, lost)
    hidden = [_measured(lifter, filmed, options) for filmed in _hidden(clips, frames)]
    if hidden:
        table |= fit_gaps(table, *(torch.cat(part) for part in zip(*hidden, strict=True)))
    table |= {"size_share": [SIZE_SHARE] * error.shape[1]}
    found = load_weights(weights)
    card = found.card | {"spread": table | {"coverage": COVERAGE, "options": json.loads(json.dumps(options.__dict__))}}
    save_weights(found.model, weights, card)
    return table


def fit_spread(
    error: Float[Tensor, "F J"],
    variance: Float[Tensor, "F J"],
    residual: Float[Tensor, " F"],
    lost: Bool[Tensor, "F J"],
) -> dict[str, list[float]]:
    """The table of `lifting.spread.spread_mm` but for gaps and sizes: 68 % of each joint's errors lie below the spread.

    The floor f_j is the one under which the errors of a joint with 2D are likeliest, taken as isotropic normal with a
    variance in proportion to (variance + f_j^2 + (g residual)^2); s_j then fits the coverage exactly, and a second
    floor that of lost joints. The share g, common to all joints, is the one with which frames of little and of much
    residual are covered alike.

    Args:
        error: Distances of the joints from the truth, mm.
        variance: Mean squared distance of the hypotheses from their mean, mm^2.
        residual: How far each frame's result misses its 2D, mm.
        lost: Joints without 2D.
    """
    tables = [_fit_joints(error, variance, residual, lost, share) for share in _SHARES]
    moving, none = error.amax(0) >= _STILL_MM, torch.zeros_like(error)
    return min(
        tables,
        key=lambda table: _unevenness(
            (error <= spread_mm(table, variance, residual, lost, none, none))[:, moving], residual
        ),
    )


def fit_gaps(
    table: Mapping[str, Any],
    error: Float[Tensor, "F J"],
    variance: Float[Tensor, "F J"],
    residual: Float[Tensor, " F"],
    lost: Bool[Tensor, "F J"],
    imagined: Float[Tensor, "F J"],
) -> dict[str, list[float]]:
    """v_j, with which 68 % of the errors of what is lost lie below the spread; w_j, the same where all is lost.

    Args:
        table: What `fit_spread` found.
        error: Distances of the joints from the truth, mm.
        variance: Mean squared distance of the hypotheses from their mean, mm^2.
        residual: How far each frame's result misses its 2D, mm.
        lost: Joints without 2D.
        imagined: `lifting.spread.forgotten`.
    """
    gone = imagined > 0
    found: dict[str, list[float]] = {}
    for name, where in (("lost_mm", gone & ~gone.all(1, keepdim=True)), ("gap_mm", gone.all(1, keepdim=True) & gone)):
        known = spread_mm({**table, **found}, variance, residual, lost, torch.zeros_like(error), imagined)
        more = (error**2 - known**2).clamp(min=0).sqrt() / imagined
        joints = [joint[at] for joint, at in zip(more.T, where.T, strict=True)]
        found[name] = [round(float(joint.quantile(COVERAGE)), 1) if len(joint) else 0.0 for joint in joints]
    return found


def hide(filmed: FilmedClip, seconds: float, joints: Sequence[int] | None = None) -> FilmedClip:
    """A clip in whose middle joints are lost for a while, or all of them, but for two thirds of it at most."""
    frames = min(round(seconds * filmed.sequence.fps), 2 * len(filmed.confidence) // 3)
    start = (len(filmed.confidence) - frames) // 2
    lost = torch.zeros_like(filmed.confidence, dtype=torch.bool)
    lost[start : start + frames, slice(None) if joints is None else list(joints)] = True
    confidence = filmed.confidence.masked_fill(lost, 0)
    keypoints = np.array(filmed.sequence.keypoints_px)
    keypoints[lost.numpy()] = np.nan
    sequence = replace(filmed.sequence, keypoints_px=keypoints, confidence=confidence.float().numpy())
    rays = filmed.rays.masked_fill(lost[..., None], torch.nan)
    return replace(filmed, sequence=sequence, rays=rays, confidence=confidence)


def _filmed(clips: Sequence[MocapClip], frames: int) -> Iterator[FilmedClip]:
    for number, clip in enumerate(clips):
        for input in ("gt", "noisy"):
            yield list(film_clip(_middle(clip, frames), input))[number % 4]


def _hidden(clips: Sequence[MocapClip], frames: int) -> Iterator[FilmedClip]:
    """Each clip with gaps: twice of everything, twice of a joint and all that hangs on it."""
    chance = random.Random(0)
    inputs: tuple[Input, ...] = ("gt", "noisy")
    for (number, clip), input, everything in product(enumerate(clips), inputs, (True, False)):
        seconds = chance.choice(GAPS_S)
        middle = _middle(clip, round(frames + seconds * clip.fps))
        if len(middle.joints_mm) > 3:
            filmed = list(film_clip(middle, input))[number % 4]
            joint, _ = chance.choice(filmed.sequence.skeleton.bones)
            yield hide(filmed, seconds, None if everything else filmed.sequence.skeleton.subtree(joint))


def _middle(clip: MocapClip, frames: int) -> MocapClip:
    start = max(0, (len(clip.joints_mm) - frames) // 2)
    return replace(clip, joints_mm=clip.joints_mm[start : start + frames])


def _measured(
    lifter: Lifter, filmed: FilmedClip, options: LiftOptions
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Error at the person's true size, variance, residual, lost joints and what is imagined of a clip."""
    hypotheses = lifter.hypotheses(filmed.sequence, options).double()
    pose = p_agg(hypotheses)
    root = estimate_root(pose, filmed.rays, filmed.confidence)
    residual = reprojection_residual(pose, root, filmed.rays, filmed.confidence)
    if options.fit:
        pose, _ = fit_to_2d(pose, filmed.rays, filmed.confidence, filmed.sequence.times, lifter.skeleton)
    true = filmed.joints_mm - filmed.joints_mm[:, lifter.skeleton.root, None]
    lengths, lifted = (bone_lengths(joints.numpy(), lifter.skeleton).sum() for joints in (true, pose))
    error = (pose * (lengths / lifted) - true).norm(dim=-1)
    lost = filmed.confidence < MISSING_BELOW
    times = torch.from_numpy(filmed.sequence.times)
    doubt = doubt_of_2d(residual, ~lost.all(1), times)
    return error, variance_of(hypotheses), doubt, lost, forgotten(~lost, times)


def _fit_joints(
    error: Float[Tensor, "F J"],
    variance: Float[Tensor, "F J"],
    residual: Float[Tensor, " F"],
    lost: Bool[Tensor, "F J"],
    share: float,
) -> dict[str, list[float]]:
    doubt = variance + (share * residual[:, None]) ** 2
    rows = [_fit_joint(error[:, joint], doubt[:, joint], lost[:, joint]) for joint in range(error.shape[1])]
    scale, floor, missing = ([round(value, 4) for value in column] for column in zip(*rows, strict=True))
    return {"scale": scale, "floor_mm": floor, "missing_floor_mm": missing, "residual_share": [share] * len(rows)}


def _fit_joint(
    error: Float[Tensor, " F"], doubt: Float[Tensor, " F"], lost: Bool[Tensor, " F"]
) -> tuple[float, float, float]:
    """s_j, f_j and f_j of lost frames of one joint."""
    if float(error.max()) < _STILL_MM:
        return 0.0, 0.0, 0.0
    e, d = error[~lost], doubt[~lost]
    floor = min((factor * float(e.median()) for factor in _FLOORS), key=lambda f: _misfit(e, d + f**2))
    scale = float((e / (d + floor**2).sqrt()).quantile(COVERAGE))
    if not lost.any():
        return scale, floor, floor
    wanting = (error[lost] / scale) ** 2 - doubt[lost]
    return scale, floor, float(wanting.quantile(COVERAGE).clamp(min=floor**2).sqrt())


def _misfit(error: Float[Tensor, " F"], shape: Float[Tensor, " F"]) -> float:
    """Negative log-likelihood of the errors, up to constants, where variances are in proportion to `shape`."""
    level = (error.square() / shape).mean() / 3
    return float((1.5 * (level * shape).log()).mean())


def _unevenness(inside: Bool[Tensor, "F J"], residual: Float[Tensor, " F"]) -> float:
    """Mean square by which the coverage of the frames misses 68 %, over fifths of the frames by their residual."""
    fifths = inside[residual.argsort()].double().mean(1).tensor_split(5)
    return sum((float(part.mean()) - COVERAGE) ** 2 for part in fifths)
