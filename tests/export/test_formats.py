from dataclasses import replace

import numpy as np
import pytest
from tests.export.test_rotations import t_pose

from dreampose3d.camera import Camera
from dreampose3d.cli import main
from dreampose3d.export import c3d, formats
from dreampose3d.export.bvh import write_bvh
from dreampose3d.export.formats import FORMATS, export, formats_named
from dreampose3d.export.mot import opensim_coordinates
from dreampose3d.export.motion import Motion, motion_of
from dreampose3d.export.rotations import rig_of
from dreampose3d.export.tables import write_npz
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import COCO_17, H36M_17

WITHOUT_USD = [name for name in FORMATS if name != "usd"]


def test_everything_at_once(lifted, tmp_path):
    paths = export(lifted, WITHOUT_USD, tmp_path / "out")
    assert [path.name for path in paths] == [f"clip{FORMATS[name].suffix}" for name in WITHOUT_USD]
    assert all(path.stat().st_size > 1000 for path in paths)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in paths)


def test_equal_motions_are_equal_files(walk, tmp_path):
    for path, again in zip(*(export(walk, WITHOUT_USD, tmp_path / name) for name in "ab"), strict=True):
        assert path.read_bytes() == again.read_bytes()


def test_people_of_one_name_are_numbered_and_others_are_not(lifted, tmp_path):
    two = export([lifted, lifted], "trc,csv", tmp_path / "two")
    assert [path.name for path in two] == [
        "clip_person00.trc", "clip_person00.motion.csv", "clip_person01.trc", "clip_person01.motion.csv",
    ]  # fmt: skip
    named = export([lifted, replace(lifted, name="other")], "trc", tmp_path / "named")
    assert [path.name for path in named] == ["clip.trc", "other.trc"]


def test_names_of_formats():
    assert formats_named(" BVH, c3d,bvh,") == ("bvh", "c3d")
    with pytest.raises(ValueError, match=r"expected formats out of bvh,c3d,.*; got fbx; for FBX import the GLB"):
        formats_named("bvh,fbx")
    with pytest.raises(ValueError, match="got none"):
        formats_named(",")


@pytest.mark.parametrize(("name", "extra"), [("c3d", "export"), ("parquet", "export"), ("usd", "usd")])
def test_a_missing_package_is_told_before_anything_is_written(lifted, tmp_path, monkeypatch, name, extra):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(ImportError, match=rf'writing {name} needs an extra: pip install "dreampose3d\[{extra}\]"'):
        export(lifted, ["trc", name], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "package"), [("c3d", "ezc3d"), ("parquet", "pyarrow"), ("usd", "pxr")])
def test_writers_name_the_extra_too(walk, tmp_path, monkeypatch, name, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ImportError, match="needs an extra: pip install"):
        FORMATS[name].write(walk, tmp_path / "walk")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_none_of_the_files(walk, tmp_path, monkeypatch):
    monkeypatch.setattr(c3d, "MOST_FRAMES", 10)
    with pytest.raises(ValueError, match=r"walk: a C3D file holds at most 10 frames, got 50; cut it, or take TRC"):
        export(walk, "bvh,trc,c3d", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bad_motions_are_refused(walk, tmp_path):
    gap = walk.joints_mm.copy()
    gap[3, 5:7] = np.nan
    for change, message in (
        ({"joints_mm": gap}, r"walk: expected finite joints, 2 of 850 are missing; fill the gaps"),
        ({"joints_mm": walk.joints_mm[:0]}, "expected at least one frame"),
        ({"joints_mm": walk.joints_mm[:, :5]}, r"expected 17 joints \(h36m_17\), got 5"),
        ({"fps": 0.0}, "expected a positive frame rate, got 0"),
        ({"times": walk.time_s[::-1].copy()}, "expected 50 times that grow"),
        ({"name": "a/b"}, "expected a name that a file can have, got 'a/b'"),
        ({"name": ""}, "expected a name"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(walk, **change)
    flat = PoseSequence("flat", 30.0, keypoints_px=np.zeros((4, H36M_17.num_joints, 2)))
    with pytest.raises(ValueError, match="flat: expected 3D joints to export, got 2D keypoints; lift them first"):
        export(flat, "bvh", tmp_path / "out")
    with pytest.raises(ValueError, match="expected at least one person"):
        export([], "bvh", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bones_that_cannot_turn_are_refused_by_rigid_formats_only(walk, tmp_path):
    joints = walk.joints_mm.copy()
    joints[4, H36M_17.index("left_wrist")] = joints[4, H36M_17.index("left_elbow")]
    broken = replace(walk, joints_mm=joints)
    for name in ("bvh", "mot", "glb"):
        with pytest.raises(ValueError, match="a bone without length, so without direction"):
            export(broken, name, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(export(broken, "trc,csv", tmp_path / "out")) == 2


def test_what_a_format_changes_is_told(walk, tmp_path):
    joints = walk.joints_mm.copy()
    joints[:, H36M_17.index("head")] += np.linspace(0, 30, len(joints))[:, None]
    with pytest.warns(UserWarning, match=r"walk: constant bones \(bvh, glb\) move joints by 0\.\d mm in the mean"):
        export(replace(walk, joints_mm=joints), "bvh,trc,glb", tmp_path)
    times = walk.time_s + np.where(np.arange(len(walk)) > 20, 0.2, 0)
    with pytest.warns(UserWarning, match=r"frames are up to 200 ms from a constant 29\.97 frames/s, all that bvh, c3d"):
        export(replace(walk, times=times), "bvh,c3d,trc", tmp_path)


def test_a_posed_camera_puts_the_motion_in_the_world(lifted, walk):
    level = Camera.from_fov((1920, 1080))
    stands = replace(level, rotation=((1, 0, 0), (0, 0, -1), (0, 1, 0)), position_mm=(0.0, -4000.0, 900.0))
    posed = motion_of(replace(lifted, camera=stands))
    assert posed.frame == "world"
    np.testing.assert_allclose(posed.joints_mm, walk.joints_mm, atol=1e-6)
    np.testing.assert_allclose(posed.z_up_mm, posed.joints_mm)
    assert motion_of(PoseSequence("mocap", 50.0, joints_mm=walk.joints_mm)).frame == "world"


@pytest.mark.parametrize("frame", ["camera", "world"])
def test_axes_are_turned_not_mirrored(frame):
    axes = Motion("axes", 1.0, np.tile(np.eye(3), (1, 6, 1))[:, :17], frame=frame)
    up = np.array((0, -1, 0)) if frame == "camera" else np.array((0, 0, 1))
    for turned, target in ((axes.y_up_mm, (0, 1, 0)), (axes.z_up_mm, (0, 0, 1))):
        turn = turned[0, :3].T
        assert np.linalg.det(turn) == pytest.approx(1)
        np.testing.assert_allclose(turn @ up, target)


def test_other_skeletons_keep_their_joints_or_become_human36m(tmp_path):
    """Formats of positions write what they get; those of rotations need Human3.6M's tree."""
    joints = np.random.default_rng(0).normal(0, 300, (5, COCO_17.num_joints, 3))
    motion = Motion("coco", 30.0, joints, COCO_17)
    with pytest.warns(UserWarning, match="constant bones"):
        bvh, csv = export(motion, "bvh,csv", tmp_path)
    assert "right_ear" in csv.read_text()
    assert "right_ear" not in bvh.read_text()
    assert "JOINT thorax" in bvh.read_text()


def test_bvh_in_metres_is_the_same_in_metres(walk, tmp_path):
    for unit in ("cm", "m"):
        write_bvh(walk, tmp_path / f"{unit}.bvh", unit)
    rows = [
        np.loadtxt((tmp_path / f"{unit}.bvh").read_text().split("Frame Time")[1].split("\n")[1:])
        for unit in ("cm", "m")
    ]
    np.testing.assert_allclose(rows[0][:, :3], 100 * rows[1][:, :3], atol=1e-3)
    np.testing.assert_array_equal(rows[0][:, 3:], rows[1][:, 3:])


def mot_of(**moved):
    pose = t_pose()
    for joint, place in moved.items():
        pose[H36M_17.index(joint)] = place
    return {name: float(values[0]) for name, values in opensim_coordinates(rig_of(pose[None])).items()}


def test_mot_of_constructed_poses():
    hanging = {
        f"{side}_{joint}": (x, y, 0)
        for side, x in (("left", 180), ("right", -180))
        for joint, y in (("elbow", 1120), ("wrist", 870))
    }
    stands = mot_of(**hanging)
    assert {name for name, value in stands.items() if abs(value) > 1e-6} == {"pelvis_ty", "pelvis_rotation"}
    assert stands["pelvis_rotation"] == pytest.approx(-90)  # it faces z; OpenSim's zero faces x
    assert stands["pelvis_ty"] == pytest.approx(0.9)
    knee = mot_of(**hanging, right_knee=(-100, 900, 400), right_ankle=(-100, 480, 400))  # sitting, thigh forward
    assert knee["hip_flexion_r"] == pytest.approx(90)
    assert knee["knee_angle_r"] == pytest.approx(90)
    aside = mot_of(**hanging, right_knee=(-300, 900 - 346.41, 0), right_ankle=(-510, 900 - 710.14, 0))
    assert aside["hip_adduction_r"] == pytest.approx(-30, abs=0.01)
    curl = mot_of(**hanging | {"left_wrist": (180, 1120, 250)})
    assert curl["elbow_flex_l"] == pytest.approx(90)
    assert curl["arm_rot_l"] == pytest.approx(0, abs=1e-6)
    assert mot_of()["arm_add_r"] == pytest.approx(-90)  # the T-pose
    assert mot_of()["arm_add_l"] == pytest.approx(-90)
    raised = mot_of(**hanging | {"right_elbow": (-180, 1400, 280), "right_wrist": (-180, 1400, 530)})
    assert raised["arm_flex_r"] == pytest.approx(90)


def test_mot_of_a_mirrored_motion_swaps_sides(walk):
    """And turns over the signs of what leans, turns or moves to one side, which is z where x is ahead."""
    joints, mirrored = walk.y_up_mm, (walk.y_up_mm * (1, 1, -1))[:, H36M_17.mirror]
    own, other = (opensim_coordinates(rig_of(given)) for given in (joints, mirrored))
    sideways = ("pelvis_list", "pelvis_rotation", "pelvis_tz", "lumbar_bending", "lumbar_rotation")
    for name, values in own.items():
        partner = name[:-2] + {"_r": "_l", "_l": "_r"}.get(name[-2:], name[-2:])
        np.testing.assert_allclose(other[partner], (-1 if name in sideways else 1) * values, atol=1e-4)


def test_mot_file_as_opensim_lays_it_out(walk, tmp_path):
    (path,) = export(walk, "mot", tmp_path)
    head, rows = path.read_text().split("endheader\n")
    assert "inDegrees=yes" in head.split("\n")
    assert f"nRows={len(walk)}" in head.split("\n")
    names, *lines = rows.rstrip("\n").split("\n")
    assert f"nColumns={len(names.split(chr(9)))}" in head.split("\n")
    values = np.genfromtxt(lines, delimiter="\t")
    np.testing.assert_allclose(values[:, 0], walk.time_s, atol=1e-6)
    np.testing.assert_allclose(1000 * values[:, 4:7], walk.y_up_mm[:, 0], atol=0.01)


def test_the_command(lifted, tmp_path, capsys):
    write_npz(lifted, tmp_path / "clip.pose3d.npz")
    assert main(["export", str(tmp_path / "clip.pose3d.npz"), "--to", "trc,csv", "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "out" / name) for name in ("clip.trc", "clip.motion.csv")]
    renamed = (tmp_path / "clip.pose3d.npz").rename(tmp_path / "take 2.pose3d.npz")
    assert main(["export", str(renamed), "--to", "trc", "--out", str(tmp_path / "new")]) == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["take 2.trc"]
    assert main(["export", str(tmp_path / "none.npz"), "--to", "trc", "--out", str(tmp_path / "out")]) == 2
    assert "no lifted motion at" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "none.npz"), "--to", "fbx", "--out", str(tmp_path / "out")]) == 2
    assert "expected formats out of" in capsys.readouterr().err
