"""Axes of the body's segments, as far as joint centres define them: x to the front, y up the segment, z to its right.

The recommendations of the International Society of Biomechanics (ISB) build axes from bony landmarks. Joint centres
stand in for them: hips and shoulders give pelvis and thorax their right; the plane that a limb bends in gives thigh and
upper arm theirs, which does not exist while the limb is straight. A head of two joints and a limb's end segment have a
direction only.
"""

import math
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.skeleton import Skeleton

Side = Literal["left", "right"]

LEAST_BEND = math.radians(20)
"""A limb bent less defines no plane: 5 mm of error at a wrist would turn it by more than 3 degrees [ours]."""


def pelvis_axes(joints: Float[ndarray, "*batch J 3"], skeleton: Skeleton) -> Float[ndarray, "*batch 3 3"]:
    """Columns x, y, z: z from the left hip to the right one, y towards the spine and square to it.

    ISB takes front and back of the pelvis from the iliac spines; here its tilt is that of the line from the middle of
    the hips to the spine, which bends along with the lumbar spine.
    """
    left, right, low, high = _at(joints, skeleton, "left_hip", "right_hip", "pelvis", "spine")
    return _axes(up=high - low, right=right - left)


def thorax_axes(joints: Float[ndarray, "*batch J 3"], skeleton: Skeleton) -> Float[ndarray, "*batch 3 3"]:
    """Columns x, y, z: y from spine to thorax, z towards the right shoulder and square to it."""
    left, right, low, high = _at(joints, skeleton, "left_shoulder", "right_shoulder", "spine", "thorax")
    return _axes(up=high - low, right=right - left, keep="up")


def thigh_axes(joints: Float[ndarray, "*batch J 3"], skeleton: Skeleton, side: Side) -> Float[ndarray, "*batch 3 3"]:
    """Columns x, y, z: y from knee to hip, z the knee's axis; NaN while the knee is bent less than 20 degrees."""
    hip, knee, ankle = _at(joints, skeleton, f"{side}_hip", f"{side}_knee", f"{side}_ankle")
    return _bent_axes(hip - knee, ankle - knee, backwards=True)


def upper_arm_axes(
    joints: Float[ndarray, "*batch J 3"], skeleton: Skeleton, side: Side
) -> Float[ndarray, "*batch 3 3"]:
    """Columns x, y, z: y from elbow to shoulder, z the elbow's axis; NaN while it is bent less than 20 degrees.

    ISB's second option for the humerus (Wu et al. 2005, section 2.3.5).
    """
    shoulder, elbow, wrist = _at(joints, skeleton, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
    return _bent_axes(shoulder - elbow, wrist - elbow, backwards=False)


def bend(proximal: Float[ndarray, "*batch 3"], distal: Float[ndarray, "*batch 3"]) -> Float[ndarray, "*batch"]:
    """The angle between two successive segments, each given from its upper to its lower joint: 0 when straight."""
    angle: ndarray = np.arctan2(np.linalg.norm(np.cross(proximal, distal), axis=-1), (proximal * distal).sum(-1))
    return angle


def unit(vectors: Float[ndarray, "*batch 3"]) -> Float[ndarray, "*batch 3"]:
    """Directions; NaN where there is none."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    directions: ndarray = vectors / np.where(length > 0, length, np.nan)
    return directions


def _at(joints: Float[ndarray, "*batch J 3"], skeleton: Skeleton, *names: str) -> list[Float[ndarray, "*batch 3"]]:
    return [np.asarray(joints[..., joint, :], np.float64) for joint in skeleton.indices(*names)]


def _axes(
    up: Float[ndarray, "*batch 3"], right: Float[ndarray, "*batch 3"], keep: Literal["up", "right"] = "right"
) -> Float[ndarray, "*batch 3 3"]:
    """Columns x, y, z from two directions that are nearly square to each other; one of them is kept as it is."""
    x = unit(np.cross(up, right))
    if keep == "up":
        y = unit(up)
        return np.stack((x, y, np.cross(x, y)), -1)
    z = unit(right)
    return np.stack((x, np.cross(z, x), z), -1)


def _bent_axes(
    up: Float[ndarray, "*batch 3"], onwards: Float[ndarray, "*batch 3"], backwards: bool
) -> Float[ndarray, "*batch 3 3"]:
    """Columns x, y, z of a limb's upper segment whose lower one bends backwards (knee) or forwards (elbow)."""
    axis = np.cross(up, onwards) if backwards else np.cross(onwards, up)
    bent = bend(-up, onwards) >= LEAST_BEND
    y, z = unit(up), unit(np.where(bent[..., None], axis, np.nan))
    return np.stack((np.cross(y, z), y, z), -1)
