"""How the figures look and how they are written: one typography, one palette, the two widths of a paper.

Colours are Okabe and Ito's, and nothing is told by colour alone: methods differ in their dashes too, the person's
right is drawn hollow and his left solid, so that a photocopy says the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

try:
    import matplotlib
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
except ImportError:
    raise ImportError('drawing figures needs an extra: pip install "dreampose3d[figures]"') from None

from dreampose3d.files import atomic_write

Width = Literal["column", "full"]
WIDTHS_IN: dict[Width, float] = {"column": 3.3, "full": 7.0}
"""Inches: one column of a two-column page, and both."""

INK, QUIET, FAINT = "#1f2733", "#7a8494", "#dde2e9"
BLUE, VERMILION = "#0072b2", "#d55e00"
SIDES = {"left": BLUE, "right": VERMILION, "": QUIET}
"""As in the viewer: the person's left and right, and what has no side."""

LINES: tuple[tuple[str, Any], ...] = (
    (BLUE, "-"),
    (VERMILION, (0, (4, 1.5))),
    ("#009e73", (0, (1.2, 1.2))),
    ("#cc79a7", (0, (5, 1.5, 1, 1.5))),
    ("#56b4e9", (0, (8, 2))),
    ("#e69f00", (0, (3, 1, 1, 1, 1, 1))),
)
"""Colour and dashes of each method, in order."""

SHARES = LinearSegmentedColormap.from_list("shares", ["#ffffff", "#9ecae1", "#2171b5", "#08204a"])
"""From nothing to much: darker all the way."""
SIGNED = LinearSegmentedColormap.from_list("signed", [VERMILION, "#f6c9a0", "#ffffff", "#8fc1e0", BLUE], N=257)
"""From negative over white, which is exactly 0, to positive."""

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.0,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "figure.constrained_layout.hspace": 0.01,
    "figure.constrained_layout.wspace": 0.01,
    "savefig.dpi": 300,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "dreampose3d",  # equal figures give equal files
    "pdf.fonttype": 42,
}


@contextmanager
def paper_style() -> Iterator[None]:
    """Matplotlib's defaults with this module's settings on top; what was set before is there again afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_figure(width: Width, height_in: float) -> Figure:
    """An empty figure of one of the two widths, without pyplot: no window, no global state."""
    return Figure(figsize=(WIDTHS_IN[width], height_in))


def check_figure_path(path: Path) -> None:
    """Before a long job: refuse a file that no figure can be written to.

    Raises:
        ValueError: If its name does not end in .png, .svg or .pdf.
    """
    if path.suffix.lower() not in _METADATA:
        raise ValueError(f"expected a figure file that ends in {', '.join(_METADATA)}; got {path.name!r}")


def save_figure(figure: Figure, path: Path, description: str = "") -> None:
    """Write a figure at 300 dpi (PNG) or as vectors with text as text (SVG, PDF): whole or not at all.

    Args:
        figure: What to write.
        path: Its ending chooses the format.
        description: Where the figure comes from, kept in the file's metadata.

    Raises:
        ValueError: If the ending is none of these.
        OSError: If the file cannot be written.
    """
    check_figure_path(path)
    metadata = {key: description if value is None else None for key, value in _METADATA[path.suffix.lower()].items()}
    with atomic_write(path) as temporary, paper_style():
        figure.savefig(temporary, metadata=metadata)


_METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Description": None},
    ".svg": {"Description": None, "Date": "left out"},
    ".pdf": {"Subject": None, "CreationDate": "left out"},
}
"""Where each format keeps a description (None), and what is left out so that equal figures give equal files."""


def joint_label(joint: str) -> str:
    """`left_wrist` as people write it."""
    return joint.replace("_", " ")


def place_legend(figure: Figure, handles: list[Any], columns: int) -> None:
    """One legend for the whole figure, above it."""
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=min(columns, len(handles)), columnspacing=1.4)
