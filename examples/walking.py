"""A figure that walks past a camera: what the examples have in place of your recordings."""

import numpy as np
import torch

from dreampose3d import Camera, PoseSequence
from dreampose3d.skeleton import H36M_17

THIGH, SHIN, UPPER_ARM, FOREARM = 440.0, 430.0, 290.0, 250.0  # mm
_LEG, _ARM = ("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")


def walk(frames: int = 80, fps: float = 40.0, camera: Camera | None = None) -> PoseSequence:
    """2D as a detector would give it, with the camera that saw it; the true 3D joints lie in `joints_mm`."""
    camera = camera or Camera.from_focal((1280, 720), 1100.0)
    joints = np.stack([_pose(frame / fps) for frame in range(frames)])
    pixels = camera.project(torch.from_numpy(joints)).numpy()
    return PoseSequence("walk", fps, H36M_17, joints_mm=joints, keypoints_px=pixels, camera=camera)


def _pose(time: float) -> np.ndarray:
    """All joints at a moment: camera frame (x right, y down, z forward), mm; walking right and a little nearer."""
    phase = 2 * np.pi * 0.9 * time
    ahead, left, down = np.array((0.96, 0, -0.28)), np.array((0.28, 0, 0.96)), np.array((0.0, 1, 0))
    place = {"pelvis": np.array((-900.0, 0, 4200)) + 1000 * time * ahead - 20 * abs(np.sin(phase)) * down}
    for name, up in (("spine", 230), ("thorax", 480), ("neck", 560), ("head", 680)):
        place[name] = place["pelvis"] - up * down + (25 if name == "neck" else 0) * ahead

    def limb(names: list[str], start: np.ndarray, lengths: tuple[float, float], first: float, second: float) -> None:
        place[names[0]] = start
        place[names[1]] = start + lengths[0] * (np.cos(first) * down + np.sin(first) * ahead)
        place[names[2]] = place[names[1]] + lengths[1] * (np.cos(second) * down + np.sin(second) * ahead)

    for side, sign in (("left", 1), ("right", -1)):
        step = phase + (0 if side == "left" else np.pi)
        swing, bend = 0.42 * np.sin(step), 0.15 + 0.75 * max(0.0, np.cos(step))
        leg, arm = ([f"{side}_{joint}" for joint in names] for names in (_LEG, _ARM))
        limb(leg, place["pelvis"] + sign * 130 * left, (THIGH, SHIN), swing, swing - bend)
        shoulder = place["thorax"] + sign * 175 * left + 30 * down
        limb(arm, shoulder, (UPPER_ARM, FOREARM), -0.8 * swing, 0.35 - 0.8 * swing)
    return np.stack([place[joint] for joint in H36M_17.joints])
