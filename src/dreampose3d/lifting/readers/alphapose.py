"""AlphaPose's `alphapose-results.json`, and results in COCO's format: one list, an object a person a frame."""

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

NAME = "AlphaPose JSON or COCO results"


def recognises(file: KeypointFile) -> bool:
    """Whether it is a list of objects with `image_id` and flat `keypoints`."""
    first = file.json[0] if isinstance(file.json, list) and file.json else None
    return isinstance(first, dict) and {"image_id", "keypoints"} <= first.keys()


def read(file: KeypointFile) -> RawKeypoints:
    """The people by their image's number: frames that show nobody are left out of the file.

    `idx` says who is who if tracking ran; without it everyone has idx 0.
    """
    people = [person for person in objects(file.json, "the file") if person.get("category_id", 1) == 1]
    untracked = not any(_identity(person) for person in people)
    images = {str(person.get("image_id")): None for person in people}
    numbers = dict(zip(images, frame_numbers(images), strict=True))
    frames: dict[int, list[Person]] = {number: [] for number in numbers.values()}
    for person in people:
        image = str(person.get("image_id"))
        identity = None if untracked else _identity(person)
        frames[numbers[image]].append(flat_person(person.get("keypoints"), f"keypoints of image {image}", identity))
    return gathered(frames, counted=True)


def _identity(person: dict[str, Any]) -> str | None:
    """The tracker's number; the first, where detections of several were merged into one. None for 0."""
    identity = person.get("idx", person.get("track_id"))
    while isinstance(identity, list):
        identity = identity[0] if identity else None
    return None if not identity else f"{identity:g}" if isinstance(identity, float) else str(identity)
