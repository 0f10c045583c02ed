"""MLBPitchDB, or any pitching capture: a folder with `index.csv` beside its sequences (npz, C3D or CSV).

MLBPitchDB is not public; this is a format to put it, or a capture of one's own, into. A row of `index.csv` is a
sequence:

| column | |
|---|---|
| `file` | `.npz` (below), or `.c3d` or `.csv` with joint centres by name (`data.landmarks`), relative to the folder |
| `split` | `train`, `val` or `test`: each sequence belongs to one |
| `subject`, `action` | who, and what (a name of the vocabulary: `delivery`); may be left out |
| `fps` | where the file does not tell |
| `camera` | a calibration file (any that is known), where the npz has none; `camera_name` if it holds several |
| `units`, `up` | of C3D and CSV, before what they tell: `mm`, `cm`, `m`; the axis that points up (`z`, `y`, `-y`) |
| `throws` | `R` or `L`: whose arm the names of pitching laboratories mean (`rear_hip`, `glove_wrist`, `wrist`) |

An npz file holds

| array | shape | |
|---|---|---|
| `joints_mm` | (N, J, 3) | the 3D; NaN where missing |
| `frame` | text | `world` (z up) or `camera` (x right, y down, z forward) |
| `fps` | one number | or the index tells |
| `skeleton` | text | its joints, by a name of `skeleton.py` |
| `camera` | text | the JSON of `write_calibration` |
| `keypoints_px`, `confidence` | (N, J, 2), (N, J) | exact 2D; its projection through the camera where left out |
| `keypoints_<NAME>`, `confidence_<NAME>`, `skeleton_<NAME>` | as above | a detector's 2D (`vitpose`), and its joints |
| `valid` | (N,) bool | frames that count; those that lack a 3D joint never do |

A capture of more than 30 frames/s is resampled to 30 by time, between its two nearest frames: so a broadcast shows it.
A slower one stays as it is, because frames that nobody filmed cannot be made. 29.97 counts as 30.
"""

import csv
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from dreampose3d.calibration import parse_calibration, read_calibration
from dreampose3d.camera import Camera
from dreampose3d.data.benchmark import require_frames, require_person, require_pixels, require_split
from dreampose3d.data.landmarks import UNITS_MM, UPS, joints_of, read_landmarks, read_names
from dreampose3d.data.unpickle import array_names, read_npz
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17, Skeleton, skeleton_named

FPS = 30.0
"""Of a broadcast, and of the recipe `paper-mlb`."""
SPLITS = ("train", "val", "test")
FRAMES = ("world", "camera")

_SAME_RATE = 0.01
_BESIDE = 0.05
"""How far exact 2D may lie beside the projected 3D, median, as a share of the person's size in the image [ours]."""

Row = Mapping[str, str]


def recognises(path: Path) -> bool:
    """Whether a path is such a folder or its index: it has the columns `file` and `split`, and no `trial`."""
    with suppress(OSError, UnicodeDecodeError), _index(path).open(newline="", encoding="utf-8-sig") as lines:
        columns = set(next(csv.reader(lines), ()))
        return {"file", "split"} <= columns and "trial" not in columns
    return False


def read(
    path: Path, split: str | None = None, keypoints: str = "gt", fps: float | None = FPS
) -> Iterator[PoseSequence]:
    """Yield a sequence per row of the index, named after its file ("game1/pitch7") and its camera, if one is named.

    3D is in the camera's frame where there is a camera, else in the world's, z up; mm.

    Args:
        path: The folder, or its index.
        split: `train`, `val` or `test`, or all.
        keypoints: `gt` for exact 2D, or the name of a detector whose 2D the files hold.
        fps: Faster captures are resampled to this; None leaves all as they are.

    Raises:
        FileNotFoundError: If there is no index, or a file that it names is missing.
        ValueError: If there is no such split or 2D; if a file is damaged or pickles code, lacks something, contradicts
            the index, or is in other units, axes or joints.
        ImportError: If a C3D file is to be read without ezc3d.
    """
    require_split(split, SPLITS)
    folder = _index(path).parent
    rows = _rows(_index(path))
    wanted = [row for row in rows if split in (None, row["split"])]
    if not wanted:
        there = ", ".join(sorted({row["split"] for row in rows}))
        raise ValueError(f"{_index(path)}: expected sequences of the split {split}, it has {there} only")
    for row in wanted:
        sequence = _read_npz(folder, row, keypoints) if _is_npz(row) else _read_landmarks(folder, row, keypoints)
        yield sequence if fps is None else at_rate(sequence, fps)


def detections(path: Path) -> list[str]:
    """The kinds of 2D that some file holds: `gt`, then detectors."""
    folder = _index(path).parent
    files = [folder / row["file"] for row in _rows(_index(path)) if _is_npz(row)]
    return ["gt", *sorted({name for file in files for name in _detectors(file)})]


def at_rate(sequence: PoseSequence, fps: float) -> PoseSequence:
    """A sequence at fewer frames per second: linear in time between two frames, missing where either is missing.

    One that is not faster (by 1 %) comes back as it is.
    """
    step = sequence.fps / fps
    if step <= 1 + _SAME_RATE:
        return sequence
    place = np.arange(0, len(sequence) - 1 + 1e-6, step)
    low = np.floor(place + 1e-6).astype(int)
    part = np.maximum(place - low, 0)
    high = np.where(part > 1e-6, low + 1, low)

    def mixed(values: Float[ndarray, "N ..."] | None) -> Float[ndarray, "n ..."] | None:
        if values is None:
            return None
        share = part.reshape(-1, *[1] * (values.ndim - 1)).astype(values.dtype)
        between: ndarray = values[low] * (1 - share) + values[high] * share
        return between

    return replace(
        sequence,
        fps=fps,
        joints_mm=mixed(sequence.joints_mm),
        keypoints_px=mixed(sequence.keypoints_px),
        confidence=mixed(sequence.confidence),
        time_s=mixed(sequence.time_s),
        valid=None if sequence.valid is None else sequence.valid[low] & sequence.valid[high],
    )


def _index(path: Path) -> Path:
    return path / "index.csv" if path.is_dir() else path


def _rows(index: Path) -> list[Row]:
    """The index, checked: every row has a file, a split, and a name of its own."""
    if not index.is_file():
        raise FileNotFoundError(f"{index.parent} has no {index.name}; it lists file and split of every sequence")
    try:
        with index.open(newline="", encoding="utf-8-sig") as lines:
            rows: list[Row] = [{key: (row[key] or "").strip() for key in row if key} for row in csv.DictReader(lines)]
    except UnicodeDecodeError:
        raise ValueError(f"{index} is not a text file in UTF-8; save it as CSV UTF-8") from None
    if not rows:
        raise ValueError(f"{index} lists no sequences; it needs a line of file and split for each")
    if not {"file", "split"} <= set(rows[0]):
        raise ValueError(f"{index}: expected the columns file and split, got {', '.join(rows[0])}")
    names: set[str] = set()
    for line, row in enumerate(rows, start=2):
        where = f"{index}, line {line}"
        if Path(row["file"]).suffix.lower() not in (".npz", ".c3d", ".csv"):
            raise ValueError(f"{where}: expected a file .npz, .c3d or .csv, got {row['file']!r}")
        _one_of(where, row, "split", SPLITS, needed=True)
        _one_of(where, row, "units", UNITS_MM)
        _one_of(where, row, "up", UPS)
        _one_of(where, row, "throws", ("R", "L"))
        if _name(row) in names:
            raise ValueError(f"{where}: {_name(row)!r} is listed twice; name the camera in camera_name if that differs")
        names.add(_name(row))
    return rows


def _one_of(where: str, row: Row, column: str, known: Any, needed: bool = False) -> None:
    value = row.get(column, "")
    if value not in known and (value or needed):
        raise ValueError(f"{where}: expected {column} to be {', '.join(known)}, got {value!r}")


def _name(row: Row) -> str:
    stem = Path(row["file"]).with_suffix("").as_posix()
    return f"{stem}/{row['camera_name']}" if row.get("camera_name") else stem


def _is_npz(row: Row) -> bool:
    return row["file"].lower().endswith(".npz")


def _detectors(file: Path) -> list[str]:
    names = [name.removeprefix("keypoints_") for name in array_names(file) if name.startswith("keypoints_")]
    return sorted(name for name in names if name != "px")


def _fps(where: str, row: Row, told: float | None) -> float:
    """The rate by the file and the index, which must agree."""
    try:
        stated = float(row["fps"]) if row.get("fps") else None
    except ValueError:
        raise ValueError(f"{where}: expected frames per second in the index, got {row['fps']!r}") from None
    rate = stated if told is None else told
    if rate is None:
        raise ValueError(f"{where}: expected frames per second; the file does not tell, add fps to the index")
    if not (np.isfinite(rate) and rate > 0):
        raise ValueError(f"{where}: expected a positive frame rate, got {rate:g}")
    if stated is not None and abs(stated / rate - 1) > _SAME_RATE:
        raise ValueError(f"{where}: the file tells {rate:g} frames/s, the index {stated:g}; correct the wrong one")
    return rate


def _read_landmarks(folder: Path, row: Row, keypoints: str) -> PoseSequence:
    """A C3D or CSV file: 3D in the world, and its projection."""
    file = folder / row["file"]
    where = row["file"]
    if keypoints != "gt":
        raise ValueError(
            f"{where} holds no 2D of {keypoints!r}, only its own projection (gt); write it as npz with "
            f"keypoints_{keypoints}"
        )
    landmarks = read_landmarks(file)
    unit, up = row.get("units") or landmarks.unit, row.get("up") or landmarks.up
    if unit not in UNITS_MM:
        raise ValueError(f"{where} tells {_told(unit)} as its unit; add units ({', '.join(UNITS_MM)}) to the index")
    if up not in UPS:
        raise ValueError(f"{where} tells {_told(up)} as the axis that points up; add up (z, y ...) to the index")
    names = read_names(folder / "names.csv") if (folder / "names.csv").is_file() else None
    joints_mm = joints_of(where, landmarks, names, row.get("throws") or None) * UNITS_MM[unit]
    camera = _camera_file(folder, row)
    turn = np.array(UPS[up], np.float64)
    joints_mm = joints_mm @ turn.T
    camera = camera and _turned(camera, turn)
    return _sequence(row, _fps(where, row, landmarks.fps), H36M_17, joints_mm, camera, "world", None, None, None)


def _told(value: str | None) -> str:
    return "nothing" if value is None else repr(value)


def _turned(camera: Camera, turn: Float[ndarray, "3 3"]) -> Camera:
    """A camera in a world whose axes are turned."""
    rotation, position = np.array(camera.rotation) @ turn.T, turn @ np.array(camera.position_mm)
    return replace(
        camera, rotation=tuple(tuple(axis) for axis in rotation.tolist()), position_mm=tuple(position.tolist())
    )


def _camera_file(folder: Path, row: Row) -> Camera | None:
    if not row.get("camera"):
        return None
    return read_calibration(folder / row["camera"], row.get("camera_name") or None)


def _read_npz(folder: Path, row: Row, keypoints: str) -> PoseSequence:
    file, where = folder / row["file"], row["file"]
    held = {name: read_npz(file, name) for name in array_names(file)}
    if "joints_mm" not in held:
        read_npz(file, "joints_mm")  # tells a damaged file from one that lacks it
    skeleton = _skeleton(where, held, "skeleton")
    joints = require_frames(f"{where}, joints_mm", held["joints_mm"], skeleton.num_joints, 3).astype(np.float64)
    frame = _text(where, held, "frame")
    if frame not in FRAMES:
        raise ValueError(f"{where}: expected the frame {' or '.join(FRAMES)}, got {frame!r}")
    camera = _camera_file(folder, row)
    if camera is None and "camera" in held:
        camera = _camera_text(where, _text(where, held, "camera"), row)
    if camera is None and frame == "camera":
        raise ValueError(f"{where}: its 3D is in a camera's frame, but there is no camera; add it, or a column camera")
    told = _number(where, held["fps"]) if "fps" in held else None
    points, confidence = _keypoints(where, held, keypoints, skeleton, len(joints))
    return _sequence(
        row, _fps(where, row, told), skeleton, joints, camera, frame, points, confidence,
        _valid(where, held["valid"], len(joints)) if "valid" in held else None, exact=keypoints == "gt",
    )  # fmt: skip


def _text(where: str, held: Mapping[str, Any], name: str) -> str:
    if name not in held:
        raise ValueError(f"{where}: expected a text {name!r}; the file holds {', '.join(held)}")
    value = held[name]
    if not isinstance(value, ndarray) or value.dtype.kind not in "US" or value.size != 1:
        raise ValueError(f"{where}: expected {name!r} to be a text, got {value!r}")
    text = value.item()
    return text.decode() if isinstance(text, bytes) else str(text)


def _number(where: str, value: Any) -> float:
    if not isinstance(value, ndarray) or value.dtype.kind not in "iuf" or value.size != 1:
        raise ValueError(f"{where}: expected one number 'fps', got {value!r}")
    return float(value.item())


def _skeleton(where: str, held: Mapping[str, Any], name: str) -> Skeleton:
    try:
        return skeleton_named(_text(where, held, name))
    except ValueError as error:
        raise ValueError(f"{where}, {name}: {error}") from None


def _camera_text(where: str, text: str, row: Row) -> Camera:
    try:
        cameras = parse_calibration(text)
    except ValueError as error:
        raise ValueError(f"{where}, camera: {error}") from None
    name = row.get("camera_name") or next(iter(cameras))
    if name not in cameras or (len(cameras) > 1 and not row.get("camera_name")):
        raise ValueError(f"{where}: it has the cameras {', '.join(cameras)}; name the one that filmed in camera_name")
    return cameras[name]


def _keypoints(
    where: str, held: Mapping[str, Any], which: str, skeleton: Skeleton, frames: int
) -> tuple[Float[ndarray, "N J 2"] | None, Float[ndarray, "N J"] | None]:
    """The 2D of that name and its confidence, in the joints of the 3D; None where exact 2D is to be projected."""
    ending = "px" if which == "gt" else which
    name, certainty = f"keypoints_{ending}", "confidence" if which == "gt" else f"confidence_{which}"
    if name not in held:
        if which == "gt":
            return None, None
        there = sorted(key.removeprefix("keypoints_") for key in held if key.startswith("keypoints_"))
        told = ", ".join("gt" if key == "px" else key for key in there) or "no 2D"
        raise ValueError(f"{where}: expected 2D {name!r}; it has {told}")
    own = _skeleton(where, held, f"skeleton_{which}") if f"skeleton_{which}" in held else skeleton
    points = require_frames(f"{where}, {name}", held[name], own.num_joints, 2)
    if len(points) != frames:
        raise ValueError(f"{where}, {name}: expected 2D for each of the {frames} frames of the 3D, got {len(points)}")
    require_pixels(f"{where}, {name}", points)
    confidence = held.get(certainty)
    if confidence is not None:
        _require_confidence(f"{where}, {certainty}", confidence, points.shape[:2])
    return own.to(skeleton, points.astype(np.float32), confidence)


def _require_confidence(where: str, confidence: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(confidence, ndarray) or confidence.dtype.kind != "f" or confidence.shape != shape:
        raise ValueError(f"{where}: expected numbers of shape {shape}, got {getattr(confidence, 'shape', confidence)}")
    known = confidence[np.isfinite(confidence)]
    if known.size and not (known.min() >= 0 and known.max() <= 1):
        raise ValueError(f"{where}: expected values in [0, 1], got {known.min():g} to {known.max():g}; divide them")


def _valid(where: str, value: Any, frames: int) -> Bool[ndarray, " N"]:
    if not isinstance(value, ndarray) or value.dtype.kind != "b" or value.shape != (frames,):
        raise ValueError(f"{where}: expected {frames} truth values 'valid', got {getattr(value, 'shape', value)}")
    return value


def _sequence(
    row: Row,
    fps: float,
    skeleton: Skeleton,
    joints_mm: Float[ndarray, "N J 3"],
    camera: Camera | None,
    frame: str,
    keypoints_px: Float[ndarray, "N J 2"] | None,
    confidence: Float[ndarray, "N J"] | None,
    valid: Bool[ndarray, " N"] | None,
    exact: bool = True,
) -> PoseSequence:
    where = row["file"]
    whole = np.isfinite(joints_mm).all((1, 2))
    if not whole.any():
        raise ValueError(f"{where}: expected 3D joints, but no frame has them all; leave the sequence out")
    require_person(where, joints_mm[whole], skeleton)
    if camera is not None and frame == "world":
        if not camera.posed:
            raise ValueError(f"{where}: its 3D is in the world, but it is not told how the camera stands there")
        joints_mm = camera.to_camera(torch.from_numpy(joints_mm)).numpy()
    if camera is not None:
        projected = camera.project(torch.from_numpy(joints_mm)).numpy().astype(np.float32)
        if keypoints_px is None:
            keypoints_px = projected
        if exact:
            _require_agreement(where, camera, projected, keypoints_px)
    if not whole.all():
        valid = whole if valid is None else valid & whole
    return PoseSequence(
        name=_name(row),
        fps=fps,
        skeleton=skeleton,
        joints_mm=joints_mm.astype(np.float32),
        keypoints_px=keypoints_px,
        confidence=confidence,
        camera=camera,
        valid=valid,
        subject=row.get("subject", ""),
        action=row.get("action", ""),
    )


def _require_agreement(
    where: str, camera: Camera, projected: Float[ndarray, "N J 2"], keypoints_px: Float[ndarray, "N J 2"]
) -> None:
    """The 3D lies before the camera, and exact 2D where it projects."""
    seen = np.isfinite(projected).all((1, 2))
    if not seen.any():
        raise ValueError(
            f"{where}: expected 3D in front of the camera, it lies behind; the camera's pose or the 3D's axes differ"
        )
    size = np.median(np.ptp(projected[seen], axis=1).max(-1))
    beside = float(np.nanmedian(np.linalg.norm(projected - keypoints_px, axis=-1)) / size)
    if not (beside <= _BESIDE or camera.assumed):
        raise ValueError(
            f"{where}: expected exact 2D where the 3D projects, got it {beside:.0%} of the person's size beside: "
            "another camera, swapped sides or other axes; a detector's 2D belongs into keypoints_<its name>"
        )
