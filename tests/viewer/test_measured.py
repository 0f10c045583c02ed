"""What the page shows by itself: angles and events that the motion's own functions find."""

from dataclasses import replace

import numpy as np
import pytest
from tests.bodies import lifted
from tests.motions.test_events import FPS, pitch

from dreampose3d.motion.angles import angle_names, joint_angles
from dreampose3d.motion.moments import what_happens_in
from dreampose3d.viewer.measured import measured


def test_every_angle_is_a_signal_and_every_moment_an_event(walk):
    shown = measured(walk, "Anna")
    assert [signal.name for signal in shown.signals] == [
        name.removesuffix("_deg").replace("_", " ") for name in angle_names(with_up=True)
    ]
    knee = next(signal for signal in shown.signals if signal.name == shown.graph)
    angles = joint_angles(walk.joints_mm, walk.skeleton, np.array(walk.camera.up))
    np.testing.assert_array_equal(knee.values, angles["left_knee_flexion_deg"])
    moments = [(moment.name, moment.time_s) for moment in what_happens_in(walk).moments]
    assert moments
    assert [(event.name, event.time_s) for event in shown.events] == moments


def test_a_pitch_is_shown_with_its_events_and_separation():
    motion = lifted(pitch()[..., [2, 1, 0]] * (1, -1, 1) + (0, 0, 6000), FPS)
    shown = measured(motion)
    assert [event.name for event in shown.events] == [
        "peak knee height", "foot plant", "maximal external rotation", "ball release",
    ]  # fmt: skip
    assert shown.graph == "hip shoulder separation"
    assert not {event.name for event in measured(motion, kind="motion").events} & {"foot plant"}


def test_other_skeletons_are_shown_without(walk):
    names = {"left_hip": "hip_left"}
    other = replace(walk.skeleton, joints=tuple(names.get(joint, joint) for joint in walk.skeleton.joints))
    shown = measured(replace(walk, skeleton=other))
    assert (shown.signals, shown.events, shown.graph) == ((), (), "")


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_a_few_frames_are_shown_too(make_walk, frames):
    assert len(measured(make_walk(frames)).signals) == len(angle_names(with_up=True))
