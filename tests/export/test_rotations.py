import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tests.motion import walker

from dreampose3d.export.rotations import continuous_euler, rig_of
from dreampose3d.motion.bones import estimate_lengths, with_lengths
from dreampose3d.skeleton import H36M_17

at = H36M_17.index
TRUNK_AXES = {"pelvis": (1, 0, 0), "thorax": (1, 0, 0)}


def rigid_walker(frames=60, seed=0):
    """A walker with constant bones, mm, y up."""
    joints = walker(frames, seed=seed).astype(np.float64)[..., [0, 2, 1]] * (1, 1, -1)
    return with_lengths(joints, estimate_lengths(joints, H36M_17), H36M_17)


def t_pose():
    """In Human3.6M's order, mm: y up, facing +z, so the left side is at +x."""
    return np.array(
        [
            (0, 900, 0), (-100, 900, 0), (-100, 500, 0), (-100, 80, 0), (100, 900, 0), (100, 500, 0), (100, 80, 0),
            (0, 1150, 0), (0, 1400, 0), (0, 1500, 0), (0, 1620, 0),
            (180, 1400, 0), (460, 1400, 0), (710, 1400, 0), (-180, 1400, 0), (-460, 1400, 0), (-710, 1400, 0),
        ],
        dtype=np.float64,
    )  # fmt: skip


def joints_of(rig):
    return rig.positions_mm[:, [rig.index(name) for name in H36M_17.joints]]


def spin_degrees(rig, node):
    """By how much a bone turns about itself from frame to frame, in its parent's frame."""
    axis = np.array(TRUNK_AXES.get(rig.names[node]) or bone_vector(rig, node))
    change = rig.rotations[:-1, node].swapaxes(1, 2) @ rig.rotations[1:, node]
    x, y, z, w = Rotation.from_matrix(change).as_quat().T
    along = np.stack((x, y, z), -1) @ (axis / np.linalg.norm(axis))
    return 2 * np.degrees(np.arctan2(abs(along), abs(w)))


def bone_vector(rig, node):
    return next(rig.offsets_mm[child] for child, parent in enumerate(rig.parents) if parent == node)


def bones_of(rig):
    return sorted({parent for parent in rig.parents if parent >= 0})


def test_forward_kinematics_returns_every_joint():
    for seed in range(3):
        joints = rigid_walker(seed=seed)
        rig = rig_of(joints)
        np.testing.assert_allclose(joints_of(rig), joints, atol=1e-6)
        np.testing.assert_allclose(rig.error_mm, 0, atol=1e-6)


def test_rotations_are_rotations_and_bones_constant():
    rig = rig_of(walker(50).astype(np.float64))
    identity = np.broadcast_to(np.eye(3), rig.rotations.shape)
    np.testing.assert_allclose(rig.rotations @ rig.rotations.swapaxes(-1, -2), identity, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rig.rotations), 1, atol=1e-12)
    lengths = np.linalg.norm(rig.positions_mm - rig.positions_mm[:, list(rig.parents)], axis=-1)[:, 1:]
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), atol=1e-9)


def test_what_constant_bones_change_is_reported():
    joints = rigid_walker()
    joints[7, at("head")] += (0, 40, 0)
    rig = rig_of(joints)
    np.testing.assert_allclose(np.linalg.norm(joints_of(rig) - joints, axis=-1), rig.error_mm, atol=1e-9)
    assert 10 < rig.error_mm[7].max() < 40
    np.testing.assert_allclose(np.delete(rig.error_mm, 7, 0), 0, atol=1e-6)


def test_a_t_pose_is_all_identity():
    rig = rig_of(np.stack([t_pose()] * 3))
    np.testing.assert_allclose(rig.rotations, np.broadcast_to(np.eye(3), rig.rotations.shape), atol=1e-9)
    np.testing.assert_allclose(rig.rest_mm + rig.root_mm[0], rig.positions_mm[0], atol=1e-9)
    assert rig.rest_mm[rig.index("left_wrist")][0] > 0 > rig.rest_mm[rig.index("right_wrist")][0]


def test_turning_the_whole_motion_turns_the_root_only():
    joints = rigid_walker()
    rig = rig_of(joints)
    for turn in Rotation.random(3, random_state=1).as_matrix():
        turned = rig_of(joints @ turn.T)
        np.testing.assert_allclose(turned.rotations[:, 0], turn @ rig.rotations[:, 0], atol=1e-6)
        np.testing.assert_allclose(turned.rotations[:, 1:], rig.rotations[:, 1:], atol=1e-6)


def test_spinning_on_the_spot_turns_the_root_only():
    """So facing away from the camera is nothing special."""
    pose = rigid_walker(1)[0]
    spin = Rotation.from_rotvec(np.arange(0, 720, 7.2)[:, None] * (0, 1, 0), degrees=True).as_matrix()
    rig = rig_of(np.einsum("nij,kj->nki", spin, pose))
    still = np.broadcast_to(rig.rotations[50, 1:], rig.rotations[:, 1:].shape)
    np.testing.assert_allclose(rig.rotations[:, 1:], still, atol=1e-3)  # rad; inertia at the ends
    np.testing.assert_allclose(rig.rotations[:, 0], spin @ spin[50].T @ rig.rotations[50, 0], atol=1e-3)


def test_a_mirrored_motion_has_mirrored_rotations():
    """The mirror (x -> -x) of a rotation R is M R M, and belongs to the node of the other side."""
    joints, mirror = rigid_walker(), np.diag((-1.0, 1.0, 1.0))
    rig, other = rig_of(joints), rig_of((joints @ mirror)[:, H36M_17.mirror])
    swapped = [rig.index(_other_side(name)) for name in rig.names]
    np.testing.assert_allclose(other.rotations, mirror @ rig.rotations[:, swapped] @ mirror, atol=1e-6)


def test_hinges_bend_about_their_own_axis():
    """Knees bend backwards about x, elbows forwards about y; thigh and upper arm do not twist for it."""
    pose = t_pose()
    bent = np.stack([pose] * 3)
    for number, degrees in enumerate((30, 60, 90)):
        angle = np.radians(degrees)
        for side, x in (("left", 1), ("right", -1)):
            bent[number, at(f"{side}_ankle")] = pose[at(f"{side}_knee")] + 420 * np.array(
                (0, -np.cos(angle), -np.sin(angle))
            )
            bent[number, at(f"{side}_wrist")] = pose[at(f"{side}_elbow")] + 250 * np.array(
                (x * np.cos(angle), 0, np.sin(angle))
            )
    rig = rig_of(bent)
    for side, turn in (("left", -1), ("right", 1)):
        knee, elbow = (
            Rotation.from_matrix(rig.rotations[:, rig.index(f"{side}_{joint}")]) for joint in ("knee", "elbow")
        )
        np.testing.assert_allclose(knee.as_rotvec(degrees=True), [(d, 0, 0) for d in (30, 60, 90)], atol=1e-6)
        np.testing.assert_allclose(elbow.as_rotvec(degrees=True), [(0, turn * d, 0) for d in (30, 60, 90)], atol=1e-6)
        for joint in ("hip", "shoulder"):
            rotation = rig.rotations[:, rig.index(f"{side}_{joint}")]
            np.testing.assert_allclose(rotation, np.broadcast_to(np.eye(3), rotation.shape), atol=1e-6)


def test_a_bent_arm_shows_its_twist():
    """The forearm turns about the upper arm's own axis: that is the upper arm's twist and nobody else's."""
    angle = np.radians(np.arange(0, 90, 3))
    joints = np.stack([t_pose()] * len(angle))
    joints[:, at("left_wrist")] = t_pose()[at("left_elbow")] + 250 * np.stack(
        (0 * angle, np.sin(angle), np.cos(angle)), -1
    )
    twist = Rotation.from_matrix(rig_of(joints).rotations[:, rig_of(joints).index("left_shoulder")]).as_rotvec()
    np.testing.assert_allclose(twist, np.stack((-angle, 0 * angle, 0 * angle), -1), atol=0.02)  # rad; inertia


def test_a_limb_that_straightens_keeps_its_twist():
    """Nothing shows the twist of a straight arm; it is on the way from what was seen before to what is seen after."""
    bend = np.radians(np.concatenate((np.linspace(80, 0, 20), np.zeros(30), np.linspace(0, 80, 20))))
    for plane in (0.0, 1.2, 2.5, 3.1):
        joints = np.stack([t_pose()] * len(bend))
        across = np.array((0, np.sin(plane), np.cos(plane)))
        joints[:, at("left_wrist")] = t_pose()[at("left_elbow")] + 250 * (
            np.cos(bend)[:, None] * (1, 0, 0) + np.sin(bend)[:, None] * across
        )
        rig = rig_of(joints)
        node = rig.index("left_shoulder")
        assert spin_degrees(rig, node).max() < 8  # 180 in one frame, were it not carried over
        np.testing.assert_allclose(joints_of(rig), joints, atol=1e-6)


def test_noise_on_a_straight_limb_does_not_make_it_spin():
    rng = np.random.default_rng(0)
    joints = np.stack([t_pose()] * 200) + rng.normal(0, 1, (200, H36M_17.num_joints, 3))
    rig = rig_of(joints)
    assert max(spin_degrees(rig, node).max() for node in bones_of(rig)) < 10


def test_an_arm_that_swings_through_the_opposite_of_its_rest_direction_does_not_jump():
    """There the least rotation is undefined: a plain swing would turn the bone about itself by half a turn."""
    angle = np.radians(np.arange(0, 360, 6))
    for tilt in (0.0, 1e-4, 0.05):
        joints = np.stack([t_pose()] * len(angle))
        along = np.stack((np.cos(angle), np.sin(angle) * np.cos(tilt), np.full_like(angle, np.sin(tilt))), -1)
        along /= np.linalg.norm(along, axis=-1, keepdims=True)
        joints[:, at("left_elbow")] = t_pose()[at("left_shoulder")] + 280 * along
        joints[:, at("left_wrist")] = joints[:, at("left_elbow")] + 250 * along
        rig = rig_of(joints)
        assert spin_degrees(rig, rig.index("left_shoulder")).max() <= 25 + 1e-6
        np.testing.assert_allclose(joints_of(rig), joints, atol=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_even_random_joints_never_twist_by_more_than_the_limit(seed):
    joints = np.random.default_rng(seed).normal(0, 300, (100, H36M_17.num_joints, 3))
    rig = rig_of(joints)
    assert max(spin_degrees(rig, node).max() for node in bones_of(rig)) <= 25 + 1e-6


def test_quaternions_are_the_rotations_and_never_change_sign():
    rig = rig_of(rigid_walker(200))
    back = Rotation.from_quat(rig.quaternions.reshape(-1, 4)).as_matrix()
    np.testing.assert_allclose(back.reshape(rig.rotations.shape), rig.rotations, atol=1e-12)
    assert (rig.quaternions[1:] * rig.quaternions[:-1]).sum(-1).min() > 0


@pytest.mark.parametrize("order", ["ZXY", "ZYX"])
def test_euler_angles_are_continuous_even_through_the_lock(order):
    sweep = np.stack((np.linspace(0, 50, 100), np.linspace(0, 340, 100), np.linspace(20, -40, 100)), -1)
    rotations = Rotation.from_euler(order, sweep, degrees=True)
    angles = continuous_euler(rotations.as_matrix(), order)
    np.testing.assert_allclose(
        Rotation.from_euler(order, angles, degrees=True).as_matrix(), rotations.as_matrix(), atol=1e-9
    )
    np.testing.assert_allclose(np.diff(angles, axis=0), np.diff(sweep, axis=0), atol=1e-6)


def test_one_frame_is_enough():
    joints = rigid_walker(1)
    np.testing.assert_allclose(joints_of(rig_of(joints)), joints, atol=1e-6)


def test_bones_without_direction_are_told():
    joints = np.stack([t_pose()] * 2)
    joints[1, at("left_wrist")] = joints[1, at("left_elbow")]
    with pytest.raises(ValueError, match="a bone without length, so without direction"):
        rig_of(joints)
    joints = np.stack([t_pose()] * 2)
    joints[:, at("left_hip")] = joints[:, at("right_hip")]
    with pytest.raises(ValueError, match="expected right_hip and left_hip apart: they show where the body faces"):
        rig_of(joints)


def _other_side(name):
    if name.startswith("left_"):
        return name.replace("left_", "right_", 1)
    return name.replace("right_", "left_", 1)
