"""The person at a moment as SVG, seen from the camera and from the side: one scale and one floor for all pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.figures.view import VIEWS_DEGREES, View
from dreampose3d.motion.contacts import FEET
from dreampose3d.report.markup import Markup, joined, tag
from dreampose3d.report.subject import Subject

_MARGIN_MM = 130.0
_HEAD_MM = 95.0
_SOLE_MM = 80.0
_FLOOR_S = 1.0
"""The floor is where the lower ankle is lowest within this time: a camera held askew lets it rise and fall."""


@dataclass(frozen=True)
class Scene:
    """What all pictures share: how far they reach around the person's middle and above the floor, mm."""

    subject: Subject
    half_width_mm: float
    height_mm: float

    @classmethod
    def of(cls, subject: Subject, times_s: Sequence[float]) -> "Scene":
        """Wide and high enough for all of these moments."""
        across, above = [], []
        for time_s in times_s:
            for view in _views(subject):
                points = _placed(subject, view, time_s)
                across.append(np.abs(points[:, 0]).max())
                above.append(points[:, 1].max())
        return cls(subject, float(max(across)) + _MARGIN_MM, float(max(above)) + _MARGIN_MM)

    def draw(self, time_s: float, title: str) -> Markup:
        """The person at a moment from both sides, with the uncertainty as discs."""
        pictures = [
            self._picture(view, time_s, f"{title}, {name}")
            for name, view in zip(VIEWS_DEGREES, _views(self.subject), strict=True)
        ]
        return tag("div", *pictures, class_="views")

    def _picture(self, view: View, time_s: float, title: str) -> Markup:
        subject, width, height = self.subject, self.half_width_mm, self.height_mm
        points = _placed(subject, view, time_s) * (1, -1)  # SVG's y goes down
        depth = subject.pose_at(time_s) @ view.ahead
        drawn = joined(
            tag("title", title),
            tag("line", x1=-width, x2=width, y1=0, y2=0, class_="floor"),
            *self._discs(points, time_s),
            *_bones(points, depth, subject),
        )
        box = f"{-width:.0f} {-height:.0f} {2 * width:.0f} {height + 60:.0f}"
        return tag("svg", drawn, viewBox=box, role="img", aria_label=title, class_="skeleton")

    def _discs(self, points: Float[ndarray, "J 2"], time_s: float) -> list[Markup]:
        """Within these the true joints lie with 68 % probability."""
        lifted = self.subject.lifted
        if lifted is None:
            return []
        spread = lifted.spread_mm[self.subject.frame_at(time_s)]
        return [
            tag("circle", cx=float(x), cy=float(y), r=float(r), class_="spread")
            for (x, y), r in zip(points, spread, strict=True)
        ]


def seen_from(subject: Subject, time_s: float) -> str:
    """From where the camera sees the person, in words: `the front`, `back left`."""
    pose, skeleton = subject.pose_at(time_s), subject.skeleton
    across = np.subtract(*pose[skeleton.indices("right_hip", "left_hip")])
    ahead = np.cross(subject.up, across)
    to_camera = -pose[skeleton.root] if subject.lifted is not None else np.array((0.0, 0.0, -1.0))
    angle = np.degrees(np.arctan2(to_camera @ across, to_camera @ ahead))  # 0 in front, 90 at the right
    names = ("the front", "front right", "the right", "back right", "behind", "back left", "the left", "front left")
    return names[round(float(angle) / 45) % 8]


def _views(subject: Subject) -> list[View]:
    return [View.around(subject.up.tolist(), degrees, elevation=0) for degrees in VIEWS_DEGREES.values()]


def _placed(subject: Subject, view: View, time_s: float) -> Float[ndarray, "J 2"]:
    """(right, up) of the joints: from the pelvis's middle across, from the floor upwards."""
    points = view(subject.pose_at(time_s))
    near = np.abs(subject.time_s - time_s) <= _FLOOR_S
    near[subject.frame_at(time_s)] = True
    ankles = subject.joints_mm[near][:, subject.skeleton.indices(*FEET)]
    placed: ndarray = points - (points[subject.skeleton.root, 0], (ankles @ subject.up).min() - _SOLE_MM)
    return placed


def _bones(points: Float[ndarray, "J 2"], depth: Float[ndarray, " J"], subject: Subject) -> list[Markup]:
    """Bones from far to near, each with a rim of paper that parts it from those behind it; right ones are hollow."""
    skeleton = subject.skeleton
    sides = {joint: side for side in ("left", "right") for joint in getattr(skeleton, side)}
    drawn = []
    for joint, parent in sorted(skeleton.bones, key=lambda bone: -depth[list(bone)].mean()):
        (x1, y1), (x2, y2) = points[[joint, parent]].tolist()
        side = sides.get(joint, "middle")
        layers = ("rim", side, "hollow") if side == "right" else ("rim", side)
        drawn += [tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=f"bone {layer}") for layer in layers]
        if skeleton.joints[joint] == "head":
            drawn.append(tag("circle", cx=x1, cy=y1, r=_HEAD_MM, class_="head"))
    return drawn
