"""What the readers of the benchmarks check alike: dictionaries, arrays, and that a person has a person's size.

A reader refuses what cannot be meant (another shape, another unit). `data check` tells what may be meant but looks odd.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.skeleton import Skeleton

_LEG_MM = (450.0, 1400.0)
"""Hip to ankle over the knee: children to giants."""
_NORMALISED = 1.5  # keypoints that all lie within +-this are not pixels


def require_split(split: str | None, splits: Iterable[str]) -> None:
    """One of a data set's splits, or None for all.

    Raises:
        ValueError: If it has no such split, with those that it has.
    """
    if split is not None and split not in splits:
        raise ValueError(f"expected the split {', '.join(splits)}, got {split!r}")


def require_mapping(where: str, value: Any, keys: str) -> Mapping[str, Any]:
    """A dictionary that is not empty.

    Args:
        where: What the error begins with.
        value: What was found.
        keys: What the dictionary should map, in words.

    Raises:
        ValueError: If it is something else, or its keys are no strings.
    """
    if not isinstance(value, dict) or not value or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{where}: expected a dictionary of {keys}, got {_told(value)}")
    return value


def require_entry(where: str, mapping: Mapping[str, Any], key: str) -> Any:
    """One entry of a dictionary.

    Raises:
        ValueError: If it is missing, with those that are there.
    """
    if key not in mapping:
        raise ValueError(f"{where}: expected an entry {key!r}; it has {', '.join(mapping)}")
    return mapping[key]


def require_frames(where: str, value: Any, joints: int, *channels: int) -> Float[ndarray, "N J C"]:
    """Numbers of shape (frames, joints, channels), at least one frame, whatever their float type.

    Args:
        where: What the error begins with.
        value: What was found.
        joints: How many joints there should be.
        channels: How many coordinates there may be.

    Raises:
        ValueError: If it is no such array; for reversed axes and other joint counts with the cure.
    """
    wanted = " or ".join(f"(frames, {joints}, {c})" for c in channels)
    if not isinstance(value, ndarray) or value.dtype.kind != "f":
        raise ValueError(f"{where}: expected numbers of shape {wanted}, got {_told(value)}")
    shape = value.shape
    if value.ndim != 3 or shape[1] != joints or shape[2] not in channels or not shape[0]:
        raise ValueError(f"{where}: expected shape {wanted}, got {shape}{_cure(shape, joints, channels)}")
    return value


def _cure(shape: tuple[int, ...], joints: int, channels: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[0] == 0:
        return ": there are no frames"
    if sorted(shape[-2:]) == sorted((joints, channels[0])) or (joints in shape and channels[0] in shape):
        return ": the axes are in another order, transpose them"
    if len(shape) == 3 and shape[2] in channels:
        return f": {shape[1]} joints instead of {joints}, so another skeleton"
    return ""


def require_finite(where: str, joints: Float[ndarray, "N J 3"]) -> None:
    """No NaN, no infinity.

    Raises:
        ValueError: With the first frame that holds one.
    """
    broken = ~np.isfinite(joints).all((1, 2))
    if broken.any():
        raise ValueError(
            f"{where}: expected finite 3D joints, frame {int(broken.argmax())} holds NaN or infinity "
            f"({int(broken.sum())} of {len(broken)} frames do); leave these frames out"
        )


def require_person(where: str, joints_mm: Float[ndarray, "N J 3"], skeleton: Skeleton) -> None:
    """Joints of a person, mm, with the path of the root in them.

    Raises:
        ValueError: If legs have another length than people's (so the unit is another), or the root never leaves zero.
    """
    leg = _leg_mm(joints_mm, skeleton)
    if not _LEG_MM[0] < leg < _LEG_MM[1]:
        cure = f"; the unit is another one: multiply by {10.0 ** round(np.log10(900 / leg)):g}" if leg > 0 else ""
        raise ValueError(f"{where}: expected legs of {_LEG_MM[0]:g} to {_LEG_MM[1]:g} mm, got {leg:.3g} mm{cure}")
    if not joints_mm[:, skeleton.root].any():
        raise ValueError(
            f"{where}: expected positions with the path of the {skeleton.joints[skeleton.root]}, but it is always at "
            "zero: the joints were made root-relative; take the file before that step"
        )


def require_pixels(where: str, keypoints_px: Float[ndarray, "N J 2"]) -> None:
    """Keypoints in pixels, not normalised.

    Raises:
        ValueError: If all lie within +-1.5, or none is a number.
    """
    if not np.isfinite(keypoints_px).any():
        raise ValueError(f"{where}: expected 2D joints in pixels, none is a finite number")
    largest = float(np.nanmax(np.abs(keypoints_px)))
    if largest <= _NORMALISED:
        raise ValueError(
            f"{where}: expected 2D joints in pixels, got values within +-{largest:.3g}, which look normalised to the "
            "screen; take the file before that step"
        )


def _leg_mm(joints_mm: Float[ndarray, "N J 3"], skeleton: Skeleton) -> float:
    """Hip to ankle over the knee, the median frame and the mean of both sides."""
    sides = [skeleton.indices(*(f"{side}_{joint}" for joint in ("hip", "knee", "ankle"))) for side in ("left", "right")]
    bones = np.linalg.norm(np.diff(joints_mm[:, sides], axis=2), axis=-1)  # N sides bones
    return float(np.median(bones.sum(-1).mean(-1)))


def _told(value: Any) -> str:
    if isinstance(value, ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    if isinstance(value, dict) and value:
        return "a dict whose keys are no names"
    return f"an empty {type(value).__name__}" if value in ({}, [], ()) else f"a {type(value).__name__}"
