import math

import numpy as np
import pytest
import torch
from tests.motion import STANDING_MM, walker

from dreampose3d.data.conventions import CONVENTIONS, detector_joints, rederive
from dreampose3d.skeleton import BODY_25, COCO_17, H36M_17, HALPE_26

J = H36M_17.index
LIMBS = [i for i, name in enumerate(H36M_17.joints) if name.split("_")[-1] in ("knee", "ankle", "elbow", "wrist")]


@pytest.fixture
def joints():
    return torch.stack([torch.from_numpy(walker(6, seed=seed)) for seed in range(8)]).double()


def seen(joints, convention, seed=0):
    which = torch.full((len(joints),), CONVENTIONS.index(convention))
    return detector_joints(joints, which, torch.Generator().manual_seed(seed))


def test_mocaps_own_convention_is_the_identity(joints):
    assert torch.equal(seen(joints, "h36m"), joints)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_limb_joints_stay_and_hips_and_shoulders_move_a_little(convention, joints):
    made, before = seen(joints, convention), joints.clone()
    assert torch.equal(made[:, :, LIMBS], joints[:, :, LIMBS])
    for part, reach in (("hip", 25), ("shoulder", 20)):
        places = H36M_17.indices(f"left_{part}", f"right_{part}")
        moved = made[:, :, places] - joints[:, :, places]
        assert float(moved.abs().max()) <= reach
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
    """Many heads that face +y: nose 140 mm forward and 20 mm below the head/neck midpoint, eyes above it, +-20 %."""
    joints = torch.from_numpy(STANDING_MM).expand(4000, 1, 17, 3).clone()
    joints[..., J("neck"), :], joints[..., J("head"), :] = torch.tensor([[0, 0, 1500.0], [0, 0, 1600.0]]).double()
    made = seen(joints, "face")[:, 0]
    nose, eyes = made[:, J("neck")], made[:, J("head")]
    middle = torch.tensor([0, 0, 1550.0]).double()
    reach = (nose - middle).norm(dim=-1)
    assert math.hypot(140, 20) * 0.8 <= float(reach.min()) < float(reach.max()) <= math.hypot(140, 20) * 1.2
    yaw = torch.rad2deg(torch.atan2(-(nose - middle)[:, 0], (nose - middle)[:, 1]))
    assert float(yaw.mean()) == pytest.approx(0, abs=1.5)
    assert float(yaw.std()) == pytest.approx(25, rel=0.05), "degrees; to its left is positive"
    forward = (nose - middle)[:, 1].mean() / 140
    mean_cosines = math.exp(-0.5 * (math.radians(25) ** 2 + math.radians(15) ** 2))  # of normal angles
    assert float(forward) == pytest.approx(mean_cosines, rel=0.03)
    assert ((eyes - nose)[:, 2] > 0).float().mean() > 0.99
    apart = (eyes - nose).norm(dim=-1)
    assert math.hypot(14, 32) * 0.8 <= float(apart.min()) < float(apart.max()) <= math.hypot(14, 32) * 1.2


def test_the_top_of_the_head_is_near_mocaps_head(joints):
    made = seen(joints, "halpe")
    assert float((made - joints)[:, :, J("head")].norm(dim=-1).max()) <= 20 + 1e-9


def test_a_neck_lies_above_the_shoulder_line_and_a_thorax_on_it(joints):
    both = H36M_17.indices("left_shoulder", "right_shoulder")
    made = seen(joints, "face")
    torch.testing.assert_close(made[:, :, J("thorax")], made[:, :, both].mean(2))
    for convention in ("halpe", "body25"):
        made = seen(joints, convention)
        above = (made[:, :, J("thorax")] - made[:, :, both].mean(2))[..., 2]
        assert ((above > 10) & (above < 60)).all(), "mm"


def test_seeded(joints):
    assert torch.equal(seen(joints, "face", 3), seen(joints, "face", 3))
    assert not torch.equal(seen(joints, "face", 3), seen(joints, "face", 4))


def test_joints_that_a_detector_derives_have_their_sources_errors():
    """As if detected COCO points were converted by name; mocap's own joints, and others' hips and necks, stay."""
    generator = torch.Generator().manual_seed(0)
    points, confidence = torch.randn(4, 3, 17, 2, generator=generator), torch.rand(4, 3, 17, generator=generator)
    made, certain = rederive(points, confidence, torch.arange(4))
    assert torch.equal(made[0], points[0])
    assert torch.equal(certain[0], confidence[0])
    theirs = np.zeros((3, 17, 2), np.float32)
    sure = np.ones((3, 17), np.float32)
    for name in COCO_17.joints:
        if name in H36M_17.joints:
            theirs[:, COCO_17.index(name)] = points[1, :, J(name)]
            sure[:, COCO_17.index(name)] = confidence[1, :, J(name)]
    ours, ours_certain = COCO_17.to(H36M_17, theirs, sure)
    for name in ("pelvis", "thorax", "spine"):
        np.testing.assert_allclose(made[1, :, J(name)], ours[:, J(name)], atol=1e-6)
        np.testing.assert_allclose(certain[1, :, J(name)], ours_certain[:, J(name)], atol=1e-6)
    for window in (2, 3):
        torch.testing.assert_close(made[window, :, J("spine")], points[window][:, [J("pelvis"), J("thorax")]].mean(1))
        assert torch.equal(made[window, :, J("pelvis")], points[window, :, J("pelvis")])
