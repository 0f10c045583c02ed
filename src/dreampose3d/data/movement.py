"""Poses in netCDF, as the package `movement` keeps them: a whole source in one file (docs/custom-data.md).

`position` has the dimensions time, space, keypoint, individual (keypoints, individuals before movement 0.17), and
`confidence` the same without space, in any order. 2D is pixels; 3D, which has no unit there, must say one in
`position.attrs["units"]`. 3D is in the world, z up, unless `source_frame` begins with "camera", as in our own exports.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import SKELETONS, Skeleton

_UNITS_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
_CAMERA_TO_Z_UP = np.array(((1, 0, 0), (0, 0, 1), (0, -1, 0)))
_AXES = ("individual", "time", "keypoint", "space")


def recognises(path: Path) -> bool:
    """Whether a path is a netCDF file (of version 3 or 4), or a folder with some."""
    with suppress(OSError):
        for file in _files(path):
            with file.open("rb") as opened:
                if opened.read(4).startswith((b"CDF", b"\x89HDF")):
                    return True
    return False


def read(path: Path, split: str | None = None, keypoints: str = "gt") -> Iterator[PoseSequence]:
    """Yield a sequence per individual, "FILE/INDIVIDUAL", in 2D or 3D as the file is.

    Args:
        path: A file, or a folder of them.
        split: A folder inside `path` that holds the files of this split; the files of `path` itself if None.
        keypoints: `gt`, since a file has one kind of 2D at most.

    Raises:
        ImportError: If xarray is missing.
        FileNotFoundError: If there is no file.
        ValueError: If there is no such 2D; if a file is damaged, or leaves open what its joints, unit or rate are.
    """
    if keypoints != "gt":
        raise ValueError(f"movement's files hold one kind of 2D: expected gt, got {keypoints!r}")
    folder = path if split is None else path / split
    if not _files(folder):
        raise FileNotFoundError(f"{folder} has no netCDF file (.nc)")
    for file in _files(folder):
        poses = load(file)
        skeleton, order = _skeleton(file, poses)
        position = poses["position"].transpose(*_AXES).values[:, :, order]
        certain = poses["confidence"].transpose(*_AXES[:3]).values[:, :, order] if "confidence" in poses else None
        for number, individual in enumerate(poses["individual"].values):
            name, fps, points = f"{file.stem}/{individual}", _fps(file, poses), position[number]
            if points.shape[-1] == 3:
                yield PoseSequence(name, fps, skeleton, joints_mm=_world_mm(file, poses, points))
            else:
                seen = None if certain is None else np.nan_to_num(certain[number], nan=1.0)  # NaN: not told
                yield PoseSequence(name, fps, skeleton, keypoints_px=points, confidence=seen)


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.nc")) if path.is_dir() else [path] if path.suffix == ".nc" else []


def load(file: Path) -> Any:
    """The file as an `xarray.Dataset`, with the dimensions' present names.

    Raises:
        ImportError: If xarray is missing.
        ValueError: If it is no such file, or damaged.
    """
    try:
        import xarray
    except ImportError:
        raise ImportError('reading netCDF needs an extra: pip install "dreampose3d[datasets]"') from None
    try:
        poses = xarray.load_dataset(file)
    except Exception as error:  # each of xarray's engines has its own
        raise ValueError(f"{file} is not a netCDF file or is cut off ({error}); export it again") from error
    poses = poses.rename({name: name[:-1] for name in ("keypoints", "individuals") if name in poses.dims})
    axes = [str(axis) for axis in poses["space"].values] if "space" in poses.coords else []
    if (
        "position" not in poses
        or {*poses["position"].dims} != {*_AXES}
        or not poses.sizes["time"]
        or axes not in ([*"xy"], [*"xyz"])
    ):
        held = ", ".join(f"{name} over {' '.join(map(str, array.dims))}" for name, array in poses.items())
        raise ValueError(
            f"{file}: expected an array position over time, space (x, y or x, y, z), keypoint and individual; got "
            f"{held or 'no array'}{f', space {axes}' if axes else ''}, {poses.sizes.get('time', 0)} frames"
        )
    return poses


def _skeleton(file: Path, poses: Any) -> tuple[Skeleton, list[int]]:
    """The largest known skeleton whose joints are all there by name, and their places."""
    names = [str(name).lower().replace(" ", "_").replace("-", "_") for name in poses["keypoint"].values]
    whole = [skeleton for skeleton in SKELETONS.values() if {*skeleton.joints} <= {*names}]
    if not whole:
        raise ValueError(
            f"{file}: expected all joints of {', '.join(SKELETONS)}, got {', '.join(names)}; rename the keypoints"
        )
    skeleton = max(whole, key=lambda each: each.num_joints)
    return skeleton, [names.index(joint) for joint in skeleton.joints]


def _fps(file: Path, poses: Any) -> float:
    try:
        return float(poses.attrs.get("fps", "nothing"))
    except ValueError:
        told = poses.attrs.get("fps", "nothing")
        raise ValueError(f"{file}: expected frames per second in the attribute fps, got {told}; add them") from None


def _world_mm(file: Path, poses: Any, points: Any) -> Any:
    unit = poses["position"].attrs.get("units")
    if unit not in _UNITS_MM:
        raise ValueError(f"{file}: expected position.attrs['units'] to be {', '.join(_UNITS_MM)}, got {unit!r}; add it")
    filmed = str(poses.attrs.get("source_frame", "")).startswith("camera")
    return points * _UNITS_MM[unit] @ (_CAMERA_TO_Z_UP.T if filmed else np.eye(3))
