"""What every exporter takes: one person's joints over time, in a frame whose up is known."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d import __version__
from dreampose3d.camera import Camera
from dreampose3d.export.rotations import Rig, rig_of
from dreampose3d.sequence import LiftedMotion, PoseSequence
from dreampose3d.skeleton import H36M_17, Skeleton

Frame = Literal["camera", "world"]
FRAMES: dict[Frame, str] = {
    "camera": "camera: x right, y down, z forward, origin in the camera; up is taken to be -y",
    "world": "world: z up",
}
_TO_Y_UP: dict[Frame, tuple[tuple[int, ...], ...]] = {
    "camera": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "world": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
}
_TO_Z_UP: dict[Frame, tuple[tuple[int, ...], ...]] = {
    "camera": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "world": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}


@dataclass(frozen=True)
class Motion:
    """One person's joints over N frames, mm. Formats with axes of their own get them turned, never mirrored."""

    name: str
    fps: float
    joints_mm: Float[ndarray, "N J 3"]
    skeleton: Skeleton = H36M_17
    frame: Frame = "world"
    times: Float[ndarray, " N"] | None = None
    """Presentation times, seconds; frame / fps where not given."""
    spread_mm: Float[ndarray, "N J"] | None = None
    confidence: Float[ndarray, "N J"] | None = None

    def __post_init__(self) -> None:
        frames, joints = self.joints_mm.shape[:2]
        if not self.name or set(self.name) & set("/\\\0"):
            raise ValueError(f"expected a name that a file can have, got {self.name!r}; rename the motion")
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"{self.name}: expected a positive frame rate, got {self.fps}")
        if not frames:
            raise ValueError(f"{self.name}: expected at least one frame to export, got none")
        if joints != self.skeleton.num_joints:
            raise ValueError(
                f"{self.name}: expected {self.skeleton.num_joints} joints ({self.skeleton.name}), got {joints}"
            )
        if self.times is not None and (len(self.times) != frames or not np.all(np.diff(self.times) > 0)):
            raise ValueError(f"{self.name}: expected {frames} times that grow from frame to frame")
        missing = int((~np.isfinite(self.joints_mm)).any(-1).sum())
        if missing:
            raise ValueError(
                f"{self.name}: expected finite joints, {missing} of {frames * joints} are missing; "
                "fill the gaps or leave these frames out before exporting"
            )

    def __len__(self) -> int:
        """N."""
        return len(self.joints_mm)

    @cached_property
    def time_s(self) -> Float[ndarray, " N"]:
        """Seconds of every frame."""
        return np.arange(len(self)) / self.fps if self.times is None else np.asarray(self.times, np.float64)

    @property
    def unevenness_s(self) -> float:
        """How far the times are from those of a constant rate."""
        return float(abs(self.time_s - self.time_s[0] - np.arange(len(self)) / self.fps).max())

    @cached_property
    def y_up_mm(self) -> Float[ndarray, "N J 3"]:
        """Joints with y up; x as before, z = x cross y: towards the camera, or the world's -y."""
        joints: ndarray = np.asarray(self.joints_mm, np.float64) @ np.array(_TO_Y_UP[self.frame], np.float64).T
        return joints

    @cached_property
    def z_up_mm(self) -> Float[ndarray, "N J 3"]:
        """Joints with z up; x as before."""
        joints: ndarray = np.asarray(self.joints_mm, np.float64) @ np.array(_TO_Z_UP[self.frame], np.float64).T
        return joints

    @cached_property
    def rig(self) -> Rig:
        """The rigid skeleton that moves as these joints do, y up; other skeletons become Human3.6M's first."""
        joints, _ = self.skeleton.to(H36M_17, self.y_up_mm)
        return rig_of(joints)

    def described(self) -> dict[str, Any]:
        """What a reader must know beside the numbers."""
        return {
            "generator": f"dreampose3d {__version__}",
            "name": self.name,
            "fps": self.fps,
            "num_frames": len(self),
            "skeleton": self.skeleton.name,
            "joints": list(self.skeleton.joints),
            "source_frame": FRAMES[self.frame],
        }


def motion_of(source: LiftedMotion | PoseSequence | Motion) -> Motion:
    """What to export of a lifted motion or a 3D sequence: in the world, if it is known how the camera stands in it.

    Raises:
        ValueError: If it has no 3D joints, or joints or frames are missing.
    """
    if isinstance(source, Motion):
        return source
    if source.joints_mm is None:
        raise ValueError(f"{source.name}: expected 3D joints to export, got 2D keypoints; lift them first")
    joints, frame = _placed(source.joints_mm, source.camera)
    if isinstance(source, PoseSequence):
        return Motion(source.name, source.fps, joints, source.skeleton, frame, source.time_s)
    return Motion(
        source.name, source.fps, joints, source.skeleton, frame, source.time_s, source.spread_mm, source.confidence
    )


def _placed(joints_mm: Float[ndarray, "N J 3"], camera: Camera | None) -> tuple[Float[ndarray, "N J 3"], Frame]:
    if camera is None:
        return joints_mm, "world"
    if not camera.posed:
        return joints_mm, "camera"
    return joints_mm.astype(np.float64) @ np.array(camera.rotation) + np.array(camera.position_mm), "world"
