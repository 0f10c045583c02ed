"""Panels of matrices on one colour scale, laid out in inches: the form that affinity and attention share."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from dreampose3d.figures.style import WIDTHS_IN, Width, joint_label, new_figure
from dreampose3d.skeleton import Skeleton

_GAP_IN, _TITLE_IN, _TOP_IN = 0.08, 0.2, 0.06
_BAR_IN = (0.08, 0.09, 0.48)
"""Of the colour bar: before it, its width, its labels."""


class MatrixPanels(NamedTuple):
    """Empty panels, row by row, and the place of their colour bar."""

    figure: Figure
    panels: list[Any]
    bar: Any
    columns: int

    def at_left(self, place: int) -> bool:
        """Whether nothing stands left of a panel."""
        return place % self.columns == 0

    def at_bottom(self, place: int) -> bool:
        """Whether nothing stands below a panel."""
        return place + self.columns >= len(self.panels)

    def colour_bar(self, image: Any, label: str, extend: str = "neither") -> None:
        """Draw the scale of an image, which is that of all."""
        bar = self.figure.colorbar(image, cax=self.bar, extend=extend)
        bar.set_label(label)
        bar.ax.locator_params(nbins=5)
        bar.outline.set_linewidth(0.6)


def matrix_panels(
    width: Width, titles: Sequence[str], columns: int, labels_in: tuple[float, float], aspect: float = 1.0
) -> MatrixPanels:
    """Make room for some matrices of equal shape.

    Args:
        width: The figure's.
        titles: One for each matrix; may be empty.
        columns: How many side by side.
        labels_in: Room for labels left of the panels and below them, inches.
        aspect: Height of a panel over its width.
    """
    left, below = labels_in
    across = (WIDTHS_IN[width] - left - sum(_BAR_IN) - _GAP_IN * (columns - 1)) / columns
    high, rows = aspect * across, -(-len(titles) // columns)
    top = _TITLE_IN if any(titles) else _TOP_IN
    height = rows * (high + top) + below
    figure = new_figure(width, height)
    figure.set_layout_engine("none")

    def place_axes(x: float, y: float, w: float, h: float) -> Any:
        return figure.add_axes((x / WIDTHS_IN[width], 1 - (y + h) / height, w / WIDTHS_IN[width], h / height))

    panels = []
    for place, title in enumerate(titles):
        row, column = divmod(place, columns)
        panels.append(place_axes(left + column * (across + _GAP_IN), top + row * (high + top), across, high))
        panels[-1].set_title(title)
        panels[-1].spines[:].set_visible(True)
    bar_high = min(rows * (high + top) - top, 1.7)
    bar = place_axes(WIDTHS_IN[width] - sum(_BAR_IN[1:]), top + max(high - bar_high, 0) / 2, _BAR_IN[1], bar_high)
    return MatrixPanels(figure, panels, bar, columns)


def label_joints(panel: Any, skeleton: Skeleton, *, columns: bool, rows: bool) -> None:
    """Joint names along the axes of a matrix, where they are wanted; no ticks."""
    names = [joint_label(joint) for joint in skeleton.joints]
    panel.set_yticks(range(len(names)) if rows else [], names if rows else [])
    panel.set_xticks(range(len(names)) if columns else [], names if columns else [], rotation=90)
    panel.tick_params(length=0, pad=2)
