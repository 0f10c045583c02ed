"""What a 2D detector does to exact keypoints: jitter, drift, blur, outliers, swaps, lost joints, and its confidence.

All lengths are in units of the person's size in the image (RMS distance of the joints from the root over the window),
so the model serves pixels and rays alike.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from dreampose3d.skeleton import H36M_17, Skeleton


@dataclass(frozen=True)
class JointFactors:
    """How much harder each kind of joint is; the default orders them as published detector errors do."""

    hip: float = 1.0
    knee: float = 1.0
    ankle: float = 1.3
    shoulder: float = 0.8
    elbow: float = 1.2
    wrist: float = 1.5
    face: float = 0.8
    """Neck/nose and head."""
    trunk: float = 0.8
    """Pelvis, spine and thorax."""

    def of(self, skeleton: Skeleton) -> list[float]:
        """In the order of a skeleton's joints."""
        kinds = {"neck": self.face, "head": self.face, "head_top": self.face}
        kinds |= {name: getattr(self, name) for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")}
        return [kinds.get(name.removeprefix("left_").removeprefix("right_"), self.trunk) for name in skeleton.joints]


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
    factors: JointFactors = field(default_factory=JointFactors)
    """Of jitter and drift."""
    bias_factors: JointFactors = field(default_factory=JointFactors)
    trust: float = 0.25
    """The error at which confidence is down to 1 / e, in the person's sizes."""
    doubt: float = 0.3
    """By how much confidence may be lower than the error makes it."""
    blind: float = 0.0
    """Share of windows whose confidence is 1 wherever a joint is not missing, as that of files without one. 0 draws
    nothing."""
    lapses: float = 0.0
    """Share of the frames in which a limb (elbow and wrist, knee and ankle) is guessed, as a hidden one is: off by a
    slow error of `lapse_size`, with a confidence that tells it; in runs of about `lapse_s`. 0 draws nothing."""
    lapse_size: float = 0.1
    lapse_s: float = 0.4
    gappy: float = 0.0
    """Share of windows that lose a share of their joints and frames uniform in [0, `gappy_share`]. 0 draws nothing."""
    gappy_share: float = 0.4
    cropped: float = 0.0
    """Share of windows in which a picture's edge cuts the person: joints beyond it are missing. 0 draws nothing."""


def blazepose_noise() -> DetectorNoise:
    """BlazePose heavy's errors: fitted to the triangulated four-view clip by benchmarks/detector_residuals.py.

    The bias that lasts a window, what drifts within it and what is new in every frame, each per axis and in shares of
    the person's size; errors of limbs that the detector itself says it guesses are lapses. Joints lost, swapped or
    cut off are not in the clip: their shares are ours.
    """
    return DetectorNoise(
        jitter=0.004, drift=0.022, bias=0.034, drift_s=0.3, blur=0.05, outliers=0.002, swaps=0.008, lost=0.01,
        factors=JointFactors(hip=1.2, knee=1.4, ankle=1.35, shoulder=1.0, elbow=1.4, wrist=1.9, face=1.45, trunk=0.9),
        bias_factors=JointFactors(
            hip=1.4, knee=1.2, ankle=1.1, shoulder=0.9, elbow=0.65, wrist=0.6, face=1.3, trunk=0.9
        ),
        lapses=0.1, lapse_size=0.07, trust=0.4, doubt=0.04, blind=0.1, gappy=0.15, cropped=0.06,
    )  # fmt: skip


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
    level = torch.as_tensor(level, dtype=flat.dtype, device=flat.device).expand(points.shape[:-3]).reshape(-1, 1, 1)
    fps = torch.as_tensor(fps, dtype=flat.dtype, device=flat.device).expand(points.shape[:-3]).reshape(-1)
    draw = _Draw(generator, flat)
    size = (flat - flat[:, :, skeleton.root, None]).square().sum(-1).mean((1, 2), keepdim=True).sqrt()  # B 1 1
    factor = flat.new_tensor(noise.factors.of(skeleton))

    step = F.pad(flat.diff(dim=1), (0, 0, 0, 0, 1, 0)) if shape[1] > 1 else torch.zeros_like(flat)
    error = factor[:, None] * (
        noise.jitter * draw.normal(*shape, 2) + noise.drift * draw.slow(fps, noise.drift_s, *shape, 2)
    )
    if noise.bias > 0:
        lasting = flat.new_tensor(noise.bias_factors.of(skeleton))
        error = error + lasting[:, None] * noise.bias * draw.normal(shape[0], 1, *shape[2:], 2)
    error = error + noise.outlier_size * draw.normal(*shape, 2) * draw.happens(noise.outliers, *shape)[..., None]
    error = level[..., None] * (size[..., None] * error + noise.blur * draw.normal(*shape)[..., None] * step)
    lapsed = _lapses(noise, level, fps, draw, shape, skeleton) if noise.lapses > 0 else None
    if lapsed is not None:
        wander = size[..., None] * noise.lapse_size * draw.slow(fps, noise.lapse_s, *shape, 2)
        error = error + level[..., None] * lapsed[..., None] * wander

    swapped = flat + error
    for part in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
        mirror = torch.arange(skeleton.num_joints, device=flat.device)
        for joint in part:
            left, right = skeleton.indices(f"left_{joint}", f"right_{joint}")
            mirror[left], mirror[right] = right, left
        swap = draw.runs(noise.swaps * level[:, 0], fps, noise.run_s, shape[0], shape[1])
        swapped = torch.where(swap[..., None, None], swapped[:, :, mirror], swapped)

    distance = (swapped - flat).norm(dim=-1) / size.clamp(min=1e-9)
    doubt = noise.doubt * level.clamp(max=1) * draw.uniform(*shape) ** 2
    confidence = torch.exp(-((distance / noise.trust) ** 2)) * (1 - doubt)
    lost = torch.stack(
        [draw.runs(noise.lost * level[:, 0], fps, noise.run_s, shape[0], shape[1]) for _ in skeleton.joints], -1
    )
    confidence = torch.where(lost, 0, confidence)
    if lapsed is not None:
        confidence = torch.where(lapsed, confidence * draw.uniform(shape[0], 1, shape[2]) ** 2, confidence)
    if noise.blind > 0:
        sure = draw.happens(noise.blind, shape[0])[:, None, None] & (confidence > 0)
        confidence = torch.where(sure, 1, confidence)
    if noise.gappy > 0:
        confidence = torch.where(_gaps(noise, level, fps, draw, shape), 0, confidence)
    if noise.cropped > 0:
        confidence = torch.where(_cropped(flat, noise, level, draw, skeleton), 0, confidence)
    return swapped.reshape(points.shape), confidence.reshape(points.shape[:-1])


def _lapses(
    noise: DetectorNoise, level: Tensor, fps: Tensor, draw: "_Draw", shape: torch.Size, skeleton: Skeleton
) -> Bool[Tensor, "B N J"]:
    """Runs of frames in which a limb is guessed: both of its joints together."""
    guessed = torch.zeros(shape, dtype=torch.bool, device=level.device)
    for side in ("left", "right"):
        for limb in (("elbow", "wrist"), ("knee", "ankle")):
            run = draw.runs(noise.lapses * level[:, 0].clamp(max=1), fps, noise.lapse_s, shape[0], shape[1])
            guessed[..., skeleton.indices(*(f"{side}_{joint}" for joint in limb))] = run[..., None]
    return guessed


def _gaps(noise: DetectorNoise, level: Tensor, fps: Tensor, draw: "_Draw", shape: torch.Size) -> Bool[Tensor, "B N J"]:
    """In the windows with gaps, joints that are missing in runs of a few times `run_s`."""
    chosen = draw.happens(noise.gappy, shape[0]) & (level.flatten() > 0)
    share = torch.where(chosen, noise.gappy_share * draw.uniform(shape[0]), 0)[:, None]
    return torch.stack([draw.runs(share, fps, 3 * noise.run_s, shape[0], shape[1]) for _ in range(shape[2])], -1)


def _cropped(
    points: Float[Tensor, "B N J 2"], noise: DetectorNoise, level: Tensor, draw: "_Draw", skeleton: Skeleton
) -> Bool[Tensor, "B N J"]:
    """Joints beyond an edge of the picture: below (half of the time), above, left or right; the hips stay in it."""
    sides = points.new_tensor(((0, 1), (0, 1), (0, 1), (0, -1), (1, 0), (-1, 0)))
    side = sides[(draw.uniform(len(points)) * len(sides)).long()]
    along = ((points - points[:, :, skeleton.root, None]) * side[:, None, None]).sum(-1)
    edge = along.amax((1, 2)) * draw.uniform(len(points))
    chosen = draw.happens(noise.cropped, len(points)) & (level.flatten() > 0)
    hips = list(skeleton.indices("left_hip", "right_hip"))
    edge = torch.maximum(edge, along[:, :, [skeleton.root, *hips]].amax((1, 2)))
    return (along > edge[:, None, None]) & chosen[:, None, None]


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
        place = torch.arange(frames, dtype=fps.dtype, device=fps.device) / (fps[:, None] * seconds)  # B N
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
        place = torch.arange(frames, dtype=fps.dtype, device=fps.device) / (fps[:, None] * seconds)
        place = place + self.uniform(batch, 1)
        return on.gather(1, place.long().clamp(max=knots - 1))
