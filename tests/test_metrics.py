"""Metrics against slow twins, scipy, hand-made cases and their laws."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from tests.oracles import (
    scipy_p_mpjpe,
    slow_acceleration_errors,
    slow_auc,
    slow_bone_spread,
    slow_mpjpe,
    slow_n_mpjpe,
    slow_p_mpjpe_squared,
    slow_pck,
    slow_velocity_errors,
)

from dreampose3d.metrics import (
    acceleration_error,
    acceleration_magnitude,
    auc,
    bone_length_spread,
    mpjpe,
    mpjve,
    n_mpjpe,
    p_mpjpe,
    pck,
    similarity_align,
)
from dreampose3d.skeleton import H36M_17

J = H36M_17.num_joints


@pytest.fixture
def poses() -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions (2, 5, J, 3) and their common truth (5, J, 3), mm, float64."""
    generator = torch.Generator().manual_seed(0)
    true = 400 * torch.randn(5, J, 3, generator=generator, dtype=torch.float64)
    pred = true + torch.tensor([30.0, 90.0])[:, None, None, None] * torch.randn(2, 5, J, 3, generator=generator)
    return pred, true


def test_a_pose_moved_by_30_40_0_has_an_error_of_50():
    true = torch.zeros(J, 3)
    assert mpjpe(true + torch.tensor((30.0, 40.0, 0.0)), true).item() == pytest.approx(50)


def test_mpjpe_and_p_mpjpe_equal_their_twins_pose_by_pose(poses):
    pred, true = poses
    for h, f in np.ndindex(2, 5):
        p, t = pred[h, f].numpy(), true[f].numpy()
        assert mpjpe(pred, true)[h, f].item() == pytest.approx(slow_mpjpe(p, t), rel=1e-12)
        assert p_mpjpe(pred, true)[h, f].item() == pytest.approx(scipy_p_mpjpe(p, t), rel=1e-9)
        assert n_mpjpe(pred, true)[h, f].item() == pytest.approx(slow_n_mpjpe(p, t), rel=1e-6)


def test_p_mpjpe_ignores_any_similarity(poses):
    pred, true = poses
    turn = torch.from_numpy(Rotation.random(5, random_state=1).as_matrix())
    moved = 0.3 * pred @ turn.mT + torch.tensor((100.0, -2000.0, 5000.0))
    torch.testing.assert_close(p_mpjpe(moved, true), p_mpjpe(pred, true), rtol=1e-9, atol=0)
    assert p_mpjpe(0.3 * true @ turn.mT + 7, true).max() < 1e-9  # mm


def test_p_mpjpe_does_not_undo_a_reflection(poses):
    _, true = poses
    mirrored = true * torch.tensor((-1.0, 1.0, 1.0))
    assert p_mpjpe(mirrored, true).min() > 50
    for pose, goal in zip(mirrored, true, strict=True):
        squared = (similarity_align(pose, goal) - goal).square().sum().item()
        assert squared == pytest.approx(slow_p_mpjpe_squared(pose.numpy(), goal.numpy()), rel=1e-6)


def test_p_mpjpe_of_a_flat_pose_needs_no_third_dimension(poses):
    """A planar pose has a singular covariance: its rotation is still found, without a reflection."""
    _, true = poses
    flat = true * torch.tensor((1.0, 1.0, 0.0))
    turn = torch.from_numpy(Rotation.from_euler("xyz", (20, 100, 30), degrees=True).as_matrix())
    assert p_mpjpe(flat @ turn.T, flat).max() < 1e-6


def test_p_mpjpe_is_never_above_mpjpe_by_squares_and_keeps_the_input_type(poses):
    pred, true = poses
    aligned = (similarity_align(pred, true) - true).square().sum((-2, -1))
    assert (aligned <= (pred - true).square().sum((-2, -1))).all()
    assert p_mpjpe(pred.float(), true.float()).dtype == torch.float32
    torch.testing.assert_close(p_mpjpe(pred.float(), true.float()).double(), p_mpjpe(pred, true), rtol=1e-5, atol=0)


def test_p_mpjpe_far_from_the_origin_keeps_its_digits(poses):
    """100 km away float32 itself rounds to 8 mm; float64 input must not lose anything to the alignment."""
    pred, true = poses
    torch.testing.assert_close(p_mpjpe(pred + 1e8, true), p_mpjpe(pred, true), rtol=1e-6, atol=0)


@pytest.mark.parametrize("size", [0.0, 1.0, 1e8])
def test_a_prediction_without_extent_is_refused(poses, size):
    pred, true = poses
    pred[1, 3] = size * torch.tensor((0.1, 0.7, 1 / 3))
    with pytest.raises(ValueError, match=r"finite joints that do not all coincide, but 1 of 10 poses have none"):
        p_mpjpe(pred, true)


def test_not_a_number_is_refused_where_a_scale_is_sought(poses):
    pred, true = poses
    pred[0, 0, 4, 1] = math.nan
    for metric in (p_mpjpe, n_mpjpe):
        with pytest.raises(ValueError, match="expected finite joints"):
            metric(pred, true)
    assert mpjpe(pred, true).isnan().sum() == 1


def test_n_mpjpe_ignores_scale_only(poses):
    pred, true = poses
    torch.testing.assert_close(n_mpjpe(0.2 * pred, true), n_mpjpe(pred, true), rtol=1e-9, atol=0)
    assert (n_mpjpe(pred + 100, true) > n_mpjpe(pred, true) + 1).all()
    with pytest.raises(ValueError, match="no scale exists"):
        n_mpjpe(torch.zeros(J, 3), true[0].float())


def test_velocity_and_acceleration_equal_their_twins(poses):
    pred, true = poses
    for h in range(2):
        velocity = slow_velocity_errors(pred[h].numpy(), true.numpy(), 30)
        assert mpjve(pred, true, fps=30.0)[h].tolist() == pytest.approx(velocity)
        acceleration = slow_acceleration_errors(pred[h].numpy(), true.numpy(), 30)
        assert acceleration_error(pred, true, fps=30.0)[h].tolist() == pytest.approx(acceleration)


def test_velocity_and_acceleration_of_a_fall():
    """x = 5 t^2 m from rest against standing still, at 10 fps: the acceleration is 10 m/s^2."""
    time = torch.arange(4) / 10
    fall = torch.zeros(4, J, 3)
    fall[..., 2] = 5000 * time[:, None] ** 2
    still = torch.zeros_like(fall)
    assert mpjve(fall, still, fps=10.0).tolist() == pytest.approx([500, 1500, 2500])  # mm/s, between frames
    assert acceleration_error(fall, still, fps=10.0).tolist() == pytest.approx([10, 10], rel=1e-5)


def test_magnitude_of_acceleration_is_that_of_a_turning_joint():
    """On a circle of radius r at w rad/s it is r w^2, less the share (w / fps)^2 / 12 that second differences miss."""
    angle = 3.0 * torch.arange(200.0, dtype=torch.float64) / 100
    circle = 500 * torch.stack((angle.cos(), angle.sin(), 0 * angle), -1)[:, None].expand(-1, J, -1)
    assert acceleration_magnitude(circle, fps=100.0).tolist() == pytest.approx([0.5 * 9] * 198, rel=1e-4)
    assert acceleration_magnitude(circle + 77, fps=100.0).tolist() == pytest.approx([0.5 * 9] * 198, rel=1e-4)
    with pytest.raises(ValueError, match="positive frame rate"):
        acceleration_magnitude(circle, fps=0.0)


def test_a_constant_offset_has_no_velocity_and_a_drift_no_acceleration(poses):
    _, true = poses
    drift = torch.arange(5.0)[:, None, None] * torch.tensor((3.0, 0.0, 4.0))
    assert mpjve(true + 77, true, fps=50.0).max() < 1e-9
    assert mpjve(true + drift, true, fps=50.0).tolist() == pytest.approx([250] * 4)
    assert acceleration_error(true + drift, true, fps=50.0).max() < 1e-9


@pytest.mark.parametrize("frames", [1, 2])
def test_clips_too_short_for_a_difference_have_none(frames):
    clip = torch.randn(3, frames, J, 3)
    assert mpjve(clip, clip[0], fps=30.0).shape == (3, frames - 1)
    assert acceleration_error(clip, clip[0], fps=30.0).shape == (3, 0)


@pytest.mark.parametrize("metric", [mpjve, acceleration_error])
@pytest.mark.parametrize("fps", [0.0, -30.0, math.nan])
def test_a_frame_rate_must_be_positive(metric, fps):
    with pytest.raises(ValueError, match=f"positive frame rate, got {fps}"):
        metric(torch.zeros(4, J, 3), torch.zeros(4, J, 3), fps)


def test_pck_is_strict_at_its_threshold():
    true = torch.zeros(3, 3)
    pred = torch.tensor([[150.0, 0, 0], [149.99, 0, 0], [0, 0, 0]])
    assert pck(pred, true).item() == pytest.approx(2 / 3)
    assert pck(pred, true, threshold_mm=151.0).item() == 1
    with pytest.raises(ValueError, match="positive threshold in mm, got 0"):
        pck(pred, true, threshold_mm=0.0)


def test_auc_of_known_distances():
    """A joint off by d counts at the thresholds above d: 30, 15 (75.01 to 150) and none of 31."""
    true = torch.zeros(3, 3)
    pred = torch.tensor([[0.0, 0, 0], [75.0, 0, 0], [150.0, 0, 0]])
    assert auc(pred, true).item() == pytest.approx((30 + 15 + 0) / (3 * 31))
    assert auc(true, true).item() == pytest.approx(30 / 31)


def test_pck_and_auc_equal_their_twins(poses):
    pred, true = poses
    for h, f in np.ndindex(2, 5):
        p, t = pred[h, f].numpy(), true[f].numpy()
        assert pck(pred, true)[h, f].item() == pytest.approx(slow_pck(p, t, 150))
        assert auc(pred, true)[h, f].item() == pytest.approx(slow_auc(p, t))


def test_bone_length_spread_equals_its_twin_and_is_zero_for_a_rigid_body(poses):
    pred, true = poses
    for h in range(2):
        spread = slow_bone_spread(pred[h].numpy(), H36M_17.parents)
        assert bone_length_spread(pred, H36M_17)[h].tolist() == pytest.approx(spread)
    turn = torch.from_numpy(Rotation.random(5, random_state=2).as_matrix())
    rigid = true[:1] @ turn.mT + 500 * torch.randn(5, 1, 3, dtype=torch.float64)
    assert bone_length_spread(rigid, H36M_17).max() < 1e-9
    assert bone_length_spread(true[:1], H36M_17).tolist() == [0] * (J - 1)


def test_bone_length_spread_wants_the_joints_of_the_skeleton():
    with pytest.raises(ValueError, match=r"expected 17 joints \(h36m_17\), got 12"):
        bone_length_spread(torch.zeros(2, 12, 3), H36M_17)
