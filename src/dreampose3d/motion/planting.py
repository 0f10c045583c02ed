"""Feet that stand still where they stand: an opt-in clean-up of foot sliding.

Each contact gets one place, the median of its ankle's. First the whole body moves along with its feet: the smooth path
of corrections that brings all contacts nearest to their places takes away the drift that depth errors make and leaves
the pose alone. What remains is bent into the leg: the ankle goes to its place, the knee stays on its side of the line
from hip to ankle, thigh and shin keep their lengths, and before and after a contact the change fades. No knee is
stretched below 15 degrees that was bent more: a foot out of such a leg's reach comes as near as it can.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.motion.contacts import FEET, Contact
from dreampose3d.motion.frames import bend, unit
from dreampose3d.motion.roughness import acceleration_bands, frame_seconds, solve_smooth, velocity_bands
from dreampose3d.skeleton import Skeleton

FADE_S = 0.1
"""How long before and after a contact the leg is still corrected."""
_STIFFNESS_S = 0.15  # corrections of the whole body follow the feet over about this time
_STRETCHED = math.radians(15)


def plant_feet(
    joints_mm: Float[ndarray, "N J 3"],
    found: Sequence[Contact],
    time_s: Float[ndarray, " N"],
    skeleton: Skeleton,
) -> Float[ndarray, "N J 3"]:
    """Hold every standing ankle at its contact's place.

    Args:
        joints_mm: Joints with their root, in a frame that does not move, mm.
        found: When which foot stands (`contacts`).
        time_s: Presentation times, seconds.
        skeleton: Whose joints; bone lengths stay what they are.
    """
    joints = np.asarray(joints_mm, np.float64)
    if not found:
        return joints_mm
    moved: ndarray = joints + _body_correction(joints, found, time_s, skeleton)[:, None]
    for foot in FEET:
        target = _faded([contact for contact in found if contact.foot == foot], moved, time_s, skeleton.index(foot))
        moved = _bend_leg(moved, target, skeleton, foot.removesuffix("_ankle"))
    return moved.astype(joints_mm.dtype)


def _body_correction(
    joints: Float[ndarray, "N J 3"], found: Sequence[Contact], time_s: Float[ndarray, " N"], skeleton: Skeleton
) -> Float[ndarray, "N 3"]:
    """The smooth path that takes the feet nearest to their places, both feet alike where both stand."""
    weight, target = np.zeros(len(joints)), np.zeros((len(joints), 3))
    for contact in found:
        during = slice(contact.start, contact.stop)
        weight[during] += 1
        target[during] += contact.position_mm - joints[during, skeleton.index(contact.foot)]
    seconds = frame_seconds(time_s)
    smoothness = _STIFFNESS_S**4 * acceleration_bands(time_s)
    smoothness[:2] += _STIFFNESS_S**2 * velocity_bands(time_s)
    return solve_smooth(smoothness, (weight * seconds)[:, None, None] * np.eye(3), seconds[:, None] * target)


def _faded(
    found: Sequence[Contact], joints: Float[ndarray, "N J 3"], time_s: Float[ndarray, " N"], ankle: int
) -> Float[ndarray, "N 3"]:
    """Where the ankle shall be: at its place during contacts, on its own way elsewhere, 0.1 s between the two."""
    change, strength = np.zeros((len(joints), 3)), np.zeros(len(joints))
    for contact in found:
        first, last = contact.start, contact.stop - 1
        around = np.arange(*np.searchsorted(time_s, (time_s[first] - FADE_S, time_s[last] + FADE_S)))
        during = around.clip(first, last)
        share = 1 - np.abs(time_s[around] - time_s[during]) / FADE_S
        stronger = share > strength[around]
        strength[around[stronger]] = share[stronger]
        wanted = share[:, None] * (contact.position_mm - joints[during, ankle])
        change[around[stronger]] = wanted[stronger]
    return joints[:, ankle] + change


def _bend_leg(
    joints: Float[ndarray, "N J 3"], target: Float[ndarray, "N 3"], skeleton: Skeleton, side: str
) -> Float[ndarray, "N J 3"]:
    """Two bones from the hip to a target, by the law of cosines; the knee stays on the side where it is."""
    hip, knee, ankle = skeleton.indices(f"{side}_hip", f"{side}_knee", f"{side}_ankle")
    thigh = np.linalg.norm(joints[:, knee] - joints[:, hip], axis=-1)
    shin = np.linalg.norm(joints[:, ankle] - joints[:, knee], axis=-1)
    flexion = np.minimum(bend(joints[:, knee] - joints[:, hip], joints[:, ankle] - joints[:, knee]), _STRETCHED)
    longest = np.sqrt(thigh**2 + shin**2 + 2 * thigh * shin * np.cos(flexion))
    reach = np.linalg.norm(target - joints[:, hip], axis=-1).clip(np.abs(thigh - shin) + 1, longest)
    along = unit(target - joints[:, hip])
    aside = joints[:, knee] - joints[:, hip]
    aside = unit(aside - (aside * along).sum(-1, keepdims=True) * along)
    cosine = ((thigh**2 + reach**2 - shin**2) / (2 * thigh * reach)).clip(-1, 1)[:, None]
    bent = joints.copy()
    bent[:, knee] = joints[:, hip] + thigh[:, None] * (cosine * along + np.sqrt(1 - cosine**2) * np.nan_to_num(aside))
    bent[:, ankle] = joints[:, hip] + reach[:, None] * along
    untouched = (np.abs(target - joints[:, ankle]) < 1e-9).all(-1)
    bent[untouched] = joints[untouched]
    return bent
