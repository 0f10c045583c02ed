from dataclasses import replace

import numpy as np
import pytest
from tests.crossings import CAMERA, crossing, idf1

from dreampose3d.lifting.people import Sightings, choose_person, follow, identities, motions, prominence
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17

J = H36M_17.num_joints
BODY = np.random.default_rng(0).normal(0, 60, (J, 2))


def sightings(*paths, fps=25.0):
    """People who keep their pose, one path (N, 2) each; NaN where nobody is."""
    keypoints = np.stack([np.asarray(path, float)[:, None] + BODY for path in paths], 1).astype(np.float32)
    return Sightings("clip", fps, H36M_17, keypoints, np.isfinite(keypoints).all(-1).astype(np.float32), camera=CAMERA)


def line(start, end, frames=50, y=500.0):
    return np.stack((np.linspace(start, end, frames), np.full(frames, y)), 1)


def test_two_people_cross_and_stay_themselves():
    seen = sightings(line(300, 1500), line(1500, 300, y=520.0))
    seen.keypoints_px[24:26, 1] = np.nan  # the farther one is hidden at the crossing
    seen.keypoints_px[30:] = seen.keypoints_px[30:, ::-1].copy()  # and their order changes after it
    first, second = follow(seen)
    np.testing.assert_allclose(first.keypoints_px.mean(1), line(300, 1500) + BODY.mean(0), atol=1e-2)
    np.testing.assert_allclose(second.keypoints_px.mean(1)[[0, -1], 0], np.array((1500, 300)) + BODY.mean(0)[0], atol=1)
    assert np.isnan(second.keypoints_px[24:26]).all()
    assert (second.confidence[24:26] == 0).all()
    assert first.camera == CAMERA


@pytest.mark.parametrize("fps", [12.5, 30.0, 60.0])
@pytest.mark.parametrize("walkers", [2, 3, 4])
def test_identities_survive_crossings(walkers, fps):
    """`python -m benchmarks.identities` measures the same over many more."""
    scores = []
    for seed in range(2):
        seen, true = crossing(seed, walkers, fps, seconds=6.0)
        scores.append(idf1(true, identities(seen)))
    assert np.mean(scores) >= 0.98


def test_nothing_depends_on_the_order_of_the_people_in_a_frame():
    seen, _ = crossing(3, 3, 25.0, seconds=5.0)
    places = np.tile(np.arange(seen.confidence.shape[1]), (len(seen.confidence), 1))
    order = np.random.default_rng(1).permuted(places, axis=1)
    rows = np.arange(len(order))[:, None]
    other = replace(seen, keypoints_px=seen.keypoints_px[rows, order], confidence=seen.confidence[rows, order])
    for one, two in zip(follow(seen), follow(other), strict=True):
        np.testing.assert_array_equal(one.keypoints_px, two.keypoints_px)
        np.testing.assert_array_equal(one.time_s, two.time_s)


def test_a_short_disappearance_is_bridged_and_a_long_one_is_not():
    path = line(300, 1500, 300)
    path[100:150] = np.nan  # 2 s
    assert len(follow(sightings(path))) == 1
    path[100:210] = np.nan  # 4.4 s
    assert [len(person) for person in follow(sightings(path))] == [100, 90]


def test_a_person_is_not_joined_to_another_far_away():
    path = np.concatenate((line(300, 400), line(1500, 1600)))
    assert [len(person) for person in follow(sightings(path))] == [50, 50]


def test_who_is_seen_too_briefly_is_nobody():
    brief = np.full((100, 2), np.nan)
    brief[40:50] = line(1400, 1450, 10)
    seen = sightings(line(300, 500, 100), brief)
    assert [len(person) for person in follow(seen)] == [100]
    assert (identities(seen)[:, 1] == -1).all()
    assert len(follow(sightings(brief[40:50], line(300, 350, 10)))) == 2  # the whole of a short clip is not brief


@pytest.mark.parametrize("back", [False, True])
def test_who_left_does_not_come_back_for_a_moment(back):
    """A detector's ghost, two frames long, near enough to where somebody left and long after."""
    for frames, kept in ((2, 100), (20, 145)):
        path = np.concatenate((line(200, 100, 100), np.full((25, 2), np.nan), line(100, 100 + frames, frames)))
        (person,) = follow(sightings(path[::-1] if back else path))
        assert len(person) == kept


def test_moments_far_apart_are_nobody():
    path = np.full((200, 2), np.nan)
    path[[20, 60, 100]] = line(300, 310, 3)
    assert follow(sightings(path)) == []


def test_a_motion_spans_the_frames_that_show_the_person_and_keeps_the_clips_times():
    path = line(300, 900, 60)
    path[:20] = path[50:] = np.nan
    (person,) = follow(sightings(path))
    np.testing.assert_allclose(person.time_s, np.arange(20, 50) / 25)
    times = np.arange(60) / 25 + 0.001 * np.arange(60) ** 2
    (person,) = follow(replace(sightings(path), time_s=times))
    np.testing.assert_array_equal(person.time_s, times[20:50])


def test_the_most_prominent_comes_first():
    small = sightings(line(300, 500)).keypoints_px * 0.5
    large = sightings(line(900, 1200)).keypoints_px
    both = np.concatenate((small, large), 1)
    people = follow(replace(sightings(line(0, 1), line(0, 1)), keypoints_px=both))
    assert prominence(people[0]) == pytest.approx(2 * prominence(people[1]), rel=1e-3)
    np.testing.assert_allclose(people[0].keypoints_px, large[:, 0])


def test_known_identities_need_no_tracker():
    seen = sightings(line(300, 1500), line(1500, 300))
    person = np.tile([[1, 0]], (50, 1))
    person[10, 0] = -1
    people = {p.subject: p for p in motions(seen, person, ("ann", "bob"))}
    np.testing.assert_array_equal(people["ann"].keypoints_px, seen.keypoints_px[:, 1])
    assert np.isnan(people["bob"].keypoints_px[10]).all()


def test_nobody_at_all():
    assert follow(sightings(np.full((30, 2), np.nan))) == []
    empty = np.zeros((30, 0, J, 2), np.float32)
    assert follow(Sightings("clip", 25.0, H36M_17, empty, empty[..., 0])) == []


def test_swapped_axes_are_refused():
    keypoints = np.zeros((2, 300, J, 2), np.float32)
    with pytest.raises(ValueError, match=r"clip: expected the frames first, .* got 2 frames with 300 people: swap"):
        Sightings("clip", 25.0, H36M_17, keypoints, keypoints[..., 0])


def test_choosing():
    people = [PoseSequence(str(n), 25.0, keypoints_px=np.zeros((1, J, 2), np.float32)) for n in range(3)]
    assert choose_person(people) == people[:1]
    assert choose_person(people, "all") == people
    assert choose_person(people, 2) == people[2:]
    for number in (3, -1):
        with pytest.raises(ValueError, match=f"no person {number}; the clip shows 3, numbered 0 to 2, largest"):
            choose_person(people, number)
    with pytest.raises(ValueError, match="there is no person 1; the clip shows 1, numbered 0 only"):
        choose_person(people[:1], 1)


def test_idf1_of_known_cases():
    true = np.array([[0, 1], [0, 1], [0, 1], [0, 1]])
    assert idf1(true, 1 - true) == 1
    swapped = true.copy()
    swapped[2:] = swapped[2:, ::-1]
    assert idf1(true, swapped) == 0.5
    missed = true.copy()
    missed[:2, 1] = -1
    assert idf1(true, missed) == pytest.approx(2 * 6 / (8 + 6))
    assert idf1(true, np.full_like(true, -1)) == 0
