"""What a reader of keypoint files is, and what it hands over: what the file says, before anything is checked."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float
from numpy import ndarray

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class RawKeypoints:
    """What a file says, unchecked; None where it says nothing."""

    keypoints_px: Any
    """One person's (N, K, 2), or everyone's (N, P, K, 2); one more column is the confidence."""
    confidence: Any = None
    """(N, K) or (N, P, K)"""
    fps: Any = None
    size: Any = None
    """(W, H), pixels."""
    skeleton: Any = None
    """A name in `SKELETONS`."""
    focal_px: Any = None
    """One number, or (fx, fy)."""
    center_px: Any = None
    """(cx, cy)"""
    time_s: Any = None
    """(N,)"""
    people: Sequence[str] | None = None
    """Who is in each of the P places, in every frame; None if the order of the people in a frame means nothing."""
    joints: Sequence[str] | None = None
    """The K joints by the file's own names; None if only their order tells what they are."""
    counted: bool = False
    """Whether the number of joints tells their order (`names_in_order`)."""
    frames: Any = None
    """(N,), the number of each frame, increasing; None if they follow each other."""
    normalised: bool = False
    """Whether x runs from 0 to 1 over the width, y over the height."""


class KeypointFormat(Protocol):
    """A module that knows one tool's files by what they hold, whatever their names, and reads them."""

    NAME: str

    def recognises(self, file: "KeypointFile") -> bool:
        """Whether the path (which exists, and may be a folder) holds this format."""
        ...

    def read(self, file: "KeypointFile") -> RawKeypoints:
        """What the file says; ValueError, without the file's name, if it cannot be read."""
        ...


class KeypointFile:
    """A file or a folder, opened once however many formats look into it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def magic(self) -> bytes:
        """The first 8 bytes; none of a folder."""
        if not self.path.is_file():
            return b""
        with self.path.open("rb") as file:
            return file.read(8)

    @cached_property
    def text(self) -> str:
        """The file as text; empty if it is a folder, or no text."""
        raw = self.path.read_bytes() if self.path.is_file() else b""
        return "" if b"\0" in raw[:4096] else raw.decode("utf-8-sig", errors="replace")

    @cached_property
    def json(self) -> Any:
        """The file as JSON, None if it is none.

        Raises:
            ValueError: If it begins like JSON but does not go on like it.
        """
        if self.magic.startswith((HDF5, *ZIP)) or not self.text.lstrip().startswith(("{", "[")):
            return None
        try:
            return json.loads(self.text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"it begins like JSON, but is damaged or cut off ({error}); write it again") from None

    @cached_property
    def frame_files(self) -> dict[int, "KeypointFile"]:
        """The JSON files of a folder that has one for each frame, by the number in their names.

        Raises:
            ValueError: If the names do not count the frames of one clip.
        """
        paths = sorted(self.path.glob("*.json")) if self.path.is_dir() else []
        numbers = frame_numbers([path.name for path in paths])
        return {number: KeypointFile(path) for number, path in sorted(zip(numbers, paths, strict=True))}

    @cached_property
    def first_frame(self) -> Any:
        """The JSON of a file, or of the first in a folder that is not empty: MMPose writes [] where it sees nobody."""
        if not self.path.is_dir():
            return self.json
        frames = (KeypointFile(path).json for path in sorted(self.path.glob("*.json")))
        return next((frame for frame in frames if frame), None)


class Person(NamedTuple):
    """One person in one frame."""

    keypoints_px: Float[ndarray, "K 2"]
    confidence: Float[ndarray, " K"] | None
    """None if the file says none: then a joint at (0, 0) is missing."""
    identity: str | None = None
    """What the file calls them, if it tells people apart."""


def gathered(frames: Mapping[int, Sequence[Person]], **told: Any) -> RawKeypoints:
    """Everyone in every frame, as arrays; identities only if every person has one, once a frame.

    Args:
        frames: The people of each frame, by its number.
        told: What else the file says: fields of `RawKeypoints`.

    Raises:
        ValueError: If there is nobody, or the people differ in their number of joints.
    """
    everyone = [person for people in frames.values() for person in people]
    counts = sorted({len(person.keypoints_px) for person in everyone})
    if len(counts) != 1:
        found = f"people with {' and '.join(map(str, counts))} joints" if counts else "nobody in any frame"
        raise ValueError(f"expected people with the same number of joints, got {found}")
    names = _identities(frames)
    most = max(map(len, frames.values())) if names is None else len(names)
    keypoints = np.full((len(frames), most, counts[0], 2), np.nan)
    confidence = np.zeros(keypoints.shape[:3])
    for row, number in enumerate(sorted(frames)):
        for order, person in enumerate(frames[number]):
            place = order if names is None else names.index(str(person.identity))
            keypoints[row, place] = person.keypoints_px
            certain = person.confidence
            confidence[row, place] = (keypoints[row, place] != 0).any(-1) if certain is None else certain
    return RawKeypoints(keypoints, confidence, people=names, frames=sorted(frames), **told)


def _identities(frames: Mapping[int, Sequence[Person]]) -> list[str] | None:
    """The people's names, in order of appearance."""
    names: dict[str | None, None] = {}
    for number in sorted(frames):
        here = [person.identity for person in frames[number]]
        if None in here or len({*here}) < len(here):
            return None
        names |= dict.fromkeys(here)
    return [str(name) for name in names]


def flat_person(values: Any, what: str, identity: str | None = None) -> Person:
    """A person from a flat list x, y, c, x, y, c, ...

    Raises:
        ValueError: If it is no such list.
    """
    points = numbers(values, what)
    if points.ndim != 1 or not points.size or points.size % 3:
        raise ValueError(f"expected {what} as x, y, c for each joint, got {points.size} numbers")
    points = points.reshape(-1, 3)
    return Person(points[:, :2], points[:, 2], identity)


def csv_rows(text: str, delimiter: str = ",") -> list[list[str]]:
    """The cells of each line that is not empty.

    Raises:
        ValueError: If it is no CSV.
    """
    try:
        return [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    except csv.Error as error:
        raise ValueError(f"it is damaged ({error}); write it again") from None


def numbers(values: Any, what: str) -> Float[ndarray, "..."]:
    """A list of numbers as an array; null is NaN.

    Raises:
        ValueError: If there is anything else in it.
    """
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"expected {what} as a list of numbers, got {_short(values)}") from None


def objects(values: Any, what: str) -> list[dict[str, Any]]:
    """A JSON list of objects.

    Raises:
        ValueError: If it is anything else.
    """
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise ValueError(f"expected {what} as a list of objects, got {_short(values)}")
    return values


def whole_number(value: Any, what: str) -> int:
    """A frame number or the like, as a number or in text.

    Raises:
        ValueError: If it is none.
    """
    try:
        if float(value) == int(value):
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"expected {what} as a whole number, got {_short(value)}")


def frame_numbers(names: Iterable[str]) -> list[int]:
    """The frame number in each name, its ending aside: the one group of digits in which they differ, or the last.

    Raises:
        ValueError: If the names have no such group, or more than one: those of several clips.
    """
    parts = [re.split(r"(\d+)", name.rpartition(".")[0] or name) for name in names]
    words = {tuple(part[::2]) for part in parts}
    if len(words) > 1:
        first, second = sorted("#".join(word) for word in words)[:2]
        raise ValueError(f"expected the frames of one clip, got names like {first} and {second}; keep a clip's apart")
    counters = list(zip(*(part[1::2] for part in parts), strict=True))
    counting = [counter for counter in counters if len({*counter}) > 1] or counters[-1:] or [("0",) * len(parts)]
    found = [int(digits) for digits in counting[0]]
    if len(counting) > 1 or len({*found}) < len(found):
        example = "#".join(next(iter(words), ("",)))
        raise ValueError(f"expected names that count the frames of one clip, got several like {example}")
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
