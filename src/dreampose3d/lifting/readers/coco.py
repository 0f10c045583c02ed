"""COCO keypoint annotations: `images`, `annotations` with [x, y, v] a joint, `categories` with the joints' names."""

from typing import Any

import numpy as np

from dreampose3d.lifting.readers.raw import (
    KeypointFile,
    Person,
    RawKeypoints,
    flat_person,
    frame_numbers,
    gathered,
    objects,
    whole_number,
)

NAME = "COCO keypoint JSON"
_HIDDEN = 0.5
"""The confidence of a joint that is annotated, but not visible (v = 1) [ours]."""


def recognises(file: KeypointFile) -> bool:
    """Whether it is an object with `images` and `annotations`."""
    return isinstance(file.json, dict) and {"images", "annotations"} <= file.json.keys()


def read(file: KeypointFile) -> RawKeypoints:
    """The people of each image, one video's; `track_id` says who is who, where it is there."""
    images = objects(file.json["images"], "images")
    frames_of = _frames(images)
    frames: dict[int, list[Person]] = {number: [] for number in frames_of.values()}
    categories: set[str] = set()
    for annotation in objects(file.json["annotations"], "annotations"):
        if annotation.get("iscrowd") or not annotation.get("num_keypoints", 1) or not annotation.get("keypoints"):
            continue
        image = str(annotation.get("image_id"))
        if image not in frames_of:
            raise ValueError(f"an annotation is of image {image}, which images does not list")
        categories.add(str(annotation.get("category_id")))
        frames[frames_of[image]].append(_person(annotation))
    joints = _joints(file.json.get("categories"), categories)
    return gathered(frames, joints=joints, counted=joints is None, size=_size(images))


def _frames(images: list[dict[str, Any]]) -> dict[str, int]:
    """Each image's frame number, by its id: from `frame_id`, or from the files' names."""
    videos = {str(image.get("video_id", image.get("vid_id"))) for image in images}
    if len(videos) > 1:
        raise ValueError(f"expected the images of one video, got {len(videos)} videos; write one a file")
    if all("frame_id" in image for image in images):
        found = [whole_number(image["frame_id"], "frame_id") for image in images]
    else:
        found = frame_numbers([str(image.get("file_name", image.get("id"))) for image in images])
    return dict(zip((str(image.get("id")) for image in images), found, strict=True))


def _person(annotation: dict[str, Any]) -> Person:
    """A person; the third number of a joint is 0 not annotated, 1 hidden, 2 visible, or a detector's confidence."""
    track = annotation.get("track_id", (annotation.get("attributes") or {}).get("track_id"))
    what = f"keypoints of annotation {annotation.get('id')}"
    keypoints, third, identity = flat_person(annotation["keypoints"], what, None if track is None else str(track))
    assert third is not None
    if np.isin(third, (0, 1, 2)).all():
        third = np.select((third == 0, third == 1), (0.0, _HIDDEN), 1.0)
    return Person(keypoints, third, identity)


def _joints(categories: Any, used: set[str]) -> list[str] | None:
    for category in objects(categories or [], "categories"):
        names = category.get("keypoints")
        if str(category.get("id")) in used and isinstance(names, list) and names:
            return [str(name) for name in names]
    return None


def _size(images: list[dict[str, Any]]) -> tuple[Any, Any] | None:
    sizes = [(image.get("width"), image.get("height")) for image in images]
    if any(size != sizes[0] for size in sizes):
        raise ValueError(f"expected images of one size, as those of a video are, got {sizes[0]} and others")
    return None if not sizes or None in sizes[0] else sizes[0]
