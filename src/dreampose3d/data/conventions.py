"""Where a detector puts the joints that conventions define differently: mocap joints -> what a detector would see.

Mocap has no face, and Human3.6M's hips, spine, thorax, neck and head are not COCO's. The lifter is trained on input
in the convention of several detectors, each converted to Human3.6M's joints by name exactly as `Skeleton.to` does it,
so that the mapping is learned. The 3D target stays the mocap's.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from dreampose3d.skeleton import H36M_17

CONVENTIONS = ("h36m", "face", "halpe", "body25")
"""Mocap's own joints; COCO and BlazePose (nose, mid-eyes); Halpe (hip, neck, head top, nose); BODY_25."""

_J = {name: i for i, name in enumerate(H36M_17.joints)}


def detector_joints(
    joints_mm: Float[Tensor, "B N J 3"],
    convention: Int[Tensor, " B"],
    generator: torch.Generator | None = None,
) -> Float[Tensor, "B N J 3"]:
    """Move the joints of each window to where the detector of its convention sees them, mm.

    Face points come from a head frame: forward is the normal of shoulder line and neck axis, turned by yaw
    N(0, 25 deg) and pitch N(0, 15 deg); the nose lies 140 mm forward of and 20 mm below the head/neck midpoint, the
    middle of the eyes 32 mm above and 14 mm behind the nose, all +-20 % [ours; BlazePose's points triangulated from
    four views lie 191 mm forward of the shoulders' middle and 34 mm apart, on a man who looks down]. Hips are
    displaced by up to 25 mm, shoulders by up to 20; thorax is the middle of the shoulders, spine the middle of pelvis
    and thorax.
    """
    seen = joints_mm.clone()
    batch = len(joints_mm)

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(batch, *shape, generator=generator, dtype=joints_mm.dtype, device=joints_mm.device) - 1

    hips = [_J["left_hip"], _J["right_hip"]]
    seen[:, :, hips] += 25 * uniform(1, 2, 3)
    pelvis = seen[:, :, hips].mean(2)
    both = [_J["left_shoulder"], _J["right_shoulder"]]
    seen[:, :, both] += 20 * uniform(1, 2, 3)
    shoulders = seen[:, :, both].mean(2)
    nose, eyes, top = _face(joints_mm, generator)
    neck = shoulders + 40 * (top - shoulders) / 300  # detectors trained on a neck point put it above the shoulder line
    face_like = (convention == 1)[:, None, None]
    seen[:, :, _J["pelvis"]] = pelvis
    thorax = torch.where(face_like, shoulders, neck)
    seen[:, :, _J["thorax"]] = thorax
    seen[:, :, _J["spine"]] = (pelvis + thorax) / 2
    seen[:, :, _J["neck"]] = nose
    seen[:, :, _J["head"]] = torch.where((convention == 2)[:, None, None], top, eyes)
    return torch.where((convention == 0)[:, None, None, None], joints_mm, seen)


def _face(joints_mm: Float[Tensor, "B N J 3"], generator: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
    """Nose, middle of the eyes, and top of the head of every frame."""
    batch = len(joints_mm)
    neck, head = joints_mm[:, :, _J["neck"]], joints_mm[:, :, _J["head"]]
    up = F.normalize(head - joints_mm[:, :, _J["thorax"]], dim=-1)
    across = joints_mm[:, :, _J["left_shoulder"]] - joints_mm[:, :, _J["right_shoulder"]]
    left = F.normalize(across - (across * up).sum(-1, keepdim=True) * up, dim=-1)
    forward = torch.linalg.cross(left, up)
    angles = torch.randn(batch, 2, generator=generator, dtype=joints_mm.dtype, device=joints_mm.device)
    yaw, pitch = (angles * math.pi / 180 * angles.new_tensor((25, 15)))[:, None, None].unbind(-1)
    facing = forward * yaw.cos() + left * yaw.sin()
    facing, crown = facing * pitch.cos() + up * pitch.sin(), up * pitch.cos() - facing * pitch.sin()
    sizes = torch.rand(batch, 1, 3, generator=generator, dtype=joints_mm.dtype, device=joints_mm.device)
    sizes = 1 + 0.2 * (2 * sizes - 1)
    middle = (neck + head) / 2
    nose = middle + 140 * sizes[..., :1] * facing - 20 * sizes[..., 1:2] * crown
    eyes = nose - 14 * sizes[..., 1:2] * facing + 32 * sizes[..., 2:] * crown
    top = head + 20 * (sizes[..., 1:2] - 1) / 0.2 * crown
    return nose, eyes, top


def rederive(
    points: Float[Tensor, "B N J 2"], confidence: Float[Tensor, "B N J"], convention: Int[Tensor, " B"]
) -> tuple[Float[Tensor, "B N J 2"], Float[Tensor, "B N J"]]:
    """Make anew, from detected points, the joints that a detector does not see but `Skeleton.to` derives.

    So their errors are their sources' (pelvis = middle of the hips and as certain as the less certain one), as they
    are for every real detector; face-like input derives pelvis, thorax and spine, the others spine alone.
    """
    points, confidence = points.clone(), confidence.clone()
    derived = (
        ("pelvis", ("left_hip", "right_hip"), convention == 1),
        ("thorax", ("left_shoulder", "right_shoulder"), convention == 1),
        ("spine", ("pelvis", "thorax"), convention > 0),
    )
    for joint, (one, other), chosen in derived:
        middle = (points[:, :, _J[one]] + points[:, :, _J[other]]) / 2
        less = torch.minimum(confidence[:, :, _J[one]], confidence[:, :, _J[other]])
        points[:, :, _J[joint]] = torch.where(chosen[:, None, None], middle, points[:, :, _J[joint]])
        confidence[:, :, _J[joint]] = torch.where(chosen[:, None], less, confidence[:, :, _J[joint]])
    return points, confidence
