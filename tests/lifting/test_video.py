"""Video files in: what is shown, when it is shown, and what is said about files that are no good."""

import sys
import wave
import weakref
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dreampose3d.lifting.video import frame_rate, is_video, presentation_times, read_video, video_info

HEIGHT, WIDTH = 48, 64
RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 180, 30), (30, 30, 200), (230, 230, 230)


def write_video(
    path: Path, frames: Sequence[np.ndarray], times_ms: Sequence[int] | None = None, aspect: str = "", **options: str
) -> Path:
    """H.264 (intra frames only), shown at 25 fps or at the times given."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "g": "1", "bf": "0", "threads": "1"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        if aspect:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        for i, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = times_ms[i] if times_ms else 40 * i, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def quarters(top_left=RED, top_right=GREEN, bottom_left=BLUE, bottom_right=WHITE) -> np.ndarray:
    """A picture whose corners tell which way it is turned."""
    rgb = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    rgb[: HEIGHT // 2, : WIDTH // 2], rgb[: HEIGHT // 2, WIDTH // 2 :] = top_left, top_right
    rgb[HEIGHT // 2 :, : WIDTH // 2], rgb[HEIGHT // 2 :, WIDTH // 2 :] = bottom_left, bottom_right
    return rgb


def greys(count: int) -> list[np.ndarray]:
    """Frames that tell their number by their brightness."""
    return [np.full((HEIGHT, WIDTH, 3), 20 + 8 * i, np.uint8) for i in range(count)]


def with_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Put a matrix into the track header: 9 numbers after 40 bytes of its body (ISO/IEC 14496-12, 8.3.2, version 0)."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    matrix = np.array([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30], ">i4")
    content[start : start + 36] = matrix.tobytes()
    path.write_bytes(content)
    return path


def test_a_video_gives_its_frames_in_order_with_their_times(tmp_path):
    path = write_video(tmp_path / "clip.mp4", greys(12))
    frames = list(read_video(path))
    assert [round((f.rgb.mean() - 20) / 8) for f in frames] == list(range(12))
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(12) / 25, atol=1e-6)
    info = video_info(path)
    assert (info.size_px, info.fps, info.frames) == ((WIDTH, HEIGHT), 25, 12)


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), lambda rgb: rgb),
        ((0, 1, -1, 0), lambda rgb: np.rot90(rgb, -1)),  # what a phone held upright writes: shown a quarter clockwise
        ((-1, 0, 0, -1), lambda rgb: np.rot90(rgb, 2)),
        ((0, -1, 1, 0), lambda rgb: np.rot90(rgb, 1)),
        ((-1, 0, 0, 1), lambda rgb: rgb[:, ::-1]),  # a mirrored front camera
        ((0, 1, 1, 0), lambda rgb: rgb.transpose(1, 0, 2)),
    ],
)
def test_the_display_matrix_is_applied(tmp_path, matrix, shown):
    path = with_display_matrix(write_video(tmp_path / "phone.mp4", [quarters()] * 2), *matrix)
    expected = shown(quarters())
    (first, _) = read_video(path)
    assert first.rgb.shape == expected.shape
    assert video_info(path).size_px == expected.shape[1::-1]
    assert np.abs(first.rgb.astype(int) - expected).mean() < 6  # grey levels: the codec's loss at the edges


@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
def test_turned_frames_agree_with_opencv(tmp_path, matrix):
    path = with_display_matrix(write_video(tmp_path / "phone.mp4", [quarters()]), *matrix)
    ok, bgr = cv2.VideoCapture(str(path)).read()
    (frame,) = read_video(path)
    assert ok
    assert np.abs(frame.rgb.astype(int) - bgr[..., ::-1]).mean() < 3


def test_pixels_are_made_square(tmp_path):
    path = write_video(tmp_path / "hdv.mp4", [quarters()], aspect="4/3")
    (frame,) = read_video(path)
    assert frame.rgb.shape == (HEIGHT, round(WIDTH * 4 / 3), 3)


def test_a_varying_rate_keeps_its_times(tmp_path):
    times_ms = [0, 33, 67, 100, 300, 333, 367, 400]
    frames = list(read_video(write_video(tmp_path / "phone.mkv", greys(8), times_ms)))
    np.testing.assert_allclose([f.time_s for f in frames], np.array(times_ms) / 1000, atol=1e-6)
    assert frame_rate([f.time_s for f in frames]) == pytest.approx(30, abs=0.01)


def test_the_rate_of_even_times_is_exact_and_a_single_frame_has_the_default():
    assert frame_rate(3 + np.arange(50) / 59.94) == pytest.approx(59.94)
    assert frame_rate([0.2], default=24) == 24


def test_times_that_cannot_be_used_are_replaced_by_counting_and_this_is_said():
    with pytest.warns(UserWarning, match=r"clip\.avi: its presentation times are missing"):
        np.testing.assert_allclose(presentation_times([0.0, None, 0.1], 20, "clip.avi"), [0, 0.05, 0.1])
    with pytest.warns(UserWarning, match="do not increase; counting frames at 20 fps"):
        np.testing.assert_allclose(presentation_times([0.0, 0.1, 0.1], 20), [0, 0.05, 0.1])
    np.testing.assert_array_equal(presentation_times([1.0, 1.5], 20), [1, 1.5])


def test_frames_are_streamed(tmp_path):
    """Memory does not grow with the clip: no frame but the last one or two is still held."""
    alive: list[weakref.ref] = []
    most = 0
    for frame in read_video(write_video(tmp_path / "clip.mp4", greys(20))):
        alive.append(weakref.ref(frame.rgb))
        most = max(most, sum(ref() is not None for ref in alive))
    assert len(alive) == 20
    assert most <= 2


def test_a_name_says_whether_it_is_a_video():
    assert is_video("dance.MP4")
    assert is_video(Path("a/b.mov"))
    assert not is_video("keypoints.npz")
    assert not is_video("mp4")


def test_a_truncated_video_gives_what_is_left_and_says_so(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (30, HEIGHT, WIDTH, 3), dtype=np.uint8)
    path = write_video(tmp_path / "cut.mp4", noise, movflags="faststart")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.warns(UserWarning, match=r"announces 30 frames, only \d+ could be decoded"):
        frames = list(read_video(path))
    assert 5 < len(frames) < 25


def test_damage_in_the_middle_costs_only_the_frames_there(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (20, HEIGHT, WIDTH, 3), dtype=np.uint8)
    path = write_video(tmp_path / "scratched.mp4", noise, movflags="faststart")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 12_000] = bytes(12_000)
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged parts"), pytest.warns(UserWarning, match="announces 20 frames"):
        frames = list(read_video(path))
    assert frames[-1].time_s == pytest.approx(19 / 25)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such video: .*nowhere\.mp4"):
        next(read_video(tmp_path / "nowhere.mp4"))


@pytest.mark.parametrize("content", [b"", b"these are not the frames you are looking for\n" * 50])
def test_a_file_that_is_not_a_video_is_refused(tmp_path, content):
    path = tmp_path / "text.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"text\.mp4 is not a video that can be read"):
        next(read_video(path))
    with pytest.raises(ValueError, match="is not a video that can be read"):
        video_info(path)


def test_a_video_cut_off_before_its_index_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (10, HEIGHT, WIDTH, 3), dtype=np.uint8)
    path = write_video(tmp_path / "cut.mp4", noise)  # the index stands at the end
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cut\.mp4 is not a video that can be read .* is it cut off"):
        next(read_video(path))


def test_a_video_of_which_only_the_head_is_left_is_refused(tmp_path):
    path = write_video(tmp_path / "head.mp4", greys(10), movflags="faststart")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 4])
    with pytest.raises(ValueError, match=r"head\.mp4 holds no frame that can be decoded"):
        list(read_video(path))
    with pytest.raises(ValueError, match="holds no frame that can be decoded"):
        video_info(path)


def test_sound_without_pictures_is_refused(tmp_path):
    path = tmp_path / "song.mp4"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(8000))
    with pytest.raises(ValueError, match=r"song\.mp4 has no picture track; is it sound alone"):
        next(read_video(path))


def test_without_the_extra_the_cure_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r'pip install "dreampose3d\[video\]"'):
        next(read_video(tmp_path / "clip.mp4"))
