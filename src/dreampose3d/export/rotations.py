"""From joint positions to a rigid skeleton that rotates: what BVH, MOT, glTF and USD hold.

A position says where a bone points (its *swing*), but not how it is turned about itself (its *twist*). The swing is
analytic: the least rotation from the bone's rest direction, in its parent's frame. The twist comes from where the body
shows it: pelvis and thorax from three points, thigh and upper arm from the plane in which knee and elbow bend. Where
a limb is straight it shows nothing, and the twist passes continuously from the frames before to those after.

Everything is relative to the parent, so facing away from the camera is nothing special. Where bones branch (pelvis,
thorax) each has a node of its own at its start, which lets every joint come back to its place whatever the angle
between the bones; the twist never moves a joint.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray
from scipy.linalg import solveh_banded
from scipy.spatial.transform import Rotation

from dreampose3d.motion.bones import estimate_lengths, with_lengths
from dreampose3d.motion.frames import unit
from dreampose3d.skeleton import H36M_17

_LEFT, _RIGHT = (1.0, 0.0, 0.0), (-1.0, 0.0, 0.0)
_UP, _DOWN = (0.0, 1.0, 0.0), (0.0, -1.0, 0.0)


@dataclass(frozen=True)
class _Bone:
    """A node of the rig: a place to turn, the joint it sits at, and the joint that it points to."""

    name: str
    parent: str
    joint: str
    to: str = ""
    """The joint at the bone's other end; none for the last of a chain."""
    rest: tuple[float, float, float] | None = None
    """Where the bone points in the T-pose; where it mostly points in its parent's frame, if none."""
    hinge: tuple[float, float, float] | None = None
    """In the T-pose, the axis about which the next joint of the limb bends."""
    bends_to: str = ""
    """The joint at the end of the limb, which shows by how much it bends."""


def _leg(side: str) -> tuple[_Bone, ...]:
    pelvis, hip, knee, ankle = (f"{side}_{name}" for name in ("pelvis", "hip", "knee", "ankle"))
    return (
        _Bone(pelvis, "pelvis", "pelvis", hip),
        _Bone(hip, pelvis, hip, knee, _DOWN, _LEFT, ankle),
        _Bone(knee, hip, knee, ankle, _DOWN),
        _Bone(ankle, knee, ankle),
    )


def _arm(side: str, out: tuple[float, float, float], elbow_axis: tuple[float, float, float]) -> tuple[_Bone, ...]:
    clavicle, shoulder, elbow, wrist = (f"{side}_{name}" for name in ("clavicle", "shoulder", "elbow", "wrist"))
    return (
        _Bone(clavicle, "thorax", "thorax", shoulder),
        _Bone(shoulder, clavicle, shoulder, elbow, out, elbow_axis, wrist),
        _Bone(elbow, shoulder, elbow, wrist, out),
        _Bone(wrist, elbow, wrist),
    )


_BONES = (
    _Bone("pelvis", "", "pelvis"),
    *_leg("right"),
    *_leg("left"),
    _Bone("lower_spine", "pelvis", "pelvis", "spine", _UP),
    _Bone("spine", "lower_spine", "spine", "thorax", _UP),
    _Bone("thorax", "spine", "thorax"),
    _Bone("lower_neck", "thorax", "thorax", "neck", _UP),
    _Bone("neck", "lower_neck", "neck", "head", _UP),
    _Bone("head", "neck", "head"),
    *_arm("left", _LEFT, _DOWN),
    *_arm("right", _RIGHT, _UP),
)
"""Depth first: each node is followed by all below it."""
_TRUNK = {
    "pelvis": ("right_hip", "left_hip", "pelvis", "spine"),
    "thorax": ("right_shoulder", "left_shoulder", "spine", "thorax"),
}
"""Three points each: right and left give the line across, the other two the way up."""

_LEAST_SINE = float(np.sin(np.radians(10)))
"""A limb that bends less than this shows no plane: what it seems to show is noise."""
_NEUTRAL = 1e-5
"""What the least rotation counts against the plane of a limb that bends by a right angle."""
_INERTIA = 0.02
"""What the twist's change from frame to frame counts against the same."""
_SPIN_LIMIT = np.radians(25)
"""The most that a bone turns about itself from one frame to the next."""
TIPS_MM = {
    "head": (0.0, 20.0, 0.0),
    "left_wrist": (80.0, 0.0, 0.0),
    "right_wrist": (-80.0, 0.0, 0.0),
    "left_ankle": (0.0, 0.0, 120.0),
    "right_ankle": (0.0, 0.0, 120.0),
}
"""Where a chain's last nodes end in the T-pose, such as fingers and toes: for the eye, not measured."""


@dataclass(frozen=True)
class Rig:
    """A rigid skeleton in a T-pose and its motion: y up, the rest pose facing +z, its left at +x; mm."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets_mm: Float[ndarray, "B 3"]
    """From its parent to each node in the rest pose; zero for a node that stands where its parent does."""
    root_mm: Float[ndarray, "N 3"]
    rotations: Float[ndarray, "N B 3 3"]
    """Of each node in its parent's frame; all identity is the T-pose."""
    error_mm: Float[ndarray, "N J"]
    """How far constant bones moved the joints that came in."""

    @cached_property
    def turned(self) -> Float[ndarray, "N B 3 3"]:
        """Each node's rotation in the world."""
        world = np.empty_like(self.rotations)
        for node, parent in enumerate(self.parents):
            own = self.rotations[:, node]
            world[:, node] = own if parent < 0 else world[:, parent] @ own
        return world

    @cached_property
    def positions_mm(self) -> Float[ndarray, "N B 3"]:
        """Each node's place in the world: forward kinematics."""
        places = np.empty((*self.rotations.shape[:2], 3))
        for node, parent in enumerate(self.parents):
            offset = self.offsets_mm[node]
            places[:, node] = self.root_mm if parent < 0 else places[:, parent] + self.turned[:, parent] @ offset
        return places

    @cached_property
    def rest_mm(self) -> Float[ndarray, "B 3"]:
        """Each node's place in the T-pose, the root at the origin."""
        places = np.zeros_like(self.offsets_mm)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                places[node] = places[parent] + self.offsets_mm[node]
        return places

    @cached_property
    def quaternions(self) -> Float[ndarray, "N B 4"]:
        """The rotations as (x, y, z, w), of which neighbouring frames never differ by a sign."""
        flat: ndarray = Rotation.from_matrix(self.rotations.reshape(-1, 3, 3)).as_quat()
        plain = flat.reshape(*self.rotations.shape[:2], 4)
        same = np.where((plain[1:] * plain[:-1]).sum(-1) < 0, -1.0, 1.0)
        plain[1:] *= np.cumprod(same, 0)[..., None]
        return plain

    def index(self, name: str) -> int:
        """The place of a node. Each of Human3.6M's joints is the node of its name."""
        return self.names.index(name)

    def euler_degrees(self, order: Literal["ZXY", "ZYX"]) -> Float[ndarray, "N B 3"]:
        """The rotations as angles about turning axes, in that order, continuous in time."""
        return np.stack([continuous_euler(self.rotations[:, node], order) for node in range(len(self.names))], 1)


def rig_of(joints_mm: Float[ndarray, "N J 3"]) -> Rig:
    """The rigid skeleton that moves as Human3.6M's joints do.

    Bones take their median length over the clip; a frame that differs becomes the nearest pose that has these lengths.

    Args:
        joints_mm: Joints in Human3.6M's order, mm, y up.

    Raises:
        ValueError: If there is no frame, or joined joints coincide, which leaves a bone without direction.
    """
    given = np.asarray(joints_mm, np.float64)
    rigid = with_lengths(given, estimate_lengths(given, H36M_17), H36M_17)
    place = {name: rigid[:, joint] for joint, name in enumerate(H36M_17.joints)}
    names = tuple(bone.name for bone in _BONES)
    parents = tuple(names.index(bone.parent) if bone.parent else -1 for bone in _BONES)
    local: list[ndarray] = []
    world: list[ndarray] = []
    vectors: list[ndarray] = []
    for bone, parent in zip(_BONES, parents, strict=True):
        above = world[parent] if parent >= 0 else _still(len(given))
        turn, vector = _posed(bone, {name: _seen_from(above, path) for name, path in place.items()})
        local.append(turn)
        world.append(above @ turn)
        vectors.append(vector)
    moves = [parent >= 0 and _BONES[parent].to == bone.joint for bone, parent in zip(_BONES, parents, strict=True)]
    offsets = np.array([vectors[parent] if far else np.zeros(3) for parent, far in zip(parents, moves, strict=True)])
    error = np.linalg.norm(rigid - given, axis=-1)
    return Rig(names, parents, offsets, place["pelvis"], np.stack(local, 1), error)


def continuous_euler(rotations: Float[ndarray, "N 3 3"], order: Literal["ZXY", "ZYX"]) -> Float[ndarray, "N 3"]:
    """Angles about turning axes, degrees; of all that give a rotation, those nearest to the frame before.

    The other solution of (a, b, c) is (a + 180, 180 - b, c + 180), and each angle may have full turns added. The first
    frame has -90 <= b <= 90.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # b = +-90: one of infinitely many solutions is as good as another
        plain: ndarray = Rotation.from_matrix(rotations).as_euler(order, degrees=True)
    other = plain * (1, -1, 1) + 180
    angles = plain.copy()
    for frame in range(1, len(plain)):
        before = angles[frame - 1]
        near, far = (choice - 360 * np.round((choice - before) / 360) for choice in (plain[frame], other[frame]))
        angles[frame] = near if abs(near - before).sum() <= abs(far - before).sum() else far
    return angles


def _posed(
    bone: _Bone, place: dict[str, Float[ndarray, "N 3"]]
) -> tuple[Float[ndarray, "N 3 3"], Float[ndarray, " 3"]]:
    """A bone's rotation, given the joints in its parent's frame; and its vector in the T-pose."""
    if bone.name in _TRUNK:
        right, left, low, high = (place[name] for name in _TRUNK[bone.name])
        if (left == right).all(-1).any():
            raise ValueError(f"expected {' and '.join(_TRUNK[bone.name][:2])} apart: they show where the body faces")
        return _turned(unit(left - right), np.array(_LEFT), np.array(_UP), unit(high - low), 0.0), np.zeros(3)
    if not bone.to:
        return _still(len(place[bone.joint])), np.zeros(3)
    vector = place[bone.to] - place[bone.joint]
    direction = unit(vector)
    rest = unit(np.median(direction, axis=0)) if bone.rest is None else np.array(bone.rest)
    if bone.hinge is None:
        turn = _turned(direction, rest, _perpendicular(rest), np.zeros_like(direction), 1.0)
    else:
        bend = np.cross(direction, unit(place[bone.bends_to] - place[bone.to]))
        turn = _turned(direction, rest, np.array(bone.hinge), bend, _NEUTRAL)
    return turn, float(np.linalg.norm(vector, axis=-1).mean()) * rest


def _turned(
    direction: Float[ndarray, "N 3"],
    rest: Float[ndarray, " 3"],
    axis: Float[ndarray, " 3"],
    shown: Float[ndarray, "N 3"],
    neutral: float,
) -> Float[ndarray, "N 3 3"]:
    """Rotations that take `rest` to `direction`, and `axis` as nearly to `shown` as may be without a jump.

    Args:
        direction: Unit vectors.
        rest: Where the bone points in the T-pose.
        axis: A unit vector across it.
        shown: Where that is seen to be; the longer, the surer.
        neutral: How sure it is that the bone does not turn about itself at all.
    """
    swing = _swing(np.broadcast_to(rest, direction.shape), direction)
    seen = _around(rest, axis, _seen_from(swing, shown))
    sure = np.maximum(abs(seen) - _LEAST_SINE, 0)
    unturned = neutral * (1 + direction @ rest) / 2  # the swing says nothing where it is half a turn
    evidence = sure * np.exp(1j * np.angle(seen)) + unturned
    carried = swing[1:].swapaxes(1, 2) @ _swing(direction[:-1], direction[1:]) @ swing[:-1]
    drift = np.cumsum(np.append(0.0, np.angle(_around(rest, axis, carried @ axis))))
    twist = drift + _steady(evidence * np.exp(-1j * drift))
    turned: ndarray = swing @ _rotation(rest, twist)
    return turned


def _steady(evidence: Complex[ndarray, " N"]) -> Float[ndarray, " N"]:
    """An angle for every frame: where the evidence points if it is strong, else on the way between such frames.

    Least squares of complex numbers (sure frames against change from frame to frame), of which it takes the angle. Then
    of all curves that never rise or fall faster than the limit, the one with the least greatest distance from it.
    """
    if len(evidence) == 1:  # which the solver takes no system of
        return np.asarray(np.angle(evidence))
    weight = abs(evidence)
    bands = np.zeros((2, len(evidence)))
    bands[0] = weight + 1e-9
    bands[0, 1:] += _INERTIA
    bands[0, :-1] += _INERTIA
    bands[1, :-1] = -_INERTIA
    smooth = solveh_banded(bands, evidence, lower=True)
    angle = np.unwrap(np.angle(smooth))
    steady: ndarray = (_ceiling(angle) - _ceiling(-angle)) / 2
    return steady


def _ceiling(angle: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
    """The lowest curve that is nowhere below and never steeper than the limit."""
    ramp = _SPIN_LIMIT * np.arange(len(angle))
    falling = np.maximum.accumulate(angle + ramp) - ramp
    rising = np.maximum.accumulate((angle - ramp)[::-1])[::-1] + ramp
    lowest: ndarray = np.maximum(falling, rising)
    return lowest


def _swing(start: Float[ndarray, "N 3"], end: Float[ndarray, "N 3"]) -> Float[ndarray, "N 3 3"]:
    """The least rotation between unit vectors: a half turn about the one, then one about the middle of both."""
    middle = start + end
    opposed = np.linalg.norm(middle, axis=-1, keepdims=True) < 1e-9
    middle = np.where(opposed, _perpendicular(start), middle)
    swing: ndarray = _half_turn(unit(middle)) @ _half_turn(start)
    return swing


def _half_turn(axis: Float[ndarray, "N 3"]) -> Float[ndarray, "N 3 3"]:
    turn: ndarray = 2 * axis[:, :, None] * axis[:, None] - np.eye(3)
    return turn


def _rotation(axis: Float[ndarray, " 3"], angle: Float[ndarray, " N"]) -> Float[ndarray, "N 3 3"]:
    turn: ndarray = Rotation.from_rotvec(angle[:, None] * axis).as_matrix()
    return turn


def _around(
    rest: Float[ndarray, " 3"], axis: Float[ndarray, " 3"], vectors: Float[ndarray, "N 3"]
) -> Complex[ndarray, " N"]:
    """Vectors as complex numbers in the plane across `rest`, in which `axis` is 1."""
    plane: ndarray = vectors @ axis + 1j * (vectors @ np.cross(rest, axis))
    return plane


def _seen_from(frame: Float[ndarray, "N 3 3"], vectors: Float[ndarray, "N 3"]) -> Float[ndarray, "N 3"]:
    """Vectors in the axes of a frame that is turned."""
    seen: ndarray = np.einsum("nij,ni->nj", frame, vectors)
    return seen


def _perpendicular(vectors: Float[ndarray, "*batch 3"]) -> Float[ndarray, "*batch 3"]:
    """Some unit vector across each."""
    return unit(np.cross(vectors, np.eye(3)[np.argmin(abs(vectors), axis=-1)]))


def _still(frames: int) -> Float[ndarray, "N 3 3"]:
    return np.broadcast_to(np.eye(3), (frames, 3, 3))
