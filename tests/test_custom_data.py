"""docs/custom-data.md: its source is a whole one, its script runs."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.miniatures import person

from dreampose3d.lifting.lifter import Lifter
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import save_weights
from dreampose3d.skeleton import H36M_17

PAGE = Path(__file__).parents[1] / "docs" / "custom-data.md"
SOURCE, CHECK, SCRIPT = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """Three recordings of the laboratory's format: metres, y up, one of them of a test subject."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    for subject in (1, 8, 9):
        metres = person(60, 30, seed=subject)[..., [0, 2, 1]] * (1, 1, -1) / 1000
        joints = {name: metres[:, joint].tolist() for joint, name in enumerate(H36M_17.joints)}
        told = {"format": "our lab 2", "subject": subject, "task": "walking", "frames_per_second": 30.0}
        (folder / f"take{subject}.json").write_text(json.dumps(told | {"joints": joints}))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def source():
    names = {}
    exec(SOURCE, names)
    return names


def test_the_source_of_the_page_reads_what_it_describes(recordings, source, tmp_path):
    assert source["recognises"](recordings)
    assert not source["recognises"](tmp_path)
    assert not source["recognises"](tmp_path / "none")
    (tmp_path / "other.json").write_bytes(b"\xff[1]")
    assert not source["recognises"](tmp_path)
    (test,) = source["read"](recordings, "test")
    assert (test.name, test.fps, test.subject, test.action) == ("take9", 30.0, "9", "walking")
    np.testing.assert_allclose(test.joints_mm, person(60, 30, seed=9), atol=1e-9)
    assert [sequence.name for sequence in source["read"](recordings)] == ["take1", "take8", "take9"]


def test_its_error_says_what_is_missing(recordings, source):
    told = json.loads((recordings / "take9.json").read_text())
    del told["joints"]["left_knee"]
    (recordings / "take9.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"take9\.json: expected all joints of h36m_17, it lacks left_knee"):
        list(source["read"](recordings, "test"))


@pytest.mark.parametrize(
    ("line", "instead", "told"),
    [
        ("1000 * metres", "metres", "metres -> multiply"),
        (" @ Y_UP_TO_Z_UP.T", "", r"stand along \+y"),
        ("[0, 0, -1], [0, 1, 0]]", "[0, 0, 1], [0, 1, 0]]", "bend backwards"),
        ("joints_mm=1000", "joints_mm=1000", "^$"),
    ],
)
def test_its_check_tells_the_mistakes_of_the_table(recordings, line, instead, told, capsys):
    assert line in SOURCE
    exec(SOURCE.replace(line, instead) + CHECK, {})
    assert re.search(told, capsys.readouterr().out)


def test_its_script_runs(recordings, source, tmp_path, monkeypatch, capsys):
    """With untrained weights in place of those that ship."""
    save_weights(build(tiny()), tmp_path / "untrained.safetensors", {})
    load = Lifter.load
    monkeypatch.setattr(Lifter, "load", lambda name: load(tmp_path / "untrained.safetensors", "cpu"))
    torch.manual_seed(0)
    exec(SCRIPT, source)
    assert re.fullmatch(r"\d+ mm over 60 frames\n", capsys.readouterr().out)
