"""`dreampose3d evaluate` by the published protocols, with tiny untrained weights on data sets in miniature."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.miniatures import write_3dhp, write_h36m

from dreampose3d.cli import main
from dreampose3d.evaluation.counting import AGGREGATIONS
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import save_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, Path]:
    """Untrained: any camera with Human3.6M's joints, and each benchmark's own input and joints."""
    home = tmp_path_factory.mktemp("weights")
    kinds = {
        "any": (tiny(), ["cmu"]),
        "h36m": (replace(tiny(), camera="screen"), ["h36m"]),
        "3dhp": (replace(tiny(), camera="screen", skeleton="mpi_inf_3dhp_17"), ["3dhp"]),
    }
    for name, (config, data) in kinds.items():
        torch.manual_seed(0)
        save_weights(build(config), home / f"{name}.safetensors", {"data": data})
    return {name: home / f"{name}.safetensors" for name in kinds}


@pytest.fixture(scope="module")
def h36m(tmp_path_factory) -> Path:
    actions = ("Walking", "Directions", "Directions 1")
    return write_h36m(tmp_path_factory.mktemp("h36m"), subjects=("S11",), actions=actions, frames=12)


@pytest.fixture(scope="module")
def mpi(tmp_path_factory) -> Path:
    small = {"subjects": ("S1",), "sequences": ("Seq1",), "cameras": ("0",), "frames": 12}
    return write_3dhp(tmp_path_factory.mktemp("3dhp"), "d3dp", **small)


@pytest.fixture
def run(capsys):
    """Run the command; give its exit status, output and errors."""

    def run(*arguments):
        status = main(["evaluate", *map(str, arguments)])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_one_command_gives_the_table_in_four_formats(run, h36m, weights, tmp_path):
    files = {name: tmp_path / f"table.{name}" for name in ("markdown", "csv", "json", "latex")}
    options = [word for name, file in files.items() for word in (f"--{name}", file)]
    status, out, err = run(
        "--protocol", "h36m", "--data", h36m, "--input", "cpn_ft_h36m_dbb", "--weights", weights["h36m"],
        "--hypotheses", 2, "--steps", 2, *options,
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "Human3.6M, test, cpn_ft_h36m_dbb 2D" in out
    assert "(trained on h36m); H=2 K=2 eta=0 span=" in out
    assert "flip=inside seed=0; counting: each valid frame once; 8 sequences" in out
    assert "| Dir. | Walk | average | all frames |" in " ".join(out.split())
    assert files["markdown"].read_text() == out
    result = json.loads(files["json"].read_text())
    assert list(result["parts"]) == ["Directions", "Walking"]
    assert result["counts"]["frames"] == 8 * 12  # S11 has no "Directions"
    assert result["counts"]["parts"]["Directions"]["sequences"] == 4
    lines = list(csv.DictReader(files["csv"].open()))
    assert len(lines) == 4 * len(AGGREGATIONS)
    assert float(lines[1]["mpjpe_mm"]) == result["parts"]["Directions"]["p_agg"]["mpjpe_mm"]
    assert files["latex"].read_text().count("\\begin{table}") == 3


def test_d3dps_sampler_and_counting_go_together(run, h36m, weights, tmp_path):
    status, out, err = run(
        "--protocol", "h36m", "--data", h36m, "--input", "gt", "--weights", weights["h36m"], "--hypotheses", 2,
        "--steps", 2, "--compatible", "d3dp", "--batch", 3, "--json", tmp_path / "r.json",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "eta=1 span=1 clamp=1.1 flip=inside seed=0; counting: D3DP's (windows of 9, batches of 3)" in out
    result = json.loads((tmp_path / "r.json").read_text())
    config = result["config"]
    assert (config["eta"], config["span"], config["clamp"], config["window"]) == (1.0, 1.0, 1.1, 9)
    assert result["counts"]["frames"] == 8 * 2 * 9  # 12 frames: two windows that share six


def test_the_flip_can_be_over_the_step_or_off(run, mpi, weights, tmp_path):
    overall = {}
    for mode in ("inside", "over", "off"):
        status, out, _ = run(
            "--protocol", "3dhp-b", "--data", mpi, "--input", "gt", "--weights", weights["3dhp"], "--hypotheses", 1,
            "--steps", 2, "--flip-mode", mode, "--json", tmp_path / "r.json",
        )  # fmt: skip
        assert (status, f"flip={mode}" in out) == (0, True)
        overall[mode] = json.loads((tmp_path / "r.json").read_text())["overall"]
    h1k1 = {mode: of["h1k1"]["mpjpe_mm"] for mode, of in overall.items()}
    assert h1k1["inside"] == pytest.approx(h1k1["over"], abs=0.01)  # mm; one step: the same
    assert h1k1["off"] != pytest.approx(h1k1["inside"], abs=0.01)
    assert overall["inside"]["p_agg"]["mpjpe_mm"] != pytest.approx(overall["over"]["p_agg"]["mpjpe_mm"], abs=1e-4)


@pytest.mark.parametrize(("protocol", "of"), [("3dhp-b", "3dhp"), ("3dhp-b", "any"), ("3dhp-c", "any")])
@pytest.mark.parametrize("input", ["gt", "noisy"])
def test_3dhp_takes_weights_of_either_skeleton(run, mpi, weights, protocol, of, input):
    status, out, err = run(
        "--protocol", protocol, "--data", mpi, "--input", input, "--weights", weights[of], "--hypotheses", 2,
        "--steps", 1,
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "| TS1 | TS2 | TS3 | TS4 | TS5 | TS6 | average | all frames |" in " ".join(out.split())
    assert ("joints h36m_17 -> mpi_inf_3dhp_17 by name" in out) == (of == "any")


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(run, mpi, weights, tmp_path):
    found = []
    for seed in (0, 0, 1):
        run(
            "--protocol", "3dhp-b", "--data", mpi, "--input", "gt", "--weights", weights["any"], "--hypotheses", 1,
            "--steps", 1, "--seed", seed, "--json", tmp_path / "r.json",
        )  # fmt: skip
        found.append(json.loads((tmp_path / "r.json").read_text())["overall"]["p_agg"]["mpjpe_mm"])
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--protocol h36m --set a", "--set is for the protocol mocap, not for h36m"),
        ("--compatible d3dp", "--compatible is for the published protocols, not for mocap"),
        ("--clamp 1.1", "--clamp is for the published protocols, not for mocap"),
        ("--protocol h36m --batch 4", "--batch is for D3DP's counting: give --compatible d3dp with it"),
        ("--protocol h36m --no-flip --flip-mode over", "--no-flip and --flip-mode over contradict each other"),
        ("--protocol h36m --split dev", "dev"),
        ("--protocol h36m --hypotheses 0", "expected at least 1 for hypotheses, got 0"),
        ("--protocol h36m --input sh", "cpn_ft_h36m_dbb, gt"),
        ("--protocol 3dhp-a", "has no univ data of the split test"),
        ("--input cpn", "expected --input gt or noisy for the protocol mocap, which films by itself; got 'cpn'"),
    ],
)
def test_options_that_make_no_sense_are_refused(run, h36m, weights, options, words):
    given = ["--input", "gt"] * ("--input" not in options)
    status, _, err = run("--data", h36m, *given, "--weights", weights["h36m"], *options.split())
    assert (status, words in err) == (2, True), err
