"""The root's path: exact on exact data, smooth where data are noisy, and unshaken by gaps and swaps."""

import numpy as np
import pytest
import torch

from dreampose3d.motion.root import root_path
from dreampose3d.skeleton import H36M_17
from dreampose3d.trajectory import fit_root

J, N, FPS = H36M_17.num_joints, 120, 50.0
TIME_S = np.arange(N) / FPS


def scene_at(time_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Poses that change, a path with steps and a jump of 44 cm at 3 to 5 m, its exact rays, and full confidence."""
    rng = np.random.default_rng(0)
    poses = rng.normal(0, 350, (J, 3)).clip(-800, 800) + rng.normal(0, 60, (J, 3)) * np.sin(6 * time_s)[:, None, None]
    poses[:, 0] = 0
    jump = np.where((time_s > 1) & (time_s < 1.6), -4905 * (time_s - 1) * (1.6 - time_s), 0)
    step = 40 * np.abs(np.sin(2 * np.pi * time_s))
    root = np.stack((-600 + 500 * time_s, 200 + jump + step, 3000 + 800 * time_s), -1)
    return poses, root, project(poses, root), np.ones((len(time_s), J))


@pytest.fixture
def scene():
    return scene_at(TIME_S)


def project(poses: np.ndarray, root: np.ndarray) -> np.ndarray:
    joints = poses + root[:, None]
    return joints[..., :2] / joints[..., 2:]


def test_exact_data_give_the_exact_path_jumps_and_all(scene):
    poses, root, rays, confidence = scene
    np.testing.assert_allclose(root_path(poses, rays, confidence, TIME_S), root, atol=0.01)  # mm
    uneven = np.cumsum(np.random.default_rng(1).uniform(0.005, 0.04, N))
    poses, root, rays, confidence = scene_at(uneven)
    np.testing.assert_allclose(root_path(poses, rays, confidence, uneven), root, atol=0.01)


def test_noise_is_taken_out_and_the_jump_is_kept(scene):
    """10 px of 1000: a tenth of the fits' jitter is left, and the jump keeps its height within 3 cm."""
    poses, root, rays, confidence = scene
    noisy = rays + 0.01 * np.random.default_rng(2).normal(size=rays.shape)
    path = root_path(poses, noisy, confidence, TIME_S)
    fitted = fit_root(*map(torch.from_numpy, (poses, noisy, confidence))).numpy()

    def jitter(estimate: np.ndarray) -> float:
        return float(np.linalg.norm(np.diff(estimate - root, axis=0), axis=-1).mean())

    assert np.linalg.norm(path - root, axis=-1).mean() < 40  # mm, nearly all in depth
    assert jitter(path) < 0.1 * jitter(fitted)
    assert abs(path[:, 1].min() - root[:, 1].min()) < 30


def test_wild_frames_and_swaps_leave_no_trace(scene):
    poses, root, rays, confidence = scene
    rays = rays.copy()
    rays[50:52] = 0.2 * rays[50:52] + 0.4
    rays[80:83] = rays[80:83][:, H36M_17.mirror]
    assert np.linalg.norm(root_path(poses, rays, confidence, TIME_S) - root, axis=-1).max() < 40


def test_gaps_are_bridged_and_a_person_out_of_sight_slows_down(scene):
    poses, root, rays, confidence = scene
    confidence = confidence.copy()
    confidence[20:30] = 0
    confidence[-60:] = 0
    path = root_path(poses, rays, confidence, TIME_S)
    assert np.linalg.norm((path - root)[:-60], axis=-1).max() < 30
    speed = np.linalg.norm(np.diff(path, axis=0), axis=-1) * FPS
    assert speed[-1] < 0.6 * speed[-60]
    assert np.isfinite(path).all()


def test_one_frame_two_frames_and_float32_are_enough(scene):
    poses, root, rays, confidence = scene
    for count in (1, 2):
        path = root_path(poses[:count], rays[:count], confidence[:count], TIME_S[:count])
        np.testing.assert_allclose(path, root[:count], atol=0.01)
    single = [x.astype(np.float32) for x in (poses, rays, confidence)]
    np.testing.assert_allclose(root_path(*single, TIME_S), root, atol=1)


def test_all_joints_stay_in_front_of_the_camera(scene):
    poses, _, rays, confidence = scene
    path = root_path(poses, 50 * rays, confidence, TIME_S)
    assert (poses + path[:, None])[..., 2].min() >= 100 - 1e-6


def test_bad_input_is_refused(scene):
    poses, _, rays, confidence = scene
    with pytest.raises(ValueError, match=r"at least 3 joints apart.*found none in 120 frames"):
        root_path(poses, rays, 0 * confidence, TIME_S)
    with pytest.raises(ValueError, match="times that grow"):
        root_path(poses, rays, confidence, 0 * TIME_S)
