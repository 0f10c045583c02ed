"""Speeds of joints and turning speeds of segments: known motions, at even and uneven times."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tests.bodies import body

from dreampose3d.motion.frames import pelvis_axes
from dreampose3d.motion.speeds import joint_speeds, joint_velocities, peak_speeds, turning_speeds
from dreampose3d.skeleton import H36M_17

TIMES = {"even": np.arange(40) / 50, "uneven": np.cumsum(np.random.default_rng(0).uniform(0.01, 0.03, 40))}


@pytest.mark.parametrize("time_s", TIMES.values(), ids=TIMES)
def test_steady_motion_has_its_speed_to_the_ends(time_s):
    joints = body()[None] + time_s[:, None, None] * np.array((300.0, 0, 400.0))
    np.testing.assert_allclose(joint_speeds(joints, time_s), 500)
    assert peak_speeds(joints, time_s, H36M_17)["left_wrist"] == pytest.approx(0.5)
    assert list(peak_speeds(joints, time_s, H36M_17)) == list(H36M_17.joints)


@pytest.mark.parametrize("time_s", TIMES.values(), ids=TIMES)
def test_a_segment_turns_about_its_own_axes_as_fast_as_it_does(time_s):
    """About a fixed axis of the pelvis, wherever the world's axes are."""
    rate = np.array((0.4, 1.2, -0.3))
    start = Rotation.random(random_state=0)
    turns = [(start * Rotation.from_rotvec(rate * t)).as_matrix() for t in time_s]
    joints = np.stack([body() @ turn.T for turn in turns])
    np.testing.assert_allclose(turning_speeds(pelvis_axes(joints, H36M_17), time_s), np.tile(rate, (40, 1)), atol=1e-6)


def test_frames_without_axes_and_single_frames_have_no_turning_speed():
    axes = pelvis_axes(np.stack([body()] * 5), H36M_17)
    axes[2] = np.nan
    speeds = turning_speeds(axes, np.arange(5) / 50)
    assert np.isnan(speeds[[1, 2, 3]])[[0, 2]].all()
    assert np.isfinite(speeds[[0, 4]]).all()
    assert np.isnan(turning_speeds(axes[:1], np.zeros(1))).all()
    assert (joint_velocities(body()[None], np.zeros(1)) == 0).all()
