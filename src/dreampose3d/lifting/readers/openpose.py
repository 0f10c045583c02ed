"""OpenPose's JSON, one file a frame (`--write_json FOLDER`), as Pose2Sim and Sports2D write it too.

Also AlphaPose's imitation of it (`--format open`), one file for all frames.
"""

from typing import Any

from dreampose3d.lifting.readers.raw import (
    KeypointFile,
    Person,
    RawKeypoints,
    flat_person,
    frame_numbers,
    gathered,
    objects,
)

NAME = "OpenPose JSON folder"


def recognises(file: KeypointFile) -> bool:
    """Whether it is a folder of JSON files, or one, with a list `people`."""
    first = file.first_frame
    return isinstance(first, dict) and ("people" in first or (not file.path.is_dir() and bool(_by_image(first))))


def read(file: KeypointFile) -> RawKeypoints:
    """The people of each frame; a person whom OpenPose did not number (`person_id` -1) is to be tracked."""
    if file.path.is_dir():
        frames = {number: one.json for number, one in file.frame_files.items()}
    elif "people" in file.json:
        raise ValueError("this is one frame of OpenPose's JSON; give the folder that holds the frames of the clip")
    else:
        images = _by_image(file.json)
        frames = dict(zip(frame_numbers(images), images.values(), strict=True))
    return gathered({number: _people(frame, number) for number, frame in frames.items()}, counted=True)


def _by_image(data: dict[str, Any]) -> dict[str, Any]:
    """AlphaPose's frames, by the name of the image."""
    return {name: frame for name, frame in data.items() if isinstance(frame, dict) and "people" in frame}


def _people(frame: Any, number: int) -> list[Person]:
    if not isinstance(frame, dict) or "people" not in frame:
        raise ValueError(f"frame {number}: expected an object with a list people, as OpenPose writes it")
    people = []
    for person in objects(frame["people"], f"people of frame {number}"):
        flat = person.get("pose_keypoints_2d") or person.get("pose_keypoints")
        if flat:  # Pose2Sim leaves a place empty where a person is away
            people.append(flat_person(flat, f"pose_keypoints_2d of frame {number}", _identity(person)))
    return people


def _identity(person: dict[str, Any]) -> str | None:
    """The number given by OpenPose's own tracking; None where it did not run."""
    identity = person.get("person_id", -1)
    identity = identity[0] if isinstance(identity, list) and identity else identity
    return None if identity in (-1, [], None) else str(identity)
