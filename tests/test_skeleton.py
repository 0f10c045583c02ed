import numpy as np
import pytest

from dreampose3d.skeleton import (
    BLAZEPOSE_33,
    BODY_25,
    COCO_17,
    H36M_17,
    HALPE_26,
    MPI_INF_3DHP_17,
    SKELETONS,
    Skeleton,
    skeleton_named,
)

EVERY = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS.keys())
OTHERS = [skeleton for skeleton in SKELETONS.values() if skeleton is not H36M_17]
CONVERTIBLE = pytest.mark.parametrize("skeleton", OTHERS, ids=lambda skeleton: skeleton.name)
LIMBS = [f"{side}_{j}" for side in ("left", "right") for j in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")]

# The orders as their projects document them, in their own abbreviations.
PUBLISHED = {
    "h36m_17": "Hip RHip RKnee RAnkle LHip LKnee LAnkle Spine Thorax Neck Head "
    "LShoulder LElbow LWrist RShoulder RElbow RWrist",
    "mpi_inf_3dhp_17": "Head_top Neck RShoulder RElbow RWrist LShoulder LElbow LWrist RHip RKnee RAnkle "
    "LHip LKnee LAnkle Hip Spine Head",
    "coco_17": "Nose LEye REye LEar REar LShoulder RShoulder LElbow RElbow LWrist RWrist LHip RHip LKnee RKnee "
    "LAnkle RAnkle",
    "blazepose_33": "Nose LEye_inner LEye LEye_outer REye_inner REye REye_outer LEar REar LMouth RMouth "
    "LShoulder RShoulder LElbow RElbow LWrist RWrist LPinky RPinky LIndex RIndex LThumb RThumb LHip RHip "
    "LKnee RKnee LAnkle RAnkle LHeel RHeel LToe RToe",
    "halpe_26": "Nose LEye REye LEar REar LShoulder RShoulder LElbow RElbow LWrist RWrist LHip RHip LKnee RKnee "
    "LAnkle RAnkle Head_top Neck Hip LBig_toe RBig_toe LSmall_toe RSmall_toe LHeel RHeel",
    "body_25": "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist Hip RHip RKnee RAnkle LHip LKnee LAnkle "
    "REye LEye REar LEar LBig_toe LSmall_toe LHeel RBig_toe RSmall_toe RHeel",
}


def test_keypoints_convert_by_name():
    """COCO has neither pelvis nor spine: they are made of hips and shoulders, and as certain as the worst of them."""
    coco = np.zeros((1, COCO_17.num_joints, 2), np.float32)
    coco[0, COCO_17.indices("left_hip", "right_hip")] = [[60, 200], [40, 200]]
    coco[0, COCO_17.indices("left_shoulder", "right_shoulder")] = [[70, 100], [30, 104]]
    sure = np.ones((1, COCO_17.num_joints), np.float32)
    sure[0, COCO_17.index("left_hip")] = 0.4
    joints, confidence = COCO_17.to(H36M_17, coco, sure)
    for joint, place, certainty in (("pelvis", (50, 200), 0.4), ("thorax", (50, 102), 1), ("spine", (50, 151), 0.4)):
        np.testing.assert_allclose(joints[0, H36M_17.index(joint)], place)
        assert confidence[0, H36M_17.index(joint)] == np.float32(certainty)
    assert joints.dtype == confidence.dtype == np.float32


@EVERY
def test_joints_stand_in_the_published_order(skeleton):
    assert [abbreviated(name) for name in skeleton.joints] == PUBLISHED[skeleton.name].split()
    assert skeleton_named(skeleton.name.upper()) is skeleton


def test_h36m_has_the_tree_and_sides_that_the_field_uses():
    """VideoPose3D's constants for its 17 joints."""
    assert H36M_17.parents == (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
    assert H36M_17.left == (4, 5, 6, 11, 12, 13)
    assert H36M_17.right == (1, 2, 3, 14, 15, 16)


@EVERY
def test_bones_form_trees(skeleton):
    roots = [joint for joint, parent in enumerate(skeleton.parents) if parent < 0]
    assert len(skeleton.bones) == skeleton.num_joints - len(roots)
    reached = [joint for root in roots for joint in skeleton.subtree(root)]
    assert sorted(reached) == list(range(skeleton.num_joints))  # each once: no cycle, no joint under two roots
    slow = np.zeros_like(skeleton.adjacency)
    for joint, parent in skeleton.bones:
        slow[joint, parent] = slow[parent, joint] = True
    np.testing.assert_array_equal(skeleton.adjacency, slow)


@EVERY
def test_limbs_hang_together(skeleton):
    """A knee's parent is the hip of the same side, and so on."""
    for side in ("left", "right"):
        for joint, parent in (("knee", "hip"), ("ankle", "knee"), ("elbow", "shoulder"), ("wrist", "elbow")):
            place = skeleton.index(f"{side}_{joint}")
            assert skeleton.joints[skeleton.parents[place]] == f"{side}_{parent}"
            assert place in skeleton.subtree(f"{side}_{parent}")


def test_a_subtree_is_a_joint_and_what_hangs_on_it():
    assert H36M_17.subtree("left_shoulder") == (11, 12, 13)
    assert H36M_17.subtree("thorax") == tuple(range(8, 17))
    assert H36M_17.subtree(3) == (3,)
    assert BLAZEPOSE_33.subtree("right_ankle") == tuple(BLAZEPOSE_33.indices("right_ankle", "right_heel", "right_toe"))


@EVERY
def test_mirroring_twice_is_identity(skeleton):
    np.testing.assert_array_equal(skeleton.mirror[skeleton.mirror], np.arange(skeleton.num_joints))
    swapped = {"left": "right", "right": "left"}
    for name, other in zip(skeleton.joints, np.array(skeleton.joints)[skeleton.mirror], strict=True):
        side, _, joint = name.partition("_")
        assert other == (f"{swapped[side]}_{joint}" if side in swapped else name)


@CONVERTIBLE
def test_mirroring_and_converting_commute(skeleton):
    positions = np.random.default_rng(0).normal(size=(4, skeleton.num_joints, 2))

    def flip(of, keypoints):
        return keypoints[:, of.mirror] * (-1, 1)

    one, _ = skeleton.to(H36M_17, flip(skeleton, positions))
    two, _ = skeleton.to(H36M_17, positions)
    np.testing.assert_allclose(one, flip(H36M_17, two), atol=1e-12)


@CONVERTIBLE
@pytest.mark.parametrize("limb", LIMBS)
def test_a_limb_moved_alone_moves_alone(skeleton, limb):
    """It moves the limb of its name as far, and of the rest only joints of the trunk, by no more than itself."""
    still = np.random.default_rng(0).normal(size=(skeleton.num_joints, 3))
    moved = still.copy()
    moved[skeleton.index(limb)] += (1, 2, 3)
    change = skeleton.to(H36M_17, moved)[0] - skeleton.to(H36M_17, still)[0]
    np.testing.assert_allclose(change[H36M_17.index(limb)], (1, 2, 3), atol=1e-12)
    others = np.delete(np.arange(H36M_17.num_joints), H36M_17.index(limb))
    touched = {H36M_17.joints[joint] for joint in others if np.abs(change[joint]).max() > 1e-12}
    made_of_it = {joint for joint, sources in skeleton.to_h36m.items() if limb in sources} - {limb}
    assert touched == made_of_it
    assert touched <= {"pelvis", "spine", "thorax"}


def test_renamed_joints_convert_back():
    """MPI-INF-3DHP's 17 are Human3.6M's under other names, so every skeleton that reaches one reaches the other."""
    positions = np.random.default_rng(0).normal(size=(3, 17, 3))
    there, _ = MPI_INF_3DHP_17.to(H36M_17, positions)
    np.testing.assert_array_equal(H36M_17.to(MPI_INF_3DHP_17, there)[0], positions)
    np.testing.assert_array_equal(there[:, H36M_17.root], positions[:, MPI_INF_3DHP_17.root])
    by_coco, _ = COCO_17.to(MPI_INF_3DHP_17, positions)
    np.testing.assert_array_equal(H36M_17.to(MPI_INF_3DHP_17, COCO_17.to(H36M_17, positions)[0])[0], by_coco)


@EVERY
def test_the_root_is_the_first_joint_without_a_parent(skeleton):
    assert skeleton.parents[skeleton.root] == -1
    assert skeleton.root not in [joint for joint, _ in skeleton.bones]


def test_roots_have_the_published_indices():
    assert (H36M_17.root, MPI_INF_3DHP_17.root) == (0, 14)


@CONVERTIBLE
def test_every_joint_is_a_weighted_mean(skeleton):
    """So a shift of the whole person shifts every joint: all recipes are there and sum to 1."""
    assert set(skeleton.to_h36m) == set(H36M_17.joints)
    assert skeleton.mapping_note
    positions, shift = np.random.default_rng(0).normal(size=(skeleton.num_joints, 2)), np.array([5.0, -3.0])
    joints, _ = skeleton.to(H36M_17, positions)
    shifted, _ = skeleton.to(H36M_17, positions + shift)
    np.testing.assert_allclose(shifted, joints + shift, atol=1e-12)
    for joint, sources in skeleton.to_h36m.items():
        slow = sum(weight * positions[skeleton.joints.index(source)] for source, weight in sources.items())
        np.testing.assert_allclose(joints[H36M_17.joints.index(joint)], slow, atol=1e-12)


@CONVERTIBLE
def test_the_order_in_the_array_does_not_matter(skeleton):
    generator = np.random.default_rng(0)
    order = generator.permutation(skeleton.num_joints)
    place = np.argsort(order)
    shuffled = Skeleton(
        name="shuffled",
        joints=tuple(skeleton.joints[i] for i in order),
        parents=tuple(-1 if skeleton.parents[i] < 0 else int(place[skeleton.parents[i]]) for i in order),
        to_h36m=skeleton.to_h36m,
    )
    positions, confidence = generator.normal(size=(2, 3, skeleton.num_joints, 2)), generator.random((2, 3, len(order)))
    for ours, theirs in zip(
        shuffled.to(H36M_17, positions[..., order, :], confidence[..., order]),
        skeleton.to(H36M_17, positions, confidence),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_what_is_missing_stays_missing_and_spoils_only_what_is_made_of_it():
    positions = np.ones((HALPE_26.num_joints, 2))
    positions[HALPE_26.index("neck")] = np.nan
    positions[HALPE_26.index("left_wrist"), 1] = np.inf
    confidence = np.full(HALPE_26.num_joints, 0.8)
    confidence[HALPE_26.index("right_knee")] = np.nan
    joints, certain = HALPE_26.to(H36M_17, positions, confidence)
    lost = {H36M_17.joints[i] for i in np.flatnonzero(np.isnan(joints).any(-1))}
    assert lost == {"thorax", "spine", "left_wrist"}
    assert {H36M_17.joints[i] for i in np.flatnonzero(certain == 0)} == lost | {"right_knee"}
    assert np.isnan(joints[H36M_17.indices(*lost)]).all()  # both coordinates, also where one was given
    assert set(certain[certain > 0]) == {0.8}


def test_converting_to_itself_changes_nothing():
    positions = np.random.default_rng(0).normal(size=(5, BODY_25.num_joints, 2))
    joints, confidence = BODY_25.to(BODY_25, positions)
    np.testing.assert_array_equal(joints, positions)
    np.testing.assert_array_equal(confidence, 1)


def test_wrong_names_and_counts_are_refused():
    with pytest.raises(ValueError, match=r"unknown skeleton 'smpl'; known are h36m_17, .*body_25"):
        skeleton_named("smpl")
    with pytest.raises(ValueError, match="coco_17 has no joint 'pelvis'; it has nose, left_eye"):
        COCO_17.index("pelvis")
    with pytest.raises(ValueError, match=r"expected 17 joints \(coco_17\), got 18; name the skeleton"):
        COCO_17.to(H36M_17, np.zeros((1, 18, 2)))
    with pytest.raises(ValueError, match="no conversion from coco_17 to body_25"):
        COCO_17.to(BODY_25, np.zeros((1, COCO_17.num_joints, 2)))
    with pytest.raises(ValueError, match="no conversion from h36m_17 to halpe_26"):
        H36M_17.to(HALPE_26, np.zeros((1, H36M_17.num_joints, 3)))
    with pytest.raises(ValueError, match="stick: 2 joints, but 1 parents"):
        Skeleton("stick", ("a", "b"), (-1,))
    with pytest.raises(ValueError, match="stick: joint names repeat"):
        Skeleton("stick", ("a", "a"), (-1, 0))
    with pytest.raises(ValueError, match="stick has no joint 'right_arm'"):
        _ = Skeleton("stick", ("left_arm", "b"), (-1, 0)).right


def abbreviated(name):
    name = name.replace("pelvis", "hip")
    side, _, joint = name.partition("_")
    return side[0].upper() + joint.capitalize() if side in ("left", "right") else name.capitalize()
