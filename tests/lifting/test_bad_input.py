"""Every bad input, through the command itself: one clear line, exit status 2, and nothing written."""

import errno
import os
import re

import numpy as np
import pytest
import torch

from dreampose3d.cli import main
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import save_weights
from dreampose3d.skeleton import BLAZEPOSE_33, COCO_17

JOINTS = {  # a standing man seen from the front, pixels, right half and middle; the left half mirrors it
    "nose": (320, 90), "eye": (312, 82), "ear": (303, 88), "shoulder": (285, 135), "elbow": (272, 195),
    "wrist": (266, 245), "hip": (302, 245), "knee": (299, 330), "ankle": (298, 415),
}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(build(tiny()), path, {})
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def refused(weights, out, capsys):
    """Lift something that cannot be lifted; give the message, once nothing was found written."""

    def refused(path, *options):
        status = main(["lift", str(path), "--out", str(out), "--weights", str(weights), "--no-overlay", *options])
        told = capsys.readouterr()
        assert (status, told.out) == (2, "")
        assert not out.exists() or os.listdir(out) == []
        lines = [line for line in told.err.splitlines() if not line.startswith("dreampose3d: note: ")]
        assert len(lines) == 1
        assert lines[0].startswith("dreampose3d: error: ")
        return lines[0]

    return refused


@pytest.fixture
def keypoints(tmp_path):
    """A good keypoint file but for the changes."""

    def write(**changes):
        good = {"keypoints_px": standing(), "fps": 25.0, "size": (640, 480), "skeleton": "coco_17"}
        np.savez(tmp_path / "clip.npz", **{k: v for k, v in (good | changes).items() if v is not None})
        return tmp_path / "clip.npz"

    return write


@pytest.fixture
def video(tmp_path):
    """Half a second of grey."""
    av = pytest.importorskip("av")
    path = tmp_path / "grey.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=48, pix_fmt="yuv420p")
        for _ in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 99, np.uint8), "rgb24")))
        container.mux(stream.encode())
    return path


def standing(frames=10):
    places = []
    for name in COCO_17.joints:
        side, _, part = name.rpartition("_")
        x, y = JOINTS[part]
        places.append((640 - x if side == "left" else x, y))
    sway = 5 * np.sin(np.arange(frames))[:, None, None] * (1, 0)
    return (np.array(places) + sway).astype(np.float32)


def test_the_file_without_changes_is_lifted(keypoints, weights, out, capsys):
    command = ["lift", str(keypoints()), "--out", str(out), "--weights", str(weights), "--no-overlay"]
    assert main([*command, "--hypotheses", "1", "--steps", "1"]) == 0, capsys.readouterr().err
    assert sorted(os.listdir(out)) == ["clip.html", "clip.json", "clip.pose3d.npz"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoints_px": standing() * np.nan}, "no joint was found in any frame"),
        ({"confidence": np.zeros((10, COCO_17.num_joints))}, "no joint was found in any frame"),
        ({"keypoints_px": standing(0)}, "expected keypoints of at least one frame, got 0 frames"),
        ({"keypoints_px": standing()[:, :-1]}, "expected keypoints of 17 joints (coco_17), got 16"),
        ({"skeleton": "blazepose_33"}, "got 17; skeletons with 17 joints are h36m_17, mpi_inf_3dhp_17, coco_17"),
        ({"skeleton": "h36m_17"}, "this looks like coco_17, not h36m_17"),
        ({"skeleton": "mpi_inf_3dhp_17"}, "this looks like coco_17, not mpi_inf_3dhp_17"),
        ({"skeleton": "coco_18"}, "unknown skeleton 'coco_18'"),
        ({"skeleton": None}, "the file does not say its skeleton; give it with --skeleton NAME"),
        ({"size": (0, 480)}, "expected a positive image size, got 0x480"),
        ({"size": None}, "the file does not say its size; give it with --size WxH"),
        ({"focal_px": -500.0}, "expected a positive focal length in pixels"),
        ({"fps": 0.0}, "expected a positive frame rate, got 0"),
        ({"keypoints_px": standing() / 640}, "which look normalised"),
        ({"keypoints_px": np.array([{}], object)}, "pickled objects"),
    ],
)
def test_a_keypoint_file_that_cannot_be_right(keypoints, refused, changes, message):
    assert message in refused(keypoints(**changes))


def test_a_wrong_skeleton_named_by_an_option(keypoints, refused):
    assert "try --skeleton coco_17" in refused(keypoints(), "--skeleton", "h36m_17")


def test_a_damaged_keypoint_file(keypoints, refused):
    path = keypoints()
    path.write_bytes(path.read_bytes()[:500])
    assert "clip.npz: the file is damaged or cut off" in refused(path)


@pytest.mark.parametrize("name", ["clip.npz", "clip.mp4"])
def test_no_such_file(tmp_path, refused, name):
    assert f"no such file: {tmp_path / name}" in refused(tmp_path / name)


def test_a_text_file_named_like_a_video(tmp_path, refused):
    pytest.importorskip("av")
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    assert "text.mp4 is not a video that can be read" in refused(tmp_path / "text.mp4")


@pytest.mark.parametrize("kept", [0, 40, 0.5, 0.9])
def test_a_truncated_video(video, refused, kept):
    """An mp4 has its index at the end: without it, nothing can be shown."""
    whole = video.read_bytes()
    video.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    assert re.search(r"grey\.mp4 (is not a video that can be read|has no picture track)", refused(video))


def test_a_video_without_a_person(video, refused, monkeypatch):
    class FindsNobody:
        name, skeleton = "blind", BLAZEPOSE_33

        def reset(self):
            pass

        def detect(self, frame_rgb):
            return None

    monkeypatch.setattr("dreampose3d.lifting.detector.get_detector", lambda name: FindsNobody())
    assert "no person" in refused(video)


def test_a_calibration_that_is_none(keypoints, tmp_path, refused):
    (tmp_path / "camera.toml").write_text("hello")
    message = refused(keypoints(), "--calib", str(tmp_path / "camera.toml"))
    assert "camera.toml: not a calibration file that is known (Pose2Sim TOML" in message


def test_an_output_folder_that_is_a_file(keypoints, weights, tmp_path, capsys):
    (tmp_path / "out").write_text("mine")
    assert main(["lift", str(keypoints()), "--out", str(tmp_path / "out"), "--weights", str(weights)]) == 2
    assert "choose another folder" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    ("code", "message"),
    [(errno.ENOSPC, "the disk is full; free some space"), (errno.EACCES, "you may not write there; choose another")],
)
def test_an_output_folder_that_fills_up_or_closes_while_writing(keypoints, refused, out, monkeypatch, code, message):
    def fail(source, target):
        raise OSError(code, os.strerror(code), str(source), None, str(target))

    monkeypatch.setattr("dreampose3d.files.os.replace", fail)
    told = refused(keypoints(), "--hypotheses", "1", "--steps", "1")
    assert f"could not write {out}" in told
    assert message in told
