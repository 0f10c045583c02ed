"""The report of a run, one page that needs nothing else: curves, what was reached, what it was made of."""

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from dreampose3d.files import atomic_write
from dreampose3d.model.dreampose import DreamPose3DConfig
from dreampose3d.model.info import count_parameters
from dreampose3d.report.markup import Markup, joined, table, tag, void
from dreampose3d.training.budget import clock
from dreampose3d.training.config import RunConfig
from dreampose3d.training.log import rows_of
from dreampose3d.training.record import plain

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 480.0, 200.0, 56.0, 12.0, 26.0
_POINTS = 400
"""A longer curve is drawn as the means of so many stretches."""
_COLOURS = ("#1f6feb", "#d1495b", "#2a9d5c")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; color: #1c1e21 }
h1, h2 { font-weight: 600 } figure { margin: 0 }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); gap: 1rem }
svg { width: 100%; height: auto; background: #fafafa } svg text { font: 11px system-ui, sans-serif; fill: #555 }
.rule { stroke: #ddd } .curve { fill: none; stroke-width: 1.5 } figcaption { font-weight: 600 }
table { border-collapse: collapse } caption { text-align: left; font-weight: 600; padding: 0.5rem 0 }
th, td { text-align: left; padding: 0.15rem 1rem 0.15rem 0; vertical-align: top; font-weight: 400 }
th { color: #555 } .scroll { overflow-x: auto } .key span { margin-right: 1rem }
"""


class Curve(NamedTuple):
    """A named line of a plot."""

    name: str
    steps: Sequence[float]
    values: Sequence[float]


def write_report(config: RunConfig, model: DreamPose3DConfig) -> Path:
    """Write report.html into a run's folder, from what lies there."""
    folder = config.out
    rows, pace = list(rows_of(folder / "log.csv")), list(rows_of(folder / "pace.csv"))
    about = json.loads((folder / "config.json").read_text())
    trained = sum(part.trained for part in count_parameters(model).values())
    shape = {name: value for name, value in model.to_dict().items() if name not in ("labels", "phrases")}
    title = f"{folder.name}: {config.model} on {', '.join(config.trained_on)}"
    plots = (
        plot(
            "loss; it rises where all n poses begin to be decoded",
            [_curve(rows, name, name) for name in ("total", "pose", "bone")],
            logarithmic=True,
        ),
        plot(
            "who is held out, mm (H = 1, K = 1)",
            [_curve(rows, "MPJPE", "val_mpjpe_mm"), _curve(rows, "P-MPJPE", "val_p_mpjpe_mm")],
        ),
        plot("learning rate", [_curve(rows, "rate", "learning_rate")]),
        plot("frames trained on in a second", [_curve(pace, "frames/s", "frames_per_s")]),
        plot("multiply-accumulates in a second, forward and backward", [_curve(pace, "GMAC/s", "gmacs_per_s")]),
    )
    page = joined(
        void("meta", charset="utf-8"),
        tag("title", title),
        tag("style", Markup(_STYLE)),
        tag("h1", title),
        tag("p", _summary(rows, pace, config.steps, trained)),
        tag("div", *(part for part in plots if part), class_="plots"),
        _facts("Machine and versions", about.get("hardware", {}) | about["versions"]),
        _facts("Configuration", plain(config)),
        _facts("Model", shape),
    )
    with atomic_write(folder / "report.html") as path:
        path.write_text(f"<!doctype html>\n<html lang='en'>{page}</html>\n", encoding="utf-8")
    return folder / "report.html"


def plot(title: str, curves: Sequence[Curve], *, logarithmic: bool = False) -> Markup:
    """Curves over the steps of a run, with their last values; nothing where there are none."""
    curves = [_thinned(curve) for curve in curves if curve.values and min(curve.values) > 0]
    if not curves:
        return Markup("")
    scale = math.log10 if logarithmic else float
    heights = [[scale(value) for value in curve.values] for curve in curves]
    low, high = min(map(min, heights)), max(map(max, heights))
    low = low if logarithmic else 0.0
    high = max(high, low + 1e-9)
    last = max(max(curve.steps) for curve in curves)

    def x(step: float) -> float:
        return LEFT + step / last * (WIDTH - LEFT - 8)

    def y(height: float) -> float:
        return HEIGHT - BOTTOM - (height - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    rules = [
        joined(
            tag("line", x1=LEFT, x2=WIDTH - 8, y1=y(scale(value)), y2=y(scale(value)), class_="rule"),
            tag("text", f"{value:g}", x=LEFT - 5, y=y(scale(value)) + 4, text_anchor="end"),
        )
        for value in (_decades(low, high) if logarithmic else _round_numbers(high))
    ]
    ends = [
        tag("text", f"{share * last:.0f}", x=x(share * last), y=HEIGHT - 8, text_anchor="middle") for share in (0, 0.5)
    ]
    ends.append(tag("text", f"step {last:.0f}", x=WIDTH - 8, y=HEIGHT - 8, text_anchor="end"))
    paths = [
        tag("polyline", points=" ".join(f"{x(s):.1f},{y(h):.1f}" for s, h in zip(curve.steps, height, strict=True)),
            class_="curve", stroke=colour)
        for curve, height, colour in zip(curves, heights, _COLOURS, strict=False)
    ]  # fmt: skip
    key = [
        tag("span", f"{curve.name} {curve.values[-1]:.4g}", style=f"color: {colour}")
        for curve, colour in zip(curves, _COLOURS, strict=False)
    ]
    svg = tag(
        "svg", joined(tag("title", title), *rules, *ends, *paths), viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", role="img"
    )
    return tag("figure", tag("figcaption", title), svg, tag("div", *key, class_="key"))


def _round_numbers(high: float) -> list[float]:
    """From 0 up to a value, four to ten steps."""
    power = 10.0 ** math.floor(math.log10(high))
    step = next(power * part for part in (1, 0.5, 0.2, 0.1) if high / (power * part) >= 4)
    return [round(number * step, 12) for number in range(math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two powers of ten."""
    exponents = range(math.floor(low), math.ceil(high) + 1)
    values = [part * 10.0**exponent for exponent in exponents for part in (1, 2, 5)]
    return [value for value in values if low <= math.log10(value) <= high]


def _curve(rows: Sequence[dict[str, str]], name: str, column: str) -> Curve:
    known = [(float(row["step"]), float(row[column])) for row in rows if row[column]]
    return Curve(name, [step for step, _ in known], [value for _, value in known])


def _thinned(curve: Curve) -> Curve:
    size = len(curve.values)
    if size <= _POINTS:
        return curve
    edges = [size * i // _POINTS for i in range(_POINTS + 1)]
    stretches = [slice(a, b) for a, b in pairwise(edges)]
    return Curve(curve.name, *([sum(v[s]) / (s.stop - s.start) for s in stretches] for v in curve[1:]))


def _summary(rows: Sequence[dict[str, str]], pace: Sequence[dict[str, str]], steps: int, trained: int) -> str:
    done = rows[-1]["step"] if rows else "0"
    text = f"{done} of {steps} steps, {trained / 1e6:.2f} M weights trained"
    if pace:
        text += f", {clock(float(pace[-1]['seconds']))} in all"
    measured = [float(row["val_mpjpe_mm"]) for row in rows if row["val_mpjpe_mm"]]
    if measured:
        text += f"; MPJPE on whom was held out {measured[-1]:.1f} mm at the end, {min(measured):.1f} mm at best"
    return f"{text}."


def _facts(caption: str, facts: dict[str, object]) -> Markup:
    rows = [
        (name, json.dumps(value) if isinstance(value, (dict, list)) else str(value)) for name, value in facts.items()
    ]
    return table(caption, ("", ""), rows, wordy=True)
