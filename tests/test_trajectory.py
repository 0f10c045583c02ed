"""The root from reprojection: exact on exact data, of least reprojection error, unshaken by gaps."""

import math

import numpy as np
import pytest
import torch
from tests.oracles import slow_root

from dreampose3d import trajectory
from dreampose3d.skeleton import H36M_17
from dreampose3d.trajectory import estimate_root, fit_root, fittable, reprojection_residual

J = H36M_17.num_joints
H, N = 3, 12


@pytest.fixture
def scene() -> dict[str, torch.Tensor]:
    """A pose (N, J, 3) that changes, its steady path (N, 3) at 3 to 4 m, its exact rays and full confidence."""
    generator = torch.Generator().manual_seed(0)
    joints = 400 * torch.randn(N, J, 3, generator=generator, dtype=torch.float64).clamp(-2, 2)
    joints[:, 0] = 0
    share = torch.linspace(0, 1, N, dtype=torch.float64)[:, None]
    root = torch.tensor((-800.0, 300.0, 3000.0)) + share * torch.tensor((900.0, -200.0, 1000.0))
    return {"joints": joints, "root": root, "rays": project(joints, root), "confidence": torch.ones(N, J)}


def project(joints: torch.Tensor, root: torch.Tensor) -> torch.Tensor:
    placed = joints + root[..., None, :]
    return placed[..., :2] / placed[..., 2:]


def test_the_root_of_exact_data_is_exact(scene):
    root = estimate_root(scene["joints"], scene["rays"], scene["confidence"])
    torch.testing.assert_close(root, scene["root"], atol=1e-6, rtol=0)  # mm


def test_float32_data_places_the_root_within_a_tenth_of_a_millimetre(scene):
    root = estimate_root(scene["joints"].float(), scene["rays"].float(), scene["confidence"])
    assert root.dtype == torch.float32
    torch.testing.assert_close(root.double(), scene["root"], atol=0.1, rtol=0)


def test_each_fit_has_the_least_reprojection_error(scene):
    """Whatever the noise: linear least squares alone would come out up to 5 % too near here."""
    generator = torch.Generator().manual_seed(1)
    joints = scene["joints"] + 60 * torch.randn(H, N, J, 3, generator=generator)
    rays = scene["rays"] + 0.01 * torch.randn(N, J, 2, generator=generator)
    confidence = torch.rand(N, J, generator=generator).clamp_min(0.06)
    root = fit_root(joints, rays, confidence)
    for h, f in np.ndindex(H, N):
        start = scene["root"][f].numpy()
        slow = slow_root(joints[h, f].numpy(), rays[f].numpy(), confidence[f].numpy(), start)
        np.testing.assert_allclose(root[h, f], slow, atol=1.0)  # mm, of 3000: three Gauss-Newton steps


def test_noise_in_the_2d_does_not_bring_the_root_nearer(scene):
    """300 draws of 10 px (of 1000, 50 degrees): the mean depth is the true one within 3 standard errors."""
    rays = scene["rays"] + 0.01 * torch.randn(300, N, J, 2, generator=torch.Generator().manual_seed(2))
    error = (fit_root(scene["joints"].expand(300, N, J, 3), rays, scene["confidence"]) - scene["root"])[..., 2]
    assert abs(error.mean()) < 3 * error.std() / error.numel() ** 0.5 + 2  # mm


def test_hypotheses_are_a_leading_axis(scene):
    joints = torch.stack([scene["joints"] * scale for scale in (0.5, 1.0, 2.0)])
    together = estimate_root(joints, scene["rays"], scene["confidence"])
    for h in range(3):
        alone = estimate_root(joints[h], scene["rays"], scene["confidence"])
        torch.testing.assert_close(together[h], alone, atol=0, rtol=0)
    torch.testing.assert_close(together[2], 2 * scene["root"], atol=1e-6, rtol=0)  # twice the size, twice as far


def test_joints_that_are_missing_or_uncertain_do_not_count(scene):
    scene["rays"][:, 3] = math.nan
    scene["rays"][:, 5] += 10
    scene["confidence"][:, 5] = 0.04
    root = estimate_root(scene["joints"], scene["rays"], scene["confidence"])
    torch.testing.assert_close(root, scene["root"], atol=1e-6, rtol=0)


def test_frames_without_enough_joints_lie_between_their_neighbours(scene):
    scene["rays"][4:7, 2:] = math.nan  # two joints left
    scene["confidence"][0] = 0
    scene["rays"][-1] = scene["rays"][-1, :1]  # all in one point
    known = fittable(scene["rays"], scene["confidence"])
    assert known.tolist() == [f not in (0, 4, 5, 6, 11) for f in range(N)]
    root = estimate_root(scene["joints"], scene["rays"], scene["confidence"])
    torch.testing.assert_close(root[1:-1], scene["root"][1:-1], atol=1e-6, rtol=0)  # the path is straight
    torch.testing.assert_close(root[[0, -1]], scene["root"][[1, -2]], atol=1e-6, rtol=0)  # the ends stay


def test_two_frames_that_go_wild_leave_no_trace(scene):
    scene["rays"][5:7] = scene["rays"][5:7] * 0.1 + 0.5
    root = estimate_root(scene["joints"], scene["rays"], scene["confidence"])
    assert (root - scene["root"]).abs().max() < 200  # mm: as far as the path goes in two frames
    assert (fit_root(scene["joints"], scene["rays"], scene["confidence"]) - scene["root"]).abs().max() > 5000


def test_a_single_frame_is_enough(scene):
    one = (scene["joints"][:1], scene["rays"][:1], scene["confidence"][:1])
    torch.testing.assert_close(estimate_root(*one), scene["root"][:1], atol=1e-6, rtol=0)


def test_all_joints_stay_in_front_of_the_camera_whatever_the_2d_says(scene):
    generator = torch.Generator().manual_seed(3)
    for rays in (-scene["rays"], torch.randn(N, J, 2, generator=generator), 1e3 * scene["rays"]):
        root = estimate_root(scene["joints"], rays, scene["confidence"])
        assert root.isfinite().all()
        assert (scene["joints"] + root[:, None])[..., 2].min() >= 100 - 1e-6  # mm


def test_a_long_clip_is_fitted_in_parts_that_leave_no_trace(scene, monkeypatch):
    rays = scene["rays"] + 0.01 * torch.randn(N, J, 2, generator=torch.Generator().manual_seed(4))
    joints = torch.stack((scene["joints"], 1.1 * scene["joints"]))
    whole = estimate_root(joints, rays, scene["confidence"])
    monkeypatch.setattr(trajectory, "_FRAMES_AT_ONCE", 5)
    torch.testing.assert_close(estimate_root(joints, rays, scene["confidence"]), whole, atol=1e-9, rtol=0)


def test_a_clip_that_places_no_root_is_refused(scene):
    with pytest.raises(ValueError, match=r"at least 3 joints apart from each other, of confidence 0.05 or more.*12 fr"):
        estimate_root(scene["joints"], scene["rays"], 0.01 * scene["confidence"])
    with pytest.raises(ValueError, match="none in 0 frames"):
        estimate_root(scene["joints"][:0], scene["rays"][:0], scene["confidence"][:0])


def test_residual_is_the_way_by_which_placed_joints_miss_their_rays(scene):
    """Nothing on exact data; with one of two joints moved 30 mm sideways, the RMS of 30 and 0."""
    joints, root, rays, confidence = scene.values()
    assert reprojection_residual(joints, root, rays, confidence).max() < 1e-9
    moved = joints.clone()
    moved[:, 1, 0] += 30
    two = torch.zeros(N, J)
    two[:, 1:3] = 0.7
    torch.testing.assert_close(reprojection_residual(moved, root, rays, two), torch.full((N,), 450.0).double().sqrt())


def test_residual_leaves_missing_joints_out(scene):
    joints, root, rays, confidence = scene.values()
    rays[2, 4] = torch.nan
    rays[3], confidence[3] = 5.0, 0.01  # nothing to be seen
    residual = reprojection_residual(joints, root, rays, confidence)
    assert residual.isfinite().all()
    assert residual.max() < 1e-9
