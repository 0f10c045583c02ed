"""What analysts compare of a pitch: posture at foot plant, maximal external rotation and release, and peaks between.

Signs are the pitcher's, so that left- and right-handers compare: separation is positive while the hips are ahead of the
shoulders on their way to the plate, side tilt towards the glove's side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.motion.angles import joint_angles, within_a_turn
from dreampose3d.motion.events import LEAST_EXTERNAL_DEGREES, PitchEvents
from dreampose3d.motion.frames import pelvis_axes, thorax_axes
from dreampose3d.motion.speeds import joint_speeds, joint_velocities, turning_speeds
from dreampose3d.skeleton import Skeleton

POSTURE = (
    "throwing shoulder external rotation",
    "throwing shoulder elevation",
    "throwing shoulder plane",
    "throwing elbow flexion",
    "glove shoulder elevation",
    "glove elbow flexion",
    "lead hip flexion",
    "lead knee flexion",
    "hip-shoulder separation",
    "trunk forward tilt",
    "trunk side tilt to the glove",
)
"""Degrees, at each of the three events."""


@dataclass(frozen=True)
class Measure:
    """One number of a pitch."""

    name: str
    when: str
    """An event, or the stretch over which it is the highest."""
    value: float
    unit: str
    time_s: float


def pitch_measures(
    joints_mm: Float[ndarray, "N J 3"],
    time_s: Float[ndarray, " N"],
    skeleton: Skeleton,
    up: Float[ndarray, " 3"],
    events: PitchEvents,
    height_mm: float,
) -> list[Measure]:
    """The measures of a pitch at its events; between frames by interpolation.

    Args:
        joints_mm: Joints with their root, in a frame that does not move, mm.
        time_s: Presentation times, seconds.
        skeleton: Whose joints.
        up: Unit vector upwards.
        events: When it happened (`find_pitch_events`).
        height_mm: Body height (`scale.body_height`, or the true one).

    Returns:
        Posture at foot plant, maximal external rotation and ball release, stride length, then the peaks of
        separation and of the speeds of pelvis, trunk, elbow and wrist. NaN where an angle has no number.

    Raises:
        ValueError: If the height is not positive.
    """
    if not height_mm > 0:
        raise ValueError(f"expected a positive body height in mm, got {height_mm:g}")
    curves = _posture(joints_mm, skeleton, up, events)
    measures = []
    for when in ("foot plant", "maximal external rotation", "ball release"):
        moment = events.named[when]
        for name in POSTURE:
            lowest = LEAST_EXTERNAL_DEGREES if name.endswith("external rotation") else -180.0
            value = within_a_turn(float(np.interp(moment, time_s, curves[name])), lowest)
            measures.append(Measure(name, when, value, "degrees", moment))
    measures.append(_stride(joints_mm, time_s, skeleton, up, events, height_mm))
    return measures + _peaks(joints_mm, time_s, skeleton, curves, events)


def measures_markdown(measures: Sequence[Measure]) -> str:
    """The measures as a Markdown table."""
    rows = [f"| {m.name} | {m.when} | {m.value:.1f} | {m.unit} | {m.time_s:.3f} |" for m in measures]
    return "\n".join(("| measure | when | value | unit | time, s |", "|---|---|--:|---|--:|", *rows))


def _posture(
    joints: Float[ndarray, "N J 3"], skeleton: Skeleton, up: Float[ndarray, " 3"], events: PitchEvents
) -> dict[str, Float[ndarray, " N"]]:
    """The angles of `POSTURE` over time, degrees."""
    angles = joint_angles(joints, skeleton, up)
    throws, lead = events.throws, events.lead  # the glove is on the lead leg's side
    to_glove = -1 if throws == "right" else 1  # lines and tilts that count to the right in `angles`
    values = (
        angles[f"{throws}_shoulder_external_rotation_deg"],
        angles[f"{throws}_shoulder_elevation_deg"],
        angles[f"{throws}_shoulder_plane_deg"],
        angles[f"{throws}_elbow_flexion_deg"],
        angles[f"{lead}_shoulder_elevation_deg"],
        angles[f"{lead}_elbow_flexion_deg"],
        angles[f"{lead}_hip_flexion_deg"],
        angles[f"{lead}_knee_flexion_deg"],
        to_glove * angles["hip_shoulder_separation_deg"],
        angles["trunk_forward_tilt_deg"],
        to_glove * angles["trunk_side_tilt_deg"],
    )
    return dict(zip(POSTURE, values, strict=True))


def _stride(
    joints: Float[ndarray, "N J 3"],
    time_s: Float[ndarray, " N"],
    skeleton: Skeleton,
    up: Float[ndarray, " 3"],
    events: PitchEvents,
    height_mm: float,
) -> Measure:
    """From where the back ankle stands at peak knee height to the lead ankle at foot plant, over the ground."""

    def ankle(side: str, moment: float) -> Float[ndarray, " 3"]:
        path = joints[:, skeleton.index(f"{side}_ankle")]
        return np.array([np.interp(moment, time_s, path[:, axis]) for axis in range(3)])

    way = ankle(events.lead, events.foot_plant_s) - ankle(events.throws, events.peak_knee_s)
    length = float(np.linalg.norm(way - (way @ up) * up))
    return Measure("stride length", "foot plant", 100 * length / height_mm, "% of height", events.foot_plant_s)


def _peaks(
    joints: Float[ndarray, "N J 3"],
    time_s: Float[ndarray, " N"],
    skeleton: Skeleton,
    curves: dict[str, Float[ndarray, " N"]],
    events: PitchEvents,
) -> list[Measure]:
    """The highest values from peak knee height to release."""
    to_plate = 1 if events.throws == "right" else -1  # a right-hander turns to the left
    pelvis, thorax = (turning_speeds(axes(joints, skeleton), time_s)[:, 1] for axes in (pelvis_axes, thorax_axes))
    curves_of = {
        ("hip-shoulder separation", "degrees"): curves["hip-shoulder separation"],
        ("pelvis turning speed", "degrees/s"): to_plate * np.degrees(pelvis),
        ("trunk turning speed", "degrees/s"): to_plate * np.degrees(thorax),
        ("throwing elbow extension speed", "degrees/s"): -joint_velocities(curves["throwing elbow flexion"], time_s),
        ("throwing wrist speed", "m/s"): joint_speeds(joints, time_s)[:, skeleton.index(f"{events.throws}_wrist")]
        / 1000,
    }
    half_frame = float(np.median(np.diff(time_s))) / 2
    during = (time_s >= events.peak_knee_s - half_frame) & (time_s <= events.ball_release_s + half_frame)
    measures = []
    for (name, unit), curve in curves_of.items():
        values = np.where(during & np.isfinite(curve), curve, -np.inf)
        top = int(values.argmax())
        measures.append(
            Measure(f"peak {name}", "peak knee height to release", float(values[top]), unit, float(time_s[top]))
        )
    return measures
