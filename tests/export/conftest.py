import numpy as np
import pytest
from tests.motion import walker

from dreampose3d.camera import Camera
from dreampose3d.export.motion import Motion
from dreampose3d.motion.bones import estimate_lengths, with_lengths
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import H36M_17


@pytest.fixture(scope="session")
def walk():
    """A walk with constant bones in the world, z up: 29.97 frames/s, 50 frames."""
    joints = walker(50, 29.97).astype(np.float64)
    return Motion("walk", 29.97, with_lengths(joints, estimate_lengths(joints, H36M_17), H36M_17))


@pytest.fixture(scope="session")
def lifted(walk):
    """The same walk 4 m before a camera that nobody calibrated: x right, y down, z forward."""
    joints = walk.joints_mm[..., [0, 2, 1]] * (1, -1, 1) + (0, 900, 4000)
    frames = len(joints)
    return LiftedMotion(
        name="clip",
        fps=walk.fps,
        time_s=walk.time_s,
        root_relative_mm=joints - joints[:, :1],
        root_mm=joints[:, 0],
        spread_mm=np.full((frames, H36M_17.num_joints), 20.0),
        keypoints_px=np.zeros((frames, H36M_17.num_joints, 2)),
        confidence=np.full((frames, H36M_17.num_joints), 0.9),
        intent_names=("walking",),
        intent_probability=np.ones((frames, 1)),
        camera=Camera.from_fov((1920, 1080)),
    )
