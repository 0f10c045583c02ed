"""The moments of a baseball pitch: peak knee height, foot plant, maximal external rotation, ball release.

Found from the motion of the joints alone, so ball and foot are seen through the joints next to them:

- The throwing arm is the one whose wrist moves faster against the thorax; the lead leg is on the other side.
- Ball release: the wrist's speed against the pelvis peaks. The ball leaves the hand a hundredth of a second later.
- Foot plant: before release, the lead ankle slows down for the last time to 1 m/s (or, where it never does, to a
  quarter of the way from its slowest to its fastest).
- Peak knee height: the lead knee is highest, before foot plant.
- Maximal external rotation: the throwing shoulder's rotation peaks between foot plant and release.

Speeds are those of the motion smoothed at 14 Hz; peaks are read between frames, from a parabola through three. In a
lifted motion depth is the least certain and the fastest of all, so speeds are taken across the line of sight, from the
2D itself: there a foot that stops on the ground stops, while its lifted joint goes on jittering.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.motion.angles import joint_angles, within_a_turn
from dreampose3d.motion.frames import Side
from dreampose3d.motion.smoothing import smooth
from dreampose3d.motion.speeds import joint_speeds
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import Skeleton

PLANTED_MM_PER_S = 1000.0
PLANTED_SHARE = 0.25
LEAST_EXTERNAL_DEGREES = -90.0
"""No shoulder turns further inwards, so external rotation lies between this and 270 degrees."""
SEEN = 0.3
"""2D joints of less confidence are bridged."""
_CUTOFF_HZ = 14.0
_LEAST_FPS = 25.0
_LEAST_WRIST_M_PER_S = 5.0


@dataclass(frozen=True)
class PitchEvents:
    """When it happens, in seconds of the clip's own time."""

    throws: Side
    peak_knee_s: float
    foot_plant_s: float
    max_external_rotation_s: float
    ball_release_s: float

    @property
    def lead(self) -> Side:
        """The side of the leg that strides."""
        return "left" if self.throws == "right" else "right"

    @property
    def named(self) -> dict[str, float]:
        """The events in order of time, by their usual names, seconds."""
        return {
            "peak knee height": self.peak_knee_s,
            "foot plant": self.foot_plant_s,
            "maximal external rotation": self.max_external_rotation_s,
            "ball release": self.ball_release_s,
        }


def pitch_events(
    motion: LiftedMotion, up: tuple[float, float, float] | None = None, throws: Side | None = None
) -> PitchEvents:
    """Find the events of one pitch in a lifted motion.

    Args:
        motion: One pitch, from leg lift to release, seen by a camera that does not move.
        up: In the camera frame; the camera's own (`Camera.up`) if not given.
        throws: The throwing arm, if known.

    Raises:
        ValueError: As `find_pitch_events`.
    """
    vertical = np.array(motion.camera.up if up is None else up, np.float64)
    return find_pitch_events(
        motion.joints_mm, motion.time_s, motion.skeleton, vertical, throws, seen_mm=joints_as_seen(motion)
    )


def find_pitch_events(
    joints_mm: Float[ndarray, "N J 3"],
    time_s: Float[ndarray, " N"],
    skeleton: Skeleton,
    up: Float[ndarray, " 3"],
    throws: Side | None = None,
    seen_mm: Float[ndarray, "N J 3"] | None = None,
) -> PitchEvents:
    """Find the events of one pitch.

    Args:
        joints_mm: Joints with their root, in a frame that does not move, mm. One pitch, from leg lift to release.
        time_s: Presentation times, seconds.
        skeleton: Whose joints.
        up: Unit vector upwards.
        throws: The throwing arm, if known.
        seen_mm: Positions to take speeds and the knee's height from, if better known than the joints.

    Raises:
        ValueError: If there are too few frames, or no arm or foot moves as in a pitch.
    """
    if len(time_s) < 10 or (fps := 1 / float(np.median(np.diff(time_s)))) < _LEAST_FPS:
        raise ValueError(f"expected a pitch of at least 10 frames at {_LEAST_FPS:g} frames/s or more")
    calm, moving = (
        smooth(np.asarray(positions, np.float64), time_s, min(_CUTOFF_HZ, 0.45 * fps))
        for positions in (joints_mm, joints_mm if seen_mm is None else seen_mm)
    )
    at = {name: moving[:, joint] for joint, name in enumerate(skeleton.joints)}
    throws = throws or _throwing_side(at, time_s)
    wrist = _speed(at[f"{throws}_wrist"] - at["pelvis"], time_s)
    release = int(wrist.argmax())
    if wrist[release] < 1000 * _LEAST_WRIST_M_PER_S:
        raise ValueError(
            f"expected a pitch, but the {throws} wrist never moves faster than {wrist[release] / 1000:.1f} m/s; "
            "give a clip of a throw, or name the arm that throws"
        )
    lead = "left" if throws == "right" else "right"
    foot_plant_s, planted = _foot_plant(_speed(at[f"{lead}_ankle"], time_s), time_s, release)
    rotation = joint_angles(calm, skeleton)[f"{throws}_shoulder_external_rotation_deg"][planted : release + 1]
    rotation = within_a_turn(rotation, LEAST_EXTERNAL_DEGREES)
    if not np.isfinite(rotation).any():
        raise ValueError("expected a bent throwing elbow between foot plant and release, found it straight throughout")
    return PitchEvents(
        throws,
        _peak_time((at[f"{lead}_knee"] @ up)[: planted + 1], time_s),
        foot_plant_s,
        float(np.clip(_peak_time(rotation, time_s[planted:]), foot_plant_s, time_s[release])),
        _peak_time(wrist, time_s),
    )


def joints_as_seen(motion: LiftedMotion) -> Float[ndarray, "N J 3"]:
    """Where the 2D shows the joints across the line of sight, mm at the root's distance; z is the same for all of them.

    Missing and uncertain 2D is bridged in a straight line; a joint never seen takes the place to which its lifted one
    projects.
    """
    rays = motion.camera.rays(torch.from_numpy(np.asarray(motion.keypoints_px, np.float64))).numpy()
    known = np.isfinite(rays).all(-1) & (motion.confidence >= SEEN)
    lifted = motion.joints_mm.astype(np.float64)
    rays = np.where(known[..., None], rays, lifted[..., :2] / lifted[..., 2:])
    for joint in np.flatnonzero(known.any(0)):
        seen = known[:, joint]
        for axis in range(2):
            rays[:, joint, axis] = np.interp(motion.time_s, motion.time_s[seen], rays[seen, joint, axis])
    depth = motion.root_mm[:, None, 2:].astype(np.float64)
    return np.concatenate((rays * depth, np.full((*known.shape, 1), depth.mean())), -1)


def _throwing_side(at: dict[str, Float[ndarray, "N 3"]], time_s: Float[ndarray, " N"]) -> Side:
    peak = {side: _speed(at[f"{side}_wrist"] - at["thorax"], time_s).max() for side in ("left", "right")}
    return "right" if peak["right"] >= peak["left"] else "left"


def _foot_plant(speed: Float[ndarray, " N"], time_s: Float[ndarray, " N"], release: int) -> tuple[float, int]:
    """Time, between frames, and first frame of the lead foot's last stand before release."""
    stride = int(speed[: release + 1].argmax())
    slowest = speed[stride : release + 1].min()
    planted = max(PLANTED_MM_PER_S, slowest + PLANTED_SHARE * (speed[stride] - slowest))
    fast = np.flatnonzero(speed[: release + 1] >= planted)
    if not len(fast) or fast[-1] >= release:
        raise ValueError(
            "expected a lead foot that strides and stands before the ball is released, found none; give a clip that "
            "begins before the stride, and name the arm that throws if it is not the faster one"
        )
    last = int(fast[-1])
    share = (speed[last] - planted) / (speed[last] - speed[last + 1])
    return float(time_s[last] + share * (time_s[last + 1] - time_s[last])), last + 1


def _speed(positions: Float[ndarray, "N 3"], time_s: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
    return joint_speeds(positions[:, None], time_s)[:, 0]


def _peak_time(values: Float[ndarray, " n"], time_s: Float[ndarray, " N"]) -> float:
    """When the values peak: the top of the parabola through the largest and its neighbours, where it has both."""
    top = int(np.nanargmax(values))
    if not 0 < top < len(values) - 1 or not np.isfinite(values[top - 1 : top + 2]).all():
        return float(time_s[top])
    before, peak, after = (float(value) for value in values[top - 1 : top + 2])
    shift = (before - after) / (2 * (before - 2 * peak + after)) if before + after < 2 * peak else 0.0
    step = time_s[top + 1] - time_s[top] if shift > 0 else time_s[top] - time_s[top - 1]
    return float(time_s[top] + shift * step)
