"""The parts of the measuring commands that their numbers hang on: laws, hand-made cases, tiny runs."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from benchmarks import intent, jitter, robustness, spread_coverage
from benchmarks.robustness import CURVES, Piece, Shot
from tests.motion import clip_row, walker, write_set

from dreampose3d.camera import Camera
from dreampose3d.data.mocap import read_mocap
from dreampose3d.evaluation import film_clip
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import Weights, save_weights
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import H36M_17

CAMERA = Camera.from_fov((1000, 1000), 50.0)
LABELS = ("walking", "running", "dancing", "jumping")


@pytest.fixture(scope="module")
def lifter():
    torch.manual_seed(0)
    model = build(replace(tiny(), labels=LABELS, phrases=LABELS))
    model.prompt.vocabulary.normal_()
    for name, parameter in model.named_parameters():  # let the prompt in: at its start it changes nothing
        if "from_prompt" in name or "ask_prompt.out" in name:
            parameter.data.normal_(std=0.1)
    return Lifter(Weights(model, "tiny", "0" * 64, {}))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    actions = ["walking", "running", "karate", "other"]
    clips = [clip_row(n, frames=20 + n, split="test", action=action) for n, action in enumerate(actions)]
    return write_set(tmp_path_factory.mktemp("measuring") / "studio", clips)


@pytest.fixture(scope="module")
def weights(lifter, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(lifter.model, path, {})
    return str(path)


@pytest.fixture(scope="module")
def short(data):
    """A clip of one window."""
    clip = read_mocap(data)[0]
    return replace(clip, joints_mm=clip.joints_mm[:9])


@pytest.fixture(scope="module")
def piece(data):
    return Piece(read_mocap(data)[0], start=5, frames=8, azimuth=0.7)


class TestRobustness:
    @pytest.mark.parametrize("size", [0.1, 1.0])
    @pytest.mark.parametrize("fov", CURVES["fov"].values)
    def test_the_person_reaches_as_far_in_the_picture_at_any_field_of_view(self, piece, fov, size):
        (scene,) = robustness.scenes_of(piece, Shot(fov=fov, size=size))
        farthest = np.abs(scene.sequence.keypoints_px - robustness.SIZE_PX / 2).max()
        assert farthest == pytest.approx(size * robustness.SIZE_PX / 2, abs=0.01 if size == 1 else 0.51)  # pixels
        assert scene.true_mm[..., 2].min() > 99

    @pytest.mark.parametrize("place", [0.0, 0.5, 0.9])
    @pytest.mark.parametrize("elevation", [-60.0, 10.0, 75.0])
    def test_the_middle_stands_where_it_is_wanted(self, piece, place, elevation):
        camera = robustness.stand(piece, Shot(fov=90, size=0.3, place=place, elevation=elevation))
        middle = torch.from_numpy(piece.joints_mm)[:, 0].mean(0, keepdim=True)[None]
        seen = camera.project(camera.to_camera(middle))[0, 0]
        assert seen.tolist() == pytest.approx([500 * (1 + place)] * 2, abs=1e-6)
        away = torch.tensor(camera.position_mm) - middle[0, 0]
        assert math.degrees(math.asin(away[2] / away.norm())) == pytest.approx(elevation)

    def test_a_rate_changes_the_frames_and_not_the_motion(self, piece):
        joints = piece.joints_mm
        again = robustness.resampled(joints, 50, 100)
        assert len(again) == 2 * len(joints) - 1
        np.testing.assert_allclose(again[::2], joints, atol=1e-6)
        assert robustness.resampled(joints, 50, 0) is joints
        assert len(robustness.resampled(joints, 50, 25)) == 4

    def test_a_long_clip_goes_to_and_fro_about_its_piece(self, piece):
        joints, first = robustness.surrounded(piece, 100)
        assert len(joints) == 100
        np.testing.assert_array_equal(joints[first : first + 8], piece.joints_mm)
        step = np.abs(np.diff(piece.clip.joints_mm, axis=0)).max()
        assert np.abs(np.diff(joints, axis=0)).max() <= step

    def test_short_clips_are_parts_of_the_piece(self, piece):
        scenes = list(robustness.scenes_of(piece, Shot(length=3)))
        assert [len(scene.sequence) for scene in scenes] == [3, 3]
        (whole,) = robustness.scenes_of(piece, Shot())
        torch.testing.assert_close(scenes[1].true_mm, whole.true_mm[3:6])  # seen by the same camera

    def test_missing_is_a_share_of_joints_and_no_other_error(self, data):
        clip = replace(read_mocap(data)[0], joints_mm=walker(3000).astype(np.float32))
        long = Piece(clip, start=0, frames=3000, azimuth=0.0)
        exact, gaps = (next(iter(robustness.scenes_of(long, Shot(missing=share)))).sequence for share in (0, 0.3))
        assert (gaps.confidence == 0).mean() == pytest.approx(0.3, abs=0.03)
        assert set(np.unique(gaps.confidence)) == {0, 1}
        np.testing.assert_array_equal(gaps.keypoints_px, exact.keypoints_px)

    def test_costly_curves_leave_the_default_out(self, lifter, piece):
        curve = robustness.Curve("length", (1, 12), lambda x: Shot(length=int(x)), costly=True)
        ways = {"known": LiftOptions(1, 1), "default": LiftOptions(2, 1)}
        found = robustness.measure(lifter, [piece] * 2, curve, ways, [1, 2])
        assert set(found) == {"values", "known"}
        assert len(found["known"]["p_mpjpe"]) == 2

    def test_steep_steps_are_named(self):
        found = {
            "values": [5, 10, 20],
            "known": {"mpjpe": [50.0, 55.0, 80.0]},
            "assumed": {"mpjpe": [50.0, 55.0, 60.0]},
        }
        assert robustness.steep(found) == "known 10 to 20: 55 to 80 mm"

    def test_the_command_writes_its_numbers_and_its_sheet(self, data, weights, tmp_path, capsys):
        out, plot = tmp_path / "out.json", tmp_path / "sheet.svg"
        robustness.main(
            robustness.Robustness((data,), weights=weights, clips=1, frames=4, curves=("place",), out=out, plot=plot)
        )
        found = json.loads(out.read_text())["results"]["studio"]
        assert len(found["place"]["default"]["mpjpe"]) == len(CURVES["place"].values)
        assert "| studio, assumed" in capsys.readouterr().out
        assert "person's place" in plot.read_text()


class TestIntent:
    def test_scores_of_a_case_counted_by_hand(self):
        """Labels 0, 0, 0, 1; label 1 is never first, but among the first three."""
        probability = torch.tensor(
            [[0.6, 0.2, 0.1, 0.1], [0.5, 0.3, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4], [0.4, 0.1, 0.3, 0.2]]
        )
        score = intent.score(probability, torch.tensor([0, 0, 0, 1]))
        assert score.micro == pytest.approx((2 / 4, 2 / 4))
        assert score.macro == pytest.approx((2 / 3 / 2, 2 / 3 / 2))
        assert score.chance == (1 / 4, 3 / 4)
        assert score.majority == (3 / 4, 1)
        assert (score.units, score.labels, score.candidates) == (4, 2, 4)

    def test_a_clip_is_the_mean_of_its_windows(self):
        windows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
        assert intent.pooled(windows, ["b", "a", "b"]).tolist() == [[0.75, 0.25], [0.0, 1.0]]

    def test_honest_probabilities_are_calibrated_and_boasts_are_not(self):
        generator = torch.Generator().manual_seed(0)
        top = 0.5 + 0.5 * torch.rand(20000, generator=generator)
        probability = torch.stack((top, 1 - top), -1)
        truth = (torch.rand(20000, generator=generator) > top).long()
        assert intent.reliability(probability, truth)["ece"] < 0.02
        boast = torch.tensor([[0.95, 0.05]] * 4)
        found = intent.reliability(boast, torch.tensor([0, 0, 1, 1]))
        assert found["ece"] == pytest.approx(0.45)
        assert found["bins"] == [{"windows": 4, "probability": pytest.approx(0.95), "right": 0.5}]

    def test_probabilities_are_the_lifters_own(self, lifter, short):
        filmed = next(iter(film_clip(short, "gt")))
        windows = intent.windows_of(lifter, short, filmed)
        probability, truth = intent.probabilities(
            lifter, windows, intent.Candidates(LABELS, lifter.model.prompt.vocabulary)
        )
        expected = lifter.lift(filmed.sequence, LiftOptions(hypotheses=1, steps=1)).intent_probability[0]
        np.testing.assert_allclose(probability[0].numpy(), expected, atol=1e-5)
        assert truth.tolist() == [0]

    def test_a_window_lifted_with_its_own_prompt_is_the_lifters(self, lifter, short):
        filmed = next(iter(film_clip(short, "gt")))
        (window,) = intent.windows_of(lifter, short, filmed)
        np.testing.assert_allclose(window.true_mm, filmed.joints_mm - filmed.joints_mm[:, :1], atol=1e-2)  # mm
        expected = lifter.hypotheses(filmed.sequence, LiftOptions(hypotheses=1, steps=1, flip=False))[0]
        with torch.inference_mode():
            lifted = intent.lift_window(lifter, window, window.prompts[0])
            other = intent.lift_window(lifter, window, None)
        torch.testing.assert_close(lifted, expected, atol=1e-2, rtol=0)  # mm
        assert (lifted - other).abs().max() > 0.1

    def test_measure_tells_trained_labels_from_new_ones(self, lifter, data):
        everything = intent.Candidates((*LABELS, "karate"), torch.randn(5, lifter.model.prompt.vocabulary.shape[1]))
        options = intent.Intent((data,), input="gt")
        windows = intent.read_windows(lifter, options, data, set(everything.labels))
        assert {window.label for window in windows} == {"walking", "running", "karate"}  # not `other`
        found = intent.measure(lifter, windows, everything, wrong=6)
        assert found["scores"]["trained, per clip"]["units"] == 2
        assert found["scores"]["zero-shot among all, per clip"]["candidates"] == 5
        assert found["scores"]["zero-shot among the unseen, per clip"]["micro"] == (1, 1)  # karate alone
        assert set(found["mpjpe_mm"]) == {"own", "of another label", "none"}
        assert intent.sheet({"studio": found}).axes


class TestJitter:
    def test_wrist_speeds_leave_the_roots_path_out(self):
        joints = np.zeros((50, H36M_17.num_joints, 3))
        joints[..., 0] = 100 * np.arange(50)[:, None]  # all together, 5 m/s at 50 frames/s
        joints[:, jitter.WRISTS[0], 1] = 40 * np.arange(50)
        assert jitter.wrist_speeds(joints, 50.0)[10] == pytest.approx([2, 0])

    def test_the_stretch_is_about_the_fastest_wrist(self):
        joints = np.zeros((300, H36M_17.num_joints, 3))
        joints[200:, jitter.WRISTS[1], 0] = 500
        start = jitter.fastest_stretch(joints, 50.0, 60)
        assert abs(start + 30 - 200) <= 1
        assert jitter.fastest_stretch(joints, 50.0, 400) == 0

    def test_a_slower_copy_has_its_ratio(self):
        true = walker(80).astype(np.float64)
        assert jitter.speed_ratio(0.8 * true, true, 50.0) == pytest.approx(0.8)

    def test_summary_counts_fast_clips_only(self):
        ones = torch.ones(4)
        clips = [
            jitter.Compared(2 * ones, ones, 3 * ones, 50 * ones, peak, ratio)
            for peak, ratio in ((5.0, 0.9), (4.5, 1.3), (9.0, 0.8), (3.9, 7.0))
        ]
        found = jitter.summary(clips)
        assert found["ratio"] == 2
        assert found["fast clips"] == 3
        assert found["median wrist-speed ratio"] == 0.9
        assert found["median of its distance from 1, %"] == pytest.approx(20)
        assert jitter.summary(clips[3:])["median wrist-speed ratio"] is None

    def test_the_command_prints_both_kinds_of_2d(self, data, weights, tmp_path, capsys):
        out = tmp_path / "jitter.json"
        jitter.main(jitter.Jitter(data, weights=weights, every=3, frames=10, hypotheses=1, steps=1, out=out))
        assert json.loads(out.read_text())["results"]["noisy"]["frames"] == 20
        assert "| gt " in capsys.readouterr().out


class TestSpreadCoverage:
    def motion(self, joints_mm, spread):
        frames, joints = joints_mm.shape[:2]
        return LiftedMotion(
            name="made", fps=50.0, time_s=np.arange(frames) / 50, root_relative_mm=joints_mm.astype(np.float32),
            root_mm=np.zeros((frames, 3), np.float32), spread_mm=np.full((frames, joints), spread, np.float32),
            keypoints_px=np.zeros((frames, joints, 2), np.float32), confidence=np.ones((frames, joints), np.float32),
            intent_names=(), intent_probability=np.zeros((frames, 0), np.float32), camera=CAMERA,
        )  # fmt: skip

    def test_errors_of_known_size_are_covered_by_their_own_spread(self):
        generator = torch.Generator().manual_seed(0)
        true = torch.from_numpy(walker(400).astype(np.float64))
        true = true - true[:, :1]
        lifted = true.clone()
        lifted[:, 11:] += 30 * torch.randn(400, 6, 3, generator=generator)
        level = 30 * 3.5059**0.5  # 68 % of the chi-squared distribution with 3 degrees of freedom
        judged = spread_coverage.Judged.of(self.motion(lifted.numpy(), level), true)
        found = spread_coverage.covered(iter([judged]), list(range(11, 17)))
        assert found["within"] == pytest.approx(68, abs=2)
        assert found["lost"] is None
        assert found["joints"]["left_wrist"] == pytest.approx(68, abs=8)

    def test_a_larger_figure_is_covered_at_its_true_size_alone(self):
        true = torch.from_numpy(walker(20).astype(np.float64))
        true = true - true[:, :1]
        judged = spread_coverage.Judged.of(self.motion(1.2 * true.numpy(), 1.0), true)
        found = spread_coverage.covered(iter([judged]), spread_coverage.LIMBS)
        assert found["within"] < 10
        assert found["within_at_true_size"] == 100

    def test_rank_correlation_is_scipys(self):
        from scipy.stats import spearmanr

        a, b = torch.randn(2, 50, 4, generator=torch.Generator().manual_seed(0))
        expected = spearmanr(a.flatten(), (a + b).flatten()).statistic
        assert spread_coverage.rank_correlation(a, a + b) == pytest.approx(expected)

    def test_the_command_prints_every_joint(self, data, weights, tmp_path, capsys):
        out = tmp_path / "coverage.json"
        spread_coverage.main(
            spread_coverage.Coverage((data,), weights=weights, every=3, frames=8, hypotheses=2, steps=1, out=out)
        )
        found = json.loads(out.read_text())["results"]
        assert set(found) == {"studio, gt", "studio, noisy"}
        assert len(found["studio, gt"]["joints"]) == 16
        assert "| left_wrist" in capsys.readouterr().out
