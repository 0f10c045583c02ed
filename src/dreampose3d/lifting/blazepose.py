"""BlazePose in its published weights: a person detector and a landmark network, run by LiteRT on one thread.

Each frame is two steps. *Where*: a square region around the person, turned so that the person stands upright in it; it
comes from the person detector in the first frame and wherever the person was lost, else from the landmarks of
the frame before. *What*: the landmark network reads that region and gives 33 joints, the two points that make the next
region, and the probability that there is a person at all. Nothing is smoothed over time.

Source: Bazarevsky et al. 2020 (BlazePose: On-device Real-time Body Pose Tracking), and the tensors of the networks.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8
from numpy import ndarray

from dreampose3d.lifting.detection import Detection
from dreampose3d.skeleton import BLAZEPOSE_33, Skeleton

Complexity = Literal["heavy", "full", "lite"]

Network = Callable[[Float32[ndarray, "1 size size 3"]], dict[str, Float32[ndarray, "..."]]]
"""A network that takes one square image and names its outputs."""

_DETECTOR_PX, _LANDMARK_PX = 224, 256
"""The networks' input sizes."""
_ANCHOR_LAYERS = ((8, 2), (16, 2), (32, 6))
"""(stride in pixels, anchors in each cell) of the person detector's grids, in the order of its outputs."""
_BOX_NUMBERS = 4
"""A row of the detector starts with a box, then come its points; the first two make the region."""
_POINTS = 39
"""Points of the landmark network: the 33 joints, two that make the next region, and four that are not used."""
_MARGIN = 2.5
"""The region's side in units of the distance between the two points that make it."""
_PERSON = 0.5
"""The probability above which there is a person."""
_SEARCH_FRAMES = 30
"""A lost person is looked for within one region's side, and one more for each so many frames."""
_PEAK_RADIUS = 3
"""A landmark is refined within 3 cells of its heatmap, a window of 7 x 7."""


@dataclass(frozen=True)
class Region:
    """A square of the frame, turned about its middle."""

    center_px: tuple[float, float]
    side_px: float
    angle: float = 0.0
    """By how much its upper side is turned clockwise from the frame's, radians."""

    @classmethod
    def around(cls, hip_px: Float[ndarray, "2"], reach_px: Float[ndarray, "2"]) -> "Region":
        """The region of a person: the middle of the hips, and a point above it at the reach of the body."""
        dx, dy = (float(d) for d in reach_px - hip_px)
        return cls((float(hip_px[0]), float(hip_px[1])), _MARGIN * float(np.hypot(dx, dy)), float(np.arctan2(dx, -dy)))

    def from_crop(self, size: int) -> Float64[ndarray, "2 3"]:
        """The affine map from positions in a crop of `size` x `size` pixels to positions in the frame."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[cos, -sin], [sin, cos]]) * (self.side_px / size)
        return np.column_stack((turn, np.array(self.center_px) - turn @ (size / 2, size / 2)))

    def to_frame(self, points: Float[ndarray, "*batch 2"], size: int) -> Float64[ndarray, "*batch 2"]:
        """Positions in a crop of `size` x `size` pixels -> positions in the frame."""
        affine = self.from_crop(size)
        in_frame: Float64[ndarray, "*batch 2"] = points @ affine[:, :2].T + affine[:, 2]
        return in_frame

    def crop(self, frame_rgb: UInt8[ndarray, "height width 3"], size: int) -> UInt8[ndarray, "size size 3"]:
        """The region as an image of `size` x `size` pixels, black outside the frame."""
        import cv2

        affine = self.from_crop(size)
        affine[:, 2] += affine[:, :2] @ (0.5, 0.5) - 0.5  # OpenCV counts from the middle of the first pixel
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop: UInt8[ndarray, "size size 3"] = cv2.warpAffine(frame_rgb, affine, (size, size), flags=flags)
        return crop


@dataclass(frozen=True)
class Landmarks:
    """What the landmark network says about one region."""

    keypoints_px: Float[ndarray, "K 2"]
    confidence: Float[ndarray, " K"]
    world_mm: Float[ndarray, "K 3"]
    """The network's own 3D guess: camera axes, origin between the hips, mm."""
    presence: float
    """The probability that the region holds a person."""
    next_region: Region


class BlazePose:
    """One person's 33 joints in one frame after another (a `Detector`)."""

    skeleton: Skeleton = BLAZEPOSE_33

    def __init__(self, find_person: Network, find_landmarks: Network, name: str = "blazepose") -> None:
        self._find_person, self._find_landmarks, self.name = find_person, find_landmarks, name
        self._region: Region | None = None
        self._frames_lost = 0
        self.searches = 0
        """How often the person detector ran since the last reset."""

    @classmethod
    def load(cls, complexity: Complexity | None = None) -> "BlazePose":
        """BlazePose with the weights in the cache: the best there are unless one is named.

        Raises:
            ValueError: If the extra `video` or the weights are missing, with the command that gets them.
        """
        from dreampose3d.lifting.fetch import blazepose_weights

        person, landmarks, which = blazepose_weights(complexity)
        return cls(litert_network(person), litert_network(landmarks), f"blazepose {which}")

    def reset(self) -> None:
        """Forget the frames seen: another clip begins."""
        self._region, self._frames_lost, self.searches = None, 0, 0

    def detect(self, frame_rgb: UInt8[ndarray, "height width 3"]) -> Detection | None:
        """The person in the next frame, or None if there is none.

        The confidence of a joint is the network's probability that it lies in the picture and is not hidden.
        """
        seen = self.track(frame_rgb)
        return None if seen is None else (seen.keypoints_px, seen.confidence)

    def track(self, frame_rgb: UInt8[ndarray, "height width 3"]) -> Landmarks | None:
        """The same as `detect`, with everything that the network says."""
        followed = self._region if not self._frames_lost else None
        seen = self.landmarks(frame_rgb, followed) if followed else None
        if seen is None:
            seen = self._search(frame_rgb)
        if seen is None:
            self._frames_lost += 1
        else:
            self._region, self._frames_lost = seen.next_region, 0
        return seen

    def _search(self, frame_rgb: UInt8[ndarray, "height width 3"]) -> Landmarks | None:
        """Look for the person in the whole frame, then twice at the place."""
        self.searches += 1
        region = self._person(frame_rgb)
        return None if region is None else self.look_twice(frame_rgb, region)

    def _person(self, frame_rgb: UInt8[ndarray, "height width 3"]) -> Region | None:
        """The region of the likeliest person in the frame, or near to where one was lost."""
        height, width = frame_rgb.shape[:2]
        people = self.people(frame_rgb, Region((width / 2, height / 2), max(width, height)))
        if (lost := self._region) is not None:
            reach = lost.side_px * (1 + self._frames_lost / _SEARCH_FRAMES)
            people = [region for region in people if math.dist(region.center_px, lost.center_px) <= reach]
        return people[0] if people else None

    def people(self, frame_rgb: UInt8[ndarray, "height width 3"], square: Region) -> list[Region]:
        """Where the person detector sees people in a square of the frame, the likeliest first; often more than once."""
        outputs = self._find_person(square.crop(frame_rgb, _DETECTOR_PX)[None].astype(np.float32) / 127.5 - 1)
        anchors = _anchors()
        scores = _sigmoid(outputs["Identity_1"].reshape(-1))
        offsets = outputs["Identity"].reshape(len(anchors), -1)[:, _BOX_NUMBERS : _BOX_NUMBERS + 4]
        points = square.to_frame(offsets.reshape(-1, 2, 2) + anchors[:, None], _DETECTOR_PX)
        likeliest = np.argsort(-scores, kind="stable")[: int((scores >= _PERSON).sum())]
        return [Region.around(*points[index]) for index in likeliest]

    def look_twice(self, frame_rgb: UInt8[ndarray, "height width 3"], region: Region) -> Landmarks | None:
        """The landmarks at a place that the person detector named: the first look corrects the region."""
        first = self.landmarks(frame_rgb, region)
        return None if first is None else self.landmarks(frame_rgb, first.next_region)

    def landmarks(self, frame_rgb: UInt8[ndarray, "height width 3"], region: Region) -> Landmarks | None:
        """The landmarks in a region, or None if it holds no person."""
        image = region.crop(frame_rgb, _LANDMARK_PX)[None].astype(np.float32) / 255
        outputs = self._find_landmarks(image)
        presence = float(outputs["Identity_1"].reshape(()))
        if presence < _PERSON:
            return None
        points = outputs["Identity"].reshape(_POINTS, 5)  # x, y, z, visibility, presence
        heatmaps = _sigmoid(outputs["Identity_3"].reshape(*outputs["Identity_3"].shape[-3:]))
        points_px = region.to_frame(_refined(points[:, :2], heatmaps), _LANDMARK_PX)
        count = self.skeleton.num_joints
        return Landmarks(
            keypoints_px=points_px[:count].astype(np.float32),
            confidence=np.prod(_sigmoid(points[:count, 3:5]), axis=-1),
            world_mm=_upright(outputs["Identity_4"].reshape(_POINTS, 3)[:count] * 1000, region.angle),
            presence=presence,
            next_region=Region.around(points_px[count], points_px[count + 1]),
        )


def litert_network(path: Path) -> Network:
    """A `.tflite` file as a function, on one thread (two gain nothing: the networks are small).

    Raises:
        ValueError: If the extra `video` is missing.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise ValueError('finding people needs an extra: pip install "dreampose3d[video]"') from None
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    outputs = {tensor["name"]: tensor["index"] for tensor in interpreter.get_output_details()}

    def run(image: Float32[ndarray, "1 size size 3"]) -> dict[str, Float32[ndarray, "..."]]:
        interpreter.set_tensor(given["index"], image)
        interpreter.invoke()
        return {name: interpreter.get_tensor(index) for name, index in outputs.items()}

    return run


@cache
def _anchors() -> Float64[ndarray, "A 2"]:
    """The middle of each detector cell, pixels of its input, as often as the cell has anchors."""
    layers = []
    for stride, repeats in _ANCHOR_LAYERS:
        middles = (np.arange(_DETECTOR_PX // stride) + 0.5) * stride
        y, x = np.meshgrid(middles, middles, indexing="ij")
        layers.append(np.repeat(np.stack((x, y), -1).reshape(-1, 2), repeats, axis=0))
    return np.concatenate(layers)


def _refined(points: Float[ndarray, "P 2"], heatmaps: Float[ndarray, "cells cells P"]) -> Float[ndarray, "P 2"]:
    """Each point moved to the centre of mass of its heatmap within 7 x 7 cells, if there is a peak there.

    Cell i lies at i (not i + 1/2) cell widths: measured, so that a frame and its mirror image agree (0.1 px on
    average over the four views of `benchmarks/four_views.py`, 14 px with i + 1/2). Refining lowers the median distance
    between the four views there from 11.9 to 10.4 px.
    """
    cell = _LANDMARK_PX / heatmaps.shape[0]
    row, column = np.ogrid[: heatmaps.shape[0], : heatmaps.shape[1]]
    place = np.floor(points / cell)
    near = (abs(column[..., None] - place[:, 0]) <= _PEAK_RADIUS) & (abs(row[..., None] - place[:, 1]) <= _PEAK_RADIUS)
    mass = heatmaps * near
    total = np.maximum(mass.sum((0, 1)), np.finfo(np.float32).tiny)
    center = (
        np.stack(((mass * column[..., None]).sum((0, 1)), (mass * row[..., None]).sum((0, 1))), -1) / total[:, None]
    )
    return np.where((mass.max((0, 1)) >= _PERSON)[:, None], center * cell, points)


def _upright(points: Float[ndarray, "K 3"], angle: float) -> Float[ndarray, "K 3"]:
    """Points in the region's axes -> the frame's: turned about the line of sight."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    turned: Float32[ndarray, "K 3"] = (points @ turn.T).astype(np.float32)
    return turned


def _sigmoid(logits: Float[ndarray, "*shape"]) -> Float[ndarray, "*shape"]:
    probability: Float[ndarray, "*shape"] = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    return probability
