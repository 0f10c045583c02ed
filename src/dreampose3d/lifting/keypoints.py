"""2D keypoints of people from files, checked, as `PoseSequence`s.

What a file says is the business of its format (`readers/`); a new one is a module there and an entry in `FORMATS`. What
holds for every format (units, missing joints, who is who, what must be known) is settled here, once.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from dreampose3d.camera import Camera
from dreampose3d.lifting.people import Sightings, identities, motions
from dreampose3d.lifting.readers import FORMATS
from dreampose3d.lifting.readers.names import fit_skeleton, names_in_order
from dreampose3d.lifting.readers.raw import KeypointFile, RawKeypoints
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import SKELETONS, Skeleton, skeleton_named

MAX_CONFIDENCE = 6.0
"""Confidences above 1 count as 1: AlphaPose's, on COCO, reach 6. Beyond that they are another quantity."""
_NORMALISED = 1.5  # keypoints that all lie within +-this are not pixels
_SPARSE = 10  # frame numbers that jump further than this on average count something else


def read_everyone(
    path: Path,
    *,
    fps: float | None = None,
    size_px: tuple[int, int] | None = None,
    skeleton: Skeleton | str | None = None,
) -> list[PoseSequence]:
    """Read and check the 2D keypoints of everyone in a file: any of `FORMATS` (docs/files-in.md), told by content.

    People whom the file tells apart stay who they are; others are followed (`people.identities`), unless no frame shows
    two. A joint is missing where a coordinate is not finite, where its confidence is 0 or NaN, or, in a file without
    confidences, at exactly (0, 0). A confidence above 1 counts as 1 (see `MAX_CONFIDENCE`).

    Args:
        path: The file, or the folder of OpenPose's or MMPose's files.
        fps: Frames per second; goes before what the file says, its times too.
        size_px: Width and height of the image; goes before what the file says.
        skeleton: Whose joints these are, or its name; goes before what the file says.

    Returns:
        One sequence a person, from the first frame that shows them to the last, the most prominent first. The skeleton
        is the file's own; missing joints are NaN with confidence 0; `subject` is what the file calls the person. The
        camera is the file's, or has the default field of view and is marked as assumed.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no keypoint file, is broken, contradicts itself, or does not say something that the
            arguments do not say either.
    """
    return motions(*_identified(path, fps, size_px, skeleton))


def read_keypoints(
    path: Path,
    *,
    fps: float | None = None,
    size_px: tuple[int, int] | None = None,
    skeleton: Skeleton | str | None = None,
) -> PoseSequence:
    """Read and check the keypoints of the one person in a file, in all its frames.

    Arguments and errors are those of `read_everyone`; more than one person is an error too.
    """
    seen, person, names = _identified(path, fps, size_px, skeleton)
    count = len(np.unique(person[person >= 0]))
    if count != 1:
        raise ValueError(f"{path}: expected one person, got {count}; choose with --person N, largest or all")
    return motions(seen, person, names, whole=True)[0]


def _identified(
    path: Path, fps: float | None, size_px: tuple[int, int] | None, skeleton: Skeleton | str | None
) -> tuple[Sightings, Int[ndarray, "N P"], Sequence[str]]:
    """Everyone in the file, who they are, and what the file calls them."""
    if not path.exists():
        raise FileNotFoundError(f"no such keypoint file: {path}")
    file = KeypointFile(path)
    try:
        reader = next((known for known in FORMATS if known.recognises(file)), None)
        if reader is None:
            known = ", ".join(known.NAME for known in FORMATS)
            raise ValueError(f"not a keypoint file that is known ({known}); docs/files-in.md says what each looks like")
        raw = reader.read(file)
        seen = _checked(path.stem, raw, fps, size_px, skeleton)
    except ValueError as error:
        told = str(error)
        raise ValueError(told if told.startswith(str(path)) else f"{path}: {told}") from error
    frames, places = seen.confidence.shape[:2]
    if raw.people is None and places > 1:
        return seen, identities(seen), ()
    return seen, np.tile(np.arange(places), (frames, 1)), raw.people or ()


def _checked(
    name: str, raw: RawKeypoints, fps: float | None, size_px: tuple[int, int] | None, skeleton: Skeleton | str | None
) -> Sightings:
    keypoints, confidence = _split(raw)
    skeleton, keypoints, confidence = _ordered(raw, keypoints, confidence, skeleton)
    rate = _number(_known(fps, _rate(raw), "fps", "--fps F"), "fps")
    if rate <= 0:
        raise ValueError(f"expected a positive frame rate, got {rate:g}; give the true one with --fps F")
    camera = _camera(_size(_known(size_px, raw.size, "size", "--size WxH")), raw.focal_px, raw.center_px)
    if raw.normalised:
        keypoints = keypoints * np.array(camera.size_px, np.float32)
    keypoints, confidence = _mark_missing(keypoints, confidence)
    _require_pixels(keypoints, camera.size_px)
    times = None if raw.time_s is None or fps is not None else _times(raw.time_s, len(keypoints))
    rows = _rows(raw.frames, len(keypoints))
    if times is not None:
        times = np.interp(np.arange(len(rows)), np.flatnonzero(rows >= 0), times)
    keypoints = np.where((rows >= 0)[:, None, None, None], keypoints[rows], np.float32(np.nan))
    confidence = np.where((rows >= 0)[:, None, None], confidence[rows], np.float32(0))
    return Sightings(name, rate, skeleton, keypoints, confidence, times, camera)


def _rows(numbers: Any, count: int) -> Int[ndarray, " N"]:
    """For each frame from the first to the last number, which of `count` rows it is; -1 where the numbers skip it."""
    if numbers is None:
        return np.arange(count)
    frames = _array(numbers, "frames", np.float64).astype(np.int64)
    if frames.shape != (count,) or (np.diff(frames) <= 0).any():
        raise ValueError(f"expected {count} increasing frame numbers, got shape {frames.shape}")
    length = int(frames[-1] - frames[0]) + 1
    if length > _SPARSE * count:
        raise ValueError(f"expected frame numbers, got {count} numbers from {frames[0]} to {frames[-1]}: rename them")
    rows = np.full(length, -1)
    rows[frames - frames[0]] = np.arange(count)
    return rows


def _rate(raw: RawKeypoints) -> Any:
    """The file's rate, else that of its times."""
    if raw.fps is not None or raw.time_s is None or np.size(raw.time_s) < 2:
        return raw.fps
    times = _array(raw.time_s, "time_s", np.float64)
    return (len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else None


def _known(given: Any, in_file: Any, what: str, option: str) -> Any:
    """What the caller gave, else what the file says."""
    if given is None and in_file is None:
        raise ValueError(f"the file does not say its {what}; give it with {option}")
    return in_file if given is None else given


def _split(raw: RawKeypoints) -> tuple[Float[ndarray, "N P K 2"], Float[ndarray, "N P K"] | None]:
    """Everyone's keypoints and confidence, whichever of the layouts they came in."""
    keypoints = _array(raw.keypoints_px, "keypoints_px")
    if keypoints.ndim not in (3, 4) or keypoints.shape[-1] not in (2, 3):
        raise ValueError(
            "expected keypoints_px of shape (N, K, 2), or (N, P, K, 2) for P people, with confidence as a third column "
            f"or without; got {keypoints.shape}"
        )
    if not len(keypoints):
        raise ValueError("expected keypoints of at least one frame, got 0 frames")
    alone = keypoints.ndim == 3
    confidence = None if raw.confidence is None else _array(raw.confidence, "confidence")
    if confidence is not None and confidence.shape != keypoints.shape[:-1]:
        axes = "(N, K)" if alone else "(N, P, K)"
        raise ValueError(f"expected confidence of shape {keypoints.shape[:-1]} {axes}, got {confidence.shape}")
    if keypoints.shape[-1] == 3:
        if confidence is not None:
            raise ValueError(
                "keypoints_px holds a third column and there is an array confidence too; leave one of them out"
            )
        keypoints, confidence = keypoints[..., :2], keypoints[..., 2]
    if alone:
        return keypoints[:, None], None if confidence is None else confidence[:, None]
    return keypoints, confidence


def _ordered(
    raw: RawKeypoints,
    keypoints: Float[ndarray, "N P K 2"],
    confidence: Float[ndarray, "N P K"] | None,
    skeleton: Skeleton | str | None,
) -> tuple[Skeleton, Float[ndarray, "N P J 2"], Float[ndarray, "N P J"] | None]:
    """The keypoints in the order of a skeleton: the one given, the one that the file says or that its joints tell."""
    given = skeleton_named(skeleton) if isinstance(skeleton, str) else skeleton
    count = keypoints.shape[2]
    if raw.joints is not None and len(raw.joints) != count:
        raise ValueError(f"expected a name for each of {count} joints, got {len(raw.joints)}")
    if raw.joints is None and (not raw.counted or (given is not None and given.num_joints == count)):
        named = given or skeleton_named(str(_known(None, raw.skeleton, "skeleton", "--skeleton NAME")))
        _require_joints(count, named)
        return named, keypoints, confidence
    fitting, places = fit_skeleton(raw.joints or names_in_order(count), given)
    chosen, there = [place or 0 for place in places], np.array([place is not None for place in places])
    keypoints = np.where(there[:, None], keypoints[:, :, chosen], np.float32(np.nan))
    return fitting, keypoints, None if confidence is None else confidence[:, :, chosen]


def _mark_missing(
    keypoints: Float[ndarray, "N P K 2"], confidence: Float[ndarray, "N P K"] | None
) -> tuple[Float[ndarray, "N P K 2"], Float[ndarray, "N P K"]]:
    """NaN and confidence 0 for every joint that is missing; confidence in [0, 1]."""
    if confidence is None:
        confidence = (keypoints != 0).any(-1).astype(np.float32)
    confidence = np.nan_to_num(confidence, nan=0.0)
    low, high = float(confidence.min()), float(confidence.max())
    if low < 0 or high > MAX_CONFIDENCE:
        raise ValueError(
            f"expected confidences from 0 to 1 (up to {MAX_CONFIDENCE:g} as AlphaPose writes them), "
            f"got {low:g} to {high:g}; scale them"
        )
    found = (confidence > 0) & np.isfinite(keypoints).all(-1)
    if not found.any():
        raise ValueError("no joint was found in any frame (NaN, or confidence 0, everywhere)")
    return np.where(found[..., None], keypoints, np.float32(np.nan)), np.where(
        found, confidence.clip(0, 1), np.float32(0)
    )


def _require_joints(count: int, skeleton: Skeleton) -> None:
    if count == skeleton.num_joints:
        return
    fitting = [name for name, known in SKELETONS.items() if known.num_joints == count]
    hint = (
        f"skeletons with {count} joints are {', '.join(fitting)}"
        if fitting
        else ("known are " + ", ".join(f"{name} ({known.num_joints})" for name, known in SKELETONS.items()))
    )
    raise ValueError(
        f"expected keypoints of {skeleton.num_joints} joints ({skeleton.name}), got {count}; {hint}: "
        "name the right one with --skeleton"
    )


def _require_pixels(keypoints: Float[ndarray, "N P K 2"], size_px: tuple[int, int]) -> None:
    if max(size_px) > 2 * _NORMALISED and np.nanmax(np.abs(keypoints)) <= _NORMALISED:
        raise ValueError(
            f"expected keypoints in pixels of a {size_px[0]}x{size_px[1]} image, got values from "
            f"{np.nanmin(keypoints):.3g} to {np.nanmax(keypoints):.3g}, which look normalised; "
            "if they run from 0 to 1, multiply x by the width and y by the height (OpenPose: --keypoint_scale 0)"
        )


def _camera(size_px: tuple[int, int], focal_px: Any, center_px: Any) -> Camera:
    center = None
    if center_px is not None:
        center = _array(center_px, "center_px")
        if center.shape != (2,):
            raise ValueError(f"expected center_px as two numbers, got {center_px!r}")
    if focal_px is None:
        camera = replace(Camera.from_fov(size_px), assumed=True)
    else:
        focal = _array(focal_px, "focal_px").ravel()
        if focal.size not in (1, 2):
            raise ValueError(f"expected focal_px as one number or (fx, fy), got {focal_px!r}")
        camera = replace(Camera.from_fov(size_px), focal_px=(float(focal[0]), float(focal[-1])))
    return camera if center is None else replace(camera, center_px=(float(center[0]), float(center[1])))


def _size(value: Any) -> tuple[int, int]:
    size = _array(value, "size")
    if size.shape != (2,) or not np.isfinite(size).all() or (size != size.round()).any():
        raise ValueError(f"expected size as two whole numbers (width, height), got {value!r}")
    return int(size[0]), int(size[1])


def _times(value: Any, frames: int) -> Float[ndarray, " N"]:
    times = _array(value, "time_s", np.float64)
    if times.shape != (frames,) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ValueError(
            f"expected time_s as {frames} increasing times in seconds, one a frame; got shape {times.shape}"
        )
    return times


def _number(value: Any, what: str) -> float:
    array = _array(value, what, np.float64)
    if array.size != 1 or not np.isfinite(array).all():
        raise ValueError(f"expected {what} as one number, got {value!r}")
    return float(array.reshape(()))


def _array(value: Any, what: str, dtype: type[np.floating[Any]] = np.float32) -> Float[ndarray, "..."]:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"expected {what} as numbers, got {array.dtype.name}")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which is missing
        return array.astype(dtype)
