"""Sequences refuse what does not fit together, and hand out times, joints and intents."""

import math

import jaxtyping
import numpy as np
import pytest

from dreampose3d.camera import Camera
from dreampose3d.sequence import LiftedMotion, PoseSequence
from dreampose3d.skeleton import COCO_17, H36M_17, HALPE_26

J = H36M_17.num_joints


def motion(frames: int = 4, **changes) -> LiftedMotion:
    rng = np.random.default_rng(0)
    values = {
        "name": "clip",
        "fps": 25.0,
        "time_s": np.arange(frames) / 25,
        "root_relative_mm": rng.normal(0, 300, (frames, J, 3)),
        "root_mm": rng.normal((0, 0, 4000), 500, (frames, 3)),
        "spread_mm": np.full((frames, J), 30.0),
        "keypoints_px": rng.uniform(0, 1000, (frames, J, 2)),
        "confidence": np.ones((frames, J)),
        "intent_names": ("jumping", "running", "walking"),
        "intent_probability": np.tile([0.2, 0.1, 0.7], (frames, 1)),
        "camera": Camera.from_fov((1000, 800)),
    }
    return LiftedMotion(**(values | changes))


def test_a_sequence_holds_2d_and_3d_of_the_same_frames():
    sequence = PoseSequence(
        "walk",
        fps=50.0,
        joints_mm=np.zeros((6, J, 3)),
        keypoints_px=np.zeros((6, J, 2)),
        confidence=np.ones((6, J)),
    )
    assert len(sequence) == 6
    assert sequence.skeleton == H36M_17
    np.testing.assert_allclose(sequence.times, [0, 0.02, 0.04, 0.06, 0.08, 0.1], rtol=0, atol=1e-12)


def test_a_sequence_of_either_kind_knows_its_length():
    assert len(PoseSequence("2d", 30.0, keypoints_px=np.zeros((5, J, 2)))) == 5
    assert len(PoseSequence("3d", 30.0, joints_mm=np.zeros((7, J, 3)))) == 7


def test_presentation_times_are_kept_as_they_came():
    times = np.array([0.0, 0.033, 0.1, 0.133])
    sequence = PoseSequence("vfr", 30.0, keypoints_px=np.zeros((4, J, 2)), time_s=times)
    assert np.array_equal(sequence.times, times)


def test_joint_counts_are_those_of_the_skeleton():
    assert len(PoseSequence("halpe", 30.0, HALPE_26, keypoints_px=np.zeros((2, 26, 2)))) == 2
    with pytest.raises(ValueError, match=r"halpe: expected 26 2D joints \(halpe_26\), got 17; name the skeleton"):
        PoseSequence("halpe", 30.0, HALPE_26, keypoints_px=np.zeros((2, 17, 2)))
    with pytest.raises(ValueError, match=r"clip: expected 17 3D joints \(h36m_17\), got 16; name the skeleton"):
        PoseSequence("clip", 30.0, joints_mm=np.zeros((2, 16, 3)))


@pytest.mark.parametrize("fps", [0.0, -25.0, math.nan, math.inf])
def test_a_frame_rate_must_be_positive(fps):
    with pytest.raises(ValueError, match="clip: expected a positive frame rate, got"):
        PoseSequence("clip", fps, joints_mm=np.zeros((2, J, 3)))


def test_a_sequence_needs_joints():
    with pytest.raises(ValueError, match="clip: a sequence needs 2D or 3D joints"):
        PoseSequence("clip", 25.0, time_s=None)


@pytest.mark.parametrize(
    "shorter",
    [
        {"keypoints_px": np.zeros((3, J, 2))},
        {"confidence": np.ones((3, J))},
        {"time_s": np.arange(3.0)},
    ],
)
def test_lengths_must_agree(shorter, monkeypatch):
    """Said without the tests' own shape checks, as a user meets it."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"clip: 2D, 3D, confidence, time and validity differ in length: \[3, 4\]"):
        PoseSequence("clip", 25.0, joints_mm=np.zeros((4, J, 3)), **shorter)


def test_detections_of_another_convention_are_a_sequence_too():
    sequence = PoseSequence(
        "coco", 30.0, COCO_17, keypoints_px=np.full((1, 17, 2), np.nan), confidence=np.zeros((1, 17))
    )
    assert sequence.skeleton.joints[0] == "nose"


def test_lifted_joints_are_the_relative_pose_moved_by_the_root():
    lifted = motion()
    assert len(lifted) == 4
    for frame in range(4):
        for joint in range(J):
            expected = [
                r + o for r, o in zip(lifted.root_relative_mm[frame, joint], lifted.root_mm[frame], strict=True)
            ]
            assert lifted.joints_mm[frame, joint].tolist() == expected


def test_intents_come_likeliest_first():
    lifted = motion(intent_probability=np.array([[0.2, 0.1, 0.7], [0.5, 0.4, 0.1], [0, 1, 0], [0.3, 0.3, 0.4]]))
    assert lifted.top_intents(0, 2) == [("walking", 0.7), ("jumping", 0.2)]
    assert lifted.top_intents(1, 2) == [("jumping", 0.5), ("running", 0.4)]
    assert [name for name, _ in lifted.top_intents(0, 10)] == ["walking", "jumping", "running"]


def test_a_motion_without_intents_has_none():
    lifted = motion(intent_names=(), intent_probability=np.zeros((4, 0)))
    assert lifted.top_intents(0) == []
