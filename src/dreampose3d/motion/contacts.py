"""When a foot stands: its ankle is slow, low, and stays so for a while.

Everything that needs the ground asks here: where the floor is, how far the feet slide on it, how long the strides are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from dreampose3d.motion.smoothing import smooth
from dreampose3d.motion.speeds import joint_velocities
from dreampose3d.skeleton import Skeleton

FEET = ("left_ankle", "right_ankle")
STANDING_MM_PER_S = 900.0
"""An ankle slower than this may stand: rolling over the foot moves it at up to 0.5 m/s, swinging at 3 and more, and
a lifted ankle jitters."""
LEAST_S = 0.06
"""Shorter contacts are not counted."""
_BELOW_HIPS = 0.5
"""A standing ankle is at least this share of the leg's length below the pelvis."""
_ABOVE_LOWEST_MM = 150.0
"""And no more than this above the other ankle, if that stands, too."""
_CUTOFF_HZ = 8.0


@dataclass(frozen=True)
class Contact:
    """One foot standing, from the first to before the last frame."""

    foot: str
    """The ankle's joint name."""
    start: int
    stop: int
    position_mm: Float[ndarray, " 3"]
    """The ankle's median place."""


def standing(
    joints_mm: Float[ndarray, "N J 3"], time_s: Float[ndarray, " N"], skeleton: Skeleton, up: Float[ndarray, " 3"]
) -> Bool[ndarray, "N feet"]:
    """Which feet stand in which frames.

    Args:
        joints_mm: Joints with their root, in a frame that does not move, mm.
        time_s: Presentation times, seconds.
        skeleton: Whose joints.
        up: Unit vector upwards; 20 degrees off are good enough.

    Returns:
        For each of `FEET`.
    """
    ankles = joints_mm[:, skeleton.indices(*FEET)].astype(np.float64)
    if len(time_s) < 3:
        return np.zeros(ankles.shape[:2], bool)
    fps = 1 / float(np.median(np.diff(time_s)))
    calm = smooth(ankles, time_s, min(_CUTOFF_HZ, fps / 4))
    speed = np.linalg.norm(joint_velocities(calm, time_s), axis=-1)
    height = calm @ up
    hips = joints_mm[:, skeleton.root] @ up
    leg = np.median(hips - height.min(1))
    low = (hips[:, None] - height > _BELOW_HIPS * leg) & (height < height.min(1, keepdims=True) + _ABOVE_LOWEST_MM)
    return _without_short((speed < STANDING_MM_PER_S) & low, time_s)


def contacts(
    joints_mm: Float[ndarray, "N J 3"],
    stands: Bool[ndarray, "N feet"],
    skeleton: Skeleton,
) -> list[Contact]:
    """The unbroken runs of standing, foot by foot, in order of time."""
    found = [
        Contact(foot, start, stop, np.median(joints_mm[start:stop, skeleton.index(foot)].astype(np.float64), axis=0))
        for column, foot in enumerate(FEET)
        for start, stop in runs(stands[:, column])
    ]
    return sorted(found, key=lambda contact: contact.start)


def sliding_mm_per_s(
    joints_mm: Float[ndarray, "N J 3"],
    time_s: Float[ndarray, " N"],
    stands: Bool[ndarray, "N feet"],
    skeleton: Skeleton,
    up: Float[ndarray, " 3"],
) -> float:
    """How fast standing ankles move over the floor: their mean horizontal speed; NaN where no foot ever stands."""
    ankles = joints_mm[:, skeleton.indices(*FEET)].astype(np.float64)
    step = np.diff(ankles - (ankles @ up)[..., None] * up, axis=0) / np.diff(time_s)[:, None, None]
    both = stands[1:] & stands[:-1]
    return float(np.linalg.norm(step, axis=-1)[both].mean()) if both.any() else float("nan")


def runs(on: Bool[ndarray, " N"]) -> Iterator[tuple[int, int]]:
    """First frame and last + 1 of every unbroken run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], on, [False])).astype(np.int8)))
    yield from ((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))


def _without_short(stands: Bool[ndarray, "N feet"], time_s: Float[ndarray, " N"]) -> Bool[ndarray, "N feet"]:
    long = stands.copy()
    for column in range(stands.shape[1]):
        for start, stop in runs(stands[:, column]):
            if time_s[stop - 1] - time_s[start] < LEAST_S:
                long[start:stop, column] = False
    return long
