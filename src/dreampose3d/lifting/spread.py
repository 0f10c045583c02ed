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
    "gap_mm": 0.0,
}
"""The hypotheses' standard deviation alone; the shares and the gaps' part are 0 in tables of older weights, too."""
_FORGOTTEN_S = 0.4
"""In what time a pose is forgotten [ours]: with this one gaps of 0.1 to 1.2 s are covered alike (cmu val)."""


def variance_of(hypotheses_mm: Float[Tensor, "H N J 3"]) -> Float[Tensor, "N J"]:
    """Mean squared distance of the hypotheses from their mean, mm^2: 0 for a single one."""
    return (hypotheses_mm - hypotheses_mm.mean(0)).square().sum(-1).mean(0)


def spread_mm(
    table: Mapping[str, Any],
    variance: Float[Tensor, "N J"],
    residual: Float[Tensor, " N"],
    lost: Bool[Tensor, "N J"],
    reach: Float[Tensor, "N J"],
    forgotten: Float[Tensor, " N"] | None = None,
) -> Float[Tensor, "N J"]:
    """Where 68 % of the errors should lie [ours].

    sqrt(s_j^2 (variance + f_j^2 + (g_j residual)^2) + (w_j forgotten)^2 + (u_j reach)^2)

    The floor f_j is needed because hypotheses nearly coincide at K = 1; it is larger for missing joints. The share g_j
    of the frame's residual widens it where the 2D is doubtful, which hypotheses cannot tell: all believe the same 2D.
    These are fitted at the true size of the people; that a picture does not tell a stranger's size is the last term.

    Args:
        table: Of every joint `scale` s_j, `floor_mm` f_j, `missing_floor_mm`, `residual_share` g_j, `size_share` u_j.
        variance: Mean squared distance of the hypotheses from their mean, mm^2.
        residual: How far each frame's result misses its 2D, mm (`trajectory.reprojection_residual`).
        lost: Joints without 2D.
        reach: Of each joint from the root, mm.
        forgotten: How much of each frame's pose is imagined (`forgotten`); nothing unless given.

    Returns:
        One distance a joint, mm.
    """
    scale, floor, missing, share, size, gap = (
        torch.tensor(table.get(key, value)).to(variance) for key, value in UNCALIBRATED.items()
    )
    floor = torch.where(lost, missing, floor)
    pose = scale**2 * (variance + floor**2 + (share * residual[:, None]) ** 2)
    if forgotten is not None:
        pose = pose + (gap * forgotten[:, None]) ** 2
    return (pose + (size * reach) ** 2).sqrt()


def forgotten(seen: Bool[Tensor, " N"], time_s: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """How much of each frame's pose is imagined: 0 where anything of the person is seen, towards 1 deep in a gap."""
    known = time_s[seen]
    after = torch.searchsorted(known, time_s).clamp(max=len(known) - 1)
    since = torch.minimum((time_s - known[(after - 1).clamp(min=0)]).abs(), (time_s - known[after]).abs())
    return torch.where(seen, 0, 1 - torch.exp(-since / _FORGOTTEN_S))


def doubt_of_2d(
    residual: Float[Tensor, " N"], seen: Bool[Tensor, " N"], time_s: Float[Tensor, " N"]
) -> Float[Tensor, " N"]:
    """The residual; in frames that show nothing, which have none, what lies between those of the frames that do."""
    filled = np.interp(time_s, time_s[seen], residual[seen])
    return torch.from_numpy(filled).to(residual)
