"""netCDF in the layout of `movement`: labelled arrays that `xarray.open_dataset` reads.

`position` (time, space, keypoint, individual), mm, in the motion's own frame, and `confidence`. `movement` called the
dimensions keypoints and individuals before its version 0.17: the format `netcdf-plural`. The file is netCDF 3 with
64-bit offsets, which needs no library beside SciPy.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from scipy.io import netcdf_file

from dreampose3d.export.motion import Motion
from dreampose3d.files import atomic_write

Names = Literal["singular", "plural"]
_DIMENSIONS: dict[Names, tuple[str, str]] = {
    "singular": ("keypoint", "individual"),
    "plural": ("keypoints", "individuals"),
}


def write_netcdf(motion: Motion, path: Path | str, dimensions: Names = "singular") -> None:
    """Write a netCDF file.

    Args:
        motion: What moves.
        path: The file.
        dimensions: `singular` for movement 0.17 and later, `plural` for those before.

    Raises:
        OSError: If it cannot be written.
    """
    keypoint, individual = _DIMENSIONS[dimensions]
    certain = np.full(motion.joints_mm.shape[:2], np.nan) if motion.confidence is None else motion.confidence
    with atomic_write(path) as temporary, netcdf_file(temporary, "w", version=2) as file:
        described = motion.described()
        for name in ("generator", "name", "num_frames", "skeleton", "source_frame"):
            setattr(file, name, described[name])
        file.ds_type, file.source_software, file.source_file = "poses", "dreampose3d", motion.name
        file.fps, file.time_unit = float(motion.fps), "seconds"
        file.createDimension("time", len(motion))
        file.createVariable("time", "d", ("time",))[:] = motion.time_s
        _write_labels(file, "space", ("x", "y", "z"))
        _write_labels(file, keypoint, motion.skeleton.joints)
        _write_labels(file, individual, ("person00",))
        position = file.createVariable("position", "d", ("time", "space", keypoint, individual))
        position[:] = motion.joints_mm.transpose(0, 2, 1)[..., None]
        position.units = "mm"
        file.createVariable("confidence", "d", ("time", keypoint, individual))[:] = certain[..., None]


def _write_labels(file: netcdf_file, dimension: str, labels: tuple[str, ...]) -> None:
    """A coordinate of text: characters, as netCDF 3 has no strings."""
    longest = max(map(len, labels))
    file.createDimension(dimension, len(labels))
    file.createDimension(f"{dimension}_letters", longest)
    variable = file.createVariable(dimension, "c", (dimension, f"{dimension}_letters"))
    variable[:] = np.array([list(label.ljust(longest, "\0")) for label in labels], "S1")
    variable._Encoding = "utf-8"
