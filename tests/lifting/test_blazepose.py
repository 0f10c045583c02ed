"""The BlazePose runner: with networks made for the purpose, and with the real ones on a drawn person."""

import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dreampose3d.lifting.blazepose import BlazePose, Region, _anchors, _refined, _upright, litert_network
from dreampose3d.lifting.fetch import blazepose_weights
from dreampose3d.skeleton import BLAZEPOSE_33

HEIGHT, WIDTH = 300, 400
RED, BLUE = (255, 0, 0), (0, 0, 255)
"""The middle of the hips, and the point above it at the body's reach, of the people in these tests."""


def dot(frame, place, color, sigma):
    """Add a round spot of light with its middle at exactly this place (pixels from the top left corner)."""
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]] + 0.5
    light = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * sigma**2))
    frame[:] = np.maximum(frame, (light[..., None] * np.array(color)).astype(np.uint8))


def picture(*people, sigma=5.0):
    """People as pairs of spots: red at the hips, blue at the reach."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for hip, reach in people:
        dot(frame, hip, RED, sigma)
        dot(frame, reach, BLUE, sigma)
    return frame


def middle_of(light):
    """The centre of mass, in pixels from the top left corner."""
    y, x = np.mgrid[: light.shape[0], : light.shape[1]] + 0.5
    return np.array([(light * x).sum(), (light * y).sum()]) / light.sum()


class Networks:
    """Stand-ins for the two networks, which find the spots by their light."""

    def __init__(self):
        self.calls = 0
        self.blind = False
        self.visibility, self.presence = 2.0, 3.0
        self.crop = None

    def find_person(self, image):
        """Encode the brightest person as the contract has it: relative to an anchor, here the 700th."""
        self.calls += 1
        assert image.shape == (1, 224, 224, 3)
        assert image.min() >= -1
        assert image.max() <= 1
        light = (image[0] + 1) / 2
        boxes, logits = np.zeros((1, 2254, 12), np.float32), np.full((1, 2254, 1), -9, np.float32)
        if light[..., 0].max() > 0.3:
            points = np.stack((middle_of(light[..., 0]), middle_of(light[..., 2])))
            boxes[0, 700, 4:8] = (points - _anchors()[700]).ravel()
            logits[0, 700] = 4
        return {"Identity": boxes, "Identity_1": logits}

    def find_landmarks(self, image):
        """Joint 0 and the point 33 are red, joint 1 and the point 34 blue; the heatmaps have no peak."""
        assert image.shape == (1, 256, 256, 3)
        assert image.min() >= 0
        assert image.max() <= 1
        self.crop = image[0]
        points = np.zeros((39, 5), np.float32)
        seen = image[0, ..., 0].max() > 0.3 and image[0, ..., 2].max() > 0.3 and not self.blind
        if seen:
            points[[0, 33], :2], points[[1, 34], :2] = middle_of(image[0, ..., 0]), middle_of(image[0, ..., 2])
        points[:, 3:] = self.visibility, self.presence
        return {
            "Identity": points.reshape(1, 195),
            "Identity_1": np.float32([[0.9 if seen else 0.1]]),
            "Identity_3": np.full((1, 64, 64, 39), -9, np.float32),
            "Identity_4": np.tile(np.float32([0, -0.5, 0.1]), 39)[None],
        }

    def runner(self):
        return BlazePose(self.find_person, self.find_landmarks)


def test_a_person_who_moves_and_turns_is_found_once_and_followed():
    networks = Networks()
    runner = networks.runner()
    for i in range(12):
        angle = 0.25 * i
        hip = np.array([150 + 6 * i, 180 - 3 * i])
        reach = hip + 70 * np.array([math.sin(angle), -math.cos(angle)])
        keypoints, confidence = runner.detect(picture((hip, reach)))
        np.testing.assert_allclose(keypoints[0], hip, atol=0.15)  # pixels, from spots of 8-bit light
        np.testing.assert_allclose(keypoints[1], reach, atol=0.15)
        np.testing.assert_allclose(confidence, 1 / (1 + math.exp(-2)) / (1 + math.exp(-3)), rtol=1e-5)
    assert (networks.calls, runner.searches) == (1, 1)
    assert keypoints.shape == (BLAZEPOSE_33.num_joints, 2)


def test_the_person_stands_upright_in_the_middle_of_what_the_network_sees():
    networks = Networks()
    hip, reach = (200, 150), (200 + 50 * math.sin(2), 150 - 50 * math.cos(2))
    networks.runner().detect(picture((hip, reach), sigma=2))
    np.testing.assert_allclose(middle_of(networks.crop[..., 0]), (128, 128), atol=0.3)
    np.testing.assert_allclose(middle_of(networks.crop[..., 2]), (128, 128 - 256 / 2.5), atol=0.3)


def test_a_person_who_is_lost_is_looked_for_again():
    networks = Networks()
    runner = networks.runner()
    person = ((200, 150), (200, 90))
    assert runner.detect(picture(person)) is not None
    assert runner.detect(picture()) is None
    assert runner.detect(picture()) is None
    assert runner.detect(picture(person)) is not None
    assert runner.detect(picture(person)) is not None
    assert runner.searches == 4


def test_a_passer_by_does_not_take_the_place_of_a_lost_person_at_once():
    networks = Networks()
    runner = networks.runner()
    assert runner.detect(picture(((60, 250), (60, 210)))) is not None
    elsewhere = picture(((300, 100), (300, 60)))  # 283 px away, the region is 100 px wide
    seen = [runner.detect(elsewhere) is not None for _ in range(100)]
    assert seen.index(True) == pytest.approx(30 * (283 / 100 - 1), abs=3)  # frames
    assert all(seen[seen.index(True) :])
    runner.reset()
    assert runner.detect(elsewhere) is not None


def test_a_region_without_a_person_is_no_detection():
    networks = Networks()
    networks.blind = True
    assert networks.runner().detect(picture(((200, 150), (200, 90)))) is None


def test_a_clip_starts_afresh_after_a_reset():
    runner = Networks().runner()
    runner.detect(picture(((200, 150), (200, 90))))
    runner.reset()
    assert runner.searches == 0
    runner.detect(picture(((100, 150), (100, 90))))
    assert runner.searches == 1


def test_the_network_s_own_3d_is_turned_back_to_the_frame():
    """A point half a metre up the body lies half a metre to the right if the body lies to the right."""
    seen = Networks().runner().track(picture(((200, 150), (260, 150))))
    np.testing.assert_allclose(seen.world_mm[5], (500, 0, 100), atol=2)  # mm; the spots' middles are 0.1 px off
    np.testing.assert_allclose(_upright(np.float32([[0, -1, 0]]), 0.0), [[0, -1, 0]])


@pytest.mark.parametrize("angle", [0.0, 0.4, -2.9, math.pi / 2])
def test_places_in_a_region_go_to_the_frame_and_its_corners_agree_with_plain_geometry(angle):
    region = Region((130.0, 90.0), 60.0, angle)
    cos, sin = math.cos(angle), math.sin(angle)
    for (u, v), (x, y) in zip(
        [(0, 0), (256, 0), (0, 256), (128, 128)], [(-30, -30), (30, -30), (-30, 30), (0, 0)], strict=True
    ):
        expected = (130 + cos * x - sin * y, 90 + sin * x + cos * y)
        np.testing.assert_allclose(region.to_frame(np.array([u, v], float), 256), expected, atol=1e-9)


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.0])
@pytest.mark.parametrize("side", [100.0, 300.0, 900.0])
def test_what_lies_at_a_place_in_the_crop_lies_where_the_region_says_in_the_frame(side, angle):
    region = Region((210.3, 140.8), side, angle)
    place = region.to_frame(np.array([141.0, 112.0]), 256)
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    dot(frame, place, RED, sigma=5)
    np.testing.assert_allclose(middle_of(region.crop(frame, 256)[..., 0].astype(float)), (141, 112), atol=0.1)


def test_a_region_is_made_from_hip_and_reach():
    region = Region.around(np.array([10.0, 20.0]), np.array([10.0, -20.0]))
    assert (region.center_px, region.side_px, region.angle) == ((10, 20), 100, 0)
    assert Region.around(np.array([10.0, 20.0]), np.array([50.0, 20.0])).angle == pytest.approx(math.pi / 2)


def test_anchors_are_the_middles_of_cells_layer_by_layer():
    expected = [
        ((column + 0.5) * stride, (row + 0.5) * stride)
        for stride, repeats in ((8, 2), (16, 2), (32, 6))
        for row in range(224 // stride)
        for column in range(224 // stride)
        for _ in range(repeats)
    ]
    np.testing.assert_allclose(_anchors(), expected)
    assert len(expected) == 2254


def test_refining_is_the_centre_of_mass_of_seven_by_seven_cells():
    """Against a slow twin, points near the border and without a peak included."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-5, 261, (40, 2))
    heatmaps = rng.uniform(0, 1, (64, 64, 40)) ** 4
    heatmaps[..., ::5] *= 0.4
    expected = points.copy()
    for p, (x, y) in enumerate(points):
        cells = [
            (heatmaps[row, column, p], column, row)
            for row in range(math.floor(y / 4) - 3, math.floor(y / 4) + 4)
            for column in range(math.floor(x / 4) - 3, math.floor(x / 4) + 4)
            if 0 <= row < 64 and 0 <= column < 64
        ]
        if max(mass for mass, _, _ in cells) >= 0.5:
            total = sum(mass for mass, _, _ in cells)
            expected[p] = [4 * sum(cell[0] * cell[axis] for cell in cells) / total for axis in (1, 2)]
    np.testing.assert_allclose(_refined(points, heatmaps), expected, atol=1e-9)
    assert (expected != points).any(-1).sum() > 20
    assert (expected == points).all(-1).sum() >= 8


def test_without_the_extra_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ValueError, match=r'pip install "dreampose3d\[video\]"'):
        litert_network(Path("any.tflite"))


JOINTS = {
    "left_shoulder": (350, 200), "right_shoulder": (250, 200), "left_elbow": (400, 290), "right_elbow": (200, 290),
    "left_wrist": (420, 380), "right_wrist": (180, 380), "left_hip": (330, 390), "right_hip": (270, 390),
    "left_knee": (350, 530), "right_knee": (255, 530), "left_ankle": (355, 670), "right_ankle": (245, 670),
}  # fmt: skip


def drawn_person():
    """A person as one would cut it from coloured paper, 620 pixels tall, facing us."""
    image = np.full((800, 600, 3), (205, 205, 200), np.uint8)
    image[620:] = (150, 140, 125)
    skin, shirt, trousers, dark = (224, 172, 135), (40, 70, 150), (60, 60, 70), (60, 40, 30)

    def limb(start, end, width, color):
        cv2.line(image, JOINTS[start], JOINTS[end], color, width, cv2.LINE_AA)

    def oval(center, axes, color, arc=(0, 360)):
        cv2.ellipse(image, center, axes, 0, *arc, color, -1, cv2.LINE_AA)

    for side in ("left", "right"):
        limb(f"{side}_hip", f"{side}_knee", 52, trousers)
        limb(f"{side}_knee", f"{side}_ankle", 38, trousers)
        x, y = JOINTS[f"{side}_ankle"]
        oval((x + (12 if side == "left" else -12), y + 22), (28, 14), dark)
    cv2.fillConvexPoly(image, np.array([(238, 185), (362, 185), (352, 400), (248, 400)]), shirt, cv2.LINE_AA)
    for side in ("left", "right"):
        limb(f"{side}_shoulder", f"{side}_elbow", 40, shirt)
        limb(f"{side}_elbow", f"{side}_wrist", 28, skin)
        x, y = JOINTS[f"{side}_wrist"]
        oval((x, y + 18), (14, 24), skin)
    cv2.rectangle(image, (282, 150), (318, 195), skin, -1)
    oval((300, 120), (40, 54), skin)
    oval((300, 95), (44, 38), dark, (180, 360))
    for x in (284, 316):
        oval((x, 112), (8, 5), (255, 255, 255))
        oval((x, 112), (4, 4), dark)
        cv2.line(image, (x - 9, 101), (x + 9, 101), dark, 3, cv2.LINE_AA)
    oval((300, 148), (14, 5), (170, 60, 60), (0, 180))
    return cv2.GaussianBlur(image, (0, 0), 1.2)


def in_a_larger_picture(angle):
    """The drawn person turned clockwise in a picture of 1280 x 1000, and where the joints are then."""
    cos, sin = math.cos(angle), math.sin(angle)
    turn = 0.8 * np.array([[cos, -sin], [sin, cos]])
    affine = np.column_stack((turn, (700, 480) - turn @ (300, 400)))
    image = cv2.warpAffine(drawn_person(), affine, (1280, 1000), borderValue=(205, 205, 200))
    return image, {name: affine @ (*place, 1) for name, place in JOINTS.items()}


@pytest.fixture(scope="module", params=["heavy", "full"])
def real(request):
    try:
        blazepose_weights(request.param)
    except ValueError as error:
        pytest.skip(str(error))
    return BlazePose.load(request.param)


@pytest.mark.parametrize("angle", [0.0, 0.5, -0.9])
def test_the_real_networks_find_a_drawn_person(real, angle):
    real.reset()
    image, joints = in_a_larger_picture(angle)
    for _ in range(3):
        keypoints, confidence = real.detect(image)
        at = BLAZEPOSE_33.indices(*joints)
        error = np.linalg.norm(keypoints[at] - np.array(list(joints.values())), axis=-1)
        assert error.max() < 25  # of a person of 500 px; nothing is that near to its left or right partner
        assert confidence[at].min() > 0.7
    assert real.searches == 1


def test_the_real_networks_find_nobody_in_an_empty_picture(real):
    real.reset()
    assert real.detect(np.full((480, 640, 3), 128, np.uint8)) is None
