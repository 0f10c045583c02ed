"""The examples run, one after the other as a user would, in an empty folder, and say what they promise."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from dreampose3d.skeleton import H36M_17

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run an example by its number; give the lines that it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), *sys.path])

    def run(number):
        (script,) = EXAMPLES.glob(f"{number:02}_*.py")
        runpy.run_path(str(script))
        return capsys.readouterr().out.splitlines()

    return run


def test_every_example_is_tested_and_short():
    numbered = sorted(EXAMPLES.glob("[0-9]*.py"))
    assert [int(script.name[:2]) for script in numbered] == [1, 2, 3, 4]
    assert all(20 <= len(script.read_text().splitlines()) <= 60 for script in EXAMPLES.glob("*.py"))


def test_01_lifts_keypoints_to_a_page(run, tmp_path):
    told = run(1)
    assert told[0] == "80 frames at 40 frames/s, 60 degrees field of view"
    assert "walking" in told[2]
    assert told[-1] == f"open {Path('out/walk.html')}"
    assert (tmp_path / "out" / "walk.html").stat().st_size > 100_000


def test_02_tells_how_sure_the_result_is(run):
    told = run(2)
    assert told[0].startswith(f"hypotheses: (5, 60, {H36M_17.num_joints}, 3)")
    table = {line.split()[0]: [float(cell) for cell in line.split()[1:]] for line in told[-H36M_17.num_joints :]}
    assert list(table) == list(H36M_17.joints)
    for joint in ("left_elbow", "left_wrist"):
        error, spread, error_hidden, spread_hidden = table[joint]
        assert spread_hidden > spread
        assert max(error / spread, error_hidden / spread_hidden) < 1.5  # the errors are of the size that is told


def test_03_measures_against_the_truth(run):
    rows = [line.split() for line in run(3)[1:5]]
    assert [row[0] for row in rows] == ["exact", "exact", "noisy", "noisy"]
    exact, noisy = np.array([[float(cell) for cell in row[-3:]] for row in rows]).reshape(2, 2, 3)
    assert (exact < noisy).all()
    assert (exact[:, 0] < 80).all()  # mm: the walker is no acrobat
    assert (exact[:, 1] <= exact[:, 0]).all()


def test_04_trains_a_model_that_lifts(run, tmp_path):
    told = run(4)
    assert (tmp_path / "run" / "weights.safetensors").is_file()
    (loss,) = (line.split() for line in told if line.startswith("the loss went from"))
    assert float(loss[6].rstrip(";")) < float(loss[4])
    assert "lifts 20 frames" in told[-1]


def test_the_walker_keeps_its_bones_and_its_sides(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), *sys.path])
    from walking import walk

    joints = walk().joints_mm
    for joint, parent in H36M_17.bones:
        lengths = np.linalg.norm(joints[:, joint] - joints[:, parent], axis=-1)
        assert np.ptp(lengths) < 1e-6, H36M_17.joints[joint]
    # Walking right as the camera sees it, so the left side is the far one.
    assert (joints[:, list(H36M_17.left), 2].mean(1) > joints[:, list(H36M_17.right), 2].mean(1)).all()
