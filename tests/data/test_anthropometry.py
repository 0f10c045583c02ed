import pytest
import torch
from tests.motion import walker

from dreampose3d.data.anthropometry import ADULT, ADULTS_MM, draw_people, resize_bodies, segment_shares
from dreampose3d.data.augment import PoseAugmentation, augment_poses
from dreampose3d.data.body import from_bones, to_bones
from dreampose3d.skeleton import H36M_17

J = H36M_17.index


def people(windows=64, frames=4):
    return torch.stack([torch.from_numpy(walker(frames, seed=seed)) for seed in range(windows)]).double()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def resized(joints, share=1.0, children=0.1):
    bones, path = resize_bodies(joints, to_bones(joints, H36M_17), share, children, generator())
    return from_bones(path, bones, H36M_17)


def test_segments_are_as_published_and_children_have_large_heads_and_short_legs():
    shares = segment_shares(torch.tensor([6.0, 12.0, 18.0]))
    assert {name: round(float(share[2]), 4) for name, share in shares.items()} == ADULT
    assert float(shares["head"][0]) == pytest.approx(1 / 6 + 0.052)
    assert float(shares["head"][1]) == pytest.approx(1 / 7 + 0.052, abs=0.006)
    sitting = shares["trunk"] + shares["head"] + 0.05  # the seat lies below the hips
    assert float(sitting[0] - sitting[2]) == pytest.approx(0.024, abs=0.005)
    height = sum(shares[part] for part in ("thigh", "shank", "trunk", "head")) + 0.039
    torch.testing.assert_close(height, torch.ones(3), atol=2e-3, rtol=0)


def test_statures_are_those_of_men_women_and_children():
    age, stature = draw_people(20000, 0.25, generator(), torch.zeros(1).double())
    adults, children = stature[age == 18], stature[age < 18]
    assert len(children) / 20000 == pytest.approx(0.25, abs=0.01)
    mean = (ADULTS_MM[0][0] + ADULTS_MM[1][0]) / 2
    assert float(adults.mean()) == pytest.approx(mean, abs=3)
    assert float(adults.std()) == pytest.approx((66.5**2 + 63.5**2) ** 0.5, rel=0.03)
    assert 850 < float(children.min()) < float(children.max()) < 2000
    tens = stature[(age > 9.5) & (age < 10.5)]
    assert float(tens.mean()) == pytest.approx(1385, rel=0.01)


def test_new_bodies_keep_their_poses_and_are_alike_left_and_right():
    joints = people()
    before, after = to_bones(joints, H36M_17)[:, :, 1:], to_bones(resized(joints), H36M_17)[:, :, 1:]
    cosine = torch.nn.functional.cosine_similarity(before, after, dim=-1)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))
    length = to_bones(resized(joints), H36M_17).norm(dim=-1).mean(1)
    for bone in ("knee", "ankle", "elbow", "wrist"):
        left, right = length[:, J(f"left_{bone}")], length[:, J(f"right_{bone}")]
        torch.testing.assert_close(left, right, atol=1e-6, rtol=0)
    legs = length[:, J("left_knee")] + length[:, J("left_ankle")]
    assert 400 < float(legs.min()) < 700 < 800 < float(legs.median()) < 860 < 920 < float(legs.max()) < 1050


def test_feet_stay_where_they_are_over_the_floor():
    """Thigh and shank vary by 3.5 % against each other; but for that, heights and steps scale with the legs."""
    joints = people(200, 30)
    made = resized(joints, children=0.5)
    grown = (made[:, :, 0, 2] / joints[:, :, 0, 2]).mean(1)
    ankle = made[:, :, J("left_ankle"), 2] - grown[:, None] * joints[:, :, J("left_ankle"), 2]
    assert float(ankle.abs().max()) < 50, "mm"
    assert float(ankle.abs().median()) < 8
    assert float(grown.min()) < 0.65
    assert float(grown.max()) > 1.05


def test_a_share_of_windows_is_changed_and_none_of_them_at_0():
    joints = people(400, 2)
    same = torch.isclose(resized(joints, share=0.25), joints, atol=1e-6).flatten(1).all(1)
    assert float((~same).double().mean()) == pytest.approx(0.25, abs=0.07)
    plain = augment_poses(joints, generator(), PoseAugmentation(people=0))
    assert not torch.equal(plain, augment_poses(joints, generator(), PoseAugmentation(people=1)))
    torch.testing.assert_close(plain[:, :, 0, 1:], joints[:, :, 0, 1:])
