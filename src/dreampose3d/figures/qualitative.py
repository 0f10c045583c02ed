"""Skeleton panels: a few frames of a clip, the 2D input above the 3D result as two views show it, with the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.patheffects import Normal, Stroke
from numpy import ndarray

from dreampose3d.figures.clip import Track
from dreampose3d.figures.style import FAINT, QUIET, SIDES, WIDTHS_IN, Width, new_figure, paper_style, place_legend
from dreampose3d.figures.view import VIEWS_DEGREES, View
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import Skeleton
from dreampose3d.viewer.mp4 import frames_of

Pictures = dict[int, UInt8[ndarray, "height width 3"]]
"""Frames of the video, by the motion's frame."""

_BONE_PT = 2.2
_MARGIN_MM = 90.0
_TILE_MM = 500.0


@paper_style()
def qualitative_figure(
    motion: LiftedMotion,
    frames: Sequence[int],
    truth: Track | None = None,
    pictures: Pictures | None = None,
    width: Width = "full",
    *,
    spread: bool = True,
) -> Figure:
    """Draw some frames of a motion, a column each: the 2D input, the 3D from the camera and from a quarter turn away.

    All 3D panels have one scale and show the pose around its root, orthographically; up is up. The person's left is
    solid, his right hollow; the truth is a thin black skeleton; discs are the spread, within which the true joint
    lies with 68 % probability; the tile on the floor is one metre wide. Each 2D panel fits its person.

    Args:
        motion: The result with its 2D.
        frames: Which frames.
        truth: Measured joints at the motion's own times, camera frame.
        pictures: What to show behind the 2D.
        width: The figure's.
        spread: Whether to draw the discs.

    Raises:
        ValueError: If there are no frames, frames that the motion lacks, or a truth of other times.
    """
    if not frames or not all(0 <= frame < len(motion) for frame in frames):
        raise ValueError(f"expected frames from 0 to {len(motion) - 1} ({motion.name}), got {list(frames)}")
    if truth is not None and truth.joints_mm.shape != motion.joints_mm.shape:
        raise ValueError(f"the truth has {len(truth.joints_mm)} frames, the result {len(motion)}; give that clip's own")
    views = [View.around(motion.camera.up, degrees) for degrees in VIEWS_DEGREES.values()]
    scene = _Scene.of(motion, frames, truth, views)
    figure, panels = _grid(width, len(frames), scene)
    for column, frame in enumerate(frames):
        _draw_input(panels[0, column], motion, frame, (pictures or {}).get(frame))
        panels[0, column].set_title(_title(motion, truth, frame))
        for view, panel in zip(views, panels[1:, column], strict=True):
            _draw_lifted(panel, motion, frame, view, scene, truth, spread=spread)
    for name, panel in zip(("2D input", *VIEWS_DEGREES), panels[:, 0], strict=True):
        panel.set_ylabel(name)
    place_legend(figure, _legend(motion, truth, spread=spread), columns=5 if width == "full" else 2)
    return figure


def evenly(motion: LiftedMotion, count: int) -> list[int]:
    """Frames spread evenly over a clip, each in the middle of its share."""
    if count < 1:
        raise ValueError(f"expected at least one frame, got {count}")
    first, last = float(motion.time_s[0]), float(motion.time_s[-1])
    return nearest(motion, [first + (last - first) * (place + 0.5) / count for place in range(count)])


def nearest(motion: LiftedMotion, times_s: Sequence[float]) -> list[int]:
    """The frames shown at some times.

    Raises:
        ValueError: If a time lies outside the clip.
    """
    first, last = float(motion.time_s[0]), float(motion.time_s[-1])
    for time in times_s:
        if not first <= time <= last:
            raise ValueError(f"{motion.name} runs from {first:g} to {last:g} s; it has nothing at {time:g} s")
    return [int(np.abs(motion.time_s - time).argmin()) for time in times_s]


def pictures_of(motion: LiftedMotion, frames: Sequence[int], video: Path) -> Pictures:
    """What the video shows at some frames of the motion that was lifted from it.

    Raises:
        ValueError: If the video cannot be read, or shows nothing at one of them.
    """
    wanted = set(frames)
    pictures: Pictures = {}
    for _, frame, picture in frames_of(motion.time_s, motion.fps, video):
        if frame in wanted:
            pictures.setdefault(frame, picture)
    if missing := sorted(wanted - set(pictures)):
        raise ValueError(f"{video} shows nothing at frames {missing} of {motion.name}; is it another clip?")
    return pictures


@dataclass(frozen=True)
class _Scene:
    """What all panels share."""

    low: Float[ndarray, " 2"]
    high: Float[ndarray, " 2"]
    """Of the 3D panels: left, bottom and right, top; mm from the root."""
    floor_mm: float
    """How high along up the lowest joint of all frames is."""
    up: Float[ndarray, " 3"]

    @classmethod
    def of(cls, motion: LiftedMotion, frames: Sequence[int], truth: Track | None, views: Sequence[View]) -> "_Scene":
        poses, reach = [motion.root_relative_mm[list(frames)]], [motion.spread_mm[list(frames)]]
        if truth is not None:
            poses.append(truth.relative_to_root().joints_mm[list(frames)])
            reach.append(np.zeros_like(reach[0]))
        margin = np.maximum(_MARGIN_MM, np.concatenate(reach))[..., None]
        seen = [view(np.concatenate(poses)) + sign * margin for view in views for sign in (-1, 1)]
        up = np.asarray(motion.camera.up, np.float64)
        placed = motion.joints_mm if truth is None else truth.joints_mm
        low = np.minimum(np.min(seen, (0, 1, 2)), (-_TILE_MM - 20, 0))
        high = np.maximum(np.max(seen, (0, 1, 2)), (_TILE_MM + 20, 0))
        return cls(low, high, float((placed @ up).min()), up)


def _grid(width: Width, columns: int, scene: _Scene) -> tuple[Figure, ndarray]:
    """Panels whose shapes fit what they show."""
    side_in = (WIDTHS_IN[width] - 0.2) / columns - 0.07
    across, upward = scene.high - scene.low
    rows = [1.0, *[upward / across] * len(VIEWS_DEGREES)]
    figure = new_figure(width, side_in * sum(rows) + (0.75 if width == "full" else 1.0))
    panels = figure.subplots(len(rows), columns, squeeze=False, height_ratios=rows)
    for panel in panels.flat:
        panel.set(xticks=[], yticks=[], aspect="equal")
        panel.spines[:].set_visible(False)
    for panel in panels[0]:
        panel.spines[:].set_visible(True)
        panel.spines[:].set_color(FAINT)
    return figure, panels


def _draw_input(panel: Any, motion: LiftedMotion, frame: int, picture: UInt8[ndarray, "height width 3"] | None) -> None:
    keypoints = motion.keypoints_px[frame].astype(np.float64)
    if picture is not None:
        panel.imshow(picture, extent=(0, motion.camera.size_px[0], motion.camera.size_px[1], 0))
    seen = keypoints[np.isfinite(keypoints).all(-1)]
    if len(seen):
        x, y = (seen.min(0) + seen.max(0)) / 2
        half = 0.6 * max(float((seen.max(0) - seen.min(0)).max()), 1.0)
        panel.set(xlim=(x - half, x + half), ylim=(y + half, y - half))
    _draw_pose(panel, keypoints, motion.skeleton, np.zeros(len(keypoints)))


def _draw_lifted(
    panel: Any, motion: LiftedMotion, frame: int, view: View, scene: _Scene, truth: Track | None, *, spread: bool
) -> None:
    pose = motion.root_relative_mm[frame].astype(np.float64)
    root = motion.root_mm[frame] if truth is None else truth.joints_mm[frame, truth.skeleton.root]
    panel.set(xlim=(scene.low[0], scene.high[0]), ylim=(scene.low[1], scene.high[1]))
    _draw_floor(panel, view, scene, root)
    points = view(pose)
    if spread:
        discs = [Circle(point, radius) for point, radius in zip(points, motion.spread_mm[frame], strict=True)]
        panel.add_collection(PatchCollection(discs, facecolor=QUIET, alpha=0.16, linewidth=0, zorder=1))
    _draw_pose(panel, points, motion.skeleton, pose @ view.ahead)
    if truth is not None:
        real = view(truth.relative_to_root().joints_mm[frame])
        for joint, parent in truth.skeleton.bones:
            panel.plot(*real[[joint, parent]].T, color="black", linewidth=0.6, zorder=50, solid_capstyle="round")


def _draw_pose(panel: Any, points: Float[ndarray, "J 2"], skeleton: Skeleton, depth: Float[ndarray, " J"]) -> None:
    """Bones from far to near, each with a white rim that parts it from those behind it; NaN is left out."""
    sides = {joint: side for side in ("left", "right") for joint in getattr(skeleton, side)}
    for order, (joint, parent) in enumerate(sorted(skeleton.bones, key=lambda bone: -depth[list(bone)].mean())):
        ends = points[[joint, parent]]
        middle = ends.mean(0) + 0.6 * (ends - ends.mean(0))  # at its ends the rim would cut into the next bone
        panel.plot(*middle.T, color="white", linewidth=_BONE_PT + 1.2, solid_capstyle="butt", zorder=2 + order)
        panel.plot(*ends.T, zorder=2 + order, **_bone(sides.get(joint, "")))


def _bone(side: str) -> dict[str, Any]:
    """How a bone is drawn: the right side's are hollow."""
    look: dict[str, Any] = {"color": SIDES[side], "linewidth": _BONE_PT, "solid_capstyle": "round"}
    if side == "right":
        look["path_effects"] = [Normal(), Stroke(linewidth=0.45 * _BONE_PT, foreground="white")]
    return look


def _draw_floor(panel: Any, view: View, scene: _Scene, root_mm: Float[ndarray, " 3"]) -> None:
    """A tile of four squares below the root, as high as the lowest joint of the clip."""
    below = (scene.floor_mm - root_mm @ scene.up) * scene.up
    ahead = np.cross(scene.up, view.right)
    for along, across in ((view.right, ahead), (ahead, view.right)):
        for step in (-_TILE_MM, 0, _TILE_MM):
            ends = np.stack([below + step * across + end * along for end in (-_TILE_MM, _TILE_MM)])
            panel.plot(*view(ends).T, color=FAINT, linewidth=0.6, zorder=0)


def _title(motion: LiftedMotion, truth: Track | None, frame: int) -> str:
    title = f"{motion.time_s[frame]:.2f} s"
    if truth is None:
        return title
    error = motion.root_relative_mm[frame] - truth.relative_to_root().joints_mm[frame]
    return f"{title}\nMPJPE {np.linalg.norm(error, axis=-1).mean():.0f} mm"


def _legend(motion: LiftedMotion, truth: Track | None, *, spread: bool) -> list[Line2D]:
    handles = [
        Line2D([], [], label=f"left, lifted{_how(motion)}", **_bone("left")),
        Line2D([], [], label="right", **_bone("right")),
    ]
    if truth is not None:
        handles.append(Line2D([], [], color="black", linewidth=0.6, label=truth.name))
    if spread:
        disc: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 7, "markeredgewidth": 0, "alpha": 0.3}
        handles.append(Line2D([], [], color=QUIET, label="spread (68 %)", **disc))
    tile: dict[str, Any] = {"linestyle": "none", "marker": "s", "markersize": 6, "markerfacecolor": "none"}
    handles.append(Line2D([], [], color=QUIET, label="floor, 1 m", **tile))
    return handles


def _how(motion: LiftedMotion) -> str:
    options = motion.meta.get("options")
    return f" ({options['aggregate']}, H={options['hypotheses']}, K={options['steps']})" if options else ""
