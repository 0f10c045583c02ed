"""Calibrated uncertainty: how far off a lifted joint may be, by the table that weights carry (`training.spread`)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

UNCALIBRATED = {
    "scale": 1.0,
    "floor_mm": 0.0,
    "missing_floor_mm": 0.0,
    "residual_share": 0.0,
    "size_share": 0.0,
    "lost_mm": 0.0,
    "gap_mm": 0.0,
}
"""The hypotheses' standard deviation alone; the shares and the parts of gaps are 0 in tables of older weights, too."""
_FORGOTTEN_S = 0.4
"""In what time a joint is forgotten [ours]: with this one gaps of 0.1 to 1.2 s are covered alike (cmu val)."""


def variance_of(hypotheses_mm: Float[Tensor, "H N J 3"]) -> Float[Tensor, "N J"]:
    """Mean squared distance of the hypotheses from their mean, mm^2: 0 for a single one."""
    return (hypotheses_mm - hypotheses_mm.mean(0)).square().sum(-1).mean(0)


def spread_mm(
    table: Mapping[str, Any],
    variance: Float[Tensor, "N J"],
    residual: Float[Tensor, " N"],
    lost: Bool[Tensor, "N J"],
    reach: Float[Tensor, "N J"],
    forgotten: Float[Tensor, "N J"],
) -> Float[Tensor, "N J"]:
    """Where 68 % of the errors should lie [ours].

    sqrt(s_j^2 (variance + f_j^2 + (g_j residual)^2) + (v_j forgotten)^2 + (w_j all forgotten)^2 + (u_j reach)^2)

    The floor f_j is needed because hypotheses nearly coincide at K = 1; it is larger for missing joints. The share g_j
    of the frame's residual widens it where the 2D is doubtful, which hypotheses cannot tell: all believe the same 2D.
    What is imagined is the less sure the longer it was not seen, and less still where nothing of the person is.
    These are fitted at the true size of the people; that a picture does not tell a stranger's size is the last term.

    Args:
        table: Of every joint `scale` s_j, `floor_mm` f_j, `missing_floor_mm`, `residual_share` g_j, `lost_mm` v_j,
            `gap_mm` w_j, `size_share` u_j.
        variance: Mean squared distance of the hypotheses from their mean, mm^2.
        residual: How far each frame's result misses its 2D, mm (`trajectory.reprojection_residual`).
        lost: Joints without 2D.
        reach: Of each joint from the root, mm.
        forgotten: How much of each joint is imagined (`forgotten`).

    Returns:
        One distance a joint, mm.
    """
    scale, floor, missing, share, size, alone, together = (
        torch.tensor(table.get(key, value)).to(variance) for key, value in UNCALIBRATED.items()
    )
    floor = torch.where(lost, missing, floor)
    pose = scale**2 * (variance + floor**2 + (share * residual[:, None]) ** 2)
    gap = (alone * forgotten) ** 2 + (together * forgotten.amin(1, keepdim=True)) ** 2
    return (pose + gap + (size * reach) ** 2).sqrt()


def forgotten(seen: Bool[Tensor, "N J"], time_s: Float[Tensor, " N"]) -> Float[Tensor, "N J"]:
    """How much of each joint is imagined: 0 where it is seen, towards 1 deep in a gap, 1 if it never was."""
    time = time_s[:, None]
    before = torch.where(seen, time, -torch.inf).cummax(0).values
    after = torch.where(seen, time, torch.inf).flip(0).cummin(0).values.flip(0)
    return 1 - torch.exp(-torch.minimum(time - before, after - time) / _FORGOTTEN_S)


def doubt_of_2d(
    residual: Float[Tensor, " N"], seen: Bool[Tensor, " N"], time_s: Float[Tensor, " N"]
) -> Float[Tensor, " N"]:
    """The residual; in frames that show nothing, which have none, what lies between those of the frames that do."""
    filled = np.interp(time_s, time_s[seen], residual[seen])
    return torch.from_numpy(filled).to(residual)
