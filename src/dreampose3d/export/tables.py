"""A lifted motion as NPZ (whole, for programs) and as JSON (rounded, for people).

`docs/conventions.md` lists every field.
"""

import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from dreampose3d.camera import Camera
from dreampose3d.files import atomic_write
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import SKELETONS, Skeleton

FORMAT = "dreampose3d.motion/1"
SUFFIX = ".pose3d.npz"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip format's first moment: equal content gives equal bytes
_AXES = {
    "root_relative_mm": "N J 3",
    "root_mm": "N 3",
    "spread_mm": "N J",
    "keypoints_px": "N J 2",
    "confidence": "N J",
    "intent_probability": "N V",
    "time_s": "N",
    "intent_names": "V",
    "hypotheses_mm": "H N J 3",
}


def write_npz(motion: LiftedMotion, path: Path | str) -> None:
    """Write the whole motion to an NPZ file that loads without pickle; equal motions give equal bytes.

    Args:
        motion: What the lifter returned.
        path: The file, by custom `<name>.pose3d.npz`.

    Raises:
        OSError: If the file cannot be written.
    """
    arrays: dict[str, Any] = {
        "joints_mm": _single(motion.joints_mm),
        "root_relative_mm": _single(motion.root_relative_mm),
        "root_mm": _single(motion.root_mm),
        "spread_mm": _single(motion.spread_mm),
        "keypoints_px": _single(motion.keypoints_px),
        "confidence": _single(motion.confidence),
        "intent_names": np.array(motion.intent_names, dtype=np.str_),
        "intent_probability": _single(motion.intent_probability),
        "time_s": np.asarray(motion.time_s, np.float64),
        "fps": np.float64(motion.fps),
        "meta": np.array(json.dumps(_meta(motion), sort_keys=True, allow_nan=False, default=_jsonable)),
    }
    if motion.hypotheses_mm is not None:
        arrays["hypotheses_mm"] = _single(motion.hypotheses_mm)
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def load_motion(path: Path | str) -> LiftedMotion:
    """Read a motion that `write_npz` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or something other than a lifted motion.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no lifted motion at {path}; expected a .pose3d.npz file from `dreampose3d lift`")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, TypeError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a readable NPZ file ({error}); lift the video again") from error
    try:
        meta = json.loads(str(arrays["meta"]))
        if meta["format"] != FORMAT:
            raise ValueError(f"{path}: expected the format {FORMAT}, got {meta['format']}; lift the video again")
        skeleton, camera = _skeleton(meta), _camera(meta["camera"])
        parts = {name: arrays[name] for name in _AXES if name != "hypotheses_mm"}
        fps = float(arrays["fps"])
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a lifted motion of `dreampose3d lift` (lacks {error})") from error
    hypotheses = arrays.get("hypotheses_mm")
    _check_shapes(path, parts if hypotheses is None else parts | {"hypotheses_mm": hypotheses}, skeleton)
    names = tuple(map(str, parts.pop("intent_names")))
    return LiftedMotion(
        name=meta["name"],
        fps=fps,
        intent_names=names,
        camera=camera,
        hypotheses_mm=hypotheses,
        skeleton=skeleton,
        meta=meta,
        **parts,
    )


def result_name(path: Path) -> str:
    """What a result's file is called, which its user may have changed: the name for all that is made from it."""
    return path.name.removesuffix(SUFFIX)


def write_json(motion: LiftedMotion, path: Path | str) -> None:
    """Write the motion as JSON: what it is first, then one line a frame, rounded (0.1 mm, 0.1 px, 0.001).

    Missing keypoints are null; hypotheses are left to the NPZ file. Memory does not grow with the clip.

    Raises:
        OSError: If the file cannot be written.
    """
    head = {"meta": _meta(motion), "fps": motion.fps, "num_frames": len(motion)}
    told = json.dumps(head, indent=1, allow_nan=False, default=_jsonable)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(told.removesuffix("\n}") + ',\n "frames": [\n')
        for index, frame in enumerate(_frames(motion)):
            file.write((",\n" if index else "") + json.dumps(frame, allow_nan=False, separators=(",", ":")))
        file.write("\n]}\n")


def _frames(motion: LiftedMotion) -> Iterator[dict[str, Any]]:
    """One plain dictionary a frame."""
    for n in range(len(motion)):
        yield {
            "time_s": _rounded(motion.time_s[n], 4),
            "joints_mm": _rounded(motion.root_relative_mm[n] + motion.root_mm[n], 1),
            "root_mm": _rounded(motion.root_mm[n], 1),
            "spread_mm": _rounded(motion.spread_mm[n], 1),
            "keypoints_px": _rounded(motion.keypoints_px[n], 1),
            "confidence": _rounded(motion.confidence[n], 3),
            "intent": {name: round(probability, 3) for name, probability in motion.top_intents(n)},
        }


def _meta(motion: LiftedMotion) -> dict[str, Any]:
    """What a reader must know: the lifter's own account, and what this file's arrays mean."""
    return motion.meta | {
        "format": FORMAT,
        "name": motion.name,
        "units": {"joints": "mm", "spread": "mm", "keypoints": "px", "time": "s", "fps": "frames/s"},
        "frame": "camera: x right, y down, z forward; root_relative_mm and hypotheses_mm have the root subtracted",
        "skeleton": motion.skeleton.name,
        "joints": list(motion.skeleton.joints),
        "parents": list(motion.skeleton.parents),
        "camera": asdict(motion.camera) | {"fov_degrees": motion.camera.fov_degrees},
    }


def _skeleton(meta: dict[str, Any]) -> Skeleton:
    joints, parents = tuple(meta["joints"]), tuple(meta["parents"])
    known = SKELETONS.get(meta["skeleton"])
    return known if known and known.joints == joints else Skeleton(meta["skeleton"], joints, parents)


def _camera(told: dict[str, Any]) -> Camera:
    """Lists, which JSON has, back to the tuples that a camera has."""
    plain = {field.name: told[field.name] for field in fields(Camera) if field.name in told or field.default is MISSING}
    tuples = {name: tuple(value) for name, value in plain.items() if isinstance(value, list)}
    return Camera(**plain | tuples | {"rotation": tuple(tuple(row) for row in plain["rotation"])})


def _check_shapes(path: Path, arrays: dict[str, ndarray], skeleton: Skeleton) -> None:
    """Every axis letter must stand for one length in all arrays."""
    lengths = {"N": arrays["root_mm"].shape[:1], "V": arrays["intent_names"].shape[:1], "J": (skeleton.num_joints,)}
    lengths |= {"H": arrays.get("hypotheses_mm", np.empty(0)).shape[:1], "2": (2,), "3": (3,)}
    for name, array in arrays.items():
        expected = sum((lengths[axis] for axis in _AXES[name].split()), start=())
        if array.shape != expected:
            raise ValueError(f"{path}: expected {name} of shape {expected}, got {array.shape}; lift the video again")


def _single(array: ndarray) -> ndarray:
    return np.ascontiguousarray(array, np.float32)


def _rounded(array: Any, digits: int) -> Any:
    """Plain numbers with so many decimals; None where not finite."""
    plain = np.round(np.asarray(array, np.float64), digits) + 0.0  # turns -0.0 into 0.0
    return np.where(np.isfinite(plain), plain.astype(object), np.array(None)).tolist()


def _jsonable(value: Any) -> Any:
    """Numpy's scalars and arrays as plain numbers, anything else (a Path) as text."""
    return value.tolist() if isinstance(value, np.generic | ndarray) else str(value)
