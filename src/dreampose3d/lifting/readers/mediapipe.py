"""MediaPipe's pose landmarks as JSON. MediaPipe has no file of its own; what is read is its results, written down.

A list with one entry a frame, or an object with such a list (`frames`, `poses`, `results`, `landmarks`): each the
landmarks themselves (33 objects with x, y, visibility), or an object or a list of people that holds them.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.lifting.readers.raw import KeypointFile, Person, RawKeypoints, gathered, numbers, whole_number
from dreampose3d.skeleton import BLAZEPOSE_33

NAME = "MediaPipe landmark JSON"
_LISTS = ("frames", "poses", "results", "data", "pose_landmarks", "poseLandmarks", "landmarks")
_LANDMARKS = ("pose_landmarks", "poseLandmarks", "landmarks", "landmark", "keypoints")
_NUMBERS = ("frame", "frame_id", "frame_index", "frame_idx", "frame_number", "frameNumber", "frameIndex")
_RATES = ("fps", "frame_rate", "frameRate")
_AT_ORIGIN = 0.02
_PIXELS_FROM = 5.0  # no landmark lies five image widths outside: such numbers were scaled to pixels


def recognises(file: KeypointFile) -> bool:
    """Whether some frame has landmarks with x and y."""
    for frame in _listed(file.json):
        people = _people(frame)
        if people:
            return isinstance(people[0][0], dict) and {"x", "y"} <= people[0][0].keys()
    return False


def read(file: KeypointFile) -> RawKeypoints:
    """The people of each frame, not told apart; x and y run from 0 to 1 over the image, unless scaled to pixels."""
    listed = _listed(file.json)
    frames: dict[int, list[Person]] = {}
    for order, frame in enumerate(listed):
        told = next((frame[key] for key in _NUMBERS if key in frame), order) if isinstance(frame, dict) else order
        number = whole_number(told, "the number of a frame")
        if number in frames:
            raise ValueError(f"frame {number} is there twice; keep one clip a file")
        frames[number] = [_person(landmarks, number) for landmarks in _people(frame)]
    raw = gathered(frames, counted=True, **_told(file.json), time_s=_times(listed))
    _require_image(raw.keypoints_px)
    return replace(raw, normalised=bool(np.nanmax(np.abs(raw.keypoints_px), initial=0) < _PIXELS_FROM))


def _listed(data: Any) -> list[Any]:
    """The list with one entry a frame."""
    if isinstance(data, dict):
        data = next((data[key] for key in _LISTS if isinstance(data.get(key), list)), None)
    return data if isinstance(data, list) else []


def _people(frame: Any) -> list[list[Any]]:
    """The landmarks of each person in a frame."""
    while isinstance(frame, dict):
        frame = next((frame[key] for key in _LANDMARKS if key in frame), None)
    if not isinstance(frame, list) or not frame:
        return []
    if isinstance(frame[0], dict) and "x" in frame[0]:
        return [frame]
    return [person for entry in frame for person in _people(entry)]


def _person(landmarks: list[Any], frame: int) -> Person:
    what = f"landmarks of frame {frame}"
    if not all(isinstance(landmark, dict) and {"x", "y"} <= landmark.keys() for landmark in landmarks):
        raise ValueError(f"expected {what} as objects with x and y")
    points = numbers([[landmark["x"], landmark["y"]] for landmark in landmarks], what)
    seen = [landmark.get("visibility", landmark.get("presence")) for landmark in landmarks]
    return Person(points, None if None in seen else numbers(seen, f"visibility in {what}"))


def _require_image(points: Float[ndarray, "N P K 2"]) -> None:
    """World landmarks are metres from the middle of the hips, which is their origin in every frame."""
    if points.shape[2] == BLAZEPOSE_33.num_joints:
        hips = points[:, :, BLAZEPOSE_33.indices("left_hip", "right_hip")].mean(2)
        if np.nanmax(np.abs(hips), initial=0) < _AT_ORIGIN:
            raise ValueError("expected landmarks in the image, got world landmarks: write down pose_landmarks instead")


def _told(data: Any) -> dict[str, Any]:
    """Rate and size, where somebody wrote them beside the frames."""
    if not isinstance(data, dict):
        return {}
    size = (data["width"], data["height"]) if {"width", "height"} <= data.keys() else None
    return {"fps": next((data[key] for key in _RATES if key in data), None), "size": size}


def _times(listed: list[Any]) -> Any:
    """Seconds of each frame, from `timestamp_ms`, if all have it."""
    if not all(isinstance(frame, dict) and "timestamp_ms" in frame for frame in listed):
        return None
    return numbers([frame["timestamp_ms"] for frame in listed], "timestamp_ms") / 1000
