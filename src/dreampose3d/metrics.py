"""Errors of 3D poses against the truth: one number per pose (or pair of frames), in millimetres.

Every function takes any leading axes (hypotheses, aggregations, frames) and averages over joints only: average
over the rest yourself, over the axes you mean. Joints are compared as given: subtract the root before, or choose
the joints, where a protocol says so.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from dreampose3d.skeleton import Skeleton

PCK_THRESHOLD_MM = 150.0
"""A joint nearer to the truth than this counts as correct (MPI-INF-3DHP)."""

AUC_THRESHOLDS_MM = tuple(5.0 * step for step in range(31))
"""0, 5, ..., 150 mm: MPI-INF-3DHP's 31 thresholds. The comparison is strict, so the first never counts."""


def mpjpe(pred: Float[Tensor, "*batch J 3"], true: Float[Tensor, "*#batch J 3"]) -> Float[Tensor, "*batch"]:
    """Mean per-joint position error: the mean distance of a pose's joints from the truth (Protocol 1).

    Args:
        pred: Predicted joints, mm.
        true: Ground truth, mm, in the same joint order.

    Returns:
        One error per pose, mm.

    Source: Ionescu et al. 2014 (Human3.6M).
    """
    return _distance(pred, true).mean(-1)


def p_mpjpe(pred: Float[Tensor, "*batch J 3"], true: Float[Tensor, "*#batch J 3"]) -> Float[Tensor, "*batch"]:
    """MPJPE of each pose after the similarity transform that best aligns it (Protocol 2).

    Args:
        pred: Predicted joints, mm. Hypotheses are just another leading axis.
        true: Ground truth, mm, in the same joint order.

    Returns:
        One error per pose, mm; average it yourself over the axes you mean.

    Raises:
        ValueError: If all joints of a prediction coincide, so that no scale exists, or are not finite.

    Source: Umeyama 1991, with the reflection excluded.
    """
    return mpjpe(similarity_align(pred, true), true)


def similarity_align(
    pred: Float[Tensor, "*batch J 3"], true: Float[Tensor, "*#batch J 3"]
) -> Float[Tensor, "*batch J 3"]:
    """Move each predicted pose onto the truth by the scale, rotation and translation of least squared error.

    The singular value decomposition runs in float64, whatever the input.

    Args:
        pred: Predicted joints, mm.
        true: Ground truth, mm.

    Returns:
        s R pred + t, mm.

    Raises:
        ValueError: If all joints of a prediction coincide, so that no scale exists, or are not finite.

    Source: Umeyama 1991, eqs. 40-42, with the reflection excluded (det R = 1).
    """
    x, y = pred.double(), true.double()
    x_mean, y_mean = x.mean(-2, keepdim=True), y.mean(-2, keepdim=True)
    x0, y0 = x - x_mean, y - y_mean
    size = x0.square().sum((-2, -1))
    _require_extent(size, x)
    U, D, Vt = torch.linalg.svd(y0.mT @ x0)  # the covariance of truth and prediction, *batch 3 3
    sign = torch.ones_like(D)
    sign[..., -1] = torch.where(torch.linalg.det(U @ Vt) < 0, -1.0, 1.0)
    rotation = (U * sign[..., None, :]) @ Vt
    scale = (D * sign).sum(-1) / size
    aligned: Tensor = scale[..., None, None] * x0 @ rotation.mT + y_mean
    return aligned.to(pred)


def n_mpjpe(pred: Float[Tensor, "*batch J 3"], true: Float[Tensor, "*#batch J 3"]) -> Float[Tensor, "*batch"]:
    """MPJPE after the scale about the origin (the root, for root-relative poses) that best fits each pose.

    Args:
        pred: Predicted joints, mm, root-relative.
        true: Ground truth, mm, root-relative.

    Returns:
        One error per pose, mm.

    Raises:
        ValueError: If all joints of a prediction lie at the origin, so that no scale exists, or are not finite.

    Source: Rhodin et al. 2018.
    """
    x, y = pred.double(), true.double()
    size = x.square().sum((-2, -1))
    _require_extent(size, x)
    scale = (x * y).sum((-2, -1)) / size
    return mpjpe(scale[..., None, None] * x, y).to(pred)


def mpjve(
    pred: Float[Tensor, "*batch N J 3"], true: Float[Tensor, "*#batch N J 3"], fps: float
) -> Float[Tensor, "*batch N-1"]:
    """Mean per-joint velocity error, from *first* differences: frame f + 1 less frame f, times the frame rate.

    Args:
        pred: Predicted joints over N frames, mm.
        true: Ground truth, mm.
        fps: Frames per second.

    Returns:
        One error per pair of neighbouring frames, mm/s: none for a single frame.

    Raises:
        ValueError: If the frame rate is not positive.

    Source: Pavllo et al. 2019 (VideoPose3D), whose unit is mm per frame; here it is mm per second.
    """
    _require_rate(fps)
    return mpjpe(pred.diff(dim=-3), true.diff(dim=-3)) * fps


def acceleration_error(
    pred: Float[Tensor, "*batch N J 3"], true: Float[Tensor, "*#batch N J 3"], fps: float
) -> Float[Tensor, "*batch triples"]:
    """Mean per-joint acceleration error, from second differences (x_{f+1} - 2 x_f + x_{f-1}) fps^2.

    Args:
        pred: Predicted joints over N frames, mm.
        true: Ground truth, mm.
        fps: Frames per second.

    Returns:
        One error per three successive frames, m/s^2: none where there are fewer.

    Raises:
        ValueError: If the frame rate is not positive.

    Source: Kanazawa et al. 2019 (HMMR).
    """
    _require_rate(fps)
    millimetres_a_metre = 1000.0
    return mpjpe(pred.diff(n=2, dim=-3), true.diff(n=2, dim=-3)) * (fps**2 / millimetres_a_metre)


def acceleration_magnitude(joints: Float[Tensor, "*batch N J 3"], fps: float) -> Float[Tensor, "*batch triples"]:
    """Mean size of the joints' accelerations, from the second differences of `acceleration_error`.

    Beside the truth's own it tells jitter (above) from over-smoothing (below), which an error cannot.

    Args:
        joints: Joints over N frames, mm; root-relative ones leave the root's path out.
        fps: Frames per second.

    Returns:
        One mean over the joints per three successive frames, m/s^2: none where there are fewer.

    Raises:
        ValueError: If the frame rate is not positive.
    """
    return acceleration_error(joints, torch.zeros_like(joints), fps)


def pck(
    pred: Float[Tensor, "*batch J 3"],
    true: Float[Tensor, "*#batch J 3"],
    threshold_mm: float = PCK_THRESHOLD_MM,
) -> Float[Tensor, "*batch"]:
    """Percentage of correct keypoints, as a share: the joints *strictly* nearer to the truth than the threshold.

    Args:
        pred: Predicted joints, mm.
        true: Ground truth, mm.
        threshold_mm: The distance that is too far, mm.

    Returns:
        One share in [0, 1] per pose.

    Raises:
        ValueError: If the threshold is not positive.

    Source: Mehta et al. 2017 (MPI-INF-3DHP).
    """
    if not threshold_mm > 0:
        raise ValueError(f"expected a positive threshold in mm, got {threshold_mm}")
    return (_distance(pred, true) < threshold_mm).to(pred).mean(-1)


def auc(pred: Float[Tensor, "*batch J 3"], true: Float[Tensor, "*#batch J 3"]) -> Float[Tensor, "*batch"]:
    """Area under the PCK curve: the mean share over the 31 thresholds 0, 5, ..., 150 mm.

    As the comparison is strict, the threshold 0 never counts and a perfect pose has 30/31.

    Args:
        pred: Predicted joints, mm.
        true: Ground truth, mm.

    Returns:
        One share in [0, 30/31] per pose.

    Source: Mehta et al. 2017 (MPI-INF-3DHP).
    """
    distance = _distance(pred, true)
    return (distance[..., None] < distance.new_tensor(AUC_THRESHOLDS_MM)).to(pred).mean((-2, -1))


def bone_length_spread(joints: Float[Tensor, "*batch N J 3"], skeleton: Skeleton) -> Float[Tensor, "*batch bones"]:
    """How much each bone's length wanders over time: its standard deviation over the frames.

    Args:
        joints: Joints over N frames, mm.
        skeleton: Whose bones, in the order of `skeleton.bones`.

    Returns:
        One standard deviation per bone, mm: 0 for a rigid body, and for a single frame.

    Raises:
        ValueError: If the joint count is not the skeleton's.
    """
    if joints.shape[-2] != skeleton.num_joints:
        raise ValueError(f"expected {skeleton.num_joints} joints ({skeleton.name}), got {joints.shape[-2]}")
    ends, starts = (list(side) for side in zip(*skeleton.bones, strict=True))
    lengths = _distance(joints[..., ends, :], joints[..., starts, :])  # *batch N bones
    return lengths.std(dim=-2, correction=0)


def _distance(a: Float[Tensor, "*batch J 3"], b: Float[Tensor, "*#batch J 3"]) -> Float[Tensor, "*batch J"]:
    distance: Tensor = torch.linalg.vector_norm(a - b, dim=-1)
    return distance


def _require_extent(size: Float[Tensor, "*batch"], joints: Float[Tensor, "*batch J 3"]) -> None:
    """Refuse poses without a scale: `size` is their summed squared distance from the point they are scaled about."""
    rounding = (1e-10 * joints.abs().amax((-2, -1))).square()
    bad = ~(size > rounding)  # NaN is bad, too
    if bad.any():
        raise ValueError(
            f"expected finite joints that do not all coincide, but {int(bad.sum())} of {bad.numel()} poses have none "
            "such, so no scale exists; leave these frames out"
        )


def _require_rate(fps: float) -> None:
    if not fps > 0:
        raise ValueError(f"expected a positive frame rate, got {fps}")
