"""MMPose's predictions as JSON: the inferencer's (`pred_out_dir`), a file a video or an image, and the demos'."""

from typing import Any

from dreampose3d.lifting.readers.raw import KeypointFile, Person, RawKeypoints, gathered, numbers, objects, whole_number

NAME = "MMPose JSON"


def recognises(file: KeypointFile) -> bool:
    """Whether it, or a folder's first file, holds instances with `keypoints` and `keypoint_scores`."""
    data = file.first_frame
    if isinstance(data, dict):
        return "instance_info" in data or "predictions" in data
    first = data[0] if isinstance(data, list) and data else None
    return isinstance(first, dict) and ("instances" in first or "keypoint_scores" in first)


def read(file: KeypointFile) -> RawKeypoints:
    """The instances of each frame, none of which it tells apart from another, unless they have a `track_id`."""
    if file.path.is_dir():
        frames = {number: _people(one.json, number) for number, one in file.frame_files.items()}
        return gathered(frames, counted=True)
    data = file.json
    listed = data.get("instance_info", data.get("predictions")) if isinstance(data, dict) else data
    return gathered(_frames(listed), **_joints(data))


def _frames(listed: Any) -> dict[int, list[Person]]:
    """The people by the frame's number, which a demo counts from 1, the inferencer from 0."""
    if not isinstance(listed, list):
        raise ValueError("expected MMPose's instances as a list, a frame each")
    if listed and isinstance(listed[0], dict) and "keypoints" in listed[0]:
        return {0: _people(listed, 0)}
    frames: dict[int, list[Person]] = {}
    for order, frame in enumerate(listed):
        numbered = isinstance(frame, dict)
        number = whole_number(frame.get("frame_id", order), "frame_id") if numbered else order
        if number in frames:
            raise ValueError(f"frame {number} is there twice; keep one clip a file")
        frames[number] = _people(frame.get("instances") if numbered else frame, number)
    return frames


def _people(instances: Any, frame: int) -> list[Person]:
    people = []
    for instance in objects(instances, f"instances of frame {frame}"):
        keypoints = numbers(instance.get("keypoints"), f"keypoints of frame {frame}")
        if keypoints.ndim != 2 or keypoints.shape[1] != 2:
            kind = "3D, which need no lifting" if keypoints.shape[-1:] == (3,) else f"of shape {keypoints.shape}"
            raise ValueError(f"frame {frame}: expected keypoints of shape (K, 2) in pixels; these are {kind}")
        scores = instance.get("keypoint_scores")
        confidence = None if scores is None else numbers(scores, f"keypoint_scores of frame {frame}")
        if confidence is not None and confidence.shape != keypoints.shape[:1]:
            raise ValueError(f"frame {frame}: expected {len(keypoints)} keypoint_scores, got shape {confidence.shape}")
        track = instance.get("track_id")
        people.append(Person(keypoints, confidence, None if track is None else str(track)))
    return people


def _joints(data: Any) -> dict[str, Any]:
    """The names of the joints, which the demos write; else their number tells."""
    told = data.get("meta_info") if isinstance(data, dict) else None
    names = told.get("keypoint_id2name") if isinstance(told, dict) else None
    if not isinstance(names, dict) or not names:
        return {"counted": True}
    order = sorted(names, key=lambda key: whole_number(key, "a joint's number in keypoint_id2name"))
    return {"joints": [str(names[key]) for key in order]}
