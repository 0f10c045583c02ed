"""Plain CSV: a row a frame (and person), columns `<joint>_x`, `<joint>_y` and perhaps `<joint>_confidence`.

`.` or a blank may stand for `_`, and `score`, `likelihood`, `visibility` or `c` for confidence: SLEAP's analysis CSV is
such a file. Further columns with a meaning are `frame`, `time` (seconds) and `person`; commas, semicolons or tabs.
"""

import re
from typing import NamedTuple

import numpy as np

from dreampose3d.lifting.readers.raw import KeypointFile, Person, RawKeypoints, csv_rows, gathered, whole_number

NAME = "CSV with <joint>_x, <joint>_y"
_COLUMN = re.compile(r"(.+)[._ ](x|y|confidence|score|likelihood|visibility|c)", re.IGNORECASE)
_FRAME = {"frame", "frame_idx", "frame_id", "frame_number"}
_TIME = {"time", "time_s"}
_PERSON = {"person", "person_id", "track", "track_id", "individual", "id"}


class _Columns(NamedTuple):
    """Where in a row everything stands."""

    joints: dict[str, dict[str, int]]
    frame: int | None
    time: int | None
    person: int | None


def recognises(file: KeypointFile) -> bool:
    """Whether its first line names columns for the x and y of some joints."""
    return any(_columns(header).joints for header in _rows(file.text.partition("\n")[0]))


def read(file: KeypointFile) -> RawKeypoints:
    """The people of each frame; without a column `person`, those of a frame with several rows are not told apart."""
    header, *rows = _rows(file.text)
    columns = _columns(header)
    frames: dict[int, list[Person]] = {}
    times: dict[int, float] = {}
    for line, row in enumerate(rows):
        if len(row) != len(header):
            raise ValueError(f"row {line + 2}: expected {len(header)} cells, got {len(row)}: it is cut off or damaged")
        number = line if columns.frame is None else whole_number(row[columns.frame], f"the frame in row {line + 2}")
        frames.setdefault(number, []).append(_person(row, columns, line + 2))
        if columns.time is not None:
            times[number] = _number(row[columns.time], line + 2)
    if columns.person is None and all(len(people) == 1 for people in frames.values()):
        frames = {number: [people[0]._replace(identity="0")] for number, people in frames.items()}
    time_s = [times[number] for number in sorted(times)] or None
    return gathered(frames, joints=list(columns.joints), time_s=time_s)


def _rows(text: str) -> list[list[str]]:
    return csv_rows(text, max(",;\t", key=text.partition("\n")[0].count))


def _columns(header: list[str]) -> _Columns:
    joints: dict[str, dict[str, int]] = {}
    others: dict[str, int] = {}
    for place, name in enumerate(header):
        found = _COLUMN.fullmatch(name.strip())
        if found and found[1] != "instance":
            kind = found[2].lower()
            joints.setdefault(found[1], {})[kind if kind in "xy" else "confidence"] = place
        else:
            others[name.strip().lower()] = place
    whole = {joint: kinds for joint, kinds in joints.items() if {"x", "y"} <= kinds.keys()}
    frame, time, person = (next((others[n] for n in others if n in names), None) for names in (_FRAME, _TIME, _PERSON))
    return _Columns(whole, frame, time, person)


def _person(row: list[str], columns: _Columns, line: int) -> Person:
    points = [[_number(row[place[axis]], line) for axis in "xy"] for place in columns.joints.values()]
    certain = [_number(row[p["confidence"]], line) if "confidence" in p else np.nan for p in columns.joints.values()]
    identity = row[columns.person].strip() if columns.person is not None else None
    return Person(np.array(points), np.nan_to_num(certain, nan=1.0), identity or None)


def _number(cell: str, line: int) -> float:
    try:
        return float(cell.strip() or "nan")
    except ValueError:
        raise ValueError(f"row {line}: expected a number, got {cell!r}") from None
