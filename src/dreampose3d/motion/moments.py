"""What happens in a motion: the events of a pitch; else feet that come down, and jumps; else where it is fastest.

A pitch has to look like one to be taken for it unasked: the lead knee is lifted, the lead foot strides and stands, and
the hand is thrown forward soon after, fast. Contacts with the ground are those of `contacts`, less those in the air. A
jump is a stretch without ground in which the pelvis falls as things fall; its height follows from how long it lasts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import minimum_filter1d
from scipy.signal import find_peaks

from dreampose3d.motion.contacts import FEET, Contact, contacts, runs, standing
from dreampose3d.motion.events import PitchEvents, find_pitch_events, joints_as_seen
from dreampose3d.motion.frames import Side, unit
from dreampose3d.motion.scale import body_height
from dreampose3d.motion.smoothing import smooth
from dreampose3d.motion.speeds import joint_speeds
from dreampose3d.motion.strides import Stride, strides
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import Skeleton

Kind = Literal["auto", "pitch", "motion"]

GRAVITY_MM_PER_S2 = 9810.0
CALM_HZ = 10.0
"""Below this, jumps and peaks are looked for."""

_PLANT_TO_RELEASE_S = (0.04, 0.5)  # published pitches: 0.12 to 0.18
_KNEE_TO_RELEASE_S = (0.3, 2.0)
_LEAST_KNEE_LIFT = 0.12  # of height, over where the knee is when the foot stands
_LEAST_STRIDE = 0.3  # of height
_LEAST_WRIST = 4.0  # heights/s, against the pelvis
_LEAST_UPRIGHT = 0.5  # cosine of the trunk's tilt up to release: no cartwheel

_CLEAR_OF_FLOOR = 0.04  # of height: how far both ankles are above where they were lowest
_FLOOR_S = 1.0  # within this time before or after
_FLIGHT_S = (0.22, 1.2)  # a runner is in the air for up to 0.2
_FALLING = (0.5, 1.5)  # of gravity
_LANDING_S = 0.15  # feet that come down so shortly before or after one belong to it

_LEAST_STEP = 0.1  # of height: a foot set down nearer has not gone anywhere

_MOST_PEAKS, _APART_S = 4, 0.4


@dataclass(frozen=True)
class Moment:
    """An event and when it is, in seconds of the clip's own time."""

    name: str
    time_s: float


@dataclass(frozen=True)
class Jump:
    """A time in the air."""

    takeoff_s: float
    landing_s: float

    @property
    def height_mm(self) -> float:
        """How far a body rises that is in the air for so long: g t^2 / 8."""
        return GRAVITY_MM_PER_S2 * (self.landing_s - self.takeoff_s) ** 2 / 8

    @property
    def moments(self) -> tuple[Moment, ...]:
        """Take-off, the highest point and landing."""
        top_s = (self.takeoff_s + self.landing_s) / 2
        times = (("take-off", self.takeoff_s), ("highest point", top_s), ("landing", self.landing_s))
        return tuple(Moment(name, time_s) for name, time_s in times)


@dataclass(frozen=True)
class Happened:
    """What was found in a motion."""

    moments: tuple[Moment, ...]
    """In order of time: the events of the pitch, or contacts and jumps, or peaks of speed."""
    pitch: PitchEvents | None
    contacts: tuple[Contact, ...]
    strides: tuple[Stride, ...]
    """Of feet that got somewhere, jumps left out."""
    jumps: tuple[Jump, ...]


def what_happens(
    joints_mm: Float[ndarray, "N J 3"],
    time_s: Float[ndarray, " N"],
    skeleton: Skeleton,
    up: Float[ndarray, " 3"],
    kind: Kind = "auto",
    throws: Side | None = None,
    seen_mm: Float[ndarray, "N J 3"] | None = None,
) -> Happened:
    """Find the events of a motion.

    Args:
        joints_mm: Joints with their root, in a frame that does not move, mm.
        time_s: Presentation times, seconds.
        skeleton: Whose joints.
        up: Unit vector upwards.
        kind: `pitch` insists on one, `motion` looks for none, `auto` takes one that looks like it.
        throws: The throwing arm, if known.
        seen_mm: Positions to take a pitch's speeds from, if better known than the joints (`find_pitch_events`).

    Raises:
        ValueError: If a pitch is asked for and there is none, or the skeleton lacks a joint.
    """
    joints = np.asarray(joints_mm, np.float64)
    height = body_height(joints, skeleton)
    jumps = _jumps(joints, time_s, skeleton, up, height)
    stands = standing(joints, time_s, skeleton, up) & ~_in_air(jumps, time_s)[:, None]
    found = contacts(joints, stands, skeleton)
    pitch = None if kind == "motion" else _pitch(joints, time_s, skeleton, up, height, kind, throws, seen_mm)
    moments = _of_pitch(pitch) if pitch else _of_feet(found, jumps, time_s) or _peaks(joints, time_s, skeleton)
    steps = [stride for stride in strides(found, time_s, up, height) if _steps(stride, jumps)]
    return Happened(moments, pitch, tuple(found), tuple(steps), tuple(jumps))


def what_happens_in(motion: LiftedMotion, kind: Kind = "auto", throws: Side | None = None) -> Happened:
    """`what_happens` in a lifted motion, in the camera's frame.

    Raises:
        ValueError: As there.
    """
    up = np.array(motion.camera.up, np.float64)
    seen = None if kind == "motion" else joints_as_seen(motion)
    return what_happens(motion.joints_mm, motion.time_s, motion.skeleton, up, kind, throws, seen)


def _pitch(
    joints: Float[ndarray, "N J 3"],
    time_s: Float[ndarray, " N"],
    skeleton: Skeleton,
    up: Float[ndarray, " 3"],
    height_mm: float,
    kind: Kind,
    throws: Side | None,
    seen_mm: Float[ndarray, "N J 3"] | None,
) -> PitchEvents | None:
    try:
        events = find_pitch_events(joints, time_s, skeleton, up, throws, seen_mm)
    except ValueError:
        if kind == "pitch":
            raise
        return None
    return events if kind == "pitch" or _looks_like_a_pitch(events, joints, time_s, skeleton, up, height_mm) else None


def _looks_like_a_pitch(
    events: PitchEvents,
    joints: Float[ndarray, "N J 3"],
    time_s: Float[ndarray, " N"],
    skeleton: Skeleton,
    up: Float[ndarray, " 3"],
    height_mm: float,
) -> bool:
    def at(name: str, moment: float) -> Float[ndarray, " 3"]:
        path = joints[:, skeleton.index(name)]
        return np.array([np.interp(moment, time_s, path[:, axis]) for axis in range(3)])

    knee, foot, back = f"{events.lead}_knee", f"{events.lead}_ankle", f"{events.throws}_ankle"
    lift = (at(knee, events.peak_knee_s) - at(knee, events.foot_plant_s)) @ up
    way = at(foot, events.foot_plant_s) - at(back, events.peak_knee_s)
    stride = float(np.linalg.norm(way - (way @ up) * up))
    hand = joints[:, skeleton.index(f"{events.throws}_wrist")] - joints[:, skeleton.root]
    trunk = unit(joints[:, skeleton.index("thorax")] - joints[:, skeleton.root]) @ up
    upright = trunk[(time_s >= events.peak_knee_s - 0.01) & (time_s <= events.ball_release_s)].min(initial=1.0)
    wrist = joint_speeds(smooth(hand, time_s, _calm_hz(time_s))[:, None], time_s).max()
    return bool(
        _PLANT_TO_RELEASE_S[0] <= events.ball_release_s - events.foot_plant_s <= _PLANT_TO_RELEASE_S[1]
        and _KNEE_TO_RELEASE_S[0] <= events.ball_release_s - events.peak_knee_s <= _KNEE_TO_RELEASE_S[1]
        and lift > _LEAST_KNEE_LIFT * height_mm
        and stride > _LEAST_STRIDE * height_mm
        and wrist > _LEAST_WRIST * height_mm
        and upright > _LEAST_UPRIGHT
    )


def _jumps(
    joints: Float[ndarray, "N J 3"],
    time_s: Float[ndarray, " N"],
    skeleton: Skeleton,
    up: Float[ndarray, " 3"],
    height_mm: float,
) -> list[Jump]:
    """Stretches in which both ankles are clear of the floor around and the pelvis falls freely."""
    if len(time_s) < 5:
        return []
    calm = smooth(joints, time_s, _calm_hz(time_s))
    lowest = (calm[:, skeleton.indices(*FEET)] @ up).min(1)
    reach = 2 * round(_FLOOR_S / float(np.median(np.diff(time_s)))) + 1
    clear = lowest - minimum_filter1d(lowest, reach, mode="nearest") > _CLEAR_OF_FLOOR * height_mm
    pelvis = calm[:, skeleton.root] @ up
    found = []
    for start, stop in runs(clear):
        inside = slice(start, stop)
        whole = start > 0 and stop < len(time_s) and stop - start >= 4
        if whole and _FLIGHT_S[0] <= time_s[stop - 1] - time_s[start] <= _FLIGHT_S[1]:
            falling = -2 * np.polyfit(time_s[inside] - time_s[start], pelvis[inside], 2)[0] / GRAVITY_MM_PER_S2
            if _FALLING[0] <= falling <= _FALLING[1]:
                found.append(Jump(float(time_s[start - 1]), float(time_s[stop])))
    return found


def _in_air(jumps: Sequence[Jump], time_s: Float[ndarray, " N"]) -> Bool[ndarray, " N"]:
    air = np.zeros(len(time_s), bool)
    for jump in jumps:
        air |= (time_s > jump.takeoff_s) & (time_s < jump.landing_s)
    return air


def _steps(stride: Stride, jumps: Sequence[Jump]) -> bool:
    """Whether the foot got anywhere, other than through the air."""
    flown = any(stride.start_s <= jump.takeoff_s and jump.landing_s <= stride.stop_s + _LANDING_S for jump in jumps)
    return stride.length_percent_of_height >= 100 * _LEAST_STEP and not flown


def _of_pitch(events: PitchEvents) -> tuple[Moment, ...]:
    return tuple(Moment(name, time_s) for name, time_s in events.named.items())


def _of_feet(found: Sequence[Contact], jumps: Sequence[Jump], time_s: Float[ndarray, " N"]) -> tuple[Moment, ...]:
    """Feet as they come down, other than in landing, and jumps; a foot that stands from the start has not come down."""
    landings = [jump.landing_s for jump in jumps]
    downs = [
        Moment(f"{contact.foot.removesuffix('_ankle')} foot down", float(time_s[contact.start]))
        for contact in found
        if contact.start and all(abs(time_s[contact.start] - landing) > _LANDING_S for landing in landings)
    ]
    return _in_order([*downs, *(moment for jump in jumps for moment in jump.moments)])


def _peaks(joints: Float[ndarray, "N J 3"], time_s: Float[ndarray, " N"], skeleton: Skeleton) -> tuple[Moment, ...]:
    """When the fastest hand or foot is fastest, up to four times."""
    if len(time_s) < 5:
        return ()
    ends = ("left_wrist", "right_wrist", *FEET)
    speeds = joint_speeds(smooth(joints[:, skeleton.indices(*ends)], time_s, _calm_hz(time_s)), time_s)
    fastest = speeds.max(1)
    apart = max(1, round(_APART_S / float(np.median(np.diff(time_s)))))
    tops, _ = find_peaks(fastest, height=max(fastest.max() / 2, 1e-9), distance=apart)
    tops = sorted(tops, key=lambda top: -fastest[top])[:_MOST_PEAKS]
    names = [ends[int(speeds[top].argmax())].replace("_", " ") for top in tops]
    return _in_order([Moment(f"{name} fastest", float(time_s[top])) for name, top in zip(names, tops, strict=True)])


def _in_order(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    return tuple(sorted(moments, key=lambda moment: moment.time_s))


def _calm_hz(time_s: Float[ndarray, " N"]) -> float:
    return min(CALM_HZ, 0.45 / float(np.median(np.diff(time_s))))
