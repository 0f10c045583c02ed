"""The any-camera geometry: what must not matter does not."""

import math

import numpy as np
import pytest
import torch

from dreampose3d.camera import Camera
from dreampose3d.data.augment import rotation
from dreampose3d.skeleton import H36M_17, MPI_INF_3DHP_17
from dreampose3d.view import mirror_poses, normalise_view

MIRROR = torch.from_numpy(H36M_17.mirror)


@pytest.fixture
def person():
    """A moving figure 4 m away, off the axis; camera frame, mm, float64."""
    generator = torch.Generator().manual_seed(0)
    pose = 400 * torch.randn(1, 17, 3, generator=generator, dtype=torch.float64)
    sway = 60 * torch.randn(6, 17, 3, generator=generator, dtype=torch.float64)
    return pose + sway + torch.tensor([300.0, 100.0, 4000.0], dtype=torch.float64)


def see(joints, confidence=None):
    rays = (joints[..., :2] / joints[..., 2:])[None]
    confidence = torch.ones(rays.shape[:-1], dtype=rays.dtype) if confidence is None else confidence
    return normalise_view(rays, confidence, torch.ones(1), torch.ones(rays.shape[:2], dtype=torch.bool))


def turn(x=0.0, y=0.0, z=0.0):
    return rotation(torch.tensor([x, y, z], dtype=torch.float64))


def test_view_centres_and_scales(person):
    view = see(person)
    u = view.observed[0, ..., :2]
    torch.testing.assert_close(u[:, 0].mean(0), torch.zeros(2, dtype=u.dtype), atol=1e-12, rtol=0)
    distance2 = (u - u[:, :1]).square().sum(-1)
    torch.testing.assert_close(distance2.mean(), torch.ones((), dtype=u.dtype), atol=1e-12, rtol=0)


def test_rotation_takes_the_root_to_the_axis_with_the_cameras_y_up(person):
    R = see(person).rotation[0]
    torch.testing.assert_close(R @ R.T, torch.eye(3, dtype=R.dtype), atol=1e-12, rtol=0)
    assert torch.linalg.det(R) > 0
    mean = torch.nn.functional.normalize(person[:, 0], dim=-1).mean(0)
    turned = R @ mean
    torch.testing.assert_close(turned[:2], torch.zeros(2, dtype=R.dtype), atol=1e-12, rtol=0)
    assert turned[2] > 0
    assert abs(float(R[0, 1])) < 1e-12  # x' stays level
    assert R[1, 1] > 0  # y' still points down


@pytest.mark.parametrize("angle", [-0.6, 0.2, 0.5])
def test_pan_about_the_cameras_y_axis_changes_nothing_and_turns_the_result(person, angle):
    """u, s are the same numbers, and R' = R G^T: a result R^T Y turns with the camera, exactly."""
    G = turn(y=angle)
    before, after = see(person), see(person @ G.T)
    torch.testing.assert_close(after.observed, before.observed, atol=1e-10, rtol=0)
    torch.testing.assert_close(after.condition, before.condition, atol=1e-10, rtol=0)
    torch.testing.assert_close(after.rotation[0], before.rotation[0] @ G.T, atol=1e-10, rtol=0)


@pytest.mark.parametrize("angle", [-0.5, 0.3])
def test_tilt_with_the_person_on_the_vertical_midline_changes_nothing(person, angle):
    mean = torch.nn.functional.normalize(person[:, 0], dim=-1).mean(0)
    centred = person @ turn(y=-math.atan2(float(mean[0]), float(mean[2]))).T
    G = turn(x=angle)
    before, after = see(centred), see(centred @ G.T)
    torch.testing.assert_close(after.observed, before.observed, atol=1e-10, rtol=0)
    torch.testing.assert_close(after.rotation[0], before.rotation[0] @ G.T, atol=1e-10, rtol=0)


def test_general_tilt_leaves_only_a_rotation_about_the_axis(person):
    before, after = see(person), see(person @ turn(x=0.3).T)
    u, v = before.observed[0, ..., :2].reshape(-1, 2), after.observed[0, ..., :2].reshape(-1, 2)
    left, _, right = torch.linalg.svd(u.T @ v)
    R = left @ right
    torch.testing.assert_close(u @ R, v, atol=0.02, rtol=0)  # q of turned rays is not exactly a plane rotation of q
    assert not torch.allclose(u, v, atol=0.02)


def test_resolution_crop_and_focal_length_do_not_change_rays(person):
    camera = Camera((1920, 1080), (1500.0, 1480.0), (950.0, 530.0), (-0.2, 0.1, 0.001, -0.002, 0.0))
    pixels = camera.project(person)
    half = camera.resized((960, 540))
    torch.testing.assert_close(half.rays(pixels / 2), camera.rays(pixels), atol=1e-9, rtol=0)
    cropped = Camera((800, 600), camera.focal_px, (950.0 - 400, 530.0 - 200), camera.distortion)
    torch.testing.assert_close(
        cropped.rays(pixels - pixels.new_tensor((400, 200))), camera.rays(pixels), atol=1e-9, rtol=0
    )
    tele = Camera((1920, 1080), (3000.0, 2960.0), (950.0, 530.0), camera.distortion)
    torch.testing.assert_close(tele.rays(tele.project(person)), camera.rays(pixels), atol=1e-9, rtol=0)


def test_missing_joints_have_no_influence(person):
    confidence = torch.ones(1, 6, 17, dtype=torch.float64)
    confidence[0, 2:4, 5] = 0.01
    moved = person.clone()
    moved[2:4, 5] += 500
    a, b = see(person, confidence), see(moved, confidence)
    assert torch.equal(a.observed, b.observed)
    assert (a.observed[0, 2:4, 5] == 0).all()
    gone = person.clone()
    gone[2:4, 5] = torch.nan
    assert torch.equal(see(gone, confidence).observed, a.observed)


def test_without_any_root_the_other_joints_stand_in(person):
    confidence = torch.ones(1, 6, 17, dtype=torch.float64)
    confidence[..., 0] = 0
    view = see(person, confidence)
    assert view.observed.isfinite().all()
    assert view.observed[..., 1:, :2].abs().max() < 10


def test_another_skeletons_root_is_its_own_joint(person):
    """The same person in MPI-INF-3DHP's order, whose root is joint 14: the same view, joint by joint."""
    order = torch.tensor([int(place) for place in np.argmax(MPI_INF_3DHP_17.to(H36M_17, np.eye(17))[0], 0)])
    rays = (person[..., :2] / person[..., 2:])[None]
    ones = torch.ones(1, 6, 17, dtype=rays.dtype), torch.ones(1), torch.ones(1, 6, dtype=torch.bool)
    there = normalise_view(rays[:, :, order], *ones, MPI_INF_3DHP_17.root)
    here = normalise_view(rays, *ones)
    torch.testing.assert_close(there.observed, here.observed[:, :, order], atol=1e-12, rtol=0)
    torch.testing.assert_close(there.condition, here.condition)
    torch.testing.assert_close(there.rotation, here.rotation, atol=1e-12, rtol=0)


def test_mirror_twice_is_the_identity_and_a_mirrored_person_is_a_mirrored_view(person):
    torch.testing.assert_close(mirror_poses(mirror_poses(person, MIRROR), MIRROR), person)
    a = mirror_poses(see(person).observed, MIRROR)
    b = see(mirror_poses(person, MIRROR)).observed
    torch.testing.assert_close(a[..., :2], b[..., :2], atol=1e-12, rtol=0)
