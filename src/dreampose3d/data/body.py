"""A pose as bones: vectors from parent to joint, the trunk's axes, and rotations; what new poses are made with."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dreampose3d.skeleton import Skeleton


def to_bones(joints: Float[Tensor, "*batch J 3"], skeleton: Skeleton) -> Float[Tensor, "*batch J 3"]:
    """Vector from parent to joint; zero for the root."""
    parents = [joint if parent < 0 else parent for joint, parent in enumerate(skeleton.parents)]
    return joints - joints[..., parents, :]


def from_bones(
    root: Float[Tensor, "*batch 1 3"], bones: Float[Tensor, "*batch J 3"], skeleton: Skeleton
) -> Float[Tensor, "*batch J 3"]:
    """Joints from bones: each is the sum of the bones on its way to the root."""
    chain = bones.new_zeros(skeleton.num_joints, skeleton.num_joints)
    for joint in range(skeleton.num_joints):
        chain[list(skeleton.subtree(joint)), joint] = 1
    return root + chain @ bones


def trunk_frame(joints: Float[Tensor, "*batch J 3"], across: str, skeleton: Skeleton) -> Float[Tensor, "*batch 3 3"]:
    """Axes of pelvis (`hip`) or chest (`shoulder`) as columns: left, up the spine, forward."""
    left, right = skeleton.indices(f"left_{across}", f"right_{across}")
    low, high = skeleton.indices("pelvis", "spine") if across == "hip" else skeleton.indices("spine", "thorax")
    up = F.normalize(joints[..., high, :] - joints[..., low, :], dim=-1)
    side = joints[..., left, :] - joints[..., right, :]
    side = F.normalize(side - (side * up).sum(-1, keepdim=True) * up, dim=-1)
    return torch.stack((side, up, torch.linalg.cross(side, up)), -1)


def rotation(axis_angle: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices from axis times angle (Rodrigues), radians."""
    angle = axis_angle.norm(dim=-1)[..., None, None]
    x, y, z = F.normalize(axis_angle, dim=-1).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).unflatten(-1, (3, 3))
    identity = torch.eye(3, dtype=x.dtype, device=x.device)
    return identity + angle.sin() * cross + (1 - angle.cos()) * cross @ cross  # type: ignore[no-any-return]


def swing(before: Float[Tensor, "*batch 3"], after: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation that takes one unit vector to another by the shortest way."""
    x, y, z = torch.linalg.cross(before, after).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).unflatten(-1, (3, 3))
    cosine = (before * after).sum(-1)[..., None, None]
    return torch.eye(3, dtype=x.dtype, device=x.device) + cross + cross @ cross / (1 + cosine).clamp(min=1e-4)  # type: ignore[no-any-return]
