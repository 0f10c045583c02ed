"""The paper's ablations: one switch each, resumable, as a table."""

import json
import math
import operator
import os
import re
import sys
from dataclasses import replace

import pytest
import torch
from tests.data.test_clips import sequence
from tests.motion import clip_row, write_set

from dreampose3d.cli import main
from dreampose3d.data.augment import as_recorded
from dreampose3d.model.dreampose import tiny
from dreampose3d.training import ablation as module
from dreampose3d.training import config as configuring
from dreampose3d.training import feed as feeding
from dreampose3d.training import unseen
from dreampose3d.training.ablation import MEASURES, TABLES, ablate, changed, format_ablation
from dreampose3d.training.config import BenchmarkConfig, Phase, TrainConfig
from dreampose3d.training.recipes import RECIPES
from dreampose3d.training.trainer import Run


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(feeding, "_WATCHED", 4)
    monkeypatch.setattr(feeding, "_WATCHED_BATCH", 4)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    clips = [clip_row(0), clip_row(1, action="running"), clip_row(2, split="val", frames=90)]
    return write_set(tmp_path_factory.mktemp("mocap") / "studio", clips)


@pytest.fixture
def config(data, tmp_path):
    return TrainConfig(
        data=(data,), out=tmp_path / "ablation", model="tiny", steps=3, threads=1, precision="fp32",
        phases=(Phase(1.0, 5, 2),), validate_every=100, optimizer="adamw",
    )  # fmt: skip


def quiet(_):
    """Reports go nowhere."""


def test_a_table_is_trained_measured_and_written(config, monkeypatch):
    monkeypatch.setitem(TABLES, 5, TABLES[5]._replace(variants=operator.itemgetter(0, 2, -1)(TABLES[5].variants)))
    result = ablate(5, config, (0,), quiet)
    assert [row["name"] for row in result["rows"]] == ["full", "without APL (no prompt)", "denoiser only"]
    for row in result["rows"]:
        (found,) = row["seeds"]
        assert set(found) == {"seed", *MEASURES}
        assert found["val_mpjpe_mm"] > found["val_p_mpjpe_mm"] > 0
        assert min(found["trained_m"], found["step_s"], found["window_ms"]) > 0
    full, *_, alone = (row["seeds"][0] for row in result["rows"])
    assert alone["trained_m"] < full["trained_m"]
    assert (config.out / "full" / "0" / "weights.safetensors").is_file(), "for the protocols"
    assert json.loads((config.out / "table-5.json").read_text()) == result
    text = (config.out / "table-5.md").read_text()
    assert text == format_ablation(result)
    assert text.startswith(
        "Table 5. Parts of the method. studio, exact 2D, split val; model tiny, 3 steps; last average"
    )
    assert "| full | 1 |" in text
    assert text.count("\n|") == 2 + 3
    assert "31.9 / 24.9" in text


def test_what_is_complete_is_not_trained_again_nor_for_another_table(config, monkeypatch):
    first = ablate(9, config, (0,), quiet)
    names = {str(path.parent.relative_to(config.out)) for path in config.out.glob("*/*/result.json")}
    assert names == {"full/0", "single_pose=0.0/0", "single_pose=0.0-falloff=True/0"}
    with pytest.raises(ValueError, match="holds another run, which differs in steps"):
        ablate(9, replace(config, steps=5), (0,), quiet)
    monkeypatch.setattr(Run, "go", lambda *_: pytest.fail("trained again"))
    assert ablate(9, config, (0,), quiet) == first
    monkeypatch.setitem(TABLES, 8, TABLES[8]._replace(variants=TABLES[8].variants[1:2]))
    shared = ablate(8, config, (0,), quiet)
    assert shared["rows"][0]["seeds"] == first["rows"][2]["seeds"]


def test_a_table_that_is_stopped_goes_on(config, monkeypatch):
    """Ctrl-C in the second variant: nothing is printed or written; then the first is not trained again."""
    trained, step = [], Run.train_step

    def counted(self, phase=None):
        trained.append((self.config.single_pose, self.step))
        return step(self, phase)

    def stopping(self, report, go=Run.go):
        if self.config.single_pose == 0:
            whole, self.config = self.config, replace(self.config, steps=1)
            go(self, report)
            self.config = whole
        else:
            go(self, report)

    monkeypatch.setattr(Run, "train_step", counted)
    fixed, _, controlled = TABLES[9].variants
    monkeypatch.setitem(TABLES, 9, TABLES[9]._replace(variants=(controlled, fixed)))
    said = []
    with monkeypatch.context() as patch:
        patch.setattr(Run, "go", stopping)
        assert ablate(9, config, (0,), said.append) is None
    assert said[-1] == "stopped; the same command goes on from here"
    assert not (config.out / "table-9.md").exists()
    before = len(trained)
    result = ablate(9, config, (0,), quiet)
    assert len(result["rows"]) == 2
    assert (0.25, 0) not in trained[before:], "the full method was complete"
    assert trained[before] == (0.0, 1), "and the second went on where it was stopped"


def test_seeds_have_a_spread():
    rows = [{"name": "full", "paper": "", "seeds": [{"seed": s} | dict.fromkeys(MEASURES, 10.0 + s) for s in (0, 2)]}]
    text = format_ablation({"table": 5, "title": "t", "conditions": "c", "rows": rows})
    assert "| full | 2 | 11.0 +- 1.4 | 11.0 +- 1.4 |" in text


def test_a_benchmark_is_ablated_on_whom_it_holds_out(tmp_path, monkeypatch):
    people = [sequence(20, seed=0, subject="S1"), sequence(13, seed=1, subject="S8")]
    monkeypatch.setattr(feeding, "read_benchmark", lambda _: iter(people))
    config = BenchmarkConfig(
        data=(tmp_path,), out=tmp_path / "ablation", model="tiny", frames=9, epochs=1, device="cpu", threads=1
    )
    with pytest.raises(ValueError, match="measured on people who are not trained on, and there are none"):
        ablate(10, config, (0,), quiet)
    result = ablate(10, replace(config, hold_out=("S8",), out=tmp_path / "again"), (0,), quiet)
    assert "h36m, gt 2D, held out: S8; model tiny, 1 epochs" in format_ablation(result)
    hpd, denoisers = (row["seeds"][0] for row in result["rows"])
    assert hpd["trained_m"] > denoisers["trained_m"]


@pytest.mark.parametrize("number", TABLES)
def test_every_switch_is_a_field_of_every_configuration(number):
    for config in (RECIPES["mocap-wild"](),) if number == "data" else (TrainConfig(), BenchmarkConfig()):
        for variant in TABLES[number].variants:
            changed(config, variant.change)
    assert sum(not variant.change for variant in TABLES[number].variants) == 1, "the full method once"


def test_the_table_of_the_data_switches_off_what_the_recipe_has():
    """Each row changes the recipe; together they leave nothing of the data engine but the recordings."""
    config = RECIPES["mocap-wild"]()
    first, *rows = TABLES["data"].variants
    assert first.change == {}
    for variant in rows:
        less = changed(config, variant.change)
        assert less != config
        assert replace(less, windows=config.windows) == config, "only the windows differ"
        for name in variant.change:
            assert changed(less, {name: operator.attrgetter(name)(config)}) != less, "every switch was on"
        config = less
    assert replace(config.windows.pose, children=0.1, tilt_degrees=18, lean_degrees=12) == as_recorded()
    assert config.windows.exact == 1


def test_ingredients_are_measured_on_unseen_people_as_a_detector_sees_them(config, data, monkeypatch):
    monkeypatch.setattr(unseen, "_WINDOWS", 4)
    monkeypatch.setattr(unseen, "_BATCH", 4)
    clips = [clip_row(5, split="test", frames=90), clip_row(6)]
    strangers = write_set(config.out.parent / "strangers", clips)
    monkeypatch.setitem(TABLES, "data", TABLES["data"]._replace(variants=TABLES["data"].variants[:2]))
    result = ablate("data", config, (0,), quiet, (strangers,))
    assert {path.parent.parent.name for path in config.out.glob("*/*/result.json")} == {
        "full",
        "pose.exchange_arms=0.0-pose.exchange_legs=0.0-pose.exchange_trunk=0.0",
    }
    for row in result["rows"]:
        (found,) = row["seeds"]
        assert found["strangers: val_mpjpe_mm"] > found["strangers: val_p_mpjpe_mm"] > 0
    text = format_ablation(result)
    assert "| strangers detected, MPJPE, mm | strangers detected, P-MPJPE, mm |" in text
    monkeypatch.setattr(Run, "train_step", lambda *_: pytest.fail("trained again"))
    assert ablate("data", config, (0,), quiet, (strangers,)) == result
    plain = ablate("data", config, (0,), quiet)
    assert set(plain["rows"][0]["seeds"][0]) == {"seed", *MEASURES}


@pytest.mark.parametrize("table", ["data", "model"])
def test_a_benchmark_has_neither_ingredients_nor_our_choices(tmp_path, table):
    with pytest.raises(ValueError, match=f"table {table} is of motion capture: choose --preset mocap"):
        ablate(table, BenchmarkConfig(data=(tmp_path,), out=tmp_path), (0,), quiet)


def test_the_command_prints_the_table(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "TABLES", {6: TABLES[6]._replace(variants=TABLES[6].variants[:1])})
    options = ["--table", "6", "--data", str(data), "--model", "tiny", "--steps", "2", "--threads", "1"]
    monkeypatch.setattr(TrainConfig, "phase", lambda *_: Phase(1.0, 5, 2))
    assert main(["ablate", *options, "--out", str(tmp_path / "out"), "--seeds", "3"]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"^\| none \| 1 \| [\d.]+ \| [\d.]+ \| 0\.00 \|", out, re.MULTILINE)
    assert "Table 6, none, seed 3" in err
    assert main(["ablate", *options, "--epochs", "2"]) == 2
    assert "without epochs; give --steps" in capsys.readouterr().err
    assert main(["ablate", *options, "--out", str(tmp_path / "other"), "--init", "nowhere.safetensors"]) == 2
    assert "nowhere.safetensors" in capsys.readouterr().err, "weights to begin with"
    torch.set_num_threads(1)


def test_core_minutes_give_each_variant_the_steps_that_it_can_afford(config, monkeypatch):
    """With a clock that counts denoiser runs, twice the cost buys half the steps."""
    monkeypatch.setitem(TABLES, 5, TABLES[5]._replace(variants=TABLES[5].variants[:1]))
    ticks = iter(range(1000))
    monkeypatch.setattr(Run, "train_step", _counted(Run.train_step, ticks))
    monkeypatch.setattr("dreampose3d.training.trainer.time.process_time", lambda: 0.5 * next(ticks))
    result = ablate(5, replace(config, core_minutes=0.25), (0,), quiet)
    (found,) = result["rows"][0]["seeds"]
    assert found["steps"] == 25, "15 s; a step takes one tick of 0.5 s, and 6 of them are timed over 7 ticks"
    assert "0.25 core-minutes" in result["conditions"]


def _counted(step, ticks):
    def counted(*args):
        next(ticks)
        return step(*args)

    return counted


@pytest.mark.parametrize("variant", TABLES["model"].variants, ids=operator.attrgetter("name"))
def test_each_of_our_choices_can_be_left_out(config, variant, monkeypatch):
    """A step of it, on a model that has what is left out; and a folder that people can read."""
    monkeypatch.setitem(configuring.PRESETS, "tiny", lambda: replace(tiny(), guess=32, gated_affinity=True))
    run = Run.start(changed(config, variant.change), quiet)
    of_the_model = variant.change.keys() & {"change", "affinity", "guess", "prompt"}
    assert (run.config.architecture() != config.architecture()) is bool(of_the_model)
    assert math.isfinite(float(run.train_step().total))
    assert re.fullmatch(r"[\w.=-]+/0", str(module._folder(variant, 0)))
