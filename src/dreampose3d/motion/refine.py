"""All refinements of a lifted motion in the order in which they depend on each other, and what each of them did.

scale -> smoothing -> bones -> root -> world -> feet. The root is placed anew after the pose has changed; the world
needs the root; planted feet need the world.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.metrics import bone_length_spread
from dreampose3d.motion.bones import estimate_lengths, with_lengths
from dreampose3d.motion.contacts import contacts, sliding_mm_per_s, standing
from dreampose3d.motion.planting import plant_feet
from dreampose3d.motion.root import root_path
from dreampose3d.motion.scale import body_height, require_height, with_height
from dreampose3d.motion.smoothing import smooth
from dreampose3d.motion.speeds import peak_speeds
from dreampose3d.motion.world import Ground, find_ground, require_ground
from dreampose3d.sequence import LiftedMotion


@dataclass(frozen=True)
class Refinement:
    """What to do to a lifted motion. All of it is opt-in; the root is always placed by the whole path."""

    height_m: float | None = None
    """The person's true height: fixes the scale."""
    smooth_hz: float | None = None
    """Cut-off of a zero-phase low pass."""
    bones: Literal["free", "constant", "symmetric"] = "free"
    """Keep bone lengths over the clip; symmetric: and the same left and right."""
    world: bool = False
    """Find up and the floor (for a camera that does not move), and pose the camera in that world."""
    up: tuple[float, float, float] | None = None
    """Up in the camera frame, if known; poses the camera in a world, too."""
    floor_m: float | None = None
    """The camera's height above the floor, if known; poses the camera in a world, too."""
    plant_feet: bool = False
    """Hold standing feet where they stand."""

    def __post_init__(self) -> None:
        """Refuse what no motion can be refined with, before anything is detected and lifted."""
        if self.height_m is not None:
            require_height(self.height_m)
        if self.smooth_hz is not None and not 0 < self.smooth_hz < math.inf:
            raise ValueError(f"expected --smooth as a cut-off in Hz, such as 6, got {self.smooth_hz:g}")
        require_ground(self.up, self.floor_m)

    @property
    def finds_world(self) -> bool:
        """Whether the camera is to be posed anew."""
        return self.world or self.up is not None or self.floor_m is not None


def refine(motion: LiftedMotion, options: Refinement | None = None, ground: Ground | None = None) -> LiftedMotion:
    """Refine one person's motion.

    Args:
        motion: As lifted.
        options: What to do.
        ground: The floor, if several people share it: `find_ground` over all of them, refined without a world.

    Returns:
        The motion in the same camera frame. If a world was asked for, its camera is posed in it, so that
        `motion.camera.to_world` takes joints there. `meta["refined"]` says what was done, with bone spread, peak
        speeds and foot sliding before (scaled and placed only) and after.

    Raises:
        ValueError: If an option is out of its range, times do not grow, or the 2D places no root.
    """
    options = options or Refinement()
    scaled = motion if options.height_m is None else with_height(motion, options.height_m)
    placed = replace(scaled, root_mm=_root(scaled))
    refined = placed
    if options.smooth_hz is not None:
        cutoff_hz = options.smooth_hz
        refined = _with_poses(refined, lambda poses: smooth(poses, motion.time_s, cutoff_hz))
    if options.bones != "free":
        refined = _with_constant_bones(refined, symmetric=options.bones == "symmetric")
    if refined is not placed:
        refined = replace(refined, root_mm=_root(refined))
    if options.smooth_hz is not None:
        refined = replace(refined, root_mm=smooth(refined.root_mm, motion.time_s, options.smooth_hz))
    if options.finds_world or ground is not None:
        ground = ground or find_ground([refined], options.up, options.floor_m)
        refined = replace(refined, camera=ground.pose(refined.camera))
    stepping = refined
    if options.plant_feet:
        refined = _with_planted_feet(refined)
    lifted_m = round(body_height(motion.root_relative_mm, motion.skeleton, motion.confidence) / 1000, 4)
    done = {
        "options": asdict(options),
        "height_m": {"as_lifted": lifted_m, "used": options.height_m or lifted_m},
        "bone_spread_mm": {"before": _spread_mm(placed), "after": _spread_mm(refined)},
        "peak_speed_m_per_s": {"before": _peaks(placed), "after": _peaks(refined)},
        "foot_sliding_mm_per_s": _sliding(stepping, refined),
        "ground": None if ground is None else asdict(ground),
    }
    return replace(refined, meta=refined.meta | {"root": _ROOT, "refined": done})


def refine_everyone(people: Sequence[LiftedMotion], options: Refinement | None = None) -> list[LiftedMotion]:
    """Refine the people of one clip; if a world is asked for, they share its floor.

    Raises:
        ValueError: As `refine`; or if several people are to have one height.
    """
    options = options or Refinement()
    if len(people) > 1 and options.height_m is not None:
        raise ValueError("one height cannot be that of several people; refine them one by one")
    if len(people) < 2 or not options.finds_world:
        return [refine(person, options) for person in people]
    placed = [
        refine(person, replace(options, world=False, up=None, floor_m=None, plant_feet=False)) for person in people
    ]
    ground = find_ground(placed, options.up, options.floor_m)
    return [refine(person, options, ground) for person in people]


_ROOT = "reprojection in each frame, then the most probable path of all of them"


def _root(motion: LiftedMotion) -> Float[ndarray, "N 3"]:
    rays = motion.camera.rays(torch.from_numpy(np.asarray(motion.keypoints_px, np.float64))).numpy()
    path = root_path(motion.root_relative_mm, rays, motion.confidence, motion.time_s)
    return path.astype(motion.root_mm.dtype)


def _with_poses(
    motion: LiftedMotion, change: Callable[[Float[ndarray, "N *rest"]], Float[ndarray, "N *rest"]]
) -> LiftedMotion:
    """Change the poses, and each hypothesis like them."""
    kept = motion.hypotheses_mm
    return replace(
        motion,
        root_relative_mm=change(motion.root_relative_mm),
        hypotheses_mm=None if kept is None else np.stack([change(poses) for poses in kept]),
    )


def _with_constant_bones(motion: LiftedMotion, symmetric: bool) -> LiftedMotion:
    lengths = estimate_lengths(motion.root_relative_mm, motion.skeleton, motion.confidence, symmetric)
    return _with_poses(motion, lambda poses: with_lengths(poses, lengths, motion.skeleton, motion.spread_mm))


def _with_planted_feet(motion: LiftedMotion) -> LiftedMotion:
    stands = _stands(motion)
    found = contacts(motion.joints_mm, stands, motion.skeleton)
    joints = plant_feet(motion.joints_mm, found, motion.time_s, motion.skeleton)
    root = joints[:, motion.skeleton.root]
    return replace(motion, root_mm=root, root_relative_mm=joints - root[:, None])


def _stands(motion: LiftedMotion) -> ndarray:
    return standing(motion.joints_mm, motion.time_s, motion.skeleton, np.array(motion.camera.up))


def _sliding(before: LiftedMotion, after: LiftedMotion) -> dict[str, float | None]:
    """Before and after the feet were planted, over the contacts that were found before; None where no foot stands."""
    stands, up = _stands(before), np.array(before.camera.up)
    speeds = (sliding_mm_per_s(m.joints_mm, m.time_s, stands, m.skeleton, up) for m in (before, after))
    first, last = (None if math.isnan(speed) else round(speed, 1) for speed in speeds)
    return {"before": first, "after": last}


def _spread_mm(motion: LiftedMotion) -> dict[str, float]:
    """Standard deviation of each bone's length over the frames, by the joint that it ends in."""
    spread = bone_length_spread(torch.from_numpy(motion.root_relative_mm), motion.skeleton).tolist()
    ends = (motion.skeleton.joints[joint] for joint, _ in motion.skeleton.bones)
    return {end: round(value, 3) for end, value in zip(ends, spread, strict=True)}


def _peaks(motion: LiftedMotion) -> dict[str, float]:
    peaks = peak_speeds(motion.joints_mm, motion.time_s, motion.skeleton)
    return {joint: round(speed, 3) for joint, speed in peaks.items()}
