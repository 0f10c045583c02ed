"""The page about a run: everything on it, nothing from elsewhere."""

import math
import os
import re
import sys
from xml.etree import ElementTree

import pytest
from tests.motion import clip_row, write_set

from dreampose3d.training import feed as feeding
from dreampose3d.training.config import Phase, TrainConfig
from dreampose3d.training.log import progress, spark
from dreampose3d.training.report import Curve, plot
from dreampose3d.training.trainer import train


def test_a_run_ends_with_a_page_about_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(feeding, "_WATCHED", 2)
    monkeypatch.setattr(feeding, "_WATCHED_BATCH", 2)
    data = write_set(tmp_path / "a<b", [clip_row(0), clip_row(1, split="val", frames=90)])
    config = TrainConfig(
        data=(data,), out=tmp_path / "run", model="tiny", steps=4, threads=1, precision="fp32", validate_every=2,
        phases=(Phase(1, 5, 2),),
    )  # fmt: skip
    said = []
    train(config, said.append, calibrate=False)
    page = (config.out / "report.html").read_text()
    assert page.count("<svg") == 5, "loss, who is held out, learning rate, frames and MACs a second"
    assert "tiny on a&lt;b" in page
    assert "4 of 4 steps, 1.7" in page
    for fact in ("learning_rate", "torch", "cpu", "processes", "diffusion_steps"):
        assert f">{fact}</th>" in page
    assert not re.search(r"https?://|src=|href=|@import|url\(", page)
    measured = next(line for line in said if "val MPJPE" in line)
    assert re.search(r"  \d+ frames/s  [\d.]+ GMAC/s  \d+ s left, ends \d\d:\d\d$", measured)


def points(svg):
    (line,) = ElementTree.fromstring(re.search("<svg.*</svg>", svg)[0]).findall(".//polyline")
    return [tuple(float(number) for number in pair.split(",")) for pair in line.get("points").split()]


def test_a_curve_is_drawn_to_scale():
    """Along a straight line x and y grow in proportion; on a logarithmic scale decades are equally far apart."""
    (x0, y0), (x1, y1), (x2, y2) = points(plot("a", [Curve("a", [0, 50, 100], [1, 2, 3])]))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.11)
    assert x2 > x0
    assert y2 < y0
    (_, y0), (_, y1), (_, y2) = points(plot("a", [Curve("a", [1, 2, 3], [1, 10, 100])], logarithmic=True))
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.11)


def test_lines_across_have_round_numbers():
    numbers = re.findall(r"<text[^>]*end\">([\d.e-]+)<", plot("a", [Curve("a", [1, 2], [1e-5, 2e-3])]))
    assert numbers == ["0", "0.0005", "0.001", "0.0015", "0.002"]
    numbers = re.findall(r"<text[^>]*end\">([\d.e-]+)<", plot("a", [Curve("a", [1, 2], [0.03, 0.6])], logarithmic=True))
    assert numbers == ["0.05", "0.1", "0.2", "0.5"]


def test_a_long_curve_is_drawn_as_means():
    steps = list(range(1, 8001))
    drawn = points(plot("a", [Curve("a", steps, [1 + step % 2 for step in steps])]))
    assert len(drawn) == 400
    assert len({y for _, y in drawn}) == 1, "the mean of 1 and 2"


def test_nothing_to_draw_draws_nothing():
    assert plot("a", [Curve("a", [], []), Curve("b", [1, 2], [0, 0])]) == ""


def test_the_curve_up_to_now_is_a_row_of_bars():
    assert spark([3, 2, 1]) == "█▅▁"
    assert spark([5.0]) == "▁"
    assert len(spark([math.sin(i) for i in range(100)])) == 24


def test_the_end_of_a_long_run_names_the_day():
    row = {"step": 5, "total": 1.0, "pose": 0.1}
    speed = {"frames_per_s": 10.0, "gmacs_per_s": 1.0}
    assert re.search(r"24\.0 h left, ends \w+ \d\d:\d\d$", progress(row, [], 10, speed, 86400.0))
