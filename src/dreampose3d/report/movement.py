"""How fast and how far: speeds and their peaks, strides, jumps, and the measures of a pitch."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.motion.events import PitchEvents
from dreampose3d.motion.frames import pelvis_axes, thorax_axes
from dreampose3d.motion.moments import Happened, Moment
from dreampose3d.motion.pitch import POSTURE, Measure, pitch_measures
from dreampose3d.motion.smoothing import smooth
from dreampose3d.motion.speeds import joint_speeds, turning_speeds
from dreampose3d.motion.strides import Stride
from dreampose3d.report.charts import Line, chart
from dreampose3d.report.markup import Markup, figure, joined, table, tag
from dreampose3d.report.subject import Subject

CALM_HZ = 14.0
"""Speeds are drawn below this; peaks are told above it, too."""
_CAUTION = "Lifted from one camera: compare times, trunk, stride and lead leg; do not read the throwing arm off it."
_JITTER = (
    " Jitter makes speeds look higher: lifted from 2D with a detector's errors, peaks of hands and feet were 1.6 to 1.8"
    " times the true ones as they are, and 1.4 to 1.6 times below 15 Hz (docs/motion.md)."
)
_CHARTED = ("wrist", "elbow", "ankle", "knee")
_SINGLE = ("pelvis", "head")


def speed_section(subject: Subject, moments: Sequence[Moment]) -> Markup:
    """Curves of hands and feet, pelvis and head, and of how fast pelvis and trunk turn; and a table of peaks."""
    calm_hz = min(CALM_HZ, 0.45 * subject.frame_rate)
    calm = smooth(subject.joints_mm, subject.time_s, calm_hz)
    marks = [moment.time_s for moment in moments]
    cards = [
        tag(
            "figure",
            tag("figcaption", tag("h3", title)),
            chart(f"{title} over time, {unit}", lines, subject.time_s, unit, marks),
            class_="card",
        )
        for title, unit, lines in _curves(subject, calm)
    ]
    note = f"Curves show what is slower than {calm_hz:.3g} Hz.{'' if subject.lifted is None else _JITTER}"
    return joined(tag("p", note), tag("div", *cards, class_="cards"), _peaks(subject, calm, calm_hz))


def _curves(subject: Subject, calm: Float[ndarray, "N J 3"]) -> Iterator[tuple[str, str, list[Line]]]:
    """Title, unit and lines of each chart."""
    skeleton, time_s = subject.skeleton, subject.time_s
    speeds = joint_speeds(calm, time_s) / 1000
    for name in _CHARTED:
        lines = [Line(side, speeds[:, skeleton.index(f"{side}_{name}")]) for side in ("left", "right")]
        yield f"{name.capitalize()} speed", "m/s", lines
    for name in _SINGLE:
        yield f"{name.capitalize()} speed", "m/s", [Line("middle", speeds[:, skeleton.index(name)])]
    for name, axes in (("Pelvis", pelvis_axes), ("Trunk", thorax_axes)):
        turning = np.degrees(turning_speeds(axes(calm, skeleton), time_s)[:, 1])
        yield f"{name} turning to the left", "degrees/s", [Line("middle", turning)]


def _peaks(subject: Subject, calm: Float[ndarray, "N J 3"], calm_hz: float) -> Markup:
    """The highest speed of each joint, as it is and without what is fast enough to be jitter, and when."""
    raw, slow = (joint_speeds(joints, subject.time_s) / 1000 for joints in (subject.joints_mm, calm))
    rows = [
        (name.replace("_", " "), f"{slow[:, j].max():.1f}", f"{raw[:, j].max():.1f}",
         f"{subject.time_s[slow[:, j].argmax()]:.2f}")
        for j, name in enumerate(subject.skeleton.joints) if name.endswith((*_CHARTED, *_SINGLE, "shoulder"))
    ]  # fmt: skip
    heads = ("joint", f"below {calm_hz:.3g} Hz, m/s", "as it is, m/s", "at, s")
    return table("Peak speeds", heads, sorted(rows, key=lambda row: -float(row[1])))


def step_section(subject: Subject, happened: Happened) -> Markup | None:
    """Strides and jumps, if there are any."""
    parts = []
    if happened.strides:
        parts.append(_strides(subject, happened))
    if happened.jumps:
        parts.append(_jumps(happened))
    return joined(*parts) if parts else None


def stride_seconds(stride: Stride, subject: Subject) -> float:
    """How long a stride takes; NaN if its foot stood when the clip began, as it may have stood for long."""
    return stride.stop_s - stride.start_s if stride.start_s > subject.time_s[0] else float("nan")


def _strides(subject: Subject, happened: Happened) -> Markup:
    rows = [
        (stride.foot.removesuffix("_ankle"), f"{stride.start_s:.2f}", f"{stride.stop_s:.2f}",
         figure(stride_seconds(stride, subject), 2), f"{stride.length_mm / 1000:.2f}",
         f"{stride.length_percent_of_height:.0f}")
        for stride in happened.strides
    ]  # fmt: skip
    heads = ("foot", "from, s", "to, s", "takes, s", "length, m", "% of height")
    return table("Strides: from where a foot stands to where it stands next", heads, rows)


def _jumps(happened: Happened) -> Markup:
    rows = [
        (f"{jump.takeoff_s:.2f}", f"{jump.landing_s:.2f}", f"{jump.landing_s - jump.takeoff_s:.2f}",
         f"{jump.height_mm / 10:.0f}")
        for jump in happened.jumps
    ]  # fmt: skip
    heads = ("take-off, s", "landing, s", "in the air, s", "height, cm")
    return table("Jumps: the height follows from the time in the air", heads, rows)


def measures_of(subject: Subject, events: PitchEvents) -> list[Measure]:
    """What analysts compare of this pitch."""
    return pitch_measures(subject.joints_mm, subject.time_s, subject.skeleton, subject.up, events, subject.height_mm)


def pitch_section(subject: Subject, events: PitchEvents) -> Markup:
    """Posture at three events, and the peaks on the way."""
    measures = measures_of(subject, events)
    whens = list(dict.fromkeys(m.when for m in measures if m.name in POSTURE))
    value = {(m.name, m.when): m.value for m in measures}
    posture = [(name, *(figure(value[name, when]) for when in whens)) for name in POSTURE]
    rest = [
        (m.name, figure(m.value, 1 if m.unit == "m/s" else 0), m.unit, m.when, f"{m.time_s:.2f}")
        for m in measures
        if m.name not in POSTURE
    ]
    caution = [] if subject.lifted is None else [tag("p", tag("strong", _CAUTION))]
    return joined(
        *caution,
        table("Posture at the events, degrees", ("", *whens), posture),
        table("Stride and peaks", ("measure", "value", "unit", "when", "at, s"), rest),
    )
