from dataclasses import replace

import numpy as np
import pytest
import torch

from dreampose3d.data.mocap import read_mocap
from dreampose3d.evaluation.mocap import film_clip
from dreampose3d.export.tables import write_npz
from dreampose3d.figures.clip import Track, film, keypoints_of, lifted_track, read_clip, read_truth, true_track
from dreampose3d.skeleton import H36M_17


def test_recorded_motion_is_seen_as_the_evaluation_sees_it(mocap):
    clip = read_mocap(mocap)[0]
    theirs = list(film_clip(clip, "noisy"))
    for index, filmed in enumerate(theirs):
        ours = read_clip(mocap, trial="t1", camera=index, input="noisy")
        np.testing.assert_array_equal(ours.keypoints_px, filmed.sequence.keypoints_px)
        np.testing.assert_array_equal(ours.confidence, filmed.sequence.confidence)
        np.testing.assert_array_equal(ours.joints_mm, filmed.joints_mm)
        assert ours.camera.focal_px == filmed.sequence.camera.focal_px
        assert ours.action == "walking"


def test_the_posed_camera_fits_the_truth_and_knows_up(mocap):
    clip = read_mocap(mocap)[0]
    seen = film(clip, 2, "gt")
    world = torch.from_numpy(clip.joints_mm).double()
    np.testing.assert_allclose(seen.camera.to_camera(world), seen.joints_mm, atol=1e-6)
    heights = seen.joints_mm @ np.array(seen.camera.up)
    np.testing.assert_allclose(
        heights - heights.min(), clip.joints_mm[..., 2] - clip.joints_mm[..., 2].min(), atol=1e-3
    )


def test_keypoints_and_results_are_read_too(sequence, motion, tmp_path):
    np.savez(tmp_path / "walk.npz", keypoints_px=sequence.keypoints_px, fps=50.0, size=(1000, 1000), skeleton="h36m_17")
    read = read_clip(tmp_path / "walk.npz")
    np.testing.assert_array_equal(read.keypoints_px, sequence.keypoints_px)
    assert true_track(read) is None
    write_npz(motion, tmp_path / "walk.pose3d.npz")
    again = read_clip(tmp_path / "walk.pose3d.npz")
    np.testing.assert_array_equal(again.root_mm, motion.root_mm)
    back = keypoints_of(again)
    np.testing.assert_array_equal(back.keypoints_px, motion.keypoints_px)
    assert back.camera == motion.camera


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trial": None}, r"gym: name one of its clips with --trial, such as t1, t2 \(2 in its index.csv\)"),
        ({"trial": "t11"}, r"gym: it has no clip 't11', such as t1"),
        ({"trial": "t1", "camera": 4}, "expected a camera from 0 to 3, got 4"),
    ],
)
def test_what_the_folder_lacks_is_refused(mocap, options, message):
    with pytest.raises(ValueError, match=message):
        read_clip(mocap, **options)


def test_a_trial_of_a_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"--trial names a clip of a motion-capture folder, but .*walk.npz is none"):
        read_clip(tmp_path / "walk.npz", trial="t1")


def test_truth_comes_from_an_npz_with_times_or_a_rate(tmp_path):
    joints = np.random.default_rng(0).normal(size=(5, H36M_17.num_joints, 3))
    np.savez(tmp_path / "rate.npz", joints_mm=joints, fps=25.0)
    np.savez(tmp_path / "times.npz", joints_mm=joints, time_s=np.arange(5) / 25)
    for name in ("rate", "times"):
        truth = read_truth(tmp_path / f"{name}.npz")
        np.testing.assert_array_equal(truth.joints_mm, joints)
        np.testing.assert_allclose(truth.time_s, np.arange(5) / 25)


@pytest.mark.parametrize(
    "arrays",
    [
        {"fps": 25.0},
        {"joints_mm": np.zeros((5, H36M_17.num_joints, 3))},
        {"joints_mm": np.zeros((5, 16, 3)), "fps": 25.0},
        {"joints_mm": np.zeros((5, H36M_17.num_joints, 3)), "time_s": np.zeros(4)},
    ],
)
def test_what_is_no_truth_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "truth.npz", **arrays)
    with pytest.raises(ValueError, match=r"truth.npz: expected an npz file with joints_mm \(N, 17, 3\) and time_s"):
        read_truth(tmp_path / "truth.npz")
    (tmp_path / "truth.npz").write_bytes(b"no npz")
    with pytest.raises(ValueError, match="expected an npz file"):
        read_truth(tmp_path / "truth.npz")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_truth(tmp_path / "nothing.npz")


def test_a_track_is_cut_and_made_relative_to_the_root(motion):
    track = lifted_track(motion, "lifted")
    np.testing.assert_allclose(track.relative_to_root().joints_mm, motion.root_relative_mm, atol=1e-2)
    part = track.between((0.1, 0.3))
    np.testing.assert_allclose(part.time_s, np.arange(5, 16) / 50)
    np.testing.assert_array_equal(part.joints_mm, track.joints_mm[5:16])
    np.testing.assert_array_equal(part.missing, track.missing[5:16])
    np.testing.assert_array_equal(track.between(None).joints_mm, track.joints_mm)
    with pytest.raises(ValueError, match=r"lifted has no frame between 7 and 9 s: it runs from 0 to 0.58 s"):
        track.between((7, 9))


def test_missing_joints_are_those_without_2d(motion):
    assert lifted_track(motion, "lifted").missing.any()
    np.testing.assert_array_equal(lifted_track(motion, "lifted").missing, motion.confidence < 0.05)
    certain = lifted_track(replace(motion, confidence=np.ones_like(motion.confidence)), "lifted")
    assert not certain.missing.any()
    assert Track("truth", np.zeros(1), np.zeros((1, 17, 3))).missing is None
