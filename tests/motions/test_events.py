"""A pitch built frame by frame, its events at known times: found, measured, mirrored; refused where there is none."""

from dataclasses import replace

import numpy as np
import pytest
from tests.bodies import body, lifted, mirrored

from dreampose3d.motion.events import find_pitch_events, joints_as_seen, pitch_events
from dreampose3d.motion.pitch import POSTURE, measures_markdown, pitch_measures
from dreampose3d.motion.scale import body_height
from dreampose3d.skeleton import H36M_17

FPS, FRAMES = 60.0, 96
TIME_S = np.arange(FRAMES) / FPS
PEAK_KNEE_S, FOOT_PLANT_S, LAYBACK_S, RELEASE_S = 0.5, 1.0, 1.2, 1.3
UP = np.array((0.0, 1.0, 0.0))
STRIDE_MM_PER_S = 1500.0


def pitch() -> np.ndarray:
    """A right-hander who faces +x and strides along -z, his left: joints (N, J, 3), mm, y up."""

    def over(moments: dict[float, float]) -> np.ndarray:
        return np.interp(TIME_S, list(moments), list(moments.values()))

    knee = 100 * np.exp(-(((TIME_S - PEAK_KNEE_S) / 0.15) ** 2))
    external = 170 * np.exp(-(((TIME_S - LAYBACK_S) / 0.09) ** 2))
    throw = 50 - 130 / (1 + np.exp(-(TIME_S - RELEASE_S) / 0.018))  # the arm's plane swings fastest at release
    poses = [
        body(
            {
                "left_hip_flexion": k,
                "left_knee_flexion": 20 + 0.9 * k,
                "right_shoulder_elevation": 90,
                "right_shoulder_plane": -t,
                "right_shoulder_external_rotation": e,
                "right_elbow_flexion": 60,
                "left_elbow_flexion": 50,
                "trunk_rotation": -40,
            }
        )
        for k, e, t in zip(knee, external, throw, strict=True)
    ]
    way = over({0: 0, PEAK_KNEE_S: 0, FOOT_PLANT_S: STRIDE_MM_PER_S * (FOOT_PLANT_S - PEAK_KNEE_S), 9: 750})
    joints = np.stack(poses)
    joints[..., 2] -= way[:, None]
    joints[:, H36M_17.index("right_ankle"), 2] += way  # the back foot stays
    return joints


def events_of(joints: np.ndarray, **options: object):
    return find_pitch_events(joints, TIME_S, H36M_17, UP, **options)


def test_the_events_are_where_they_were_put():
    events = events_of(pitch())
    assert events.throws == "right"
    assert events.lead == "left"
    frame = 1 / FPS
    assert events.peak_knee_s == pytest.approx(PEAK_KNEE_S, abs=frame)
    assert events.foot_plant_s == pytest.approx(FOOT_PLANT_S, abs=2 * frame)
    assert events.max_external_rotation_s == pytest.approx(LAYBACK_S, abs=frame)
    assert events.ball_release_s == pytest.approx(RELEASE_S, abs=frame)
    assert list(events.named.values()) == sorted(events.named.values())


def test_a_left_hander_is_a_right_hander_in_the_mirror():
    right, left = events_of(pitch()), events_of(mirrored(pitch()))
    assert left.throws == "left"
    assert list(left.named.values()) == pytest.approx(list(right.named.values()))
    both = [
        pitch_measures(joints, TIME_S, H36M_17, UP, events, 1800.0)
        for joints, events in ((pitch(), right), (mirrored(pitch()), left))
    ]
    for ours, theirs in zip(*both, strict=True):
        assert (ours.name, ours.when) == (theirs.name, theirs.when)
        assert ours.value == pytest.approx(theirs.value, abs=1e-6)


def test_events_lie_between_frames_and_do_not_depend_on_the_rate():
    fast = events_of(pitch())
    slow = find_pitch_events(pitch()[::2], TIME_S[::2], H36M_17, UP)
    assert list(slow.named.values()) == pytest.approx(list(fast.named.values()), abs=1.5 / 30)


def test_the_arm_may_be_named():
    with pytest.raises(ValueError, match=r"the left wrist never moves faster than .* m/s"):
        events_of(pitch(), throws="left")
    assert events_of(pitch(), throws="right") == events_of(pitch())


def test_a_lifted_pitch_is_timed_by_its_2d():
    """The lifted depth jitters by 60 mm a frame; the 2D does not."""
    camera_axes = pitch() * (1, -1, -1) + (0, 0, 6000)  # x right, y down, z forward
    turned = camera_axes[..., [2, 1, 0]] * (1, 1, -1) + (-6000, 0, 6000)  # seen from the side
    motion = lifted(turned, FPS)
    clean = pitch_events(motion)
    noise = np.random.default_rng(0).normal(0, 60, (FRAMES, 1, 1)) * (0, 0, 1)
    jitter = np.random.default_rng(1).normal(0, 60, (FRAMES, 17, 1)) * (0, 0, 1)
    shaken = replace(
        motion,
        root_mm=(motion.root_mm + noise[:, 0]).astype(np.float32),
        root_relative_mm=(motion.root_relative_mm + jitter).astype(np.float32),
    )
    found = pitch_events(shaken)
    for name, moment in found.named.items():
        if name != "maximal external rotation":
            assert moment == pytest.approx(clean.named[name], abs=2 / FPS), name
    assert found.foot_plant_s < found.max_external_rotation_s <= found.ball_release_s + 1 / FPS


def test_positions_as_seen_bridge_what_is_not_seen():
    motion = lifted(np.repeat(body()[None] * (1, -1, -1) + (0, 0, 4000), 20, 0) + np.arange(20)[:, None, None])
    whole = joints_as_seen(motion)
    confidence, keypoints = motion.confidence.copy(), motion.keypoints_px.copy()
    confidence[5:9, 3] = 0.1
    confidence[:, 6] = 0
    keypoints[12, 4] = np.nan
    holes = joints_as_seen(replace(motion, confidence=confidence, keypoints_px=keypoints))
    np.testing.assert_allclose(holes, whole, atol=1)
    np.testing.assert_allclose(whole[:, 0, :2], motion.root_mm[:, :2], atol=1e-2)
    assert np.ptp(whole[..., 2]) == 0


def test_measures_are_those_that_were_built():
    joints = pitch()
    events = events_of(joints)
    height_mm = body_height(joints, H36M_17)
    measures = pitch_measures(joints, TIME_S, H36M_17, UP, events, height_mm)
    of = {(m.name, m.when): m for m in measures}
    for when in ("foot plant", "maximal external rotation", "ball release"):
        assert of["throwing elbow flexion", when].value == pytest.approx(60, abs=1e-6)
        assert of["throwing shoulder elevation", when].value == pytest.approx(90, abs=1e-6)
        assert of["hip-shoulder separation", when].value == pytest.approx(40, abs=1e-6)
        assert of["trunk side tilt to the glove", when].value == pytest.approx(0, abs=1e-6)
    layback = of["throwing shoulder external rotation", "maximal external rotation"]
    assert layback.value == pytest.approx(170, abs=2)
    assert layback.time_s == events.max_external_rotation_s
    stride = of["stride length", "foot plant"]
    assert 0.6 * 750 < stride.value * height_mm / 100 < 1.4 * 750 + 240
    speed = of["peak throwing wrist speed", "peak knee height to release"]
    assert 5 < speed.value < 30
    assert speed.time_s == pytest.approx(events.ball_release_s, abs=1 / FPS)
    assert len(measures) == 3 * len(POSTURE) + 6
    table = measures_markdown(measures).splitlines()
    assert len(table) == len(measures) + 2
    assert table[2].startswith("| throwing shoulder external rotation | foot plant |")
    with pytest.raises(ValueError, match="expected a positive body height in mm, got -1"):
        pitch_measures(joints, TIME_S, H36M_17, UP, events, -1)


def test_what_is_no_pitch_is_refused():
    joints = pitch()
    with pytest.raises(ValueError, match="a pitch of at least 10 frames at 25 frames/s or more"):
        find_pitch_events(joints[:9], TIME_S[:9], H36M_17, UP)
    with pytest.raises(ValueError, match="a pitch of at least 10 frames at 25"):
        find_pitch_events(joints, 10 * TIME_S, H36M_17, UP)
    with pytest.raises(ValueError, match="expected a lead foot that strides and stands before the ball is released"):
        events_of(joints - np.array((0, 0, 2000)) * TIME_S[:, None, None] ** 2)
    straight = np.stack(
        [body({"shoulder_elevation": 90, "elbow_flexion": 5, "right_shoulder_plane": p}) for p in
         np.interp(TIME_S, (0, 1.2, 1.4, 9), (-40, -40, 120, 120))]
    )  # fmt: skip
    straight[:, H36M_17.index("left_ankle"), 2] -= np.interp(TIME_S, (0, 0.5, 1, 9), (0, 0, 900, 900))
    with pytest.raises(ValueError, match="expected a bent throwing elbow between foot plant and release"):
        events_of(straight, throws="right")
