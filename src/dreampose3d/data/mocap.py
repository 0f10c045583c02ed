"""Motion capture in the canonical folder: `index.csv` beside `.npz` files of int16 joints, millimetres, z up.

`index.csv` has a row per clip: `trial`, `fps`, `frames`, `split`, `action`, and the file that holds the clip:
the column `file`, or `<subject>.npz`. Each npz maps a trial to (frames, 17, 3) in Human3.6M's joint order.
"""

import csv
import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.skeleton import H36M_17


@dataclass(frozen=True)
class MocapClip:
    """One clip: 17 joints in the world, mm, z up."""

    set_name: str
    trial: str
    subject: str
    action: str
    split: str
    fps: float
    joints_mm: Float[ndarray, "N J 3"]


def recognises(path: Path) -> bool:
    """Whether a path is one set's folder in the canonical form, by the columns of its index."""
    with suppress(OSError, UnicodeDecodeError), (path / "index.csv").open(newline="", encoding="utf-8-sig") as lines:
        columns = set(csv.DictReader(lines).fieldnames or ())
        return {"trial", "fps", "split", "action"} <= columns and bool({"file", "subject"} & columns)
    return False


def read_mocap(folder: Path, set_name: str | None = None, split: str | None = None) -> list[MocapClip]:
    """Read the clips of a canonical folder, in the order of its index.

    Args:
        folder: One set's folder, or a parent of set folders together with `set_name`.
        set_name: Which set of the parent folder.
        split: A value of the column `split`; all clips if None.

    Raises:
        FileNotFoundError: If there is no index, or a file that it names is missing.
        ValueError: If the set or split is unknown (those present are listed), or an array has the wrong form.
    """
    home = _set_folder(Path(folder), set_name)
    with (home / "index.csv").open(newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines))
    _require_columns(home, rows)
    splits = sorted({row["split"] for row in rows})
    if split is not None and split not in splits:
        raise ValueError(f"{home} has no split {split!r}; it has {', '.join(splits)}")
    rows = [row for row in rows if split in (None, row["split"])]
    arrays: dict[tuple[str, str], ndarray] = {}
    for file in dict.fromkeys(_file(row) for row in rows):
        wanted = [row["trial"] for row in rows if _file(row) == file]
        arrays.update({(file, trial): joints for trial, joints in _read_arrays(home / file, wanted)})
    return [
        MocapClip(
            set_name=home.name,
            trial=row["trial"],
            subject=row.get("subject") or "",
            action=row["action"],
            split=row["split"],
            fps=_fps(home, row),
            joints_mm=arrays[_file(row), row["trial"]],
        )
        for row in rows
    ]


def _set_folder(folder: Path, set_name: str | None) -> Path:
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    here = sorted(index.parent.name for index in folder.glob("*/index.csv"))
    if set_name is None:
        if (folder / "index.csv").is_file():
            return folder
        hint = f"; it holds the sets {', '.join(here)}: name one with --set" if here else ""
        raise FileNotFoundError(f"{folder} has no index.csv{hint}")
    if (folder / set_name / "index.csv").is_file():
        return folder / set_name
    if folder.name == set_name and (folder / "index.csv").is_file():
        return folder
    raise ValueError(f"{folder} has no set {set_name!r}; it has {', '.join(here) or 'none'}")


def _require_columns(home: Path, rows: list[dict[str, str]]) -> None:
    if not rows:
        raise ValueError(f"{home / 'index.csv'} lists no clips")
    missing = [name for name in ("trial", "fps", "split", "action") if name not in rows[0]]
    if missing or not {"file", "subject"} & set(rows[0]):
        raise ValueError(
            f"{home / 'index.csv'}: expected the columns trial, fps, split, action and one of subject, file; "
            f"got {', '.join(rows[0])}"
        )


def _file(row: dict[str, str]) -> str:
    return row.get("file") or f"{row['subject']}.npz"


def _fps(home: Path, row: dict[str, str]) -> float:
    try:
        fps = float(row["fps"])
    except ValueError:
        fps = math.nan
    if not 0 < fps < math.inf:
        raise ValueError(f"{home / 'index.csv'}, {row['trial']}: expected frames per second, got {row['fps']!r}")
    return fps


def _read_arrays(path: Path, trials: Sequence[str]) -> Iterator[tuple[str, Float[ndarray, "N J 3"]]]:
    if not path.is_file():
        raise FileNotFoundError(f"the index names {path}, which does not exist")
    try:
        with zipfile.ZipFile(path):  # an npz; np.load would also take a lone array or a pickle
            arrays = np.load(path, allow_pickle=False)
        with arrays:
            found = {trial: arrays[trial] for trial in trials if trial in arrays}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise ValueError(f"{path} is not an npz file that can be read ({error}); it may be damaged") from None
    for trial in trials:
        if trial not in found:
            raise ValueError(f"{path} has no clip {trial!r}")
        yield trial, _checked(path, trial, found[trial])


def _checked(path: Path, trial: str, joints: ndarray) -> Float[ndarray, "N J 3"]:
    shape = (H36M_17.num_joints, 3)
    if joints.ndim != 3 or joints.shape[1:] != shape or not len(joints) or joints.dtype.kind not in "iuf":
        raise ValueError(
            f"{path}, {trial}: expected (frames, {H36M_17.num_joints}, 3) joints in mm, got {joints.shape} of "
            f"{joints.dtype}"
        )
    joints = joints.astype(np.float32)
    if not np.isfinite(joints).all():
        raise ValueError(f"{path}, {trial}: expected finite joints in mm, some are NaN or infinite")
    return joints
