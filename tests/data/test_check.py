"""`data check`: whole data sets in miniature, good and spoilt, and each thing that can look wrong."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.miniatures import person, write_3dhp, write_h36m
from tests.motion import clip_row, write_set

from dreampose3d.camera import Camera
from dreampose3d.commands.data import data
from dreampose3d.data.check import check_data, describe, findings
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17

J = H36M_17.index
SIDE_BY_SIDE = list(H36M_17.mirror)


@pytest.fixture
def world():
    """A person who walks, 3D in the world."""
    return PoseSequence("walk", 50.0, joints_mm=person(60).astype(np.float32))


@pytest.fixture
def filmed(world):
    """The same, seen by a camera that stands 5 m in front."""
    facing = ((-1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, -1.0, 0.0))
    camera = replace(Camera.from_fov((1000, 1000), 60), rotation=facing, position_mm=(0.0, 5000.0, 1000.0))
    joints = camera.to_camera(torch.from_numpy(world.joints_mm).double())
    keypoints = camera.project(joints).numpy()
    return replace(world, name="filmed", joints_mm=joints.numpy(), keypoints_px=keypoints, camera=camera)


def told(sequence, kind, exact=True):
    """What is said of one kind of finding, and how to mend it."""
    found = {finding.kind: finding for finding in findings(sequence, exact)}
    assert kind in found, f"only {sorted(found)}"
    return found[kind]


def test_a_walking_person_looks_right_in_the_world_and_before_a_camera(world, filmed):
    assert findings(world) == []
    assert findings(filmed) == []


def spoil(index, change):
    """A function that changes a copy of the joints at an index."""

    def spoilt(joints):
        joints = joints.copy()
        joints[index] = change(joints)
        return joints

    return spoilt


def longer(end, start, share):
    return lambda joints: joints[:, J(end)] + share * (joints[:, J(end)] - joints[:, J(start)])


SPOILT_3D = {
    "metres": (lambda j: j / 1000, "unit", "in metres", "multiply the 3D by 1000"),
    "centimetres": (lambda j: j / 10, "unit", "in centimetres", "multiply the 3D by 10$"),
    "ten times too large": (lambda j: j * 10, "unit", "millimetres x 1e-1", r"multiply the 3D by 0\.1"),
    "joints in reverse order": (lambda j: j[:, ::-1], "sides|bones", "ankle|elbow|wrist|knee", "order of the joints"),
    "sides exchanged": (lambda j: j[:, SIDE_BY_SIDE], "knees", "bend backwards", "left and right are exchanged"),
    "x mirrored": (lambda j: j * (-1, 1, 1), "knees", "bend backwards", "negate that axis"),
    "y up": (lambda j: j[..., [0, 2, 1]] * (1, 1, -1), "up", r"along \+y", "z is up"),
    "x up": (lambda j: j[..., [2, 0, 1]], "up", r"along \+x", "z is up"),
    "upside down": (lambda j: j * (-1, 1, -1), "up", "along -z", "z is up"),
    "a joint missing": (spoil((3, 5), lambda j: np.nan), "missing 3D", "3D joints are NaN", "leave these frames"),
    "all in one point": (lambda j: j * 0 + 5, "no size", "in one point", "axes again"),
    "one shank longer": (
        spoil((slice(None), J("left_ankle")), longer("left_ankle", "left_knee", 0.4)),
        "sides", r"left ankle is 1\.\d+ times", "order of the joints",
    ),
    "a bone that breathes": (
        spoil((slice(None, None, 2), J("right_wrist")), lambda j: longer("right_wrist", "right_elbow", 0.6)(j)[::2]),
        "varying bones", r"varies by \d+%", "smooth them",
    ),
    "the same frame again": (spoil(slice(10, 45), lambda j: j[10]), "frozen", "35 frames in a row", "cut them out"),
    "a jump": (spoil(slice(30, None), lambda j: j[30:] + 2000), "jump", "m/s", "cut the clip there"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT_3D)
def test_what_looks_wrong_in_3d_is_told_with_its_cure(world, name):
    change, kind, what, mend = SPOILT_3D[name]
    spoilt = replace(world, joints_mm=np.ascontiguousarray(change(world.joints_mm), np.float32))
    found = [finding for finding in findings(spoilt) if re.fullmatch(kind, finding.kind)]
    assert any(re.search(what, f.what) and re.search(mend, f.mend) for f in found), findings(spoilt)


SPOILT_2D = {
    "y from the bottom": (lambda k: k * (1, -1) + (0, 1000), "2D against 3D", "y counted from the bottom"),
    "mirrored": (lambda k: k * (-1, 1) + (1000, 0), "2D against 3D", "fit if it were mirrored"),
    "x and y exchanged": (lambda k: k[..., ::-1], "2D against 3D", "x and y exchanged"),
    "sides exchanged": (lambda k: k[:, SIDE_BY_SIDE], "2D against 3D", "left and right exchanged"),
    "frames out of step": (lambda k: np.roll(k, 25, 0), "2D against 3D", "check camera, order and frames"),
    "another camera": (lambda k: k * 0.6 + 50, "2D against 3D", "check camera, order and frames"),
    "normalised to the screen": (lambda k: k / 500 - 1, "normalised", "write it in pixels"),
    "mostly missing": (spoil(slice(0, 40), lambda k: np.nan), "missing 2D", "the right person"),
    "outside the image": (lambda k: k + 5000, "outside", "the image's size"),
}


@pytest.mark.parametrize("name", SPOILT_2D)
def test_what_looks_wrong_in_2d_is_told_with_its_cure(filmed, name):
    change, kind, mend = SPOILT_2D[name]
    spoilt = replace(filmed, keypoints_px=np.ascontiguousarray(change(filmed.keypoints_px)))
    assert re.search(mend, told(spoilt, kind).mend)


def test_detections_may_lie_a_little_beside_the_truth(filmed):
    noise = np.random.default_rng(0).normal(0, 12, filmed.keypoints_px.shape)
    detected = replace(filmed, keypoints_px=filmed.keypoints_px + noise)
    assert findings(detected, exact=False) == []
    assert told(detected, "2D against 3D").serious


def test_a_camera_frame_with_another_up_and_a_person_behind_the_camera_are_told(filmed):
    down = replace(filmed, joints_mm=filmed.joints_mm * (-1, -1, 1), keypoints_px=None)
    assert told(down, "up").what == "in the camera's frame people stand along +y"
    behind = replace(filmed, joints_mm=filmed.joints_mm * (-1, 1, -1))
    assert "negate it" in told(behind, "behind").mend


@pytest.mark.parametrize(("fps", "kind"), [(0.5, "rate"), (5000.0, "rate")])
def test_odd_rates_are_told(world, fps, kind):
    assert told(replace(world, fps=fps), kind).mend == "correct fps in the file"


def test_a_single_frame_is_noted(world):
    assert not told(replace(world, joints_mm=world.joints_mm[:1]), "short").serious


@pytest.mark.parametrize(
    ("write", "name", "sequences", "joints"),
    [
        (lambda folder: write_h36m(folder, subjects=("S1", "S9")), r"Human3\.6M", None, "h36m_17"),
        (lambda folder: write_3dhp(folder, layout="d3dp"), "MPI-INF-3DHP", None, "mpi_inf_3dhp_17"),
        (lambda folder: write_3dhp(folder, layout="p-stmo"), "MPI-INF-3DHP", None, "mpi_inf_3dhp_17"),
        (lambda folder: write_3dhp(folder, layout="mat"), "MPI-INF-3DHP", None, "mpi_inf_3dhp_17"),
        (lambda folder: write_set(folder, rows(2)), "canonical", 2, "h36m_17"),
    ],
)
def test_each_format_is_recognised_and_nothing_looks_wrong(tmp_path, write, name, sequences, joints):
    write(tmp_path / "set")
    checked = check_data(tmp_path / "set")
    assert re.search(name, checked.format)
    assert checked.serious == 0, describe(checked)
    assert sequences in (None, checked.sequences)
    assert checked.skeletons == (joints,)
    assert checked.frames > 0
    assert "mm in" in describe(checked)


def rows(count):
    """Clips of a person with rigid bones, for a canonical folder."""
    return [clip_row(i) | {"joints": person(60, seed=i).astype(np.int16)} for i in range(count)]


def test_other_2d_of_human36m_is_looked_at_too(tmp_path):
    write_h36m(tmp_path, subjects=("S9",))
    assert check_data(tmp_path).keypoints == ("gt", "cpn_ft_h36m_dbb")


def test_what_a_reader_refuses_is_a_problem_in_its_own_words(tmp_path):
    folder = write_set(tmp_path / "set", rows(2))
    clips = dict(np.load(folder / "s1.npz"))
    np.savez(folder / "s1.npz", t0=clips["t0"], t1=clips["t1"][:, :16])
    checked = check_data(folder)
    assert checked.serious == 1
    assert re.search(r"t1: expected \(frames, 17, 3\) joints", describe(checked))


def test_a_few_who_lie_do_not_make_a_set_wrong(tmp_path):
    lying = rows(1)[0] | {"trial": "lying"}
    lying["joints"] = np.ascontiguousarray(lying["joints"][..., [2, 0, 1]])
    folder = write_set(tmp_path / "set", [*rows(3), lying])
    checked = check_data(folder)
    assert checked.serious == 0
    assert "note: people stand along +x" in describe(checked)
    assert "[1 of 4 sequences, first lying]" in describe(checked)


def test_the_command_prints_writes_and_fails_where_something_is_wrong(tmp_path, capsys):
    folder = write_set(tmp_path / "set", rows(2))
    data("check", folder, json=tmp_path / "found.json")
    assert "nothing looks wrong" in capsys.readouterr().out
    assert json.loads((tmp_path / "found.json").read_text())["problems"] == []
    swapped = {row["trial"]: row["joints"][:, SIDE_BY_SIDE] for row in rows(2)}
    np.savez(folder / "s1.npz", **swapped)
    with pytest.raises(ValueError, match="has 1 problem to mend first"):
        data("check", folder, json=tmp_path / "found.json")
    assert "WRONG: the knees bend backwards; left and right are exchanged" in capsys.readouterr().out
    (problem,) = json.loads((tmp_path / "found.json").read_text())["problems"]
    assert (problem["sequences"], problem["serious"]) == (2, True)


def test_what_is_no_data_set_is_told_with_the_formats_there_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        check_data(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"in no format that is known: canonical .*, Human3\.6M .*custom-data"):
        check_data(tmp_path)
