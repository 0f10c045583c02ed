"""What the action prompt says over time: the probabilities of the likeliest intents."""

from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from dreampose3d.figures.clip import within
from dreampose3d.figures.style import FAINT, LINES, Width, new_figure, paper_style
from dreampose3d.sequence import LiftedMotion

Kind = Literal["lines", "stacked"]

_HATCHES = ("", "////", "....", "xxxx", "----", "\\\\\\\\")


@paper_style()
def prompts_figure(
    motion: LiftedMotion,
    top: int = 5,
    kind: Kind = "lines",
    span_s: tuple[float, float] | None = None,
    recorded: str = "",
    width: Width = "column",
) -> Figure:
    """Draw the intents that are likeliest over the clip.

    Args:
        motion: The result.
        top: How many intents; in stacked areas the others are summed up as one.
        kind: A line each, or areas on top of each other.
        span_s: Which part of the clip.
        recorded: The action that the recording is labelled with, to be named in the figure.
        width: The figure's.

    Raises:
        ValueError: If the weights know no intents, too many or none are asked for, or the span is empty.
    """
    if not motion.intent_names:
        raise ValueError(f"{motion.name} has no intents: its weights were trained without prompts or vocabulary")
    if not 1 <= top <= len(LINES):
        raise ValueError(f"expected 1 to {len(LINES)} intents to draw, got {top}")
    inside = within(motion.time_s, span_s, motion.name)
    time_s, percent = motion.time_s[inside], 100 * motion.intent_probability[inside]
    shown = likeliest(percent, top)
    figure = new_figure(width, 2.1)
    panel = figure.subplots()
    if kind == "lines":
        _draw_lines(panel, time_s, percent[:, shown])
        names = [motion.intent_names[intent] for intent in shown]
    else:
        layers = np.column_stack((percent[:, shown], 100 - percent[:, shown].sum(1)))
        _draw_areas(panel, time_s, layers)
        names = [motion.intent_names[intent] for intent in shown] + ["all others"]
    highest = 100 if kind == "stacked" else max(20, 20 * int(np.ceil(percent[:, shown].max() / 20)))
    panel.set(ylim=(0, highest), xlabel="time (s)", ylabel="probability (%)")
    panel.margins(x=0)
    title = f"recorded as: {recorded}" if recorded else None
    handles = panel.lines or panel.collections
    columns = 3 if width == "column" else 6
    figure.legend(
        handles, names, loc="outside upper center", ncols=columns, columnspacing=1.2, title=title, title_fontsize=6.5
    )
    return figure


def likeliest(probability: Float[ndarray, "N V"], count: int) -> list[int]:
    """The intents with the highest mean probability, highest first."""
    return [int(intent) for intent in np.argsort(-probability.mean(0), kind="stable")[:count]]


def _draw_lines(panel: Any, time_s: Float[ndarray, " N"], percent: Float[ndarray, "N top"]) -> None:
    for (colour, dashes), line in zip(LINES, percent.T, strict=False):
        panel.plot(time_s, line, color=colour, linestyle=dashes)


def _draw_areas(panel: Any, time_s: Float[ndarray, " N"], percent: Float[ndarray, "N layers"]) -> None:
    """Areas told apart by hatches, too; the last one, what remains, is plain."""
    count = percent.shape[1] - 1
    colours = [colour for colour, _ in LINES[:count]]
    areas = panel.stackplot(time_s, percent.T, colors=[*colours, FAINT], linewidth=0)
    for area, hatch in zip(areas, [*_HATCHES[:count], ""], strict=True):
        area.set(hatch=hatch, edgecolor=(1, 1, 1, 0.6))
