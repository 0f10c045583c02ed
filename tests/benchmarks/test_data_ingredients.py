import json
from dataclasses import replace

import pytest
from benchmarks import data_ingredients as module
from tests.motion import clip_row, write_set

from dreampose3d.training.ablation import TABLES


@pytest.fixture
def options(tmp_path, monkeypatch):
    """One row of the table, on generated motion, with the smallest model."""
    recipe = module.mocap_wild
    monkeypatch.setattr(module, "mocap_wild", lambda: replace(recipe(), model="tiny", precision="fp32"))
    monkeypatch.setitem(TABLES, "data", TABLES["data"]._replace(variants=TABLES["data"].variants[1:2]))
    data = write_set(tmp_path / "mocap", [clip_row(0), clip_row(1, split="val")])
    return module.Ingredients((data,), out=tmp_path / "out", steps=1)


def test_a_row_for_each_ingredient_trains_the_first_guess_alone(options, capsys):
    module.run(options)
    assert "| without exchanged limbs | 1 |" in capsys.readouterr().out
    (path,) = options.out.glob("*/0/result.json")
    config = json.loads(path.read_text())["config"]
    assert config["prompt"] == "none"
    assert [phase["denoise"] for phase in config["phases"]] == [0, 0]
    assert config["windows"]["pose"]["exchange_arms"] == 0 < config["windows"]["cameras"]["tele"]
