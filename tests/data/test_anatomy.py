import math
from itertools import pairwise

import pytest
import torch
from scipy.spatial.transform import Rotation
from tests.motion import STANDING_MM

from dreampose3d.data.anatomy import HUMAN, ball_axes, illegal, legal_bones, to_direction, to_point
from dreampose3d.data.body import rotation, swing, to_bones
from dreampose3d.skeleton import H36M_17

J = H36M_17.index


@pytest.fixture
def standing():
    """One frame: vectors from the parent of somebody who stands and faces +y, so that left is -x."""
    return to_bones(torch.from_numpy(STANDING_MM), H36M_17)[None, None]


def turned(bones, joint, degrees, axis):
    """A joint's bone, and all that hangs on it, turned about an axis of the world."""
    bones = bones.clone()
    part = list(H36M_17.subtree(joint))
    turn = rotation(math.radians(degrees) * torch.tensor(axis, dtype=bones.dtype))
    bones[:, :, part] = bones[:, :, part] @ turn.T
    return bones


def angle(one, other):
    return math.degrees(float(torch.nn.functional.cosine_similarity(one, other, dim=-1).clamp(-1, 1).acos()))


def test_whoever_stands_is_left_alone(standing):
    assert not illegal(standing).any()
    torch.testing.assert_close(legal_bones(standing), standing, atol=1e-6, rtol=0)


X, Y, Z = (1, 0, 0), (0, 1, 0), (0, 0, 1)


@pytest.mark.parametrize(
    ("joint", "degrees", "axis"),
    [
        ("left_ankle", 50, X), ("right_ankle", 50, X),  # knees bent forwards: the foot goes to +y
        ("left_wrist", -90, X), ("right_wrist", -90, X),  # elbows bent backwards
        ("left_ankle", -170, X),  # a heel through the thigh
        ("left_knee", -80, X), ("right_knee", -80, X),  # legs stretched far behind the body
        ("right_knee", -115, Y),  # a leg straight out and higher
        ("left_elbow", -120, X),  # an arm raised backwards
        ("neck", 90, X), ("neck", 70, Y), ("thorax", -80, Y), ("thorax", 90, Z),
    ],
)  # fmt: skip
def test_what_no_body_does_is_told_and_drawn_back(joint, degrees, axis, standing):
    bones = turned(standing, joint, degrees, axis)
    assert illegal(bones).any()
    made = legal_bones(bones)
    assert not illegal(made, tolerance_degrees=0.5).any()
    torch.testing.assert_close(made.norm(dim=-1), bones.norm(dim=-1), atol=1e-6, rtol=0)
    if not joint.startswith("thorax"):  # it has hardly more to do with what is not wrong
        part = set(H36M_17.subtree(joint))
        rest = [j for j in range(H36M_17.num_joints) if j not in part]
        torch.testing.assert_close(made[:, :, rest], bones[:, :, rest], atol=1e-6, rtol=0)
    again = legal_bones(made)
    assert float((again - made).norm(dim=-1).max()) < 30, "mm: what is drawn back hardly moves again"


@pytest.mark.parametrize(
    ("joint", "degrees", "axis"),
    [
        ("left_ankle", -120, X), ("left_wrist", 130, X), ("left_knee", 110, X), ("right_knee", 35, Y),
        ("left_elbow", 170, X), ("right_elbow", -90, Y), ("thorax", -60, X), ("thorax", 40, Z), ("neck", -20, X),
    ],
)  # fmt: skip
def test_what_a_body_does_stays(joint, degrees, axis, standing):
    """A heel to the seat, a hand to the shoulder, a high knee, a leg aside, arms up and aside, a bow, a turn, a nod."""
    assert not illegal(turned(standing, joint, degrees, axis)).any()


def test_a_body_may_lie_or_stand_on_its_head(standing):
    """Only the body's own axes count."""
    bones = turned(standing, "left_ankle", 50, X)
    turn = torch.from_numpy(Rotation.random(20, random_state=0).as_matrix())[:, None]
    lying = bones @ turn.transpose(-1, -2)
    torch.testing.assert_close(legal_bones(lying), legal_bones(bones) @ turn.transpose(-1, -2), atol=1e-6, rtol=0)


def test_left_and_right_have_the_same_ranges(standing):
    mirror, flip = torch.from_numpy(H36M_17.mirror), torch.tensor([-1.0, 1, 1]).double()
    for joint in ("left_ankle", "left_wrist", "left_knee", "left_elbow"):
        for axis in (X, Y, Z):
            bones = turned(standing, joint, 100, axis)
            seen = bones[:, :, mirror] * flip
            torch.testing.assert_close(legal_bones(seen), legal_bones(bones)[:, :, mirror] * flip, atol=1e-6, rtol=0)


def test_a_motion_into_an_edge_does_not_jump(standing):
    """A knee that swings from 60 degrees flexed to 60 forwards: a degree a frame in, never more than two out."""
    frames = [turned(standing, "left_ankle", degrees, X) for degrees in range(-60, 61)]
    made = legal_bones(torch.cat(frames, 1))[0, :, J("left_ankle")]
    steps = [angle(a, b) for a, b in pairwise(made)]
    assert max(steps) < 2
    assert max(abs(b - a) for a, b in pairwise(steps)) < 1.05


def test_points_are_directions():
    directions = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    for ball in HUMAN.balls:
        for side in ("left_", "right_"):
            axes = ball_axes(ball, directions, side)
            torch.testing.assert_close(axes @ axes.T, torch.eye(3), atol=1e-6, rtol=0)
            torch.testing.assert_close(to_direction(to_point(directions, axes), axes), directions, atol=1e-5, rtol=0)
            assert float(to_point(axes[2], axes).norm()) < 1e-6


def test_a_swing_is_the_shortest_turn():
    a, b = (torch.nn.functional.normalize(torch.randn(40, 3).double(), dim=-1) for _ in range(2))
    turn = swing(a, b)
    torch.testing.assert_close((turn @ a[..., None])[..., 0], b)
    found = torch.from_numpy(Rotation.from_matrix(turn.numpy()).magnitude())
    torch.testing.assert_close(found, (a * b).sum(-1).acos())
