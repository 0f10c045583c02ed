"""The machinery of the published protocols, on a data set of three sequences whose errors are known."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.evaluation.scenes import noisy_lifter, sequence

from dreampose3d.evaluation.counting import AGGREGATIONS, count_as_d3dp
from dreampose3d.evaluation.inputs import scene_of
from dreampose3d.evaluation.protocol import (
    MPJPE,
    P_MPJPE,
    D3DPCounting,
    Protocol,
    ProtocolConfig,
    comma_separated,
    evaluate_protocol,
    report,
)
from dreampose3d.evaluation.tables import to_markdown
from dreampose3d.metrics import mpjpe
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17, MPI_INF_3DHP_17

OFFSETS_MM = {"a": 17.0, "b": 34.0, "c": 68.0}
VIDEOS = [sequence("a", 30, "Walking"), sequence("b", 10, "Walking 1", seed=1), sequence("c", 20, "Eating", seed=2)]
TRUTH = {video.name: torch.from_numpy(video.joints_mm - video.joints_mm[:, :1]).double() for video in VIDEOS}
PROTOCOL = Protocol(
    name="three",
    title="Three",
    read=lambda folder, split, keypoints: (video for video in VIDEOS if split == "test"),
    metrics=(MPJPE, P_MPJPE),
    part=lambda video: video.action.partition(" ")[0],
    parts="actions",
    abbreviations={"Walking": "Walk", "Eating": "Eat", "Sitting": "Sit"},
    as_d3dp=D3DPCounting(batch=4, each_frame_once=False),
    remark=lambda video: f"at {video.fps:g} fps",
)
CONFIG = ProtocolConfig("three", "nowhere", window=9)


def shifted(shown: PoseSequence, hypotheses: int, steps: int) -> torch.Tensor:
    """Every joint but the root off by the sequence's offset, in one direction; H = 3 also has the opposite and none."""
    away = torch.zeros(H36M_17.num_joints, 3, dtype=torch.float64)
    away[1:, 1] = OFFSETS_MM[shown.name]
    sides = torch.tensor([1.0, -1.0, 0.0])[:hypotheses, None, None, None]
    return TRUTH[shown.name] + sides * away


def test_papers_average_actions_unweighted_and_all_frames_stand_beside_it():
    """By hand: 16 of 17 joints are off by 17, 34 and 68 mm in 30, 10 and 20 frames; the action Walking has 40."""
    result = evaluate_protocol(PROTOCOL, shifted, CONFIG)
    walking = (30 * 16 + 10 * 32) / 40
    assert list(result["parts"]) == ["Walking", "Eating"]
    for name in AGGREGATIONS.keys() - {"fitted"}:
        assert result["parts"]["Walking"][name]["mpjpe_mm"] == pytest.approx(walking, abs=1e-4)
        assert result["parts"]["Eating"][name]["mpjpe_mm"] == pytest.approx(64, abs=1e-4)
        assert result["average"][name]["mpjpe_mm"] == pytest.approx((walking + 64) / 2, abs=1e-4)
        assert result["overall"][name]["mpjpe_mm"] == pytest.approx((40 * walking + 20 * 64) / 60, abs=1e-4)
    assert result["counts"] == {
        "sequences": 3, "frames": 60,
        "parts": {"Walking": {"sequences": 2, "frames": 40}, "Eating": {"sequences": 1, "frames": 20}},
    }  # fmt: skip


def test_three_hypotheses_around_the_truth():
    overall = evaluate_protocol(PROTOCOL, shifted, replace(CONFIG, hypotheses=3, steps=2))["overall"]
    assert overall["h1k1"]["mpjpe_mm"] > 30
    for honest_or_not in ("p_agg", "oracle_p_best", "oracle_j_best"):
        assert overall[honest_or_not]["mpjpe_mm"] == pytest.approx(0, abs=1e-3)
    assert overall["oracle_j_agg_true_root"]["mpjpe_mm"] == pytest.approx(0, abs=1e-3)  # exact 2D


def test_poses_in_another_skeleton_are_converted_by_name():
    """A lifter of Human3.6M's joints on a sequence in MPI-INF-3DHP's, whose root is joint 14."""
    video = sequence("TS1", 12, skeleton=MPI_INF_3DHP_17)
    protocol = replace(PROTOCOL, read=lambda *_: iter([video]))
    truth, _ = MPI_INF_3DHP_17.to(H36M_17, video.joints_mm - video.joints_mm[:, 14:15])

    def predict(shown: PoseSequence, hypotheses: int, steps: int) -> torch.Tensor:
        assert shown.skeleton == MPI_INF_3DHP_17
        return torch.from_numpy(truth)[None]

    for config in (CONFIG, replace(CONFIG, compatible="d3dp", window=12)):
        overall = evaluate_protocol(protocol, predict, config)["overall"]
        assert max(row["mpjpe_mm"] for name, row in overall.items() if name != "fitted") < 1e-3
    assert "joints h36m_17 -> mpi_inf_3dhp_17" in to_markdown(report(evaluate_protocol(protocol, predict, CONFIG)))


def test_compatible_counting_is_that_of_the_protocol():
    predict = noisy_lifter(VIDEOS, 30.0)
    config = replace(CONFIG, hypotheses=4, steps=2, compatible="d3dp")
    result = evaluate_protocol(PROTOCOL, predict, config)
    counted = [count_as_d3dp(9, 4, each_frame_once=False)(predict, scene_of(v, "gt"), 4, 2) for v in VIDEOS[:2]]
    errors = torch.cat([mpjpe(of.poses, of.true) for of in counted], 1).mean(1)
    found = [row["mpjpe_mm"] for row in result["parts"]["Walking"].values()]
    assert found == pytest.approx(errors.tolist(), abs=1e-9)
    assert result["counts"]["parts"]["Walking"]["frames"] == 36 + 18
    assert result["config"]["batch"] == 4
    other = evaluate_protocol(PROTOCOL, predict, replace(config, batch=1))
    assert other["average"]["oracle_p_best"] != result["average"]["oracle_p_best"]
    assert other["average"]["oracle_j_best"] == pytest.approx(result["average"]["oracle_j_best"])


def test_the_tables_state_what_they_were_made_with():
    config = replace(CONFIG, hypotheses=3, steps=2, eta=0.5, flip="over", weights="small", trained_on=("cmu", "hdm05"))
    result = evaluate_protocol(PROTOCOL, shifted, config)
    text = to_markdown(report(result))
    assert text.startswith(
        "Three (at 50 fps), test, gt 2D; weights small (trained on cmu, hdm05); "
        "H=3 K=2 eta=0.5 span=1 flip=over seed=0; counting: each valid frame once; 3 sequences, 60 frames\n"
    )
    assert "| Walk |  Eat | average | all frames |" in text
    assert text.count("(oracle)") == 3 * 3
    compatible = report(evaluate_protocol(PROTOCOL, noisy_lifter(VIDEOS, 1.0), replace(config, compatible="d3dp")))
    assert "counting: D3DP's (windows of 9, batches of 4)" in compatible.conditions
    assert f"{result['average']['h1k1']['mpjpe_mm']:.1f}" in text


def test_many_parts_stand_in_rows():
    few = report(evaluate_protocol(replace(PROTOCOL, part=lambda video: video.name), shifted, CONFIG)).tables[1]
    assert list(few.header) == ["MPJPE, mm", "a", "b", "c", "average", "all frames"]
    many = [replace(VIDEOS[1], action=f"Throw{number:02d}") for number in range(20)]
    result = evaluate_protocol(replace(PROTOCOL, read=lambda *_: iter(many)), shifted, CONFIG)
    table = report(result).tables[1]
    assert list(table.header) == ["MPJPE, mm", *AGGREGATIONS.values()]
    assert [row[0] for row in table.rows] == [*(f"Throw{n:02d}" for n in range(20)), "average", "all frames"]


def test_csv_and_json_hold_every_number():
    result = evaluate_protocol(PROTOCOL, shifted, replace(CONFIG, hypotheses=3, trained_on=("cmu", "hdm05")))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    lines = list(csv.DictReader(io.StringIO(comma_separated(result))))
    assert len(lines) == (2 + 2) * len(AGGREGATIONS)
    for line in lines:
        of = {"average": result["average"], "all frames": result["overall"]}.get(line["part"])
        of = of or result["parts"][line["part"]]
        assert float(line["mpjpe_mm"]) == of[line["aggregation"]]["mpjpe_mm"]
        assert line["hypotheses"] == ("1" if line["aggregation"] == "h1k1" else "3")
        assert (line["protocol"], line["trained_on"]) == ("three", "cmu hdm05")
    assert [line["frames"] for line in lines[:: len(AGGREGATIONS)]] == ["40", "20", "", "60"]


def test_progress_is_told_and_2d_is_asked_for_by_name():
    asked, told = [], []

    def read(folder, split, keypoints):
        asked.append((str(folder), split, keypoints))
        return iter(VIDEOS)

    for input in ("gt", "noisy", "cpn_ft_h36m_dbb"):
        evaluate_protocol(
            replace(PROTOCOL, read=read), shifted, replace(CONFIG, input=input), lambda *of: told.append(of)
        )
    assert asked == [("nowhere", "test", keypoints) for keypoints in ("gt", "gt", "cpn_ft_h36m_dbb")]
    assert told[:3] == [(30, None), (40, None), (60, None)]


def test_only_valid_frames_count():
    videos = [replace(video, valid=np.arange(len(video)) % 2 == 0) for video in VIDEOS]
    result = evaluate_protocol(replace(PROTOCOL, read=lambda *_: iter(videos)), shifted, CONFIG)
    assert result["counts"]["frames"] == 30


@pytest.mark.parametrize(
    ("protocol", "change", "words"),
    [
        ({}, {"split": "dev"}, "nowhere has no sequence of the split 'dev'"),
        ({"as_d3dp": None}, {"compatible": "d3dp"}, "D3DP has no counting for the protocol three; leave --compatible"),
    ],
)
def test_what_cannot_be_evaluated_is_said(protocol, change, words):
    with pytest.raises(ValueError, match=words):
        evaluate_protocol(replace(PROTOCOL, **protocol), shifted, replace(CONFIG, **change))


@pytest.mark.parametrize("name", ["hypotheses", "steps", "window", "batch"])
def test_a_config_that_makes_no_sense_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        replace(CONFIG, **{name: 0})
