"""What a 2D detector does to exact keypoints: jitter, drift, blur, outliers, swaps, lost joints, and its confidence.

All lengths are in units of the person's size in the image (RMS distance of the joints from the root over the window),
so the model serves pixels and rays alike.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dreampose3d.skeleton import H36M_17, Skeleton


@dataclass(frozen=True)
class DetectorNoise:
    """The documented noise model; the default is the evaluation's `--input noisy`.

    At 4 m with a 50 degree lens over 1000 pixels a person's size is about 135 px, so jitter and drift together are
    about 5 px at the hips and 8 px at the wrists.
    """

    jitter: float = 0.015
    """Standard deviation of what is new in every frame."""
    drift: float = 0.03
    """Standard deviation of what changes slowly (see `drift_s`)."""
    drift_s: float = 0.25
    """Seconds between independent values of the drift."""
    bias: float = 0.0
    """Standard deviation of what stays constant in a window: 40 % of a real detector's variance does (BlazePose heavy
    on a triangulated clip). 0 draws nothing, and is what the evaluation's `--input noisy` has always meant."""
    blur: float = 0.15
    """Error along the motion, as a share of the way that a joint goes in one frame."""
    outliers: float = 0.01
    """Share of joints and frames that are off by `outlier_size`."""
    outlier_size: float = 0.3
    swaps: float = 0.01
    """Share of frames in which left and right are exchanged, arms or legs, in runs of about `run_s`."""
    lost: float = 0.02
    """Share of joints and frames that are missing, in runs of about `run_s`."""
    run_s: float = 0.15


FACTORS = {"hip": 1.0, "shoulder": 0.8, "knee": 1.0, "elbow": 1.2, "ankle": 1.3, "wrist": 1.5}
"""How much harder a joint is than the trunk's (0.8): ordering as in published detector errors."""


def add_detector_noise(
    points: Float[Tensor, "*batch N J 2"],
    fps: float | Float[Tensor, "*batch"],
    generator: torch.Generator | None = None,
    noise: DetectorNoise | None = None,
    level: Float[Tensor, "*batch"] | float = 1.0,
    skeleton: Skeleton = H36M_17,
) -> tuple[Float[Tensor, "*batch N J 2"], Float[Tensor, "*batch N J"]]:
    """Make exact 2D look detected.

    Args:
        points: Exact 2D joints, pixels or rays.
        fps: Frame rate of each window, which makes drift and runs last as long at any rate.
        generator: Where randomness comes from.
        noise: The parameters.
        level: Multiplies all of it; 0 returns the points with confidence 1.
        skeleton: Names and sides of the joints.

    Returns:
        Noisy points, and a confidence in [0, 1] that falls with the error that was made; 0 for lost joints.
    """
    noise = noise or DetectorNoise()
    flat = points.reshape(-1, *points.shape[-3:])
    shape = flat.shape[:-1]
    level = torch.as_tensor(level, dtype=flat.dtype).expand(points.shape[:-3]).reshape(-1, 1, 1)
    fps = torch.as_tensor(fps, dtype=flat.dtype).expand(points.shape[:-3]).reshape(-1)
    draw = _Draw(generator, flat)
    size = (flat - flat[:, :, skeleton.root, None]).square().sum(-1).mean((1, 2), keepdim=True).sqrt()  # B 1 1
    factor = flat.new_tensor([FACTORS.get(name.rpartition("_")[2], 0.8) for name in skeleton.joints])

    step = F.pad(flat.diff(dim=1), (0, 0, 0, 0, 1, 0)) if shape[1] > 1 else torch.zeros_like(flat)
    error = factor[:, None] * (
        noise.jitter * draw.normal(*shape, 2) + noise.drift * draw.slow(fps, noise.drift_s, *shape, 2)
    )
    if noise.bias > 0:
        error = error + factor[:, None] * noise.bias * draw.normal(shape[0], 1, *shape[2:], 2)
    error = error + noise.outlier_size * draw.normal(*shape, 2) * draw.happens(noise.outliers, *shape)[..., None]
    error = level[..., None] * (size[..., None] * error + noise.blur * draw.normal(*shape)[..., None] * step)

    swapped = flat + error
    for part in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
        mirror = torch.arange(skeleton.num_joints)
        for joint in part:
            left, right = skeleton.indices(f"left_{joint}", f"right_{joint}")
            mirror[left], mirror[right] = right, left
        swap = draw.runs(noise.swaps * level[:, 0], fps, noise.run_s, shape[0], shape[1])
        swapped = torch.where(swap[..., None, None], swapped[:, :, mirror], swapped)

    distance = (swapped - flat).norm(dim=-1) / size.clamp(min=1e-9)
    confidence = torch.exp(-((distance / 0.25) ** 2)) * (1 - 0.3 * level.clamp(max=1) * draw.uniform(*shape) ** 2)
    lost = torch.stack(
        [draw.runs(noise.lost * level[:, 0], fps, noise.run_s, shape[0], shape[1]) for _ in skeleton.joints], -1
    )
    confidence = torch.where(lost, 0, confidence)
    return swapped.reshape(points.shape), confidence.reshape(points.shape[:-1])


class _Draw:
    """Random tensors of one dtype and device from one generator."""

    def __init__(self, generator: torch.Generator | None, like: Tensor) -> None:
        self.generator, self.like = generator, like

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=self.like.dtype, device=self.like.device)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, dtype=self.like.dtype, device=self.like.device)

    def happens(self, share: float, *shape: int) -> Tensor:
        return self.uniform(*shape) < share

    def slow(self, fps: Tensor, seconds: float, batch: int, frames: int, *rest: int) -> Tensor:
        """Unit-variance noise whose values are independent only `seconds` apart."""
        knots = max(2, int(frames / float(fps.min()) / seconds) + 3)
        values = self.normal(batch, knots, *rest)
        place = torch.arange(frames, dtype=fps.dtype) / (fps[:, None] * seconds)  # B N
        place = place + self.uniform(batch, 1)
        low = place.floor().clamp(max=knots - 2)
        part = (place - low).clamp(max=1).view(batch, frames, *[1] * len(rest))
        index = low.long().view(batch, frames, *[1] * len(rest)).expand(batch, frames, *rest)
        mixed = values.gather(1, index) * (1 - part) + values.gather(1, index + 1) * part
        return mixed / ((1 - part) ** 2 + part**2).sqrt()

    def runs(self, share: Tensor | float, fps: Tensor, seconds: float, batch: int, frames: int) -> Tensor:
        """True in runs of about `seconds` that cover a given share of the frames."""
        knots = max(1, int(frames / float(fps.min()) / seconds) + 2)
        on = self.uniform(batch, knots) < share
        place = torch.arange(frames, dtype=fps.dtype) / (fps[:, None] * seconds) + self.uniform(batch, 1)
        return on.gather(1, place.long().clamp(max=knots - 1))
