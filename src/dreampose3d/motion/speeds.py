"""How fast joints move and segments turn."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.transform import Rotation

from dreampose3d.skeleton import Skeleton


def joint_velocities(
    positions_mm: Float[ndarray, "N *rest"], time_s: Float[ndarray, " N"]
) -> Float[ndarray, "N *rest"]:
    """mm/s, central differences; one-sided at the ends, and 0 for a single frame."""
    if len(time_s) < 2:
        return np.zeros_like(positions_mm)
    velocity: ndarray = np.gradient(positions_mm, time_s, axis=0)
    return velocity


def joint_speeds(joints_mm: Float[ndarray, "N J 3"], time_s: Float[ndarray, " N"]) -> Float[ndarray, "N J"]:
    """How fast each joint moves, mm/s."""
    speed: ndarray = np.linalg.norm(joint_velocities(joints_mm, time_s), axis=-1)
    return speed


def peak_speeds(
    joints_mm: Float[ndarray, "N J 3"], time_s: Float[ndarray, " N"], skeleton: Skeleton
) -> dict[str, float]:
    """The highest speed of each joint over a clip, m/s, by joint name: what smoothing takes away from."""
    peaks = joint_speeds(np.asarray(joints_mm, np.float64), time_s).max(0) / 1000
    return dict(zip(skeleton.joints, peaks.tolist(), strict=True))


def turning_speeds(axes: Float[ndarray, "N 3 3"], time_s: Float[ndarray, " N"]) -> Float[ndarray, "N 3"]:
    """Angular velocity of a segment about its own axes x, y, z, radians/s.

    The rotation between the frame before and the frame after, over the time between them; one-sided at the ends.

    Args:
        axes: Its axes as columns (`frames`).
        time_s: Presentation times, seconds.

    Returns:
        Turns about y, the segment's long axis, are positive to the left. NaN where a frame it needs has no axes.
    """
    count = len(time_s)
    before, after = np.maximum(np.arange(count) - 1, 0), np.minimum(np.arange(count) + 1, count - 1)
    turn = axes[before].swapaxes(-1, -2) @ axes[after]
    known = np.isfinite(turn).all((1, 2)) & (after > before)
    result = np.full((count, 3), np.nan)
    if known.any():
        result[known] = Rotation.from_matrix(turn[known]).as_rotvec()
    speeds: ndarray = result / np.where(after > before, time_s[after] - time_s[before], np.nan)[:, None]
    return speeds
