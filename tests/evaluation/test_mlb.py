"""Pitches: a capture in MLBPitchDB's format, and motion capture as a broadcast shows it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.data.pitching_files import write_pitching
from tests.evaluation.scenes import noisy_lifter
from tests.motion import clip_row, write_set

from dreampose3d.data import mlbpitchdb
from dreampose3d.evaluation.inputs import scene_of
from dreampose3d.evaluation.mlb import MLB, read
from dreampose3d.evaluation.protocol import ProtocolConfig, evaluate_protocol, report

CONFIG = ProtocolConfig("mlb", "")


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """Two pitchers of the test, one pitch of 40 frames each; the first pitch's first ten frames do not count."""
    folder = write_pitching(tmp_path_factory.mktemp("pitches"), {"P1": "test", "P2": "test"}, pitches=1, frames=40)
    file = folder / "P1" / "pitch0.npz"
    with np.load(file) as held:
        arrays = dict(held)
    np.savez(file, **arrays, valid=np.arange(40) >= 10)
    return folder


@pytest.fixture(scope="module")
def mocap(tmp_path_factory):
    rows = [clip_row(number, frames=50, split="test") for number in range(2)]
    return write_set(tmp_path_factory.mktemp("mocap") / "set", rows)


def test_every_pitch_has_a_row_and_frames_that_do_not_count_do_not(capture):
    videos = list(mlbpitchdb.read(capture, "test"))
    result = evaluate_protocol(MLB, noisy_lifter(videos, 20.0), replace(CONFIG, data=str(capture), hypotheses=3))
    assert list(result["parts"]) == ["P1/pitch0", "P2/pitch0"]
    assert {part: of["frames"] for part, of in result["counts"]["parts"].items()} == {"P1/pitch0": 30, "P2/pitch0": 40}
    assert set(result["average"]["p_agg"]) == {"mpjpe_mm", "p_mpjpe_mm"}
    table = report(result)
    assert table.conditions.startswith("MLBPitchDB or a capture like it, test, gt 2D")
    assert list(table.tables[1].header[1:]) == ["P1/pitch0", "P2/pitch0", "average", "all frames"]


def test_a_detectors_2d_is_shown_by_its_name(capture):
    exact, seen = (next(iter(read(capture, "test", keypoints))) for keypoints in ("gt", "vitpose"))
    off = np.nanmedian(np.linalg.norm(seen.keypoints_px - exact.keypoints_px, axis=-1))
    assert 0.3 < off < 10  # px


def test_motion_capture_is_seen_as_by_a_broadcast(mocap):
    """30 frames/s from centre field; exact 2D of the same camera, or with the errors that a detector makes there."""
    exact, seen = (next(iter(read(mocap, "test", keypoints))) for keypoints in ("gt", "broadcast"))
    assert exact.fps == seen.fps == 30
    assert exact.camera == seen.camera
    assert exact.camera.fov_degrees < 10
    np.testing.assert_array_equal(exact.joints_mm, seen.joints_mm)
    one, other = scene_of(exact, "gt"), scene_of(seen, "broadcast")
    torch.testing.assert_close(one.keypoints_px, one.camera.project(one.joints_mm), atol=1e-3, rtol=0)  # px: float32
    assert (one.confidence == 1).all()
    assert 0.3 < float((other.keypoints_px - one.keypoints_px).norm(dim=-1).median()) < 10
    again = next(iter(read(mocap, "test", "broadcast")))
    np.testing.assert_array_equal(again.keypoints_px, seen.keypoints_px)
    result = evaluate_protocol(MLB, _still, replace(CONFIG, data=str(mocap), input="broadcast"))
    assert list(result["parts"]) == ["t0/broadcast", "t1/broadcast"]


def test_motion_capture_has_no_other_2d(mocap):
    with pytest.raises(ValueError, match="holds motion capture and no 2D: expected gt, noisy or broadcast, got 'vitp"):
        next(read(mocap, "test", "vitpose"))


def test_d3dp_has_no_counting_for_pitches(capture):
    with pytest.raises(ValueError, match="D3DP has no counting for the protocol mlb"):
        evaluate_protocol(MLB, _still, replace(CONFIG, data=str(capture), compatible="d3dp"))


def _still(shown, hypotheses, steps):
    pose = 300 * torch.randn(17, 3, generator=torch.Generator().manual_seed(0))
    return (pose - pose[0]).expand(hypotheses, len(shown), -1, -1)
