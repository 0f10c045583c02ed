"""The root's path in the camera frame, estimated from 2D, intrinsics and root-relative poses.

A pose X without its root does not say where the person stands, but its 2D does: the root T for which X + T projects
onto the rays q satisfies (X_j + T)_xy = q_j (X_j + T)_z for every joint j, which is linear in T. Here each frame is
fitted and a median taken, for any number of hypotheses; `motion.root` smooths the path of the one motion that results.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

MIN_CONFIDENCE = 0.05
"""Joints below count as missing."""

MIN_JOINTS = 3
"""Fewer joints do not place a root: depth comes from their distances, and two may lie behind each other."""

MIN_DEPTH_MM = 100.0
"""Every joint is kept at least this far in front of the camera."""

MEDIAN_FRAMES = 5
"""Frames of the median filter over time."""

_REWEIGHTINGS = 2
_GAUSS_NEWTON_STEPS = 3
_FRAMES_AT_ONCE = 4096  # bounds the memory that an hour of frames takes
_MIN_RAY_VARIANCE = 1e-10  # rays closer together than 1e-5, a person 100 km away, give no depth


def estimate_root(
    joints_root_relative_mm: Float[Tensor, "*batch N J 3"],
    rays: Float[Tensor, "*#batch N J 2"],
    confidence: Float[Tensor, "*#batch N J"],
) -> Float[Tensor, "*batch N 3"]:
    """Place root-relative poses before the camera: fit each frame, bridge the gaps, filter over time.

    Each frame is fitted alone (`fit_root`). A frame that cannot be (`fittable`) lies on the straight line between
    its nearest neighbours that can, or stays with the nearest at either end. Then each coordinate becomes its median
    over 5 frames, the first and the last frame being repeated beyond the ends. On noise-free data the fit is exact,
    and so is the median where a coordinate does not turn within the five frames.

    Args:
        joints_root_relative_mm: Poses in the camera frame less the root, mm; hypotheses are just a leading axis.
        rays: The 2D joints as points (x/z, y/z) of the plane z = 1; NaN where missing.
        confidence: Certainty of each 2D joint in [0, 1]; joints below 0.05 count as missing.

    Returns:
        The root's position in each frame, camera frame, mm; all joints are at least 100 mm in front.

    Raises:
        ValueError: If no frame has enough joints to place a root.
    """
    root = fit_root(joints_root_relative_mm, rays, confidence)
    known = root.isfinite().all(-1)
    require_fit(known)
    root = _median_over_time(_bridge(root, known))
    depth = torch.maximum(root[..., 2], _least_root_depth(joints_root_relative_mm))
    return torch.cat((root[..., :2], depth[..., None]), -1).to(joints_root_relative_mm)


def require_fit(known: Bool[Tensor, "*batch N"]) -> None:
    """Refuse a motion no frame of which places a root.

    Raises:
        ValueError: If all frames are unknown.
    """
    if not known.any(-1).all():
        raise ValueError(
            f"expected a frame with at least {MIN_JOINTS} joints apart from each other, of confidence "
            f"{MIN_CONFIDENCE} or more, to place the root by; found none in {known.shape[-1]} frames"
        )


def fittable(rays: Float[Tensor, "*batch J 2"], confidence: Float[Tensor, "*#batch J"]) -> Bool[Tensor, "*batch"]:
    """Whether a frame's 2D can place a root: at least 3 joints are seen, and not all in one point."""
    seen = _seen(rays, confidence)
    count = seen.sum(-1).clamp_min(1)
    points = torch.where(seen[..., None], rays.double(), 0)
    mean = points.sum(-2) / count[..., None]
    variance = (points.square().sum((-2, -1)) / count) - mean.square().sum(-1)
    return (seen.sum(-1) >= MIN_JOINTS) & (variance > _MIN_RAY_VARIANCE)


def fit_root(
    joints_root_relative_mm: Float[Tensor, "*batch N J 3"],
    rays: Float[Tensor, "*#batch N J 2"],
    confidence: Float[Tensor, "*#batch N J"],
) -> Float[Tensor, "*batch N 3"]:
    """The root of each frame alone: the T of least reprojection error, sum_j c_j |(X_j + T)_xy / (X_j + T)_z - q_j|^2.

    In closed form first: (X_j + T)_xy = q_j (X_j + T)_z is linear in T, and its least squares are solved in float64
    with equal depths and then with the depths just found. Noise in q, which is a regressor there, brings the root too
    near (10 px of 1000, 50 degrees, on a person 4 m away: about 1 %). Gauss-Newton steps on the reprojection itself
    end that: they are the same linear solve with the projections p_j of the joints as placed instead of q_j. A step
    that raises the error is not taken.

    Args:
        joints_root_relative_mm: Poses in the camera frame less the root, mm.
        rays: The 2D joints as points of the plane z = 1; NaN where missing.
        confidence: Certainty of each 2D joint in [0, 1]; joints below 0.05 count as missing.

    Returns:
        Root positions in the camera frame, mm, float64, with all joints at least 100 mm in front; NaN where the 2D
        places no root (see `fittable`).
    """
    frames = joints_root_relative_mm.shape[-3]
    parts = [slice(start, start + _FRAMES_AT_ONCE) for start in range(0, max(frames, 1), _FRAMES_AT_ONCE)]
    return torch.cat(
        [
            _fit(joints_root_relative_mm[..., part, :, :], rays[..., part, :, :], confidence[..., part, :])
            for part in parts
        ],
        -2,
    )


def reprojection_residual(
    joints_root_relative_mm: Float[Tensor, "N J 3"],
    root_mm: Float[Tensor, "N 3"],
    rays: Float[Tensor, "N J 2"],
    confidence: Float[Tensor, "N J"],
) -> Float[Tensor, " N"]:
    """How far a placed pose misses its 2D: the root of the confidence-weighted mean square over a frame's joints.

    Args:
        joints_root_relative_mm: Poses in the camera frame less the root, mm.
        root_mm: Where the root is, camera frame, mm.
        rays: The 2D joints as points of the plane z = 1; NaN where missing.
        confidence: Certainty of each 2D joint in [0, 1]; joints below 0.05 count as missing.

    Returns:
        One distance per frame, mm, each joint's at its own depth; 0 for a frame without 2D.
    """
    joints = joints_root_relative_mm + root_mm[:, None]
    seen = _seen(rays, confidence)
    missed = torch.where(seen, (joints[..., :2] - rays * joints[..., 2:]).square().sum(-1), 0)
    weight = torch.where(seen, confidence, 0)
    return ((weight * missed).sum(-1) / weight.sum(-1).clamp_min(1e-6)).sqrt()


def _fit(
    joints: Float[Tensor, "*batch J 3"], rays: Float[Tensor, "*#batch J 2"], confidence: Float[Tensor, "*#batch J"]
) -> Float[Tensor, "*batch 3"]:
    X = joints.double()
    seen = _seen(rays, confidence)
    c = torch.where(seen, confidence.double(), 0)
    q = torch.where(seen[..., None], rays.double(), 0)
    least_depth = _least_root_depth(X)[..., None, None]
    root, z = torch.zeros_like(X[..., :1, :]), torch.ones_like(X[..., 2:])
    for _ in range(1 + _REWEIGHTINGS):
        root = _solve(c[..., None] / z.square(), q, q * X[..., 2:] - X[..., :2])
        root = torch.cat((root[..., :2], torch.maximum(root[..., 2:], least_depth)), -1)
        z = (X + root)[..., 2:]
    for _ in range(_GAUSS_NEWTON_STEPS):
        p = (X + root)[..., :2] / z
        better = root + _solve(c[..., None] / z.square(), p, z * (q - p))
        better = torch.cat((better[..., :2], torch.maximum(better[..., 2:], least_depth)), -1)
        lower = _reprojection_error(X + better, q, c) < _reprojection_error(X + root, q, c)
        root = torch.where(lower[..., None, None], better, root)
        z = (X + root)[..., 2:]
    return torch.where(fittable(rays, confidence)[..., None], root.squeeze(-2), torch.nan)


def _solve(
    weight: Float[Tensor, "*batch J 1"], slope: Float[Tensor, "*#batch J 2"], target: Float[Tensor, "*batch J 2"]
) -> Float[Tensor, "*batch 1 3"]:
    """argmin_T sum_j w_j |T_xy - slope_j T_z - target_j|^2.

    For any T_z, T_xy = mean(target) + mean(slope) T_z, which leaves T_z = -cov(slope, target) / var(slope).
    """
    w = weight / weight.sum(-2, keepdim=True)
    slope_mean, target_mean = (w * slope).sum(-2, keepdim=True), (w * target).sum(-2, keepdim=True)
    covariance = (w * (slope - slope_mean) * (target - target_mean)).sum((-2, -1))
    variance = (w * (slope - slope_mean).square()).sum((-2, -1))
    depth = (-covariance / variance)[..., None, None]
    return torch.cat((target_mean + slope_mean * depth, depth), -1)


def _reprojection_error(
    joints: Float[Tensor, "*batch J 3"], rays: Float[Tensor, "*#batch J 2"], confidence: Float[Tensor, "*#batch J"]
) -> Float[Tensor, "*batch"]:
    return (confidence * (joints[..., :2] / joints[..., 2:] - rays).square().sum(-1)).sum(-1)


def _seen(rays: Float[Tensor, "*batch J 2"], confidence: Float[Tensor, "*#batch J"]) -> Bool[Tensor, "*batch J"]:
    return rays.isfinite().all(-1) & (confidence >= MIN_CONFIDENCE)


def _least_root_depth(joints: Float[Tensor, "*batch J 3"]) -> Float[Tensor, "*batch"]:
    """The root's depth at which the nearest joint is 100 mm in front of the camera."""
    return MIN_DEPTH_MM - joints[..., 2].amin(-1).double()


def _bridge(root: Float[Tensor, "*batch N 3"], known: Bool[Tensor, "*batch N"]) -> Float[Tensor, "*batch N 3"]:
    """Replace unknown frames by linear interpolation between known ones, held constant beyond the first and last."""
    last = known.shape[-1] - 1
    frame = torch.arange(last + 1, device=root.device).expand(known.shape)
    before = torch.where(known, frame, -1).cummax(-1).values
    after = torch.where(known, frame, last + 1).flip(-1).cummin(-1).values.flip(-1)
    before, after = torch.where(before < 0, after, before), torch.where(after > last, before, after)
    share = (frame - before) / (after - before).clamp_min(1)  # 0 where both are the same frame
    start, end = (root.gather(-2, end[..., None].expand(root.shape)) for end in (before, after))
    return torch.lerp(start, end, share[..., None].to(root))


def _median_over_time(path: Float[Tensor, "*batch N 3"]) -> Float[Tensor, "*batch N 3"]:
    reach = MEDIAN_FRAMES // 2
    frames = torch.arange(path.shape[-2], device=path.device)
    window = (frames[:, None] + torch.arange(-reach, reach + 1, device=path.device)).clamp(0, len(frames) - 1)
    return path[..., window, :].median(-2).values
