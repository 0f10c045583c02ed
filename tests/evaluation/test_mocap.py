"""The mocap protocol with lifters whose error is known, on a folder made here."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.oracles import (
    scipy_p_mpjpe,
    slow_acceleration_errors,
    slow_mpjpe,
    slow_n_mpjpe,
    slow_velocity_errors,
)

from dreampose3d.data.mocap import MocapClip, read_mocap
from dreampose3d.evaluation import (
    AGGREGATIONS,
    METRICS,
    EvaluationConfig,
    FilmedClip,
    evaluate_mocap,
    film_clip,
    format_table,
    stable_seed,
    static_camera,
    write_result,
)
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17

J = H36M_17.num_joints
LIMBS = [i for i, name in enumerate(H36M_17.joints) if name.startswith(("left_", "right_"))]
KEYS = {
    "mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm", "limb_mpjpe_mm", "limb_p_mpjpe_mm", "mpjve_mm_per_s",
    "acceleration_error_m_per_s2",
}  # fmt: skip
STANDING_MM = np.array(
    [
        (0, 0, 900), (-130, 0, 900), (-130, 20, 480), (-130, 0, 80), (130, 0, 900), (130, 20, 480), (130, 0, 80),
        (0, 10, 1130), (0, 0, 1380), (0, 60, 1500), (0, 30, 1620), (180, 0, 1370), (200, 20, 1080), (210, 120, 850),
        (-180, 0, 1370), (-200, 20, 1080), (-210, 120, 850),
    ]
)  # fmt: skip


def motion(frames: int, speed_mm: float, seed: int) -> np.ndarray:
    """A standing figure that moves its joints a little and walks along x: int16, as in the canonical folder."""
    wave = np.random.default_rng(seed).normal(0, 40, (2, J, 3))
    phase = np.arange(frames)[:, None, None] * 0.4
    walk = np.arange(frames)[:, None, None] * np.array((speed_mm, 0, 0))
    return np.round(STANDING_MM + wave[0] * np.sin(phase) + wave[1] * np.cos(phase) + walk).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A parent of one set: actions nobody knows, 10 to 240 fps, clips from 1 frame, a `file` column, no subjects."""
    home = tmp_path_factory.mktemp("mocap") / "studio"
    home.mkdir()
    clips = {
        "walk_01": ("a.npz", 50, "test", "walking", motion(9, 30, 0)),
        "walk_02": ("b.npz", 240, "test", "walking", motion(4, -5, 1)),
        "still_01": ("b.npz", 10, "test", "origami", motion(1, 0, 2)),
        "far_01": ("b.npz", 29.97, "test", "crossing a hall", motion(2, 30000, 3)),
        "train_01": ("b.npz", 50, "train", "walking", motion(3, 0, 4)),
    }
    rows = [f"{file},{trial},{fps},{len(x)},{split},{action}" for trial, (file, fps, split, action, x) in clips.items()]
    (home / "index.csv").write_text("\n".join(["file,trial,fps,frames,split,action", *rows]) + "\n")
    for file in ("a.npz", "b.npz"):
        np.savez(home / file, **{trial: clip[4] for trial, clip in clips.items() if clip[0] == file})
    return home.parent


@pytest.fixture(scope="module")
def clips(folder: Path) -> list[MocapClip]:
    return read_mocap(folder, "studio", "test")


@pytest.fixture(scope="module")
def truth(clips: list[MocapClip]) -> dict[str, torch.Tensor]:
    """The root-relative truth of every filmed clip by its name: what only a fake lifter can know."""
    filmed = [view for clip in clips for view in film_clip(clip, "gt")]
    return {view.sequence.name: view.joints_mm - view.joints_mm[:, :1] for view in filmed}


@pytest.fixture(scope="module")
def config(folder: Path) -> EvaluationConfig:
    return EvaluationConfig(data=str(folder), set="studio", split="test")


def lifter(truth: dict[str, torch.Tensor], sigma_mm: float) -> Callable[[PoseSequence, int, int], torch.Tensor]:
    """Hypotheses that lie about the truth with white noise on every joint but the root."""

    def predict(sequence: PoseSequence, hypotheses: int, steps: int) -> torch.Tensor:
        true = truth[sequence.name]
        generator = torch.Generator().manual_seed(stable_seed(f"{sequence.name} {hypotheses} {steps}"))
        noise = sigma_mm * torch.randn(hypotheses, *true.shape, generator=generator)
        noise[:, :, 0] = 0
        return (true + noise).float()

    return predict


def test_a_perfect_lifter_has_no_error(truth, config):
    result = evaluate_mocap(lifter(truth, 0.0), config)
    rows = [row for name, row in result["overall"].items() if name != "fitted"]  # its bones are those of a random pose
    assert max(value for row in rows for value in row.values()) < 0.02  # mm, mm/s: float32
    assert result["counts"] == {
        "clips": 4, "cameras": 4, "windows": 16, "frames": 4 * 16, "velocities": 4 * 12, "accelerations": 4 * 9,
        "actions": {
            "crossing a hall": {"frames": 8, "velocities": 4, "accelerations": 0},
            "origami": {"frames": 4, "velocities": 0, "accelerations": 0},
            "walking": {"frames": 52, "velocities": 44, "accelerations": 36},
        },
    }  # fmt: skip
    assert result["config"]["set"] == "studio"


def test_every_number_is_a_mean_over_frames_of_all_cameras(truth, clips, config):
    """Against a loop over clips, cameras and frames, for the single hypothesis and for the mean of three."""
    predict = lifter(truth, 30.0)
    result = evaluate_mocap(predict, replace(config, hypotheses=3, steps=2))
    for action in ("walking", "crossing a hall", "origami", None):
        for name, arguments in (("h1k1", (1, 1)), ("p_agg", (3, 2))):
            errors: dict[str, list[float]] = {key: [] for key in KEYS}
            for clip in clips:
                for view in film_clip(clip, "gt") if action in (None, clip.action) else ():
                    true = truth[view.sequence.name].numpy()
                    pred = predict(view.sequence, *arguments).double().mean(0).numpy()
                    for p, t in zip(pred, true, strict=True):
                        errors["mpjpe_mm"].append(slow_mpjpe(p, t))
                        errors["p_mpjpe_mm"].append(scipy_p_mpjpe(p, t))
                        errors["n_mpjpe_mm"].append(slow_n_mpjpe(p, t))
                        errors["limb_mpjpe_mm"].append(slow_mpjpe(p[LIMBS], t[LIMBS]))
                        errors["limb_p_mpjpe_mm"].append(scipy_p_mpjpe(p[LIMBS], t[LIMBS]))
                    errors["mpjve_mm_per_s"] += slow_velocity_errors(pred, true, clip.fps)
                    errors["acceleration_error_m_per_s2"] += slow_acceleration_errors(pred, true, clip.fps)
            means = {key: float(np.mean(values)) if values else 0.0 for key, values in errors.items()}
            found = result["overall"] if action is None else result["actions"][action]
            assert found[name] == pytest.approx(means, rel=1e-6)


def test_the_result_holds_the_aggregations_and_metrics_and_nothing_else_all_finite(truth, config, tmp_path):
    result = evaluate_mocap(lifter(truth, 30.0), replace(config, hypotheses=2, input="noisy"))
    write_result(result, tmp_path / "result.json")
    read = json.loads((tmp_path / "result.json").read_text())
    assert read == result
    assert set(read) == {"overall", "actions", "counts", "config"}
    assert set(read["actions"]) == {"walking", "crossing a hall", "origami"}
    for part in (read["overall"], *read["actions"].values()):
        assert set(part) == {
            "h1k1", "p_agg", "fitted",
            "j_agg_estimated_root", "oracle_j_agg_true_root", "oracle_p_best", "oracle_j_best",
        }  # fmt: skip
        for row in part.values():
            assert set(row) == KEYS == set(METRICS)
            assert all(isinstance(value, float) and math.isfinite(value) for value in row.values())


def test_oracles_are_below_and_the_mean_of_white_noise_is_below_one_draw(truth, config):
    errors = {
        name: row["mpjpe_mm"]
        for name, row in evaluate_mocap(lifter(truth, 40.0), replace(config, hypotheses=5))["overall"].items()
    }
    assert errors["oracle_j_best"] < errors["oracle_p_best"] < errors["h1k1"]
    assert errors["oracle_j_best"] < errors["oracle_j_agg_true_root"] < errors["h1k1"]
    assert errors["p_agg"] < 0.6 * errors["h1k1"]  # 1 / sqrt(5)


def test_one_hypothesis_in_one_step_is_lifted_once_and_is_every_aggregation(truth, config):
    calls = []

    def predict(sequence: PoseSequence, hypotheses: int, steps: int) -> torch.Tensor:
        calls.append((hypotheses, steps))
        return lifter(truth, 30.0)(sequence, hypotheses, steps)

    overall = evaluate_mocap(predict, config)["overall"]
    assert calls == [(1, 1)] * 16
    assert all(row == overall["h1k1"] for name, row in overall.items() if name != "fitted")
    calls.clear()
    evaluate_mocap(predict, replace(config, hypotheses=1, steps=3))
    assert calls == [(1, 3), (1, 1)] * 16


def test_windows_and_progress_are_counted_per_camera(truth, config):
    told: list[tuple[int, int]] = []
    result = evaluate_mocap(lifter(truth, 1.0), config, len, lambda done, of: told.append((done, of)))
    assert result["counts"]["windows"] == 64  # `len` said: one window per frame
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (64, 64)
    assert len(told) == 16


@pytest.mark.parametrize("index", range(4))
def test_each_camera_stands_where_the_protocol_says(clips, index):
    for seed in range(20):
        joints = torch.from_numpy(clips[0].joints_mm).double()
        camera = static_camera(joints, index, torch.Generator().manual_seed(seed))
        target = joints[:, 0].mean(0)
        place = torch.tensor(camera.position_mm, dtype=torch.float64)
        x, y, _ = (place - target).tolist()
        off = (math.degrees(math.atan2(y, x)) - (45, 135, 225, 315)[index] + 180) % 360 - 180
        assert abs(off) <= 20
        assert 3000 <= math.hypot(x, y) <= 6000
        assert 500 <= place[2] <= 2500
        assert camera.size_px == (1000, 1000)
        assert camera.fov_degrees == pytest.approx(50)
        assert camera.project(camera.to_camera(target)).tolist() == pytest.approx([500, 500])
        rotation = np.array(camera.rotation)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
        down = math.degrees(math.atan2(-rotation[0, 2], -rotation[1, 2]))  # of the world's vertical, in the image
        assert abs(down) < 8  # roll: four standard deviations
        assert camera.to_camera(joints)[..., 2].min() >= 1500


def test_a_camera_goes_back_until_every_joint_is_far_enough_and_no_further(clips):
    far = torch.from_numpy(clips[3].joints_mm).double()  # two frames, 30 m apart
    for index in range(4):
        camera = static_camera(far, index, torch.Generator().manual_seed(index))
        assert math.dist(camera.position_mm[:2], far[:, 0].mean(0)[:2].tolist()) > 6000
        assert camera.to_camera(far)[..., 2].min().item() == pytest.approx(1500, abs=0.01)


def film(clip: MocapClip, input: str) -> list[FilmedClip]:
    return list(film_clip(clip, input))


@pytest.mark.parametrize("input", ["gt", "noisy"])
def test_cameras_and_noise_depend_on_the_trial_alone(clips, input):
    """Not on the order, the set's name, the process or anything drawn before."""
    before = film(clips[0], input)
    torch.manual_seed(5)
    film(clips[1], input)
    after = film(replace(clips[0], set_name="renamed", action="other"), input)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a.sequence.keypoints_px, b.sequence.keypoints_px)
        np.testing.assert_array_equal(a.sequence.confidence, b.sequence.confidence)
    other = film(replace(clips[0], trial="walk_1"), input)
    assert (other[0].sequence.keypoints_px != before[0].sequence.keypoints_px).any()
    assert stable_seed("walk_01/0") == 7696504824267078491  # the first 63 bits of `printf walk_01/0 | sha256sum`


def test_exact_2d_is_the_projection_and_joints_outside_the_image_stay(clips):
    for view in film(clips[3], "gt"):
        placed = view.joints_mm
        torch.testing.assert_close(view.rays, placed[..., :2] / placed[..., 2:])
        focal = 500 / math.tan(math.radians(25))
        pixels = (500 + focal * placed[..., :2] / placed[..., 2:]).numpy()
        np.testing.assert_allclose(view.sequence.keypoints_px, pixels, atol=1e-3)
        assert (view.sequence.confidence == 1).all()
    outside = [(np.abs(view.sequence.keypoints_px - 500) > 500).any() for view in film(clips[3], "gt")]
    assert any(outside)


def test_noisy_2d_is_off_by_some_pixels_and_says_so_in_its_confidence(clips):
    exact, noisy = film(clips[0], "gt"), film(clips[0], "noisy")
    off = np.concatenate([n.sequence.keypoints_px - e.sequence.keypoints_px for n, e in zip(noisy, exact, strict=True)])
    assert 2 < np.median(np.linalg.norm(off, axis=-1)) < 20  # px
    assert all((view.sequence.confidence < 1).any() for view in noisy)
    for e, n in zip(exact, noisy, strict=True):
        torch.testing.assert_close(e.joints_mm, n.joints_mm, atol=0, rtol=0)  # the same cameras
        np.testing.assert_allclose(n.rays.numpy() * 1072.2535 + 500, n.sequence.keypoints_px, atol=1e-2)


def test_the_lifter_learns_nothing_but_2d_and_intrinsics(clips):
    for view in film(clips[0], "gt"):
        sequence = view.sequence
        assert sequence.joints_mm is None
        assert (sequence.action, sequence.subject) == ("", "")
        assert sequence.camera is not None
        assert sequence.camera.rotation == ((1, 0, 0), (0, 1, 0), (0, 0, 1))
        assert sequence.camera.position_mm == (0, 0, 0)


def test_the_table_names_the_oracles_and_has_a_row_per_action_and_in_all(truth, config):
    result = evaluate_mocap(lifter(truth, 30.0), replace(config, hypotheses=2, weights="small"))
    table = format_table(result)
    assert table.startswith(
        "studio test, gt 2D, weights small, H=2 K=1 eta=0 flip=on seed=0: 4 clips x 4 cameras, 16 w"
    )
    for key, name in AGGREGATIONS.items():
        assert name.endswith("(oracle)") == key.startswith("oracle_")
        assert f"| {name} " in table
    for block in table.split("\n\n")[2:]:
        first = [line.split("|")[1].strip() for line in block.splitlines()[2:]]
        assert first == ["crossing a hall", "origami", "walking", "all"]
        assert len({len(line) for line in block.splitlines()}) == 1  # aligned
    assert f" {result['actions']['walking']['p_agg']['mpjpe_mm']:.1f} |" in table


def test_nothing_is_written_of_a_result_that_is_not_finite(tmp_path):
    with pytest.raises(ValueError, match="Out of range float"):
        write_result({"overall": math.nan}, tmp_path / "result.json")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_split_lists_those_present(truth, config):
    with pytest.raises(ValueError, match="no split 'val'; it has test, train"):
        evaluate_mocap(lifter(truth, 0.0), replace(config, split="val"))


def test_a_lifter_that_returns_another_shape_is_refused(config):
    with pytest.raises(ValueError, match=r"expected hypotheses of shape \(1, 9, 17, 3\) for walk_01/0, got .*2, 17"):
        evaluate_mocap(lambda sequence, hypotheses, steps: torch.zeros(1, 2, J, 3), config)


def test_a_clip_without_frames_is_refused(clips):
    with pytest.raises(ValueError, match="studio, walk_01: expected at least 1 frame, got 0"):
        film(replace(clips[0], joints_mm=clips[0].joints_mm[:0]), "gt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hypotheses": 0}, "hypotheses must be at least 1, got 0"),
        ({"steps": -1}, "steps must be at least 1, got -1"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(config, change, message):
    with pytest.raises(ValueError, match=message):
        replace(config, **change)
