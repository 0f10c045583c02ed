import json
import sys

import numpy as np
import pytest
import torch
from tests.data.pitching_files import (
    COCO_NAMES,
    TURNS,
    camera_json,
    npz_arrays,
    pitch,
    to_camera,
    to_pixels,
    write_c3d,
    write_csv,
    write_index,
    write_pitching,
)
from tests.miniatures import H36M_NAMES, PARENTS, figure

from dreampose3d.data import landmarks, mlbpitchdb
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import COCO_17, H36M_17

MM = 0.02
"""float32 at 120 m is 8 um; a C3D file's floats at some metres less."""
PIXEL = 2e-3
LIMBS = [f"{side}_{j}" for side in ("left", "right") for j in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_pitching(tmp_path_factory.mktemp("pitching"))


def write_one(folder, motion=None, **arrays):
    """A capture of one npz; an array that is given as None is left out."""
    held = npz_arrays(pitch(20) if motion is None else motion) | arrays
    np.savez(folder / "a.npz", **{name: array for name, array in held.items() if array is not None})
    return write_index(folder, [{"file": "a.npz", "split": "train"}])


def test_a_folder_gives_a_sequence_per_row(folder):
    assert mlbpitchdb.recognises(folder)
    assert mlbpitchdb.recognises(folder / "index.csv")
    sequences = list(mlbpitchdb.read(folder))
    assert len(sequences) == 8
    first = sequences[0]
    assert (first.name, first.subject, first.action) == ("P1/pitch0", "P1", "delivery")
    assert (len(first), first.fps, first.skeleton, first.valid) == (60, 30.0, H36M_17, None)
    assert {s.subject for s in mlbpitchdb.read(folder, "train")} == {"P1", "P2"}
    assert {s.subject for s in mlbpitchdb.read(folder / "index.csv", "test")} == {"P4"}


@pytest.mark.parametrize("take", [0, 1])  # 3D in the world, in the camera's frame
def test_3d_is_in_the_cameras_frame_and_exact_2d_its_projection(folder, take):
    truth = pitch(60, 30, "R", take)
    sequence = {s.name: s for s in mlbpitchdb.read(folder)}[f"P1/pitch{take}"]
    np.testing.assert_allclose(sequence.joints_mm, to_camera(truth), atol=MM)
    np.testing.assert_allclose(sequence.keypoints_px, to_pixels(truth), atol=PIXEL)
    projected = sequence.camera.project(torch.from_numpy(sequence.joints_mm).double())
    np.testing.assert_allclose(projected, sequence.keypoints_px, atol=PIXEL)


def test_detections_by_name_are_converted_to_the_joints_of_the_3d(folder):
    assert mlbpitchdb.detections(folder) == ["gt", "vitpose"]
    for exact, seen in zip(mlbpitchdb.read(folder), mlbpitchdb.read(folder, keypoints="vitpose"), strict=True):
        np.testing.assert_array_equal(exact.joints_mm, seen.joints_mm)
        limbs = H36M_17.indices(*LIMBS)
        off = np.linalg.norm((seen.keypoints_px - exact.keypoints_px)[:, limbs], axis=-1)
        assert 0.5 < off.mean() < 4  # noise of 1.5 px along each axis
        assert seen.confidence.min() >= 0.5
        assert seen.confidence.max() < 1


def test_other_joints_stay_theirs(tmp_path):
    body = pitch(10)
    coco = np.stack([body[:, H36M_NAMES.index(n if n in H36M_NAMES else "head")] for n in COCO_NAMES], 1)
    write_one(tmp_path, joints_mm=coco.astype(np.float32), skeleton="COCO_17", keypoints_px=None, confidence=None)
    (sequence,) = mlbpitchdb.read(tmp_path)
    assert sequence.skeleton == COCO_17
    np.testing.assert_allclose(sequence.keypoints_px, to_pixels(coco), atol=PIXEL)


def test_frames_without_a_joint_or_marked_do_not_count(tmp_path):
    joints, marked = pitch(20), np.arange(20) != 7
    joints[3, 5] = np.nan
    write_one(tmp_path, joints, valid=marked, keypoints_vitpose=None, confidence_vitpose=None)
    (sequence,) = mlbpitchdb.read(tmp_path)
    assert np.flatnonzero(~sequence.valid).tolist() == [3, 7]
    assert np.isnan(sequence.keypoints_px[3, 5]).all()


def test_without_a_camera_3d_stays_in_the_world(tmp_path):
    write_one(tmp_path, camera=None, keypoints_px=None, confidence=None)
    (sequence,) = mlbpitchdb.read(tmp_path)
    assert sequence.camera is None
    assert sequence.keypoints_px is None
    np.testing.assert_allclose(sequence.joints_mm, pitch(20), atol=MM)


def test_a_calibration_file_may_hold_several_cameras(tmp_path):
    np.savez(tmp_path / "a.npz", **npz_arrays(pitch(10)))
    (tmp_path / "cameras.json").write_text(camera_json(names=("first", "third")))
    row = {"file": "a.npz", "split": "test", "camera": "cameras.json"}
    write_index(tmp_path, [row | {"camera_name": "first"}, row | {"camera_name": "third"}])
    assert [s.name for s in mlbpitchdb.read(tmp_path)] == ["a/first", "a/third"]


# Rates


@pytest.mark.parametrize("fps", [60, 120, 240, 300])
def test_faster_captures_are_resampled_to_30_at_the_frames_that_were_filmed(tmp_path, fps):
    fast = pitch(fps + 1, fps)
    write_one(tmp_path, fast, fps=float(fps))
    (sequence,) = mlbpitchdb.read(tmp_path)
    (own,) = mlbpitchdb.read(tmp_path, fps=None)
    assert (own.fps, len(own)) == (fps, fps + 1)
    assert (sequence.fps, len(sequence)) == (30, 31)
    np.testing.assert_array_equal(sequence.joints_mm, own.joints_mm[:: fps // 30])
    np.testing.assert_array_equal(sequence.keypoints_px, own.keypoints_px[:: fps // 30])


def test_between_frames_it_is_linear_in_time():
    """What moves evenly does so at any rate; a frame that is missing is missed by those it takes part in."""
    time = np.arange(51) / 50
    line = (np.array((1.0, -2.0, 3.0)) * time[:, None, None] * 1000).repeat(17, 1)
    line[7] = np.nan
    sequence = PoseSequence("line", 50, joints_mm=line, time_s=time, valid=np.isfinite(line).all((1, 2)))
    slow = mlbpitchdb.at_rate(sequence, 30)
    np.testing.assert_allclose(slow.time_s, np.arange(31) / 30, atol=1e-12)
    np.testing.assert_allclose(slow.joints_mm[8:, 0, 1], -2000 * slow.time_s[8:], atol=1e-9)
    # frames 4 and 5 lie at 6.67 and 8.33 of the capture's
    assert np.flatnonzero(~slow.valid).tolist() == [4]
    assert np.flatnonzero(np.isnan(slow.joints_mm[:, 0, 0])).tolist() == [4]


@pytest.mark.parametrize("fps", [24.0, 29.97, 30.0, 30.2])
def test_slower_ones_and_those_of_nearly_30_stay_as_they_are(fps):
    sequence = PoseSequence("clip", fps, joints_mm=pitch(10, fps))
    assert mlbpitchdb.at_rate(sequence, 30) is sequence


# C3D and CSV


@pytest.mark.parametrize("up", list(TURNS))
@pytest.mark.parametrize(("kind", "unit"), [("c3d", "mm"), ("c3d", "m"), ("csv", "mm"), ("csv", "cm"), ("csv", "m")])
def test_landmarks_of_any_unit_and_axes_are_the_same_motion(tmp_path, kind, unit, up):
    joints = pitch(12)
    row = {"file": f"a.{kind}", "split": "train", "camera": "cameras.json"}
    (tmp_path / "cameras.json").write_text(camera_json(up))
    if kind == "c3d":
        write_c3d(tmp_path / "a.c3d", joints, unit=unit, up=up)
    else:
        write_csv(tmp_path / "a.csv", joints, unit=unit, up=up, fps=30)
        row |= {"units": unit, "up": up}
    (sequence,) = mlbpitchdb.read(write_index(tmp_path, [row]))
    assert sequence.fps == pytest.approx(30)
    np.testing.assert_allclose(sequence.joints_mm, to_camera(joints), atol=MM)
    np.testing.assert_allclose(sequence.keypoints_px, to_pixels(joints), atol=PIXEL)
    (tmp_path / "index.csv").write_text((tmp_path / "index.csv").read_text().replace("cameras.json", ""))
    (world,) = mlbpitchdb.read(tmp_path)
    np.testing.assert_allclose(world.joints_mm, joints, atol=MM)


@pytest.mark.parametrize("up", list(TURNS))
def test_turning_up_to_z_is_a_rotation(up):
    turn = np.array(landmarks.UPS[up])
    assert np.linalg.det(turn) == 1
    np.testing.assert_array_equal(turn @ TURNS[up], np.eye(3))


def spelled(spell):
    """Our joint names as another program spells them."""
    return [spell(*name.split("_")) if "_" in name else name for name in H36M_NAMES]


@pytest.mark.parametrize(
    "names",
    [
        spelled(lambda side, joint: f"{side}_{joint}"),
        spelled(lambda side, joint: f"{side[0].upper()}{joint.title()}"),
        spelled(lambda side, joint: f"{joint}_{side[0]}"),
        spelled(lambda side, joint: f"{joint}.{side}"),
        spelled(lambda side, joint: f"Pitcher01:{side[0]}{joint[0]}jc"),
        spelled(lambda side, joint: f"{side.title()} {joint} joint centre"),
    ],
    ids=lambda names: names[1],
)
def test_common_spellings_of_landmarks_are_known(tmp_path, names):
    joints = pitch(8)
    write_c3d(tmp_path / "a.c3d", joints, names)
    write_csv(tmp_path / "b.csv", joints, names, fps=30, suffix=" (mm)", delimiter=";")
    rows = [{"file": "a.c3d", "split": "train"}, {"file": "b.csv", "split": "train", "up": "z"}]
    for sequence in mlbpitchdb.read(write_index(tmp_path, rows)):
        np.testing.assert_allclose(sequence.joints_mm, joints, atol=MM)


@pytest.mark.parametrize("throws", ["R", "L"])
def test_names_of_pitching_laboratories_depend_on_the_arm(tmp_path, throws):
    arm = "right" if throws == "R" else "left"

    def name(side, joint):
        if joint in ("shoulder", "elbow", "wrist"):
            return f"{joint}_jc" if side == arm else f"glove_{joint}_jc"
        return f"{'rear' if side == arm else 'lead'}_{joint}_jc"

    joints = pitch(8)
    write_csv(tmp_path / "a.csv", joints, spelled(name), "m", fps=30, suffix="_m")
    (sequence,) = mlbpitchdb.read(
        write_index(tmp_path, [{"file": "a.csv", "split": "train", "up": "z", "throws": throws}])
    )
    np.testing.assert_allclose(sequence.joints_mm, joints, atol=MM)


def test_joints_that_are_missing_are_made_as_from_coco(tmp_path):
    """Nose, eyes and limbs alone: the pelvis lies between the hips, as the skeletons' own table says."""
    rng = np.random.default_rng(0)
    coco = pitch(8)[:, [H36M_NAMES.index(n if n in H36M_NAMES else "head") for n in COCO_NAMES]]
    coco[:, :5] += rng.normal(0, 30, (8, 5, 3))
    write_csv(tmp_path / "a.csv", coco, COCO_NAMES, fps=30, suffix="_mm")
    (sequence,) = mlbpitchdb.read(write_index(tmp_path, [{"file": "a.csv", "split": "train", "up": "z"}]))
    np.testing.assert_allclose(sequence.joints_mm, COCO_17.to(H36M_17, coco)[0], atol=MM)


def test_a_table_of_names_averages_both_sides_of_a_joint(tmp_path):
    joints = pitch(8)
    across = np.array((50.0, 20.0, 0.0))
    markers = np.concatenate((joints + across, joints - across), 1)
    names = [f"{i}{name[:3]}" for i, name in enumerate(2 * H36M_NAMES)]
    table = "".join(f"{name},{joint}\n" for name, joint in zip(names, 2 * H36M_NAMES, strict=True))
    table = table.replace(",neck", ",nose").replace(",thorax", ",neck")  # a neck alone is the base of the neck
    (tmp_path / "names.csv").write_text(f"landmark,joint\n{table}")
    write_csv(tmp_path / "a.csv", markers, names, fps=30, suffix="_mm")
    (sequence,) = mlbpitchdb.read(write_index(tmp_path, [{"file": "a.csv", "split": "train", "up": "z"}]))
    np.testing.assert_allclose(sequence.joints_mm, joints, atol=MM)


def test_empty_cells_are_missing(tmp_path):
    path = write_csv(tmp_path / "a.csv", pitch(8), fps=30, suffix="_mm")
    lines = path.read_text().splitlines()
    lines[4] = ",".join((*lines[4].split(",")[:-1], ""))
    path.write_text("\n".join(lines))
    (sequence,) = mlbpitchdb.read(write_index(tmp_path, [{"file": "a.csv", "split": "train", "up": "z"}]))
    assert np.argwhere(np.isnan(sequence.joints_mm)).tolist() == [[3, 16, 0], [3, 16, 1], [3, 16, 2]]
    assert np.flatnonzero(~sequence.valid).tolist() == [3]


@pytest.mark.parametrize("kind", ["npz", "c3d", "csv"])
@pytest.mark.parametrize("joint", [name for name in H36M_NAMES if name != "pelvis"])
def test_each_limb_lands_on_its_name(tmp_path, kind, joint):
    """One bone alone is turned by a radian: only what hangs on it moves, in 3D and 2D."""
    parent = H36M_NAMES[PARENTS[H36M_NAMES.index(joint)]]
    poses = np.concatenate((figure(1), figure(1, {parent: np.ones(1)})))
    (tmp_path / "cameras.json").write_text(camera_json())
    if kind == "npz":
        np.savez(tmp_path / "a.npz", **npz_arrays(poses))
    else:
        {"c3d": write_c3d, "csv": write_csv}[kind](tmp_path / f"a.{kind}", poses, fps=30)
    row = {"file": f"a.{kind}", "split": "train", "units": "mm", "up": "z", "camera": "cameras.json"}
    (sequence,) = mlbpitchdb.read(write_index(tmp_path, [row]))
    moved = set(H36M_17.subtree(parent)) - {H36M_17.index(parent)}
    assert H36M_17.index(joint) in moved
    shift_mm = np.linalg.norm(np.diff(sequence.joints_mm, axis=0)[0], axis=-1)
    shift_px = np.linalg.norm(np.diff(sequence.keypoints_px, axis=0)[0], axis=-1)
    assert set(np.flatnonzero(shift_mm > 1)) == set(np.flatnonzero(shift_px > 0.05)) == moved


# What is refused


def a_bone_swap(joints):
    swapped = [H36M_NAMES.index(n.replace("left", "RIGHT").replace("right", "left").lower()) for n in H36M_NAMES]
    return joints[:, swapped]


BODY = pitch(20)
HALF = npz_arrays(BODY)
NPZ = {
    "no 3D": ({"joints_mm": None}, "expected an array 'joints_mm'; the file holds frame"),
    "16 joints": ({"joints_mm": BODY[:, :16]}, r"got \(20, 16, 3\): 16 joints instead of 17"),
    "transposed": ({"joints_mm": BODY.transpose(1, 0, 2)}, "the axes are in another order, transpose them"),
    "coordinates first": ({"joints_mm": BODY.transpose(0, 2, 1)}, "the axes are in another order, transpose them"),
    "no frames": ({"joints_mm": BODY[:0]}, "there are no frames"),
    "integers": ({"joints_mm": BODY.astype(int)}, "expected numbers of shape .* got an array of int64"),
    "metres": ({"joints_mm": BODY / 1000}, "expected legs of 450 to 1400 mm, got .*multiply by 1000"),
    "centimetres": ({"joints_mm": BODY / 10}, "the unit is another one: multiply by 10"),
    "root-relative": ({"joints_mm": BODY - BODY[:, :1]}, "take the file before that step"),
    "all missing": ({"joints_mm": BODY * np.nan}, "no frame has them all; leave the sequence out"),
    "no frame told": ({"frame": None}, "expected a text 'frame'; the file holds joints_mm"),
    "unknown frame": ({"frame": "room"}, "expected the frame world or camera, got 'room'"),
    "wrong frame": ({"frame": "camera"}, "it lies behind|expected exact 2D where the 3D projects"),
    "frame a number": ({"frame": 1}, "expected 'frame' to be a text, got"),
    "no skeleton": ({"skeleton": None}, "skeleton: .*expected a text 'skeleton'"),
    "unknown skeleton": ({"skeleton": "smpl_24"}, "unknown skeleton 'smpl_24'; known are h36m_17"),
    "no rate": ({"fps": None}, "the file does not tell, add fps to the index"),
    "rate of 0": ({"fps": 0.0}, "expected a positive frame rate, got 0"),
    "rate in words": ({"fps": "thirty"}, "expected one number 'fps'"),
    "two rates": ({"fps": np.array((30.0, 60.0))}, "expected one number 'fps'"),
    "camera no JSON": ({"camera": "{centre"}, "camera: not a calibration file that is known"),
    "camera other JSON": ({"camera": "{}"}, 'camera: expected JSON with "format": "dreampose3d cameras"'),
    "camera no focal": ({"camera": camera_json(focal_px=None)}, "camera: camera centre: expected .*focal_px"),
    "camera not posed": (
        {"camera": camera_json(rotation=np.eye(3).tolist(), position_mm=(0, 0, 0))},
        "its 3D is in the world, but it is not told how the camera stands there",
    ),
    "two cameras": ({"camera": camera_json(names=("a", "b"))}, "it has the cameras a, b; name the one that filmed"),
    "camera turned round": (
        {"camera": camera_json(rotation=json.loads(camera_json("-y"))["cameras"]["centre"]["rotation"])},
        "it lies behind|expected exact 2D where the 3D projects",
    ),
    "2D swapped": ({"keypoints_px": a_bone_swap(to_pixels(BODY))}, "swapped sides or other axes"),
    "2D mirrored": ({"keypoints_px": np.array((1280, 0)) + to_pixels(BODY) * (-1, 1)}, "swapped sides or other axes"),
    "2D upside down": ({"keypoints_px": np.array((0, 720)) + to_pixels(BODY) * (1, -1)}, "swapped sides or other axes"),
    "2D normalised": ({"keypoints_px": to_pixels(BODY) / 640 - 1}, "which look normalised to the screen"),
    "2D short": ({"keypoints_px": to_pixels(BODY)[:19]}, "expected 2D for each of the 20 frames of the 3D, got 19"),
    "2D of 3 numbers": ({"keypoints_px": BODY}, r"expected shape \(frames, 17, 2\), got \(20, 17, 3\)"),
    "2D all missing": ({"keypoints_px": to_pixels(BODY) * np.nan}, "none is a finite number"),
    "confidence short": ({"confidence": np.ones((19, 17))}, r"expected numbers of shape \(20, 17\), got \(19, 17\)"),
    "confidence in %": ({"confidence": np.full((20, 17), 90.0)}, r"expected values in \[0, 1\], got 90 to 90"),
    "valid as numbers": ({"valid": np.ones(20)}, "expected 20 truth values 'valid'"),
    "valid short": ({"valid": np.ones(19, bool)}, "expected 20 truth values 'valid'"),
    "pickled": ({"joints_mm": np.array([{"a": print}], object)}, "could run code"),
}


@pytest.mark.parametrize(("arrays", "message"), list(NPZ.values()), ids=list(NPZ))
def test_a_malformed_npz_is_refused(tmp_path, arrays, message):
    arrays = {n: a.astype(np.float32) if getattr(a, "dtype", None) == np.float64 else a for n, a in arrays.items()}
    with pytest.raises(ValueError, match=message):
        list(mlbpitchdb.read(write_one(tmp_path, **arrays)))


def test_3d_of_a_camera_needs_the_camera(tmp_path):
    write_one(tmp_path, **(npz_arrays(BODY, frame="camera") | {"camera": None}))
    with pytest.raises(ValueError, match="3D is in a camera's frame, but there is no camera; add it"):
        list(mlbpitchdb.read(tmp_path))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"keypoints_vitpose": None}, "expected 2D 'keypoints_vitpose'; it has gt"),
        ({"skeleton_vitpose": "body_25"}, r"keypoints_vitpose: expected shape \(frames, 25, 2\)"),
        ({"skeleton_vitpose": "vit"}, "a.npz, skeleton_vitpose: unknown skeleton 'vit'"),
        ({"confidence_vitpose": np.full((20, 17), 2.0)}, r"confidence_vitpose: expected values in \[0, 1\]"),
    ],
)
def test_malformed_detections_are_refused_where_they_are_read(tmp_path, arrays, message):
    write_one(tmp_path, **arrays)
    assert len(list(mlbpitchdb.read(tmp_path))) == 1
    with pytest.raises(ValueError, match=message):
        list(mlbpitchdb.read(tmp_path, keypoints="vitpose"))


ROW = {"file": "a.npz", "split": "train"}
INDEX = {
    "no split column": ([{"file": "a.npz"}], "expected the columns file and split, got file"),
    "no file column": ([{"trial": "a", "split": "train"}], "expected the columns file and split"),
    "no rows": ([], "lists no sequences"),
    "unknown split": ([ROW | {"split": "dev"}], "line 2: expected split to be train, val, test, got 'dev'"),
    "no split": ([ROW | {"split": ""}], "expected split to be train, val, test, got ''"),
    "other file": ([ROW | {"file": "a.mat"}], "expected a file .npz, .c3d or .csv, got 'a.mat'"),
    "units": ([ROW | {"units": "inch"}], "expected units to be mm, cm, m, got 'inch'"),
    "up": ([ROW | {"up": "w"}], "expected up to be z, y, x, -z, -y, -x, got 'w'"),
    "throws": ([ROW | {"throws": "B"}], "expected throws to be R, L, got 'B'"),
    "twice": ([ROW, ROW], "line 3: 'a' is listed twice"),
    "rate": ([ROW | {"fps": "fast"}], "expected frames per second in the index, got 'fast'"),
    "other rate": ([ROW | {"fps": 60}], "the file tells 30 frames/s, the index 60; correct the wrong one"),
    "other split only": ([ROW | {"split": "test"}], "expected sequences of the split train, it has test only"),
}


@pytest.mark.parametrize(("rows", "message"), list(INDEX.values()), ids=list(INDEX))
def test_a_malformed_index_is_refused(tmp_path, rows, message):
    write_one(tmp_path)
    write_index(tmp_path, rows)
    with pytest.raises(ValueError, match=message):
        list(mlbpitchdb.read(tmp_path, "train"))


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no index\.csv; it lists file and split"):
        next(mlbpitchdb.read(tmp_path))
    write_index(tmp_path, [ROW, {"file": "b.csv", "split": "test"}])
    for split in ("train", "test"):
        with pytest.raises(FileNotFoundError, match="no such file"):
            next(mlbpitchdb.read(tmp_path, split))
    with pytest.raises(ValueError, match="expected the split train, val, test, got 'dev'"):
        next(mlbpitchdb.read(tmp_path, "dev"))
    (tmp_path / "index.csv").write_bytes(b"file,split\n\xff\xfe,train\n")
    with pytest.raises(ValueError, match="not a text file in UTF-8"):
        next(mlbpitchdb.read(tmp_path))
    assert not mlbpitchdb.recognises(tmp_path)
    assert not mlbpitchdb.recognises(tmp_path / "none")


def test_the_canonical_folder_of_motion_capture_is_another_format(tmp_path):
    write_index(tmp_path, [{"trial": "a", "file": "a.npz", "split": "train", "fps": 30, "action": "walk"}])
    assert not mlbpitchdb.recognises(tmp_path)


@pytest.mark.parametrize("kind", ["npz", "c3d"])
def test_a_truncated_file_is_refused(tmp_path, kind):
    write_one(tmp_path)
    write_c3d(tmp_path / "a.c3d", BODY)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match="is cut off"):
        list(mlbpitchdb.read(write_index(tmp_path, [ROW | {"file": path.name}])))


LANDMARKS = {
    "no unit": ({"units": ""}, {}, "a.csv tells nothing as its unit; add units"),
    "no up": ({"up": ""}, {}, "a.csv tells nothing as the axis that points up; add up"),
    "wrong unit": ({"units": "cm"}, {}, "the unit is another one: multiply by 0.1"),
    "no rate": ({}, {"fps": None}, "the file does not tell, add fps to the index"),
    "unknown names": (
        {},
        {"names": [f"m{i}" for i in range(17)]},
        "none is known as pelvis, right_hip, .*the file has m0, .*names.csv",
    ),
    "one joint lacking": ({}, {"names": ["lasi" if n == "left_knee" else n for n in H36M_NAMES]}, "as left_knee; "),
    "two people": ({}, {"names": ["A:LKnee" if n == "spine" else n for n in H36M_NAMES]}, "are both called left_knee"),
    "arm not told": (
        {},
        {"names": [n.replace("right_wrist", "wrist").replace("left_wrist", "glove_wrist") for n in H36M_NAMES]},
        "none is known as left_wrist, right_wrist",
    ),
}


@pytest.mark.parametrize(("row", "change", "message"), list(LANDMARKS.values()), ids=list(LANDMARKS))
def test_landmarks_that_cannot_be_meant_are_refused(tmp_path, row, change, message):
    write_csv(tmp_path / "a.csv", BODY, **({"fps": 30} | change))
    write_index(tmp_path, [{"file": "a.csv", "split": "train", "units": "mm", "up": "z"} | row])
    with pytest.raises(ValueError, match=message):
        list(mlbpitchdb.read(tmp_path))


CSV = {
    "no triples": ("time,left_hip_x,left_hip_y\n0,1,2\n", "expected columns <landmark>_x, _y, _z, got time"),
    "no frame": ("a_x,a_y,a_z\n", "expected a line of names and a line per frame, got 1 lines"),
    "two units": ("a_x_mm,a_y_mm,a_z_mm,b_x_m,b_y_m,b_z_m\n1,2,3,4,5,6\n", "one unit in the names of the columns"),
    "a word": ("a_x,a_y,a_z\n1,2,3\n1,two,3\n", "frame 1: expected a number, got 'two'"),
    "a cell less": ("a_x,a_y,a_z\n1,2\n", "frame 0: expected 3 cells as in the first line, got 2"),
    "uneven": ("time,a_x,a_y,a_z\n0,1,2,3\n1,1,2,3\n5,1,2,3\n", "expected even times, seconds, in the column 'time'"),
    "no time": ("time,a_x,a_y,a_z\n1,1,2,3\n1,1,2,3\n", "expected even times"),
    "binary": (b"\xff\xfe\x00", "is not a text file; landmarks are read from C3D"),
}


@pytest.mark.parametrize(("text", "message"), list(CSV.values()), ids=list(CSV))
def test_a_malformed_csv_is_refused(tmp_path, text, message):
    (tmp_path / "a.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message):
        landmarks.read_landmarks(tmp_path / "a.csv")


def test_a_c3d_of_another_unit_or_silent_about_up_is_refused(tmp_path):
    index = write_index(tmp_path, [ROW | {"file": "a.c3d"}])
    write_c3d(tmp_path / "a.c3d", BODY, unit="inch")
    with pytest.raises(ValueError, match="tells 'inch' as its unit; add units"):
        list(mlbpitchdb.read(index))
    write_c3d(tmp_path / "a.c3d", BODY, up=None)
    with pytest.raises(ValueError, match="tells nothing as the axis that points up"):
        list(mlbpitchdb.read(index))
    with pytest.raises(ValueError, match=r"only its own projection.*write it as npz with keypoints_vitpose"):
        list(mlbpitchdb.read(tmp_path, keypoints="vitpose"))


def test_the_index_goes_before_what_a_file_tells(tmp_path):
    """A program that writes nonsense into its C3D files can be set right without touching them."""
    write_c3d(tmp_path / "a.c3d", BODY, unit="?")
    write_index(tmp_path, [ROW | {"file": "a.c3d", "units": "mm", "up": "z"}])
    (sequence,) = mlbpitchdb.read(tmp_path)
    np.testing.assert_allclose(sequence.joints_mm, BODY, atol=MM)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("landmark\nLKNE\n", "expected rows of landmark, joint, got landmark"),
        ("landmark,joint\n", "got no row"),
        ("landmark,joint\nLKNE,knee\n", "expected a joint of .*left_knee.*, got 'knee'"),
    ],
)
def test_a_malformed_table_of_names_is_refused(tmp_path, table, message):
    (tmp_path / "names.csv").write_text(table)
    with pytest.raises(ValueError, match=message):
        landmarks.read_names(tmp_path / "names.csv")


def test_without_ezc3d_the_error_names_the_cure(tmp_path, monkeypatch):
    (tmp_path / "a.c3d").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "ezc3d", None)
    with pytest.raises(ImportError, match=r'pip install "dreampose3d\[datasets\]"'):
        landmarks.read_landmarks(tmp_path / "a.c3d")
