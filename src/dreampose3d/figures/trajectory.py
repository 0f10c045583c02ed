"""Joint trajectories: each coordinate of a few joints over time, several methods against the truth."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy import ndarray

from dreampose3d.figures.clip import Track
from dreampose3d.figures.style import LINES, QUIET, Width, joint_label, new_figure, paper_style, place_legend

Quantity = Literal["position", "velocity"]

AXES = ("x, right", "y, down", "z, away")
"""The camera frame's axes, in words."""

_UNITS: dict[Quantity, str] = {"position": "mm", "velocity": "mm/s"}
_ROW_IN = {"column": 0.72, "full": 1.05}


@paper_style()
def trajectory_figure(
    tracks: Sequence[Track],
    truth: Track | None,
    joints: Sequence[str],
    quantity: Quantity = "position",
    width: Width = "full",
) -> Figure:
    """Draw x, y and z of each joint over time: side by side on the full width, below each other in a column.

    The axis of y, which points down, is turned over, so that up is up. Bars at the bottom of a panel mark the times
    at which a method had no 2D for the joint.

    Args:
        tracks: What each method made of the clip, camera frame, mm.
        truth: The measured joints, mm; drawn in black beneath.
        joints: Names of the joints.
        quantity: Where a joint is, mm, or how fast it goes along each axis (first differences), mm/s.
        width: The figure's.

    Raises:
        ValueError: If there is no or too many a track, no joint, or one that the skeleton lacks.
    """
    if not 1 <= len(tracks) <= len(LINES):
        raise ValueError(f"expected 1 to {len(LINES)} methods in one figure, got {len(tracks)}")
    if not joints:
        raise ValueError("expected at least one joint to draw")
    rows, columns = (len(joints), 3) if width == "full" else (3 * len(joints), 1)
    figure = new_figure(width, 0.55 + _ROW_IN[width] * rows)
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False).reshape(len(joints), 3)
    for joint, row in zip(joints, panels, strict=True):
        for axis, panel in enumerate(row):
            _draw_truth(panel, truth, joint, axis, quantity)
            for place, track in enumerate(tracks):
                _draw_track(panel, track, joint, axis, quantity, place)
            if axis == 1:
                panel.invert_yaxis()
    _label(panels, joints, _UNITS[quantity], width)
    figure.align_ylabels()
    place_legend(figure, _legend(tracks, truth, joints), columns=4 if width == "full" else 2)
    return figure


def coordinate(track: Track, joint: str, axis: int, quantity: Quantity) -> tuple[ndarray, ndarray]:
    """Time (s) and value (mm or mm/s) of one coordinate; a velocity belongs to the middle of its two frames."""
    values = track.joints_mm[:, track.skeleton.index(joint), axis]
    if quantity == "position":
        return track.time_s, values
    return (track.time_s[1:] + track.time_s[:-1]) / 2, np.diff(values) / np.diff(track.time_s)


def runs(inside: Bool[ndarray, " N"], time_s: Float[ndarray, " N"]) -> list[tuple[float, float]]:
    """(start, duration) in seconds of each run of True; a frame lasts until the next one."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], inside, [False])).astype(int)))
    ends = np.append(time_s, 2 * time_s[-1] - time_s[-2] if len(time_s) > 1 else time_s[-1])
    return [(float(ends[a]), float(ends[b] - ends[a])) for a, b in edges.reshape(-1, 2)]


def _draw_truth(panel: Any, truth: Track | None, joint: str, axis: int, quantity: Quantity) -> None:
    if truth is not None:
        panel.plot(*coordinate(truth, joint, axis, quantity), color="black", linewidth=1.8, alpha=0.35, zorder=1)


def _draw_track(panel: Any, track: Track, joint: str, axis: int, quantity: Quantity, place: int) -> None:
    colour, dashes = LINES[place]
    panel.plot(*coordinate(track, joint, axis, quantity), color=colour, linestyle=dashes, zorder=2)
    if track.missing is not None:
        missing = runs(track.missing[:, track.skeleton.index(joint)], track.time_s)
        panel.broken_barh(
            missing, (0.03 * place, 0.025), transform=panel.get_xaxis_transform(), color=colour, linewidth=0
        )


def _label(panels: ndarray, joints: Sequence[str], unit: str, width: Width) -> None:
    for joint, row in zip(joints, panels, strict=True):
        for axis, panel in enumerate(row):
            panel.locator_params(axis="y", nbins=4)
            panel.margins(x=0.01)
            if width == "column":
                panel.set_ylabel(f"{AXES[axis].split(',')[0]} ({unit})")
        if width == "full":
            row[0].set_ylabel(f"{joint_label(joint)} ({unit})")
        else:
            row[0].set_title(joint_label(joint), loc="left", fontweight="bold")
    if width == "full":
        for name, panel in zip(AXES, panels[0], strict=True):
            panel.set_title(name)
    for panel in panels[-1] if width == "full" else panels[-1, -1:]:
        panel.set_xlabel("time (s)")


def _legend(tracks: Sequence[Track], truth: Track | None, joints: Sequence[str]) -> list[Line2D]:
    handles = []
    if truth is not None:
        handles.append(Line2D([], [], color="black", linewidth=1.8, alpha=0.35, label=truth.name))
    for (colour, dashes), track in zip(LINES, tracks, strict=False):
        handles.append(Line2D([], [], color=colour, linestyle=dashes, label=track.name))
    if any(_misses(track, joints) for track in tracks):
        handles.append(
            Line2D([], [], color=QUIET, linewidth=2.5, label="bars: no 2D of the joint", solid_capstyle="butt")
        )
    return handles


def _misses(track: Track, joints: Sequence[str]) -> bool:
    return track.missing is not None and bool(track.missing[:, track.skeleton.indices(*joints)].any())
