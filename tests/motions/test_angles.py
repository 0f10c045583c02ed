"""Joint angles: what bodies were built with comes back; turning the world changes nothing, a mirror swaps sides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tests.bodies import body, mirrored

from dreampose3d.motion.angles import ANGLES, angle_names, joint_angles
from dreampose3d.skeleton import H36M_17, MPI_INF_3DHP_17

UP = np.array((0.0, 1.0, 0.0))
BOTH = [angle.name for angle in ANGLES if angle.both_sides]
BUILT = {
    "hip_flexion": (-60, 120), "hip_adduction": (-50, 40), "hip_rotation": (-60, 60), "knee_flexion": (25, 150),
    "shoulder_plane": (-80, 140), "shoulder_elevation": (25, 155), "shoulder_external_rotation": (-90, 170),
    "elbow_flexion": (25, 150), "trunk_flexion": (-30, 80), "trunk_side_bend": (-40, 40), "trunk_rotation": (-60, 60),
    "head_flexion": (-60, 60), "head_side_bend": (-40, 40), "pelvis_tilt": (-60, 60), "pelvis_obliquity": (-40, 40),
}  # fmt: skip
"""The angles that `body` takes, with ranges in which all of them exist."""


def named(poses: dict[str, float]) -> dict[str, float]:
    return {f"{name}_deg": value for name, value in poses.items()}


def angles_of(joints: np.ndarray, up: np.ndarray | None = UP) -> dict[str, float]:
    return {name: float(values[0]) for name, values in joint_angles(joints[None], H36M_17, up).items()}


@st.composite
def poses(draw: st.DrawFn) -> dict[str, float]:
    sides = {name: (f"right_{name}", f"left_{name}") if f"{name}_deg" in BOTH else (name,) for name in BUILT}
    return {full: draw(st.floats(*BUILT[name])) for name, fulls in sides.items() for full in fulls}


@settings(max_examples=40, deadline=None, database=None, derandomize=True)
@given(poses())
def test_a_body_has_the_angles_that_it_was_built_with(pose):
    measured = angles_of(body(pose))
    for name, value in named(pose).items():
        assert abs((measured[name] - value + 180) % 360 - 180) < 1e-6, name


@settings(max_examples=20, deadline=None, database=None, derandomize=True)
@given(poses(), st.integers(0, 2**31))
def test_turning_moving_and_scaling_the_world_changes_no_angle(pose, seed):
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix()
    joints = body(pose)
    turned = rng.uniform(0.5, 2) * joints @ turn.T + rng.normal(0, 1000, 3)
    before, after = angles_of(joints), angles_of(turned, turn @ UP)
    assert before == pytest.approx(after, abs=1e-6, nan_ok=True)


@settings(max_examples=20, deadline=None, database=None, derandomize=True)
@given(poses())
def test_a_mirror_swaps_the_sides_and_turns_over_what_leans_or_turns_sideways(pose):
    before, after = angles_of(body(pose)), angles_of(mirrored(body(pose)))
    for angle in ANGLES:
        if angle.both_sides:
            for side, other in (("left", "right"), ("right", "left")):
                assert after[f"{side}_{angle.name}"] == pytest.approx(
                    before[f"{other}_{angle.name}"], abs=1e-6, nan_ok=True
                )
        else:
            sign = -1 if angle.sideways else 1
            assert after[angle.name] == pytest.approx(sign * before[angle.name], abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("pose", "expected"),
    [
        ({"hip_flexion": 90, "knee_flexion": 90}, {"right_hip_flexion": 90, "left_knee_flexion": 90}),
        ({"shoulder_elevation": 90, "shoulder_external_rotation": 90, "elbow_flexion": 90},
         {"right_shoulder_external_rotation": 90, "left_shoulder_plane": 0, "left_shoulder_elevation": 90}),
        ({"trunk_rotation": 40}, {"hip_shoulder_separation": 40}),
        ({"pelvis_tilt": 30}, {"trunk_forward_tilt": 30, "trunk_tilt": 30, "trunk_side_tilt": 0}),
        ({"pelvis_obliquity": -20}, {"trunk_side_tilt": 20, "trunk_tilt": 20, "trunk_forward_tilt": 0}),
    ],
)  # fmt: skip
def test_poses_that_anyone_can_picture(pose, expected):
    """Sitting, cactus arms, turned shoulders, a bow, a lean to the right."""
    measured = angles_of(body(pose))
    assert {name: measured[name] for name in named(expected)} == pytest.approx(named(expected), abs=1e-6)


def test_cactus_arms_point_where_the_table_says():
    """Arms out to the sides, forearms up, whatever `body` makes of angles: from coordinates alone."""
    joints = body()
    for side, out in (("right", 1), ("left", -1)):
        shoulder, elbow, wrist = H36M_17.indices(f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
        joints[elbow] = joints[shoulder] + np.array((0, 0, 300 * out))
        joints[wrist] = joints[elbow] + np.array((0, 250, 0))
    measured = angles_of(joints)
    for side in ("right", "left"):
        assert measured[f"{side}_shoulder_external_rotation_deg"] == pytest.approx(90)
        assert measured[f"{side}_shoulder_elevation_deg"] == pytest.approx(90)
        assert measured[f"{side}_elbow_flexion_deg"] == pytest.approx(90)
        assert measured[f"{side}_shoulder_plane_deg"] == pytest.approx(0)


def test_what_joints_do_not_define_is_not_a_number():
    straight = angles_of(body({"knee_flexion": 10, "elbow_flexion": 10}))
    hanging = angles_of(body({"shoulder_elevation": 10}))
    for side in ("left", "right"):
        assert np.isnan(straight[f"{side}_hip_rotation_deg"])
        assert np.isnan(straight[f"{side}_shoulder_external_rotation_deg"])
        assert np.isnan(hanging[f"{side}_shoulder_plane_deg"])
        assert np.isfinite([straight[f"{side}_hip_flexion_deg"], hanging[f"{side}_shoulder_elevation_deg"]]).all()


def test_angles_go_on_beyond_half_a_turn():
    """Two turns about the vertical; and a shoulder that turns from 100 to 200 degrees."""
    turns = np.linspace(0, 720, 200)
    joints = np.stack([body({"pelvis_rotation": turn + 25}) for turn in turns])
    rotation = joint_angles(joints, H36M_17, UP)["pelvis_rotation_deg"]
    np.testing.assert_allclose(np.diff(rotation), np.diff(turns), atol=1e-6)
    external = np.linspace(100, 200, 50)
    arms = np.stack([body({"shoulder_external_rotation": turn}) for turn in external])
    got = joint_angles(arms, H36M_17)["right_shoulder_external_rotation_deg"]
    np.testing.assert_allclose(got, external, atol=1e-6)


def test_gaps_do_not_break_the_unwrapping():
    external = np.linspace(150, 210, 30)
    arms = np.stack([body({"shoulder_external_rotation": turn}) for turn in external])
    arms[10:14] = body({"elbow_flexion": 0})
    got = joint_angles(arms, H36M_17)["left_shoulder_external_rotation_deg"]
    assert np.isnan(got[10:14]).all()
    known = np.isfinite(got)
    np.testing.assert_allclose(np.diff(got[known]), np.diff(external[known]), atol=1e-6)


def test_every_angle_is_listed_and_in_its_range():
    rng = np.random.default_rng(0)
    joints = 500 * rng.normal(size=(60, H36M_17.num_joints, 3))
    for f in range(60):  # one by one: not unwrapped
        for name, value in angles_of(joints[f]).items():
            low, high = next(a.range_degrees for a in ANGLES if name.endswith(a.name))
            assert np.isnan(value) or low - 1e-9 <= value <= high + 1e-9
    assert tuple(joint_angles(joints, H36M_17, UP)) == angle_names(with_up=True)
    assert tuple(joint_angles(joints, H36M_17)) == angle_names(with_up=False)
    assert not any("pelvis" in name for name in angle_names(with_up=False))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="expected 17 joints \\(h36m_17\\), got 16"):
        joint_angles(np.zeros((2, 16, 3)), H36M_17)
    with pytest.raises(ValueError, match="expected up as three numbers that are not all 0"):
        joint_angles(body()[None], H36M_17, np.zeros(3))
    with pytest.raises(ValueError, match="mpi_inf_3dhp_17 has no joint 'thorax'"):
        joint_angles(body()[None], MPI_INF_3DHP_17)
