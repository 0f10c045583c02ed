"""Bones of constant length: estimated over the clip, then kept in every frame while the pose stays what it is.

A lifter predicts joints, not a skeleton, so its bones breathe. A person's do not. The length of each bone is estimated
robustly over the clip, and every frame becomes the *nearest* pose with those lengths: the root fixed, the other joints
moved least, each measured against its own uncertainty, so that a wrist gives way before a hip does. (Keeping all bone
directions instead would add up the errors from the pelvis to the hands.)
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from dreampose3d.skeleton import Skeleton

_STEPS = 12
_FRAMES_AT_ONCE = 4096  # bounds the memory that an hour of frames takes


def bone_vectors(joints_mm: Float[ndarray, "*batch J 3"], skeleton: Skeleton) -> Float[ndarray, "*batch bones 3"]:
    """From start to end of each bone, mm, in the order of `skeleton.bones`."""
    ends, starts = (list(side) for side in zip(*skeleton.bones, strict=True))
    vectors: ndarray = joints_mm[..., ends, :] - joints_mm[..., starts, :]
    return vectors


def bone_lengths(joints_mm: Float[ndarray, "*batch J 3"], skeleton: Skeleton) -> Float[ndarray, "*batch bones"]:
    """The length of each bone, mm, in the order of `skeleton.bones`."""
    lengths: ndarray = np.linalg.norm(bone_vectors(joints_mm, skeleton), axis=-1)
    return lengths


def estimate_lengths(
    joints_mm: Float[ndarray, "N J 3"],
    skeleton: Skeleton,
    weight: Float[ndarray, "N J"] | None = None,
    symmetric: bool = False,
    quantile: float = 0.5,
) -> Float[ndarray, " bones"]:
    """One length for each bone of a person: its weighted median over the clip, or another quantile.

    Args:
        joints_mm: Poses, mm; the root may be in or out.
        skeleton: Whose bones.
        weight: How much to trust each joint; a bone has the lesser weight of its two ends, and a bone without any
            counts all frames alike, as all bones do if not given.
        symmetric: Give the bones of both sides one length, estimated from both.
        quantile: The share of the frames, by weight, in which a bone is shorter than the result.

    Returns:
        Lengths in the order of `skeleton.bones`, mm.

    Raises:
        ValueError: If there are no frames, or the joint count is not the skeleton's.
    """
    _require_poses(joints_mm, skeleton)
    lengths = bone_lengths(np.asarray(joints_mm, np.float64), skeleton)  # N bones
    trust = np.ones_like(lengths)
    if weight is not None:
        ends, starts = (list(side) for side in zip(*skeleton.bones, strict=True))
        trust = np.minimum(weight[:, ends], weight[:, starts])
        trust = np.where(trust.sum(0) > 0, trust, 1.0)
    if symmetric:
        partner = mirrored_bones(skeleton)
        lengths, trust = (np.concatenate((x, x[:, partner])) for x in (lengths, trust))
    return np.array([_weighted_quantile(*column, quantile) for column in zip(lengths.T, trust.T, strict=True)])


def with_lengths(
    joints_mm: Float[ndarray, "*batch J 3"],
    lengths_mm: Float[ndarray, " bones"],
    skeleton: Skeleton,
    spread_mm: Float[ndarray, "*#batch J"] | None = None,
) -> Float[ndarray, "*batch J 3"]:
    """The nearest poses whose bones have the lengths given; the root joint does not move.

    Least sum_j |y_j - x_j|^2 / s_j^2, by Newton's method on the constraints: y <- x - S A' (A S A')^-1 (c + A (x - y)),
    where c is by how much the bones of y are too long, A its gradient, and S holds s^2. With the incidence matrix M (a
    bone's end less its start), A S A' is M S M' times the cosines between the bones, entry by entry. What is left after
    the last step, far below a millimetre, is taken off along the bones.

    Args:
        joints_mm: Poses, mm.
        lengths_mm: One length for each bone, in the order of `skeleton.bones`.
        skeleton: Whose bones.
        spread_mm: How uncertain each joint is, on any scale; all alike if not given. The root's does not count.

    Raises:
        ValueError: If the joint count is not the skeleton's, lengths or spread are not positive, or two joined joints
            coincide.
    """
    _require_poses(joints_mm, skeleton)
    if lengths_mm.shape != (len(skeleton.bones),) or not np.all(lengths_mm > 0):
        raise ValueError(f"expected {len(skeleton.bones)} positive bone lengths in mm, got {lengths_mm.tolist()}")
    x = np.asarray(joints_mm, np.float64).reshape(-1, skeleton.num_joints, 3)
    variance = _variance(joints_mm, spread_mm, skeleton)
    parts = [slice(start, start + _FRAMES_AT_ONCE) for start in range(0, len(x), _FRAMES_AT_ONCE)]
    y = np.concatenate([_nearest(x[part], lengths_mm, variance[part], skeleton) for part in parts])
    return _rebuilt(y, lengths_mm, skeleton).reshape(joints_mm.shape).astype(joints_mm.dtype)


def mirrored_bones(skeleton: Skeleton) -> Int[ndarray, " bones"]:
    """For each bone the place of its partner on the other side; itself in the middle."""
    place = {joint: bone for bone, (joint, _) in enumerate(skeleton.bones)}
    return np.array([place[int(skeleton.mirror[joint])] for joint, _ in skeleton.bones])


def _nearest(
    x: Float[ndarray, "F J 3"],
    lengths_mm: Float[ndarray, " bones"],
    variance: Float[ndarray, "F 1 J"],
    skeleton: Skeleton,
) -> Float[ndarray, "F J 3"]:
    incidence = _incidence(skeleton)
    giving = incidence * variance  # M S, F bones J
    y = x
    for _ in range(_STEPS):
        vectors = incidence @ y  # F bones 3
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
        _require_extent(lengths)
        directions = vectors / lengths
        gram = (giving @ incidence.T) * (directions @ directions.swapaxes(1, 2))
        excess = lengths[..., 0] - lengths_mm + ((incidence @ (x - y)) * directions).sum(-1)
        force = np.linalg.solve(gram, excess[..., None])
        y = x - giving.swapaxes(1, 2) @ (force * directions)
    return y


def _variance(
    joints_mm: Float[ndarray, "*batch J 3"], spread_mm: Float[ndarray, "*#batch J"] | None, skeleton: Skeleton
) -> Float[ndarray, "F 1 J"]:
    """s^2 of every joint, 1 in the mean of each pose; 0 for the root, which does not move."""
    spread = np.ones(joints_mm.shape[:-1]) if spread_mm is None else np.asarray(spread_mm, np.float64)
    variance = np.broadcast_to(spread, joints_mm.shape[:-1]).reshape(-1, 1, skeleton.num_joints) ** 2
    others = np.arange(skeleton.num_joints) != skeleton.root
    if not np.all(variance[..., others] > 0):
        raise ValueError("expected a positive spread for every joint but the root, some are 0 or NaN")
    scaled: ndarray = variance * others / variance.mean(-1, keepdims=True)
    return scaled


def _incidence(skeleton: Skeleton) -> Float[ndarray, "bones J"]:
    matrix = np.zeros((len(skeleton.bones), skeleton.num_joints))
    for bone, (end, start) in enumerate(skeleton.bones):
        matrix[bone, end], matrix[bone, start] = 1, -1
    return matrix


def _rebuilt(
    joints: Float[ndarray, "F J 3"], lengths_mm: Float[ndarray, " bones"], skeleton: Skeleton
) -> Float[ndarray, "F J 3"]:
    """The same bone directions with other lengths, from the root outwards."""
    vectors = bone_vectors(joints, skeleton)
    vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True) * lengths_mm[:, None]
    below = {joint: skeleton.subtree(joint) for joint, _ in skeleton.bones}
    rebuilt = np.repeat(joints[:, skeleton.root, None], skeleton.num_joints, 1)
    for (joint, _), vector in zip(skeleton.bones, vectors.swapaxes(0, 1), strict=True):
        rebuilt[:, below[joint]] += vector[:, None]
    return rebuilt


def _weighted_quantile(values: Float[ndarray, " N"], weight: Float[ndarray, " N"], share: float) -> float:
    """The value below which a share of the weight lies, between two values by interpolation."""
    order = np.argsort(values)
    ordered = weight[order]
    below = np.cumsum(ordered) - ordered / 2
    return float(np.interp(share * ordered.sum(), below, values[order]))


def _require_poses(joints_mm: ndarray, skeleton: Skeleton) -> None:
    if joints_mm.shape[-2] != skeleton.num_joints:
        raise ValueError(f"expected {skeleton.num_joints} joints ({skeleton.name}), got {joints_mm.shape[-2]}")
    if not joints_mm.size:
        raise ValueError("expected at least one pose to measure bones in, got none")


def _require_extent(lengths: Float[ndarray, "F bones 1"]) -> None:
    bad = ~(lengths > 1e-9)
    if bad.any():
        raise ValueError(
            f"expected finite poses whose joints do not coincide, but {int(bad.any((1, 2)).sum())} of {len(lengths)} "
            "have a bone without length, so without direction; leave these frames out"
        )
