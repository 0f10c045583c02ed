"""SLEAP's analysis HDF5 ("Export Analysis HDF5"), by SLEAP and by sleap-io."""

import json
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.lifting.readers.hdf5 import holds, opened, texts
from dreampose3d.lifting.readers.raw import KeypointFile, RawKeypoints

NAME = "SLEAP analysis HDF5"
_AXES = ("frame", "track", "node", "xy")
_AS_SLEAP_WRITES = {"tracks": ("track", "xy", "node", "frame"), "point_scores": ("track", "node", "frame")}


def recognises(file: KeypointFile) -> bool:
    """Whether it is HDF5 with `tracks` and `node_names`."""
    return holds(file, "tracks", "node_names")


def read(file: KeypointFile) -> RawKeypoints:
    """The tracks, each a person; without any track, one person."""
    with opened(file) as data:
        tracks = _ordered(data, "tracks")
        scores = _ordered(data, "point_scores") if "point_scores" in data else None
        nodes = texts(data["node_names"])
        people = texts(data["track_names"]) if "track_names" in data else []
    if tracks.shape[2:] != (len(nodes), 2):
        raise ValueError(f"expected tracks of {len(nodes)} nodes with x and y, got axes {_AXES} of {tracks.shape}")
    if scores is not None and scores.shape != tracks.shape[:3]:
        raise ValueError(f"expected point_scores for tracks of shape {tracks.shape}, got {scores.shape}")
    people = people or ["0"]
    if len(people) != tracks.shape[1]:
        raise ValueError(f"expected {len(people)} tracks ({', '.join(people)}), got {tracks.shape[1]}")
    scores = None if scores is None else np.nan_to_num(scores, nan=1.0)  # NaN: set by hand
    return RawKeypoints(tracks, scores, people=people, joints=nodes)


def _ordered(data: Any, name: str) -> Float[ndarray, "..."]:
    """An array with its axes in our order: sleap-io names them, SLEAP always writes the same."""
    array, told = np.asarray(data[name], np.float64), data[name].attrs.get("dims")
    axes = tuple(json.loads(told)) if told else _AS_SLEAP_WRITES[name]
    wanted = [axis for axis in _AXES if axis in _AS_SLEAP_WRITES[name]]
    if sorted(axes) != sorted(wanted) or array.ndim != len(axes):
        raise ValueError(f"expected {name} with the axes {', '.join(wanted)}, got shape {array.shape}, axes {axes}")
    return array.transpose([axes.index(axis) for axis in wanted])
