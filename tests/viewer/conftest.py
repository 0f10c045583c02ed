"""A figure that walks: what page and overlay are tested with."""

import math

import numpy as np
import pytest
import torch

from dreampose3d.camera import Camera
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import H36M_17

_STANDING_MM = {  # x right, y down, z forward, seen from the front: the person's left is at the right
    "pelvis": (0, 0, 0), "spine": (0, -230, 0), "thorax": (0, -460, 0), "neck": (0, -560, -40), "head": (0, -680, 0),
    "hip": (120, 0, 0), "knee": (120, 430, 0), "ankle": (120, 850, 0),
    "shoulder": (170, -440, 0), "elbow": (200, -170, 0), "wrist": (210, 70, 0),
}  # fmt: skip
_SWING = {"knee": (1.0, 0.45), "ankle": (1.0, 0.35), "elbow": (-1.0, 0.4), "wrist": (-1.0, 0.55)}  # direction, radians


def _figure(phase: float) -> np.ndarray:
    """One pose of the walk, root-relative, mm, turned by 50 degrees."""
    joints = np.zeros((H36M_17.num_joints, 3))
    for j, name in enumerate(H36M_17.joints):
        kind = name.removeprefix("left_").removeprefix("right_")
        side = -1 if name.startswith("right_") else 1
        x, y, z = _STANDING_MM[kind]
        if kind in _SWING:
            direction, angle = _SWING[kind]
            top = 0 if kind in ("knee", "ankle") else -440
            swing = side * direction * angle * math.sin(phase)
            y, z = top + (y - top) * math.cos(swing), -(y - top) * math.sin(swing)
        joints[j] = side * x, y, z
    turn = math.radians(50)
    rotation = np.array([[math.cos(turn), 0, math.sin(turn)], [0, 1, 0], [-math.sin(turn), 0, math.cos(turn)]])
    return joints @ rotation.T


def walking(frames: int = 60, fps: float = 30.0, camera: Camera | None = None, name: str = "walk") -> LiftedMotion:
    camera = camera or Camera.from_fov((640, 480))
    time_s = np.arange(frames) / fps
    poses = np.stack([_figure(2 * math.pi * t) for t in time_s])
    root = np.stack(
        [900 * np.sin(0.4 * time_s), 20 * np.cos(4 * math.pi * time_s) - 100, 4200 - 300 * np.cos(time_s)], -1
    )
    keypoints = camera.project(torch.from_numpy(poses + root[:, None])).numpy()
    confidence = np.full(keypoints.shape[:2], 0.9)
    wrist = H36M_17.index("left_wrist")
    keypoints[frames // 3 : frames // 2, wrist], confidence[frames // 3 : frames // 2, wrist] = np.nan, 0.0
    spread = np.full(keypoints.shape[:2], 15.0)
    for joint, mm in (("wrist", 80), ("elbow", 45), ("ankle", 60), ("knee", 35), ("head", 30)):
        for j in [j for j, label in enumerate(H36M_17.joints) if label.endswith(joint)]:
            spread[:, j] = mm * (1 + 0.5 * np.sin(3 * time_s + j))
    words = ("walk", "turn", "stand", "run", "wave", "throw", "sit")
    scores = np.stack([2.0 - k + 1.8 * np.sin(1.5 * time_s + 1.3 * k) for k in range(len(words))], -1)
    intent = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    meta = {
        "weights": "small", "units": {"length": "mm"}, "frame": "camera: x right, y down, z forward",
        "options": {"hypotheses": 3, "steps": 2, "flip": True, "aggregate": "p-agg", "seed": 0},
    }  # fmt: skip
    return LiftedMotion(name, fps, time_s, poses, root, spread, keypoints, confidence, words, intent, camera, meta=meta)


@pytest.fixture
def walk() -> LiftedMotion:
    return walking()


@pytest.fixture
def make_walk():
    return walking
