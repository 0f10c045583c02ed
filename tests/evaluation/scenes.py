"""Sequences of known truth in front of a camera, and lifters whose error is known."""

import hashlib
from collections.abc import Callable

import numpy as np
import torch
from tests.motion import walker

from dreampose3d.camera import Camera
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17, Skeleton

RADIAL, TANGENTIAL = (-0.20709892, 0.24777518, -0.00307515), (-0.00097570, -0.00142447)
CAMERA = Camera(
    (1000, 1002), (1145.0494, 1143.7811), (512.5415, 515.4515),
    (*RADIAL[:2], TANGENTIAL[1] / 2, TANGENTIAL[0] / 2, RADIAL[2]), thin_prism=(TANGENTIAL[0] / 2, TANGENTIAL[1] / 2),
)  # fmt: skip
"""Human3.6M's first; its lens model counts the tangential terms once, OpenCV's twice."""


def sequence(
    name: str, frames: int, action: str = "Walking", skeleton: Skeleton = H36M_17, seed: int = 0, **fields
) -> PoseSequence:
    """A walker about 4 m away, with exact 2D, in either of the benchmarks' skeletons."""
    world = torch.from_numpy(walker(frames, seed=seed, speed_mm_s=300.0)).double()
    joints = torch.stack((world[..., 0], 900 - world[..., 2], 4000 + world[..., 1]), -1)
    joints = torch.from_numpy(H36M_17.to(skeleton, joints.numpy())[0])
    keypoints = CAMERA.project(joints).float().numpy()
    joints_mm = joints.float().numpy()
    known = {"joints_mm": joints_mm, "keypoints_px": keypoints, "camera": CAMERA, "action": action}
    return PoseSequence(name, 50.0, skeleton, **(known | fields))


def noisy_lifter(truths: list[PoseSequence], sigma_mm: float) -> Callable[[PoseSequence, int, int], torch.Tensor]:
    """Hypotheses that lie about the truth with white noise on every joint but the root.

    It knows a sequence, or a window of it that was cut out and perhaps padded, by its 2D alone, as a lifter does.
    """
    known = {pixels.tobytes(): pose for truth in truths for pixels, pose in _frames(truth)}

    def predict(shown: PoseSequence, hypotheses: int, steps: int) -> torch.Tensor:
        poses = np.stack([known[frame.tobytes()] for frame in shown.keypoints_px])
        seed = hashlib.sha256(shown.keypoints_px.tobytes() + bytes((hypotheses, steps))).digest()
        rng = np.random.default_rng(list(seed))
        noise = rng.normal(0, sigma_mm, (hypotheses, *poses.shape)) * rng.uniform(0.5, 1.5, (hypotheses, 1, 1, 1))
        noise[:, :, shown.skeleton.root] = 0
        return torch.from_numpy(poses + noise)

    return predict


def _frames(truth: PoseSequence):
    relative = truth.joints_mm.astype(np.float64) - truth.joints_mm[:, truth.skeleton.root, None]
    return zip(truth.keypoints_px, relative, strict=True)
