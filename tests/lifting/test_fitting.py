import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation
from tests.motion import STANDING_MM

from dreampose3d.lifting import fitting as module
from dreampose3d.lifting.fitting import fit_to_2d, gather, white_noise
from dreampose3d.motion.bones import bone_lengths, mirrored_bones
from dreampose3d.skeleton import H36M_17, MPI_INF_3DHP_17

FPS = 50.0
FACING = np.array([(1, 0, 0), (0, 0, -1), (0, 1, 0)])
"""From z up to a camera's axes."""


def rigid(frames=60, seed=0):
    """A person of constant, symmetric bones whose limbs swing: root-relative joints (frames, 17, 3), camera frame."""
    rng = np.random.default_rng(seed)
    rest = (STANDING_MM - STANDING_MM[0]) @ FACING.T
    lengths = bone_lengths(rest, H36M_17)
    lengths = (lengths + lengths[mirrored_bones(H36M_17)]) / 2
    time = np.arange(frames)[:, None] / FPS
    joints = np.zeros((frames, 17, 3))
    for length, (joint, parent) in zip(lengths, H36M_17.bones, strict=True):
        turn = sum(rng.normal(0, 0.4, 3) * np.sin(rng.uniform(1, 4) * time + rng.uniform(0, 6)) for _ in range(2))
        direction = rest[joint] - rest[parent]
        joints[:, joint] = joints[:, parent] + length * Rotation.from_rotvec(turn).apply(
            direction / np.linalg.norm(direction)
        )
    return joints


def walked(joints):
    """Where that person's root is."""
    time = np.arange(len(joints)) / FPS
    return np.stack((300 * np.sin(time), 0 * time, 4000 + 400 * time), -1)


def seen(joints):
    """The rays of placed joints."""
    return joints[..., :2] / joints[..., 2:]


def fit(poses, rays, confidence=None, fps=FPS, skeleton=H36M_17):
    confidence = np.ones(rays.shape[:2]) if confidence is None else confidence
    found, evidence = fit_to_2d(
        *map(torch.from_numpy, (poses, rays, confidence)), np.arange(len(poses)) / fps, skeleton
    )
    return found.numpy(), evidence


def error(found, true):
    return float(np.linalg.norm(found - true, axis=-1).mean())


def slowly(frames, seed=1):
    """Errors in mm that drift over seconds, as a network's do."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None, None] / FPS
    wander = sum(
        rng.normal(0, 15, (17, 3)) * np.sin(rng.uniform(1, 5, (17, 3)) * time + rng.uniform(0, 6, (17, 3)))
        for _ in range(3)
    )
    return wander - wander[:, :1]


def test_the_truth_stays_where_it_is():
    true = rigid()
    found, evidence = fit(true, seen(true + walked(true)[:, None]))
    assert error(found, true) < 0.5
    assert evidence.noise_mm < 0.3
    assert evidence.miss_mm < 1e-3
    np.testing.assert_array_equal(found[:, 0], 0)


def test_exact_2d_and_constant_bones_take_most_of_an_error_off():
    true = rigid()
    poses = true + 0.5 * slowly(len(true))
    found, evidence = fit(poses, seen(true + walked(true)[:, None]))
    across = np.linalg.norm((found - true)[..., :2], axis=-1).mean()
    assert across < 0.5 * np.linalg.norm((poses - true)[..., :2], axis=-1).mean()
    assert error(found, true) < 0.75 * error(poses, true)
    assert bone_lengths(found, H36M_17).std(0).mean() < 0.6 * bone_lengths(poses, H36M_17).std(0).mean()
    assert evidence.error_mm > 1


def test_noise_is_measured_and_taken_out():
    true, rng = rigid(200), np.random.default_rng(2)
    placed = true + walked(true)[:, None]
    shaken = rng.normal(0, 12, true.shape)
    rays = seen(placed + shaken)
    found, evidence = fit(true + shaken - shaken[:, :1], rays)
    assert evidence.noise_mm == pytest.approx(12, rel=0.15)
    assert evidence.steadied > 0.95
    assert error(found, true) < 0.6 * error(true + shaken - shaken[:, :1], true)


def test_2d_that_jitters_is_not_followed():
    true, rng = rigid(200), np.random.default_rng(2)
    rays = seen(true + walked(true)[:, None] + rng.normal(0, 30, true.shape))
    assert error(fit(true, rays)[0], true) < 5


def test_bones_settle_towards_the_persons_own():
    """Shins that the network has 40 mm too long, which the 2D contradicts."""
    true = rigid(120)
    poses = true.copy()
    for knee, ankle in ((2, 3), (5, 6)):
        shin = true[:, ankle] - true[:, knee]
        poses[:, ankle] += 40 * shin / np.linalg.norm(shin, axis=-1, keepdims=True)
    _, evidence = fit(poses, seen(true + walked(true)[:, None]))
    shins = [bone for bone, (joint, _) in enumerate(H36M_17.bones) if joint in (3, 6)]
    off = evidence.lengths_mm[shins] - bone_lengths(true[0], H36M_17)[shins]
    assert (np.abs(off) < 15).all()


def test_white_noise_is_that_of_a_normal_variable():
    rng = np.random.default_rng(0)
    flat = rng.normal(0, 3, (4000, 2, 3)) * (1, 1, 0)
    np.testing.assert_allclose(white_noise(flat, 2), 3, rtol=0.05)
    np.testing.assert_allclose(white_noise(rng.normal(0, 3, (4000, 2, 3)), 3), 3, rtol=0.05)
    np.testing.assert_allclose(white_noise(np.arange(40.0)[:, None, None].repeat(3, 2) ** 3, 3), 0, atol=1e-6)
    flat[::4, 0] = np.nan
    assert np.isnan(white_noise(flat, 2)).tolist() == [True, False]
    assert np.isnan(white_noise(flat[:4], 2)).all()


def test_each_frame_is_the_least_of_the_stated_sum():
    """Against scipy's least squares on the terms as the module states them."""
    true = rigid(1)
    poses, root = true + slowly(1) * 0.5 + np.where(np.arange(17)[:, None] > 0, 10, 0), walked(true)
    rays = seen(true + root[:, None])
    rays = np.concatenate((rays, np.ones((1, 17, 1))), -1)
    confidence = np.linspace(0.2, 1, 17)[None]
    clip = module._Clip(
        poses, root, rays / np.linalg.norm(rays, axis=-1, keepdims=True), confidence, np.zeros(1), H36M_17
    )
    evidence = gather(clip)._replace(lengths_mm=bone_lengths(true, H36M_17)[0])
    depth = np.linspace(3, 40, 17)
    sight = root[0] / np.linalg.norm(root[0])

    def terms(flat):
        joints = flat.reshape(17, 3)
        moved = joints - poses[0] - root[0]
        along = moved @ sight
        off = joints - clip.rays[0] * (clip.rays[0] * joints).sum(-1, keepdims=True)
        longer = bone_lengths(joints, H36M_17) - evidence.lengths_mm
        parts = (moved - along[:, None] * sight) / module.LATERAL_MM, along / depth
        parts += (np.sqrt(confidence[0])[:, None] * off / evidence.error_mm, longer / module.BONE_MM)
        return np.concatenate([part.ravel() for part in parts])

    least = least_squares(terms, (poses + root[:, None]).ravel(), xtol=1e-12, ftol=1e-12).x.reshape(17, 3)
    found = module._nearest(clip, evidence, depth, 30)[0]
    np.testing.assert_allclose(found, least - least[0], atol=0.01)


def test_it_turns_and_mirrors_with_the_camera():
    true = rigid()
    poses, placed = true + slowly(60), true + walked(true)[:, None]
    plain, _ = fit(poses, seen(placed))
    turn = Rotation.from_euler("y", 20, degrees=True).as_matrix()
    np.testing.assert_allclose(
        fit(poses @ turn.T, seen(placed @ turn.T))[0], plain @ turn.T, atol=0.6
    )  # the root is fitted in the image
    flip = (-1, 1, 1)
    mirror = H36M_17.mirror
    np.testing.assert_allclose(
        fit((poses * flip)[:, mirror], seen(placed * flip)[:, mirror])[0], (plain * flip)[:, mirror], atol=1e-3
    )


def test_a_joint_out_of_sight_goes_with_its_bones_alone():
    true = rigid()
    poses, confidence = true + slowly(60), np.ones((60, 17))
    confidence[:, 16] = 0.01
    rays = seen(true + walked(true)[:, None])
    found, _ = fit(poses, rays, confidence)
    wrong = rays.copy()
    wrong[:, 16] = np.nan
    np.testing.assert_allclose(fit(poses, wrong)[0], found, atol=1e-6)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("joints", [range(17), (15, 16)])
def test_a_gap_is_bridged_without_a_jump(joints):
    """Where the network imagines a pose far from those about it: by the way from the one to the other."""
    true = rigid()
    poses, rays = true + slowly(60), seen(true + walked(true)[:, None])
    whole, _ = fit(poses, rays)
    gap, lost = slice(25, 35), list(joints)
    rays[gap, lost] = np.nan
    poses[gap, lost[1:]] += (120, -60, 90)
    found, evidence = fit(poses, rays)
    assert error(poses[gap, lost], true[gap, lost]) > 75
    assert error(found[gap, lost], true[gap, lost]) < 1.4 * error(whole[gap, lost], true[gap, lost]) + 5
    step = np.linalg.norm(np.diff(found, axis=0), axis=-1)
    assert step[[24, 34]].max() < 1.5 * np.linalg.norm(np.diff(true, axis=0), axis=-1).max()
    off = bone_lengths(found[gap], H36M_17) - evidence.lengths_mm
    assert abs(off).mean() < 3


def test_the_bridge_is_the_least_of_misfit_and_roughness(monkeypatch):
    """Against a dense solve, at uneven times; what is seen stays."""
    rng = np.random.default_rng(0)
    poses, time = rng.normal(0, 300, (12, 17, 3)), np.cumsum(rng.uniform(0.01, 0.04, 12))
    poses[:, 0] = 0
    rays = np.ones((12, 17, 3))
    rays[4:9, 7] = rays[10:, 9] = np.nan
    clip = module._Clip(poses, np.zeros((12, 3)), rays, np.ones((12, 17)), time, H36M_17)
    monkeypatch.setattr(module, "_nearest", lambda clip, *_: clip.poses)
    found = module._bridged_poses(clip, module.Evidence(1.0, 1.0, np.ones(16)))
    before, after = np.diff(time)[:-1], np.diff(time)[1:]
    second = np.zeros((10, 12))
    for n in range(10):
        a, b = before[n], after[n]
        second[n, n : n + 3] = np.array((2 / (a * (a + b)), -2 / (a * b), 2 / (b * (a + b)))) * np.sqrt((a + b) / 2)
    rough = second.T @ second / module.SPECTRUM_MM2_PER_S3
    for joint in range(17):
        lost = np.isnan(rays[:, joint, 0])
        weight = np.gradient(time) / (module.IMAGINED_S * module.IMAGINED_MM**2)
        free = rough[np.ix_(lost, lost)] + np.diag(weight[lost])
        known = rough[np.ix_(lost, ~lost)] @ poses[~lost, joint]
        least = np.linalg.solve(free, weight[lost, None] * poses[lost, joint] - known)
        np.testing.assert_allclose(found[lost, joint], least, atol=1e-2)
        np.testing.assert_array_equal(found[~lost, joint], poses[~lost, joint])


def test_a_long_clip_in_parts_is_as_a_whole(monkeypatch):
    rng = np.random.default_rng(3)
    true = rigid(400)
    poses, rays = true + slowly(400), seen(true + walked(true)[:, None] + rng.normal(0, 5, true.shape))
    rays[80:100], rays[255:285, 13] = np.nan, np.nan
    whole, _ = fit(poses, rays)
    monkeypatch.setattr(module, "_FRAMES_AT_ONCE", 90)
    np.testing.assert_allclose(fit(poses, rays)[0], whole, atol=0.3)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("fps", [10.0, 50.0])
def test_any_length_and_rate(frames, fps):
    true = rigid(frames)
    found, evidence = fit(true + slowly(frames), seen(true + walked(true)[:, None]), fps=fps)
    assert np.isfinite(found).all()
    assert (evidence.noise_mm == module.UNKNOWN_NOISE_MM) == (frames < 5)


def test_other_joints():
    poses = np.random.default_rng(0).normal(0, 300, (20, 17, 3))
    poses -= poses[:, MPI_INF_3DHP_17.root, None]
    found, _ = fit(poses, seen(poses + np.array((0, 0, 4000))), skeleton=MPI_INF_3DHP_17)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[:, MPI_INF_3DHP_17.root], 0)


def test_2d_that_places_no_root_changes_nothing():
    poses = rigid(5)
    found, evidence = fit(poses, np.full((5, 17, 2), np.nan))
    np.testing.assert_array_equal(found, poses)
    assert evidence is None
