"""From keypoints to motion with a tiny untrained model: every law that does not depend on what the weights say."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from dreampose3d.camera import Camera
from dreampose3d.lifting import lifter as module
from dreampose3d.lifting.fitting import fit_to_2d
from dreampose3d.lifting.lifter import Lifter, LiftOptions, noise_field
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import Weights
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import COCO_17, H36M_17, MPI_INF_3DHP_17
from dreampose3d.trajectory import estimate_root, reprojection_residual
from dreampose3d.view import mirror_poses

CAMERA = Camera.from_focal((1000, 800), 1100.0)


@pytest.fixture(scope="module")
def lifter():
    torch.manual_seed(0)
    model = build(replace(tiny(), labels=("walking", "running"), phrases=("walking", "running")))
    model.prompt.vocabulary.normal_()
    for name, parameter in model.named_parameters():  # let the prompt in: at its start it changes nothing
        if "from_prompt" in name or "ask_prompt.out" in name:
            parameter.data.normal_(std=0.1)
    spread = {key: [2.0] * 17 for key in ("scale", "floor_mm")} | {"missing_floor_mm": [50.0] * 17}
    return Lifter(Weights(model, "tiny", "0" * 64, {"spread": spread}))


@pytest.fixture(scope="module")
def screen_lifter():
    torch.manual_seed(1)
    model = build(replace(tiny(), camera="screen", skeleton="mpi_inf_3dhp_17"))
    return Lifter(Weights(model, "tiny", "0" * 64, {}))


def clip(frames=40, fps=50.0, seed=0):
    """A figure that sways in front of the camera."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames) / fps
    pose = rng.normal(0, 90, (17, 2))
    sway = 40 * np.sin(2 * np.pi * (time[:, None, None] + rng.random((17, 2))))
    keypoints = (pose + sway + (480, 400)).astype(np.float32)
    return PoseSequence("clip", fps, keypoints_px=keypoints, camera=CAMERA)


def test_lift_gives_a_motion_in_the_cameras_frame(lifter):
    motion = lifter.lift(clip(), LiftOptions(hypotheses=2, steps=2, save_hypotheses=True, fit=False))
    assert motion.joints_mm.shape == (40, 17, 3)
    assert motion.hypotheses_mm.shape == (2, 40, 17, 3)
    assert np.isfinite(motion.joints_mm).all()
    np.testing.assert_array_equal(motion.root_relative_mm[:, 0], 0)
    np.testing.assert_allclose(motion.joints_mm - motion.root_mm[:, None], motion.root_relative_mm, atol=1e-3)
    np.testing.assert_allclose(motion.hypotheses_mm.mean(0), motion.root_relative_mm, atol=1e-3)
    np.testing.assert_allclose(motion.intent_probability.sum(1), 1, atol=1e-5)
    assert motion.top_intents(0, 1)[0][0] in ("walking", "running")
    assert (motion.spread_mm >= 4 - 1e-4).all()  # scale 2, floor 2 mm
    assert motion.meta["weights_sha256"] == "0" * 64
    assert motion.meta["options"]["flip"] is True
    assert motion.meta["options"]["overlap"] == 3


@pytest.mark.parametrize("frames", [1, 2, 3, 8, 9, 10, 15, 16, 61])
def test_any_length_lifts_and_windows_cover_it(lifter, frames):
    motion = lifter.lift(clip(frames), LiftOptions(hypotheses=1, steps=1))
    assert len(motion) == frames
    assert np.isfinite(motion.joints_mm).all()
    spans = module._spans(frames, 9, None)
    assert spans[0][0] == 0
    assert spans[-1][1] == frames
    assert all(a[0] < b[0] < a[1] for a, b in pairwise(spans))
    assert lifter.count_windows(clip(frames)) == len(spans)


def test_same_seed_same_bytes_other_seed_another_motion(lifter):
    options = LiftOptions(hypotheses=2, steps=3, eta=1.0)
    a, b = lifter.lift(clip(), options), lifter.lift(clip(), options)
    assert a.joints_mm.tobytes() == b.joints_mm.tobytes()
    other = lifter.lift(clip(), replace(options, seed=1))
    assert np.abs(other.root_relative_mm - a.root_relative_mm).max() > 0.01


def test_batch_of_windows_does_not_matter(lifter, monkeypatch):
    options = LiftOptions(hypotheses=2, steps=3, eta=1.0)
    together = lifter.lift(clip(70), options)
    monkeypatch.setattr(module, "_WINDOWS_AT_ONCE", 1)
    alone = lifter.lift(clip(70), options)
    assert np.abs(together.root_relative_mm - alone.root_relative_mm).max() < 0.05
    np.testing.assert_allclose(together.intent_probability, alone.intent_probability, atol=1e-5)


def test_noise_is_a_field_over_absolute_frames():
    whole = noise_field(3, 1, 2, 0, 300, 17)
    assert torch.equal(noise_field(3, 1, 2, 100, 90, 17), whole[100:190])
    assert torch.equal(noise_field(3, 1, 2, 63, 2, 17), whole[63:65])
    assert abs(float(whole.std()) - 1) < 0.02
    for other in ((4, 1, 2), (3, 0, 2), (3, 1, 1)):
        assert not torch.allclose(noise_field(*other, 0, 300, 17), whole)


def test_blending_windows_of_one_motion_returns_it():
    """Whatever the weights, windows that agree must blend to what they agree on, with no seam."""
    motion = torch.randn(2, 50, 17, 3)
    intent = torch.rand(50, 4)
    blend = module._Blend(2, 17, 4)
    taken = []
    spans = module._spans(50, 9, 3)
    for index, (a, b) in enumerate(spans):
        blend.add((a, b), motion[:, a:b], intent[a])
        done = spans[index + 1][0] if index + 1 < len(spans) else 50
        taken.append(blend.take(done))
    torch.testing.assert_close(torch.cat([c.hypotheses_mm for c in taken], 1), motion, atol=1e-5, rtol=1e-5)
    assert [c.start for c in taken] == [0, *(s[0] for s in spans[1:])]


def test_flip_makes_the_result_symmetric(lifter):
    """With the mirrored pass averaged in, a mirrored clip gives the mirrored result, up to the noise's own sides."""
    camera = replace(CAMERA, center_px=(500.0, 400.0))
    here = replace(clip(9), camera=camera)
    mirrored_px = here.keypoints_px[:, lifter.skeleton.mirror] * (-1, 1) + (1000, 0)
    there = replace(here, keypoints_px=mirrored_px.astype(np.float32))
    options = LiftOptions(hypotheses=1, steps=1)
    a, b = lifter.lift(here, options), lifter.lift(there, options)
    back = b.root_relative_mm[:, lifter.skeleton.mirror] * (-1, 1, 1)
    # the noise is not mirrored, so only what does not hang on it agrees
    with_noise = np.abs(a.root_relative_mm - back).mean()
    np.testing.assert_allclose(a.intent_probability, b.intent_probability, atol=1e-5)
    plain = LiftOptions(hypotheses=1, steps=1, flip=False)
    c, d = lifter.lift(here, plain), lifter.lift(there, plain)
    assert with_noise < np.abs(c.root_relative_mm - d.root_relative_mm[:, lifter.skeleton.mirror] * (-1, 1, 1)).mean()


def test_flip_over_two_samplings_is_inside_the_step_where_there_is_one_step(lifter):
    inside = LiftOptions(hypotheses=2, steps=1)
    one, other = (lifter.hypotheses(clip(), replace(inside, flip_mode=mode)) for mode in ("inside", "over"))
    torch.testing.assert_close(one, other, atol=1e-3, rtol=0)
    one, other = (lifter.hypotheses(clip(), replace(inside, steps=3, flip_mode=mode)) for mode in ("inside", "over"))
    assert (one - other).abs().max() > 0.01


def test_flip_over_is_the_mean_of_a_direct_sampling_and_a_mirrored_one(lifter, monkeypatch):
    """The mirrored one starts from mirrored noise, so that mirroring the clip and the noise mirrors the result."""
    camera = replace(CAMERA, center_px=(500.0, 400.0))
    here = replace(clip(9), camera=camera)
    there = replace(
        here, keypoints_px=(here.keypoints_px[:, lifter.skeleton.mirror] * (-1, 1) + (1000, 0)).astype("f4")
    )
    plain = LiftOptions(hypotheses=1, steps=3, eta=1.0, flip=False)
    direct = lifter.hypotheses(here, plain)
    over = lifter.hypotheses(here, replace(plain, flip=True, flip_mode="over"))
    monkeypatch.setattr(module, "noise_field", lambda *a: mirror_poses(noise_field(*a), lifter.mirror))
    mirrored = mirror_poses(lifter.hypotheses(there, plain), lifter.mirror)
    torch.testing.assert_close(over, (direct + mirrored) / 2, atol=0.05, rtol=0)  # mm


def test_the_root_is_the_skeletons(screen_lifter):
    """Weights of MPI-INF-3DHP's joints, in the benchmarks' own input: root-relative to joint 14, placed by rays."""
    assert screen_lifter.skeleton.root == 14
    keypoints = clip().keypoints_px
    sequence = PoseSequence("c", 50, MPI_INF_3DHP_17, keypoints_px=keypoints, camera=CAMERA)
    motion = screen_lifter.lift(sequence, LiftOptions(hypotheses=2, steps=2))
    np.testing.assert_array_equal(motion.root_relative_mm[:, 14], 0)
    assert np.abs(motion.root_relative_mm[:, 0]).max() > 1
    rays = CAMERA.rays(torch.from_numpy(keypoints))
    root = estimate_root(torch.from_numpy(motion.root_relative_mm), rays, torch.ones(40, 17))
    np.testing.assert_allclose(motion.root_mm, root, atol=0.5)  # mm


def test_missing_joints_and_frames_are_an_input(lifter):
    sequence = clip(30)
    keypoints = sequence.keypoints_px.copy()
    keypoints[5:20] = np.nan  # a whole window without a person
    keypoints[:, 16] = np.nan  # a wrist never seen
    motion = lifter.lift(replace(sequence, keypoints_px=keypoints), LiftOptions(hypotheses=1, steps=1))
    assert np.isfinite(motion.joints_mm).all()
    assert (motion.confidence[5:20] == 0).all()
    assert (motion.spread_mm[:, 16] > motion.spread_mm[0, 1]).all()
    assert np.isnan(motion.keypoints_px[:, 16]).all()


def test_doubtful_frames_are_given_a_wider_spread(lifter):
    """By the share of its residual that the table names, as much in one joint as in another."""
    card = {"spread": lifter.weights.card["spread"] | {"residual_share": [0.5] * 17}}
    doubting = Lifter(replace(lifter.weights, card=card))
    plain = lifter.lift(clip(), LiftOptions(hypotheses=2, steps=1, fit=False))
    wide = doubting.lift(clip(), LiftOptions(hypotheses=2, steps=1, fit=False))
    rays = CAMERA.rays(torch.from_numpy(clip().keypoints_px))
    placed = torch.from_numpy(plain.root_relative_mm), torch.from_numpy(plain.root_mm)
    residual = reprojection_residual(*placed, rays, torch.ones(40, 17)).numpy()
    added = wide.spread_mm**2 - plain.spread_mm**2
    np.testing.assert_allclose(added, np.broadcast_to(residual[:, None] ** 2, added.shape), rtol=1e-3)  # (2 x 0.5)^2


def test_the_result_is_fitted_and_the_spread_is_what_the_network_says(lifter):
    plain, fitted = (lifter.lift(clip(), LiftOptions(hypotheses=2, steps=1, fit=fit)) for fit in (False, True))
    rays, sure = CAMERA.rays(torch.from_numpy(clip().keypoints_px)), torch.ones(40, 17)
    expected, evidence = fit_to_2d(torch.from_numpy(plain.root_relative_mm), rays, sure, plain.time_s, H36M_17)
    np.testing.assert_array_equal(fitted.root_relative_mm, expected.numpy())
    np.testing.assert_array_equal(fitted.spread_mm, plain.spread_mm)
    np.testing.assert_array_equal(fitted.root_mm, estimate_root(expected, rays, sure).numpy())
    assert fitted.meta["keypoint_noise_mm"] == evidence.noise_mm
    assert "keypoint_noise_mm" not in plain.meta


def test_pan_of_the_camera_turns_the_result_with_it(lifter):
    angle = 0.3
    G = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    rays = np.concatenate([CAMERA.rays(torch.from_numpy(clip().keypoints_px)).numpy(), np.ones((40, 17, 1))], -1) @ G.T
    turned = CAMERA.pixels(torch.from_numpy(rays[..., :2] / rays[..., 2:])).float().numpy()
    options = LiftOptions(hypotheses=1, steps=2, fit=False)
    a = lifter.lift(clip(), options).root_relative_mm
    b = lifter.lift(replace(clip(), keypoints_px=turned), options).root_relative_mm
    np.testing.assert_allclose(b, a @ G.T, atol=0.05)  # mm; float32 pixels


def test_scaling_the_image_changes_nothing(lifter):
    half = replace(clip(), keypoints_px=clip().keypoints_px / 2, camera=CAMERA.resized((500, 400)))
    a, b = lifter.lift(clip()), lifter.lift(half)
    np.testing.assert_allclose(a.joints_mm, b.joints_mm, atol=0.5)


@pytest.mark.parametrize("fps", [10.0, 120.0, 240.0])
def test_other_frame_rates_come_back_at_their_own_times(lifter, fps):
    motion = lifter.lift(clip(45, fps), LiftOptions(hypotheses=2, steps=1, save_hypotheses=True))
    assert len(motion) == 45
    assert np.isfinite(motion.hypotheses_mm).all()
    np.testing.assert_allclose(motion.time_s, np.arange(45) / fps)


def test_detectors_joints_are_converted_by_name(lifter):
    coco = PoseSequence("c", 50, COCO_17, keypoints_px=clip().keypoints_px, camera=CAMERA)
    motion = lifter.lift(coco, LiftOptions(hypotheses=1, steps=1))
    hips = coco.keypoints_px[:, COCO_17.indices("left_hip", "right_hip")].mean(1)
    np.testing.assert_allclose(motion.keypoints_px[:, 0], hips, atol=1e-3)
    assert motion.meta["mapping"] == COCO_17.mapping_note


def test_j_agg_can_be_asked_for(lifter):
    motion = lifter.lift(clip(), LiftOptions(hypotheses=3, steps=2, aggregate="j-agg", save_hypotheses=True, fit=False))
    distance = np.abs(motion.hypotheses_mm - motion.root_relative_mm).sum(-1).min(0)
    np.testing.assert_allclose(distance, 0, atol=1e-4)  # every joint is some hypothesis's


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"camera": None}, "needs a camera"),
        ({"keypoints_px": np.full((40, 17, 2), np.nan, np.float32)}, "nothing to lift"),
        ({"confidence": np.zeros((40, 17), np.float32)}, "nothing to lift"),
        ({"keypoints_px": np.zeros((0, 17, 2), np.float32)}, "no frames"),
        ({"time_s": np.zeros(40)}, "times that grow"),
        ({"keypoints_px": None, "joints_mm": np.zeros((40, 17, 3), np.float32)}, "needs 2D keypoints"),
    ],
)
def test_what_cannot_be_lifted_is_said(lifter, change, words):
    with pytest.raises(ValueError, match=words):
        lifter.lift(replace(clip(), **change))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hypotheses": 0}, "hypotheses"),
        ({"steps": 0}, "steps"),
        ({"window": 0}, "window"),
        ({"eta": 2.0}, "eta"),
        ({"overlap": -1}, "overlap"),
    ],
)
def test_bad_options_are_said(options, words):
    with pytest.raises(ValueError, match=words):
        LiftOptions(**options)


def test_overlap_must_be_below_the_window(lifter):
    with pytest.raises(ValueError, match="below the window"):
        lifter.lift(clip(), LiftOptions(window=5, overlap=5))


def test_a_device_that_is_not_there_is_said():
    with pytest.raises(ValueError, match="no cuda device"):
        module._device("cuda")


def test_weights_that_were_trained_on_clipped_poses_are_shown_clipped_poses(lifter):
    clipped = Lifter(replace(lifter.weights, card={"config": {"clamp": 0.2}}))
    asked = LiftOptions(2, 2, clamp=0.2)
    np.testing.assert_array_equal(clipped.hypotheses(clip(9), LiftOptions(2, 2)), lifter.hypotheses(clip(9), asked))
    assert not torch.equal(lifter.hypotheses(clip(9), LiftOptions(2, 2)), lifter.hypotheses(clip(9), asked))
    assert clipped.lift(clip(9)).meta["options"]["clamp"] == 0.2
    assert clipped.clamp(LiftOptions(clamp=1.1)) == 1.1, "what is asked for goes first"
