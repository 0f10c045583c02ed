"""Which poses a body can take: ranges of the joints, and a projection that brings a pose back into them.

A bone is judged as it is seen from what it hangs on. Its direction is a point of a plane: how far it is turned from a
middle direction, and to which side (the exponential map). A joint's range is a region of that plane; what lies
outside is drawn back to its edge, and the bone turns with all that hangs on it. Drawing back is a continuous function
of the pose, so a motion that was smooth stays whole.

Positions do not show how a thigh or an upper arm is turned about itself. The plane of a bent knee or elbow tells it:
the bone's own axes are the trunk's, swung by the shortest way from the middle direction to the bone, and the joint
below may bend only so far from its own direction as the hip or shoulder can turn.

Ranges: American Academy of Orthopaedic Surgeons (1965) and Norkin & White (2016), widened where motion capture of
dance and acrobatics goes further; `docs/data-engine.md` states how much of it is inside.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from dreampose3d.data.body import from_bones, rotation, swing, trunk_frame
from dreampose3d.skeleton import H36M_17, Skeleton


class Ball(NamedTuple):
    """A joint that moves in all directions. Directions and sides are of a left limb: left is outward."""

    joint: str
    """The end of the bone."""
    frame: str
    """The trunk's part it hangs on: `hip` or `shoulder`."""
    middle: tuple[float, float, float]
    """Left, up, forward."""
    ahead: float
    """Degrees that it goes from the middle: forward (flexion), or up where the middle is not vertical."""
    back: float
    out: float
    inward: float


class Hinge(NamedTuple):
    """A joint that bends one way, below a ball joint that may turn the way about."""

    joint: str
    above: str
    """The ball joint's bone that it hangs on."""
    bend: tuple[float, float, float]
    """Where it bends to when that bone is in its middle, halfway between what the turn of the joint above allows."""
    flexion: float
    """Degrees."""
    turn: float
    """Degrees to both sides of `bend`, less than 90."""
    behind: float
    """Degrees that it may be bent the wrong way."""


class Limits(NamedTuple):
    """A body's ranges."""

    balls: tuple[Ball, ...]
    hinges: tuple[Hinge, ...]
    twist: float
    """Degrees of the shoulders' line against the hips'."""


HUMAN = Limits(
    balls=(
        # thoracolumbar spine: flexion 80, extension 25, 35 to each side
        Ball("thorax", "hip", (0, 1, 0), 85, 40, 35, 35),
        # neck: 45 to all sides; the chin adds to it
        Ball("neck", "shoulder", (0, 1, 0), 55, 50, 35, 35),
        Ball("head", "shoulder", (0, 1, 0), 75, 65, 45, 45),
        # hip: flexion 120, extension 30, abduction 45, adduction 30; bent, as in sitting cross-legged, twice that aside
        Ball("knee", "hip", (0, -1, 0), 135, 45, 100, 60),
        # shoulder: flexion and abduction 180, extension 60, across the body 45 beyond straight ahead
        Ball("elbow", "shoulder", (1, -1, 1), 125, 85, 110, 95),
    ),
    hinges=(
        # knee: flexion 135, 20 more in a squat; hip turned by 45 to both sides, more when it is bent
        Hinge("ankle", "knee", (-0.34, 0, -0.94), 158, 68, 8),
        # elbow: flexion 150; shoulder turned in by 70 and out by 90
        Hinge("wrist", "elbow", (-0.25, 0.55, 0.8), 152, 86, 12),
    ),
    twist=55,
)
_SOFT = 0.9
"""Share of a range from which on it resists: so speed does not jump at an edge."""


def legal_bones(bones: Float[Tensor, "B N J 3"], skeleton: Skeleton = H36M_17) -> Float[Tensor, "B N J 3"]:
    """Draw what no body can do back to the edge of what it can: see this module's docstring.

    Vectors from the parent, any unit, z up or not: the trunk's own axes count. Lengths stay.
    """
    spine, *balls = HUMAN.balls
    bones = _untwist(_within(bones, spine, "", skeleton), skeleton)
    for ball in balls:
        for side in _sides(ball.joint, skeleton):
            bones = _within(bones, ball, side, skeleton)
    for hinge in HUMAN.hinges:
        for side in _sides(hinge.joint, skeleton):
            bones = _bend(bones, hinge, side, skeleton)
    return bones


def illegal(
    bones: Float[Tensor, "B N J 3"], tolerance_degrees: float = 5.0, skeleton: Skeleton = H36M_17
) -> Bool[Tensor, "B N J"]:
    """Bones that are outside of their range by more than a tolerance."""
    excess = torch.zeros_like(bones[..., 0])
    for ball in HUMAN.balls:
        for side in _sides(ball.joint, skeleton):
            point, _ = _seen(bones, ball, side, skeleton)
            beyond = point.norm(dim=-1) * (1 - 1 / _share_of_range(point, ball).clamp(min=1))
            excess[..., skeleton.index(side + ball.joint)] = beyond
    for hinge in HUMAN.hinges:
        for side in _sides(hinge.joint, skeleton):
            point, _ = _seen_from_limb(bones, hinge, side, skeleton)
            sideways = (point - _in_wedge(point, hinge)).norm(dim=-1)
            beyond = point.norm(dim=-1) - math.radians(hinge.flexion)
            excess[..., skeleton.index(side + hinge.joint)] = torch.maximum(sideways, beyond)
    thorax = skeleton.index("thorax")
    twisted = _twist(_joints(bones, skeleton), skeleton).abs() - math.radians(HUMAN.twist)
    excess[..., thorax] = torch.maximum(excess[..., thorax], twisted)
    return excess > math.radians(tolerance_degrees)


def middle_axes(middle: Sequence[float], ahead: Sequence[float], like: Tensor, side: str) -> Float[Tensor, "3 3"]:
    """A plane's axes as rows, in the trunk's axes: outward, ahead, and the middle direction itself."""
    m = F.normalize(like.new_tensor(middle), dim=0)
    a = like.new_tensor(ahead)
    a = F.normalize(a - (a @ m) * m, dim=0)
    out = torch.linalg.cross(a, m)
    axes = torch.stack((out if out[0] > 0 else -out, a, m))
    return axes * like.new_tensor((-1, 1, 1)) if side == "right_" else axes


def to_point(direction: Float[Tensor, "*batch 3"], axes: Float[Tensor, "3 3"]) -> Float[Tensor, "*batch 2"]:
    """The direction as a point of the plane: radians outward and ahead of the middle."""
    seen = direction @ axes.T
    angle = torch.atan2(seen[..., :2].norm(dim=-1), seen[..., 2])
    return F.normalize(seen[..., :2], dim=-1) * angle[..., None]


def to_direction(point: Float[Tensor, "*batch 2"], axes: Float[Tensor, "3 3"]) -> Float[Tensor, "*batch 3"]:
    """The inverse of `to_point`."""
    angle = point.norm(dim=-1, keepdim=True)
    return torch.cat((F.normalize(point, dim=-1) * angle.sin(), angle.cos()), -1) @ axes


def ball_axes(ball: Ball, like: Tensor, side: str) -> Float[Tensor, "3 3"]:
    """The axes of a ball joint's plane."""
    return middle_axes(ball.middle, (0, 0, 1) if ball.middle[0] == 0 else (0, 1, 0), like, side)


def hinge_axes(hinge: Hinge, like: Tensor, side: str) -> Float[Tensor, "3 3"]:
    """The axes of a hinge's plane, in the trunk's axes while the bone above is in its middle; ahead is the bend."""
    return middle_axes(ball_above(hinge).middle, hinge.bend, like, side)


def ball_above(hinge: Hinge) -> Ball:
    """The joint whose bone a hinge hangs on."""
    return next(ball for ball in HUMAN.balls if ball.joint == hinge.above)


def _sides(joint: str, skeleton: Skeleton) -> tuple[str, ...]:
    return ("",) if joint in skeleton.joints else ("left_", "right_")


def _joints(bones: Float[Tensor, "B N J 3"], skeleton: Skeleton) -> Float[Tensor, "B N J 3"]:
    return from_bones(torch.zeros_like(bones[..., :1, :]), bones, skeleton)


def _seen(
    bones: Float[Tensor, "B N J 3"], ball: Ball, side: str, skeleton: Skeleton
) -> tuple[Float[Tensor, "B N 2"], Float[Tensor, "B N 3 3"]]:
    """A ball joint's bone as a point of its plane, and the trunk's axes that it is seen in."""
    frame = trunk_frame(_joints(bones, skeleton), ball.frame, skeleton)
    bone = F.normalize(bones[:, :, skeleton.index(side + ball.joint)], dim=-1)
    return to_point((bone[..., None, :] @ frame)[..., 0, :], ball_axes(ball, bones, side)), frame


def _share_of_range(point: Float[Tensor, "*batch 2"], ball: Ball) -> Float[Tensor, "*batch"]:
    """1 on the edge of the range: a square with round corners, a quarter for each pair of sides."""
    out, ahead = torch.rad2deg(point).unbind(-1)
    across = out / torch.where(out > 0, ball.out, ball.inward)
    along = ahead / torch.where(ahead > 0, ball.ahead, ball.back)
    return (across**4 + along**4) ** 0.25


def _pressed(share: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The same below `_SOFT`, never beyond 1 above, with a slope that does not jump."""
    return torch.where(share > _SOFT, _SOFT + (1 - _SOFT) * torch.tanh((share - _SOFT) / (1 - _SOFT)), share)


def _within(bones: Float[Tensor, "B N J 3"], ball: Ball, side: str, skeleton: Skeleton) -> Float[Tensor, "B N J 3"]:
    point, frame = _seen(bones, ball, side, skeleton)
    share = _share_of_range(point, ball).clamp(min=1e-6)
    drawn = to_direction(point * (_pressed(share) / share)[..., None], ball_axes(ball, bones, side))
    return _point_at(bones, side + ball.joint, (frame @ drawn[..., None])[..., 0], skeleton)


def _point_at(
    bones: Float[Tensor, "B N J 3"], joint: str, direction: Float[Tensor, "B N 3"], skeleton: Skeleton
) -> Float[Tensor, "B N J 3"]:
    """Turn a bone, and all that hangs on it, to a direction."""
    before = F.normalize(bones[:, :, skeleton.index(joint)], dim=-1)
    return _turned(bones, list(skeleton.subtree(joint)), swing(before, direction))


def _turned(bones: Float[Tensor, "B N J 3"], part: list[int], turn: Float[Tensor, "B N 3 3"]) -> Tensor:
    bones = bones.clone()
    bones[:, :, part] = bones[:, :, part] @ turn.transpose(-1, -2)
    return bones


def _seen_from_limb(
    bones: Float[Tensor, "B N J 3"], hinge: Hinge, side: str, skeleton: Skeleton
) -> tuple[Float[Tensor, "B N 2"], Float[Tensor, "B N 3 3"]]:
    """A hinge's bone as a point of its plane, and the axes of the limb above it."""
    ball = ball_above(hinge)
    trunk = trunk_frame(_joints(bones, skeleton), ball.frame, skeleton)
    above = F.normalize(bones[:, :, skeleton.index(side + hinge.above)], dim=-1)
    middle = ball_axes(ball, bones, side)[2]
    frame = trunk @ swing(middle.expand_as(above), (above[..., None, :] @ trunk)[..., 0, :])
    bone = F.normalize(bones[:, :, skeleton.index(side + hinge.joint)], dim=-1)
    return to_point((bone[..., None, :] @ frame)[..., 0, :], hinge_axes(hinge, bones, side)), frame


def _in_wedge(point: Float[Tensor, "*batch 2"], hinge: Hinge) -> Float[Tensor, "*batch 2"]:
    """The nearest point that is bent no farther than `turn` to either side, nor backwards by more than `behind`."""
    behind, turn = math.radians(hinge.behind), math.radians(hinge.turn)
    side, bent = point[..., 0], point[..., 1] + behind
    edge = torch.stack((side.sign() * math.sin(turn), torch.full_like(side, math.cos(turn))), -1)
    along = (side * edge[..., 0] + bent * edge[..., 1]).clamp(min=0)
    inside = torch.atan2(side.abs(), bent) <= turn
    drawn = torch.where(inside[..., None], torch.stack((side, bent), -1), along[..., None] * edge)
    return drawn - point.new_tensor((0, behind))


def _bend(bones: Float[Tensor, "B N J 3"], hinge: Hinge, side: str, skeleton: Skeleton) -> Float[Tensor, "B N J 3"]:
    point, frame = _seen_from_limb(bones, hinge, side, skeleton)
    point = _in_wedge(point, hinge)
    share = (point.norm(dim=-1) / math.radians(hinge.flexion)).clamp(min=1e-6)
    drawn = to_direction(point * (_pressed(share) / share)[..., None], hinge_axes(hinge, bones, side))
    return _point_at(bones, side + hinge.joint, (frame @ drawn[..., None])[..., 0], skeleton)


def _twist(joints: Float[Tensor, "B N J 3"], skeleton: Skeleton) -> Float[Tensor, "B N"]:
    """By how much the shoulders' line is turned against the hips', about the chest's axis."""
    left, right = skeleton.indices("left_hip", "right_hip")
    hips = (joints[:, :, left] - joints[:, :, right])[..., None, :] @ trunk_frame(joints, "shoulder", skeleton)
    return torch.atan2(hips[..., 0, 2], hips[..., 0, 0])


def _untwist(bones: Float[Tensor, "B N J 3"], skeleton: Skeleton) -> Float[Tensor, "B N J 3"]:
    joints = _joints(bones, skeleton)
    twist = _twist(joints, skeleton)
    share = (twist.abs() / math.radians(HUMAN.twist)).clamp(min=1e-6)
    back = twist * (1 - _pressed(share) / share)
    up = trunk_frame(joints, "shoulder", skeleton)[..., 1]
    return _turned(bones, list(skeleton.subtree("thorax"))[1:], rotation(-back[..., None] * up))
