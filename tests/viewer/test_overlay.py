from dataclasses import replace

import numpy as np
import pytest
import torch

from dreampose3d.camera import Camera
from dreampose3d.viewer.mp4 import frames_of, mp4_writer
from dreampose3d.viewer.overlay import write_overlay
from dreampose3d.viewer.page import read_page, unpack, write_page

av = pytest.importorskip("av", reason="needs the extra video")
pytest.importorskip("cv2", reason="needs the extra video")

_GREY = 90


def _decode(path):
    """Times, rate and pictures of an mp4."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        return [f.time for f in frames], float(stream.average_rate), [f.to_ndarray(format="rgb24") for f in frames]


def _clip(path, time_s, size_px):
    """A grey clip whose brightness tells the frame."""
    with mp4_writer(path, size_px, 30.0, quality=10) as write:
        for i, t in enumerate(time_s):
            write(float(t), np.full((size_px[1], size_px[0], 3), _GREY + 2 * i, np.uint8))
    return path


def _pixels(motion, frame, joint):
    return motion.camera.project(torch.from_numpy(motion.joints_mm[frame, motion.skeleton.index(joint)])).numpy()


def _middle_of_bone(picture, motion, frame, joint, parent):
    """The colour painted there: red, green, blue."""
    x, y = np.round((_pixels(motion, frame, joint) + _pixels(motion, frame, parent)) / 2).astype(int)
    return picture[y, x].astype(int)


def _without_2d(motion):
    return replace(motion, keypoints_px=np.full_like(motion.keypoints_px, np.nan))


def test_overlay_without_video_paints_each_frame_on_a_dark_ground(make_walk, tmp_path):
    motion = _without_2d(make_walk(12))
    write_overlay(motion, tmp_path / "walk.mp4")
    times, rate, pictures = _decode(tmp_path / "walk.mp4")
    np.testing.assert_allclose(times, motion.time_s, atol=1e-4)
    assert (rate, pictures[0].shape) == (pytest.approx(30), (480, 640, 3))
    for frame in (0, 11):
        red, _, blue = _middle_of_bone(pictures[frame], motion, frame, "left_knee", "left_hip")
        assert blue > red + 60  # left is blue
        red, _, blue = _middle_of_bone(pictures[frame], motion, frame, "right_knee", "right_hip")
        assert red > blue + 60  # right is orange
        assert pictures[frame][5:100].max() < 60  # nothing where nobody is
        assert pictures[frame][440:475, :200].max() > 200  # the caption


def test_confidence_is_opacity_and_missing_points_are_not_drawn(make_walk, tmp_path):
    motion = make_walk(3)
    away = np.full_like(motion.root_mm, -1e7)  # behind the camera: the 3D skeleton cannot be seen
    shown = [1.0, 0.4, 0.0]
    confidence = np.repeat(np.array(shown)[:, None], motion.skeleton.num_joints, 1)
    keypoints = np.where(confidence[..., None] > 0, motion.keypoints_px, np.nan)
    hidden = replace(motion, root_mm=away, keypoints_px=keypoints, confidence=confidence)
    write_overlay(replace(hidden, intent_names=()), tmp_path / "2d.mp4")
    pictures = _decode(tmp_path / "2d.mp4")[2]
    bright = [int(_middle_of_bone(pictures[i], motion, i, "left_knee", "left_hip").mean()) for i in range(3)]
    assert bright[0] > 180 > bright[1] > 60 > 40 > bright[2]
    assert pictures[2].max() < 50  # the bare ground


def test_who_is_not_seen_is_drawn_pale(make_walk, tmp_path):
    motion = make_walk(3)
    confidence = motion.confidence.copy()
    confidence[1] = 0
    write_overlay(replace(_without_2d(motion), confidence=confidence), tmp_path / "gap.mp4")
    pictures = _decode(tmp_path / "gap.mp4")[2]
    blue = [int(_middle_of_bone(pictures[i], motion, i, "left_knee", "left_hip")[2]) for i in range(3)]
    assert min(blue[0], blue[2]) > 180 > 120 > blue[1] > 60


def test_frames_are_matched_by_presentation_time(make_walk, tmp_path):
    """A clip with a pause, half as many frames as the motion, and a tail that the motion does not cover."""
    motion = _without_2d(make_walk(20))
    time_s = np.array([0.0, 2 / 30, 4 / 30, 13 / 30, 15 / 30, 3.0])
    clip = _clip(tmp_path / "clip.mp4", time_s, (640, 480))
    assert [frame for _, frame, _ in frames_of(motion.time_s, motion.fps, clip)] == [0, 2, 4, 13, 15, None]
    write_overlay(motion, tmp_path / "over.mp4", clip)
    times, _, pictures = _decode(tmp_path / "over.mp4")
    np.testing.assert_allclose(times, time_s, atol=1e-3)
    red, _, blue = _middle_of_bone(pictures[3], motion, 13, "left_knee", "left_hip")
    assert blue > red + 60
    assert pictures[3][5, 5, 0] == pytest.approx(_GREY + 6, abs=4)  # the clip's own picture behind
    assert int(np.ptp(pictures[5])) < 8  # uncovered: left as it is


def test_everyone_is_drawn_and_the_first_ones_intent_is_told(make_walk, tmp_path):
    first = _without_2d(make_walk(3))
    second = replace(first, root_mm=first.root_mm + np.array([800, 0, 0]))
    write_overlay([first, second], tmp_path / "two.mp4")
    write_overlay(first, tmp_path / "one.mp4")
    two, one = (_decode(tmp_path / name)[2][1] for name in ("two.mp4", "one.mp4"))
    red, _, blue = _middle_of_bone(two, second, 1, "left_knee", "left_hip")
    assert blue > red + 60
    assert _middle_of_bone(one, second, 1, "left_knee", "left_hip").max() < 60
    np.testing.assert_allclose(two[440:475, :200].astype(int), one[440:475, :200], atol=12)  # the caption, recoded
    with pytest.raises(ValueError, match="at least one motion to draw, got none"):
        write_overlay([], tmp_path / "none.mp4")


def _with_tone(path, codec, seconds=2.0, start_s=0.0):
    """A grey clip at 30 frames/s with a beep from 1.0 s to 1.1 s of its own time."""
    rate = 48_000
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 640, 480, "yuv420p"
        audio = container.add_stream(codec, rate=rate)
        audio.layout = "mono"
        time_s = np.arange(int(seconds * rate)) / rate
        tone = (0.5 * np.sin(2 * np.pi * 1000 * time_s) * ((time_s >= 1.0) & (time_s < 1.1))).astype(np.float32)
        sound = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        sound.sample_rate, sound.pts = rate, 0
        for resampled in av.AudioResampler(audio.format, "mono", rate).resample(sound):
            container.mux(audio.encode(resampled))
        container.mux(audio.encode(None))
        for i in range(int(seconds * 30)):
            frame = av.VideoFrame.from_ndarray(np.full((480, 640, 3), _GREY, np.uint8), format="rgb24")
            frame.pts = i + round(start_s * 30)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def _beep(path):
    """First and last time at which the sound of a video is loud, s, and its codec."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        loud = []
        for frame in container.decode(stream):
            samples = np.abs(frame.to_ndarray().astype(float)).max(0)
            loud += [frame.time + i / frame.rate for i in np.flatnonzero(samples > 0.2)]
        return min(loud), max(loud), stream.codec_context.name


@pytest.mark.parametrize(("name", "codec", "kept"), [("c.mp4", "aac", "aac"), ("c.mkv", "pcm_s16le", "aac")])
def test_overlay_keeps_the_sound_in_step(make_walk, tmp_path, name, codec, kept):
    clip = _with_tone(tmp_path / name, codec)
    write_overlay(make_walk(60), tmp_path / "walk.mp4", clip)
    begins, ends, found = _beep(tmp_path / "walk.mp4")
    assert (begins, ends) == (pytest.approx(1.0, abs=0.03), pytest.approx(1.1, abs=0.03))  # a frame of the codec: 21 ms
    assert found == kept


def test_sound_follows_pictures_that_begin_later(make_walk, tmp_path):
    """The overlay's first picture is its time 0, so the beep moves with it."""
    clip = _with_tone(tmp_path / "late.mkv", "aac", start_s=0.5)
    motion = make_walk(60)
    write_overlay(replace(motion, time_s=motion.time_s + 0.5), tmp_path / "walk.mp4", clip)
    assert _beep(tmp_path / "walk.mp4")[0] == pytest.approx(0.5, abs=0.03)


def test_overlay_scales_to_the_clip_and_makes_its_size_even(make_walk, tmp_path):
    """The camera is for 1920 x 1080; the clip has 321 x 181 pixels."""
    motion = make_walk(2, camera=Camera.from_fov((1926, 1086)))
    with av.open(str(tmp_path / "odd.avi"), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 321, 181, "bgr0"
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(np.full((181, 321, 3), _GREY, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    write_overlay(motion, tmp_path / "over.mp4", tmp_path / "odd.avi")
    picture = _decode(tmp_path / "over.mp4")[2][0]
    assert picture.shape == (180, 320, 3)
    x, y = np.round((_pixels(motion, 0, "left_knee") + _pixels(motion, 0, "left_hip")) / 12).astype(int)
    assert np.abs(picture[y - 2 : y + 3, x - 2 : x + 3].astype(int) - _GREY).max() > 40


def test_page_carries_the_clip_small_and_in_time(make_walk, tmp_path):
    import base64

    motion = make_walk(20)
    time_s = np.array([0.0, 2 / 30, 4 / 30, 13 / 30, 15 / 30, 3.0])
    write_page(motion, tmp_path / "walk.html", _clip(tmp_path / "clip.mp4", time_s, (1280, 720)))
    video = read_page(tmp_path / "walk.html")["video"]
    (tmp_path / "small.mp4").write_bytes(base64.b64decode(video["data"]))
    times, _, pictures = _decode(tmp_path / "small.mp4")
    np.testing.assert_allclose(np.array(times) + video["start_s"], time_s[:-1], atol=1e-3)  # the tail is left out
    assert pictures[0].shape == (270, 480, 3)
    assert pictures[4].mean() == pytest.approx(_GREY + 8, abs=4)


def test_a_clip_of_another_time_is_refused(make_walk, tmp_path):
    motion = make_walk(5)
    later = replace(motion, time_s=motion.time_s + 100)
    with pytest.raises(ValueError, match=r"clip\.mp4: none of its frames is shown at a time of walk"):
        write_page(later, tmp_path / "walk.html", _clip(tmp_path / "clip.mp4", np.arange(3) / 30, (64, 48)))
    assert not (tmp_path / "walk.html").exists()


@pytest.mark.parametrize("missing", ["av", "cv2"])
def test_a_missing_extra_names_its_cure(walk, tmp_path, monkeypatch, missing):
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(ValueError, match=r'extra: pip install "dreampose3d\[video\]"'):
        write_overlay(walk, tmp_path / "walk.mp4")
    assert not list(tmp_path.iterdir())


def test_one_frame_without_any_keypoint_still_plays(make_walk, tmp_path):
    motion = make_walk(1)
    nothing = replace(
        motion, keypoints_px=np.full_like(motion.keypoints_px, np.nan), confidence=np.zeros_like(motion.confidence)
    )
    write_overlay(nothing, tmp_path / "one.mp4")
    write_page(nothing, tmp_path / "one.html")
    assert len(_decode(tmp_path / "one.mp4")[0]) == 1
    assert np.isnan(unpack(read_page(tmp_path / "one.html")["keypoints_px"])).all()
