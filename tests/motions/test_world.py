"""A walk on a floor, seen by a tilted camera: contacts, up, the world, strides, and feet that stop sliding."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from tests.bodies import LENGTHS_MM, lifted

from dreampose3d.camera import Camera
from dreampose3d.motion.bones import bone_lengths
from dreampose3d.motion.contacts import FEET, contacts, runs, sliding_mm_per_s, standing
from dreampose3d.motion.planting import plant_feet
from dreampose3d.motion.strides import strides
from dreampose3d.motion.world import ANKLE_MM, find_ground
from dreampose3d.skeleton import H36M_17

FPS, STEP_S, STEP_MM, HEIGHT_MM = 50.0, 0.5, 600.0, 1400.0
UP = np.array((0.0, 0.0, 1.0))
L, R = H36M_17.indices(*FEET)


def walk(steps: int = 12, heading_degrees: float = 35.0) -> np.ndarray:
    """Joints in a world with z up, mm: each foot stands for a step, then swings for one; legs by two-bone geometry."""
    time_s = np.arange(int(steps * STEP_S * FPS)) / FPS
    joints = np.zeros((len(time_s), H36M_17.num_joints, 3))
    at = {name: joints[:, i] for i, name in enumerate(H36M_17.joints)}
    at["pelvis"][:] = np.stack((STEP_MM / STEP_S * time_s, 0 * time_s, 880 + 0 * time_s), -1)
    for name, height in (("spine", 240), ("thorax", 490), ("neck", 610), ("head", 720)):
        at[name][:] = at["pelvis"] + (0, 0, height)
    for phase, (side, aside) in enumerate((("left", 100), ("right", -100))):
        part = (time_s / STEP_S + phase) / 2 % 1  # stands in the first half of each stride
        stride = np.floor((time_s / STEP_S + phase) / 2)
        swing = np.clip(2 * part - 1, 0, 1)
        eased = swing - np.sin(2 * np.pi * swing) / (2 * np.pi)
        along = STEP_MM * (2 * (stride + eased) - phase + 0.5)
        at[f"{side}_ankle"][:] = np.stack((along, aside + 0 * along, ANKLE_MM + 120 * np.sin(np.pi * swing) ** 2), -1)
        hip = at[f"{side}_hip"]
        hip[:] = at["pelvis"] + (0, aside, 0)
        way = at[f"{side}_ankle"] - hip
        reach = np.linalg.norm(way, axis=-1, keepdims=True)
        thigh, shin = LENGTHS_MM["thigh"], LENGTHS_MM["shin"]
        cosine = ((thigh**2 + reach**2 - shin**2) / (2 * thigh * reach)).clip(-1, 1)
        ahead = np.cross(way / reach, (0, -1, 0))
        at[f"{side}_knee"][:] = hip + thigh * (cosine * way / reach + np.sqrt(1 - cosine**2) * ahead)
        for name, (out, low) in {"shoulder": (80, 490), "elbow": (100, 210), "wrist": (100, -40)}.items():
            at[f"{side}_{name}"][:] = at["pelvis"] + (0, math.copysign(abs(aside) + out, aside), low)
    turn = Rotation.from_euler("z", heading_degrees, degrees=True).as_matrix()
    return (joints - joints[:, 0].mean(0) * (1, 1, 0)) @ turn.T


def tilted(pitch_degrees: float, roll_degrees: float = 2.0) -> Camera:
    """A camera 5 m away and 1.4 m up, looking along +y and down by `pitch_degrees`."""
    level = np.array(((1, 0, 0), (0, 0, -1), (0, 1, 0)), float)  # world to camera
    tilt = Rotation.from_euler("xz", (-pitch_degrees, roll_degrees), degrees=True).as_matrix()
    camera = Camera.from_fov((1000, 1000), 60.0)
    return replace(camera, rotation=tuple(map(tuple, (tilt @ level).tolist())), position_mm=(0, -5000, HEIGHT_MM))


def filmed(joints: np.ndarray, camera: Camera):
    """The walk in the camera's frame, by a camera that does not know its pose."""
    lens = replace(camera, rotation=Camera.from_fov((9, 9)).rotation, position_mm=(0, 0, 0))
    return lifted(camera.to_camera(torch.from_numpy(joints)).numpy(), FPS, lens)


def off_by_degrees(a, b) -> float:
    return math.degrees(math.acos(min(1.0, float(np.dot(a, b)))))


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (12.0, 2.0), (25.0, -5.0), (-10.0, 3.0)])
def test_up_and_floor_are_found_whatever_the_tilt(pitch, roll):
    camera = tilted(pitch, roll)
    ground = find_ground([filmed(walk(), camera)])
    assert off_by_degrees(ground.up, camera.up) < 3  # a straight walk says little about the slope across it
    assert abs(ground.camera_height_mm - HEIGHT_MM) < 200  # 5 m away
    assert "contacts of feet" in ground.source


def test_the_world_is_upright_metric_and_stands_on_its_floor():
    joints = walk()
    motion = filmed(joints, tilted(12))
    posed = find_ground([motion]).pose(motion.camera)
    assert posed.posed
    world = posed.to_world(torch.from_numpy(motion.joints_mm)).numpy()
    np.testing.assert_allclose(bone_lengths(world, H36M_17), bone_lengths(joints, H36M_17), atol=0.1)
    assert abs(world[:, [L, R], 2].min() - ANKLE_MM) < 60
    assert world[:, H36M_17.index("head"), 2].min() > 1500
    assert np.linalg.det(np.array(posed.rotation)) == pytest.approx(1)
    np.testing.assert_allclose(posed.to_world(torch.zeros(1, 3)).numpy(), [(0, 0, posed.position_mm[2])], atol=1e-3)
    assert world[:, 0, 1].mean() > 4000  # y is ahead of the camera
    forward = posed.to_world(torch.tensor([[0.0, 0, 1]])).numpy()[0]
    assert abs(forward[0]) < 1e-6


def test_a_camera_that_looks_straight_down_still_has_a_world():
    ground = find_ground([filmed(walk(), tilted(90, 0))], up=(0, 0, -1), camera_height_m=3)
    posed = ground.pose(Camera.from_fov((9, 9)))
    np.testing.assert_allclose(posed.to_world(torch.tensor([[0.0, -1, 0]])).numpy(), [(0, 1, 3000)], atol=1e-3)
    assert np.linalg.det(np.array(posed.rotation)) == pytest.approx(1)


def test_what_is_known_is_not_estimated():
    motion = filmed(walk(), tilted(12))
    assert find_ground([motion], up=(0, -2, 0)).up == pytest.approx((0, -1, 0))
    assert find_ground([motion], camera_height_m=1.5).camera_height_mm == pytest.approx(1500)
    calibrated = replace(motion, camera=tilted(12))
    assert find_ground([calibrated]).up == pytest.approx(tilted(12).up, abs=1e-6)
    assert abs(find_ground([calibrated]).camera_height_mm - HEIGHT_MM) < 10


def test_everybody_shares_one_floor():
    camera = tilted(12)
    both = find_ground([filmed(walk(), camera), filmed(walk(heading_degrees=-60) + np.array((300, 900, 0)), camera)])
    assert off_by_degrees(both.up, camera.up) < 1


def test_a_body_that_never_stands_has_the_floor_below_its_lowest_ankle():
    flying = walk()[:40] + np.arange(40)[:, None, None] * np.array((60.0, 0, 0))
    ground = find_ground([filmed(flying, tilted(0, 0))])
    assert "no foot stands" in ground.source
    assert abs(ground.camera_height_mm - HEIGHT_MM) < 20


def test_contacts_are_the_steps():
    joints = walk()
    time_s = np.arange(len(joints)) / FPS
    stands = standing(joints, time_s, H36M_17, UP)
    found = contacts(joints, stands, H36M_17)
    inner = [c for c in found if c.start > 0 and c.stop < len(joints)]
    assert len(inner) == 10
    for contact in inner:
        assert (contact.stop - contact.start) / FPS == pytest.approx(STEP_S, abs=0.2)
        assert contact.position_mm[2] == pytest.approx(ANKLE_MM, abs=5)
    assert [c.foot for c in inner] == [("left_ankle", "right_ankle")[i % 2] for i in range(1, 11)] or [
        c.foot for c in inner
    ] == [("left_ankle", "right_ankle")[i % 2] for i in range(10)]


def test_strides_have_their_length():
    joints = walk()
    time_s = np.arange(len(joints)) / FPS
    found = contacts(joints, standing(joints, time_s, H36M_17, UP), H36M_17)
    lengths = strides(found, time_s, UP, 1800.0)
    assert len(lengths) >= 8
    for stride in lengths:
        assert stride.length_mm == pytest.approx(2 * STEP_MM, abs=20)
        assert stride.length_percent_of_height == pytest.approx(stride.length_mm / 18)
        assert stride.stop_s > stride.start_s
    assert [s.start_s for s in lengths] == sorted(s.start_s for s in lengths)
    with pytest.raises(ValueError, match="expected a positive body height in mm, got 0"):
        strides(found, time_s, UP, 0)


def test_planted_feet_stand_still_and_nothing_else_breaks():
    """Depth that drifts and joints that jitter by 8 mm slide the feet; planting takes 90 % of it away."""
    clean = walk()
    rng = np.random.default_rng(0)
    time_s = np.arange(len(clean)) / FPS
    drift = 60 * np.sin(3 * time_s)[:, None, None] * np.array((0.0, 1.0, 0.0))
    joints = clean + drift + rng.normal(0, 8, clean.shape)
    stands = standing(clean, time_s, H36M_17, UP)
    found = contacts(joints, stands, H36M_17)
    planted = plant_feet(joints, found, time_s, H36M_17)
    before, after = (sliding_mm_per_s(x, time_s, stands, H36M_17, UP) for x in (joints, planted))
    assert before > 300
    assert after < 0.1 * before  # late in a stance the leg is out of reach
    np.testing.assert_allclose(bone_lengths(planted, H36M_17), bone_lengths(joints, H36M_17), atol=1e-6)
    pose = [x - x[:, :1] for x in (joints, planted)]
    assert np.abs(pose[0] - pose[1])[:, [j for j in range(17) if "k" not in H36M_17.joints[j]]].max() < 1e-6
    assert np.linalg.norm(planted - joints, axis=-1).max() < 200
    assert plant_feet(joints, [], time_s, H36M_17) is joints


def test_feet_that_stand_still_already_are_left_alone():
    joints = walk()
    time_s = np.arange(len(joints)) / FPS
    stands = np.zeros((len(joints), 2), bool)
    for foot, column in ((L, 0), (R, 1)):
        stands[1:, column] = np.linalg.norm(np.diff(joints[:, foot], axis=0), axis=-1) < 1e-9
    assert sliding_mm_per_s(joints, time_s, stands, H36M_17, UP) < 1e-6
    planted = plant_feet(joints, contacts(joints, stands, H36M_17), time_s, H36M_17)
    np.testing.assert_allclose(planted, joints, atol=1e-3)


def test_runs_and_clips_without_contacts():
    assert list(runs(np.array([True, False, True, True]))) == [(0, 1), (2, 4)]
    assert list(runs(np.zeros(3, bool))) == []
    short = walk()[:2]
    assert not standing(short, np.arange(2) / FPS, H36M_17, UP).any()
    assert math.isnan(sliding_mm_per_s(short, np.arange(2) / FPS, np.zeros((2, 2), bool), H36M_17, UP))


def test_bad_input_is_refused():
    motion = filmed(walk(4), tilted(5))
    with pytest.raises(ValueError, match="expected at least one person to find the ground by"):
        find_ground([])
    for up in ((0.0, 0.0, 0.0), (0.0, math.nan, 1.0)):
        with pytest.raises(ValueError, match="expected --up as a direction in the camera's axes"):
            find_ground([motion], up=up)
    for height in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match="expected --floor as the camera's height above the floor in metres"):
            find_ground([motion], camera_height_m=height)
