import math

import pytest
import torch
from tests.motion import walker

from dreampose3d.data.cameras import VirtualCameras, film, look_at, wild_cameras
from dreampose3d.skeleton import H36M_17

PLAIN = VirtualCameras(steep=0, off_axis_degrees=(0, 0), roll_degrees=0, panning=0, elevation_degrees=(10, 0))


@pytest.fixture
def joints():
    return torch.stack([torch.from_numpy(walker(9, seed=seed)) for seed in range(40)]).double()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_camera_looks_at_its_target_upright():
    position, target = torch.randn(2, 50, 3, generator=generator()).double().unbind(0)
    turn = look_at(position, target, torch.zeros(50).double())
    torch.testing.assert_close(turn @ turn.transpose(-1, -2), torch.eye(3).double().expand_as(turn))
    torch.testing.assert_close(torch.linalg.det(turn), torch.ones(50).double())
    seen = (turn @ (target - position)[..., None])[..., 0]
    torch.testing.assert_close(seen[:, :2], torch.zeros(50, 2).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(seen[:, 2], (target - position).norm(dim=-1))
    up = turn @ torch.tensor([0.0, 0, 1]).double()
    torch.testing.assert_close(up[:, 0], torch.zeros(50).double(), atol=1e-12, rtol=0)
    assert (up[:, 1] < 0).all(), "up in the world is up in the image: y points down"


def test_a_camera_by_hand():
    """From -y, looking along +y: the world's x is to the right, what lies above is up."""
    turn = look_at(torch.tensor([0.0, -4, 1]), torch.tensor([0.0, 0, 1]), torch.tensor(0.0))
    torch.testing.assert_close(turn, torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]))


def test_roll_turns_the_image_about_its_centre():
    position, target, roll = torch.tensor([3.0, -4, 1]), torch.zeros(3), torch.tensor(0.3)
    level, rolled = (look_at(position, target, angle) for angle in (torch.tensor(0.0), roll))
    about_z = torch.tensor([[math.cos(0.3), -math.sin(0.3), 0], [math.sin(0.3), math.cos(0.3), 0], [0, 0, 1]])
    torch.testing.assert_close(rolled, about_z @ level)


def test_filming_is_a_rigid_motion(joints):
    filmed = film(joints, generator(), VirtualCameras(panning=0))
    for before, after in zip(joints, filmed, strict=True):
        torch.testing.assert_close(
            torch.cdist(after.flatten(0, 1), after.flatten(0, 1)),
            torch.cdist(before.flatten(0, 1), before.flatten(0, 1)),
            atol=1e-3, rtol=0,
        )  # fmt: skip
        pair = [x.flatten(0, 1) - x.flatten(0, 1).mean(0) for x in (before, after)]
        assert torch.linalg.det(pair[0].T @ pair[1]) > 0, "and no reflection"


def test_every_joint_is_in_front(joints):
    near = VirtualCameras(distance_m=(0.1, 0.5), steep=0.5)
    for seed in range(5):
        assert float(film(joints, generator(seed), near)[..., 2].min()) > 200 - 1e-6, "mm"
        plain = film(joints, generator(seed), VirtualCameras(distance_m=(0.1, 0.5), off_axis_degrees=(0, 0)))
        assert float(plain[..., 2].min()) > 500 - 1e-6, "the margin, where the person is on the axis"


def test_the_person_stands_where_the_config_says(joints):
    """On the axis, at a distance log-uniform in 3-6 m, seen from 10 degrees above."""
    config = VirtualCameras(**PLAIN.__dict__ | {"distance_m": (3.0, 6.0)})
    filmed = film(joints, generator(), config)
    root = filmed[:, :, 0].mean(1)
    torch.testing.assert_close(root[:, :2], torch.zeros(40, 2).double(), atol=1e-6, rtol=0)
    assert ((root[:, 2] >= 3000 - 1e-6) & (root[:, 2] <= 6000 + 1e-6)).all()
    assert float(root[:, 2].std()) > 500
    trunk = filmed[:, :, H36M_17.index("thorax")] - filmed[:, :, 0]
    assert (trunk[..., 1] < 0).all(), "upright"
    down = math.sin(math.radians(10))
    up = torch.nn.functional.normalize(trunk, dim=-1).mean(1)
    assert float((up[:, 2] + down).abs().mean()) < 0.1, "its head leans towards a camera above it"


def test_off_axis_and_elevation_spread_as_documented(joints):
    joints = joints.repeat(25, 1, 1, 1)
    config = VirtualCameras(distance_m=(8.0, 8.0), steep=0, roll_degrees=0, panning=0)
    root = film(joints, generator(), config)[:, :, 0].mean(1)
    across, down = (torch.rad2deg(torch.atan2(root[:, i], root[:, 2])) for i in (0, 1))
    assert 23 < float(across.abs().max()) < 27, "degrees, sideways"
    assert 13 < float(down.abs().max()) < 18, "up and down"


def test_a_panning_camera_takes_away_some_of_the_path_and_nothing_else(joints):
    filmed = film(joints, generator(), VirtualCameras(**PLAIN.__dict__ | {"panning": 1.0}))
    path = filmed[:, -1, 0] - filmed[:, 0, 0]
    whole = (joints[:, -1, 0] - joints[:, 0, 0]).norm(dim=-1)
    share = path.norm(dim=-1) / whole
    assert (share <= 1 + 1e-9).all()
    assert float(share.std()) > 0.2
    pose, own = filmed - filmed[:, :, :1], joints - joints[:, :, :1]
    torch.testing.assert_close(pose.norm(dim=-1), own.norm(dim=-1), atol=1e-6, rtol=0)


def test_the_same_seed_is_the_same_camera(joints):
    before = joints.clone()
    assert torch.equal(film(joints, generator(3)), film(joints, generator(3)))
    assert not torch.equal(film(joints, generator(3)), film(joints, generator(4)))
    assert torch.equal(joints, before)


def test_wild_cameras_go_from_selfies_to_tele_lenses():
    """A standing person fills more than 60 degrees in a few windows, and less than 5 in a few others."""
    many = torch.stack([torch.from_numpy(walker(2, seed=seed)) for seed in range(600)]).double()
    filmed = film(many, generator(), wild_cameras())
    rays = torch.nn.functional.normalize(filmed[:, 0], dim=-1)
    extent = torch.rad2deg((rays[:, :, None] * rays[:, None]).sum(-1).clamp(-1, 1).acos()).amax((1, 2))
    assert float(extent.max()) > 85
    assert float(extent.min()) < 2
    assert 0.05 < float((extent > 60).double().mean()) < 0.3
    assert 0.03 < float((extent < 5).double().mean()) < 0.2
    up = filmed[:, 0, H36M_17.index("thorax")] - filmed[:, 0, 0]
    assert 0.003 < float((up[:, 1] > 0).double().mean()) < 0.1, "upside down, or seen from steeply above"
    assert filmed.isfinite().all()


def test_a_share_of_0_draws_nothing(joints):
    """The default's cameras are those of before `tele` and `tilted`."""
    plain = film(joints, generator(3), VirtualCameras())
    assert torch.equal(plain, film(joints, generator(3), VirtualCameras(tele_m=(50, 60), tilted_degrees=90)))
    assert not torch.equal(plain, film(joints, generator(3), VirtualCameras(tele=0.5)))
    assert not torch.equal(plain, film(joints, generator(3), VirtualCameras(tilted=0.5)))
