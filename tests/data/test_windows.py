from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.motion import PLAIN, walker

from dreampose3d.data.mocap import MocapClip
from dreampose3d.data.windows import MILLIMETRES, UNLABELLED, MotionBank, WindowConfig, make_batch


def clip(number, frames=100, fps=50.0, action="walking", joints=None):
    joints = walker(frames, fps, seed=number) if joints is None else joints
    return MocapClip("set", f"t{number}", "s1", action, "train", fps, joints.astype(np.float32))


def line(frames, fps):
    """Every joint at x = 1000 mm for each second: where a window was cut can be read off."""
    return np.broadcast_to(1000 * np.arange(frames)[:, None, None] / fps * np.array([1, 0, 0]), (frames, 17, 3))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_batch_is_what_the_network_sees():
    bank = MotionBank([clip(0), clip(1, action="other")], ["walking"])
    batch = make_batch(bank, 8, 27, 3, WindowConfig(), generator())
    assert batch.observed.shape == (8, 27, 17, 3)
    assert batch.target.shape == (8, 27, 3, 17, 3)
    assert batch.target_valid.shape == (8, 27, 3)
    assert all(part.isfinite().all() for part in batch if part.is_floating_point())
    assert set(batch.label.tolist()) <= {0, UNLABELLED}
    assert float(batch.target[..., 0, :].abs().max()) == 0
    assert 0.5 < float(batch.target.norm(dim=-1).max()) < 2, "metres"


def test_a_batch_is_a_pure_function_of_the_seed():
    bank = MotionBank([clip(0), clip(1, 30)], [])
    torch.manual_seed(5)
    first = make_batch(bank, 8, 27, 3, WindowConfig(), generator(3))
    torch.manual_seed(6)
    again = make_batch(bank, 8, 27, 3, WindowConfig(), generator(3))
    other = make_batch(bank, 8, 27, 3, WindowConfig(), generator(4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.observed, other.observed)


@pytest.mark.parametrize(("clip_fps", "fps"), [(30.0, 60.0), (60.0, 30.0), (29.97, 25.0), (120.0, 20.0)])
def test_motion_is_sampled_at_the_rate_asked_for(clip_fps, fps):
    bank = MotionBank([clip(0, 400, clip_fps, joints=line(400, clip_fps))], [])
    world, valid, _ = bank.windows(9, torch.full((5,), fps), generator())
    torch.testing.assert_close(world.diff(dim=1)[..., 0], torch.full((5, 8, 17), 1000 / fps), atol=0.05, rtol=0)
    assert valid.all()
    assert float(world[:, 0, 0, 0].std()) > 300, "from anywhere in the clip"


def test_frames_between_are_straight_lines_between_their_neighbours():
    joints = walker(3)
    bank = MotionBank([clip(0, joints=joints)], [])
    world, _, _ = bank.windows(5, torch.tensor([100.0]), generator())
    expected = np.stack(
        [joints[0], (joints[0] / 2 + joints[1] / 2), joints[1], joints[1] / 2 + joints[2] / 2, joints[2]]
    )
    np.testing.assert_allclose(world[0].numpy(), expected, atol=0.01)


def test_joints_are_kept_to_a_twentieth_of_a_millimetre():
    """As int16 from the root, wherever in the world that is; whole millimetres come back exactly."""
    joints = walker(50).astype(np.float32) + np.array([30_000, -20_000, 0], np.float32)
    for recorded, most in ((joints, 0.0), (joints + np.random.default_rng(0).uniform(0, 1, joints.shape), 0.055)):
        bank = MotionBank([clip(0, joints=recorded)], [])
        assert bank.offset.dtype == torch.int16
        world, _, _ = bank.windows(50, torch.tensor([50.0]), generator())
        assert float(np.abs(world[0].numpy() - recorded).max()) <= most, "0.05 mm and float32's own steps at 30 m"


def test_joints_that_no_body_has_are_told():
    with pytest.raises(ValueError, match=r"set, t0: a joint is \d+.\d m from the root, .* are these joints in mm"):
        MotionBank([clip(0, joints=1000.0 * walker(3))], [])


def test_beyond_the_clip_its_end_is_repeated_and_not_valid():
    bank = MotionBank([clip(0, 3, joints=line(3, 50.0))], [])
    world, valid, _ = bank.windows(7, torch.tensor([50.0]), generator())
    assert valid[0].tolist() == [False, False, True, True, True, False, False]
    torch.testing.assert_close(world[0, :, 0, 0], torch.tensor([0.0, 0, 0, 20, 40, 40, 40]))
    _, valid, _ = MotionBank([clip(0, 1)], []).windows(7, torch.tensor([50.0]), generator())
    assert int(valid.sum()) == 1


def test_a_window_never_leaves_its_clip():
    still = [clip(n, 20, joints=np.full((20, 17, 3), 1000.0 * n)) for n in range(5)]
    world, _, _ = MotionBank(still, []).windows(27, torch.full((64,), 40.0), generator())
    assert (world == world[:, :1, :1, :1]).all()
    assert len(world[:, 0, 0, 0].unique()) == 5


@pytest.mark.parametrize("balance", [0.0, 0.6, 1.0])
def test_clips_are_drawn_by_their_length_to_a_power(balance):
    bank = MotionBank([clip(0, 10, action="a"), clip(1, 160, action="b")], ["a", "b"], balance)
    _, _, label = bank.windows(3, torch.full((4000,), 50.0), generator())
    share = 16**balance / (1 + 16**balance)
    assert float((label == 1).float().mean()) == pytest.approx(share, abs=0.03)


def test_labels_are_the_vocabularys_and_unknown_actions_have_none():
    bank = MotionBank([clip(0, action="b"), clip(1, action="other"), clip(2, action="a")], ["a", "b"])
    assert bank.label.tolist() == [1, UNLABELLED, 0]


def test_targets_are_root_relative_in_the_views_axes():
    """The 2D must be the projection of target + root: for exact 2D the rays of both agree up to centre and scale."""
    bank = MotionBank([clip(n) for n in range(6)], [])
    far = replace(PLAIN, cameras=replace(PLAIN.cameras, distance_m=(500, 500)))
    batch = make_batch(bank, 16, 9, 1, far, generator())
    u = batch.observed[..., :2] - batch.observed[:, :, :1, :2]
    flat = batch.target[:, :, 0, :, :2] - 0  # so far away that the projection is orthographic
    scale = (u * flat).sum((1, 2, 3), keepdim=True) / flat.square().sum((1, 2, 3), keepdim=True)
    torch.testing.assert_close(u, scale * flat, atol=0.01, rtol=0)
    assert (batch.observed[..., 2] == 1).all()
    assert (batch.view[:, 1] == 1).all()
    torch.testing.assert_close(batch.view[:, 0].exp() * 500, 1 / scale.flatten(), atol=0.01, rtol=0.02)


def test_targets_have_the_bodys_size():
    bank = MotionBank([clip(0)], [])
    batch = make_batch(bank, 4, 9, 1, PLAIN, generator())
    shin = (batch.target[..., 2, :] - batch.target[..., 3, :]).norm(dim=-1) * MILLIMETRES
    recorded = torch.from_numpy(walker(100).astype(np.float32))
    true = torch.stack([(recorded[:, a] - recorded[:, b]).norm(dim=-1) for a, b in ((2, 3), (5, 6))])
    assert float(true.min()) - 1 <= float(shin.min()) <= float(shin.max()) <= float(true.max()) + 1


@pytest.mark.parametrize("num_poses", [3, 5])
def test_hallucinated_targets_are_the_neighbouring_frames(num_poses):
    bank, reach = MotionBank([clip(n) for n in range(4)], []), num_poses // 2
    batch = make_batch(bank, 8, 11, num_poses, PLAIN, generator())
    centre = batch.target[:, :, reach]
    assert batch.target_valid.all()
    for k in range(-reach, reach + 1):
        frames = slice(max(0, -k), 11 - max(0, k))
        shifted = slice(max(0, k), 11 - max(0, -k))
        torch.testing.assert_close(batch.target[:, frames, reach + k], centre[:, shifted], rtol=0, atol=0)
    beyond = batch.target[:, 0, 0] - centre[:, 0]
    assert (beyond.norm(dim=-1).amax(-1) > 1e-3).all(), "true frames beyond the window, not copies of its first"


def test_neighbours_that_the_clip_does_not_have_are_masked():
    bank = MotionBank([clip(0, 7)], [])
    batch = make_batch(bank, 3, 7, 3, PLAIN, generator())
    assert batch.valid.all()
    expected = torch.ones(7, 3, dtype=torch.bool)
    expected[0, 0] = expected[6, 2] = False
    assert (batch.target_valid == expected).all()
    batch = make_batch(bank, 3, 9, 3, PLAIN, generator())
    assert batch.valid[0].tolist() == [False] + 7 * [True] + [False]
    assert not batch.target_valid[~batch.valid].any()
    assert (batch.observed[~batch.valid] == 0).all()


def test_time_is_centred_and_in_seconds():
    bank = MotionBank([clip(0, 200)], [])
    batch = make_batch(bank, 64, 9, 1, replace(PLAIN, rates=(20, 60)), generator())
    torch.testing.assert_close(batch.time_s.mean(1), torch.zeros(64), atol=1e-6, rtol=0)
    rate = 1 / batch.time_s.diff(dim=1)
    torch.testing.assert_close(rate, rate[:, :1].expand_as(rate), atol=0.01, rtol=0)
    assert 20 <= float(rate.min()) < 25 < 55 < float(rate.max()) <= 60.01


def test_short_windows_are_runs_of_valid_frames():
    bank = MotionBank([clip(0, 200)], [])
    batch = make_batch(bank, 300, 9, 1, replace(PLAIN, short=1.0), generator())
    changes = batch.valid.int().diff(dim=1).abs().sum(1)
    count = batch.valid.sum(1)
    assert (changes <= 2).all()
    assert set(count.tolist()) == set(range(1, 10))
    none = make_batch(bank, 300, 9, 1, PLAIN, generator())
    assert none.valid.all()


def test_reversed_windows_play_backwards():
    """On a straight line of rising x: backwards windows have it falling, in about the share asked for."""
    climbing = np.broadcast_to(10 * np.arange(200)[:, None, None], (200, 17, 3)) * np.array([0, 0, 1.0])
    climbing = climbing + walker(1)[0] * np.where(np.arange(17) == 0, 0, 1 + np.arange(200)[:, None] / 200)[..., None]
    bank = MotionBank([clip(0, joints=climbing)], [])
    batch = make_batch(bank, 300, 9, 1, replace(PLAIN, reverse=0.3), generator())
    growth = batch.target[:, -1, 0].norm(dim=-1).sum(-1) - batch.target[:, 0, 0].norm(dim=-1).sum(-1)
    assert float((growth < 0).float().mean()) == pytest.approx(0.3, abs=0.1)


def test_unknown_cameras_are_flagged():
    bank = MotionBank([clip(0)], [])
    cameras = replace(PLAIN.cameras, unknown=0.25)
    batch = make_batch(bank, 800, 3, 1, replace(PLAIN, cameras=cameras), generator())
    assert float((batch.view[:, 1] == 0).float().mean()) == pytest.approx(0.25, abs=0.05)


def test_no_clips_are_told():
    with pytest.raises(ValueError, match="there are no clips to train on"):
        MotionBank([], [])
