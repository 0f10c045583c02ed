"""`dreampose3d figure` through the command line, as a user meets it."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dreampose3d.cli import main
from dreampose3d.export.tables import write_npz


@pytest.fixture
def run(capsys):
    """Run a command; give its exit status, output and errors."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


@pytest.fixture
def result(motion, tmp_path):
    write_npz(motion, tmp_path / "walk.pose3d.npz")
    return tmp_path / "walk.pose3d.npz"


@pytest.mark.parametrize(
    "options",
    [
        "trajectory MOCAP --trial t1 --weights TINY --input gt noisy --joints head",
        "attention MOCAP --trial t1 --weights TINY --map temporal --joint head --heads each --layer 2 --at 0.2",
        "attention MOCAP --trial t1 --weights TINY --map prompt --width full --input noisy --steps 1",
        "attention RESULT --weights TINY",
        "affinity --weights TINY --width column",
        "qualitative MOCAP --trial t1 --weights TINY --times 0.1 0.3 --no-spread --camera 3",
        "qualitative RESULT --frames 2 --width column",
        "prompts MOCAP --set gym --trial t2 --weights TINY --kind stacked --top 2 --span 0.1 0.4",
        "prompts RESULT",
    ],
    ids=lambda options: " ".join(options.split()[:2]),
)
def test_every_figure_is_drawn_and_named(run, mocap, weights, result, tmp_path, options):
    places = {"MOCAP": mocap, "TINY": weights, "RESULT": result}
    out = tmp_path / "figure.png"
    status, told, err = run("figure", *(places.get(word, word) for word in options.split()), "--out", out)
    assert (status, told, err) == (0, f"{out}\n", "")
    with Image.open(out) as picture:
        origin = picture.text["Description"]
    assert origin.startswith("dreampose3d ")
    assert "tiny.safetensors" in origin


def test_trajectories_of_several_results_against_a_measured_truth(run, result, motion, tmp_path):
    np.savez(tmp_path / "truth.npz", joints_mm=motion.joints_mm + 5, time_s=motion.time_s)
    other = tmp_path / "other.pose3d.npz"
    other.write_bytes(result.read_bytes())
    command = ("figure", "trajectory", result, other, "--truth", tmp_path / "truth.npz", "--joints", "head")
    out = tmp_path / "a.svg"
    status, _, err = run(*command, "--out", out, "--position", "camera", "--quantity", "velocity")
    assert (status, err) == (0, "")
    assert ">ground truth</text>" in out.read_text()
    assert ">head (mm/s)</text>" in out.read_text()
    assert run(*command, "--out", out, "--labels", "ours", "theirs")[0] == 0
    assert ">ours</text>" in out.read_text()
    assert ">theirs</text>" in out.read_text()


def test_results_are_named_by_what_differs(run, mocap, weights, tmp_path):
    second = tmp_path / "second.safetensors"
    second.write_bytes(weights.read_bytes())
    out = tmp_path / "a.svg"
    options = ("--trial", "t1", "--weights", weights, second, "--input", "gt", "noisy", "--joints", "head")
    options += ("--hypotheses", 1, "--steps", 1, "--width", "column")
    assert run("figure", "trajectory", mocap, *options, "--out", out)[0] == 0
    for name in ("tiny, exact 2D", "second, exact 2D", "tiny, noisy 2D", "second, noisy 2D", "ground truth"):
        assert f">{name}</text>" in out.read_text()


def test_what_the_user_gets_wrong_is_told_and_nothing_is_written(run, mocap, weights, tmp_path):
    trial = (mocap, "--trial", "t1", "--weights", weights)
    cases = [
        (("affinity", "--weights", "none"), "no weights 'none'"),
        (("prompts", tmp_path / "none.npz"), "no such file"),
        (("prompts", mocap), "name one of its clips with --trial"),
        (("prompts", mocap.parent, "--trial", "t1"), "name one with --set"),
        (("trajectory",), "expected 1 to 6 methods"),
        (("trajectory", *trial, "--labels", "a", "b"), "expected 1 labels (lifted), got 2"),
        (("trajectory", *trial, "--joints", "tail"), "has no joint 'tail'"),
        (("qualitative", *trial, "--times", "9"), "it has nothing at 9 s"),
        (("attention", *trial, "--layer", "7"), "block pairs 1 to 2, got layer 7"),
    ]
    for words, message in cases:
        status, told, err = run("figure", *words, "--out", tmp_path / "a.png")
        assert (status, told) == (2, ""), words
        assert message in err
    assert not list(tmp_path.iterdir())
    status, _, err = run("figure", "affinity", "--out", tmp_path / "a.jpg")
    assert (status, "ends in .png, .svg, .pdf; got 'a.jpg'" in err) == (2, True)


def test_help_names_every_figure_and_needs_no_torch():
    code = (
        "import sys; from dreampose3d.cli import main\n"
        "try: main(['figure', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("trajectory", "attention", "affinity", "qualitative", "prompts"):
        assert name in told
