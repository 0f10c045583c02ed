"""Motion that nobody made: smooth random joint angles within what joints can do, on the bones of a recorded body.

Each angle is a constant of the window and a sum of sinusoids between a tenth of a hertz and two, slower ones larger;
it is squashed into its range (`anatomy`). So every pose of the ranges is shown, floor poses too, and no recording is
needed for it [ours].
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dreampose3d.data.anatomy import HUMAN, Ball, Hinge, ball_above, ball_axes, hinge_axes, to_direction
from dreampose3d.data.body import from_bones, rotation, swing, trunk_frame
from dreampose3d.skeleton import Skeleton


class Habit(NamedTuple):
    """Where a joint is in its range in the mean (-1 to 1), and by how much that varies."""

    out: tuple[float, float]
    ahead: tuple[float, float]


HABITS = {
    "thorax": Habit((0.0, 0.25), (0.1, 0.3)),
    "neck": Habit((0.0, 0.3), (0.1, 0.3)),
    "head": Habit((0.0, 0.3), (0.1, 0.3)),
    "knee": Habit((0.1, 0.25), (0.2, 0.35)),
    "elbow": Habit((0.0, 0.4), (-0.35, 0.45)),
    "ankle": Habit((0.0, 0.3), (-0.6, 0.45)),
    "wrist": Habit((0.0, 0.45), (-0.3, 0.5)),
}
"""Legs hang a little bent and spread, arms low: most people stand most of the time. Hinges: the turn of the joint
above, and flexion from none (-1) to all (1)."""
LYING = 0.25
"""Share of bodies turned to any attitude: on the floor, on hands and knees, head down."""
FLOOR_MM = 80.0
"""Height of the lowest joint: an ankle's over the ground."""


def invent_motion(
    recorded: Float[Tensor, "B N J 3"],
    bones: Float[Tensor, "B N J 3"],
    time_s: Float[Tensor, "B N"],
    generator: torch.Generator | None,
    skeleton: Skeleton,
) -> tuple[Float[Tensor, "B N J 3"], Float[Tensor, "B N 1 3"]]:
    """Another motion for each window's body.

    Args:
        recorded: Joints of the windows; they give the trunk's shape.
        bones: Their vectors from the parent; they give the lengths.
        time_s: Of the frames.
        generator: Where randomness comes from.
        skeleton: The joints.

    Returns:
        New bones, and a path of the root on which the lowest joint stays near the floor (z = 0).
    """
    smooth = _Smooth(bones, time_s, generator)
    pelvis = _attitude(smooth)
    direction = torch.zeros_like(bones)

    def put(joint: str, frame: Float[Tensor, "B N 3 3"], local: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 3"]:
        made = (frame @ local[..., None])[..., 0]
        direction[:, :, skeleton.index(joint)] = made
        return made

    put("spine", pelvis, bones.new_tensor((0, 1, 0)).expand_as(bones[:, :, 0]))
    balls = {ball.joint: ball for ball in HUMAN.balls}
    thorax = _ball(balls["thorax"], "", smooth)
    put("thorax", pelvis, thorax)
    up = bones.new_tensor((0, 1, 0)).expand_as(thorax)
    twist = math.radians(0.5 * HUMAN.twist) * smooth.angle(0.0, 0.5)
    chest = pelvis @ swing(up, thorax) @ rotation(twist[..., None] * up)
    for part, frame in (("hip", pelvis), ("shoulder", chest)):
        seen = trunk_frame(recorded, part, skeleton)
        for side in ("left_", "right_"):
            own = bones[:, :, skeleton.index(side + part), None] @ seen
            put(side + part, frame, F.normalize(own.mean(1)[:, 0], dim=-1)[:, None].expand_as(thorax))
    neck = _ball(balls["neck"], "", smooth)
    put("neck", chest, neck)
    put("head", chest, F.normalize(neck + 0.3 * _ball(balls["head"], "", smooth), dim=-1))
    for hinge in HUMAN.hinges:
        ball = ball_above(hinge)
        frame = pelvis if ball.frame == "hip" else chest
        for side in ("left_", "right_"):
            limb = _ball(ball, side, smooth)
            put(side + ball.joint, frame, limb)
            middle = ball_axes(ball, bones, side)[2].expand_as(limb)
            put(side + hinge.joint, frame @ swing(middle, limb), _hinge(hinge, side, smooth))
    made = direction * bones.norm(dim=-1, keepdim=True).mean(1, keepdim=True)
    return made, _path(made, smooth, skeleton)


def _ball(ball: Ball, side: str, smooth: "_Smooth") -> Float[Tensor, "B N 3"]:
    """A smooth random direction within a ball joint's range, in the axes of its trunk part."""
    habit = HABITS[ball.joint]
    out, ahead = smooth.angle(*habit.out), smooth.angle(*habit.ahead)
    across = out * torch.where(out > 0, ball.out, ball.inward)
    along = ahead * torch.where(ahead > 0, ball.ahead, ball.back)
    return to_direction(0.8 * torch.deg2rad(torch.stack((across, along), -1)), ball_axes(ball, out, side))


def _hinge(hinge: Hinge, side: str, smooth: "_Smooth") -> Float[Tensor, "B N 3"]:
    """A smooth random direction within a hinge's range, in the axes of the limb above."""
    habit = HABITS[hinge.joint]
    turn = 0.7 * math.radians(hinge.turn) * smooth.angle(*habit.out)
    flexion = math.radians(hinge.flexion) * (0.5 + 0.5 * smooth.angle(*habit.ahead))
    point = torch.stack((flexion * turn.sin(), flexion * turn.cos()), -1)
    return to_direction(point, hinge_axes(hinge, turn, side))


def _attitude(smooth: "_Smooth") -> Float[Tensor, "B N 3 3"]:
    """The pelvis' axes (left, up, forward) in the world: mostly upright, facing anywhere, swaying."""
    upright = smooth.like.new_tensor(((1.0, 0, 0), (0, 0, -1), (0, 1, 0)))  # rows: world x, y, z
    heading = torch.zeros_like(smooth.like[:, :, 0])
    heading[..., 2] = 2 * math.pi * smooth.uniform(1) + 0.6 * smooth.sway()
    tilt = 0.3 * torch.stack([smooth.angle(0.0, 0.7) for _ in range(3)], -1)
    fallen = F.normalize(smooth.normal(1, 3), dim=-1) * math.pi * smooth.uniform(1)[..., None]
    lying = (smooth.uniform(1) < LYING)[..., None]
    return rotation(heading) @ rotation(torch.where(lying, fallen, 0.0).expand_as(tilt)) @ rotation(tilt) @ upright


def _path(bones: Float[Tensor, "B N J 3"], smooth: "_Smooth", skeleton: Skeleton) -> Float[Tensor, "B N 1 3"]:
    """Somewhere on the floor: up and down with the lowest joint, sideways slowly."""
    joints = from_bones(torch.zeros_like(bones[:, :, :1]), bones, skeleton)
    height = FLOOR_MM - joints[..., 2].amin(-1)
    speed = 300 * smooth.uniform(1)
    return torch.stack((speed * smooth.sway(), speed * smooth.sway(), height), -1)[:, :, None]


class _Smooth:
    """Random processes over the windows of a batch, each window with a vigour of its own."""

    def __init__(
        self, like: Float[Tensor, "B N J 3"], time_s: Float[Tensor, "B N"], generator: torch.Generator | None
    ) -> None:
        self.like, self.time_s, self.generator = like, time_s, generator
        self.vigour = 0.15 + self.uniform(1)

    def normal(self, *shape: int) -> Tensor:
        shape = (len(self.like), *shape)
        return torch.randn(shape, generator=self.generator, dtype=self.like.dtype, device=self.like.device)

    def uniform(self, *shape: int) -> Tensor:
        shape = (len(self.like), *shape)
        return torch.rand(shape, generator=self.generator, dtype=self.like.dtype, device=self.like.device)

    def sway(self) -> Float[Tensor, "B N"]:
        """Three sinusoids of 0.1 to 2 Hz, about unit variance, slow ones larger."""
        hertz = 0.1 * 20 ** self.uniform(3)
        phase = 2 * math.pi * (hertz[:, None] * self.time_s[..., None] + self.uniform(1, 3))
        size = self.normal(3) / (1 + hertz)
        return (size[:, None] * phase.sin()).sum(-1)

    def angle(self, mean: float, spread: float) -> Float[Tensor, "B N"]:
        """A share of a range, within (-1, 1)."""
        return torch.tanh(mean + spread * (0.8 * self.normal(1) + self.vigour * self.sway()))
