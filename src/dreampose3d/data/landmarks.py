"""Joints by name from C3D and CSV files: what a laboratory exports of a capture.

C3D tells its landmarks' names, unit, rate and mostly which way is up. CSV has a row per frame and columns
`<landmark>_x`, `_y`, `_z`, perhaps with a unit (`left_hip_x_mm`, `LHip.X (m)`), perhaps a column `time`, seconds.
Landmarks must be joint centres. Names of markers, or any that are not known, are told by a table (`read_names`).
"""

import csv
import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.skeleton import H36M_17

UNITS_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
UPS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "x": ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    "-z": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "-y": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "-x": ((0, 1, 0), (0, 0, -1), (-1, 0, 0)),
}
"""For each axis that may point up, the rotation that makes it z."""

_LIMBS = {
    "hip": ("hip", "hjc", "hipjc", "hipjointcenter", "hipjointcentre"),
    "knee": ("knee", "kjc", "kneejc", "kneejointcenter", "kneejointcentre"),
    "ankle": ("ankle", "ajc", "anklejc", "anklejointcenter", "anklejointcentre"),
    "shoulder": ("shoulder", "sjc", "shoulderjc", "shoulderjointcenter", "shoulderjointcentre"),
    "elbow": ("elbow", "ejc", "elbowjc", "elbowjointcenter", "elbowjointcentre"),
    "wrist": ("wrist", "wjc", "wristjc", "wristjointcenter", "wristjointcentre"),
    "eye": ("eye",),
    "ear": ("ear",),
}
_MIDDLE = {
    "pelvis": ("pelvis", "midhip", "hipcenter", "hipcentre", "pelvisorigin"),
    "spine": ("spine", "midspine", "midtrunk"),
    "thorax": ("thorax", "neckbase", "midshoulder", "uppertrunk", "thoraxprox", "thoraxproximal"),
    "neck": ("neck", "neckjc"),
    "nose": ("nose",),
    "head": ("head", "headcenter", "headcentre"),
    "head_top": ("headtop", "tophead", "vertex"),
}
_MADE_FROM: dict[str, tuple[tuple[str, ...], ...]] = {
    "pelvis": (("pelvis",), ("left_hip", "right_hip")),
    "thorax": (("thorax",), ("left_shoulder", "right_shoulder")),
    "spine": (("spine",), ("left_hip", "right_hip", "left_shoulder", "right_shoulder")),
    "neck": (("nose",), ("neck",), ("left_ear", "right_ear"), ("thorax", "head_top"), ("thorax", "head")),
    "head": (("head_top",), ("head",), ("left_eye", "right_eye"), ("left_ear", "right_ear")),
}
"""For joints of Human3.6M that landmarks seldom have: the first of these sets that is there, its mean."""

_SIDES = {"R": {"right": ("throwing", "throw", "rear"), "left": ("glove", "lead")}}
_SIDES["L"] = {"left": _SIDES["R"]["right"], "right": _SIDES["R"]["left"]}
_ARM = ("shoulder", "elbow", "wrist")
_COLUMN = re.compile(r"(?P<name>.*?\w)[ _.:-]?(?P<axis>[xyz])(?:[ _]?[\[(]?(?P<unit>mm|cm|m)[\])]?)?", re.IGNORECASE)
_TIMES = ("time_s", "time", "timestamp", "seconds")
_UNEVEN = 0.1


@dataclass(frozen=True)
class Landmarks:
    """Named points of one recording, in the file's own unit and axes; None where the file does not tell."""

    names: tuple[str, ...]
    positions: Float[ndarray, "N P 3"]
    fps: float | None
    unit: str | None
    up: str | None


def read_landmarks(path: Path) -> Landmarks:
    """Read a C3D or CSV file.

    Raises:
        ImportError: If ezc3d is missing.
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or has no landmark.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    found = _read_c3d(path) if path.suffix.lower() == ".c3d" else _read_csv(path)
    if not found.positions.size:
        raise ValueError(f"{path}: expected landmarks over frames, got {found.positions.shape[1]} landmarks")
    return found


def read_names(path: Path) -> dict[str, str]:
    """Read a table of `landmark,joint`: several landmarks of one joint are averaged (both sides of a knee).

    Raises:
        ValueError: If it has other columns, or names a joint that does not exist, with those that do.
    """
    with path.open(newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines))
    if not rows or not {"landmark", "joint"} <= set(rows[0]):
        raise ValueError(f"{path}: expected rows of landmark, joint, got {', '.join(rows[0]) if rows else 'no row'}")
    known = set(_known_names(None).values())
    for row in rows:
        if row["joint"] not in known:
            raise ValueError(f"{path}: expected a joint of {', '.join(sorted(known))}, got {row['joint']!r}")
    return {row["landmark"]: row["joint"] for row in rows}


def joints_of(
    where: str, landmarks: Landmarks, names: Mapping[str, str] | None = None, throws: str | None = None
) -> Float[ndarray, "N J 3"]:
    """Human3.6M's joints of a recording, in the file's unit and axes.

    Args:
        where: What an error begins with.
        landmarks: The recording.
        names: landmark -> joint, instead of the names that are known.
        throws: `R` or `L`: which sides the names of pitching laboratories mean (rear, lead, glove, throwing).

    Raises:
        ValueError: If a joint has no landmark, or two that are not told to be averaged.
    """
    places = _places(where, landmarks.names, names, throws)
    if "thorax" not in places and "neck" in places:
        places["thorax"] = places.pop("neck")  # alone it is the base of the neck, not Human3.6M's neck/nose
    found = {joint: landmarks.positions[:, indices].mean(1) for joint, indices in places.items()}
    recipes = {joint: _MADE_FROM.get(joint, ((joint,),)) for joint in H36M_17.joints}
    chosen = {joint: next((r for r in each if set(r) <= set(found)), None) for joint, each in recipes.items()}
    if missing := [joint for joint, recipe in chosen.items() if recipe is None]:
        raise ValueError(
            f"{where}: expected landmarks at the joint centres; none is known as {', '.join(missing)}; the file has "
            f"{', '.join(landmarks.names)}; tell what they are in a table names.csv (landmark,joint) beside the index"
        )
    return np.stack([np.mean([found[source] for source in chosen[joint] or ()], axis=0) for joint in H36M_17.joints], 1)


def _places(
    where: str, labels: Iterable[str], names: Mapping[str, str] | None, throws: str | None
) -> dict[str, list[int]]:
    """The landmarks of each joint."""
    known = _known_names(throws)
    places: dict[str, list[int]] = defaultdict(list)
    labels = tuple(labels)
    for place, label in enumerate(labels):
        joint = known.get(_plain(label)) if names is None else names.get(label)
        if joint is not None:
            places[joint].append(place)
    for joint, several in places.items():
        if names is None and len(several) > 1:
            raise ValueError(
                f"{where}: {' and '.join(labels[i] for i in several)} are both called {joint}; keep one person in the "
                "file, or tell what they are in a table names.csv (landmark,joint) beside the index"
            )
    return dict(places)


def _known_names(throws: str | None) -> dict[str, str]:
    known = {alias: joint for joint, aliases in _MIDDLE.items() for alias in aliases}
    for limb, aliases in _LIMBS.items():
        for alias in aliases:
            for side in ("left", "right"):
                for word in (side, side[0]):
                    known[word + alias] = known[alias + word] = f"{side}_{limb}"
                for word in _SIDES[throws][side] if throws else ():
                    known[word + alias] = f"{side}_{limb}"
            if throws and limb in _ARM:  # without a side: the throwing arm
                known[alias] = {"R": "right", "L": "left"}[throws] + f"_{limb}"
    return known


def _plain(label: str) -> str:
    """`Subject:L_Hip ` -> `lhip`."""
    return re.sub(r"[^a-z0-9]", "", label.rpartition(":")[2].lower())


def _read_c3d(path: Path) -> Landmarks:
    try:
        import ezc3d
    except ImportError:
        raise ImportError('reading C3D needs an extra: pip install "dreampose3d[datasets]"') from None
    try:
        file = ezc3d.c3d(str(path))
    except Exception as error:  # the C++ library raises whatever its streams do
        raise ValueError(f"{path} is not a C3D file or is cut off ({error}); export it again") from error
    point: Mapping[str, Any] = file["parameters"]["POINT"]

    def first(name: str) -> str | None:
        values = point[name]["value"] if name in point else []
        return str(values[0]).strip() or None if len(values) else None

    labels = [label for name in point if re.fullmatch(r"LABELS\d*", name) for label in point[name]["value"]]
    positions = np.asarray(file["data"]["points"][:3], np.float64).transpose(2, 1, 0)
    if len(positions) < (stated := _stated_frames(path)):  # ezc3d reads what is there, and says nothing
        raise ValueError(f"{path} is cut off: expected {stated} frames, got {len(positions)}; export it again")
    unit, up = first("UNITS"), first("Y_SCREEN")
    return Landmarks(
        names=tuple(label.strip() for label in labels[: positions.shape[1]]),
        positions=positions,
        fps=float(file["header"]["points"]["frame_rate"]) or None,
        unit=unit.lower() if unit else None,
        up=up.lower().removeprefix("+") if up else None,
    )


def _stated_frames(path: Path) -> int:
    """How many frames a C3D file's header counts: its words 4 and 5, in the byte order of its processor."""
    with path.open("rb") as file:
        header = file.read(512)
        file.seek(512 * (header[0] - 1) + 3)
        big_endian = file.read(1) == b"\x56"  # MIPS
    first, last = struct.unpack(">HH" if big_endian else "<HH", header[6:10])
    return int(last - first + 1)


def _read_csv(path: Path) -> Landmarks:
    header, rows = _table(path)
    columns: dict[str, dict[str, int]] = defaultdict(dict)
    units = set()
    for number, column in enumerate(header):
        if found := _COLUMN.fullmatch(column):
            columns[found["name"]][found["axis"].lower()] = number
            units |= {found["unit"].lower()} if found["unit"] else set()
    points = {name: [axes[a] for a in "xyz"] for name, axes in columns.items() if len(axes) == 3}
    if not points:
        raise ValueError(f"{path}: expected columns <landmark>_x, _y, _z, got {', '.join(header)}")
    if len(units) > 1:
        raise ValueError(f"{path}: expected one unit in the names of the columns, got {' and '.join(sorted(units))}")
    values = _numbers(path, rows, len(header), [i for axes in points.values() for i in axes])
    return Landmarks(
        names=tuple(points),
        positions=values.reshape(len(rows), -1, 3),
        fps=_rate(path, header, rows),
        unit=next(iter(units), None),
        up=None,
    )


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file; landmarks are read from C3D (.c3d) and CSV") from None
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        raise ValueError(f"{path}: expected a line of names and a line per frame, got {len(lines)} lines")
    delimiter = max(",;\t", key=lines[0].count)
    header, *rows = csv.reader(lines, delimiter=delimiter)
    return [name.strip() for name in header], rows


def _numbers(path: Path, rows: list[list[str]], width: int, columns: list[int]) -> Float[ndarray, "N K"]:
    """Cells as numbers, NaN where empty."""
    values = np.empty((len(rows), len(columns)))
    for number, row in enumerate(rows):
        if len(row) != width:
            raise ValueError(f"{path}, frame {number}: expected {width} cells as in the first line, got {len(row)}")
        for place, column in enumerate(columns):
            try:
                values[number, place] = float(row[column].strip() or "nan")
            except ValueError:
                raise ValueError(f"{path}, frame {number}: expected a number, got {row[column]!r}") from None
    return values


def _rate(path: Path, header: list[str], rows: list[list[str]]) -> float | None:
    """Frames per second by the column of times."""
    place = next((i for i, name in enumerate(header) if name.lower() in _TIMES), None)
    if place is None or len(rows) < 2:
        return None
    steps = np.diff(_numbers(path, rows, len(header), [place])[:, 0])
    middle = float(np.median(steps))
    if not (middle > 0 and (np.abs(steps - middle) < _UNEVEN * middle).all()):
        raise ValueError(f"{path}: expected even times, seconds, in the column {header[place]!r}; some steps differ")
    return float(1 / steps.mean())
