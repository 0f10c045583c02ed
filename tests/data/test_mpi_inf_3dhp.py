import builtins
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from tests.miniatures import (
    H36M_NAMES,
    MPI_17,
    MPI_CAMERAS,
    MPI_TESTS,
    PARENTS,
    UNIVERSAL_MM,
    body_size,
    figure,
    mpi_train_camera,
    person,
    write_3dhp,
    write_h36m,
)

from dreampose3d.data import h36m, mpi_inf_3dhp
from dreampose3d.data.unpickle import RefusedPickleError
from dreampose3d.skeleton import H36M_17, MPI_INF_3DHP_17

PIXEL = 1e-4
FILE_PIXEL = 1e-3
"""float32 mm and pixels: 2e-4 mm and 1e-4 px, twice."""
LAYOUTS = ("d3dp", "p-stmo", "mat")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {
        layout: write_3dhp(tmp_path_factory.mktemp("3dhp"), layout, sequences=("Seq1", "Seq2"), frames=40)
        for layout in LAYOUTS
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_gives_the_six_test_sequences(folders, layout):
    assert mpi_inf_3dhp.recognises(folders[layout])
    sequences = list(mpi_inf_3dhp.read(folders[layout], "test"))
    assert tuple(sequence.name for sequence in sequences) == MPI_TESTS
    for sequence in sequences:
        assert (sequence.subject, sequence.skeleton, len(sequence)) == (sequence.name, MPI_INF_3DHP_17, 40)
        assert sequence.valid.tolist() == [frame % 10 != 3 for frame in range(40)]
        assert sequence.joints_mm.dtype == sequence.keypoints_px.dtype == np.float32
        assert not sequence.camera.assumed


@pytest.mark.parametrize("layout", ["d3dp", "p-stmo"])
def test_training_sequences_come_by_subject_take_and_camera(folders, layout):
    sequences = {sequence.name: sequence for sequence in mpi_inf_3dhp.read(folders[layout], "train")}
    assert list(sequences) == [
        f"{s}/{t}/{c}" for s in ("S1", "S2", "S8") for t in ("Seq1", "Seq2") for c in MPI_CAMERAS
    ]
    assert sequences["S1/Seq1/0"].fps == 25
    assert sequences["S1/Seq2/0"].fps == 50
    assert sequences["S1/Seq1/0"].subject == "S1"
    assert sequences["S1/Seq1/0"].valid is None


def test_the_splits(folders):
    names = {
        split: {s.name for s in mpi_inf_3dhp.read(folders["d3dp"], split)} for split in (*mpi_inf_3dhp.SPLITS, None)
    }
    assert {name.split("/")[0] for name in names["train"]} == {"S1", "S2", "S8"}
    assert {name.split("/")[0] for name in names["val"]} == {"S8"}
    assert names["val"] < names["train"]
    assert names[None] == names["train"] | names["test"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scale", ["annot3", "univ"])
def test_the_joints_are_the_figures_in_the_cameras_frame(folders, layout, scale):
    """annot3 is the person; univ is the person as tall as all the others, about the same pelvis."""
    if (layout, scale) in {("d3dp", "univ"), ("p-stmo", "annot3")}:
        with pytest.raises(FileNotFoundError, match=rf"has no {scale} data of the split test; it has data_test_3dhp"):
            list(mpi_inf_3dhp.read(folders[layout], "test", scale=scale))
        return
    pelvis = MPI_INF_3DHP_17.root
    for sequence in mpi_inf_3dhp.read(folders[layout], "test", scale=scale):
        name = sequence.name
        world = person(40, 25, "Walking", body_size(name), sum(name.encode()))[:, MPI_17]
        bones = np.linalg.norm(world - world[:, [pelvis]], axis=-1)
        tall = {"annot3": 1.0, "univ": UNIVERSAL_MM / knee_to_neck(world)}[scale]
        seen = np.linalg.norm(sequence.joints_mm - sequence.joints_mm[:, [pelvis]], axis=-1)
        np.testing.assert_allclose(seen, tall * bones, atol=2e-3)  # mm
        assert knee_to_neck(sequence.joints_mm) == pytest.approx({"annot3": knee_to_neck(world), "univ": 920.0}[scale])
        assert (sequence.joints_mm[..., 2] > 2000).all()


@pytest.mark.parametrize("layout", ["d3dp", "mat"])
def test_annot3_projects_onto_the_2d(folders, layout):
    """Through the published cameras of the test, and those fitted to the training's own 2D and 3D."""
    for sequence in mpi_inf_3dhp.read(folders[layout]):
        projected = sequence.camera.project(torch.from_numpy(sequence.joints_mm).double())
        np.testing.assert_allclose(projected, sequence.keypoints_px, atol=FILE_PIXEL, rtol=0)


def test_the_test_cameras_are_the_published_ones():
    """As rounded in the literature: 1500.17 px at (1017.39, 1043.03), 1683.98 px at (939.86, 560.14)."""
    for name in MPI_TESTS:
        camera = mpi_inf_3dhp.TEST_CAMERAS[name]
        outdoors = name in ("TS5", "TS6")
        assert camera.size_px == ((1920, 1080) if outdoors else (2048, 2048))
        assert camera.focal_px == pytest.approx((1683.98,) * 2 if outdoors else (1500.17,) * 2, abs=0.005)
        assert camera.center_px == pytest.approx((939.86, 560.14) if outdoors else (1017.39, 1043.03), abs=0.005)
        assert not any(camera.distortion)


def test_training_cameras_are_fitted_to_annot3_and_assumed_for_univ(folders):
    for sequence in mpi_inf_3dhp.read(folders["d3dp"], "train"):
        _, _, focal, center = mpi_train_camera(sequence.name.split("/")[2])
        np.testing.assert_allclose(sequence.camera.focal_px, focal, atol=1e-3)
        np.testing.assert_allclose(sequence.camera.center_px, center, atol=1e-3)
        assert not sequence.camera.assumed
    for sequence in mpi_inf_3dhp.read(folders["p-stmo"], "train"):
        assert sequence.camera == mpi_inf_3dhp.TRAIN_CAMERA
        assert sequence.camera.assumed


def test_camera_to_pixels_to_rays_and_back(folders):
    for sequence in mpi_inf_3dhp.read(folders["d3dp"]):
        joints = torch.from_numpy(sequence.joints_mm).double()
        pixels = sequence.camera.project(joints)
        rays = sequence.camera.rays(pixels)
        torch.testing.assert_close(sequence.camera.pixels(rays), pixels, atol=PIXEL, rtol=0)
        back = torch.cat((rays, torch.ones_like(rays[..., :1])), -1) * joints[..., 2:]
        torch.testing.assert_close(back, joints, atol=1e-6, rtol=0)  # mm


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("joint", [name for name in H36M_NAMES if name != "pelvis"])
def test_each_joint_lands_on_its_name(tmp_path, joint, layout):
    """One bone alone is turned by a radian: only what hangs on it moves, whatever the order of the joints."""
    parent = H36M_NAMES[PARENTS[H36M_NAMES.index(joint)]]
    poses = np.concatenate((figure(1), figure(1, {parent: np.ones(1)})))
    write_3dhp(tmp_path, layout, ("S1",), ("Seq1",), ("TS1",), ("0",), motion=lambda subject, action: poses)
    renamed = {"thorax": "neck", "neck": "head", "head": "head_top"}
    moved = {renamed.get(H36M_NAMES[i], H36M_NAMES[i]) for i in H36M_17.subtree(parent)} - {renamed.get(parent, parent)}
    for sequence in mpi_inf_3dhp.read(tmp_path):
        shift_mm = np.linalg.norm(np.diff(sequence.joints_mm, axis=0)[0], axis=-1)
        assert {MPI_INF_3DHP_17.joints[i] for i in np.flatnonzero(shift_mm > 1)} == moved
        shift_px = np.linalg.norm(np.diff(sequence.keypoints_px, axis=0)[0], axis=-1)
        assert {MPI_INF_3DHP_17.joints[i] for i in np.flatnonzero(shift_px > 0.5)} == moved


def test_converted_to_human36m_the_person_is_the_same(tmp_path):
    """Both sets written from one motion: joint for joint, relative to the pelvis and up to the camera's turn."""
    motion = person(10, 50, "Walking")
    write_3dhp(tmp_path, "d3dp", ("S1",), ("Seq1",), (), ("0",), motion=lambda subject, action: motion)
    write_h36m(tmp_path, ("S1",), ("Walking",), motion=lambda subject, action: motion)
    ours, other = next(mpi_inf_3dhp.read(tmp_path, "train")), next(h36m.read(tmp_path))
    converted, _ = MPI_INF_3DHP_17.to(H36M_17, ours.joints_mm)
    np.testing.assert_allclose(distances(converted), distances(other.joints_mm), atol=5e-3)  # mm


def test_the_joint_order_is_the_data_sets():
    assert MPI_INF_3DHP_17.joints == (
        "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "head",
    )  # fmt: skip
    assert MPI_INF_3DHP_17.root == 14
    assert sorted(MPI_INF_3DHP_17.left) == [5, 6, 7, 11, 12, 13]
    assert sorted(MPI_INF_3DHP_17.right) == [2, 3, 4, 8, 9, 10]


def test_activities_are_named_in_their_order(folders, tmp_path):
    for sequence in mpi_inf_3dhp.read(folders["mat"]):
        assert sequence.action == "Standing/Walking, Sports"
    for sequence in mpi_inf_3dhp.read(folders["d3dp"], "test"):
        assert sequence.action == ""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_file_may_be_named(folders, layout):
    for file in folders[layout].rglob("*.*"):
        assert mpi_inf_3dhp.recognises(file)
        names = {sequence.name for sequence in mpi_inf_3dhp.read(file)}
        expected = {file.parent.name} if layout == "mat" else {s.name for s in mpi_inf_3dhp.read(folders[layout])}
        assert names <= expected
        assert names


def test_a_folder_of_all_layouts_gives_the_scale_asked_for_and_each_sequence_once(tmp_path):
    for layout in LAYOUTS:
        write_3dhp(tmp_path, layout, ("S1", "S2"), ("Seq1",), cameras=("0",), frames=20)
    for scale in ("univ", "annot3"):
        sequences = list(mpi_inf_3dhp.read(tmp_path, scale=scale))
        assert sorted(s.name for s in sequences) == ["S1/Seq1/0", "S2/Seq1/0", *MPI_TESTS]
        assert mpi_inf_3dhp.scale_of(sequences) == scale
    assert mpi_inf_3dhp.scale_of(mpi_inf_3dhp.read(tmp_path)) == "annot3"


# --- which scale


@pytest.mark.parametrize(("layout", "scale"), [("d3dp", "annot3"), ("p-stmo", "univ"), ("mat", "annot3")])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_scale_is_told_from_the_bones_or_of_one_subject_from_its_2d(folders, layout, scale, split):
    if layout == "mat" and split != "test":
        return
    assert mpi_inf_3dhp.scale_of(mpi_inf_3dhp.read(folders[layout], split)) == scale


@pytest.mark.parametrize("name", MPI_TESTS)
@pytest.mark.parametrize("scale", ["annot3", "univ"])
def test_the_scale_of_each_test_sequence_alone(folders, name, scale):
    sequences = mpi_inf_3dhp.read(folders["mat"], "test", scale=scale)
    assert mpi_inf_3dhp.scale_of([sequence for sequence in sequences if sequence.name == name]) == scale


def test_people_scaled_about_the_camera_are_told_by_their_height(tmp_path):
    """Then 2D and 3D still agree, and only the bones tell."""
    write_3dhp(tmp_path, "p-stmo", frames=20)
    path = tmp_path / "data_test_3dhp.npz"
    data = load(path)
    for name, held in data.items():
        world = person(20, 25, "Walking", body_size(name), sum(name.encode()))[:, MPI_17]
        pelvis = held["data_3d"][:, 14:15]
        held["data_3d"] = pelvis * UNIVERSAL_MM / knee_to_neck(world) + held["data_3d"] - pelvis
    np.savez(path, data=data)
    assert mpi_inf_3dhp.scale_of(mpi_inf_3dhp.read(tmp_path, "test")) == "univ"


def test_no_sequence_has_no_scale():
    with pytest.raises(ValueError, match="expected sequences to tell their scale from, got none"):
        mpi_inf_3dhp.scale_of([])


# --- what is refused


def of_train(change):
    def changed(data):
        for views, _ in data.values():
            for view in views.values():
                change(view)

    return "train", changed


def of_test(change):
    def changed(data):
        for held in data.values():
            change(held)

    return "test", changed


def put(key, change):
    return lambda held: held.update({key: change(held[key])})


def drop(key):
    return lambda held: held.pop(key)


def replaced(change):
    """The whole dictionary becomes something else."""
    return lambda data: change(data)


MIRRORED = MPI_INF_3DHP_17.mirror
OF_BOTH = {
    "no 2D": (drop("data_2d"), "expected an entry 'data_2d'; it has data_3d"),
    "no 3D": (drop("data_3d"), "expected an entry 'data_3d'; it has data_2d"),
    "28 joints": (put("data_3d", lambda x: np.tile(x, (1, 2, 1))[:, :28]), "28 joints instead of 17, so another"),
    "16 joints": (put("data_3d", lambda x: x[:, :16]), r"3D: .*got \(20, 16, 3\): 16 joints instead of 17"),
    "16 joints in 2D": (put("data_2d", lambda x: x[:, :16]), r"2D: .*got \(20, 16, 2\): 16 joints instead of 17"),
    "3D transposed": (put("data_3d", lambda x: x.transpose(0, 2, 1)), "3D: .* the axes are in another order"),
    "MATLAB's axes": (put("data_3d", lambda x: x.T), r"3D: .*got \(3, 17, 20\): the axes are in another order"),
    "2D transposed": (put("data_2d", lambda x: x.transpose(0, 2, 1)), "2D: .* the axes are in another order"),
    "flat": (put("data_3d", lambda x: x.reshape(20, -1)), r"expected shape \(frames, 17, 3\), got \(20, 51\)"),
    "3D as text": (put("data_3d", lambda x: x.astype(str)), "3D: expected numbers .*, got an array of <U"),
    "2D as whole numbers": (put("data_2d", lambda x: x.astype(int)), "2D: expected numbers .*, got an array of int64"),
    "3D as a list": (put("data_3d", lambda x: x.tolist()), "3D: expected numbers .*, got a list"),
    "no frames": (put("data_3d", lambda x: x[:0]), "there are no frames"),
    "fewer frames of 2D": (put("data_2d", lambda x: x[1:]), "as many frames of 2D as of 3D, got 19 and 20"),
    "metres": (put("data_3d", lambda x: x / 1000), r"legs of .* mm, got .* the unit is another one: multiply by 1000"),
    "centimetres": (put("data_3d", lambda x: x / 10), "the unit is another one: multiply by 10$"),
    "decimetres": (put("data_3d", lambda x: x / 100), "the unit is another one: multiply by 100$"),
    "root-relative": (put("data_3d", lambda x: x - x[:, 14:15]), "the path of the pelvis, but it is always at zero"),
    "NaN": (put("data_3d", lambda x: x * np.nan), r"expected finite 3D joints, frame 0 holds NaN"),
    "z backwards": (put("data_3d", lambda x: x * (1, 1, -1)), "z forward, got people at z = -.*, behind it"),
    "2D normalised": (put("data_2d", lambda x: x / 1024 - 1), "2D: expected 2D joints in pixels, .* normalised"),
    "2D all NaN": (put("data_2d", lambda x: x * np.nan), "2D joints in pixels, none is a finite number"),
    "y up": (put("data_3d", lambda x: x * (1, -1, 1)), "which projects onto the 2D, got 3D that lies"),
    "z first": (put("data_3d", lambda x: x[..., [2, 0, 1]]), "annot3, which projects onto the 2D|behind it"),
    "image mirrored": (put("data_2d", lambda x: x * (-1, 1) + (2048, 0)), "which projects onto the 2D"),
    "Human3.6M's order of joints": (put("data_3d", lambda x: x[:, np.argsort(MPI_17)]), "legs of|projects onto the 2D"),
    "another frame": (put("data_3d", lambda x: np.roll(x, 7, 0) - np.array((0, 300, 0))), "which projects onto"),
}  # fmt: skip
MALFORMED = {
    **{f"train: {what}": (*of_train(change), words) for what, (change, words) in OF_BOTH.items()},
    **{f"test: {what}": (*of_test(change), words) for what, (change, words) in OF_BOTH.items()},
    "train: sides swapped": (*of_train(put("data_2d", lambda x: x[:, MIRRORED])), "2D, got 3D .* swapped sides"),
    "train: univ as annot3": (*of_train(put("data_3d", lambda x: enlarged(x))), "annot3, which projects onto the 2D"),
    "train: an array": ("train", lambda data: np.zeros(3), "a dictionary of sequences, got an array of float64"),
    "train: empty": ("train", lambda data: {}, "expected a dictionary of sequences, got an empty dict"),
    "train: names": ("train", lambda data: {"Subject 1": data["S1 Seq1"]}, "Subject 1: expected sequences named"),
    "train: no fps": ("train", lambda data: {"S1 Seq1": data["S1 Seq1"][:1]}, "list of the cameras' dictionary and"),
    "train: fps in words": ("train", lambda data: {"S1 Seq1": [data["S1 Seq1"][0], "25"]}, "and the frames per second"),
    "train: fps 0": ("train", lambda data: {"S1 Seq1": [data["S1 Seq1"][0], 0]}, "a positive frame rate, got 0"),
    "train: views only": ("train", lambda data: {"S1 Seq1": data["S1 Seq1"][0]}, "expected a list of the cameras"),
    "train: numbered cameras": ("train", lambda data: {"S1 Seq1": [{0: {}}, 25]}, "a dict whose keys are no names"),
    "train: no cameras": ("train", lambda data: {"S1 Seq1": [{}, 25]}, "a dictionary of cameras, got an empty"),
    "train: a camera is a list": ("train", lambda data: {"S1 Seq1": [{"0": [2]}, 25]}, "a dictionary of data_2d and"),
    "test: no valid": (*of_test(drop("valid")), "TS1: expected an entry 'valid'; it has data_2d, data_3d"),
    "test: valid too short": (*of_test(put("valid", lambda x: x[1:])), "valid: expected 0 or 1 for each of the 20"),
    "test: valid of numbers": (*of_test(put("valid", lambda x: 2 * x)), "valid: expected 0 or 1 for each"),
    "test: valid in words": (*of_test(put("valid", lambda x: x.astype(str))), "valid: expected 0 or 1 for each"),
    "test: none valid": (*of_test(put("valid", lambda x: 0 * x)), "valid: expected some valid frames, got none"),
    "test: names": ("test", lambda data: {"TS7": data["TS1"]}, "TS7: expected sequences named .* 'TS1' to 'TS6'"),
    "test: a list": ("test", lambda data: {"TS1": [1, 2]}, "TS1: expected a dictionary of data_2d, data_3d and valid"),
    "test: univ as annot3": (*of_test(put("data_3d", lambda x: enlarged(x))), "annot3, which projects onto the 2D"),
}  # fmt: skip


@pytest.mark.parametrize(("split", "damage", "words"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_npz_is_refused_in_words(tmp_path, split, damage, words):
    write_3dhp(tmp_path, "d3dp", ("S1",), ("Seq1",), ("TS1",), ("0", "4"), frames=20)
    path = tmp_path / f"data_{split}_3dhp_ori.npz"
    data = load(path)
    returned = damage(data)
    np.savez(path, data=data if returned is None else returned)
    with pytest.raises(ValueError, match=words):
        list(mpi_inf_3dhp.read(tmp_path, split))


def enlarged(joints):
    """Half as tall again, about the pelvis."""
    pelvis = joints[:, 14:15]
    return pelvis + 1.3 * (joints - pelvis)


def of_mat(key, change):
    def changed(held):
        array = np.asarray(held[key])
        del held[key]
        if (new := change(array)) is not None:
            held[key] = new

    return changed


DAMAGED_MATS = {
    **{
        f"no {key}": (of_mat(key, lambda x: None), f"expected an array '{key}'; the file holds")
        for key in ("annot2", "annot3", "valid_frame", "activity_annotation")
    },
    "axes as in MATLAB": (of_mat("annot3", lambda x: x.T), r"got \(3, 17, 1, 20\): the axes are in another order"),
    "two people": (of_mat("annot3", lambda x: np.tile(x, (1, 2, 1, 1))), r"expected shape .*, got \(20, 2, 17, 3\)"),
    "16 joints": (of_mat("annot3", lambda x: x[:, :, :16]), "16 joints instead of 17"),
    "metres": (of_mat("annot3", lambda x: x / 1000), "the unit is another one: multiply by 1000"),
    "whole numbers": (of_mat("annot3", lambda x: x.astype(int)), "expected numbers .* got an array of int64"),
    "2D of other frames": (of_mat("annot2", lambda x: x[1:]), "as many frames of 2D as of 3D, got 19 and 20"),
    "2D normalised": (of_mat("annot2", lambda x: x / 2048), "in pixels, got values within .* normalised"),
    "no frame valid": (of_mat("valid_frame", lambda x: 0 * x), "expected some valid frames, got none"),
    "valid frames too few": (of_mat("valid_frame", lambda x: x[1:]), "expected 0 or 1 for each|number"),
    "activity 8": (of_mat("activity_annotation", lambda x: x + 7), "expected a number from 1 to 7 for each frame"),
    "activity 0": (of_mat("activity_annotation", lambda x: 0 * x), "expected a number from 1 to 7 for each frame"),
    "activities too few": (of_mat("activity_annotation", lambda x: x[1:]), "a number from 1 to 7 for each frame"),
    "annot3 is univ": (of_mat("annot3", lambda x: enlarged(x[:, 0])[:, None]), "annot3, which projects onto the 2D"),
    "x and y swapped": (of_mat("annot2", lambda x: x[..., ::-1]), "annot3, which projects onto the 2D"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "words"), DAMAGED_MATS.values(), ids=DAMAGED_MATS.keys())
def test_a_malformed_mat_is_refused_in_words(tmp_path, damage, words):
    write_3dhp(tmp_path, "mat", tests=("TS1",), frames=20)
    with h5py.File(tmp_path / "TS1" / "annot_data.mat", "r+") as held:
        damage(held)
    with pytest.raises(ValueError, match=words):
        list(mpi_inf_3dhp.read(tmp_path, scale="annot3"))


def test_what_is_not_valid_may_be_broken(tmp_path):
    """Frames that do not count may hold anything, and an activity of 0."""
    write_3dhp(tmp_path, "mat", tests=("TS1",), frames=20)
    with h5py.File(tmp_path / "TS1" / "annot_data.mat", "r+") as held:
        held["annot3"][3] = np.nan
        held["activity_annotation"][3] = 0
    (sequence,) = mpi_inf_3dhp.read(tmp_path)
    assert np.isnan(sequence.joints_mm[3]).all()
    assert not sequence.valid[3]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "TS1/annot_data.mat is not a mat file of MATLAB v7.3 or is cut off"),
        (
            b"MATLAB 5.0 MAT-file, Platform: GLNXA64",
            "is not a mat file of MATLAB v7.3 or is cut off .* download it again",
        ),
        ("half", "is not a mat file of MATLAB v7.3 or is cut off"),
        ("moved", "expected it in a folder TS1 to TS6, whose camera it is seen by, got 'TS9'"),
        ("group", "expected an array 'annot2'; the file holds"),
    ],
)
def test_a_mat_that_cannot_be_read_says_so(tmp_path, content, words):
    write_3dhp(tmp_path, "mat", tests=("TS1",), frames=20)
    file = tmp_path / "TS1" / "annot_data.mat"
    if content == "moved":
        shutil.move(tmp_path / "TS1", tmp_path / "TS9")
    elif content == "group":
        with h5py.File(file, "r+") as held:
            del held["annot2"]
            held.create_group("annot2")
    else:
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(ValueError, match=words):
        list(mpi_inf_3dhp.read(tmp_path))


def test_without_h5py_the_error_names_the_cure(folders, monkeypatch):
    real = builtins.__import__

    def without_h5py(name, *args, **kwargs):
        if name == "h5py":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_h5py)
    assert mpi_inf_3dhp.recognises(folders["mat"])
    with pytest.raises(ImportError, match=r'needs an extra: pip install "dreampose3d\[datasets\]"'):
        list(mpi_inf_3dhp.read(folders["mat"]))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not an npz file or is cut off"),
        ("half", "is not an npz file or is cut off .* download it again"),
        ({"positions": 1}, "expected an array 'data'; the file holds positions"),
        ({"data": np.zeros(2)}, "expected a dictionary of sequences, got an array of float64"),
    ],
)
def test_an_npz_that_cannot_be_read_says_so(tmp_path, content, words):
    write_3dhp(tmp_path, "p-stmo", tests=("TS1",), frames=20)
    path = tmp_path / "data_test_3dhp.npz"
    if isinstance(content, dict):
        np.savez(path, **content)
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(ValueError, match=words):
        list(mpi_inf_3dhp.read(tmp_path, "test"))


def test_a_file_that_pickles_code_is_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return print, ("the pickle ran",)

    np.savez(tmp_path / "data_test_3dhp.npz", data={"TS1": Hostile()})
    with pytest.raises(RefusedPickleError, match=r"data_test_3dhp.npz, data: its pickle asks for .*print"):
        list(mpi_inf_3dhp.read(tmp_path))


def test_what_is_not_there_is_asked_for_by_name(folders, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no annot3 data .*|has no univ data of the split .*; it has nothing"):
        list(mpi_inf_3dhp.read(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"has no univ data of the split train; it has TS1/annot_data.mat"):
        list(mpi_inf_3dhp.read(folders["mat"], "train"))
    with pytest.raises(ValueError, match="expected the split train, val, test, got 'validation'"):
        list(mpi_inf_3dhp.read(folders["mat"], "validation"))
    with pytest.raises(ValueError, match="hold exact 2D only: expected gt, got 'cpn_ft_h36m_dbb'"):
        list(mpi_inf_3dhp.read(folders["mat"], "test", "cpn_ft_h36m_dbb"))
    with pytest.raises(FileNotFoundError, match=r"no such file: .*data_test_3dhp.npz"):
        list(mpi_inf_3dhp.read(tmp_path / "data_test_3dhp.npz"))


def test_recognises_nothing_else(tmp_path):
    np.savez(tmp_path / "other.npz", data=np.zeros(3))
    np.savez(tmp_path / "data_2d_3dhp.npz", keypoints=np.zeros(3))
    (tmp_path / "annot_data.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    (tmp_path / "text.txt").write_text("hello")
    for path in (".", "other.npz", "data_2d_3dhp.npz", "annot_data.mat", "text.txt", "missing"):
        assert not mpi_inf_3dhp.recognises(tmp_path / path)
    assert not mpi_inf_3dhp.recognises(Path("\0"))


def knee_to_neck(joints):
    """Hip to knee, and pelvis over the spine to the neck, mm."""
    thigh, low, high = (joints[:, a] - joints[:, b] for a, b in ((8, 9), (14, 15), (15, 1)))
    return sum(np.linalg.norm(bone, axis=-1).mean() for bone in (thigh, low, high))


def distances(joints):
    """From every joint to every other: what no camera changes."""
    return np.linalg.norm(joints[:, :, None] - joints[:, None], axis=-1)


def load(path):
    with np.load(path, allow_pickle=True) as arrays:
        return arrays["data"].item()
