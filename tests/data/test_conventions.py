import math

import numpy as np
import pytest
import torch
from tests.motion import STANDING_MM, walker

from dreampose3d.data.conventions import CONVENTIONS, detector_joints
from dreampose3d.skeleton import BODY_25, COCO_17, H36M_17, HALPE_26

J = H36M_17.index
LIMBS = [i for i, name in enumerate(H36M_17.joints) if name.split("_")[-1] in ("knee", "ankle", "shoulder", "elbow",
                                                                               "wrist")]  # fmt: skip


@pytest.fixture
def joints():
    return torch.stack([torch.from_numpy(walker(6, seed=seed)) for seed in range(8)]).double()


def seen(joints, convention, seed=0):
    which = torch.full((len(joints),), CONVENTIONS.index(convention))
    return detector_joints(joints, which, torch.Generator().manual_seed(seed))


def test_mocaps_own_convention_is_the_identity(joints):
    assert torch.equal(seen(joints, "h36m"), joints)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_limb_joints_stay_and_hips_move_a_little(convention, joints):
    made, before = seen(joints, convention), joints.clone()
    assert torch.equal(made[:, :, LIMBS], joints[:, :, LIMBS])
    hips = H36M_17.indices("left_hip", "right_hip")
    moved = made[:, :, hips] - joints[:, :, hips]
    assert float(moved.abs().max()) <= 25
    torch.testing.assert_close(moved, moved[:, :1].expand_as(moved), atol=1e-9, rtol=0)  # the same in every frame
    assert torch.equal(joints, before)


def test_each_window_has_its_own_convention(joints):
    which = torch.arange(8) % 4
    mixed = detector_joints(joints, which, torch.Generator().manual_seed(0))
    for number, name in enumerate(CONVENTIONS):
        assert torch.equal(mixed[which == number], seen(joints, name)[which == number])


@pytest.mark.parametrize(("convention", "source"), [("face", COCO_17), ("halpe", HALPE_26), ("body25", BODY_25)])
def test_the_result_is_what_conversion_by_name_would_give(convention, source, joints):
    """Put the made joints where the detector has its own, convert them as `Skeleton.to` does: the same joints again."""
    made = seen(joints, convention)
    places = {name: made[:, :, J(name)].numpy() for name in H36M_17.joints}
    places |= {"nose": places["neck"], "neck": places["thorax"], "head_top": places["head"], "hip": places["pelvis"]}
    for side in ("left", "right"):
        places[f"{side}_eye"] = places["head"]
    theirs = np.stack([places.get(name, np.zeros_like(places["nose"])) for name in source.joints], -2)
    ours, _ = source.to(H36M_17, theirs)
    np.testing.assert_allclose(ours, made.numpy(), atol=1e-6)


def test_the_face_is_in_front_of_the_head():
    """Many heads that face +y: nose 110 mm forward and 20 mm below the head/neck midpoint, eyes above it, +-15 %."""
    joints = torch.from_numpy(STANDING_MM).expand(4000, 1, 17, 3).clone()
    joints[..., J("neck"), :], joints[..., J("head"), :] = torch.tensor([[0, 0, 1500.0], [0, 0, 1600.0]]).double()
    made = seen(joints, "face")[:, 0]
    nose, eyes = made[:, J("neck")], made[:, J("head")]
    middle = torch.tensor([0, 0, 1550.0]).double()
    reach = (nose - middle).norm(dim=-1)
    assert math.hypot(110, 20) * 0.85 <= float(reach.min()) < float(reach.max()) <= math.hypot(110, 20) * 1.15
    yaw = torch.rad2deg(torch.atan2(-(nose - middle)[:, 0], (nose - middle)[:, 1]))
    assert float(yaw.mean()) == pytest.approx(0, abs=1.5)
    assert float(yaw.std()) == pytest.approx(25, rel=0.05), "degrees; to its left is positive"
    forward = (nose - middle)[:, 1].mean() / 110
    mean_cosines = math.exp(-0.5 * (math.radians(25) ** 2 + math.radians(15) ** 2))  # of normal angles
    assert float(forward) == pytest.approx(mean_cosines, rel=0.03)
    assert ((eyes - nose)[:, 2] > 0).float().mean() > 0.99
    assert (eyes - nose).norm(dim=-1).max() < 100


def test_the_top_of_the_head_is_near_mocaps_head(joints):
    made = seen(joints, "halpe")
    assert float((made - joints)[:, :, J("head")].norm(dim=-1).max()) <= 20 + 1e-9


def test_a_neck_lies_above_the_shoulder_line_and_a_thorax_on_it(joints):
    shoulders = joints[:, :, H36M_17.indices("left_shoulder", "right_shoulder")].mean(2)
    torch.testing.assert_close(seen(joints, "face")[:, :, J("thorax")], shoulders)
    for convention in ("halpe", "body25"):
        above = (seen(joints, convention)[:, :, J("thorax")] - shoulders)[..., 2]
        assert ((above > 10) & (above < 60)).all(), "mm"


def test_seeded(joints):
    assert torch.equal(seen(joints, "face", 3), seen(joints, "face", 3))
    assert not torch.equal(seen(joints, "face", 3), seen(joints, "face", 4))
