"""What the lifter is shown, and what it must not see."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.evaluation.scenes import CAMERA, sequence

from dreampose3d.evaluation.inputs import file_stem, scene_of
from dreampose3d.skeleton import COCO_17, H36M_17, MPI_INF_3DHP_17

NAME = "S9/Walking 1/54138969"


def test_the_lifter_is_shown_2d_and_intrinsics_and_nothing_else():
    turned = replace(CAMERA, rotation=((0, 1, 0), (-1, 0, 0), (0, 0, 1)), position_mm=(1.0, 2.0, 3.0))
    scene = scene_of(sequence(NAME, 12, subject="S9", camera=turned), "gt")
    assert scene.shown.joints_mm is None
    assert (scene.shown.action, scene.shown.subject, scene.shown.valid) == ("", "", None)
    assert scene.shown.camera == CAMERA
    assert scene.shown.keypoints_px is not None


def test_exact_2d_is_the_sets_own_or_the_projection():
    known = sequence(NAME, 12)
    own, projected = scene_of(known, "gt"), scene_of(replace(known, keypoints_px=None), "gt")
    np.testing.assert_array_equal(own.keypoints_px.float(), known.keypoints_px)
    torch.testing.assert_close(projected.keypoints_px, own.keypoints_px, atol=1e-3, rtol=0)  # px: float32
    assert (own.confidence == 1).all()
    np.testing.assert_array_equal(own.joints_mm, known.joints_mm)
    np.testing.assert_allclose(own.true, known.joints_mm - known.joints_mm[:, :1], atol=1e-3)


def test_the_root_and_the_frames_that_count_are_the_sequences_own():
    known = sequence("TS1", 12, skeleton=MPI_INF_3DHP_17, valid=np.arange(12) > 4)
    scene = scene_of(known, "gt")
    np.testing.assert_array_equal(scene.root_mm, known.joints_mm[:, 14])
    assert (scene.true[:, 14] == 0).all()
    assert int(scene.valid.sum()) == 7


@pytest.mark.parametrize("skeleton", [H36M_17, MPI_INF_3DHP_17], ids=lambda skeleton: skeleton.name)
def test_noise_depends_on_the_sequences_name_alone(skeleton):
    known = sequence(NAME, 40, skeleton=skeleton)
    one, again = scene_of(known, "noisy"), scene_of(replace(known, action="Sitting"), "noisy")
    np.testing.assert_array_equal(one.shown.keypoints_px, again.shown.keypoints_px)
    other = scene_of(replace(known, name="another"), "noisy")
    assert (other.shown.keypoints_px != one.shown.keypoints_px).any()
    off = np.linalg.norm(one.shown.keypoints_px - known.keypoints_px, axis=-1)
    assert 1 < np.median(off) < 20  # px
    np.testing.assert_array_equal(one.keypoints_px.float(), one.shown.keypoints_px)
    assert (one.shown.confidence < 1).any()


def test_what_is_missing_stays_missing_among_noise():
    known = sequence(NAME, 40)
    keypoints = known.keypoints_px.copy()
    keypoints[10:20, 4] = keypoints[30] = np.nan
    scene = scene_of(replace(known, keypoints_px=keypoints), "noisy")
    lost = np.isnan(keypoints).any(-1)
    np.testing.assert_array_equal(np.isnan(scene.keypoints_px.numpy()).any(-1), lost)
    assert (scene.confidence[torch.from_numpy(lost)] == 0).all()
    off = np.linalg.norm(scene.shown.keypoints_px - keypoints, axis=-1)[~lost]
    assert 1 < np.median(off) < 20  # px


def test_detections_of_any_skeleton_come_from_a_folder_by_the_sequences_name(tmp_path):
    """COCO's joints are shown as they are; what they are compared with is converted by name, here over Human3.6M's."""
    known = sequence(NAME, 12, skeleton=MPI_INF_3DHP_17)
    coco = np.random.default_rng(0).uniform(100, 900, (14, COCO_17.num_joints, 2))
    coco[3, COCO_17.index("left_wrist")] = np.nan
    assert file_stem(NAME) == "S9_Walking_1_54138969"
    np.savez(tmp_path / f"{file_stem(NAME)}.npz", keypoints_px=coco, skeleton="coco_17")
    scene = scene_of(known, str(tmp_path))
    assert scene.shown.skeleton == COCO_17
    np.testing.assert_allclose(scene.shown.keypoints_px, coco[:12].astype(np.float32))
    elbow = scene.keypoints_px[:, MPI_INF_3DHP_17.index("left_elbow")]
    np.testing.assert_allclose(elbow, coco[:12, COCO_17.index("left_elbow")].astype(np.float32))
    hips = coco[:12, COCO_17.indices("left_hip", "right_hip")].mean(1)
    np.testing.assert_allclose(scene.keypoints_px[:, 14], hips, atol=1e-3)
    assert float(scene.confidence[3, MPI_INF_3DHP_17.index("left_wrist")]) == 0


def test_a_folder_without_the_sequence_or_with_too_little_of_it_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no detections of S9/Walking 1/54138969; expected S9_Walking_1_5"):
        scene_of(sequence(NAME, 12), str(tmp_path))
    np.savez(tmp_path / f"{file_stem(NAME)}.npz", keypoints_px=np.ones((5, 17, 2)) * 500, skeleton="h36m_17")
    with pytest.raises(ValueError, match="expected 2D for the 12 frames of S9/Walking 1/54138969, got 5"):
        scene_of(sequence(NAME, 12), str(tmp_path))


def test_a_sequence_without_a_valid_frame_is_refused():
    with pytest.raises(ValueError, match=f"{NAME}: none of its 12 frames is marked as valid; leave it out"):
        scene_of(sequence(NAME, 12, valid=np.zeros(12, bool)), "gt")


@pytest.mark.parametrize(("missing", "words"), [("joints_mm", "no 3D joints"), ("camera", "no camera")])
def test_without_truth_or_camera_there_is_no_evaluation(missing, words):
    with pytest.raises(ValueError, match=f"{NAME}: an evaluation needs 3D joints and a camera, and there is {words}"):
        scene_of(sequence(NAME, 12, **{missing: None}), "gt")
