"""Training windows: from clips of motion capture to batches of (2D, 3D) as the network sees them, on the fly.

bank of clips -> windows at a random rate -> new people and poses -> a virtual camera -> a detector's convention and
noise -> the normalised view. Everything is a batched tensor operation drawn from one generator, so a batch is a pure
function of the generator's seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dreampose3d.data.augment import PoseAugmentation, augment_poses
from dreampose3d.data.cameras import VirtualCameras, film
from dreampose3d.data.conventions import CONVENTIONS, detector_joints, rederive
from dreampose3d.data.mocap import MocapClip
from dreampose3d.data.noise import DetectorNoise, add_detector_noise
from dreampose3d.skeleton import H36M_17
from dreampose3d.view import normalise_view

MILLIMETRES = 1000.0
"""The network's unit is the metre: the one place where its scale is set."""
UNLABELLED = -1


@dataclass(frozen=True)
class WindowConfig:
    """How training windows are made."""

    rates: tuple[float, float] = (20.0, 60.0)
    """Frames per second at which motion is sampled, uniform."""
    warp: float = 0.15
    """Standard deviation of the log speed of time."""
    reverse: float = 0.1
    """Share of windows played backwards."""
    short: float = 0.08
    """Share of windows of which only a random run of frames, from one frame up, is valid."""
    balance: float = 0.6
    """Clips are drawn in proportion to their length to this power: 1 is by frames, 0 by clips."""
    conventions: tuple[float, float, float, float] = (0.55, 0.3, 0.1, 0.05)
    """Shares of the 2D conventions (see `conventions.CONVENTIONS`)."""
    exact: float = 0.35
    """Share of windows with exact 2D; the others have noise of a level uniform in [0, `max_level`]."""
    max_level: float = 1.6
    pose: PoseAugmentation = field(default_factory=PoseAugmentation)
    cameras: VirtualCameras = field(default_factory=VirtualCameras)
    noise: DetectorNoise = field(default_factory=DetectorNoise)


class Batch(NamedTuple):
    """Windows as the network sees them."""

    observed: Float[Tensor, "B N J D"]
    """The normalised view with confidence, or (benchmarks) screen coordinates alone."""
    view: Float[Tensor, "B 2"]
    target: Float[Tensor, "B N M J 3"]
    """Root-relative joints in the view's axes, metres, of frames f-(M-1)/2 ... f+(M-1)/2."""
    target_valid: Bool[Tensor, "B N M"]
    time_s: Float[Tensor, "B N"]
    valid: Bool[Tensor, "B N"]
    label: Int[Tensor, " B"]
    """Index of the action in the vocabulary, or -1."""

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(*(part.to(device) for part in self))

    def of(self, windows: slice) -> "Batch":
        """Some of the windows."""
        return Batch(*(part[windows] for part in self))


class MotionBank:
    """Clips of motion capture (Human3.6M's joints) in a device's memory, sampled at any rate.

    Joints are kept relative to the root as int16, in steps of 0.1 mm: off by at most 0.05 mm, and data in whole
    millimetres, as the canonical folders are, come back exactly. The root's path is float32. 114 bytes a frame.
    """

    steps_per_mm = 10
    reach_mm = torch.iinfo(torch.int16).max / steps_per_mm

    def __init__(
        self,
        clips: Sequence[MocapClip],
        labels: Sequence[str],
        balance: float = 0.6,
        device: torch.device | str = "cpu",
    ) -> None:
        if not clips:
            raise ValueError("there are no clips to train on")
        parts = [self._packed(clip) for clip in clips]
        self.root = torch.cat([root for root, _ in parts]).to(device)
        self.offset = torch.cat([offset for _, offset in parts]).to(device)
        self.length = torch.tensor([len(clip.joints_mm) for clip in clips], device=device)
        self.start = self.length.cumsum(0) - self.length
        self.fps = torch.tensor([clip.fps for clip in clips], device=device)
        known = {name: i for i, name in enumerate(labels)}
        self.label = torch.tensor([known.get(clip.action, UNLABELLED) for clip in clips], device=device)
        self.weight = self.length.double() ** balance

    @property
    def frames(self) -> int:
        """Of all clips."""
        return len(self.root)

    def _packed(self, clip: MocapClip) -> tuple[Float[Tensor, "N 1 3"], Int[Tensor, "N J 3"]]:
        """The root's path, and the joints seen from it in steps of int16."""
        joints = torch.from_numpy(clip.joints_mm).float()
        root = joints[:, H36M_17.root, None]
        offset = joints - root
        if float(offset.abs().max()) > self.reach_mm:
            raise ValueError(
                f"{clip.set_name}, {clip.trial}: a joint is {float(offset.abs().max()) / 1000:.1f} m from the root, "
                f"which no body's is (at most {self.reach_mm / 1000:.1f} m): are these joints in mm?"
            )
        return root, (offset * self.steps_per_mm).round().short()

    def _joints(self, index: Int[Tensor, "B N"]) -> Float[Tensor, "B N J 3"]:
        return self.root[index] + self.offset[index].float() / self.steps_per_mm

    def windows(
        self, frames: int, fps: Float[Tensor, " B"], generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "B N J 3"], Bool[Tensor, "B N"], Int[Tensor, " B"]]:
        """Draw windows of `frames` at the given rates; frames beyond the clip repeat its end and are not valid."""
        batch = len(fps)
        clip = torch.multinomial(self.weight, batch, replacement=True, generator=generator)
        last = (self.length[clip] - 1).float()
        step = self.fps[clip] / fps
        slack = last - step * (frames - 1)
        start = torch.where(slack > 0, torch.rand(batch, generator=generator, device=slack.device) * slack, slack / 2)
        place = start[:, None] + step[:, None] * torch.arange(frames, device=slack.device)
        valid = (place >= -1e-4) & (place <= last[:, None] + 1e-4)
        place = place.clamp(min=0).minimum(last[:, None])
        low = place.floor().long().minimum(last[:, None].long())
        part = (place - low)[..., None, None]
        high = (low + 1).minimum(last[:, None].long())
        offset = self.start[clip][:, None]
        return self._joints(offset + low).lerp(self._joints(offset + high), part), valid, self.label[clip]


def make_batch(
    bank: MotionBank,
    batch_size: int,
    frames: int,
    num_poses: int,
    config: WindowConfig,
    generator: torch.Generator | None = None,
) -> Batch:
    """Draw a batch of training windows with targets for `num_poses` hallucinated poses a frame."""
    reach, device = (num_poses - 1) // 2, bank.root.device

    def uniform(low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(batch_size, generator=generator, device=device)

    rate = uniform(*config.rates)
    warped = rate * (config.warp * torch.randn(batch_size, generator=generator, device=device)).exp()
    world, inside, label = bank.windows(frames + 2 * reach, warped, generator)
    backwards = uniform() < config.reverse
    world = torch.where(backwards[:, None, None, None], world.flip(1), world)
    inside = torch.where(backwards[:, None], inside.flip(1), inside)

    filmed = film(augment_poses(world, generator, config.pose, warped), generator, config.cameras)
    window = slice(reach, reach + frames)
    recorded = inside[:, window]
    valid = recorded & _shortened(uniform() < config.short, uniform(), uniform(), frames)
    valid = torch.where(valid.any(1, keepdim=True), valid, recorded)
    observed, condition, turn = _observe(filmed[:, window], rate, valid, config, generator)
    target = (filmed - filmed[:, :, H36M_17.root, None]) @ turn[:, None].transpose(-1, -2) / MILLIMETRES
    shown = torch.stack([target[:, k : k + frames] for k in range(num_poses)], 2)
    shown_valid = torch.stack([inside[:, k : k + frames] for k in range(num_poses)], 2) & valid[..., None]
    time_s = (torch.arange(frames, device=device) - (frames - 1) / 2) / rate[:, None]
    return Batch(observed, condition, shown, shown_valid, time_s, valid, label)


def _shortened(
    chosen: Bool[Tensor, " B"], length: Float[Tensor, " B"], place: Float[Tensor, " B"], frames: int
) -> Bool[Tensor, "B N"]:
    """A run of frames in each chosen window, all frames in the others; length and place in [0, 1)."""
    count = (length**2 * frames).long() + 1
    start = (place * (frames - count + 1)).long()[:, None]
    frame = torch.arange(frames, device=place.device)
    inside = (frame >= start) & (frame < start + count[:, None])
    return inside | ~chosen[:, None]


def _observe(
    filmed: Float[Tensor, "B N J 3"],
    rate: Float[Tensor, " B"],
    valid: Bool[Tensor, "B N"],
    config: WindowConfig,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The 2D that a detector gives of these joints, as the normalised view."""
    batch, device = len(filmed), filmed.device
    shares = torch.tensor(config.conventions, dtype=torch.float32, device=device)
    convention = torch.multinomial(shares, batch, replacement=True, generator=generator)
    assert len(shares) == len(CONVENTIONS)
    seen = detector_joints(filmed, convention, generator)
    rays = seen[..., :2] / seen[..., 2:].clamp(min=50)
    exact = torch.rand(batch, generator=generator, device=device) < config.exact
    level = torch.where(exact, 0.0, config.max_level * torch.rand(batch, generator=generator, device=device))
    rays, confidence = rederive(*add_detector_noise(rays, rate, generator, config.noise, level), convention)
    known = torch.rand(batch, generator=generator, device=device) >= config.cameras.unknown
    wrong = (config.cameras.unknown_log_focal * torch.randn(batch, generator=generator, device=device)).exp()
    rays = rays * torch.where(known, 1.0, wrong)[:, None, None, None]
    return tuple(normalise_view(rays, confidence, known.float(), valid, H36M_17.root))  # type: ignore[return-value]
