"""Bodies of men, women and children: bone lengths from published body-size statistics."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dreampose3d.data.body import to_bones
from dreampose3d.skeleton import H36M_17, Skeleton

ADULTS_MM = ((1756.0, 69.0), (1629.0, 64.0))
"""Mean and standard deviation of the stature of men and women (ANSUR II, 2012: Gordon et al. 2014, US Army)."""
CHILD_AGES = (4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0)
CHILDREN_MM = (1015.0, 1155.0, 1275.0, 1385.0, 1500.0, 1620.0, 1690.0)
"""Median stature at those ages, boys and girls together, rounded (CDC growth charts: Kuczmarski et al. 2002)."""
CHILD_SPREAD = 0.045
"""Their standard deviation, as a share."""
ADULT = {"thigh": 0.245, "shank": 0.246, "upper_arm": 0.186, "forearm": 0.146, "trunk": 0.288, "head": 0.182}
"""Lengths as shares of stature; trunk: hips to shoulders, head: with the neck (Drillis & Contini 1966)."""
HIPS_HIGH = 0.53
"""Height of the hips, a share of stature: thigh, shank, and the ankle's height of 0.039."""
SEGMENT_SPREAD = 0.035
"""Standard deviation of the log length of a segment between people of one stature [ours]."""


def segment_shares(age: Float[Tensor, " B"]) -> dict[str, Float[Tensor, " B"]]:
    """Lengths of body segments as shares of stature.

    Adults: Drillis & Contini 1966, as in Winter 2009, figure 4.1. Children have longer heads, a sixth of the stature
    at 6 and a seventh at 12 (the canon of Stratz), and shorter legs: sitting height over stature falls from about 0.55
    at 5 to 0.52 at 12, and the legs are what is left. Arms are taken as adults' [ours].
    """
    longer_head = (1 / 6 - 0.130) * ((18 - age) / 12).clamp(0, 1.2)
    shorter_legs = 0.028 * ((12 - age) / 7).clamp(0, 1.15)
    leg = 1 - shorter_legs / HIPS_HIGH
    return {name: torch.full_like(age, share) for name, share in ADULT.items()} | {
        "thigh": ADULT["thigh"] * leg,
        "shank": ADULT["shank"] * leg,
        "trunk": ADULT["trunk"] + shorter_legs - longer_head,
        "head": ADULT["head"] + longer_head,
    }


def draw_people(
    batch: int, children: float, generator: torch.Generator | None, like: Tensor
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """Age (18 stands for all adults) and stature, mm: half of the adults are women; children from 4 to 16."""

    def uniform() -> Tensor:
        return torch.rand(batch, generator=generator, dtype=like.dtype, device=like.device)

    sex = (uniform() < 0.5).long()
    normal = torch.randn(batch, generator=generator, dtype=like.dtype, device=like.device)
    mean, spread = like.new_tensor(ADULTS_MM)[sex].unbind(-1)
    age = CHILD_AGES[0] + (CHILD_AGES[-1] - CHILD_AGES[0]) * uniform()
    young = uniform() < children
    low = ((age - CHILD_AGES[0]) / 2).long().clamp(max=len(CHILD_AGES) - 2)
    medians = like.new_tensor(CHILDREN_MM)
    median = medians[low].lerp(medians[low + 1], (age - CHILD_AGES[0]) / 2 - low)
    stature = torch.where(young, median * (1 + CHILD_SPREAD * normal), mean + spread * normal)
    return torch.where(young, age, 18.0), stature


def resize_bodies(
    joints_mm: Float[Tensor, "B N J 3"],
    bones: Float[Tensor, "B N J 3"],
    share: float,
    children: float = 0.1,
    generator: torch.Generator | None = None,
    skeleton: Skeleton = H36M_17,
) -> tuple[Float[Tensor, "B N J 3"], Float[Tensor, "B N 1 3"]]:
    """Give windows the bodies of other people, and their root a path to match, so that feet stay on the floor.

    Legs, arms and trunk get lengths from `segment_shares` of a stature drawn from men, women and children, alike left
    and right. What recordings define in ways of their own, the ends of the head and the widths of hips and shoulders,
    changes in the proportion of the two people. The root's path is scaled with the legs, which keeps a planted foot
    planted.

    Args:
        joints_mm: As recorded; world frame, z up, the floor at z = 0.
        bones: Vectors from the parent, whose directions stay.
        share: Of windows.
        children: Share of children among them.
        generator: Where randomness comes from.
        skeleton: The joints.

    Returns:
        The new bones, and the root's new path.
    """
    batch = len(bones)
    age, stature = draw_people(batch, children, generator, bones)
    shares = segment_shares(age)
    length = bones.norm(dim=-1).mean(1)  # B J
    before = _legs(to_bones(joints_mm, skeleton).norm(dim=-1).mean(1), skeleton)
    people = stature / before * (ADULT["thigh"] + ADULT["shank"])  # against an adult of such legs
    scale = {
        "trunk": shares["trunk"] * stature / _trunk(joints_mm, skeleton),
        "head": shares["head"] / ADULT["head"] * people,
        "hips": people,
        "shoulders": people,
    }
    factor = torch.ones_like(length)
    for part, joints in _PARTS:
        places = list(skeleton.indices(*joints))
        wanted = (shares[part] * stature)[:, None] / length[:, places] if part not in scale else scale[part][:, None]
        spread = SEGMENT_SPREAD * torch.randn(batch, 1, generator=generator, dtype=bones.dtype, device=bones.device)
        factor[:, places] = wanted * spread.exp()
    chosen = torch.rand(batch, generator=generator, dtype=bones.dtype, device=bones.device) < share
    factor = torch.where(chosen[:, None], factor, 1.0)
    grown = torch.where(chosen, _legs(length * factor, skeleton) / before, 1.0)
    path = joints_mm[:, :, skeleton.root, None] * grown[:, None, None, None]
    return bones * factor[:, None, :, None], path


_PARTS = (
    ("thigh", ("left_knee", "right_knee")),
    ("shank", ("left_ankle", "right_ankle")),
    ("upper_arm", ("left_elbow", "right_elbow")),
    ("forearm", ("left_wrist", "right_wrist")),
    ("trunk", ("spine", "thorax")),
    ("head", ("neck", "head")),
    ("hips", ("left_hip", "right_hip")),
    ("shoulders", ("left_shoulder", "right_shoulder")),
)


def _legs(length: Float[Tensor, "B J"], skeleton: Skeleton) -> Float[Tensor, " B"]:
    """Thigh and shank, the mean of both sides."""
    return length[:, list(skeleton.indices("left_knee", "left_ankle", "right_knee", "right_ankle"))].sum(1) / 2


def _trunk(joints_mm: Float[Tensor, "B N J 3"], skeleton: Skeleton) -> Float[Tensor, " B"]:
    """Length from hips to shoulders of a straight spine, wherever between them a recording puts its thorax."""
    pelvis, spine, thorax, left, right = skeleton.indices(
        "pelvis", "spine", "thorax", "left_shoulder", "right_shoulder"
    )
    chest = joints_mm[:, :, thorax] - joints_mm[:, :, spine]
    over = (joints_mm[:, :, [left, right]].mean(2) - joints_mm[:, :, thorax]) * F.normalize(chest, dim=-1)
    low = joints_mm[:, :, spine] - joints_mm[:, :, pelvis]
    return (chest.norm(dim=-1) + low.norm(dim=-1) + over.sum(-1)).mean(1)  # type: ignore[no-any-return]
