import math

import pytest
import torch
from scipy.spatial.transform import Rotation
from tests.motion import walker

from dreampose3d.data.augment import (
    PoseAugmentation,
    _Chance,
    augment_poses,
    exchange_limbs,
    from_bones,
    rescale_bones,
    rotation,
    tilt_parts,
    to_bones,
    trunk_frame,
    turn_body,
)
from dreampose3d.skeleton import H36M_17

ALWAYS = PoseAugmentation(exchange_arms=1, exchange_legs=1, exchange_trunk=1, tilt_limbs=1, lean=1, topple=1)
NEVER = PoseAugmentation(0, 0, 0, tilt_limbs=0, lean=0, topple=0, bone_scale=0, body_scale=0, hip_scale=0)


@pytest.fixture
def joints():
    return torch.stack([torch.from_numpy(walker(8, seed=seed)) for seed in range(6)]).double()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def lengths(joints):
    return to_bones(joints, H36M_17).norm(dim=-1)


def test_joints_from_bones_from_joints(joints):
    bones = to_bones(joints, H36M_17)
    assert float(bones[:, :, 0].abs().max()) == 0
    torch.testing.assert_close(from_bones(joints[:, :, :1], bones, H36M_17), joints, atol=1e-9, rtol=0)
    for joint, parent in H36M_17.bones:
        torch.testing.assert_close(bones[..., joint, :], joints[..., joint, :] - joints[..., parent, :])


@pytest.mark.parametrize("part", ["exchange", "tilt", "turn"])
def test_bones_keep_their_lengths(part, joints):
    bones = to_bones(joints, H36M_17)
    draw = _Chance(generator(), joints)
    changed = {
        "exchange": lambda: exchange_limbs(joints, bones, draw, ALWAYS, H36M_17),
        "tilt": lambda: tilt_parts(bones, draw, ALWAYS, H36M_17),
        "turn": lambda: turn_body(bones, draw, ALWAYS),
    }[part]()
    assert float((changed - bones).norm(dim=-1).amax(1).mean()) > 10, "mm: something happened"
    torch.testing.assert_close(changed.norm(dim=-1), bones.norm(dim=-1), atol=1e-6, rtol=0)


def test_turning_the_body_is_one_rotation_a_window(joints):
    bones = to_bones(joints, H36M_17)
    turned = turn_body(bones, _Chance(generator(), joints), ALWAYS)
    for before, after in zip(bones, turned, strict=True):
        before, after = (part.flatten(0, 1).numpy() for part in (before, after))
        rotation, _ = Rotation.align_vectors(after, before)
        assert abs(rotation.apply(before) - after).max() < 1e-6


def test_a_limb_comes_from_the_next_window_as_seen_from_its_own_trunk(joints):
    """With arms alone exchanged: in chest axes, the arm's directions are the donor's; all else is the window's own."""
    config = PoseAugmentation(exchange_arms=1, exchange_legs=0, exchange_trunk=0)
    bones = to_bones(joints, H36M_17)
    changed = exchange_limbs(joints, bones, _Chance(generator(), joints), config, H36M_17)
    arm = H36M_17.indices("left_elbow", "left_wrist", "right_elbow", "right_wrist")
    rest = [joint for joint in range(17) if joint not in arm]
    assert torch.equal(changed[:, :, rest], bones[:, :, rest])
    frames = trunk_frame(joints, "shoulder", H36M_17)
    seen = torch.nn.functional.normalize(changed[:, :, arm] @ frames, dim=-1)  # columns are axes
    donor = torch.nn.functional.normalize(bones[:, :, arm] @ frames, dim=-1)
    torch.testing.assert_close(seen, donor.roll(1, 0), atol=1e-9, rtol=0)


def test_trunk_axes_are_left_up_and_forward(joints):
    """The walker's first frames: upright, and it faces where it goes."""
    for across in ("hip", "shoulder"):
        frames = trunk_frame(joints, across, H36M_17)
        torch.testing.assert_close(frames.transpose(-1, -2) @ frames, torch.eye(3).double().expand_as(frames))
        assert (torch.linalg.det(frames) > 0).all()
        side, up, forward = frames.unbind(-1)
        left, right = H36M_17.indices(f"left_{across}", f"right_{across}")
        assert ((joints[..., left, :] - joints[..., right, :]) * side).sum(-1).min() > 0
        assert up[..., 2].mean() > 0.9
        going = torch.nn.functional.normalize(joints[:, -1:, 0] - joints[:, :1, 0], dim=-1)
        assert (forward * going).sum(-1).mean() > 0.8


def test_new_bone_lengths_are_alike_left_and_right_and_constant_over_the_window(joints):
    bones = to_bones(joints, H36M_17)
    scaled = rescale_bones(bones, _Chance(generator(), joints), PoseAugmentation(), H36M_17)
    factor = (scaled.norm(dim=-1) / bones.norm(dim=-1))[..., 1:]
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor), atol=1e-9, rtol=0)
    whole = torch.cat((torch.ones_like(factor[..., :1]), factor), -1)
    torch.testing.assert_close(whole[..., list(H36M_17.left)], whole[..., list(H36M_17.right)], atol=1e-9, rtol=0)
    directions = torch.nn.functional.cosine_similarity(scaled[:, :, 1:], bones[:, :, 1:], dim=-1)
    torch.testing.assert_close(directions, torch.ones_like(directions))


def test_how_much_bones_vary_is_as_documented():
    """4000 windows: log lengths of 0.08 (bone) and 0.04 (body) together; hips 0.15 and 0.04."""
    bones = torch.ones(4000, 1, 17, 3).double()
    scaled = rescale_bones(bones, _Chance(generator(), bones), PoseAugmentation(), H36M_17)[:, 0, :, 0].log()
    for joint, std in (("left_knee", 0.08), ("thorax", 0.08), ("right_hip", 0.15)):
        assert float(scaled[:, H36M_17.index(joint)].std()) == pytest.approx(math.hypot(std, 0.04), rel=0.05)


def test_without_ingredients_half_of_the_windows_are_mirrored_and_the_others_untouched(joints):
    joints = joints.repeat(10, 1, 1, 1)
    made = augment_poses(joints, generator(), NEVER)
    same = torch.isclose(made, joints, atol=1e-6).flatten(1).all(1)
    mirrored = joints[..., torch.from_numpy(H36M_17.mirror), :] * torch.tensor([-1.0, 1, 1])
    flipped = torch.isclose(made, mirrored, atol=1e-6).flatten(1).all(1)
    assert (same ^ flipped).all()
    assert 15 <= int(flipped.sum()) <= 45
    torch.testing.assert_close(lengths(made)[flipped], lengths(mirrored)[flipped], atol=1e-6, rtol=0)


def test_a_mirrored_person_has_its_left_on_its_left():
    """Left and right swap together with x, so that the trunk's axes stay right-handed: forward stays forward."""
    joints = torch.from_numpy(walker(5)).double()[None].repeat(40, 1, 1, 1)
    made = augment_poses(joints, generator(), NEVER)
    forward = trunk_frame(made, "hip", H36M_17)[..., 2]
    going = torch.nn.functional.normalize(made[:, -1:, 0] - made[:, :1, 0], dim=-1)
    assert float((forward * going).sum(-1).mean(1).min()) > 0.8


def test_the_root_keeps_its_path_but_for_the_mirror(joints):
    made = augment_poses(joints, generator())
    torch.testing.assert_close(made[:, :, 0, 1:], joints[:, :, 0, 1:])
    torch.testing.assert_close(made[:, :, 0, 0].abs(), joints[:, :, 0, 0].abs())


def test_motion_stays_smooth():
    """No ingredient tears frames apart: five times the frames in a second make steps a fifth as long."""
    steps = []
    for fps in (50, 250):
        joints = torch.stack([torch.from_numpy(walker(fps, fps, seed=seed)) for seed in range(30)]).double()
        made = augment_poses(joints, generator(), ALWAYS, fps)
        steps.append(float((made - made[:, :, :1]).diff(dim=1).norm(dim=-1).max()))
    assert steps[1] < 0.3 * steps[0]


def test_the_same_seed_makes_the_same_people(joints):
    assert torch.equal(augment_poses(joints, generator(3)), augment_poses(joints, generator(3)))
    assert not torch.equal(augment_poses(joints, generator(3)), augment_poses(joints, generator(4)))


def test_rotations_are_scipys():
    axis_angle = torch.randn(20, 3, generator=generator()).double() * 2
    axis_angle[0] = 0
    torch.testing.assert_close(
        rotation(axis_angle), torch.from_numpy(Rotation.from_rotvec(axis_angle.numpy()).as_matrix())
    )


def test_slow_angles_have_unit_variance_and_do_not_jump():
    angles = _Chance(generator(), torch.zeros(4000, 30, 1, 3), 30.0).slow()
    assert angles.shape == (4000, 30, 3)
    assert float(angles.std()) == pytest.approx(1, abs=0.05)
    assert float(angles.diff(dim=1).abs().max()) < 1.2
