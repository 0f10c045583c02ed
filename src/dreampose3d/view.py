r"""Any camera: what the network sees does not depend on focal length, image size or where in the image a person is.

The mathematics. A pixel with known intrinsics is a ray d = (x/z, y/z, 1). For one *window* of frames (never for a
single frame, which would turn the motion), let m be the mean of the unit rays to the root, weighted by confidence,
and R the rotation with rows

    z' = m / |m|,    x' = y x z' / |y x z'|,    y' = z' x x',    y = (0, 1, 0): the camera's own vertical,

so that R takes the person's mean direction to the optical axis and keeps the camera's y as up (perspective
correction). With q = (R d)_xy / (R d)_z and q_root its mean over the frames,

    u = (q - q_root) / s,    s^2 = the confidence-weighted mean of |q_j - q_root(frame)|^2 over joints and frames,

is the network's 2D input: centred, and free of scale. What s takes away, the angular size of the person, enters as
log s. The network predicts root-relative joints Y' in the axes of R; the camera's are Y = R^T Y'.

Consequences. (1) Pixels enter only as rays: resolution, a crop with its centre moved along, and focal length at an
unchanged distance change nothing. (2) A turn G of the camera about its centre turns all rays by G. If G is about the
camera's y axis then G y = y, R' = R G^T, and q, u, s are the same numbers: the result turns with the camera, exactly.
The same holds for tilt about x when m lies in the plane x = 0 (there x' = x is fixed by G). (3) A general tilt, or a
roll, leaves a rotation about the optical axis in q: that is learned, from virtual cameras that tilt and roll.
(4) Walking sideways past the camera is a new view, not an invariance.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

MISSING_BELOW = 0.05
"""A joint with less confidence than this counts as missing."""


class View(NamedTuple):
    """A window of 2D as the network sees it."""

    observed: Float[Tensor, "B N J 3"]
    """u_x, u_y and confidence; all 0 where a joint is missing."""
    condition: Float[Tensor, "B 2"]
    """log s, and 1 if the camera is known, 0 if its field of view is assumed."""
    rotation: Float[Tensor, "B 3 3"]
    """R: camera axes to view axes."""


def normalise_view(
    rays: Float[Tensor, "B N J 2"],
    confidence: Float[Tensor, "B N J"],
    known: Float[Tensor, " B"],
    valid: Bool[Tensor, "B N"],
    root: int = 0,
) -> View:
    """Turn, centre and scale each window as in this module's docstring.

    Where the root is never seen, the mean of the joints that are stands in for it. Joints with a confidence below
    0.05, or NaN, count as missing; frames that are not valid (padding) take no part. `root` is the skeleton's.
    """
    seen = torch.isfinite(rays).all(-1) & (confidence >= MISSING_BELOW) & valid[..., None]
    weight = torch.where(seen, confidence, 0)
    points = torch.where(seen[..., None], rays, 0)
    rotation = _aim(points, weight, root)
    turned = F.pad(points, (0, 1), value=1.0) @ rotation[:, None].transpose(-1, -2)
    q = turned[..., :2] / turned[..., 2:].clamp(min=0.05)
    middle, root_weight = _root(q, weight, root)  # B N 2, B N
    centre = _mean(middle, root_weight, 1)
    distance2 = (q - middle[:, :, None]).square().sum(-1)
    s = _mean(distance2[..., None], weight * root_weight[..., None], (1, 2)).sqrt().clamp(min=1e-4)  # B 1
    u = (q - centre[:, None, None]) / s[:, None, None]
    observed = torch.where(seen[..., None], torch.cat((u, confidence[..., None]), -1), 0)
    return View(observed, torch.stack((s[:, 0].log(), known.to(s)), -1), rotation)


def _aim(points: Float[Tensor, "B N J 2"], weight: Float[Tensor, "B N J"], root: int) -> Float[Tensor, "B 3 3"]:
    """R for each window."""
    directions = F.normalize(F.pad(points, (0, 1), value=1.0), dim=-1)
    mean = _mean(*_root(directions, weight, root), 1)
    ahead = mean.new_tensor((0, 0, 1)).expand_as(mean)
    forward = F.normalize(torch.where(mean.norm(dim=-1, keepdim=True) > 0, mean, ahead), dim=-1)
    right = F.normalize(torch.linalg.cross(forward.new_tensor((0, 1, 0)).expand_as(forward), forward), dim=-1)
    return torch.stack((right, torch.linalg.cross(forward, right), forward), 1)


def _root(
    points: Float[Tensor, "B N J D"], weight: Float[Tensor, "B N J"], root: int
) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "B N"]]:
    """The root of every frame and its weight; the joints' mean in windows that never show the root."""
    shows_root = (weight[..., root].sum(1, keepdim=True) > 0)[..., None]  # B 1 1
    place = torch.where(shows_root, points[:, :, root], _mean(points, weight, 2))
    return place, torch.where(shows_root[..., 0], weight[..., root], weight.sum(2))


def _mean(x: Tensor, weight: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Weighted mean over axes that x and weight share; 0 where all weights are 0."""
    return (x * weight[..., None]).sum(dim) / weight[..., None].sum(dim).clamp(min=1e-9)


def mirror_poses(poses: Float[Tensor, "*batch J D"], mirror: Tensor) -> Float[Tensor, "*batch J D"]:
    """Poses (2D or 3D, x first) as a mirror shows them; twice is the identity."""
    sign = torch.ones(poses.shape[-1], dtype=poses.dtype, device=poses.device)
    sign[0] = -1
    return poses[..., mirror, :] * sign
