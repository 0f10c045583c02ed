"""Plain arrays: npz with `keypoints_px` and what belongs to it (docs/conventions.md), npy with the keypoints alone."""

import zipfile
import zlib
from dataclasses import fields

import numpy as np
from numpy import ndarray

from dreampose3d.data.unpickle import array_names
from dreampose3d.lifting.readers.raw import ZIP, KeypointFile, RawKeypoints

NAME = "npz with keypoints_px, npy"
_MEANINGFUL = {field.name for field in fields(RawKeypoints)} - {"normalised", "counted"}


def recognises(file: KeypointFile) -> bool:
    """Whether it is an npz, but for those that others know better, or an npy."""
    return file.magic.startswith((*ZIP, b"\x93NUMPY"))


def read(file: KeypointFile) -> RawKeypoints:
    """The arrays that have a meaning here; nothing is unpickled."""
    try:
        arrays = np.load(file.path, allow_pickle=False)
        if isinstance(arrays, ndarray):
            return RawKeypoints(arrays)
        with arrays:
            held = {name: arrays[name] for name in arrays if name in _MEANINGFUL}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        if "pickle" in str(error):
            raise ValueError(
                "it holds pickled objects, which could run code and are not read; save plain arrays"
            ) from None
        raise ValueError(f"the file is damaged or cut off ({error}); copy or write it again") from error
    if "keypoints_px" not in held:
        names = ", ".join(array_names(file.path)) or "nothing"
        raise ValueError(f"expected an array keypoints_px (N, K, 2) in pixels; the file holds {names}")
    for names in held.keys() & {"people", "joints"}:
        held[names] = held[names].astype(str).tolist()
    return RawKeypoints(**held)
