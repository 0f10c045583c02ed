from dataclasses import replace

import pytest
import torch
from tests.motion import walker

from dreampose3d.data.noise import DetectorNoise, JointFactors, _Draw, add_detector_noise, blazepose_noise
from dreampose3d.skeleton import H36M_17, MPI_INF_3DHP_17

J = H36M_17.index
QUIET = DetectorNoise(jitter=0, drift=0, blur=0, outliers=0, swaps=0, lost=0)


@pytest.fixture
def points():
    """A walker from the side, in pixels."""
    return torch.stack([torch.from_numpy(walker(40, seed=seed)) for seed in range(6)]).float()[..., [0, 2]] * 0.2


def standing(windows=300, frames=30):
    return torch.from_numpy(walker(1)).float()[..., [0, 2]].expand(windows, frames, 17, 2) * 0.2


def size(points):
    return (points - points[:, :, :1]).square().sum(-1).mean((1, 2)).sqrt()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_level_0_is_the_identity(points):
    for level in (0.0, torch.zeros(6)):
        noisy, confidence = add_detector_noise(points, 50.0, generator(), level=level)
        assert torch.equal(noisy, points)
        assert torch.equal(confidence, torch.ones(6, 40, 17))


def test_the_persons_size_is_measured_from_the_skeletons_root(points):
    """With all joints but the root in one point, the size is, but for the root itself, their distance from it."""
    for skeleton in (H36M_17, MPI_INF_3DHP_17):
        one = torch.zeros(2, 50, 17, 2)
        one[:, :, skeleton.root] += 100
        noisy, _ = add_detector_noise(one, 50.0, generator(), replace(QUIET, jitter=0.1), skeleton=skeleton)
        trunk = (noisy - one)[:, :, skeleton.index("spine")]
        assert trunk.std() == pytest.approx(0.8 * 0.1 * 100 * (2 * 16 / 17) ** 0.5, rel=0.15)


def test_bias_is_constant_in_a_window_and_differs_between_windows():
    exact = standing()
    noisy, _ = add_detector_noise(exact, 50.0, generator(), replace(QUIET, bias=0.1))
    error = (noisy - exact) / size(exact)[:, None, None, None]
    torch.testing.assert_close(error, error[:, :1].expand_as(error), atol=1e-5, rtol=0)  # float32 pixels
    hip, wrist = error[:, 0, J("left_hip")], error[:, 0, J("left_wrist")]
    assert hip.std() == pytest.approx(0.1, rel=0.15)
    assert wrist.std() == pytest.approx(0.15, rel=0.15)


def test_seeded_and_of_any_leading_axes(points):
    made = [add_detector_noise(points, 50.0, generator(seed)) for seed in (3, 3, 4)]
    assert all(torch.equal(a, b) for a, b in zip(made[0], made[1], strict=True))
    assert not torch.equal(made[0][0], made[2][0])
    one = add_detector_noise(points[0], 50.0, generator())
    assert (one[0].shape, one[1].shape) == ((40, 17, 2), (40, 17))
    four = add_detector_noise(points.view(2, 3, 40, 17, 2), torch.full((2, 3), 50.0), generator(3))
    assert torch.equal(four[0].flatten(0, 1), made[0][0])
    assert add_detector_noise(points[:, :1], 50.0, generator())[0].isfinite().all()


def test_it_scales_with_the_person(points):
    """Twice the pixels, twice the error; the confidence stays: rays or pixels alike."""
    noisy, confidence = add_detector_noise(points, 50.0, generator())
    larger, same = add_detector_noise(2 * points, 50.0, generator())
    torch.testing.assert_close(larger, 2 * noisy, atol=1e-3, rtol=0)
    torch.testing.assert_close(same, confidence, atol=1e-4, rtol=0)


def test_confidence_falls_with_the_error(points):
    many = points.repeat(20, 1, 1, 1)
    noisy, confidence = add_detector_noise(many, 50.0, generator())
    assert ((confidence >= 0) & (confidence <= 1)).all()
    error = (noisy - many).norm(dim=-1) / size(many)[:, None, None]
    seen = confidence > 0
    means = [
        float(confidence[seen & (error >= low) & (error < high)].mean())
        for low, high in ((0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 9))
    ]
    assert means == sorted(means, reverse=True)
    assert means[0] > 0.85
    assert means[-1] < 0.1


@pytest.mark.parametrize("fps", [25.0, 50.0])
def test_jitter_and_drift_are_as_large_as_documented_at_any_rate(fps):
    """Standard deviation per axis: hypot(0.015, 0.03) of the person's size, 1.5 times that at the wrists."""
    points = standing()
    noise = replace(QUIET, jitter=0.015, drift=0.03)
    noisy, _ = add_detector_noise(points, fps, generator(), noise)
    error = (noisy - points) / size(points)[:, None, None, None]
    for joint, factor in (("left_hip", 1.0), ("right_wrist", 1.5), ("head", 0.8)):
        assert float(error[:, :, J(joint)].std()) == pytest.approx(factor * 0.03354, rel=0.06)


@pytest.mark.parametrize("fps", [20.0, 60.0])
def test_drift_lasts_as_long_at_any_rate(fps):
    """Values 0.1 s apart agree (correlation 0.8), values 0.5 s apart do not; in one batch with other rates."""
    points = standing(600, 61)
    rates = torch.tensor([fps, 37.0]).repeat(300)
    noisy, _ = add_detector_noise(points, rates, generator(), replace(QUIET, drift=0.03))
    error = (noisy - points)[rates == fps][:, :, J("left_knee"), 0]

    def correlation(seconds):
        lag = round(seconds * fps)
        return float(torch.corrcoef(torch.stack((error[:, :-lag].flatten(), error[:, lag:].flatten())))[0, 1])

    assert correlation(0.1) == pytest.approx(0.8, abs=0.1)
    assert abs(correlation(0.55)) < 0.1


@pytest.mark.parametrize("fps", [20.0, 60.0])
def test_joints_are_lost_in_runs_that_last_as_long_at_any_rate(fps):
    _, confidence = add_detector_noise(standing(), fps, generator(), replace(QUIET, lost=0.02))
    lost = confidence == 0
    assert float(lost.float().mean()) == pytest.approx(0.02, rel=0.15), "the documented share of joints and frames"
    starts = lost[:, 1:] & ~lost[:, :-1]
    run = float(lost[:, 1:].sum() / starts.sum()) / fps
    assert 0.1 < run < 0.2, "seconds"


def test_swaps_exchange_sides_of_arms_or_legs():
    points = standing()
    noisy, confidence = add_detector_noise(points, 50.0, generator(), replace(QUIET, swaps=0.01))
    exchanged = points[..., torch.from_numpy(H36M_17.mirror), :]
    moved = (noisy != points).any(-1)
    assert torch.equal(noisy[moved], exchanged[moved])
    legs = H36M_17.indices("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle")
    arms = H36M_17.indices("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist")
    for limbs in (legs, arms):
        together = moved[:, :, limbs]
        assert torch.equal(together.any(-1), together.all(-1)), "all joints of a pair of limbs, or none"
        assert float(together.any(-1).float().mean()) == pytest.approx(0.01, rel=0.35), "share of frames"
    assert not moved[:, :, H36M_17.indices("pelvis", "spine", "thorax", "neck", "head")].any()
    assert (confidence[moved] < 1).all()


def test_blur_lies_along_the_motion(points):
    noisy, _ = add_detector_noise(points, 50.0, generator(), replace(QUIET, blur=0.15))
    error, step = noisy - points, points.diff(dim=1)
    assert torch.equal(noisy[:, 0], points[:, 0])
    cross = error[:, 1:, :, 0] * step[..., 1] - error[:, 1:, :, 1] * step[..., 0]
    assert float(cross.abs().max()) < 1e-2, "px^2: no error across the motion"
    along = (error[:, 1:] * step).sum(-1) / step.square().sum(-1)
    assert float(along[step.norm(dim=-1) > 0.5].std()) == pytest.approx(0.15, rel=0.05)


def test_outliers_are_rare_and_large():
    points = standing()
    noisy, _ = add_detector_noise(points, 50.0, generator(), replace(QUIET, outliers=0.01))
    error = (noisy - points).norm(dim=-1) / size(points)[:, None, None]
    assert float((error > 0).float().mean()) == pytest.approx(0.01, rel=0.1)
    assert float((noisy - points)[error > 0].std() / size(points)[0]) == pytest.approx(0.3, rel=0.05)


def test_level_multiplies(points):
    noise = replace(DetectorNoise(), outliers=0, swaps=0)
    one, two = (add_detector_noise(points, 50.0, generator(), noise, level)[0] - points for level in (1.0, 2.0))
    torch.testing.assert_close(two, 2 * one, atol=1e-3, rtol=0)


def test_slow_noise_has_unit_variance_at_every_frame():
    slow = _Draw(generator(), torch.zeros(1)).slow(torch.full((8000,), 30.0), 0.25, 8000, 20)
    torch.testing.assert_close(slow.std(0), torch.ones(20), atol=0.05, rtol=0)


def test_each_kind_of_joint_has_its_factor():
    factors = JointFactors(hip=1, knee=2, ankle=3, shoulder=4, elbow=5, wrist=6, face=7, trunk=8)
    found = dict(zip(H36M_17.joints, factors.of(H36M_17), strict=True))
    assert [found[name] for name in ("pelvis", "spine", "thorax", "neck", "head")] == [8, 8, 8, 7, 7]
    for kind, value in (("hip", 1), ("knee", 2), ("ankle", 3), ("shoulder", 4), ("elbow", 5), ("wrist", 6)):
        assert found[f"left_{kind}"] == found[f"right_{kind}"] == value
    assert dict(zip(MPI_INF_3DHP_17.joints, factors.of(MPI_INF_3DHP_17), strict=True))["head_top"] == 7


def test_a_lapse_is_of_a_whole_limb_slow_and_told_by_confidence():
    points = standing(400, 60)
    noisy, confidence = add_detector_noise(points, 30.0, generator(), replace(QUIET, lapses=0.1, doubt=0))
    moved = (noisy != points).any(-1)
    for upper, lower in (("left_elbow", "left_wrist"), ("right_knee", "right_ankle")):
        assert torch.equal(moved[..., J(upper)], moved[..., J(lower)])
        assert float(moved[..., J(upper)].float().mean()) == pytest.approx(0.1, rel=0.2)
    assert not moved[:, :, H36M_17.indices("left_hip", "right_shoulder", "head")].any()
    assert (confidence[~moved] == 1).all()
    assert float(confidence[moved].median()) < 0.3
    error = (noisy - points)[..., J("left_wrist"), :] / size(points)[:, None, None]
    inside = moved[:, 1:, J("left_wrist")] & moved[:, :-1, J("left_wrist")]
    assert float(error[moved[..., J("left_wrist")]].std()) == pytest.approx(0.1, rel=0.15)
    assert float(error.diff(dim=1)[inside].std()) < 0.04


def test_a_files_confidence_may_say_nothing():
    noisy, confidence = add_detector_noise(standing(), 50.0, generator(), replace(DetectorNoise(), blind=0.4))
    seen = torch.where(confidence > 0, confidence, 1)
    assert float((seen == 1).flatten(1).all(1).float().mean()) == pytest.approx(0.4, abs=0.1)
    assert (confidence == 0).any()
    assert not torch.equal(noisy, standing())


def test_some_windows_have_many_gaps():
    _, confidence = add_detector_noise(standing(), 50.0, generator(), replace(QUIET, gappy=0.5, doubt=0))
    share = (confidence == 0).float().mean((1, 2))
    assert float((share > 0).float().mean()) == pytest.approx(0.5, abs=0.1)
    assert float(share[share > 0].mean()) == pytest.approx(0.2, abs=0.05)
    assert float(share.max()) < 0.5
    exact = add_detector_noise(standing(), 50.0, generator(), replace(QUIET, gappy=0.5, cropped=0.5), level=0.0)[1]
    assert (exact == 1).all(), "exact 2D has no gaps"


def test_an_edge_cuts_what_lies_beyond_it_and_never_the_hips():
    points = standing()
    _, confidence = add_detector_noise(points, 50.0, generator(), replace(QUIET, cropped=0.5, doubt=0))
    cut = confidence == 0
    assert float(cut.flatten(1).any(1).float().mean()) == pytest.approx(0.45, abs=0.12)
    assert not cut[:, :, H36M_17.indices("pelvis", "left_hip", "right_hip")].any()
    feet, head = (cut[:, 0, H36M_17.indices(*names)].any(1) for names in (("left_ankle", "right_ankle"), ("head",)))
    assert not (feet & head).any(), "one edge at a time"
    knees = cut[:, 0, H36M_17.indices("left_knee", "right_knee")].all(1) & feet
    assert knees.any()


def test_blazepose_is_noisier_than_nothing_and_keeps_the_default():
    """The default is what `--input noisy` has always meant."""
    new = ("lapses", "blind", "gappy", "cropped", "bias")
    assert all(getattr(DetectorNoise(), name) == 0 for name in new)
    assert all(getattr(blazepose_noise(), name) > 0 for name in new)
    noisy, confidence = add_detector_noise(standing(), 60.0, generator(), replace(blazepose_noise(), cropped=0))
    error = (noisy - standing()).norm(dim=-1) / size(standing())[0]
    assert 0.03 < float(error[confidence > 0].median()) < 0.08
