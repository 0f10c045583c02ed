from dataclasses import replace

import numpy as np
import pytest

from dreampose3d.lifting.plausibility import check_skeleton, implausibility, is_refused
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import BLAZEPOSE_33, COCO_17, H36M_17, MPI_INF_3DHP_17

FPS = 25.0
SKELETONS = (H36M_17, COCO_17, MPI_INF_3DHP_17)
# A standing man: x to his left, y down, z to his front, mm from the middle of his hips.
BODY = {
    "pelvis": (0, 0, 0), "spine": (0, -240, -20), "thorax": (0, -490, 0), "neck": (0, -600, 30), "head": (0, -720, 20),
    "nose": (0, -640, 120), "eye": (32, -680, 100), "ear": (75, -660, 20),
    "hip": (110, 0, 0), "knee": (120, 430, 20), "ankle": (125, 860, 0),
    "shoulder": (170, -480, 0), "elbow": (230, -200, -10), "wrist": (250, 40, 60),
}  # fmt: skip
RENAMED = {MPI_INF_3DHP_17: {"head_top": "head", "neck": "thorax", "head": "neck"}}


def walk(skeleton, heading=0.5, frames=50):
    """Pixels of a man who swings his arms and legs, seen from 4 m away."""
    phase = np.sin(2 * np.pi * np.arange(frames) / FPS)
    joints = []
    for name in skeleton.joints:
        side, _, part = name.rpartition("_")
        key = RENAMED.get(skeleton, {}).get(name, part if side in ("left", "right") else name)
        place = np.array(BODY[key], float) * ((-1, 1, 1) if side == "right" else (1, 1, 1))
        swing = {"knee": 250, "ankle": 450, "elbow": -150, "wrist": -400}.get(key, 0) * (1 if side == "left" else -1)
        joints.append(place + phase[:, None] * (0, 0, swing))
    x, y, z = np.moveaxis(np.stack(joints, 1), -1, 0)
    x, z = np.cos(heading) * x + np.sin(heading) * z, np.cos(heading) * z - np.sin(heading) * x
    return np.stack((-x, y), -1) / (4000 - z)[..., None] * 1000 + (500, 400)


def sequence(keypoints, skeleton):
    return PoseSequence("clip", FPS, skeleton, keypoints_px=keypoints.astype(np.float32))


@pytest.mark.parametrize("heading", [0.0, 0.5, 1.5, 3.0])
@pytest.mark.parametrize("told", SKELETONS, ids=lambda s: s.name)
@pytest.mark.parametrize("true", SKELETONS, ids=lambda s: s.name)
def test_a_wrong_skeleton_is_refused_with_the_right_ones_name(true, told, heading):
    clip = sequence(walk(true, heading), told)
    if true == told:
        check_skeleton(clip)
        check_skeleton(sequence(walk(true, heading, frames=1), told))
    else:
        with pytest.raises(ValueError, match=f"clip: this looks like {true.name}, not .* --skeleton {true.name}"):
            check_skeleton(clip)


@pytest.mark.parametrize("true", SKELETONS, ids=lambda s: s.name)
def test_scale_place_mirror_and_turning_over_change_nothing(true):
    keypoints = walk(true)
    score = implausibility(keypoints, true)
    for same in (keypoints * 0.1 + 40, keypoints * (-1, 1), keypoints * (1, -1), keypoints[..., ::-1], keypoints[::-1]):
        assert implausibility(same, true) == pytest.approx(score, rel=1e-9)


def test_missing_joints_and_frames_are_no_reason():
    rng, keypoints = np.random.default_rng(0), walk(COCO_17)
    keypoints[rng.random(keypoints.shape[:2]) < 0.3] = np.nan
    keypoints[10:20] = np.nan
    keypoints[20, 1:] = np.nan
    check_skeleton(sequence(keypoints, COCO_17))
    with pytest.raises(ValueError, match="looks like coco_17, not h36m_17"):
        check_skeleton(sequence(keypoints, H36M_17))


@pytest.mark.filterwarnings("ignore:clip. the head is below")
def test_where_too_little_is_seen_nothing_is_said():
    keypoints = walk(COCO_17)
    keypoints[:, 5:] = np.nan  # a face
    assert implausibility(keypoints, COCO_17) == np.inf
    legless = walk(COCO_17)
    legless[:, COCO_17.indices("left_knee", "left_ankle", "right_knee", "right_ankle")] = np.nan
    for told in SKELETONS:
        check_skeleton(sequence(keypoints, told))
        check_skeleton(sequence(legless, told))  # in some orders upside down
    check_skeleton(sequence(np.full((3, COCO_17.num_joints, 2), 7.0), COCO_17))  # all in one place


@pytest.mark.parametrize("told", SKELETONS, ids=lambda s: s.name)
def test_what_is_no_body_in_any_order_is_not_refused(told):
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(500, 100, (5, told.num_joints, 2))
        check_skeleton(sequence(noise, told))


def test_a_skeleton_without_rivals_is_not_compared():
    check_skeleton(sequence(np.random.default_rng(0).normal(500, 100, (5, BLAZEPOSE_33.num_joints, 2)), BLAZEPOSE_33))


def test_a_sequence_without_keypoints_passes():
    joints = np.zeros((3, H36M_17.num_joints, 3), np.float32)
    check_skeleton(PoseSequence("clip", FPS, joints_mm=joints))


def test_a_long_clip_is_looked_at_here_and_there():
    keypoints = np.tile(walk(H36M_17), (400, 1, 1))
    check_skeleton(sequence(keypoints, H36M_17))
    with pytest.raises(ValueError, match="looks like h36m_17"):
        check_skeleton(sequence(keypoints, COCO_17))


@pytest.mark.parametrize(
    ("own", "rival", "refused"),
    [(5, 1, True), (1.5, 1, False), (5, 4.5, False), (9, 3.5, False), (np.inf, 1, False), (np.inf, np.inf, False)],
)
def test_when_in_doubt_the_user_is_right(own, rival, refused):
    assert is_refused(float(own), float(rival)) is refused


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda s: s.name)
def test_y_upwards_is_warned_of_in_a_clip_of_a_second_or_more(skeleton):
    upward = (0, 1080) + walk(skeleton) * (1, -1)
    with pytest.warns(UserWarning, match="clip: the head is below the feet in nearly every frame.* write height - y"):
        check_skeleton(sequence(upward, skeleton))
    check_skeleton(sequence(upward[:20], skeleton))


def test_a_handstand_in_a_longer_clip_is_not_warned_of():
    keypoints = walk(H36M_17)
    keypoints[:40] = (0, 1080) + keypoints[:40] * (1, -1)
    check_skeleton(sequence(keypoints, H36M_17))


def test_a_clip_in_which_head_or_feet_are_never_seen_is_not_upside_down():
    keypoints = walk(H36M_17) * (1, -1)
    keypoints[:, H36M_17.index("head")] = np.nan
    check_skeleton(replace(sequence(keypoints, H36M_17), fps=1.0))
