"""Joint angles from joint centres, with a stated sign, zero and range (docs/angles.md has the table).

After the recommendations of the International Society of Biomechanics as far as joint centres go: hip and trunk as
rotations Z-X-Y of one segment against the other, shoulder as Y-X-Y (plane of elevation, elevation, rotation), the
pelvis against the vertical as rotation, obliquity, tilt. What joint centres do not define has no number: no ankle
without a foot, no rotation of forearm and head. Neither do they define the axis of a limb bent less than 20 degrees,
nor does an angle about an axis exist for what points along it (within 20 degrees): NaN in these frames.

Angles of the left side have the signs of the right one: a mirror swaps left and right values and turns over the sign of
those that lean or turn the trunk, head and pelvis to one side.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from dreampose3d.motion.frames import (
    LEAST_BEND,
    Side,
    bend,
    pelvis_axes,
    thigh_axes,
    thorax_axes,
    unit,
    upper_arm_axes,
)
from dreampose3d.skeleton import Skeleton

Degrees = TypeVar("Degrees", float, ndarray)

_MIRROR = np.diag((1.0, 1.0, -1.0))
_LEAST_SINE = float(np.sin(LEAST_BEND))


@dataclass(frozen=True)
class Angle:
    """What an angle means. Without a side in its name it belongs to the trunk, head or pelvis."""

    name: str
    """Of its column, with the unit; left and right angles have `left_` or `right_` before it."""
    definition: str
    positive: str
    zero: str
    range_degrees: tuple[float, float]
    """Before unwrapping over time."""
    source: str
    both_sides: bool = False
    sideways: bool = False
    """Whether a mirror turns over its sign."""
    needs_up: bool = False


_ISB_2002, _ISB_2005 = "ISB, Wu et al. 2002", "ISB, Wu et al. 2005"

ANGLES = (
    Angle("hip_flexion_deg", "thigh against pelvis, first of Z-X-Y", "knee forward", "thigh along the pelvis's axis",
          (-180, 180), _ISB_2002, both_sides=True),
    Angle("hip_adduction_deg", "thigh against pelvis, second of Z-X-Y", "knee towards the other leg",
          "thigh square to the hip line", (-90, 90), _ISB_2002, both_sides=True),
    Angle("hip_rotation_deg", "thigh against pelvis, third of Z-X-Y; none while the knee is nearly straight",
          "internal", "knee bends straight back", (-180, 180), _ISB_2002, both_sides=True),
    Angle("knee_flexion_deg", "between thigh and shin", "bent", "straight; overstretching shows as bending",
          (0, 180), _ISB_2002, both_sides=True),
    Angle("shoulder_plane_deg", "plane of elevation of the upper arm against the thorax, first of Y-X-Y; none within "
          "20 degrees of straight up or down", "in front", "out to the side", (-180, 180), _ISB_2005, both_sides=True),
    Angle("shoulder_elevation_deg", "upper arm from hanging down along the thorax, second of Y-X-Y (ISB counts it "
          "negative)", "raised", "hanging", (0, 180), _ISB_2005, both_sides=True),
    Angle("shoulder_external_rotation_deg", "of the upper arm, third of Y-X-Y (ISB counts internal positive); none "
          "while the elbow is bent less than 20 degrees or the arm within 20 degrees of straight up or down",
          "external", "arm out to the side, forearm pointing forward; 90: forearm up", (-180, 180), _ISB_2005,
          both_sides=True),
    Angle("elbow_flexion_deg", "between upper arm and forearm", "bent", "straight", (0, 180), _ISB_2005,
          both_sides=True),
    Angle("trunk_flexion_deg", "thorax against pelvis, first of Z-X-Y", "bent forward", "axes in line", (-180, 180),
          _ISB_2002),
    Angle("trunk_side_bend_deg", "thorax against pelvis, second of Z-X-Y", "bent to the right", "axes in line",
          (-90, 90), _ISB_2002, sideways=True),
    Angle("trunk_rotation_deg", "thorax against pelvis, third of Z-X-Y", "turned to the left", "axes in line",
          (-180, 180), _ISB_2002, sideways=True),
    Angle("hip_shoulder_separation_deg", "from the hip line to the shoulder line, seen along the line from pelvis to "
          "thorax", "shoulders turned to the left of the hips", "lines parallel", (-180, 180),
          "usual in baseball and golf", sideways=True),
    Angle("head_flexion_deg", "line from neck to head against the thorax", "bent forward", "in line; an "
          "upright head has another value in each convention of neck and head", (-180, 180), "ours"),
    Angle("head_side_bend_deg", "line from neck to head against the thorax", "bent to the right", "in line", (-90, 90),
          "ours", sideways=True),
    Angle("pelvis_tilt_deg", "pelvis against the vertical, third of rotation, obliquity, tilt", "anterior: top forward",
          "axis in the vertical plane of the hips", (-180, 180), "Baker 2001", needs_up=True),
    Angle("pelvis_obliquity_deg", "pelvis against the vertical, second of rotation, obliquity, tilt", "right hip up",
          "hips level", (-90, 90), "Baker 2001", sideways=True, needs_up=True),
    Angle("pelvis_rotation_deg", "hip line about the vertical, first of rotation, obliquity, tilt",
          "turned to the left", "the clip's first frame", (-180, 180), "Baker 2001", sideways=True, needs_up=True),
    Angle("trunk_tilt_deg", "line from pelvis to thorax against the vertical", "away from the vertical", "upright",
          (0, 180), "usual in baseball and gait", needs_up=True),
    Angle("trunk_forward_tilt_deg", "the same, in the vertical plane that the thorax faces", "leaning forward",
          "upright", (-180, 180), "usual in baseball and gait", needs_up=True),
    Angle("trunk_side_tilt_deg", "the same, in the vertical plane across", "leaning to the right", "upright",
          (-180, 180), "usual in baseball and gait", sideways=True, needs_up=True),
)  # fmt: skip
"""Every angle, in the order of the columns."""


def joint_angles(
    joints_mm: Float[ndarray, "N J 3"], skeleton: Skeleton, up: Float[ndarray, " 3"] | None = None
) -> dict[str, Float[ndarray, " N"]]:
    """All angles of a motion, as `ANGLES` defines them.

    Args:
        joints_mm: Joints in any right-handed frame, mm.
        skeleton: Whose joints; it needs Human3.6M's names.
        up: The vertical in that frame. Without it, the angles against the vertical are left out.

    Returns:
        Name -> degrees, unwrapped over time: an angle that passes 180 goes on to 190. NaN in frames without one.

    Raises:
        ValueError: If a joint is missing from the skeleton, the joint count is not its own, or up is no direction.
    """
    if joints_mm.shape[1] != skeleton.num_joints:
        raise ValueError(f"expected {skeleton.num_joints} joints ({skeleton.name}), got {joints_mm.shape[1]}")
    pelvis, thorax = pelvis_axes(joints_mm, skeleton), thorax_axes(joints_mm, skeleton)
    angles: dict[str, Float[ndarray, " N"]] = {}
    sides: tuple[Side, Side] = ("right", "left")
    for side in sides:
        angles |= _leg(joints_mm, skeleton, pelvis, side) | _arm(joints_mm, skeleton, thorax, side)
    angles |= _trunk(joints_mm, skeleton, pelvis, thorax)
    if up is not None:
        if up.shape != (3,) or not np.linalg.norm(up) > 0:
            raise ValueError(f"expected up as three numbers that are not all 0, got {up.tolist()}")
        angles |= _against_vertical(joints_mm, skeleton, pelvis, thorax, unit(np.asarray(up, np.float64)))
    return {name: _unwrapped(np.degrees(angles[name])) for name in angle_names(with_up=up is not None)}


def angle_names(with_up: bool) -> tuple[str, ...]:
    """The columns of `joint_angles`, in order: those of both sides first, right before left."""
    chosen = [angle for angle in ANGLES if with_up or not angle.needs_up]
    paired = [f"{side}_{angle.name}" for side in ("right", "left") for angle in chosen if angle.both_sides]
    return (*paired, *(angle.name for angle in chosen if not angle.both_sides))


def within_a_turn(degrees: Degrees, lowest: float = -180.0) -> Degrees:
    """The same angles between `lowest` and `lowest` + 360 degrees: for single moments, where turns do not count."""
    return (degrees - lowest) % 360 + lowest


def _leg(
    joints: Float[ndarray, "N J 3"], skeleton: Skeleton, pelvis: Float[ndarray, "N 3 3"], side: Side
) -> dict[str, Float[ndarray, " N"]]:
    """R = Rz(flexion) Rx(adduction) Ry(rotation): minus its second column is where the thigh points."""
    hip, knee, ankle = (joints[:, skeleton.index(f"{side}_{joint}")] for joint in ("hip", "knee", "ankle"))
    points = _seen_from(pelvis, unit(knee - hip)[..., None], side)[..., 0]
    turn = _seen_from(pelvis, thigh_axes(joints, skeleton, side), side)
    return {
        f"{side}_hip_flexion_deg": _atan2(points[:, 0], -points[:, 1]),
        f"{side}_hip_adduction_deg": _asin(-points[:, 2]),
        f"{side}_hip_rotation_deg": _atan2(-turn[:, 2, 0], turn[:, 2, 2]),
        f"{side}_knee_flexion_deg": bend(knee - hip, ankle - knee),
    }


def _arm(
    joints: Float[ndarray, "N J 3"], skeleton: Skeleton, thorax: Float[ndarray, "N 3 3"], side: Side
) -> dict[str, Float[ndarray, " N"]]:
    """R = Ry(plane) Rx(-elevation) Ry(-external): minus its second column is where the arm points."""
    shoulder, elbow, wrist = (joints[:, skeleton.index(f"{side}_{joint}")] for joint in ("shoulder", "elbow", "wrist"))
    points = _seen_from(thorax, unit(elbow - shoulder)[..., None], side)[..., 0]
    turn = _seen_from(thorax, upper_arm_axes(joints, skeleton, side), side)
    return {
        f"{side}_shoulder_plane_deg": _atan2(points[:, 0], points[:, 2]),
        f"{side}_shoulder_elevation_deg": np.arccos(np.clip(-points[:, 1], -1, 1)),
        f"{side}_shoulder_external_rotation_deg": _atan2(turn[:, 1, 0], turn[:, 1, 2]),
        f"{side}_elbow_flexion_deg": bend(elbow - shoulder, wrist - elbow),
    }


def _trunk(
    joints: Float[ndarray, "N J 3"],
    skeleton: Skeleton,
    pelvis: Float[ndarray, "N 3 3"],
    thorax: Float[ndarray, "N 3 3"],
) -> dict[str, Float[ndarray, " N"]]:
    """Thorax against pelvis, R = Rz(-flexion) Rx(side bend) Ry(rotation); head against thorax."""
    turn = pelvis.swapaxes(-1, -2) @ thorax
    neck, head = (joints[:, skeleton.index(joint)] for joint in ("neck", "head"))
    crown = (thorax.swapaxes(-1, -2) @ unit(head - neck)[..., None])[..., 0]
    return {
        "trunk_flexion_deg": _atan2(turn[:, 0, 1], turn[:, 1, 1]),
        "trunk_side_bend_deg": _asin(turn[:, 2, 1]),
        "trunk_rotation_deg": _atan2(-turn[:, 2, 0], turn[:, 2, 2]),
        "hip_shoulder_separation_deg": _separation(joints, skeleton),
        "head_flexion_deg": _atan2(crown[:, 0], crown[:, 1]),
        "head_side_bend_deg": _asin(crown[:, 2]),
    }


def _separation(joints: Float[ndarray, "N J 3"], skeleton: Skeleton) -> Float[ndarray, " N"]:
    at = {name: joints[:, joint].astype(np.float64) for joint, name in enumerate(skeleton.joints)}
    axis = unit(at["thorax"] - at["pelvis"])
    return _angle_about(axis, at["right_hip"] - at["left_hip"], at["right_shoulder"] - at["left_shoulder"])


def _against_vertical(
    joints: Float[ndarray, "N J 3"],
    skeleton: Skeleton,
    pelvis: Float[ndarray, "N 3 3"],
    thorax: Float[ndarray, "N 3 3"],
    up: Float[ndarray, " 3"],
) -> dict[str, Float[ndarray, " N"]]:
    """Tilt and obliquity: where the vertical is in the pelvis's axes. The trunk's tilt is split as the thorax faces."""
    vertical = up @ pelvis
    low, high = (joints[:, skeleton.index(joint)] for joint in ("pelvis", "thorax"))
    trunk = unit((high - low).astype(np.float64))
    right = unit(thorax[..., 2] - (thorax[..., 2] @ up)[:, None] * up)
    forward = np.cross(up, right)
    first = _first_defined(pelvis[..., 2])
    return {
        "pelvis_tilt_deg": _atan2(-vertical[:, 0], vertical[:, 1]),
        "pelvis_obliquity_deg": _asin(vertical[:, 2]),
        "pelvis_rotation_deg": _angle_about(np.broadcast_to(up, trunk.shape), first, pelvis[..., 2]),
        "trunk_tilt_deg": np.arccos(np.clip(trunk @ up, -1, 1)),
        "trunk_forward_tilt_deg": _atan2((trunk * forward).sum(-1), trunk @ up),
        "trunk_side_tilt_deg": _atan2((trunk * right).sum(-1), trunk @ up),
    }


def _seen_from(base: Float[ndarray, "N 3 3"], segment: Float[ndarray, "N 3 C"], side: Side) -> Float[ndarray, "N 3 C"]:
    """A segment's axes, or a direction, in the axes of another; the left side's as a mirror shows them."""
    relative: ndarray = base.swapaxes(-1, -2) @ segment
    if side == "right":
        return relative
    mirrored: ndarray = _MIRROR @ relative
    if segment.shape[-1] == 3:
        mirrored = mirrored @ _MIRROR
    return mirrored


def _angle_about(
    axis: Float[ndarray, "N 3"], start: Float[ndarray, "*N 3"], end: Float[ndarray, "N 3"]
) -> Float[ndarray, " N"]:
    """The angle by which a turn about an axis takes one direction over another, both seen along the axis."""
    start, end = unit(np.broadcast_to(start, end.shape)), unit(end)
    across = start - (start * axis).sum(-1, keepdims=True) * axis
    return _atan2((np.cross(across, end) * axis).sum(-1), (across * end).sum(-1))


def _first_defined(directions: Float[ndarray, "N 3"]) -> Float[ndarray, " 3"]:
    first: ndarray = directions[np.argmax(np.isfinite(directions).all(-1))]
    return first


def _atan2(sine: Float[ndarray, " N"], cosine: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
    """The angle about an axis; none for a direction within 20 degrees of the axis itself."""
    angle: ndarray = np.where(np.hypot(sine, cosine) >= _LEAST_SINE, np.arctan2(sine, cosine), np.nan)
    return angle


def _asin(sine: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
    angle: ndarray = np.arcsin(np.clip(sine, -1, 1))
    return angle


def _unwrapped(degrees: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
    """Without jumps of a turn; the whole of it lies where its median is between -180 and 180."""
    defined: Bool[ndarray, " N"] = np.isfinite(degrees)
    result = degrees.copy()
    if defined.any():
        result[defined] = np.unwrap(degrees[defined], period=360)
        result -= 360 * np.round(np.median(result[defined]) / 360)
    return result
