"""What every source yields, the lifter returns, and every exporter and viewer takes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from dreampose3d.camera import Camera
from dreampose3d.skeleton import H36M_17, Skeleton


@dataclass(frozen=True)
class PoseSequence:
    """One person over N frames: 2D, 3D or both, with the time, the skeleton and the camera they belong to."""

    name: str
    fps: float
    skeleton: Skeleton = H36M_17
    joints_mm: Float[ndarray, "N J 3"] | None = None
    """3D joints, mm, in the camera's frame if there is a camera, else in the world's (z up)."""
    keypoints_px: Float[ndarray, "N K 2"] | None = None
    """2D joints, pixels from the top left corner; NaN where missing."""
    confidence: Float[ndarray, "N K"] | None = None
    """Certainty of each 2D joint in [0, 1]; 0 where missing."""
    time_s: Float[ndarray, " N"] | None = None
    """Presentation time of each frame, seconds; frame / fps where not given."""
    camera: Camera | None = None
    valid: Bool[ndarray, " N"] | None = None
    """Frames that count when errors are measured (3DHP marks them); all, where not given."""
    subject: str = ""
    action: str = ""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"{self.name}: expected a positive frame rate, got {self.fps}")
        for label, array in (("3D", self.joints_mm), ("2D", self.keypoints_px)):
            if array is not None and array.shape[1] != self.skeleton.num_joints:
                raise ValueError(
                    f"{self.name}: expected {self.skeleton.num_joints} {label} joints ({self.skeleton.name}), "
                    f"got {array.shape[1]}; name the skeleton that the data is in"
                )
        arrays = (self.joints_mm, self.keypoints_px, self.confidence, self.time_s, self.valid)
        frames = {len(a) for a in arrays if a is not None}
        if not frames:
            raise ValueError(f"{self.name}: a sequence needs 2D or 3D joints")
        if len(frames) > 1:
            raise ValueError(f"{self.name}: 2D, 3D, confidence, time and validity differ in length: {sorted(frames)}")

    def __len__(self) -> int:
        """N."""
        return len(self.keypoints_px if self.joints_mm is None else self.joints_mm)  # type: ignore[arg-type]

    @property
    def times(self) -> Float[ndarray, " N"]:
        """Seconds of every frame."""
        return np.arange(len(self)) / self.fps if self.time_s is None else self.time_s


@dataclass(frozen=True)
class LiftedMotion:
    """One person's 3D motion as lifted from 2D, with its uncertainty, its intent and its provenance.

    Camera frame (x right, y down, z forward), millimetres, the 17 joints of Human3.6M;
    `joints_mm = root_relative_mm + root_mm[:, None]`.
    """

    name: str
    fps: float
    time_s: Float[ndarray, " N"]
    root_relative_mm: Float[ndarray, "N J 3"]
    root_mm: Float[ndarray, "N 3"]
    spread_mm: Float[ndarray, "N J"]
    """The distance within which the true root-relative joint lies with 68 % probability."""
    keypoints_px: Float[ndarray, "N J 2"]
    """The 2D input after conversion to this skeleton; NaN where missing."""
    confidence: Float[ndarray, "N J"]
    intent_names: tuple[str, ...]
    intent_probability: Float[ndarray, "N V"]
    camera: Camera
    hypotheses_mm: Float[ndarray, "H N J 3"] | None = None
    """Root-relative hypotheses, if they were asked for."""
    skeleton: Skeleton = H36M_17
    meta: dict[str, Any] = field(default_factory=dict)
    """Units, frame, skeleton, mapping, camera and whether assumed, model, weights hash, H, K, seed, versions."""

    @property
    def joints_mm(self) -> Float[ndarray, "N J 3"]:
        """Joints in the camera frame, root included, mm."""
        joints: ndarray = self.root_relative_mm + self.root_mm[:, None]
        return joints

    def __len__(self) -> int:
        """N."""
        return len(self.root_mm)

    def top_intents(self, frame: int, count: int = 3) -> list[tuple[str, float]]:
        """The likeliest intents at a frame, with their probabilities."""
        order = np.argsort(-self.intent_probability[frame])[:count]
        return [(self.intent_names[i], float(self.intent_probability[frame, i])) for i in order]
