"""Poses in netCDF, as the package `movement` keeps them; `data/movement.py` reads whole data sets of the same."""

from typing import Any

import numpy as np

from dreampose3d.data.movement import load
from dreampose3d.lifting.readers.hdf5 import holds
from dreampose3d.lifting.readers.raw import KeypointFile, RawKeypoints

NAME = "movement netCDF"


def recognises(file: KeypointFile) -> bool:
    """Whether it is netCDF (4, which is HDF5, or 3) with `position` and `space`."""
    return file.magic.startswith(b"CDF") or holds(file, "position", "space")


def read(file: KeypointFile) -> RawKeypoints:
    """The individuals' 2D; times, rate and names are in the file."""
    try:
        poses = load(file.path)
    except ImportError as error:
        raise ValueError(str(error)) from None
    if poses.sizes["space"] != 2:
        raise ValueError("expected 2D positions (space x, y), got 3D, which need no lifting")
    axes = ("time", "individual", "keypoint", "space")
    certain = poses["confidence"].transpose(*axes[:3]).values if "confidence" in poses else None
    return RawKeypoints(
        poses["position"].transpose(*axes).values,
        None if certain is None else np.nan_to_num(certain, nan=1.0),  # NaN: not told
        fps=_rate(poses),
        time_s=poses["time"].values if poses.attrs.get("time_unit") == "seconds" else None,
        people=[str(name) for name in poses["individual"].values],
        joints=[str(name) for name in poses["keypoint"].values],
    )


def _rate(poses: Any) -> Any:
    """Frames per second; movement writes none, or the text None, where it was not told."""
    fps = poses.attrs.get("fps")
    return None if fps in (None, "None", "") else fps
