"""Bones: the nearest pose with given lengths, against a general optimiser; robust lengths; nothing else changes."""

import numpy as np
import pytest
from scipy.optimize import minimize
from tests.bodies import body

from dreampose3d.motion.bones import bone_lengths, estimate_lengths, mirrored_bones, with_lengths
from dreampose3d.skeleton import H36M_17

BONES = len(H36M_17.bones)


@pytest.fixture
def clip() -> np.ndarray:
    """A body (60 frames) that bends, with joints that are 25 mm off."""
    rng = np.random.default_rng(0)
    poses = [
        body({"hip_flexion": 40 * np.sin(f / 9), "trunk_rotation": f / 2, "knee_flexion": 30 + f}) for f in range(60)
    ]
    noise = rng.normal(0, 25, (60, H36M_17.num_joints, 3))
    noise[:, 0] = 0
    return np.stack(poses) + noise


def test_bones_are_constant_and_the_root_stays(clip):
    lengths = estimate_lengths(clip, H36M_17)
    constant = with_lengths(clip + 1000, lengths, H36M_17)
    np.testing.assert_allclose(bone_lengths(constant, H36M_17), np.broadcast_to(lengths, (60, BONES)), atol=1e-9)
    np.testing.assert_array_equal(constant[:, 0], clip[:, 0] + 1000)


@pytest.mark.parametrize("equal", [True, False])
def test_it_is_the_nearest_such_pose(clip, equal):
    lengths = estimate_lengths(clip, H36M_17)
    spread = np.ones(17) if equal else np.random.default_rng(2).uniform(0.5, 2, 17)
    pose, ours = clip[7], with_lengths(clip[7:8], lengths, H36M_17, spread)[0]

    def joints(free: np.ndarray) -> np.ndarray:
        return np.concatenate((pose[:1], pose[1:] + free.reshape(-1, 3)))

    best = minimize(
        lambda free: (free.reshape(-1, 3) ** 2 / spread[1:, None] ** 2).sum() / 1e3,
        (ours - pose)[1:].ravel() * 0.9,
        constraints={"type": "eq", "fun": lambda free: bone_lengths(joints(free), H36M_17) - lengths},
        options={"maxiter": 100, "ftol": 1e-9},
    )
    np.testing.assert_allclose(ours, joints(best.x), atol=0.1)  # mm


def test_poses_that_have_the_lengths_already_stay_where_they_are():
    poses = np.stack([body({"knee_flexion": angle}) for angle in (30, 60, 90)])
    lengths = estimate_lengths(poses, H36M_17)
    np.testing.assert_allclose(with_lengths(poses, lengths, H36M_17), poses, atol=1e-9)
    again = with_lengths(poses.astype(np.float32), lengths, H36M_17)
    assert again.dtype == np.float32


def test_turning_and_mirroring_go_through(clip):
    lengths = estimate_lengths(clip, H36M_17, symmetric=True)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))  # a reflection, too
    turned = with_lengths(clip @ turn.T, lengths, H36M_17)
    np.testing.assert_allclose(turned, with_lengths(clip, lengths, H36M_17) @ turn.T, atol=1e-6)
    np.testing.assert_array_equal(lengths, lengths[mirrored_bones(H36M_17)])


def test_a_few_wild_frames_do_not_change_the_lengths(clip):
    lengths = estimate_lengths(clip, H36M_17)
    clip[:6, 1:] *= 3
    assert np.abs(estimate_lengths(clip, H36M_17) - lengths).max() < 12  # mm


def test_what_is_not_trusted_does_not_count():
    """Frames with both ends of a bone certain decide; a joint never certain takes all frames."""
    poses = np.stack([body(), 1.5 * body(), 1.5 * body()])
    weight = np.ones((3, H36M_17.num_joints))
    weight[1:, H36M_17.index("left_knee")] = 0
    weight[:, H36M_17.index("head")] = 0
    lengths = dict(zip((j for j, _ in H36M_17.bones), estimate_lengths(poses, H36M_17, weight), strict=True))
    true = dict(zip((j for j, _ in H36M_17.bones), bone_lengths(body(), H36M_17), strict=True))
    for joint in H36M_17.indices("left_knee", "left_ankle"):
        assert lengths[joint] == pytest.approx(true[joint])
    for joint in H36M_17.indices("right_knee", "head"):
        assert lengths[joint] == pytest.approx(1.5 * true[joint])


def test_the_quantile_is_that_of_numpy_for_equal_weights(clip):
    for quantile in (0.5, 0.6):
        expected = np.quantile(bone_lengths(clip, H36M_17), quantile, axis=0, method="hazen")
        np.testing.assert_allclose(estimate_lengths(clip, H36M_17, quantile=quantile), expected)


def test_bad_input_is_refused(clip):
    lengths = estimate_lengths(clip, H36M_17)
    with pytest.raises(ValueError, match="expected 17 joints \\(h36m_17\\), got 16"):
        estimate_lengths(clip[:, :16], H36M_17)
    with pytest.raises(ValueError, match="at least one pose to measure bones in"):
        estimate_lengths(clip[:0], H36M_17)
    with pytest.raises(ValueError, match="expected 16 positive bone lengths in mm"):
        with_lengths(clip, lengths - 200, H36M_17)
    with pytest.raises(ValueError, match="expected a positive spread for every joint but the root"):
        with_lengths(clip, lengths, H36M_17, np.zeros(17))
    with pytest.raises(ValueError, match="but 1 of 60 have a bone without length"):
        clip[3, 2] = clip[3, 1]
        with_lengths(clip, lengths, H36M_17)


def test_a_long_clip_is_solved_in_parts(clip, monkeypatch):
    lengths = estimate_lengths(clip, H36M_17)
    whole = with_lengths(clip, lengths, H36M_17)
    monkeypatch.setattr("dreampose3d.motion.bones._FRAMES_AT_ONCE", 7)
    np.testing.assert_allclose(with_lengths(clip, lengths, H36M_17), whole, atol=1e-9)
