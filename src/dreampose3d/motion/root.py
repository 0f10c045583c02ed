"""The root's path: each frame from reprojection, all of them together smoothed as a moving body's.

A frame alone places the root well across the line of sight and badly along it: depth comes from the size of the
person, so an error of 1 % in size is 4 cm at 4 m. The smoother knows that: it weighs every frame by the full 3x3
information of its fit, so it follows jumps and steps across the view closely while it averages depth over half a
second. Frames that disagree with the path (a swap of left and right, a wrong joint) lose weight, and gaps are bridged.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from dreampose3d.motion.roughness import acceleration_bands, frame_seconds, solve_smooth, velocity_bands
from dreampose3d.motion.smoothing import require_growing
from dreampose3d.trajectory import MIN_CONFIDENCE, MIN_DEPTH_MM, fit_root, require_fit

CORRELATION_S = 0.3
"""How long an error of the fit lasts: so much time counts as one independent observation [ours]."""
ACCELERATION_M_PER_S2 = 3.0
"""Typical acceleration of a pelvis, and"""
ACCELERATION_S = 0.2
"""how long it lasts: the roughness is weighed by acceleration^2 times this [ours]."""
COASTING_S = 1.0
"""A person out of sight is assumed to slow down, to a half in about this time [ours]."""
TAILS = 4.0
"""Degrees of freedom of the Student distribution of errors: small is robust."""
_ROUNDS = 8
_LEAST_RAY_ERROR = 1e-7  # exact 2D in float32: a ten-thousandth of a pixel


def root_path(
    root_relative_mm: Float[ndarray, "N J 3"],
    rays: Float[ndarray, "N J 2"],
    confidence: Float[ndarray, "N J"],
    time_s: Float[ndarray, " N"],
) -> Float[ndarray, "N 3"]:
    """Place one motion before the camera: fit each frame, then find the most probable path of all of them.

    Args:
        root_relative_mm: Poses in the camera frame less the root, mm.
        rays: The 2D joints as points (x/z, y/z) of the plane z = 1; NaN where missing.
        confidence: Certainty of each 2D joint in [0, 1]; joints below 0.05 count as missing.
        time_s: Presentation times, seconds.

    Returns:
        The root's position in each frame, camera frame, mm; all joints are at least 100 mm in front. Exact for exact
        2D and poses.

    Raises:
        ValueError: If no frame has enough joints to place a root, or times do not grow.
    """
    require_growing(time_s)
    poses, points, certain = (np.asarray(x, np.float64) for x in (root_relative_mm, rays, confidence))
    fitted = fit_root(*map(torch.from_numpy, (poses, points, certain))).numpy()
    known = np.isfinite(fitted).all(-1)
    require_fit(torch.from_numpy(known))
    seen = known[:, None] & np.isfinite(points).all(-1) & (certain >= MIN_CONFIDENCE)
    information, error = _information(poses + fitted[:, None], points, np.where(seen, certain, 0), seen)
    observed = np.where(known[:, None], fitted, 0)
    weight = information * (frame_seconds(time_s) / (CORRELATION_S * error**2))[:, None, None]
    smoothness = _smoothness(time_s)
    trust = np.ones(len(time_s))
    for _ in range(_ROUNDS):
        w = trust[:, None, None] * weight
        path = solve_smooth(smoothness, w, (w @ observed[..., None])[..., 0])
        miss = (observed - path)[..., None]
        distance2 = (miss.swapaxes(1, 2) @ information @ miss)[:, 0, 0] / error**2
        trust = (TAILS + 3) / (TAILS + distance2)
    path[:, 2] = np.maximum(path[:, 2], MIN_DEPTH_MM - poses[..., 2].min(1))
    return path


def _smoothness(time_s: Float[ndarray, " N"]) -> Float[ndarray, "3 N"]:
    """What rough paths cost: accelerations, and weakly velocities, which fade out where nothing is observed."""
    density = (1000 * ACCELERATION_M_PER_S2) ** 2 * ACCELERATION_S
    bands = acceleration_bands(time_s) / density
    bands[:2] += velocity_bands(time_s) / (density * COASTING_S**2)
    return bands


def _information(
    joints: Float[ndarray, "N J 3"],
    rays: Float[ndarray, "N J 2"],
    weight: Float[ndarray, "N J"],
    seen: Bool[ndarray, "N J"],
) -> tuple[Float[ndarray, "N 3 3"], Float[ndarray, " N"]]:
    """sum_j c_j G_j' G_j of each frame, where G_j = d(projection)/d(root), and the error of its rays.

    The error is the frame's own misfit, but no less than what is typical of the clip: a good fit may be luck.
    """
    z = np.where(seen, joints[..., 2], 1)
    p = np.where(seen[..., None], joints[..., :2] / z[..., None], 0)
    gradient = np.zeros((*p.shape, 3))
    gradient[..., 0, 0] = gradient[..., 1, 1] = 1 / z
    gradient[..., 2] = -p / z[..., None]
    information = np.einsum("nj,njka,njkb->nab", weight, gradient, gradient)
    miss2 = (weight * np.where(seen, ((p - rays) ** 2).sum(-1), 0)).sum(1)
    error = np.sqrt(miss2 / np.maximum(2 * seen.sum(1) - 3, 1))  # three numbers were fitted to two of each joint
    typical = max(float(np.median(error[seen.any(1)])), _LEAST_RAY_ERROR)
    return information, np.maximum(error, typical)
