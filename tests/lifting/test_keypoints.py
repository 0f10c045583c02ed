import math
import re

import numpy as np
import pytest

from dreampose3d.lifting.keypoints import read_everyone, read_keypoints
from dreampose3d.skeleton import BLAZEPOSE_33, COCO_17

RNG = np.random.default_rng(0)
GOOD = {
    "keypoints_px": RNG.uniform(100, 900, (5, COCO_17.num_joints, 2)).astype(np.float32),
    "fps": 30.0,
    "size": (1920, 1080),
    "skeleton": "coco_17",
}


@pytest.fixture
def file(tmp_path):
    def write(**changes):
        path = tmp_path / "clip.npz"
        np.savez(path, **{key: value for key, value in (GOOD | changes).items() if value is not None})
        return path

    return write


def test_a_file_that_says_everything_needs_no_arguments(file):
    confidence = RNG.uniform(0.1, 1, (5, COCO_17.num_joints)).astype(np.float32)
    clip = read_keypoints(file(confidence=confidence, focal_px=1500.0, center_px=(950.0, 540.0)))
    np.testing.assert_array_equal(clip.keypoints_px, GOOD["keypoints_px"])
    np.testing.assert_array_equal(clip.confidence, confidence)
    assert (clip.name, clip.fps, clip.skeleton, clip.camera.size_px) == ("clip", 30, COCO_17, (1920, 1080))
    assert clip.camera.focal_px == (1500.0, 1500.0)
    assert clip.camera.center_px == (950.0, 540.0)
    assert not clip.camera.assumed


def test_without_a_focal_length_the_field_of_view_is_assumed_and_said_to_be(file):
    camera = read_keypoints(file(center_px=(900.0, 500.0))).camera
    assert camera.assumed
    assert camera.focal_px[0] == pytest.approx(1920 / (2 * math.tan(math.radians(55) / 2)))
    assert camera.center_px == (900.0, 500.0)
    assert read_keypoints(file()).camera.center_px == (960.0, 540.0)


def test_arguments_go_before_the_file(file):
    path = file(skeleton="h36m_17", fps=0, time_s=np.arange(5) / 12)
    clip = read_keypoints(path, fps=50.0, size_px=(1000, 2000), skeleton="COCO_17")
    assert (clip.fps, clip.camera.size_px, clip.skeleton) == (50, (1000, 2000), COCO_17)
    np.testing.assert_allclose(clip.times, np.arange(5) / 50)
    assert read_keypoints(path, fps=50.0, skeleton=COCO_17).skeleton is COCO_17


def test_presentation_times_are_kept(file):
    times = np.array([0, 0.03, 0.08, 0.1, 0.2])
    np.testing.assert_array_equal(read_keypoints(file(time_s=times)).times, times)


def test_two_focal_lengths(file):
    assert read_keypoints(file(focal_px=(1500.0, 1510.0))).camera.focal_px == (1500.0, 1510.0)


def test_a_third_column_is_the_confidence(file):
    confidence = RNG.uniform(0.1, 1, (5, COCO_17.num_joints, 1)).astype(np.float32)
    joined = np.concatenate([GOOD["keypoints_px"], confidence], -1)
    clip = read_keypoints(file(keypoints_px=joined))
    np.testing.assert_array_equal(clip.confidence, confidence[..., 0])
    np.testing.assert_array_equal(clip.keypoints_px, GOOD["keypoints_px"])


def test_an_npy_is_the_keypoints_and_the_options_say_the_rest(tmp_path, file):
    np.save(tmp_path / "clip.npy", GOOD["keypoints_px"])
    clip = read_keypoints(tmp_path / "clip.npy", fps=30.0, size_px=(1920, 1080), skeleton="coco_17")
    np.testing.assert_array_equal(clip.keypoints_px, read_keypoints(file()).keypoints_px)


def test_missing_joints_are_nan_with_confidence_0_however_the_file_says_so(file):
    keypoints, confidence = GOOD["keypoints_px"].copy(), np.ones((5, COCO_17.num_joints), np.float32)
    keypoints[0, 0, 1] = np.nan
    keypoints[0, 1] = np.inf
    confidence[0, 2] = 0
    confidence[0, 3] = np.nan
    keypoints[0, 4] = 0  # with confidence 1: a joint in the corner
    clip = read_keypoints(file(keypoints_px=keypoints, confidence=confidence))
    assert np.isnan(clip.keypoints_px[0, :4]).all()
    assert (clip.confidence[0, :4] == 0).all()
    assert clip.confidence[0, 4] == 1
    assert np.isfinite(clip.keypoints_px[0, 4:]).all()
    assert np.isfinite(clip.keypoints_px[1:]).all()

    bare = read_keypoints(file(keypoints_px=keypoints))
    assert np.isnan(bare.keypoints_px[0, 4]).all()  # (0, 0) and no confidence: missing, as OpenPose writes it
    assert bare.confidence[0].tolist()[:6] == [0, 0, 1, 1, 0, 1]


def test_alphaposes_confidences_above_1_count_as_1(file):
    confidence = np.full((5, COCO_17.num_joints), 0.5)
    confidence[2, 3] = 5.5
    got = read_keypoints(file(confidence=confidence)).confidence
    assert got[2, 3] == 1
    assert got[0, 0] == 0.5


def test_whole_numbers_and_other_precisions_are_read(file):
    clip = read_keypoints(file(keypoints_px=GOOD["keypoints_px"].astype(np.int32)))
    np.testing.assert_array_equal(clip.keypoints_px, GOOD["keypoints_px"].astype(np.int32))
    assert read_keypoints(file(keypoints_px=GOOD["keypoints_px"].astype(np.float64))).keypoints_px.dtype == np.float32


def test_one_frame_is_a_clip(file):
    assert len(read_keypoints(file(keypoints_px=GOOD["keypoints_px"][:1]))) == 1


def test_several_people_one_axis_more_and_names_for_them(file):
    keypoints = np.stack((GOOD["keypoints_px"], GOOD["keypoints_px"] * 0.5), 1)
    path = file(keypoints_px=keypoints, people=np.array(["ann", "bob"]))
    large, small = read_everyone(path)
    assert (large.subject, small.subject) == ("ann", "bob")
    np.testing.assert_array_equal(small.keypoints_px, keypoints[:, 1])
    with pytest.raises(ValueError, match="expected one person, got 2; choose with --person N, largest or all"):
        read_keypoints(path)
    unnamed = read_everyone(file(keypoints_px=keypoints[:, ::-1]))
    assert [person.subject for person in unnamed] == ["", ""]
    np.testing.assert_array_equal(unnamed[0].keypoints_px, large.keypoints_px)


def test_joints_by_name_in_any_order(file):
    order = np.random.default_rng(1).permutation(COCO_17.num_joints)
    names = np.array([COCO_17.joints[joint] for joint in order])
    clip = read_keypoints(file(keypoints_px=GOOD["keypoints_px"][:, order], joints=names, skeleton=None))
    np.testing.assert_array_equal(clip.keypoints_px, GOOD["keypoints_px"])
    with pytest.raises(ValueError, match="expected a name for each of 17 joints, got 2"):
        read_keypoints(file(joints=names[:2]))


def test_frames_that_the_numbers_skip_show_nobody(file):
    clip = read_keypoints(file(frames=[3, 4, 7, 8, 9]))
    assert len(clip) == 7
    assert np.isnan(clip.keypoints_px[2:4]).all()
    np.testing.assert_array_equal(clip.keypoints_px[[0, 1, 4, 5, 6]], GOOD["keypoints_px"])
    times = read_keypoints(file(frames=[0, 1, 3, 4, 5], time_s=np.array([0, 0.1, 0.3, 0.4, 0.6]))).times
    np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3, 0.4, 0.6])


def test_times_tell_the_rate(file):
    assert read_keypoints(file(fps=None, time_s=np.arange(5) / 12)).fps == pytest.approx(12)


def shape(*axes):
    return np.full(axes, 300.0)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"keypoints_px": None}, "expected an array keypoints_px .* in pixels; the file holds fps, size, skeleton"),
        ({"keypoints_px": shape(5, 17)}, r"expected keypoints_px of shape \(N, K, 2\).*; got \(5, 17\)"),
        ({"keypoints_px": shape(5, 17, 4)}, r"expected keypoints_px of shape .* got \(5, 17, 4\)"),
        ({"keypoints_px": shape(2, 50, 17, 2)}, "expected the frames first, .* got 2 frames with 50 people"),
        ({"frames": [0, 1, 2, 3, 3]}, "expected 5 increasing frame numbers"),
        ({"frames": [0, 1, 2, 3, 999]}, "expected frame numbers, got 5 numbers from 0 to 999"),
        ({"keypoints_px": shape(0, 17, 2)}, "expected keypoints of at least one frame, got 0 frames"),
        ({"keypoints_px": shape(5, 17, 2) * np.nan}, "no joint was found in any frame"),
        ({"confidence": np.zeros((5, 17))}, "no joint was found in any frame"),
        ({"keypoints_px": shape(5, 18, 2)}, r"17 joints \(coco_17\), got 18; known are h36m_17 \(17\), .* --skeleton"),
        ({"keypoints_px": shape(5, 33, 2)}, "got 33; skeletons with 33 joints are blazepose_33: name the right one"),
        ({"keypoints_px": np.full((5, 17, 2), "left")}, "expected keypoints_px as numbers, got"),
        ({"keypoints_px": shape(5, 17, 3), "confidence": np.ones((5, 17))}, "a third column and .* leave one of them"),
        ({"keypoints_px": RNG.uniform(-1, 1, (5, 17, 2))}, "expected keypoints in pixels of a 1920x1080 .* normalised"),
        ({"keypoints_px": RNG.uniform(0, 1, (5, 17, 2))}, "multiply x by the width and y by the height"),
        ({"confidence": np.ones((5, 16))}, r"expected confidence of shape \(5, 17\) \(N, K\), got \(5, 16\)"),
        ({"confidence": np.full((5, 17), 87.0)}, "expected confidences from 0 to 1 .* got 87 to 87; scale them"),
        ({"confidence": np.full((5, 17), -0.5)}, "expected confidences from 0 to 1 .* got -0.5"),
        ({"fps": None}, "the file does not say its fps; give it with --fps F"),
        ({"size": None}, "the file does not say its size; give it with --size WxH"),
        ({"skeleton": None}, "the file does not say its skeleton; give it with --skeleton NAME"),
        ({"fps": 0.0}, "expected a positive frame rate, got 0; give the true one with --fps F"),
        ({"fps": -25.0}, "expected a positive frame rate, got -25"),
        ({"fps": (30.0, 25.0)}, "expected fps as one number"),
        ({"fps": np.nan}, "expected fps as one number"),
        ({"size": (0, 1080)}, "expected a positive image size, got 0x1080"),
        ({"size": (1920.5, 1080)}, r"expected size as two whole numbers \(width, height\)"),
        ({"size": 1920}, r"expected size as two whole numbers \(width, height\)"),
        ({"skeleton": "kinect"}, "unknown skeleton 'kinect'; known are h36m_17"),
        ({"focal_px": -1000.0}, "expected a positive focal length in pixels"),
        ({"focal_px": np.nan}, "expected a positive focal length in pixels"),
        ({"focal_px": (1.0, 2.0, 3.0)}, r"expected focal_px as one number or \(fx, fy\)"),
        ({"center_px": 500.0}, "expected center_px as two numbers"),
        ({"center_px": (np.nan, 1.0)}, "expected a finite image centre"),
        ({"time_s": np.array([0, 1, 2])}, "expected time_s as 5 increasing times in seconds"),
        ({"time_s": np.array([0, 1, 2, 2, 3])}, "expected time_s as 5 increasing times in seconds"),
    ],
)
def test_every_mistake_is_named_with_the_file(file, changes, match):
    path = file(**changes)
    with pytest.raises(ValueError, match=match) as error:
        read_keypoints(path)
    assert str(error.value).startswith(str(path))


def test_pickles_are_refused(tmp_path, file):
    path = file(fps=np.array(30.0, object))
    with pytest.raises(ValueError, match="holds pickled objects, which could run code and are not read"):
        read_keypoints(path)
    np.save(tmp_path / "clip.npy", np.array([{}, 3], object))
    with pytest.raises(ValueError, match="holds pickled objects"):
        read_keypoints(tmp_path / "clip.npy")


def test_a_damaged_file(file, tmp_path):
    whole = file().read_bytes()
    for damaged in (whole[:400], whole[:300] + bytes(40) + whole[340:]):
        (tmp_path / "damaged.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"the file is damaged or cut off .*; copy or write it again"):
            read_keypoints(tmp_path / "damaged.npz")
    np.save(tmp_path / "clip.npy", GOOD["keypoints_px"])
    (tmp_path / "cut.npy").write_bytes((tmp_path / "clip.npy").read_bytes()[:300])
    with pytest.raises(ValueError, match="the file is damaged or cut off"):
        read_keypoints(tmp_path / "cut.npy")


def test_no_file_and_no_keypoint_file(tmp_path, file):
    with pytest.raises(FileNotFoundError, match=rf"no such keypoint file: {re.escape(str(tmp_path))}"):
        read_keypoints(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    for path in (tmp_path / "text.npz", tmp_path):
        with pytest.raises(ValueError, match=r"not a keypoint file that is known \(VideoPose3D npz, npz with keypoi"):
            read_keypoints(path)


def test_coordinates_of_a_tiny_image_are_not_taken_for_normalised_ones(file):
    tiny = RNG.uniform(0, 1, (2, BLAZEPOSE_33.num_joints, 2))
    assert len(read_keypoints(file(keypoints_px=tiny, size=(2, 2), skeleton="blazepose_33"))) == 2
