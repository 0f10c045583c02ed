import json
import os
import resource
import signal
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from dreampose3d.camera import Camera
from dreampose3d.cli import COMMANDS, main
from dreampose3d.export.tables import load_motion
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import save_weights
from dreampose3d.skeleton import H36M_17

RESULTS = ["walk.html", "walk.json", "walk.overlay.mp4", "walk.pose3d.npz"]


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Every part of the model, untrained."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(build(tiny()), path, {})
    return path


@pytest.fixture(scope="session")
def keypoints(tmp_path_factory):
    """12 frames of a figure that sways, as a 640 x 480 camera sees it."""
    rng = np.random.default_rng(0)
    pose = rng.normal((0, 0, 4000), 300, (H36M_17.num_joints, 3))
    joints = torch.from_numpy(pose + np.linspace(0, 200, 12)[:, None, None] * (1, 0, 0))
    pixels = Camera.from_fov((640, 480)).project(joints).numpy()
    path = tmp_path_factory.mktemp("keypoints") / "walk.npz"
    np.savez(path, keypoints_px=pixels, fps=25.0, size=(640, 480), skeleton="h36m_17")
    return path


@pytest.fixture
def run(weights, capsys):
    """Run a command; give its exit status, output and errors."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_lift_writes_all_results_and_names_the_page_last(run, keypoints, weights, tmp_path):
    status, out, err = run("lift", keypoints, "--out", tmp_path / "new" / "out", "--weights", weights)
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == f"open {tmp_path / 'new' / 'out' / 'walk.html'}"
    assert names(tmp_path / "new" / "out") == RESULTS
    motion = load_motion(tmp_path / "new" / "out" / "walk.pose3d.npz")
    assert (len(motion), motion.fps, motion.name) == (12, 25.0, "walk")
    assert motion.camera.assumed


def test_every_option_reaches_the_lifter(run, keypoints, weights, tmp_path):
    options = "--hypotheses 3 --steps 1 --eta 0.5 --no-flip --aggregate j-agg --save-hypotheses --seed 7 --device cpu"
    options += " --window 8 --overlap 2 --fov 40 --fps 50 --no-overlay"
    status, _, err = run("lift", keypoints, "--out", tmp_path, "--weights", weights, *options.split())
    assert status == 0, err
    assert names(tmp_path) == [name for name in RESULTS if "overlay" not in name]
    motion = load_motion(tmp_path / "walk.pose3d.npz")
    assert motion.hypotheses_mm.shape == (3, 12, H36M_17.num_joints, 3)
    assert motion.fps == 50
    assert motion.camera.fov_degrees == pytest.approx(40)
    assert not motion.camera.assumed
    wanted = {
        "hypotheses": 3, "steps": 1, "eta": 0.5, "flip": False, "aggregate": "j-agg", "seed": 7, "window": 8,
        "overlap": 2,
    }  # fmt: skip
    assert wanted.items() <= motion.meta["options"].items()


def test_equal_commands_give_equal_files(run, keypoints, weights, tmp_path):
    for folder in ("a", "b"):
        run("lift", keypoints, "--out", tmp_path / folder, "--weights", weights, "--seed", 3, "--no-overlay")
    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--focal", "500"], (500, 500)),
        (["--calib", "CALIB"], (700, 710)),
    ],
)
def test_the_camera_can_be_told(run, keypoints, weights, tmp_path, options, expected):
    from dreampose3d.calibration import write_calibration

    write_calibration(Camera((1280, 960), (1400.0, 1420.0), (640.0, 480.0)), tmp_path / "calib.json")  # twice the size
    options = [str(tmp_path / "calib.json") if option == "CALIB" else option for option in options]
    status, _, err = run("lift", keypoints, "--out", tmp_path / "out", "--weights", weights, "--no-overlay", *options)
    assert status == 0, err
    camera = load_motion(tmp_path / "out" / "walk.pose3d.npz").camera
    assert camera.focal_px == pytest.approx(expected)
    assert not camera.assumed


def test_what_a_keypoint_file_does_not_say_can_be_told(run, keypoints, weights, tmp_path):
    np.savez(tmp_path / "walk.npz", keypoints_px=np.load(keypoints)["keypoints_px"])
    told = ["--size", "640x480", "--fps", "25", "--skeleton", "h36m_17"]
    status, _, err = run(
        "lift", tmp_path / "walk.npz", "--out", tmp_path / "out", "--weights", weights, "--no-overlay", *told
    )
    assert status == 0, err
    assert load_motion(tmp_path / "out" / "walk.pose3d.npz").camera.size_px == (640, 480)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--size", "640"], "expected --size as WxH in pixels, such as 1920x1080; got '640'"),
        (["--size", "0x480"], "expected --size as WxH"),
        (["--focal", "-5"], "positive focal length"),
        (["--fov", "200"], "field of view between 0 and 180"),
        (["--fov", "50", "--focal", "500"], "--fov, --focal and --calib each say what the camera is; give one"),
        (["--calib", "missing.toml"], "no such calibration file: missing.toml"),
        (["--weights", "large"], "no weights 'large'"),
        (["--hypotheses", "0"], "at least 1 for hypotheses"),
        (["--skeleton", "coco_18"], "unknown skeleton 'coco_18'"),
        (["--skeleton", "halpe_26"], "expected keypoints of 26 joints"),
        (["--fps", "-3"], "positive frame rate"),
    ],
)
def test_mistakes_are_one_clear_line_and_leave_nothing(run, keypoints, weights, tmp_path, options, match):
    if "--weights" not in options:
        options = ["--weights", weights, *options]
    status, out, err = run("lift", keypoints, "--out", tmp_path / "out", *options)
    assert (status, out) == (2, "")
    assert err.startswith("dreampose3d: error: ")
    assert err.count("\n") == 1
    assert match in err
    assert names(tmp_path) == []


def test_missing_and_foreign_inputs_are_told(run, weights, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "text.mp4").write_text("hello")
    for name, match in (
        ("none.mp4", "no such file"),
        ("notes.txt", "not a keypoint file that is known"),
        ("text.mp4", "text.mp4"),
    ):
        status, _, err = run("lift", tmp_path / name, "--out", tmp_path / "out", "--weights", weights)
        assert status == 2
        assert match in err
    status, _, err = run(
        "lift", tmp_path / "text.mp4", "--out", tmp_path / "out", "--weights", weights, "--size", "64x48"
    )
    assert (status, "are for keypoint files" in err) == (2, True)
    assert names(tmp_path) == ["notes.txt", "text.mp4"]


def test_an_unwritable_folder_shows_before_the_work(run, keypoints, weights, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("dreampose3d.lifting.lifter.Lifter.load", lambda *_: pytest.fail("too late"))
    status, _, err = run("lift", keypoints, "--out", tmp_path / "file" / "out", "--weights", weights)
    assert status == 2
    assert "a part of its path is a file, not a folder" in err


def test_a_full_disk_leaves_nothing(run, keypoints, weights, tmp_path):
    with file_size_limit(20_000):  # the page is larger
        status, _, err = run("lift", keypoints, "--out", tmp_path / "out", "--weights", weights, "--no-overlay")
    assert status == 2
    assert f"could not write {tmp_path / 'out' / 'walk.'}" in err
    assert "raise the limit" in err
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--height 185", "expected a body height in metres"),
        ("--smooth 0", "expected --smooth as a cut-off in Hz, such as 6, got 0"),
        ("--floor -1", "expected --floor as the camera's height"),
        ("--up 0 0 0", "such as --up 0 -1 0, got 0 0 0"),
    ],
)
def test_what_cannot_be_refined_is_refused_before_the_long_part(run, keypoints, tmp_path, monkeypatch, option, message):
    monkeypatch.setattr("dreampose3d.lifting.source.read_2d", None)
    status, out, err = run("lift", keypoints, "--out", tmp_path / "out", *option.split())
    assert (status, out) == (2, "")
    assert message in err
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "where", ["dreampose3d.lifting.lifter.Lifter.lift", "dreampose3d.export.results.write_overlay"]
)
def test_ctrl_c_leaves_nothing(run, keypoints, weights, tmp_path, monkeypatch, where):
    def interrupt(*_):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(where, interrupt)
    status, out, err = run("lift", keypoints, "--out", tmp_path / "out", "--weights", weights)
    assert (status, out, err) == (130, "", "interrupted; no file is half-written\n")
    assert names(tmp_path) == []


def test_a_reader_that_has_had_enough_is_no_error():
    """As in `dreampose3d info | head -1`: nobody reads the rest."""
    command = subprocess.Popen(
        [sys.executable, "-u", "-m", "dreampose3d", "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    command.stdout.close()
    assert command.stderr.read() == b""
    assert command.wait() == 0


def test_what_stood_there_outlives_a_failure(run, keypoints, weights, tmp_path, monkeypatch):
    (tmp_path / "walk.json").write_text("old")

    def fail(*_):
        raise ValueError("the picture broke")

    monkeypatch.setattr("dreampose3d.export.results.write_overlay", fail)
    assert run("lift", keypoints, "--out", tmp_path, "--weights", weights)[0] == 2
    assert (tmp_path / "walk.json").read_text() == "old"
    assert names(tmp_path) == ["walk.json"]


def test_a_wrong_skeleton_is_refused_and_doubts_are_notes(run, keypoints, weights, tmp_path, monkeypatch):
    def refuse(sequence):
        raise ValueError(f"{sequence.name} looks like coco_17")

    def doubt(sequence):
        warnings.warn(f"{sequence.name} stands on its head", stacklevel=1)

    monkeypatch.setattr("dreampose3d.lifting.source.check_skeleton", refuse)
    command = ["lift", keypoints, "--out", tmp_path / "out", "--weights", weights, "--no-overlay"]
    assert run(*command) == (2, "", "dreampose3d: error: walk looks like coco_17\n")
    monkeypatch.setattr("dreampose3d.lifting.source.check_skeleton", doubt)
    status, _, err = run(*command)
    assert (status, err) == (0, "dreampose3d: note: walk stands on its head\n")


def test_a_damaged_weights_file_is_told(run, keypoints, weights, tmp_path):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(weights.read_bytes()[:1000])
    status, _, err = run("lift", keypoints, "--out", tmp_path / "out", "--weights", damaged)
    assert (status, "damaged.safetensors is not a weights file that can be read" in err) == (2, True)


def test_errors_can_be_looked_into(run, keypoints, tmp_path, monkeypatch):
    monkeypatch.setenv("DREAMPOSE3D_DEBUG", "1")
    with pytest.raises(FileNotFoundError, match="no weights 'large'"):
        run("lift", keypoints, "--out", tmp_path, "--weights", "large")


@pytest.fixture
def mocap(tmp_path, motion_mm):
    """A set of one clip, in the canonical format."""
    folder = tmp_path / "mini"
    folder.mkdir()
    np.savez(folder / "s1.npz", s1_1=motion_mm)
    row = f"s1_1,25,{len(motion_mm)},test,walking,s1"
    (folder / "index.csv").write_text(f"trial,fps,frames,split,action,subject\n{row}\n")
    return folder


@pytest.fixture
def motion_mm():
    rng = np.random.default_rng(1)
    pose = rng.normal((0, 0, 1000), 300, (H36M_17.num_joints, 3))
    return (pose + np.linspace(0, 300, 11)[:, None, None] * (1, 0, 0)).astype(np.int16)


def test_evaluate_prints_a_table_and_writes_it(run, mocap, weights, tmp_path):
    options = ["--hypotheses", 2, "--steps", 1, "--no-flip", "--json", tmp_path / "table.json"]
    status, out, err = run(
        "evaluate", "--data", mocap, "--split", "test", "--input", "gt", "--weights", weights, *options
    )
    assert status == 0, err
    assert "P-Best (oracle)" in out
    result = json.loads((tmp_path / "table.json").read_text())
    assert result["config"]["hypotheses"] == 2
    assert result["config"]["flip"] is False
    assert result["counts"]["frames"] == 4 * 11
    assert result["overall"]["h1k1"]["mpjpe_mm"] > 0


def test_evaluate_lists_the_splits_that_there_are(run, mocap, weights):
    status, _, err = run("evaluate", "--data", mocap, "--split", "dev", "--input", "gt", "--weights", weights)
    assert status == 2
    assert "test" in err


def test_train_takes_the_fields_of_its_config(run, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr("dreampose3d.training.trainer.train", lambda config, report: seen.append(config) or tmp_path)
    status, out, _ = run(
        "train", "--data", "cmu", "hdm05", "--steps", "7", "--no-affinity", "--windows.exact", "0.5", "--seed", "4"
    )
    assert (status, out) == (0, f"{tmp_path}\n")
    (config,) = seen
    assert config.data == (Path("cmu"), Path("hdm05"))
    assert (config.steps, config.affinity, config.windows.exact, config.seed) == (7, False, 0.5, 4)


def test_fetch_prints_the_folder_alone(run, monkeypatch, tmp_path):
    def fetch(name, report):
        report(f"fetching {name}")
        return tmp_path

    monkeypatch.setattr("dreampose3d.lifting.fetch.fetch", fetch)
    assert run("fetch", "blazepose") == (0, f"{tmp_path}\n", "fetching blazepose\n")


def test_info_tells_the_presets(run):
    status, out, _ = run("info")
    assert status == 0
    assert all(preset in out for preset in ("paper", "small", "tiny", "GMAC", "weights that ship"))


def test_help_and_unknown_commands(run):
    for help_asked in ([], ["--help"], ["-h"]):
        status, out, _ = run(*help_asked)
        assert status == 0
        assert [word for word in COMMANDS if f"\n  {word} " not in out] == []
    assert run("--version")[1].startswith("dreampose3d 0.")
    status, _, err = run("lfit")
    assert status == 2
    assert f"unknown command 'lfit'; the commands are {', '.join(COMMANDS)}\n" in err
    with pytest.raises(SystemExit) as stop:
        main(["lift", "--out"])
    assert stop.value.code == 2


def test_python_m_is_the_command():
    done = subprocess.run([sys.executable, "-m", "dreampose3d", "lfit"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unknown command 'lfit'" in done.stderr


@pytest.mark.parametrize("command", [[], ["lift"], ["evaluate"], ["info"], ["fetch"]])
def test_help_loads_nothing_heavy(command):
    script = """
import sys
import warnings
from dreampose3d.cli import main
try:
    main([*sys.argv[1:], "--help"])
finally:
    loaded = {"torch", "numpy", "jaxtyping", "cv2", "av"} & set(sys.modules)
    assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: dreampose3d" in done.stdout


def test_progress_shows_on_a_terminal_only(capsys, monkeypatch):
    from dreampose3d.commands.console import Progress

    with Progress("lifting") as progress:
        progress(0.5)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Progress("lifting") as progress:
        progress(0.5)
        progress.of(3, None)
    assert capsys.readouterr().err == "\r\x1b[Klifting:  50%\r\x1b[Klifting: 3\n"


@contextmanager
def file_size_limit(size):
    """No file may grow beyond so many bytes: what a full disk looks like."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder):
    return sorted(os.listdir(folder))


def test_people_become_files_of_their_own_on_one_page(tmp_path, monkeypatch, capsys):
    """Two people in a video, by a detector that knows them; refined on one floor's page."""
    from dataclasses import replace

    from tests.crossings import crossing

    from dreampose3d.lifting import source
    from dreampose3d.viewer.page import read_page

    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"not read")
    sightings, _ = crossing(0, 2, seconds=2.0)
    monkeypatch.setattr(source, "see_everyone", lambda *_: replace(sightings, name="clip"))
    monkeypatch.setattr("dreampose3d.viewer.page._small_video", lambda *_: None)
    arguments = ["lift", str(clip), "--out", str(tmp_path / "out"), "--no-overlay", "--no-video", "--hypotheses", "1"]
    assert main([*arguments, "--steps", "1", "--person", "all", "--bones", "symmetric"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "clip.html", "clip_person00.json", "clip_person00.pose3d.npz", "clip_person01.json", "clip_person01.pose3d.npz",
    ]  # fmt: skip
    data = read_page(tmp_path / "out" / "clip.html")
    assert (data["name"], data["label"], data["others"][0]["label"]) == ("clip", "person 0", "person 1")
    assert "left knee flexion" in {signal["name"] for signal in data["signals"]}
    assert max(data["meta"]["refined"]["bone_spread_mm"]["after"].values()) < 1
    assert main([*arguments, "--person", "0", "--export", "bvh,csv"]) == 0
    assert {"clip.bvh", "clip.motion.csv", "clip.pose3d.npz"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert main([*arguments, "--export", "fbx"]) == 2
    assert "import the GLB or BVH file in Blender" in capsys.readouterr().err
    assert main([*arguments, "--person", "2"]) == 2
    assert "there is no person 2; the clip shows 2, numbered 0 to 1" in capsys.readouterr().err
    assert main([*arguments, "--person", "left"]) == 2
    assert "expected --person as a number from 0, largest or all; got 'left'" in capsys.readouterr().err
    assert main([*arguments, "--person", "all", "--height", "1.8"]) == 2
    assert "one height cannot be that of several people" in capsys.readouterr().err
