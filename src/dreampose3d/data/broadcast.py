"""What a television broadcast leaves of a motion: a far camera, few frames, blur, jitter, and an arm behind the body.

The degradation turns any 3D clip into 2D as a broadcast of baseball would give it (the conditions of PitcherNet and
MLBPitchDB: one centre-field tele camera, 30 frames/s). Every number can be changed; those without a source are ours.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dreampose3d.camera import Camera
from dreampose3d.data.cameras import look_at
from dreampose3d.data.mocap import MocapClip
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17, Skeleton

_ARM = ("elbow", "wrist")


@dataclass(frozen=True)
class Broadcast:
    """The conditions."""

    fps: float = 30.0
    """Of the broadcast (MLBPitchDB: 30)."""
    distance_m: tuple[float, float] = (110.0, 140.0)
    """From centre field to the mound: the fence lies about 120 m from home plate, the mound 18 m nearer."""
    height_m: tuple[float, float] = (8.0, 14.0)
    offset_degrees: tuple[float, float] = (4.0, 14.0)
    """How far the camera stands to the side of the line from the mound to home plate; which side is drawn."""
    fov_degrees: tuple[float, float] = (4.0, 7.0)
    """Over the longer side of the image: pitcher, batter, catcher and umpire fill it."""
    size_px: tuple[int, int] = (1280, 720)
    shutter: float = 0.5
    """Exposure as a share of the time between frames (a 180 degree shutter)."""
    blur: float = 0.35
    """Standard deviation of a detector's choice along the streak of a moving joint, as a share of its length: a uniform
    choice has 1 / sqrt(12) = 0.29."""
    jitter_px: float = 1.2
    """Of a detector on compressed video, at `size_px`, for each joint and frame."""
    block_px: float = 0.8
    """The same for all joints of a limb together: blocks of 16 pixels move as one."""
    hidden: float = 0.75
    """Share of the frames in which the arm that is farther away and behind the trunk is hidden from the detector."""
    hidden_error: float = 0.12
    """Where it is hidden: standard deviation of the guess, in body heights in the image."""


def broadcast(
    clip: MocapClip, generator: torch.Generator, conditions: Broadcast | None = None, ahead_degrees: float | None = None
) -> PoseSequence:
    """See a clip as a broadcast does.

    Args:
        clip: Joints in the world, mm, z up.
        generator: Draws the camera and all errors.
        conditions: What the broadcast is like.
        ahead_degrees: The direction of home plate from the mound, counterclockwise from the world's x; told from the
            way that the clip's root goes where not given.

    Returns:
        2D with confidence, and the true 3D in the camera's frame, mm, at the broadcast's rate. A frame's time is the
        middle of its exposure.

    Raises:
        ValueError: If the clip has fewer than two frames of the broadcast's rate.
    """
    chosen = conditions or Broadcast()
    world, streak = _exposed(clip, chosen)
    camera = _tele_camera(world, chosen, generator, ahead_degrees)
    joints, moved = camera.to_camera(world), camera.to_camera(world + streak)
    exact, end = camera.project(joints), camera.project(moved)
    height = _height_px(exact)
    noise = _Noise(generator)
    keypoints = exact + chosen.blur * (end - exact) * noise.normal(*exact.shape[:2], 1)
    keypoints = keypoints + chosen.jitter_px * noise.normal(*exact.shape)
    keypoints = keypoints + chosen.block_px * noise.normal(len(exact), len(_LIMBS), 2)[:, _limb_of(H36M_17)]
    hidden = _behind(joints, exact, height) & (noise.uniform(len(exact), 1) < chosen.hidden)
    guess = chosen.hidden_error * height[..., None] * noise.normal(*exact.shape)
    keypoints = torch.where(hidden[..., None], keypoints + guess, keypoints)
    error = (keypoints - exact).norm(dim=-1) / height
    confidence = torch.exp(-((error / 0.1) ** 2)) * torch.where(hidden, 0.4, 1.0)
    return PoseSequence(
        name=f"{clip.trial}/broadcast",
        fps=chosen.fps,
        joints_mm=joints.numpy(),
        keypoints_px=keypoints.numpy(),
        confidence=confidence.numpy(),
        camera=camera,
        subject=clip.subject,
        action=clip.action,
    )


def _exposed(clip: MocapClip, chosen: Broadcast) -> tuple[Float[Tensor, "N J 3"], Float[Tensor, "N J 3"]]:
    """The joints at the middle of each exposure, mm, and how far they go while the shutter is open."""
    seconds = (len(clip.joints_mm) - 1) / clip.fps
    count = int(seconds * chosen.fps) + 1
    if count < 2:
        raise ValueError(
            f"{clip.trial}: expected at least 2 frames at {chosen.fps:g} frames/s, got a clip of {seconds:.2f} s"
        )
    joints = torch.from_numpy(np.asarray(clip.joints_mm, np.float64))

    def at(time_s: Tensor) -> Tensor:
        place = (time_s * clip.fps).clamp(0, len(joints) - 1)
        low = place.floor().long().clamp(max=max(0, len(joints) - 2))
        return joints[low].lerp(joints[(low + 1).clamp(max=len(joints) - 1)], (place - low)[:, None, None])

    middle = torch.arange(count, dtype=torch.float64) / chosen.fps
    half = chosen.shutter / chosen.fps / 2
    return at(middle), at(middle + half) - at(middle - half)


def _tele_camera(
    world: Float[Tensor, "N J 3"], chosen: Broadcast, generator: torch.Generator, ahead_degrees: float | None
) -> Camera:
    """Behind the pitcher, high and far, aimed at the middle of the motion."""
    draws = torch.rand(5, generator=generator, dtype=torch.float64).tolist()
    distance, height, offset, fov = (
        low + (high - low) * draw
        for (low, high), draw in zip(
            (chosen.distance_m, chosen.height_m, chosen.offset_degrees, chosen.fov_degrees), draws, strict=False
        )
    )
    ahead = _ahead(world) if ahead_degrees is None else math.radians(ahead_degrees)
    angle = ahead + math.pi + math.copysign(math.radians(offset), draws[4] - 0.5)
    target = world.mean((0, 1))
    outward = target.new_tensor((math.cos(angle), math.sin(angle), 0))
    position = target + 1000 * (distance * outward + target.new_tensor((0, 0, height)))
    rotation = look_at(position, target, torch.zeros((), dtype=torch.float64)).tolist()
    lens = Camera.from_fov(chosen.size_px, fov)
    return replace(lens, rotation=tuple(map(tuple, rotation)), position_mm=tuple(position.tolist()))


def _ahead(world: Float[Tensor, "N J 3"]) -> float:
    """The direction in which the root goes; the world's x where it stays."""
    way = world[-1, H36M_17.root, :2] - world[0, H36M_17.root, :2]
    return math.atan2(float(way[1]), float(way[0])) if float(way.norm()) > 100 else 0.0


def _behind(
    joints: Float[Tensor, "N J 3"], exact: Float[Tensor, "N J 2"], height: Float[Tensor, "N 1"]
) -> Bool[Tensor, "N J"]:
    """Elbows and wrists that lie behind the trunk: farther than it, and within its outline in the image."""
    skeleton = H36M_17
    trunk = list(skeleton.indices("left_shoulder", "right_shoulder", "left_hip", "right_hip"))
    depth = joints[:, trunk, 2].mean(1, keepdim=True)
    low, high = exact[:, trunk].amin(1), exact[:, trunk].amax(1)
    room = 0.03 * height[..., None]
    inside = ((exact > low[:, None] - room) & (exact < high[:, None] + room)).all(-1)
    arms = torch.tensor([name.rpartition("_")[2] in _ARM for name in skeleton.joints])
    return arms & inside & (joints[..., 2] > depth)


def _height_px(exact: Float[Tensor, "N J 2"]) -> Float[Tensor, "N 1"]:
    """How tall the person is in the image: the extent of the joints, the median over the clip."""
    extent = (exact.amax(1) - exact.amin(1)).amax(-1).median()
    return extent.expand(len(exact), 1)


_LIMBS = ("left arm", "right arm", "left leg", "right leg", "trunk")


def _limb_of(skeleton: Skeleton) -> list[int]:
    """Which of `_LIMBS` each joint belongs to."""

    def limb(name: str) -> int:
        side, _, kind = name.rpartition("_")
        if kind in ("shoulder", *_ARM):
            return int(side == "right")
        if kind in ("hip", "knee", "ankle"):
            return 2 + int(side == "right")
        return 4

    return [limb(name) for name in skeleton.joints]


class _Noise:
    """Double-precision draws from one generator."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, dtype=torch.float64)
