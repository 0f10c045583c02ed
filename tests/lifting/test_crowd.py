"""Everyone in a frame, with a BlazePose that knows where people are."""

import numpy as np
import pytest

from dreampose3d.lifting.blazepose import BlazePose, Landmarks, Region
from dreampose3d.lifting.crowd import Crowd, _squares, see_everyone
from dreampose3d.lifting.people import follow
from dreampose3d.skeleton import BLAZEPOSE_33

SIDE = 100.0
FRAME = np.zeros((300, 700, 3), np.uint8)
SHAPE = np.random.default_rng(0).normal(0, 20, (33, 2))
"""A body, in pixels from its middle."""


class Knowing(BlazePose):
    """Sees those people who stand in `places`, by a detector that names each twice and is blind in wide squares."""

    def __init__(self):
        super().__init__(lambda image: {}, lambda image: {}, "knowing")
        self.places, self.detector_sees, self.searched = [], True, 0

    def people(self, frame_rgb, square):
        self.searched += 1
        if not self.detector_sees or square.side_px > 400:
            return []
        near = [p for p in self.places if max(abs(np.subtract(p, square.center_px))) < square.side_px / 2]
        return [Region((x + shift, y), SIDE) for x, y in near for shift in (0.0, 8.0)]

    def landmarks(self, frame_rgb, region):
        near = [p for p in self.places if np.hypot(*np.subtract(p, region.center_px)) < region.side_px / 2]
        if not near:
            return None
        place = min(near, key=lambda p: np.hypot(*np.subtract(p, region.center_px)))
        keypoints = (SHAPE + place).astype(np.float32)
        return Landmarks(keypoints, np.full(33, 0.9), np.zeros((33, 3)), 0.9, Region(place, SIDE))


@pytest.fixture
def pose():
    return Knowing()


def middles(people):
    return sorted(tuple(np.round(keypoints.mean(0) - SHAPE.mean(0)).astype(int)) for keypoints, _ in people)


def test_everyone_is_found_once_though_squares_overlap_and_the_detector_repeats_itself(pose):
    pose.places = [(60.0, 150.0), (340.0, 150.0), (620.0, 160.0)]
    crowd = Crowd(pose)
    assert middles(crowd.detect_people(FRAME)) == [(60, 150), (340, 150), (620, 160)]
    assert crowd.skeleton is BLAZEPOSE_33
    assert crowd.name == "knowing, everyone"


def test_people_are_followed_between_searches(pose):
    pose.places = [(100.0, 150.0), (400.0, 150.0)]
    crowd = Crowd(pose)
    crowd.detect_people(FRAME)
    searched, pose.detector_sees = pose.searched, False
    for step in range(1, 9):
        pose.places = [(100.0 + 20 * step, 150.0), (400.0, 150.0)]
        assert middles(crowd.detect_people(FRAME)) == [(100 + 20 * step, 150), (400, 150)]
    assert pose.searched == searched


def test_a_newcomer_is_found_at_the_next_search_and_a_lost_person_sought_at_once(pose):
    pose.places = [(100.0, 150.0)]
    crowd = Crowd(pose)
    crowd.detect_people(FRAME)
    pose.places = [(100.0, 150.0), (500.0, 150.0)]
    found = [len(crowd.detect_people(FRAME)) for _ in range(10)]
    assert found == [1] * 9 + [2]
    pose.places = [(300.0, 150.0), (500.0, 150.0)]  # the first one jumps: lost, and found again in the same frame
    assert middles(crowd.detect_people(FRAME)) == [(300, 150), (500, 150)]


def test_two_regions_that_end_on_one_person_become_one(pose):
    pose.places = [(200.0, 150.0), (280.0, 150.0)]
    crowd = Crowd(pose)
    assert len(crowd.detect_people(FRAME)) == 2
    pose.places = [(240.0, 150.0)]
    assert middles(crowd.detect_people(FRAME)) == [(240, 150)]


def test_nobody_and_a_reset(pose):
    crowd = Crowd(pose)
    assert crowd.detect_people(FRAME) == []
    pose.places = [(100.0, 150.0)]
    assert crowd.detect_people(FRAME) == []  # the next search comes later
    crowd.reset()
    assert len(crowd.detect_people(FRAME)) == 1


@pytest.mark.parametrize(
    ("width", "height", "count"), [(1000, 1000, 1), (1920, 1080, 3), (1080, 1920, 3), (700, 300, 4)]
)
def test_squares_cover_the_frame_and_overlap_by_half(width, height, count):
    whole, *squares = _squares(width, height)
    assert whole == Region((width / 2, height / 2), max(width, height))
    assert len(squares) == (0 if count == 1 else count)
    if squares:
        axis = 0 if width > height else 1
        middles = [square.center_px[axis] for square in squares]
        side = min(width, height)
        assert (middles[0], middles[-1]) == (side / 2, max(width, height) - side / 2)
        assert max(np.diff(middles)) <= side / 2
        assert {square.side_px for square in squares} == {side}


def test_a_video_becomes_one_motion_a_person(pose, tmp_path):
    """Two people who walk past each other's places; the second is there for the last two thirds."""
    pytest.importorskip("av", reason="needs the extra video")
    from dreampose3d.viewer.mp4 import mp4_writer

    with mp4_writer(tmp_path / "two.mp4", FRAME.shape[1::-1], 30.0, quality=30) as write:
        for frame in range(30):
            write(frame / 30, FRAME)

    class Walking(Crowd):
        def detect_people(self, frame_rgb):
            self.shown = getattr(self, "shown", -1) + 1
            pose.places = [(100.0 + 4 * self.shown, 150.0)] + [(600.0 - 4 * self.shown, 100.0)] * (self.shown >= 10)
            return super().detect_people(frame_rgb)

    seen = see_everyone(tmp_path / "two.mp4", Walking(pose))
    assert seen.keypoints_px.shape == (30, 2, 33, 2)
    assert np.isnan(seen.keypoints_px[5, 1]).all()
    assert seen.camera.assumed
    people = follow(seen)
    assert [len(person) for person in people] == [30, 20]
    assert [person.time_s[0] for person in people] == pytest.approx([0, 1 / 3])
    walked = people[0].keypoints_px[:, 0, 0] - SHAPE[0, 0]
    np.testing.assert_allclose(walked, 100 + 4 * np.arange(30), atol=1e-3)
    pose.places = []
    with pytest.raises(ValueError, match="no person found in any of its 30 frames"):
        see_everyone(tmp_path / "two.mp4", Crowd(pose))
