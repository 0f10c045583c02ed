"""Events of motions whose events are known: a built pitch, feet that step, a body thrown up, an arm that swings."""

import numpy as np
import pytest
from tests.bodies import body, lifted, mirrored
from tests.motions.test_events import FPS, TIME_S, UP, pitch

from dreampose3d.motion.events import find_pitch_events
from dreampose3d.motion.moments import GRAVITY_MM_PER_S2, Jump, what_happens, what_happens_in
from dreampose3d.skeleton import H36M_17


def names(happened):
    return [moment.name for moment in happened.moments]


def stepping(steps: int = 3) -> np.ndarray:
    """Feet that come down in turn every half second, left first, each lifted 100 mm and moved 700 mm in 0.3 s."""
    time_s = np.arange(round(0.5 * (steps + 1) * FPS)) / FPS
    joints = np.repeat(body()[None], len(time_s), 0)
    way = {"left": np.zeros_like(time_s), "right": np.zeros_like(time_s)}
    for step in range(steps):
        side = ("left", "right")[step % 2]
        share = np.clip((time_s - 0.5 * step - 0.2) / 0.3, 0, 1)
        way[side] += 700 * share
        joints[:, H36M_17.index(f"{side}_ankle"), 1] += 100 * np.sin(np.pi * share)
    joints[..., 0] += (way["left"] + way["right"])[:, None] / 2
    for side in ("left", "right"):
        joints[:, H36M_17.index(f"{side}_ankle"), 0] = way[side]
    return joints


def jumping(flight_s: float) -> np.ndarray:
    time_s = np.arange(120) / 60
    t = np.clip(time_s - 0.7, 0, flight_s)
    rise = GRAVITY_MM_PER_S2 * t * (flight_s - t) / 2
    return np.repeat(body()[None], 120, 0) + np.outer(rise, UP)[:, None]


def swinging() -> np.ndarray:
    """Feet stand; the right wrist swings, fastest at 0.5 and 1.5 s."""
    time_s = np.arange(120) / 60
    joints = np.repeat(body()[None], 120, 0)
    joints[:, H36M_17.index("right_wrist"), 0] += 300 * np.cos(np.pi * time_s)
    return joints


def happened(joints, **options):
    return what_happens(joints, np.arange(len(joints)) / FPS, H36M_17, UP, **options)


def test_a_pitch_is_taken_for_one_and_either_arm_throws():
    expected = find_pitch_events(pitch(), TIME_S, H36M_17, UP)
    found = happened(pitch())
    assert found.pitch == expected
    assert [(moment.name, moment.time_s) for moment in found.moments] == list(expected.named.items())
    assert happened(mirrored(pitch())).pitch.throws == "left"


def test_motion_may_be_asked_for_and_a_pitch_insisted_on():
    assert happened(pitch(), kind="motion").pitch is None
    assert happened(stepping()).pitch is None
    with pytest.raises(ValueError, match=r"expected a pitch, but the .* wrist never moves faster"):
        happened(stepping(), kind="pitch")


def test_a_throw_without_a_lifted_knee_is_no_pitch_unless_told():
    joints = pitch()
    knee = H36M_17.index("left_knee")
    joints[:, knee, 1] = joints[0, knee, 1]
    assert happened(joints).pitch is None
    assert happened(joints, kind="pitch").pitch is not None


def test_feet_that_come_down_are_told_in_turn_with_their_strides():
    found = happened(stepping(5))
    assert names(found) == [f"{side} foot down" for side in ("left", "right", "left", "right", "left")]
    times = [moment.time_s for moment in found.moments]
    np.testing.assert_allclose(times, 0.5 + 0.5 * np.arange(5), atol=0.1)  # s: slower than 0.9 m/s, at 8 Hz
    feet = [stride.foot.removesuffix("_ankle") for stride in found.strides]
    assert feet == ["left", "right", "left", "right", "left"]
    np.testing.assert_allclose([stride.length_mm for stride in found.strides], 700, atol=30)
    assert not found.jumps


@pytest.mark.parametrize("flight_s", [0.4, 0.6])
def test_a_jump_lasts_as_long_as_its_height_takes(flight_s):
    found = happened(jumping(flight_s))
    assert names(found) == ["take-off", "highest point", "landing"]
    (jump,) = found.jumps
    assert jump.takeoff_s == pytest.approx(0.7, abs=0.06)  # 7 cm above the floor count as none
    assert jump.landing_s - jump.takeoff_s == pytest.approx(flight_s, abs=0.1)
    assert Jump(1.0, 1.5).height_mm == pytest.approx(9810 / 32)
    assert all(contact.stop / FPS <= jump.takeoff_s + 0.05 or contact.start for contact in found.contacts)


def test_a_body_that_is_lifted_slowly_does_not_jump():
    time_s = np.arange(120) / 60
    lift = 400 * np.clip(np.minimum(time_s - 0.5, 1.5 - time_s), 0, 0.2) / 0.2
    assert not happened(np.repeat(body()[None], 120, 0) + np.outer(lift, UP)[:, None]).jumps


def test_where_no_foot_moves_the_fastest_hand_is_told():
    found = happened(swinging())
    assert names(found) == ["right wrist fastest"] * 2
    np.testing.assert_allclose([moment.time_s for moment in found.moments], (0.5, 1.5), atol=1 / 60)


def test_nothing_happens_in_a_few_frames():
    assert happened(swinging()[:3]).moments == ()


def test_a_lifted_motion_is_read_in_its_cameras_frame():
    seen_from_behind = pitch()[..., [2, 1, 0]] * (1, -1, 1) + (0, 0, 6000)
    found = what_happens_in(lifted(seen_from_behind, FPS))
    assert found.pitch is not None
    assert found.pitch.throws == "right"
