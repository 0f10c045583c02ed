"""2D keypoints of one person from files, checked, as a `PoseSequence`.

A format is a `KeypointFormat`: a function that knows its files by what they hold and one that reads them into
`RawKeypoints`. A new one is a new file and an entry in `FORMATS`. What holds for every format (units, missing joints,
what must be known) is checked here, once.
"""

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.camera import Camera
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17, SKELETONS, Skeleton, skeleton_named

MAX_CONFIDENCE = 6.0
"""Confidences above 1 count as 1: AlphaPose's, on COCO, reach 6. Beyond that they are another quantity."""
_NORMALISED = 1.5  # keypoints that all lie within +-this are not pixels


@dataclass(frozen=True)
class RawKeypoints:
    """What a file says, unchecked; None where it says nothing."""

    keypoints_px: Any
    """(N, K, 2), or (N, K, 3) with the confidence last."""
    confidence: Any = None
    """(N, K)"""
    fps: Any = None
    size: Any = None
    """(W, H), pixels."""
    skeleton: Any = None
    """A name in `SKELETONS`."""
    focal_px: Any = None
    """One number, or (fx, fy)."""
    center_px: Any = None
    """(cx, cy)"""
    time_s: Any = None
    """(N,)"""


@dataclass(frozen=True)
class KeypointFormat:
    """One kind of file."""

    name: str
    recognises: Callable[[Path], bool]
    """Whether a path (which exists, and may be a folder) holds this format, by its content."""
    read: Callable[[Path], RawKeypoints]


def is_keypoint_file(path: Path) -> bool:
    """Whether a path holds a keypoint format that `read_keypoints` knows (so is no video), by its content."""
    return path.exists() and any(known.recognises(path) for known in FORMATS)


def read_keypoints(
    path: Path,
    *,
    fps: float | None = None,
    size_px: tuple[int, int] | None = None,
    skeleton: Skeleton | str | None = None,
) -> PoseSequence:
    """Read and check one person's 2D keypoints.

    npz: `keypoints_px (N,K,2)` or `(N,K,3)` with confidence, `fps`, `size (W,H)`, `skeleton`, and optionally
    `confidence (N,K)`, `focal_px`, `center_px`, `time_s (N,)`. npy: the keypoints alone. Nothing is unpickled.

    A joint is missing where a coordinate is not finite, where its confidence is 0 or NaN, or, in a file without
    confidences, at exactly (0, 0). A confidence above 1 counts as 1 (see `MAX_CONFIDENCE`).

    Args:
        path: The file.
        fps: Frames per second; goes before what the file says, its times too.
        size_px: Width and height of the image; goes before what the file says.
        skeleton: Whose joints these are, or its name; goes before what the file says.

    Returns:
        The keypoints in the file's own skeleton, with NaN and confidence 0 where missing, and a camera: from the file's
        focal length, or with the default field of view and marked as assumed.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no keypoint file, is broken, contradicts itself, or does not say something that the
            arguments do not say either.
    """
    if not path.exists():
        raise FileNotFoundError(f"no such keypoint file: {path}")
    reader = next((known for known in FORMATS if known.recognises(path)), None)
    if reader is None:
        names = ", ".join(known.name for known in FORMATS)
        raise ValueError(f"{path} is not a keypoint file that is known ({names})")
    try:
        return _checked(path.stem, reader.read(path), fps, size_px, skeleton)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def to_h36m(sequence: PoseSequence) -> PoseSequence:
    """Convert 2D keypoints to Human3.6M's joints, by name.

    Returns:
        The same frames, times and camera in H36M_17. Its `skeleton.mapping_note` says what was done to the joints that
        the two conventions define differently.

    Raises:
        ValueError: If the sequence has no 2D keypoints or its skeleton no conversion.
    """
    if sequence.keypoints_px is None:
        raise ValueError(f"{sequence.name}: expected 2D keypoints to convert, got 3D joints only")
    keypoints, confidence = sequence.skeleton.to(H36M_17, sequence.keypoints_px, sequence.confidence)
    target = replace(H36M_17, mapping_note=sequence.skeleton.mapping_note)
    return replace(sequence, skeleton=target, joints_mm=None, keypoints_px=keypoints, confidence=confidence)


def _checked(
    name: str, raw: RawKeypoints, fps: float | None, size_px: tuple[int, int] | None, skeleton: Skeleton | str | None
) -> PoseSequence:
    keypoints, confidence = _split(raw)
    if isinstance(skeleton, str) or skeleton is None:
        skeleton = skeleton_named(str(_known(skeleton, raw.skeleton, "skeleton", "--skeleton NAME")))
    _require_joints(keypoints.shape[1], skeleton)
    rate = _number(_known(fps, raw.fps, "fps", "--fps F"), "fps")
    if rate <= 0:
        raise ValueError(f"expected a positive frame rate, got {rate:g}; give the true one with --fps F")
    camera = _camera(_size(_known(size_px, raw.size, "size", "--size WxH")), raw.focal_px, raw.center_px)
    keypoints, confidence = _mark_missing(keypoints, confidence)
    _require_pixels(keypoints, camera.size_px)
    times = None if raw.time_s is None or fps is not None else _times(raw.time_s, len(keypoints))
    return PoseSequence(name, rate, skeleton, None, keypoints, confidence, times, camera)


def _known(given: Any, in_file: Any, what: str, option: str) -> Any:
    """What the caller gave, else what the file says."""
    if given is None and in_file is None:
        raise ValueError(f"the file does not say its {what}; give it with {option}")
    return in_file if given is None else given


def _split(raw: RawKeypoints) -> tuple[Float[ndarray, "N K 2"], Float[ndarray, "N K"] | None]:
    """Keypoints and confidence, whichever of the two layouts they came in."""
    keypoints = _array(raw.keypoints_px, "keypoints_px")
    if keypoints.ndim == 4:
        raise ValueError(f"expected one person's keypoints (N, K, 2), got shape {keypoints.shape}: pick one person")
    if keypoints.ndim != 3 or keypoints.shape[2] not in (2, 3):
        raise ValueError(
            f"expected keypoints_px of shape (N, K, 2), or (N, K, 3) with confidence; got {keypoints.shape}"
        )
    if not len(keypoints):
        raise ValueError("expected keypoints of at least one frame, got 0 frames")
    inside, keypoints = keypoints[..., 2:], keypoints[..., :2]
    if raw.confidence is None:
        return keypoints, inside[..., 0] if inside.size else None
    if inside.size:
        raise ValueError(
            "keypoints_px holds a third column and there is an array confidence too; leave one of them out"
        )
    confidence = _array(raw.confidence, "confidence")
    if confidence.shape != keypoints.shape[:2]:
        raise ValueError(f"expected confidence of shape {keypoints.shape[:2]} (N, K), got {confidence.shape}")
    return keypoints, confidence


def _mark_missing(
    keypoints: Float[ndarray, "N K 2"], confidence: Float[ndarray, "N K"] | None
) -> tuple[Float[ndarray, "N K 2"], Float[ndarray, "N K"]]:
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


def _require_pixels(keypoints: Float[ndarray, "N K 2"], size_px: tuple[int, int]) -> None:
    if max(size_px) > 2 * _NORMALISED and np.nanmax(np.abs(keypoints)) <= _NORMALISED:
        raise ValueError(
            f"expected keypoints in pixels of a {size_px[0]}x{size_px[1]} image, got values from "
            f"{np.nanmin(keypoints):.3g} to {np.nanmax(keypoints):.3g}, which look normalised; "
            "if they run from 0 to 1, multiply x by the width and y by the height"
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
    return array.astype(dtype)


def _begins_with(*magic: bytes) -> Callable[[Path], bool]:
    def recognises(path: Path) -> bool:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(8).startswith(magic)

    return recognises


def _read_npz(path: Path) -> RawKeypoints:
    held = _load(path)
    if "keypoints_px" not in held:
        names = ", ".join(name.removesuffix(".npy") for name in zipfile.ZipFile(path).namelist())
        raise ValueError(f"expected an array keypoints_px (N, K, 2) in pixels; the file holds {names or 'nothing'}")
    return RawKeypoints(**held)


def _read_npy(path: Path) -> RawKeypoints:
    return RawKeypoints(**_load(path))


def _load(path: Path) -> dict[str, ndarray]:
    """The arrays of an npz that have a meaning here; the one of an npy is its keypoints."""
    known = [field.name for field in fields(RawKeypoints)]
    try:
        arrays = np.load(path, allow_pickle=False)
        if isinstance(arrays, ndarray):
            return {"keypoints_px": arrays}
        with arrays:
            return {name: arrays[name] for name in arrays if name in known}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        if "pickle" in str(error):
            raise ValueError(
                "it holds pickled objects, which could run code and are not read; save plain arrays"
            ) from None
        raise ValueError(f"the file is damaged or cut off ({error}); copy or write it again") from error


FORMATS: tuple[KeypointFormat, ...] = (
    KeypointFormat("npz with keypoints_px", _begins_with(b"PK\x03\x04", b"PK\x05\x06"), _read_npz),
    KeypointFormat("npy", _begins_with(b"\x93NUMPY"), _read_npy),
)
