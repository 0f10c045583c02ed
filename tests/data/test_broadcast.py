from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.miniatures import person

from dreampose3d.data.broadcast import Broadcast, broadcast
from dreampose3d.data.mocap import MocapClip
from dreampose3d.skeleton import H36M_17

J = H36M_17.index
CLEAN = Broadcast(blur=0, jitter_px=0, block_px=0, hidden=0)


def clip(frames=120, fps=60.0):
    return MocapClip("set", "pitch", "s1", "pitching", "test", fps, person(frames, fps).astype(np.float32))


def seen(conditions=None, seed=0, source=None, **more):
    return broadcast(source or clip(), torch.Generator().manual_seed(seed), conditions, **more)


def test_a_clip_becomes_a_far_broadcast_at_its_own_rate():
    shown = seen()
    assert (shown.fps, len(shown)) == (30.0, 60)
    assert shown.camera.size_px == (1280, 720)
    assert 4 <= shown.camera.fov_degrees <= 7
    assert 110e3 < shown.joints_mm[..., 2].min() < shown.joints_mm[..., 2].max() < 145e3
    size = np.ptp(shown.keypoints_px[..., 1], axis=1)
    assert 80 < np.median(size) < 350  # px: a player in a television picture
    assert (shown.confidence > 0).all()


def test_without_errors_the_2d_is_the_projection_of_the_3d_that_was_given():
    shown = seen(CLEAN)
    projected = shown.camera.project(torch.from_numpy(shown.joints_mm)).numpy()
    np.testing.assert_allclose(shown.keypoints_px, projected, atol=1e-9)
    world = shown.camera.to_world(torch.from_numpy(shown.joints_mm)).numpy()
    np.testing.assert_allclose(world, clip().joints_mm[::2], atol=1e-3)  # 60 -> 30 frames/s: every second one
    np.testing.assert_allclose(shown.confidence, 1)


def test_the_camera_stands_behind_and_above():
    shown = seen(CLEAN, ahead_degrees=90.0)
    place = np.array(shown.camera.position_mm)
    assert place[1] < -100e3  # behind a pitcher who throws along y
    assert abs(place[0] / place[1]) < np.tan(np.radians(14.01))
    assert 8e3 < place[2] - 2e3 < 14e3


def test_the_same_seed_gives_the_same_and_another_another():
    one, same, other = seen(seed=3), seen(seed=3), seen(seed=4)
    np.testing.assert_array_equal(one.keypoints_px, same.keypoints_px)
    assert np.abs(one.keypoints_px - other.keypoints_px).max() > 1


def test_blur_lies_along_the_motion_and_grows_with_its_speed():
    """A wrist that moves along x at 6 and at 12 m/s: the error is along x alone, and twice as large."""
    sizes = []
    for speed in (6.0, 12.0):
        joints = np.repeat(person(1), 240, 0)
        joints[:, :, 0] += np.arange(240)[:, None] / 240 * 1000 * speed
        shown = seen(
            replace(CLEAN, blur=0.35, offset_degrees=(0, 0)),
            source=MocapClip("set", "dash", "s1", "", "test", 240.0, joints.astype(np.float32)),
            ahead_degrees=90.0,
        )
        exact = shown.camera.project(torch.from_numpy(shown.joints_mm)).numpy()
        error = shown.keypoints_px - exact
        assert np.abs(error[..., 1]).max() < 0.05 * np.abs(error[..., 0]).max()
        sizes.append(error[1:-1, :, 0].std())
    assert sizes[1] / sizes[0] == pytest.approx(2, rel=0.25)


def test_the_arm_behind_the_body_is_hidden_and_doubted():
    """Seen from behind, arms held before the chest lie behind the trunk."""
    joints = np.repeat(person(1), 60, 0)
    forward = np.array([0.0, 1, 0])
    for side in ("left", "right"):
        joints[:, J(f"{side}_wrist")] = joints[:, J("thorax")] + 300 * forward - [0, 0, 150]
        joints[:, J(f"{side}_elbow")] = joints[:, J("thorax")] + 150 * forward - [0, 0, 200]
    source = MocapClip("set", "held", "s1", "", "test", 30.0, joints.astype(np.float32))
    shown = seen(replace(CLEAN, hidden=1.0), source=source, ahead_degrees=90.0)
    wrists = list(H36M_17.indices("left_wrist", "right_wrist"))
    assert (shown.confidence[:, wrists] <= 0.4).all()
    assert (shown.confidence[:, J("left_ankle")] == 1).all()
    exact = shown.camera.project(torch.from_numpy(shown.joints_mm)).numpy()
    error = np.linalg.norm(shown.keypoints_px - exact, axis=-1)
    assert error[:, wrists].mean() > 5
    assert error[:, J("right_knee")].max() < 1e-9


def test_a_clip_shorter_than_two_frames_is_refused():
    with pytest.raises(ValueError, match=r"pitch: expected at least 2 frames at 30 frames/s, got a clip of 0\.02 s"):
        seen(source=clip(frames=2))
