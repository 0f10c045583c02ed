"""Virtual cameras around recorded motion: the geometry of training windows, and one look-at for the evaluation."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dreampose3d.data.body import rotation
from dreampose3d.skeleton import H36M_17, Skeleton


@dataclass(frozen=True)
class VirtualCameras:
    """Where training's cameras stand. The field of view needs no entry: the lifter sees rays."""

    distance_m: tuple[float, float] = (1.8, 10.0)
    """Log-uniform, from the person's mean root; moved back until every joint is `margin_m` in front."""
    margin_m: float = 0.5
    elevation_degrees: tuple[float, float] = (6.0, 14.0)
    """Mean and standard deviation of the angle from which the camera looks down, in most windows."""
    steep: float = 0.2
    """Share of windows with an elevation uniform in `steep_degrees` instead."""
    steep_degrees: tuple[float, float] = (-30.0, 65.0)
    off_axis_degrees: tuple[float, float] = (25.0, 15.0)
    """The person may stand this far from the optical axis, sideways and up or down (uniform)."""
    roll_degrees: float = 5.0
    """Standard deviation."""
    unknown: float = 0.25
    """Share of windows whose focal length is wrong by a log-normal factor, and flagged as unknown."""
    unknown_log_focal: float = 0.25
    panning: float = 0.2
    """Share in which a moving camera takes away a random part of the person's path."""
    tele: float = 0.0
    """Share of windows seen from a distance log-uniform in `tele_m` instead: up to a broadcast's. 0 draws nothing."""
    tele_m: tuple[float, float] = (10.0, 130.0)
    tilted: float = 0.0
    """Share of windows rolled by N(0, `tilted_degrees`) more: photographs on their side or upside down. 0 draws
    nothing."""
    tilted_degrees: float = 60.0


def wild_cameras() -> VirtualCameras:
    """From a wide phone lens near the body (110 degrees) to a broadcast's tele lens (5 degrees and less) [ours].

    A field of view is a distance here: at 0.8 m a standing person's joints fill about 90 degrees and the picture with
    head and feet 110; at 20 m 5. Farther away nothing changes but log s, so few windows go there.
    """
    return VirtualCameras(
        distance_m=(0.8, 12.0), margin_m=0.35, steep=0.25, steep_degrees=(-45.0, 75.0), off_axis_degrees=(30.0, 20.0),
        roll_degrees=6.0, tele=0.1, tilted=0.05,
    )  # fmt: skip


def look_at(
    position_mm: Float[Tensor, "*batch 3"],
    target_mm: Float[Tensor, "*batch 3"],
    roll: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch 3 3"]:
    """World-to-camera rotation of a camera that looks at a point, upright but for its roll (radians); z is up."""
    forward = F.normalize(target_mm - position_mm, dim=-1)
    right = F.normalize(torch.linalg.cross(forward, forward.new_tensor((0.0, 0.0, 1.0)).expand_as(forward)), dim=-1)
    level = torch.stack((right, torch.linalg.cross(forward, right), forward), -2)
    axis_angle = torch.zeros_like(forward)
    axis_angle[..., 2] = roll
    return rotation(axis_angle) @ level


def film(
    joints_mm: Float[Tensor, "B N J 3"],
    generator: torch.Generator | None = None,
    config: VirtualCameras | None = None,
    skeleton: Skeleton = H36M_17,
) -> Float[Tensor, "B N J 3"]:
    """See each window from a static camera of its own: joints in the camera's frame, mm."""
    config = config or VirtualCameras()
    batch = len(joints_mm)

    def uniform(low: float, high: float) -> Tensor:
        share = torch.rand(batch, generator=generator, dtype=joints_mm.dtype, device=joints_mm.device)
        return low + (high - low) * share

    def normal(mean: float, std: float) -> Tensor:
        return mean + std * torch.randn(batch, generator=generator, dtype=joints_mm.dtype, device=joints_mm.device)

    root = joints_mm[:, :, skeleton.root, None]
    path = root - root.mean(1, keepdim=True)
    kept = torch.where(uniform(0, 1) < config.panning, uniform(0, 1), 1.0)[:, None, None, None]
    joints = joints_mm - root + path * kept  # the mean root is the origin

    elevation = torch.deg2rad(
        torch.where(
            uniform(0, 1) < config.steep, uniform(*config.steep_degrees), normal(*config.elevation_degrees)
        ).clamp(-80, 80)
    )
    heading = uniform(0, 2 * math.pi)
    direction = torch.stack((elevation.cos() * heading.cos(), elevation.cos() * heading.sin(), elevation.sin()), -1)
    distance = 1000 * uniform(*(math.log(d) for d in config.distance_m)).exp()
    if config.tele > 0:
        far = 1000 * uniform(*(math.log(d) for d in config.tele_m)).exp()
        distance = torch.where(uniform(0, 1) < config.tele, far, distance)
    nearest = (joints * direction[:, None, None]).sum(-1).amax((1, 2)) + 1000 * config.margin_m
    position = direction * torch.maximum(distance, nearest)[:, None]

    roll = normal(0, config.roll_degrees)
    if config.tilted > 0:
        roll = roll + torch.where(uniform(0, 1) < config.tilted, normal(0, config.tilted_degrees), 0)
    turn = look_at(position, torch.zeros_like(position), torch.deg2rad(roll))
    off_axis = torch.zeros_like(position)
    off_axis[:, 1] = torch.deg2rad(uniform(-config.off_axis_degrees[0], config.off_axis_degrees[0]))
    off_axis[:, 0] = torch.deg2rad(uniform(-config.off_axis_degrees[1], config.off_axis_degrees[1]))
    turn = rotation(off_axis) @ turn
    filmed = (joints - position[:, None, None]) @ turn[:, None].transpose(-1, -2)
    too_near = (1000 * 0.2 - filmed[..., 2].amin((1, 2))).clamp(min=0)  # the off-axis turn may bring a joint too near
    filmed[..., 2] += too_near[:, None, None]
    return filmed
