"""The papers' clips of a benchmark: how they are cut, padded, mirrored and ordered, and what the network is shown."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.motion import walker

from dreampose3d.camera import Camera, normalise_screen
from dreampose3d.data.clips import ClipBank, cut, epoch_order
from dreampose3d.data.windows import UNLABELLED
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17, MPI_INF_3DHP_17

ROOT = MPI_INF_3DHP_17.root
PLAIN = torch.tensor([False])


def sequence(frames=20, *, seed=0, skeleton=H36M_17, action="Walking", fps=50.0, valid=None, subject="S1"):
    """A walker 5 m in front of a camera of 1000 x 1002 pixels."""
    camera = Camera((1000, 1002), (1145.0, 1144.0), (512.0, 515.0))
    walk = walker(frames, fps, seed=seed).astype(np.float64) @ np.array([(1.0, 0, 0), (0, 0, 1), (0, -1, 0)])
    joints = (walk + np.array((0, 900, 5000))).astype(np.float32)
    joints = joints if skeleton == H36M_17 else H36M_17.to(skeleton, joints)[0]
    pixels = camera.project(torch.from_numpy(joints)).numpy()
    return PoseSequence(
        name=f"walk{seed}", fps=fps, skeleton=skeleton, joints_mm=joints, keypoints_px=pixels, camera=camera,
        valid=valid, subject=subject, action=action,
    )  # fmt: skip


def whole(bank, frames, num_poses=1, mirrored=False):
    clips = bank.clips(frames)
    return bank.batch(clips, torch.full((len(clips),), mirrored), frames, num_poses)


def test_a_clip_is_screen_coordinates_in_and_metres_out():
    one = sequence(9)
    batch = whole(ClipBank([one], H36M_17, ["Sitting", "Walking"]), 9)
    screen = normalise_screen(torch.from_numpy(one.keypoints_px), (1000, 1002))
    torch.testing.assert_close(batch.observed[0], screen, rtol=0, atol=0)
    metres = torch.from_numpy((one.joints_mm - one.joints_mm[:, :1]) / 1000)
    torch.testing.assert_close(batch.target[0, :, 0], metres, rtol=0, atol=1e-6)
    torch.testing.assert_close(batch.time_s[0], (torch.arange(9) - 4) / 50)
    assert batch.valid.all()
    assert batch.target_valid.all()
    assert batch.label.tolist() == [1]


@pytest.mark.parametrize(
    ("length", "frames", "first"),
    [
        (243, 243, [0]),
        (244, 243, [-121, 122]),
        (486, 243, [0, 243]),
        (1, 243, [-121]),
        (7, 3, [-1, 2, 5]),
        (5, 9, [-2]),
    ],
)
def test_clips_are_centred_on_their_sequence(length, frames, first):
    """n = ceil(T / N), floor((nN - T) / 2) frames of padding at the left, the rest at the right."""
    assert cut(length, frames) == first


@given(st.integers(1, 900), st.integers(1, 250))
def test_clips_show_every_frame_once(length, frames):
    starts = cut(length, frames)
    shown = [frame for start in starts for frame in range(start, start + frames)]
    assert [frame for frame in shown if 0 <= frame < length] == list(range(length))
    left, right = -starts[0], starts[-1] + frames - length
    assert 0 <= right - left <= 1
    assert left + right < frames


def test_padding_repeats_the_ends_and_is_masked():
    bank = ClipBank([sequence(5)], H36M_17, [])
    batch = whole(bank, 9, num_poses=3)
    assert batch.valid[0].tolist() == 2 * [False] + 5 * [True] + 2 * [False]
    torch.testing.assert_close(batch.observed[0, :2], batch.observed[0, 2].expand(2, -1, -1), rtol=0, atol=0)
    torch.testing.assert_close(batch.observed[0, 7:], batch.observed[0, 6].expand(2, -1, -1), rtol=0, atol=0)
    assert not batch.target_valid[0, ~batch.valid[0]].any()
    expected = torch.ones(5, 3, dtype=torch.bool)
    expected[0, 0] = expected[4, 2] = False  # the sequence has no frame before its first or after its last
    assert (batch.target_valid[0, 2:7] == expected).all()


@pytest.mark.parametrize("num_poses", [1, 3, 5, 7])
def test_neighbours_beyond_the_clip_are_the_sequences_own_frames(num_poses):
    one, reach = sequence(18), num_poses // 2
    batch = whole(ClipBank([one], H36M_17, []), 6, num_poses)
    metres = torch.from_numpy((one.joints_mm - one.joints_mm[:, :1]) / 1000)
    for clip in range(3):
        for frame in range(6):
            for m in range(num_poses):
                place = 6 * clip + frame + m - reach
                assert bool(batch.target_valid[clip, frame, m]) is (0 <= place < 18)
                if 0 <= place < 18:
                    torch.testing.assert_close(batch.target[clip, frame, m], metres[place], rtol=0, atol=1e-6)


def test_mirrored_clips_are_what_a_mirror_shows():
    """2D and 3D: x changes its sign, left joints become right ones; the filmed truth of both sides agrees."""
    one = sequence(9)
    bank = ClipBank([one], H36M_17, [])
    plain, mirrored = whole(bank, 9, 3), whole(bank, 9, 3, mirrored=True)
    sign = {2: torch.tensor((-1.0, 1.0)), 3: torch.tensor((-1.0, 1.0, 1.0))}
    for name in ("observed", "target"):
        straight, seen = getattr(plain, name), getattr(mirrored, name)
        for joint, other in enumerate(H36M_17.mirror):
            torch.testing.assert_close(
                seen[..., joint, :], straight[..., other, :] * sign[seen.shape[-1]], rtol=0, atol=0
            )
    assert torch.equal(plain.target_valid, mirrored.target_valid)


def test_the_root_is_the_skeletons():
    bank = ClipBank([sequence(9, skeleton=MPI_INF_3DHP_17)], MPI_INF_3DHP_17, [])
    for mirrored in (False, True):
        target = whole(bank, 9, 3, mirrored).target
        assert float(target[..., ROOT, :].abs().max()) == 0
        others = [joint for joint in range(MPI_INF_3DHP_17.num_joints) if joint != ROOT]
        assert float(target[..., others, :].norm(dim=-1).min()) > 0.05


def test_sequences_in_other_joints_are_converted():
    ours, theirs = sequence(9), sequence(9, skeleton=MPI_INF_3DHP_17)
    expected, found = (whole(ClipBank([s], H36M_17, []), 9) for s in (ours, theirs))
    torch.testing.assert_close(found.target, expected.target)
    torch.testing.assert_close(found.observed, expected.observed)


def test_frames_that_do_not_count_are_seen_but_not_compared():
    valid = np.array([True, False, True, True])
    lost = sequence(4, valid=valid)
    lost.joints_mm[2, 3] = np.nan
    lost.keypoints_px[3, 3] = np.nan
    batch = whole(ClipBank([lost], H36M_17, []), 4, 3)
    assert batch.valid.all()
    assert batch.target_valid[0, :, 1].tolist() == [True, False, False, True]
    assert batch.target_valid[0, 0].tolist() == [False, True, False]
    assert all(part.isfinite().all() for part in batch if part.is_floating_point())


def test_labels_are_the_vocabularys():
    several = [sequence(4, action=name) for name in ("Eating", "Walking", "Origami", "Walking 1")]
    assert ClipBank(several, H36M_17, ["Walking", "Eating"]).label.tolist() == [1, 0, UNLABELLED, UNLABELLED]


def test_an_epoch_shows_each_clip_plain_and_mirrored_once():
    orders = [epoch_order(7, seed, epoch).tolist() for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert all(sorted(order) == list(range(14)) for order in orders)
    assert orders[0] == epoch_order(7, 0, 0).tolist()
    assert orders[0] != orders[1] != orders[2] != orders[0]


@pytest.mark.parametrize(("lacking", "named"), [("joints_mm", "3D"), ("keypoints_px", "2D"), ("camera", "a camera")])
def test_what_is_lacking_is_named(lacking, named):
    match = re.escape(f"walk0: training needs 2D, 3D and a camera; this sequence lacks {named}")
    with pytest.raises(ValueError, match=match):
        ClipBank([replace(sequence(4), **{lacking: None})], H36M_17, [])


def test_no_sequences_are_told():
    with pytest.raises(ValueError, match="there are no sequences to train on"):
        ClipBank([], H36M_17, [])
