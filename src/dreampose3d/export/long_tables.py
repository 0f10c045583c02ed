"""Long tables, one row a frame and joint: CSV, JSON and Parquet for pandas, polars, R, Excel and DuckDB.

Millimetres and seconds, in the motion's own frame (column `axes`: `camera` is x right, y down, z forward; `world` is z
up). Numbers are rounded to 0.001 mm and 1 microsecond. JSON is a Table Schema (`pandas.read_json(orient="table")`) with
`meta` beside it; Parquet has the same as the schema's metadata `dreampose3d`.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from dreampose3d.export.motion import Motion
from dreampose3d.files import atomic_write

_DECIMALS = {"time_s": 6, "confidence": 4}
_KINDS = {"i": "integer", "f": "number", "U": "string"}


def columns(motion: Motion) -> dict[str, ndarray]:
    """The columns of the table: N J rows, frame by frame."""
    joints, frames = motion.skeleton.num_joints, len(motion)
    table: dict[str, ndarray] = {
        "name": np.full(frames * joints, motion.name),
        "frame": np.repeat(np.arange(frames), joints),
        "time_s": np.repeat(motion.time_s, joints),
        "fps": np.full(frames * joints, float(motion.fps)),
        "axes": np.full(frames * joints, motion.frame),
        "joint": np.tile(motion.skeleton.joints, frames),
    }
    table |= dict(zip(("x_mm", "y_mm", "z_mm"), motion.joints_mm.astype(np.float64).reshape(-1, 3).T, strict=True))
    for label, values in (("spread_mm", motion.spread_mm), ("confidence", motion.confidence)):
        if values is not None:
            table[label] = values.astype(np.float64).ravel()
    return {
        label: values if label == "fps" or values.dtype.kind != "f" else np.round(values, _DECIMALS.get(label, 3)) + 0.0
        for label, values in table.items()
    }


def write_csv(motion: Motion, path: Path | str) -> None:
    """Write a CSV file with a header line.

    Raises:
        OSError: If it cannot be written.
    """
    table = columns(motion)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(table)
        rows.writerows(zip(*(values.tolist() for values in table.values()), strict=True))


def write_json_table(motion: Motion, path: Path | str) -> None:
    """Write a JSON table, one row a line.

    Raises:
        OSError: If it cannot be written.
    """
    table = columns(motion)
    fields = [{"name": label, "type": _KINDS[values.dtype.kind]} for label, values in table.items()]
    head = json.dumps({"meta": _meta(motion), "schema": {"fields": fields, "pandas_version": "1.4.0"}}, indent=1)
    rows = zip(*(values.tolist() for values in table.values()), strict=True)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(head.removesuffix("\n}") + ',\n "data": [')
        for index, row in enumerate(rows):
            file.write((",\n" if index else "\n") + json.dumps(dict(zip(table, row, strict=True)), allow_nan=False))
        file.write("\n]}\n")


def write_parquet(motion: Motion, path: Path | str) -> None:
    """Write a Parquet file.

    Raises:
        ImportError: If pyarrow is missing.
        OSError: If it cannot be written.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ImportError('writing Parquet needs an extra: pip install "dreampose3d[export]"') from None
    table = pyarrow.table(columns(motion)).replace_schema_metadata({"dreampose3d": json.dumps(_meta(motion))})
    with atomic_write(path) as temporary:
        parquet.write_table(table, temporary, compression="zstd")


def _meta(motion: Motion) -> dict[str, Any]:
    return motion.described() | {"units": {"time_s": "s", "fps": "frames/s", "x_mm, y_mm, z_mm, spread_mm": "mm"}}
