"""A small figure to see the motion on: capsules around the bones of the T-pose, each moved by its node."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from dreampose3d.export.rotations import TIPS_MM, Rig

Side = Literal["left", "right", "middle"]
COLOURS: dict[Side, tuple[float, float, float]] = {
    "left": (0.09, 0.35, 0.78),
    "right": (0.85, 0.32, 0.10),
    "middle": (0.55, 0.55, 0.58),
}
"""Linear RGB."""
_AROUND = 8
_LATITUDES = np.radians((-90, -45, 0, 0, 45, 90))
_RADII_MM = {
    "pelvis": 85, "hip": 82, "knee": 56, "ankle": 38, "lower_spine": 120, "spine": 130, "lower_neck": 55, "neck": 85,
    "head": 80, "clavicle": 62, "shoulder": 50, "elbow": 40, "wrist": 36,
}  # fmt: skip
"""Around the bone that each node turns, in a body whose legs are as long as below."""
_LEG_MM = 850.0


@dataclass(frozen=True)
class Body:
    """Triangles in the T-pose, mm, the root at the origin. Every vertex belongs to one node."""

    vertices_mm: Float[ndarray, "V 3"]
    normals: Float[ndarray, "V 3"]
    nodes: Int[ndarray, " V"]
    triangles: dict[Side, Int[ndarray, "T 3"]]
    """Counter-clockwise from outside, by the side of the body that they belong to."""


def body_around(rig: Rig) -> Body:
    """The figure of a rig's bones, as thick as fits the length of its legs."""
    leg = np.linalg.norm(rig.offsets_mm[[rig.index("left_knee"), rig.index("left_ankle")]], axis=1).sum()
    vertices: list[ndarray] = []
    normals: list[ndarray] = []
    nodes: list[ndarray] = []
    triangles: dict[Side, list[ndarray]] = {side: [] for side in COLOURS}
    for node, end in _bones(rig):
        radius = _RADII_MM[rig.names[node].removeprefix("left_").removeprefix("right_")] * leg / _LEG_MM
        points, outward, faces = _capsule(rig.rest_mm[node], end, radius)
        triangles[_side(rig.names[node])].append(faces + len(points) * len(vertices))
        vertices.append(points)
        normals.append(outward)
        nodes.append(np.full(len(points), node))
    joined = {side: np.concatenate(faces) for side, faces in triangles.items()}
    return Body(np.concatenate(vertices), np.concatenate(normals), np.concatenate(nodes), joined)


def _bones(rig: Rig) -> list[tuple[int, Float[ndarray, " 3"]]]:
    """Each node that turns a bone, and where that ends in the T-pose."""
    drawn = [(p, rig.rest_mm[node]) for node, p in enumerate(rig.parents) if np.any(rig.offsets_mm[node])]
    return drawn + [(rig.index(name), rig.rest_mm[rig.index(name)] + tip) for name, tip in TIPS_MM.items()]


def _side(name: str) -> Side:
    return "left" if name.startswith("left_") else "right" if name.startswith("right_") else "middle"


def _capsule(
    start: Float[ndarray, " 3"], end: Float[ndarray, " 3"], radius: float
) -> tuple[Float[ndarray, "V 3"], Float[ndarray, "V 3"], Int[ndarray, "T 3"]]:
    """Points, outward normals and triangles of a cylinder with round ends: six rings, the outermost being points."""
    along = (end - start) / np.linalg.norm(end - start)
    across = np.cross(along, np.eye(3)[np.argmin(abs(along))])
    across /= np.linalg.norm(across)
    turn = 2 * np.pi * np.arange(_AROUND) / _AROUND
    ring = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * np.cross(along, across)
    outward = np.cos(_LATITUDES)[:, None, None] * ring + np.sin(_LATITUDES)[:, None, None] * along  # rings around 3
    centres = np.where((np.arange(len(_LATITUDES)) < len(_LATITUDES) / 2)[:, None, None], start, end)
    points = np.arange(len(_LATITUDES) * _AROUND).reshape(-1, _AROUND)
    (low, high), (low_next, high_next) = (points[:-1], points[1:]), np.roll((points[:-1], points[1:]), -1, axis=2)
    lower = np.stack((low, low_next, high), -1)[1:]  # at the first ring, a point, these are none
    upper = np.stack((low_next, high_next, high), -1)[:-1]
    faces = np.concatenate((lower.reshape(-1, 3), upper.reshape(-1, 3)))
    return (centres + radius * outward).reshape(-1, 3), outward.reshape(-1, 3), faces
