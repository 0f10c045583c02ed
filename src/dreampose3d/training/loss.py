"""L = L'_3D + lambda_act L_act + lambda_BL L_BL (Eq. 7), with the hallucinated poses weighted as in Eq. 6."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from dreampose3d.skeleton import Skeleton


class Losses(NamedTuple):
    """Each term by itself, and their weighted sum."""

    total: Tensor
    pose: Tensor
    action: Tensor
    bone: Tensor
    velocity: Tensor
    guess: Tensor
    """The pose term of the first guess, 0 without one."""


def hallucination_loss(
    pred: Float[Tensor, "B N M J 3"],
    true: Float[Tensor, "B N M J 3"],
    valid: Bool[Tensor, "B N M"],
    weight: Float[Tensor, " M"],
    root: int = 0,
) -> Float[Tensor, ""]:
    """L'_3D = sum_k lambda_k L1(f + k) (Eq. 6).

    L1 is the mean over coordinates, valid frames, and all joints but the root, which is 0 in both. Terms whose frame
    the clip does not have are masked.
    """
    others = [joint for joint in range(pred.shape[-2]) if joint != root]
    error = (pred - true).abs()[..., others, :].mean((-1, -2))  # B N M
    per_offset = (error * valid).sum((0, 1)) / valid.sum((0, 1)).clamp(min=1)
    return (weight * per_offset).sum()


def imagined_weights(num_poses: int) -> Float[Tensor, " M"]:
    """lambda_k = 1 / (1 + |k|) for k = -(M-1)/2 ... (M-1)/2 (Eq. 6)."""
    return 1 / (1 + (torch.arange(num_poses) - (num_poses - 1) // 2).abs())


def bone_loss(
    pred: Float[Tensor, "B N J 3"],
    true: Float[Tensor, "B N J 3"],
    valid: Bool[Tensor, "B N"],
    skeleton: Skeleton,
) -> Float[Tensor, ""]:
    """L_BL: L1 on bone lengths, mean over bones and valid frames."""
    joint, parent = (list(ends) for ends in zip(*skeleton.bones, strict=True))

    def lengths(x: Tensor) -> Tensor:
        return (x[..., joint, :] - x[..., parent, :]).norm(dim=-1)  # type: ignore[no-any-return]

    error = (lengths(pred) - lengths(true)).abs().mean(-1)
    return (error * valid).sum() / valid.sum().clamp(min=1)


def velocity_loss(
    pred: Float[Tensor, "B N J 3"], true: Float[Tensor, "B N J 3"], valid: Bool[Tensor, "B N"], root: int = 0
) -> Float[Tensor, ""]:
    """L1 on the steps from frame to frame, metres: over coordinates, joints but the root, and valid neighbours."""
    others = [joint for joint in range(pred.shape[-2]) if joint != root]
    error = (pred.diff(dim=1) - true.diff(dim=1)).abs()[..., others, :].mean((-1, -2))  # B N-1
    both = valid[:, 1:] & valid[:, :-1]
    return (error * both).sum() / both.sum().clamp(min=1)


def action_loss(logits: Float[Tensor, "B V"], label: Int[Tensor, " B"]) -> Float[Tensor, ""]:
    """L_act: cross-entropy over the labelled windows (label >= 0); 0 if there are none."""
    labelled = label >= 0
    losses = F.cross_entropy(logits, label.clamp(min=0), reduction="none")
    return (losses * labelled).sum() / labelled.sum().clamp(min=1)


def total_loss(
    pred: Float[Tensor, "B N M J 3"],
    true: Float[Tensor, "B N M J 3"],
    valid: Bool[Tensor, "B N M"],
    logits: Float[Tensor, "B V"] | None,
    label: Int[Tensor, " B"],
    skeleton: Skeleton,
    lambda_act: float,
    lambda_bone: float,
    lambda_pose: float = 1.0,
    lambda_velocity: float = 0.0,
    weight: Float[Tensor, " M"] | None = None,
) -> Losses:
    """Eq. 7, in metres, and our velocity term; `weight` stands in for Eq. 6's lambda_k."""
    centre = pred.shape[2] // 2
    weight = imagined_weights(pred.shape[2]) if weight is None else weight
    pose = hallucination_loss(pred, true, valid, weight.to(pred), skeleton.root)
    bone = bone_loss(pred[:, :, centre], true[:, :, centre], valid[:, :, centre], skeleton)
    action = pose.new_zeros(()) if logits is None else action_loss(logits, label)
    velocity = velocity_loss(pred[:, :, centre], true[:, :, centre], valid[:, :, centre], skeleton.root)
    total = lambda_pose * pose + lambda_act * action + lambda_bone * bone + lambda_velocity * velocity
    return Losses(total, pose, action, bone, velocity, pose.new_zeros(()))
