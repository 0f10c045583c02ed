"""DeepLabCut's tables: columns scorer, (individuals,) bodyparts, coords; as CSV, or as HDF5 that pandas wrote.

The HDF5 comes in pandas' two layouts, `table` (DeepLabCut's own) and `fixed` (what `to_hdf` writes by default), and is
read without pandas. The names of a table's columns are a pickle there: one that asks for anything but lists, tuples and
strings is refused.
"""

import io
import pickle
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.lifting.readers.hdf5 import opened, texts
from dreampose3d.lifting.readers.raw import HDF5, KeypointFile, RawKeypoints, csv_rows

NAME = "DeepLabCut h5 or csv"
_LEVELS = ("scorer", "individuals", "bodyparts", "coords")


class _Table(NamedTuple):
    """What either kind of file holds."""

    levels: Sequence[str]
    columns: Sequence[tuple[str, ...]]
    """What each column is, level by level."""
    rows: Sequence[Any]
    """The frames' numbers."""
    values: Float[ndarray, "rows columns"]


def recognises(file: KeypointFile) -> bool:
    """Whether it is a CSV that begins with a row `scorer`, or HDF5 with a table that pandas wrote."""
    if file.magic == HDF5:
        with opened(file) as data:
            return _frame(data) is not None
    return file.text.startswith("scorer,")


def read(file: KeypointFile) -> RawKeypoints:
    """The body parts of every individual; a body part of an individual that has none of that name is missing."""
    table = _read_hdf5(file) if file.magic == HDF5 else _read_csv(file)
    if not {"bodyparts", "coords"} <= {*table.levels} <= {*_LEVELS}:
        raise ValueError(f"expected columns by {', '.join(_LEVELS)}, got {', '.join(table.levels)}")
    named = [dict(zip(table.levels, column, strict=True)) for column in table.columns]
    coords = {column["coords"] for column in named}
    if not {"x", "y"} <= coords or "z" in coords:
        raise ValueError(f"expected coords x, y, likelihood, got {', '.join(sorted(coords))}: 2D is read")
    people = list(dict.fromkeys(column.get("individuals", "0") for column in named))
    joints = list(dict.fromkeys(column["bodyparts"] for column in named))
    points = np.full((len(table.values), len(people), len(joints), 3), np.nan)
    for column, values in zip(named, table.values.T, strict=True):
        place = people.index(column.get("individuals", "0")), joints.index(column["bodyparts"])
        if column["coords"] in ("x", "y", "likelihood"):
            points[:, *place, ("x", "y", "likelihood").index(column["coords"])] = values
    confidence = np.nan_to_num(points[..., 2], nan=1.0) if "likelihood" in coords else None  # NaN: set by hand
    shown = [p for p in range(len(people)) if np.isfinite(points[:, p, :, :2]).any()]
    return RawKeypoints(
        points[:, shown, :, :2],
        None if confidence is None else confidence[:, shown],
        people=[people[p] for p in shown],
        joints=joints,
        frames=_numbers(table.rows),
    )


def _numbers(rows: Sequence[Any]) -> list[int]:
    try:
        return [int(row) for row in rows]
    except ValueError:
        raise ValueError(
            f"expected frame numbers in the first column, got {rows[0]!r}: these are labelled images, not a video's "
            "analysis"
        ) from None


def _read_csv(file: KeypointFile) -> _Table:
    rows = csv_rows(file.text)
    header = [row for row in rows[:4] if row[0] in _LEVELS]
    body = rows[len(header) :]
    if not body:
        raise ValueError("expected a row a frame below its header, got none; analyse the video again")
    if len({len(row) for row in rows}) > 1:
        raise ValueError("its rows differ in length: it is cut off or was edited; write it again")
    try:
        values = np.array([[float(cell or "nan") for cell in row[1:]] for row in body])
    except ValueError as error:
        raise ValueError(f"expected numbers below the header: {error}") from None
    columns = list(zip(*(row[1:] for row in header), strict=True))
    return _Table([row[0] for row in header], columns, [row[0] for row in body], values)


def _frame(data: Any) -> Any:
    """The first group in which pandas wrote a frame, None if there is none."""
    for group in data.values():
        if group.attrs.get("pandas_type") in (b"frame_table", b"frame"):
            return group
    return None


def _read_hdf5(file: KeypointFile) -> _Table:
    with opened(file) as data:
        group = _frame(data)
        return _fixed(group) if group.attrs["pandas_type"] == b"frame" else _table(group)


def _table(group: Any) -> _Table:
    ((_, columns),) = _plain_pickle(group.attrs["non_index_axes"])
    levels = _plain_pickle(group.attrs["info"])[1]["names"]
    records = group["table"][()]
    if "values_block_0" not in records.dtype.names or records["values_block_0"].shape[1:] != (len(columns),):
        raise ValueError("its columns differ in type; write the table again, or as csv")
    return _Table([str(level) for level in levels], columns, records["index"].tolist(), records["values_block_0"])


def _fixed(group: Any) -> _Table:
    levels, columns = [], []
    for number in range(int(group.attrs["block0_items_nlevels"])):
        level = group[f"block0_items_level{number}"]
        names, labels = texts(level), group[f"block0_items_label{number}"][()]
        levels.append(level.attrs["name"].decode())
        columns.append([names[label] for label in labels])
    if "block1_values" in group:
        raise ValueError("its columns differ in type; write the table again, or as csv")
    return _Table(levels, list(zip(*columns, strict=True)), group["axis1"][()].tolist(), group["block0_values"][()])


class _Plain(pickle._Unpickler):  # in Python: see `data/unpickle.py`
    def find_class(self, module: str, name: str) -> Any:
        raise ValueError(f"its column names ask for {module}.{name}, which could run code; write the table as csv")


def _plain_pickle(raw: bytes) -> Any:
    try:
        return _Plain(io.BytesIO(bytes(raw)), encoding="utf-8").load()
    except ValueError:
        raise
    except Exception as error:  # a damaged pickle may raise almost anything
        raise ValueError(f"its column names are damaged ({error}); write the table again, or as csv") from None
