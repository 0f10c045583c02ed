"""Joint angles as people read them: a card an angle, with its meaning, its curve, its range and its values."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.motion.angles import ANGLES, Angle, joint_angles
from dreampose3d.motion.events import LEAST_EXTERNAL_DEGREES
from dreampose3d.motion.moments import Moment
from dreampose3d.report.charts import Line, chart
from dreampose3d.report.markup import Markup, figure, joined, tag
from dreampose3d.report.subject import Subject

ORDER = {
    "Legs": ("knee_flexion", "hip_flexion", "hip_adduction", "hip_rotation"),
    "Pelvis and trunk": (
        "hip_shoulder_separation", "trunk_forward_tilt", "trunk_side_tilt", "trunk_tilt", "trunk_flexion",
        "trunk_side_bend", "trunk_rotation", "pelvis_tilt", "pelvis_obliquity", "pelvis_rotation",
    ),
    "Arms": ("elbow_flexion", "shoulder_elevation", "shoulder_plane", "shoulder_external_rotation"),
    "Head": ("head_flexion", "head_side_bend"),
}  # fmt: skip
"""From the ground up; in each group first what is asked for most and is surest."""

TYPICAL_ERROR_DEGREES = {
    "hip_flexion": 5.4, "hip_adduction": 4.5, "hip_rotation": 6.0, "knee_flexion": 6.0, "shoulder_plane": 10.5,
    "shoulder_elevation": 4.1, "shoulder_external_rotation": 10.6, "elbow_flexion": 7.1, "trunk_flexion": 6.5,
    "trunk_side_bend": 2.9, "trunk_rotation": 3.7, "hip_shoulder_separation": 3.8, "head_flexion": 6.9,
    "head_side_bend": 3.6, "pelvis_tilt": 4.2, "pelvis_obliquity": 2.8, "pelvis_rotation": 4.3, "trunk_tilt": 1.5,
    "trunk_forward_tilt": 1.7, "trunk_side_tilt": 1.6,
}  # fmt: skip
"""Median error of everyday motion lifted from a detector's 2D (docs/angles.md, weights `small`)."""

_MEASURED_WEIGHTS = "small"
_MOSTLY = 0.95


def angle_section(subject: Subject, moments: Sequence[Moment]) -> Markup:
    """All angles, grouped, in the order in which they are read."""
    values = joint_angles(subject.joints_mm, subject.skeleton, subject.up)
    of = {angle.name.removesuffix("_deg"): angle for angle in ANGLES}
    groups = [
        joined(
            tag("h3", group),
            tag("div", *(_card(of[name], values, subject, moments) for name in names), class_="cards"),
        )
        for group, names in ORDER.items()
    ]
    return joined(*groups)


def words(name: str) -> str:
    """`hip_shoulder_separation_deg` as `Hip shoulder separation`."""
    return name.removesuffix("_deg").replace("_", " ").capitalize()


def _card(
    angle: Angle, values: Mapping[str, Float[ndarray, " N"]], subject: Subject, moments: Sequence[Moment]
) -> Markup:
    sides = ("left", "right") if angle.both_sides else ("",)
    curves = {side: _in_range(angle, values[f"{side}_{angle.name}" if side else angle.name]) for side in sides}
    title = words(angle.name)
    lines = [Line(side or "middle", curve) for side, curve in curves.items()]
    return tag(
        "figure",
        tag("figcaption", tag("h4", title), tag("p", f"{_sentence(angle.definition)} Positive: {angle.positive}; "
                                                f"zero: {angle.zero}.")),
        chart(f"{title} over time, degrees", lines, subject.time_s, "degrees", [m.time_s for m in moments]),
        _table(title, curves, subject, moments),
        *_caveats(angle, list(curves.values()), subject),
        class_="card",
    )  # fmt: skip


def _in_range(angle: Angle, degrees: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
    """External rotation runs from -90 to 270: its whole curve is moved there, by its median."""
    if "external_rotation" not in angle.name or not np.isfinite(degrees).any():
        return degrees
    moved: ndarray = degrees - 360 * np.floor((np.nanmedian(degrees) - LEAST_EXTERNAL_DEGREES) / 360)
    return moved


def _table(
    title: str, curves: Mapping[str, Float[ndarray, " N"]], subject: Subject, moments: Sequence[Moment]
) -> Markup:
    """Lowest, highest, range of motion, and the value at each moment."""
    numbers = [tag("th", tag("abbr", f"{i}", title=moment.name), scope="col") for i, moment in enumerate(moments, 1)]
    heads = [tag("th", text, scope="col") for text in ("", "lowest", "highest", "range")]
    rows = []
    for side, curve in curves.items():
        low, high = float(np.fmin.reduce(curve)), float(np.fmax.reduce(curve))
        cells = [low, high, high - low, *(_value_at(curve, subject.time_s, moment.time_s) for moment in moments)]
        rows.append(tag("tr", tag("th", side, scope="row"), *(tag("td", figure(cell)) for cell in cells)))
    caption = tag("caption", f"{title}, degrees; numbered columns: at the moments", class_="unseen")
    return tag(
        "div", tag("table", caption, tag("thead", tag("tr", *heads, *numbers)), tag("tbody", *rows)), class_="scroll"
    )


def _value_at(curve: Float[ndarray, " N"], time_s: Float[ndarray, " N"], moment_s: float) -> float:
    return float(np.interp(moment_s, time_s, curve))


def _caveats(angle: Angle, curves: Sequence[Float[ndarray, " N"]], subject: Subject) -> list[Markup]:
    """How far off it usually is, and in how many frames there is a number."""
    known = float(np.mean([np.isfinite(curve).mean() for curve in curves]))
    told = []
    if subject.lifted is not None and subject.lifted.meta.get("weights") == _MEASURED_WEIGHTS:
        error = TYPICAL_ERROR_DEGREES[angle.name.removesuffix("_deg")]
        told.append(f"Half of all lifted frames are within {error:g}° of motion capture.")
    if known < _MOSTLY:
        told.append(f"It has a number in {known:.0%} of the frames.")
    return [tag("p", " ".join(told), class_="quiet")] if told else []


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
