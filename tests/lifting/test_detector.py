"""From a video to keypoints, with detectors made for the purpose."""

import sys
import types
from fractions import Fraction

import av
import numpy as np
import pytest

from dreampose3d.lifting.detector import detect_video, get_detector
from dreampose3d.lifting.rtmpose import RTMPose
from dreampose3d.skeleton import COCO_17

HEIGHT, WIDTH = 64, 96


class BrightSpot:
    """Puts all joints on the brightest pixel; a dark picture shows nobody."""

    name = "bright spot"
    skeleton = COCO_17

    def __init__(self):
        self.resets = 0

    def reset(self):
        self.resets += 1

    def detect(self, frame_rgb):
        light = frame_rgb.mean(-1)
        if light.max() < 100:
            return None
        row, column = np.unravel_index(light.argmax(), light.shape)
        keypoints = np.tile(np.float32([column + 0.5, row + 0.5]), (COCO_17.num_joints, 1))
        keypoints[0] = np.nan
        return keypoints, np.full(COCO_17.num_joints, 1.5, np.float32)


@pytest.fixture
def clip(tmp_path):
    """A white square that moves right by 4 pixels a frame, at 25 fps; frame 3 is black."""
    path = tmp_path / "spot.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"threads": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(10):
            rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            if i != 3:
                rgb[20:28, 8 + 4 * i : 16 + 4 * i] = 255
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_video_becomes_a_sequence_with_gaps_where_nobody_is_seen(clip):
    detector, told = BrightSpot(), []
    found = detect_video(clip, detector, progress=lambda done, of: told.append((done, of)))
    motion = found.sequence
    assert (found.size_px, found.detector, detector.resets) == ((WIDTH, HEIGHT), "bright spot", 1)
    assert (motion.name, motion.fps, motion.skeleton, len(motion)) == ("spot", 25, COCO_17, 10)
    np.testing.assert_allclose(motion.times, np.arange(10) / 25, atol=1e-6)
    assert told == [(i, 10) for i in range(1, 11)]
    seen = np.isfinite(motion.keypoints_px[:, 1]).all(-1)
    assert list(np.flatnonzero(~seen)) == [3]
    np.testing.assert_array_equal(motion.confidence[:, 1], np.where(seen, 1, 0))  # within [0, 1], whatever is claimed
    np.testing.assert_array_equal(motion.confidence[:, 0], 0)  # no position, no confidence
    np.testing.assert_allclose(motion.keypoints_px[seen, 1, 0], 8 + 4 * np.arange(10)[seen] + 4, atol=4)


def test_slow_motion_is_told_the_rate_at_which_it_was_filmed(clip):
    motion = detect_video(clip, BrightSpot(), fps=250).sequence
    assert motion.fps == 250
    np.testing.assert_allclose(motion.times, np.arange(10) / 250, atol=1e-6)


def test_a_video_without_a_person_is_refused(clip):
    detector = BrightSpot()
    detector.detect = lambda frame_rgb: None
    with pytest.raises(ValueError, match=r"spot\.mp4: no person found in any of its 10 frames"):
        detect_video(clip, detector)


@pytest.mark.parametrize("fps", [0, -25, float("nan")])
def test_a_rate_that_is_none_is_refused(clip, fps):
    with pytest.raises(ValueError, match="expected a positive frame rate"):
        detect_video(clip, BrightSpot(), fps=fps)


def test_an_unknown_detector_is_refused():
    with pytest.raises(ValueError, match="unknown detector 'openpose'; known are blazepose, rtmpose"):
        get_detector("openpose")


def test_missing_weights_name_the_command_that_gets_them(monkeypatch, tmp_path):
    monkeypatch.setenv("DREAMPOSE3D_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="dreampose3d fetch blazepose"):
        get_detector()


def test_rtmpose_without_its_extra_names_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    with pytest.raises(ValueError, match=r'pip install "dreampose3d\[rtmpose\]"'):
        get_detector("rtmpose")


def test_rtmpose_that_cannot_get_its_weights_says_so(monkeypatch):
    def offline(**options):
        raise ConnectionError("no route")

    monkeypatch.setitem(sys.modules, "rtmlib", types.SimpleNamespace(Body=offline))
    with pytest.raises(ValueError, match=r"could not get the weights of RTMPose \(no route\).* or use blazepose"):
        get_detector("rtmpose")


def _person(x, height):
    """17 joints in a column."""
    return np.stack((np.full(17, float(x)), np.linspace(0, height, 17)), -1) + np.arange(17)[:, None] % 3


def test_rtmpose_takes_the_largest_person_and_then_follows_that_one():
    frames = iter(
        [
            ([_person(20, 50), _person(60, 90)], [0.9, 0.8]),
            ([_person(63, 80), _person(20, 95)], [0.8, 0.9]),  # the other comes nearer
            ([_person(66, 80), _person(65, 80)], [0.1, 1.2]),  # the nearest is too uncertain to be one
            ([_person(66, 80)], [0.1]),
        ]
    )

    def find(frame_bgr):
        assert tuple(frame_bgr[0, 0]) == (3, 2, 1), "rtmlib takes blue first"
        people, scores = next(frames)
        return np.stack(people), np.repeat(np.array(scores)[:, None], 17, 1)

    detector = RTMPose(find)
    image = np.broadcast_to(np.uint8([1, 2, 3]), (HEIGHT, WIDTH, 3))
    seen = [detector.detect(image) for _ in range(4)]
    assert [one[0][0, 0] for one in seen[:3]] == [60, 63, 65]
    assert seen[2][1].max() == 1
    assert seen[3] is None
    detector.reset()
    frames = iter([([_person(66, 10), _person(20, 95)], [0.9, 0.9])])
    assert detector.detect(image)[0][0, 0] == 20
