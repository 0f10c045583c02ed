"""New people and new poses from recorded ones: limbs exchanged, parts tilted, bones rescaled, bodies turned.

A pose is its bones: vectors from parent to joint. Every ingredient changes bones, and joints are put together again
along the tree; so no ingredient can tear a body apart. All draw from one generator, and all work on whole batches.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from dreampose3d.data.anatomy import illegal, legal_bones
from dreampose3d.data.anthropometry import resize_bodies
from dreampose3d.data.body import from_bones, rotation, to_bones, trunk_frame
from dreampose3d.data.procedural import invent_motion
from dreampose3d.skeleton import H36M_17, Skeleton
from dreampose3d.view import mirror_poses


@dataclass(frozen=True)
class PoseAugmentation:
    """How often and how strongly; every share is of windows."""

    exchange_arms: float = 0.3
    """Share of windows whose arm (each side by itself) is another window's."""
    exchange_legs: float = 0.2
    """Share whose legs, both, are another window's."""
    exchange_trunk: float = 0.15
    """Share whose whole upper body is another window's."""
    tilt_limbs: float = 0.5
    """Share whose limbs, trunk and head are turned by random angles."""
    tilt_degrees: float = 18.0
    """Standard deviation of those angles."""
    lean: float = 0.5
    """Share whose whole body leans by N(0, `lean_degrees`)."""
    lean_degrees: float = 12.0
    topple: float = 0.12
    """Share whose whole body is turned by any angle: lying, upside down."""
    bone_scale: float = 0.08
    """Standard deviation of the log length of each bone, left and right alike."""
    body_scale: float = 0.04
    """Standard deviation of the log size of the body."""
    hip_scale: float = 0.15
    """Standard deviation of the log width of the hips: conventions and people differ most there."""
    people: float = 0.0
    """Share whose bones are those of other people: men, women and children (`anthropometry`). 0 draws nothing."""
    children: float = 0.1
    """Share of children among them."""
    legal: float = 0.0
    """Share of windows with exchanged or tilted parts that are drawn back into what joints can do (`anatomy`)."""
    invented: float = 0.0
    """Share of windows whose motion is invented (`procedural`). 0 draws nothing."""
    mirror: float = 0.5
    """Share of windows seen as in a mirror."""


def as_recorded() -> PoseAugmentation:
    """Nothing is changed."""
    return PoseAugmentation(
        0, 0, 0, tilt_limbs=0, lean=0, topple=0, bone_scale=0, body_scale=0, hip_scale=0, mirror=0
    )  # fmt: skip


def augment_poses(
    joints_mm: Float[Tensor, "B N J 3"],
    generator: torch.Generator | None = None,
    config: PoseAugmentation | None = None,
    fps: float | Float[Tensor, " B"] = 40.0,
    skeleton: Skeleton = H36M_17,
) -> Float[Tensor, "B N J 3"]:
    """Every ingredient in turn, a mirror last. World frame, z up, mm.

    The root's path stays but for `people`, who have legs of their own, and for invented motion. The frame rate makes
    what changes over time last as long at any rate.
    """
    config = config or PoseAugmentation()
    draw = _Chance(generator, joints_mm, fps)
    bones = to_bones(joints_mm, skeleton)
    recorded, path = bones, joints_mm[:, :, skeleton.root, None]
    bones = exchange_limbs(joints_mm, bones, draw, config, skeleton)
    bones = tilt_parts(bones, draw, config, skeleton)
    if config.legal > 0:
        bones = make_legal(recorded, bones, draw, config, skeleton)
    bones = rescale_bones(bones, draw, config, skeleton)
    if config.people > 0:
        bones, path = resize_bodies(joints_mm, bones, config.people, config.children, generator, skeleton)
    if config.invented > 0:
        invented, places = invent_motion(joints_mm, bones, draw.time_s, generator, skeleton)
        chosen = draw.share(config.invented)[:, None, None, None]
        bones, path = torch.where(chosen, invented, bones), torch.where(chosen, places, path)
    bones = turn_body(bones, draw, config)
    joints = from_bones(path, bones, skeleton)
    flipped = mirror_poses(joints, torch.from_numpy(skeleton.mirror).to(joints.device))
    return torch.where(draw.share(config.mirror)[:, None, None, None], flipped, joints)


def exchange_limbs(
    joints: Float[Tensor, "B N J 3"],
    bones: Float[Tensor, "B N J 3"],
    draw: "_Chance",
    config: PoseAugmentation,
    skeleton: Skeleton,
) -> Float[Tensor, "B N J 3"]:
    """Give a limb the directions of the same limb in the batch's next window, seen from the trunk it hangs on.

    Each window keeps its own bone lengths, and each limb moves smoothly because its donor did.
    """
    frames = {name: trunk_frame(joints, name, skeleton) for name in ("hip", "shoulder")}
    parts = (
        ("hip", skeleton.subtree("spine"), config.exchange_trunk),
        ("shoulder", skeleton.subtree("left_shoulder")[1:], config.exchange_arms),
        ("shoulder", skeleton.subtree("right_shoulder")[1:], config.exchange_arms),
        ("hip", skeleton.subtree("left_hip")[1:] + skeleton.subtree("right_hip")[1:], config.exchange_legs),
    )
    for frame, part, share in parts:
        turn = frames[frame] @ frames[frame].roll(1, 0).transpose(-1, -2)  # donor's axes -> ours
        donated = bones.roll(1, 0)[:, :, list(part)] @ turn.transpose(-1, -2)
        own = bones[:, :, list(part)]
        donated = F.normalize(donated, dim=-1) * own.norm(dim=-1, keepdim=True)
        bones = bones.clone()
        bones[:, :, list(part)] = torch.where(draw.share(share)[:, None, None, None], donated, own)
    return bones


def tilt_parts(
    bones: Float[Tensor, "B N J 3"], draw: "_Chance", config: PoseAugmentation, skeleton: Skeleton
) -> Float[Tensor, "B N J 3"]:
    """Turn trunk, head, arms and legs about their own first joints, by angles that change slowly over the window."""
    chosen = draw.share(config.tilt_limbs)
    sigma = math.radians(config.tilt_degrees)
    for start, strength in (
        ("spine", 0.6), ("neck", 0.8), ("left_elbow", 1.0), ("right_elbow", 1.0), ("left_wrist", 1.0),
        ("right_wrist", 1.0), ("left_knee", 0.9), ("right_knee", 0.9), ("left_ankle", 0.6), ("right_ankle", 0.6),
    ):  # fmt: skip
        part = list(skeleton.subtree(start))
        axis_angle = strength * sigma * draw.slow() * chosen[:, None, None]
        bones = bones.clone()
        bones[:, :, part] = bones[:, :, part] @ rotation(axis_angle).transpose(-1, -2)
    return bones


def make_legal(
    recorded: Float[Tensor, "B N J 3"],
    bones: Float[Tensor, "B N J 3"],
    draw: "_Chance",
    config: PoseAugmentation,
    skeleton: Skeleton,
) -> Float[Tensor, "B N J 3"]:
    """Draw changed windows back into the joints' ranges, unless the recordings they are made of leave them too."""
    own = ~illegal(recorded, skeleton=skeleton).flatten(1).any(1)
    changed = (bones - recorded).flatten(1).abs().amax(1) > 0
    chosen = own & own.roll(1) & changed & draw.share(config.legal)
    return torch.where(chosen[:, None, None, None], legal_bones(bones, skeleton), bones)


def rescale_bones(
    bones: Float[Tensor, "B N J 3"], draw: "_Chance", config: PoseAugmentation, skeleton: Skeleton
) -> Float[Tensor, "B N J 3"]:
    """Other proportions: one log-normal factor a bone and window, the same left and right."""
    batch = len(bones)
    log_scale = config.bone_scale * draw.normal(batch, skeleton.num_joints)
    hips = list(skeleton.indices("left_hip", "right_hip"))
    log_scale[:, hips] = config.hip_scale * draw.normal(batch, 1)
    log_scale[:, list(skeleton.right)] = log_scale[:, list(skeleton.left)]
    log_scale = log_scale + config.body_scale * draw.normal(batch, 1)
    return bones * log_scale.exp()[:, None, :, None]


def turn_body(bones: Float[Tensor, "B N J 3"], draw: "_Chance", config: PoseAugmentation) -> Float[Tensor, "B N J 3"]:
    """Lean the whole body a little, or, more rarely, turn it to any attitude."""
    batch = len(bones)
    lean = math.radians(config.lean_degrees) * draw.normal(batch, 3) * draw.share(config.lean)[:, None]
    any_turn = F.normalize(draw.normal(batch, 3), dim=-1) * math.pi * draw.uniform(batch, 1)
    axis_angle = torch.where(draw.share(config.topple)[:, None], any_turn, lean)
    return bones @ rotation(axis_angle)[:, None].transpose(-1, -2)


class _Chance:
    """One generator's draws, in the batch's dtype."""

    def __init__(
        self, generator: torch.Generator | None, like: Float[Tensor, "B N J 3"], fps: float | Float[Tensor, " B"] = 40.0
    ) -> None:
        self.generator, self.batch, self.like = generator, len(like), like
        rate = torch.as_tensor(fps, dtype=like.dtype, device=like.device).expand(self.batch)
        self.time_s = torch.arange(like.shape[1], dtype=like.dtype, device=like.device) / rate[:, None]

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=self.like.dtype, device=self.like.device)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, dtype=self.like.dtype, device=self.like.device)

    def share(self, share: float) -> Bool[Tensor, " B"]:
        return self.uniform(self.batch) < share

    def slow(self) -> Float[Tensor, "B N 3"]:
        """A constant and two sways, of up to 0.5 and 1.2 Hz; unit variance together."""
        angle = 0.8 * self.normal(self.batch, 1, 3)
        for hertz, size in ((0.5, 0.77), (1.2, 0.35)):
            phase = hertz * self.time_s * self.uniform(self.batch, 1) + self.uniform(self.batch, 1)
            angle = angle + size * (2 * math.pi * phase).sin()[..., None] * self.normal(self.batch, 1, 3)
        return angle
