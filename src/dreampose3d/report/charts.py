"""Curves over time as SVG: left solid, right dashed, numbered lines at the moments that are pictured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.report.markup import Markup, joined, tag

WIDTH, HEIGHT = 360.0, 184.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 8.0, 32.0, 24.0
_COLUMNS = 300
"""Of more frames than this, the lowest and the highest of each column are drawn."""
_MARK_APART = 13.0  # px between the numbers of moments


@dataclass(frozen=True)
class Line:
    """A curve: of the left side, of the right one, or of neither."""

    side: str
    values: Float[ndarray, " N"]


def chart(
    title: str, lines: Sequence[Line], time_s: Float[ndarray, " N"], unit: str, moments_s: Sequence[float]
) -> Markup:
    """Draw curves over one time axis.

    Args:
        title: What it shows, for those who cannot see it.
        lines: The curves; NaN is left out.
        time_s: Presentation times, seconds.
        unit: Of the values.
        moments_s: Where to draw numbered lines, from 1.
    """
    known = np.concatenate([line.values[np.isfinite(line.values)] for line in lines])
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    ticks = ticks_of(low, high)
    first, last = float(time_s[0]), max(float(time_s[-1]), float(time_s[0]) + 1e-3)

    def x(time: ndarray | float) -> ndarray | float:
        return _LEFT + (time - first) / (last - first) * (WIDTH - _LEFT - _RIGHT)

    def y(value: ndarray | float) -> ndarray | float:
        return HEIGHT - _BOTTOM - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (HEIGHT - _TOP - _BOTTOM)

    parts = [
        tag("title", title),
        *(_rule(float(y(tick)), tick, unit if tick == ticks[-1] else "", tick == 0) for tick in ticks),
        *(_second(float(x(tick)), tick) for tick in ticks_of(first, last, 6) if first <= tick <= last),
        *_marks([float(x(moment)) for moment in moments_s]),
    ]
    for line in lines:
        parts.append(
            tag("path", d=_path(np.asarray(x(time_s)), np.asarray(y(line.values))), class_=f"curve {line.side}")
        )
    return tag(
        "svg", joined(*parts), viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", role="img", class_="chart", aria_label=title
    )


def ticks_of(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers, at most so many steps, from at or below the lowest value to at or above the highest."""
    span = max(high - low, 1e-3)
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * times for times in (1, 2, 3, 5, 10, 20) if span / (power * times) <= most)
    start, stop = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 6) for number in range(start, max(stop, start + 1) + 1)]


def _rule(y: float, value: float, unit: str, zero: bool) -> Markup:
    """A value's line across, with its number."""
    return joined(
        tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="zero" if zero else "rule"),
        tag("text", f"{value:g}", x=_LEFT - 5, y=y + 3.5, text_anchor="end"),
        *([tag("text", unit, x=2, y=10, class_="unit")] if unit else []),
    )


def _second(x: float, time_s: float) -> Markup:
    return tag(
        "text",
        f"{time_s:g} s" if x > WIDTH - 60 else f"{time_s:g}",
        x=min(x, WIDTH - 14),
        y=HEIGHT - 8,
        text_anchor="middle",
    )


def _marks(places: Sequence[float]) -> list[Markup]:
    """Numbered lines; numbers that would touch are moved apart."""
    labels = list(places)
    for i in range(1, len(labels)):
        labels[i] = max(labels[i], labels[i - 1] + _MARK_APART)
    over = max(0.0, labels[-1] - (WIDTH - _RIGHT)) if labels else 0.0
    for i in reversed(range(len(labels))):
        limit = WIDTH - _RIGHT if i == len(labels) - 1 else labels[i + 1] - _MARK_APART
        labels[i] = min(labels[i], limit) if over else labels[i]
    return [
        joined(
            tag("line", x1=x, x2=x, y1=_TOP - 4, y2=HEIGHT - _BOTTOM, class_="mark"),
            tag("text", f"{number}", x=label, y=_TOP - 8, text_anchor="middle", class_="number"),
        )
        for number, (x, label) in enumerate(zip(places, labels, strict=True), 1)
    ]


def _path(x: Float[ndarray, " N"], y: Float[ndarray, " N"]) -> str:
    """SVG's path through the points; broken where there is none."""
    shown = _thinned(y)
    words, pen = [], False
    for place in shown:
        if not math.isfinite(y[place]):
            pen = False
            continue
        words.append(f"{'L' if pen else 'M'}{x[place]:.1f} {y[place]:.1f}")
        pen = True
    return "".join(words)


def _thinned(y: Float[ndarray, " N"]) -> list[int]:
    """Which frames to draw: all of a short clip, else those with the lowest and highest value of each column."""
    if len(y) <= 2 * _COLUMNS:
        return list(range(len(y)))
    kept: set[int] = set()
    for column in np.array_split(np.arange(len(y)), _COLUMNS):
        values = y[column]
        kept |= {int(column[np.nan_to_num(values, nan=np.inf).argmin()])}
        kept |= {int(column[np.nan_to_num(values, nan=-np.inf).argmax()])}
    return sorted(kept)
