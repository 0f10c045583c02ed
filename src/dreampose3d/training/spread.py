"""Calibrated uncertainty: how far off the lifter is, learned on the validation clips, per joint."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dreampose3d.data.mocap import MocapClip
from dreampose3d.evaluation import film_clip
from dreampose3d.hypotheses import p_agg
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.model.weights import load_weights, save_weights
from dreampose3d.view import MISSING_BELOW

COVERAGE = 0.68


def calibrate_spread(weights: Path, clips: Sequence[MocapClip], options: LiftOptions | None = None) -> dict[str, Any]:
    """Fit the spread on clips seen by one camera each, in turn with exact and with noisy 2D; write it into the weights.

    Args:
        weights: A weights file; rewritten with the fit in its card.
        clips: The validation split, never the test split.
        options: How results are lifted by default.

    Returns:
        `scale`, `floor_mm` and `missing_floor_mm` of every joint.
    """
    options = options or LiftOptions()
    lifter = Lifter.load(weights, "cpu")
    errors, variances, lost = [], [], []
    for number, clip in enumerate(clips):
        for index, filmed in enumerate(film_clip(clip, "noisy" if number % 2 else "gt")):
            if index == number // 2 % 4:
                hypotheses = lifter.hypotheses(filmed.sequence, options)
                true = filmed.joints_mm - filmed.joints_mm[:, lifter.skeleton.root, None]
                errors.append((p_agg(hypotheses) - true).norm(dim=-1))
                variances.append((hypotheses - hypotheses.mean(0)).square().sum(-1).mean(0))
                lost.append(filmed.confidence < MISSING_BELOW)
    table = fit_spread(torch.cat(errors), torch.cat(variances).to(errors[0]), torch.cat(lost))
    found = load_weights(weights)
    card = found.card | {"spread": table | {"coverage": COVERAGE, "options": json.loads(json.dumps(options.__dict__))}}
    save_weights(found.model, weights, card)
    return table


def fit_spread(
    error: Float[Tensor, "F J"], variance: Float[Tensor, "F J"], lost: Bool[Tensor, "F J"]
) -> dict[str, list[float]]:
    """s_j and f_j of spread = s_j sqrt(variance + f_j^2), so that 68 % of the errors of each joint lie below it.

    The floor f_j is the one under which the errors are likeliest, taken as isotropic normal with a variance in
    proportion to (variance + f_j^2); s_j then fits the coverage exactly. A second floor, for lost joints, fits theirs.
    """
    table: dict[str, list[float]] = {"scale": [], "floor_mm": [], "missing_floor_mm": []}
    for joint in range(error.shape[1]):
        seen = ~lost[:, joint]
        e, v = error[seen, joint], variance[seen, joint]
        if float(e.max()) < 1e-6:  # the root
            for values in table.values():
                values.append(0.0)
            continue
        floor = min(_floors(e), key=lambda f: _misfit(e, v, f))
        scale = float((e / (v + floor**2).sqrt()).quantile(COVERAGE))
        e, v = error[~seen, joint], variance[~seen, joint]
        missing = float(((e / scale) ** 2 - v).quantile(COVERAGE).clamp(min=floor**2).sqrt()) if len(e) else floor
        for name, value in zip(table, (scale, floor, missing), strict=True):
            table[name].append(round(value, 4))
    return table


def _floors(error: Float[Tensor, " F"]) -> list[float]:
    median = float(error.median())
    return [median * factor for factor in (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0)]


def _misfit(error: Float[Tensor, " F"], variance: Float[Tensor, " F"], floor: float) -> float:
    """Negative log-likelihood of the errors, up to constants."""
    shape = variance + floor**2
    level = (error.square() / shape).mean() / 3
    return float((1.5 * (level * shape).log()).mean())
