"""Orthographic views of a person: from the camera, and a quarter turn around the vertical, which shows the depth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

VIEWS_DEGREES = {"from the camera": 0.0, "from the side": 90.0}
"""How far each view goes around the person."""

_ELEVATION_DEGREES = 10.0


@dataclass(frozen=True)
class View:
    """An orthographic view that goes around the vertical."""

    right: Float[ndarray, " 3"]
    up: Float[ndarray, " 3"]
    ahead: Float[ndarray, " 3"]

    @classmethod
    def around(cls, up: Sequence[float], degrees: float, elevation: float = _ELEVATION_DEGREES) -> "View":
        """Turned about `up` (camera frame) from the camera's own direction, looking down a little."""
        vertical = np.asarray(up, np.float64) / np.linalg.norm(up)
        level = np.array((0.0, 0.0, 1.0)) - vertical[2] * vertical
        level /= np.linalg.norm(level)
        side = np.cross(level, vertical)
        turn, rise = math.radians(degrees), math.radians(elevation)
        towards = math.cos(turn) * level + math.sin(turn) * side
        return cls(
            np.cross(towards, vertical),
            math.cos(rise) * vertical + math.sin(rise) * towards,
            math.cos(rise) * towards - math.sin(rise) * vertical,
        )

    def __call__(self, points_mm: Float[ndarray, "*batch 3"]) -> Float[ndarray, "*batch 2"]:
        """(right, up) of points, mm."""
        seen: ndarray = points_mm @ np.stack((self.right, self.up), -1)
        return seen
