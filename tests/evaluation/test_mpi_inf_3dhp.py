"""PCK, AUC and MPJPE of poses made to have known ones, and which data and weights each of the three protocols takes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.evaluation.scenes import noisy_lifter, sequence
from tests.miniatures import write_3dhp
from tests.oracles import slow_auc, slow_mpjpe, slow_pck

from dreampose3d.data.mpi_inf_3dhp import read
from dreampose3d.evaluation.counting import AGGREGATIONS, Counted, count_clean
from dreampose3d.evaluation.inputs import scene_of
from dreampose3d.evaluation.mpi_inf_3dhp import AUC, JOINTS, MPJPE_14, PCK, A, B, C
from dreampose3d.evaluation.protocol import MPJPE, ProtocolConfig, evaluate_protocol, report
from dreampose3d.metrics import similarity_align
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import MPI_INF_3DHP_17

J = MPI_INF_3DHP_17.num_joints
OF_PCK = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]  # as published: all but pelvis (14), spine, head
CONFIG = ProtocolConfig("3dhp", "", skeleton="mpi_inf_3dhp_17", window=9, trained_on=("cmu",))


def counted(distances_mm: np.ndarray) -> Counted:
    """One frame a row, whose joints are off by these distances, in directions of their own; all aggregations alike."""
    rng = np.random.default_rng(0)
    true = rng.normal(0, 400, (len(distances_mm), J, 3))
    way = rng.normal(size=true.shape)
    poses = torch.from_numpy(true + distances_mm[..., None] * way / np.linalg.norm(way, axis=-1, keepdims=True))
    poses = poses.expand(len(AGGREGATIONS), -1, -1, -1)
    return Counted(poses, similarity_align(poses, torch.from_numpy(true)), torch.from_numpy(true))


def measured(metric, distances_mm) -> list[float]:
    return metric.measure(counted(np.array(distances_mm, float)), MPI_INF_3DHP_17)[0].tolist()


def test_pck_and_auc_are_over_the_14_published_joints():
    assert [MPI_INF_3DHP_17.index(name) for name in JOINTS] == OF_PCK
    far = np.zeros((J, J)) + 1000 * np.eye(J)  # frame j: only joint j is off
    pck, auc = measured(PCK, far), measured(AUC, far)
    for joint in range(J):
        off = joint in OF_PCK
        assert pck[joint] == pytest.approx(100 * (13 / 14 if off else 1))
        assert auc[joint] == pytest.approx(100 * 30 / 31 * (13 / 14 if off else 1))  # 30/31: threshold 0 never counts


def test_known_pck_and_auc():
    """PCK is strict at 150 mm; AUC counts the thresholds 0, 5, ..., 150 above an error: 31 - 1 - floor(error / 5)."""
    errors = [0.001, 4.999, 5.001, 52.5, 149.999, 150.001, 400]
    rows = np.repeat(np.array(errors)[:, None], J, 1)
    assert measured(PCK, rows) == pytest.approx([100] * 5 + [0, 0])
    assert measured(AUC, rows) == pytest.approx([100 * above / 31 for above in (30, 30, 29, 20, 1, 0, 0)])
    mixed = np.full((1, J), 200.0)
    mixed[0, [0, 4, 13]] = 20.5  # three of the 14: above 20.5 lie 25, ..., 150: 26 thresholds
    mixed[0, 14:] = 0
    assert measured(PCK, mixed) == pytest.approx([100 * 3 / 14])
    assert measured(AUC, mixed) == pytest.approx([100 * 3 / 14 * 26 / 31])


def test_mpjpe_is_over_all_17_with_the_zero_root_and_of_14_over_those_of_pck():
    row = np.arange(J, dtype=float)[None]
    row[0, 14] = 0
    assert measured(MPJPE, row) == pytest.approx([(sum(range(17)) - 14) / 17])
    assert measured(MPJPE_14, row) == pytest.approx([sum(range(14)) / 14])


def test_every_metric_against_its_slow_twin():
    video = replace(sequence("TS1", 30, skeleton=MPI_INF_3DHP_17), valid=np.arange(30) % 3 > 0)
    found = count_clean(noisy_lifter([video], 90.0), scene_of(video, "gt"), 3, 2)
    for a in range(len(AGGREGATIONS)):
        poses, true = found.poses[a].numpy(), found.true.numpy()
        slow = {
            PCK: [100 * slow_pck(p[OF_PCK], t[OF_PCK], 150) for p, t in zip(poses, true, strict=True)],
            AUC: [100 * slow_auc(p[OF_PCK], t[OF_PCK]) for p, t in zip(poses, true, strict=True)],
            MPJPE: [slow_mpjpe(p, t) for p, t in zip(poses, true, strict=True)],
            MPJPE_14: [slow_mpjpe(p[OF_PCK], t[OF_PCK]) for p, t in zip(poses, true, strict=True)],
        }
        for metric, values in slow.items():
            assert metric.measure(found, MPI_INF_3DHP_17)[a].tolist() == pytest.approx(values, abs=1e-9)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """The two layouts of npz, with six tests of 20 frames."""
    home = tmp_path_factory.mktemp("3dhp")
    small = {"subjects": ("S1",), "sequences": ("Seq1",), "cameras": ("0",), "frames": 20}
    return {
        "univ": write_3dhp(home / "univ", "p-stmo", **small), "annot3": write_3dhp(home / "annot3", "d3dp", **small),
    }  # fmt: skip


def off_by(truths: list[PoseSequence], offsets_mm: dict[str, float]):
    known = {video.name: video.joints_mm - video.joints_mm[:, 14:15] for video in truths}

    def predict(shown: PoseSequence, hypotheses: int, steps: int) -> torch.Tensor:
        away = np.zeros((J, 3))
        away[:, 1] = offsets_mm[shown.name]
        away[14] = 0
        return torch.from_numpy(known[shown.name] + away).double()[None].expand(hypotheses, -1, -1, -1)

    return predict


def test_six_sequences_are_averaged_unweighted_over_their_valid_frames(folders):
    videos = list(read(folders["univ"], "test"))
    offsets = {f"TS{n}": 40.0 * n for n in range(1, 7)}  # 160 mm and more are no correct keypoints
    result = evaluate_protocol(A, off_by(videos, offsets), replace(CONFIG, data=str(folders["univ"])))
    assert list(result["parts"]) == list(offsets)
    assert result["average"]["p_agg"]["pck_percent"] == pytest.approx(100 * 3 / 6, abs=1e-3)
    assert result["average"]["p_agg"]["mpjpe_mm"] == pytest.approx(140 * 16 / 17, abs=1e-2)
    valid = {video.name: int(video.valid.sum()) for video in videos}
    assert {name: part["frames"] for name, part in result["counts"]["parts"].items()} == valid
    weighted = sum(valid[name] * offset for name, offset in offsets.items()) / sum(valid.values())
    assert result["overall"]["p_agg"]["mpjpe_mm"] == pytest.approx(weighted * 16 / 17, abs=1e-2)
    table = report(result)
    assert "protocol A (univ_annot3" in table.conditions
    assert list(table.tables[0].header[1:5]) == ["PCK, %", "AUC, %", "MPJPE, mm", "P-MPJPE, mm"]
    assert list(table.tables[1].header[1:]) == [*offsets, "average", "all frames"]


def test_d3dps_counting_takes_each_valid_frame_once_here(folders):
    videos = list(read(folders["annot3"], "test"))
    config = replace(CONFIG, data=str(folders["annot3"]), compatible="d3dp", hypotheses=3, steps=2)
    result = evaluate_protocol(B, noisy_lifter(videos, 30.0), config)
    assert result["counts"]["frames"] == sum(int(video.valid.sum()) for video in videos)
    assert result["config"]["batch"] == 2


@pytest.mark.parametrize(
    ("protocol", "there", "words"),
    [(A, "annot3", "has no univ data"), (B, "univ", "has no annot3 data")],
    ids=["a", "b"],
)
def test_data_of_the_other_scale_is_missing(folders, protocol, there, words):
    with pytest.raises(FileNotFoundError, match=words):
        evaluate_protocol(protocol, noisy_lifter([], 1.0), replace(CONFIG, data=str(folders[there])))


def test_data_of_the_other_scale_under_a_false_name_is_told_by_its_bones(folders, tmp_path):
    """B's own reader refuses univ, too: it does not project onto the 2D."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "data_test_3dhp.npz").symlink_to(folders["annot3"] / "data_test_3dhp_ori.npz")
    (tmp_path / "b" / "data_test_3dhp_ori.npz").symlink_to(folders["univ"] / "data_test_3dhp.npz")
    with pytest.raises(
        ValueError, match=r"expected univ_annot3 in .*by their bone lengths its people are annot3.*3dhp-b"
    ):
        evaluate_protocol(A, noisy_lifter([], 1.0), replace(CONFIG, data=str(tmp_path / "a")))
    with pytest.raises(ValueError, match="expected annot3"):
        evaluate_protocol(B, noisy_lifter([], 1.0), replace(CONFIG, data=str(tmp_path / "b")))


@pytest.mark.parametrize("scale", ["univ", "annot3"])
def test_cross_data_takes_either_and_says_which(folders, scale):
    videos = list(read(folders[scale], "test"))
    config = replace(CONFIG, data=str(folders[scale]), trained_on=("cmu", "hdm05"))
    result = evaluate_protocol(C, noisy_lifter(videos, 20.0), config)
    conditions = report(result).conditions
    assert {"univ": "(truth: univ_annot3)", "annot3": "(truth: annot3)"}[scale] in conditions
    assert "cross-data" in conditions
    assert "trained on cmu, hdm05" in conditions
    assert result["overall"]["p_agg"]["mpjpe_14_mm"] > 0


@pytest.mark.parametrize(
    ("trained_on", "words"),
    [
        (("cmu", "3dhp"), "trained on cmu, 3dhp, and 3dhp-c is for weights that never saw MPI-INF-3DHP"),
        (("MPI-INF-3DHP",), "never saw"),
        ((), "do not say what they were trained on"),
    ],
)
def test_cross_data_refuses_weights_that_saw_it(folders, trained_on, words):
    config = replace(CONFIG, data=str(folders["annot3"]), trained_on=trained_on)
    with pytest.raises(ValueError, match=words):
        evaluate_protocol(C, noisy_lifter([], 1.0), config)
