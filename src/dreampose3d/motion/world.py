"""A world to stand in, for a camera that does not move: up, a floor, and metres that start on it.

Three witnesses say where up is, each with its uncertainty, and the most probable direction is taken: people hold
cameras nearly level (roll 4 degrees, pitch 15); over a clip a body that stands straight does so upright (5 degrees);
and the places where feet stand lie in one plane. The plane knows best, but only in the directions in which the person
has moved. All three are linear in up = (a, -1, b), so it is one weighted least squares. A calibrated camera knows its
own pose; a user may know up, or how high the camera stands.

The world's axes: z up, y along the camera's view over the floor, x to its right; its origin is the point of the floor
below the camera. So everybody in the picture has one world. Soles are at z = 0, so ankles stand at about 80 mm.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.camera import Camera
from dreampose3d.motion.contacts import FEET, contacts, standing
from dreampose3d.motion.frames import unit
from dreampose3d.sequence import LiftedMotion

ANKLE_MM = 80.0
"""Height of a standing ankle's joint above the sole; 60 to 100 over the motion capture."""
ROLL_DEGREES, PITCH_DEGREES = 4.0, 15.0
"""How far from level cameras are held."""
UPRIGHT_DEGREES = 5.0
"""How far from vertical a straight standing body is, in the mean over a clip."""
CONTACT_MM = 40.0
"""How far standing ankles are from their plane, depth errors included."""
_STRAIGHT_COSINE = float(np.cos(np.radians(20)))
_LEAST_UP = float(np.cos(np.radians(45)))
_TAILS = 4.0
_ROUNDS = 6


@dataclass(frozen=True)
class Ground:
    """The floor as the camera sees it."""

    up: tuple[float, float, float]
    """Unit vector in the camera frame."""
    camera_height_mm: float
    """Of the camera above the floor."""
    source: str
    """What it was found from, in words."""

    def pose(self, camera: Camera) -> Camera:
        """The camera as it stands in the world of this module's docstring."""
        up = np.array(self.up)
        ahead = np.array((0.0, 0.0, 1.0))
        if abs(up @ ahead) > 0.99:  # it looks straight down or up: the top of the image is ahead
            ahead = np.array((0.0, -1.0, 0.0))
        forward = unit(ahead - (ahead @ up) * up)
        axes = np.stack((np.cross(forward, up), forward, up), -1)  # columns: the world's axes in the camera frame
        return replace(
            camera, rotation=tuple(map(tuple, axes.tolist())), position_mm=(0.0, 0.0, float(self.camera_height_mm))
        )


def require_ground(up: tuple[float, float, float] | None, camera_height_m: float | None) -> None:
    """Refuse an up that is no direction, and a height (metres) that is not positive."""
    if up is not None and not (np.isfinite(up).all() and np.linalg.norm(up) > 0):
        got = " ".join(f"{x:g}" for x in up)
        raise ValueError(f"expected --up as a direction in the camera's axes, such as --up 0 -1 0, got {got}")
    if camera_height_m is not None and not 0 < camera_height_m < np.inf:
        raise ValueError(f"expected --floor as the camera's height above the floor in metres, got {camera_height_m:g}")


def find_ground(
    people: Sequence[LiftedMotion],
    up: tuple[float, float, float] | None = None,
    camera_height_m: float | None = None,
) -> Ground:
    """Find up and the floor from the people on it.

    Args:
        people: Lifted motions of one static camera, all with their roots.
        up: Up in the camera frame, if known: (0, -1, 0) for a level camera. Any length.
        camera_height_m: Of the camera above the floor, metres, if known.

    Raises:
        ValueError: If there is nobody, up is no direction, or the height is not positive.
    """
    if not people:
        raise ValueError("expected at least one person to find the ground by, got none")
    require_ground(up, camera_height_m)
    camera = people[0].camera
    if up is not None:
        direction, how = unit(np.array(up, np.float64)), "up given"
        points = _witnesses(people, direction)[0]
    elif camera.posed:
        direction, how = unit(np.array(camera.up)), "up from the calibration"
        points = _witnesses(people, direction)[0]
    else:
        direction, points = _find_up(people)
        how = "up from where feet stand, upright bodies and a camera held nearly level"
    if camera_height_m is not None:
        height, floor = 1000 * camera_height_m, "height of the camera given"
    elif len(points):
        height, floor = ANKLE_MM - float(np.median(points @ direction)), f"floor from {len(points)} contacts of feet"
    else:
        lowest = min(float((_ankles(person) @ direction).min()) for person in people)
        height, floor = ANKLE_MM - lowest, "floor below the lowest ankle, as no foot stands"
    x, y, z = direction.tolist()
    return Ground((x, y, z), height, f"{how}; {floor}")


def _find_up(people: Sequence[LiftedMotion]) -> tuple[Float[ndarray, " 3"], Float[ndarray, "K 3"]]:
    """Up as (a, -1, b) of any length, and the places where feet stand.

    Unknowns a, b and the height d of the plane; rows for camera, bodies and points, each over its uncertainty. Points
    off the plane (a stair, a lifted foot held still) lose weight as under Student's distribution.
    """
    up = np.array((0.0, -1.0, 0.0))
    points = np.zeros((0, 3))
    for _ in range(_ROUNDS):
        points, bodies = _witnesses(people, up)
        distance = (points @ up - np.median(points @ up)) / CONTACT_MM if len(points) else np.zeros(0)
        weight = np.sqrt((_TAILS + 1) / (_TAILS + distance**2)) / CONTACT_MM
        level = 1 / np.tan(np.radians((ROLL_DEGREES, PITCH_DEGREES)))
        upright = 1 / np.tan(np.radians(UPRIGHT_DEGREES))
        leans = bodies[:, (0, 2)] / -bodies[:, 1:2]
        rows = np.concatenate(
            (
                np.diag((*level, 0.0))[:2],
                *([[upright, 0, 0], [0, upright, 0]] for _ in bodies),
                weight[:, None] * np.column_stack((points[:, 0], points[:, 2], np.ones(len(points)))),
            )
        )
        values = np.concatenate((np.zeros(2), upright * leans.ravel(), weight * points[:, 1]))
        (a, b, _), *_ = np.linalg.lstsq(rows, values, rcond=None)
        up = unit(np.array((a, -1.0, b)))
    return up, points


def _witnesses(
    people: Sequence[LiftedMotion], up: Float[ndarray, " 3"]
) -> tuple[Float[ndarray, "K 3"], Float[ndarray, "M 3"]]:
    """Where feet stand, and the mean direction of each person's body while it stands straight."""
    points, bodies = [np.zeros((0, 3))], [np.zeros((0, 3))]
    for person in people:
        joints, skeleton = person.joints_mm.astype(np.float64), person.skeleton
        stands = standing(joints, person.time_s, skeleton, up)
        found = contacts(joints, stands, skeleton)
        points.append(np.array([contact.position_mm for contact in found]).reshape(-1, 3))
        some = stands.any(1)
        feet = (stands[some, :, None] * _ankles(person)[some]).sum(1) / stands[some].sum(1)[:, None]
        pelvis, thorax = joints[some][:, skeleton.index("pelvis")], joints[some][:, skeleton.index("thorax")]
        legs, trunk = unit(pelvis - feet), unit(thorax - pelvis)
        straight = ((legs * trunk).sum(-1) > _STRAIGHT_COSINE) & (legs @ up > _LEAST_UP)
        if straight.any():
            bodies.append(unit((thorax - feet)[straight].mean(0))[None])
    return np.concatenate(points), np.concatenate(bodies)


def _ankles(person: LiftedMotion) -> Float[ndarray, "N feet 3"]:
    ankles: ndarray = person.joints_mm[:, person.skeleton.indices(*FEET)].astype(np.float64)
    return ankles
