"""Each of the paper's recipes from its data set's files to its table, on generated files of the exact layout."""

import json
import os
import re
import signal
import sys

import numpy as np
import pytest
import torch
from tests.miniatures import person, write_3dhp, write_h36m

from dreampose3d.calibration import write_calibration
from dreampose3d.camera import Camera
from dreampose3d.cli import main
from dreampose3d.model.weights import load_weights
from dreampose3d.training.trainer import Run


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """No TensorBoard, no waiting for the disk, one thread whatever a run sets."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)


def h36m(folder):
    return write_h36m(folder, ("S1", "S8", "S9"), ("Directions 1", "Walking"), frames=24)


def mpi_inf_3dhp(folder):
    return write_3dhp(folder, "p-stmo", ("S1", "S8"), tests=("TS1", "TS5"), cameras=("0", "4"), frames=24)


def pitches(folder):
    """Three pitches of 20 frames, shorter than a window, seen by a camera that knows where it stands."""
    folder.mkdir()
    camera = Camera(
        (1920, 1080), (2000.0, 2000.0), (960.0, 540.0), rotation=((1, 0, 0), (0, 0, -1), (0, 1, 0)),
        position_mm=(0.0, -6000.0, 1200.0),
    )  # fmt: skip
    write_calibration(camera, folder / "camera.json")
    rows = ["file,split,subject,action"]
    for number, split in enumerate(("train", "train", "test")):
        np.savez(
            folder / f"pitch{number}.npz", joints_mm=person(20, 30, "Greeting", seed=number), frame="world", fps=30.0,
            skeleton="h36m_17", camera=(folder / "camera.json").read_text(),
        )  # fmt: skip
        rows.append(f"pitch{number}.npz,{split},p{number},delivery")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    return folder


RECIPES = {
    "paper-h36m-cpn": (h36m, "h36m", "cpn_ft_h36m_dbb", "mpjpe_mm", []),
    "paper-h36m-gt": (h36m, "h36m", "gt", "mpjpe_mm", ["--hold-out", "S8"]),
    "paper-3dhp": (mpi_inf_3dhp, "3dhp-a", "gt", "pck_percent", []),
    "paper-mlb": (pitches, "mlb", "gt", "p_mpjpe_mm", ["--batch", "1", "--frames", "27"]),
}
"""Writer, protocol, its 2D, a metric of its table, and further options of the training."""


@pytest.mark.parametrize("preset", RECIPES)
def test_a_recipe_leads_from_files_to_its_table(preset, tmp_path, monkeypatch, capsys):
    """Check the data, train two epochs with Ctrl-C in the second, go on, evaluate, print the table."""
    write, protocol, keypoints, metric, further = RECIPES[preset]
    data, out = write(tmp_path / "data"), tmp_path / "run"
    assert main(["data", "check", str(data)]) == 0
    command = [
        "train", "--preset", preset, "--data", str(data), "--out", str(out), "--model", "tiny", "--frames", "16",
        "--epochs", "2", "--device", "cpu", "--threads", "1", *further,
    ]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(Run, "train_step", _ctrl_c_at(5, Run.train_step))
        assert main(command) == 0
    assert "stopped at step 6 of" in (said := capsys.readouterr().err)
    assert (
        "held out of training" if "--hold-out" in further else "the last average (EMA), of all training subjects"
    ) in said
    assert main(command) == 0
    weights, said = capsys.readouterr()
    assert "going on from step 6 of" in said
    config = json.loads((out / "config.json").read_text())["config"]
    assert config["steps"] == int(re.findall(r"step +(\d+)/", said)[-1])

    lifter = load_weights(weights.strip())
    assert lifter.model.config.camera == "screen"
    assert lifter.card["step"] == config["steps"]
    assert main([
        "evaluate", "--protocol", protocol, "--data", str(data), "--input", keypoints, "--weights", weights.strip(),
        "--hypotheses", "2", "--steps", "2", "--eta", "1", "--span", "1", "--clamp", "1.1",
        "--json", str(tmp_path / "table.json"), "--device", "cpu",
    ]) == 0  # fmt: skip
    table = capsys.readouterr().out
    assert "J-Best (oracle)" in table
    assert f"trained on {config['dataset']}" in table
    average = json.loads((tmp_path / "table.json").read_text())["average"]
    assert set(average) > {"h1k1", "p_agg", "oracle_j_best"}
    assert 0 <= average["p_agg"][metric] < 2000


def _ctrl_c_at(step, run_step):
    def train_step(self, phase=None):
        losses = run_step(self, phase)
        if self.step == step:
            os.kill(os.getpid(), signal.SIGINT)
        return losses

    return train_step
