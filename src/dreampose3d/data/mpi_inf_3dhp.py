"""MPI-INF-3DHP: the npz files of D3DP and P-STMO, and the data set's own `TSx/annot_data.mat`.

`data_{train,test}_3dhp.npz` hold `univ_annot3`, people scaled to one height, which no longer lie where the 2D shows
them; `data_{train,test}_3dhp_ori.npz` hold `annot3`, their true size; the mat files hold both. Results on the one say
nothing about the other. 3D is millimetres in the camera's frame, 2D exact pixels, the joints are `MPI_INF_3DHP_17`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from dreampose3d.camera import Camera
from dreampose3d.data.benchmark import (
    require_entry,
    require_finite,
    require_frames,
    require_mapping,
    require_person,
    require_pixels,
    require_split,
)
from dreampose3d.data.unpickle import array_names, read_npz
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import MPI_INF_3DHP_17

Scale = Literal["univ", "annot3"]
"""People scaled to one height, or as tall as they are."""

SPLITS = ("train", "val", "test")
HELD_OUT = "S8"
"""The subject of `train` that is `val`: training holds it out to choose its weights."""
TEST_FPS = 25.0
"""The test files do not state it; their sequences are as long as the training's of 25 frames/s [ours]."""
ACTIVITIES = (
    "Standing/Walking", "Exercising", "Sitting", "Reaching/Crouching", "On the Floor", "Sports", "Miscellaneous",
)  # fmt: skip
"""What the numbers 1 to 7 of `activity_annotation` mean."""

_STUDIO = Camera.from_focal(
    (2048, 2048), 7.32506 / 10 * 2048, (1024 - 0.0322884 / 10 * 2048, 1024 + 0.0929296 / 10 * 2048)
)
_OUTDOORS = Camera.from_focal(
    (1920, 1080), 8.770747185 / 10 * 1920, (960 - 0.104908645 / 10 * 1920, 540 + 0.104899704 / 5.625 * 1080)
)
TEST_CAMERAS: dict[str, Camera] = dict.fromkeys(("TS1", "TS2", "TS3", "TS4"), _STUDIO) | dict.fromkeys(
    ("TS5", "TS6"), _OUTDOORS
)
"""The published intrinsics of the test sequences, from mm on the sensor (10 x 10 and 10 x 5.625); no distortion."""
TRAIN_CAMERA = replace(Camera.from_focal((2048, 2048), 1500.0), assumed=True)
"""A training camera where its intrinsics cannot be told: the studio's are all near 1500 px."""

_FITS_PX, _TEST_FITS_PX = 2.0, 20.0
"""How far beside the 2D annot3 may project (median): through a fitted camera, and a published one [ours]."""
_SAME_HEIGHT, _BESIDE = 0.01, 0.005


def recognises(path: Path) -> bool:
    """Whether a path is one of MPI-INF-3DHP's files or a folder with some, by name and by what they hold."""
    with suppress(OSError):
        return any(_holds_it(file) for file in _files(path))
    return False


def read(
    path: Path, split: str | None = None, keypoints: str = "gt", scale: Scale | None = None
) -> Iterator[PoseSequence]:
    """Yield the training sequences of each camera, "S1/Seq1/0", and the test sequences, "TS1", with their valid frames.

    3D is in the camera's frame, mm, with the root's path. A training camera's intrinsics are not in the file: they are
    fitted to the exact 2D and 3D of annot3 (least squares, no distortion), and assumed (`TRAIN_CAMERA`) for univ: a
    camera fitted to scaled people would be scaled too. From a mat file, the action is all activities in their order.

    Args:
        path: A folder with the npz files or the folders TS1 ... TS6, or one of the files.
        split: `train` (S1 to S8), `val` (S8 alone, to be held out of them), `test` (TS1 to TS6), or all.
        keypoints: `gt`: the set has no other 2D.
        scale: `univ` or `annot3`; if None, the one that is there, of two annot3.

    Raises:
        FileNotFoundError: If there is nothing to read, or not of that split or scale.
        ValueError: If there is no such split or 2D; if a file is damaged or pickles code, lacks something, or is in
            other units, axes or joints.
        ImportError: If a mat file is to be read without h5py.
    """
    require_split(split, SPLITS)
    if keypoints != "gt":
        raise ValueError(f"MPI-INF-3DHP's files hold exact 2D only: expected gt, got {keypoints!r}")
    files, scale = _wanted(path, split, scale)
    for file in files:
        if _is_mat(file):
            yield _read_mat(file, scale)
        else:
            yield from _read_npz(file, split, scale)


def scale_of(sequences: Iterable[PoseSequence]) -> Scale:
    """Tell univ_annot3 from annot3.

    People of one height have been scaled to it, people are not of one height: univ is where all subjects agree within
    1 % from knee to neck, from ankle to neck or from ankle to head top. A single subject tells by its 2D only: scaled
    3D projects beside it, by over 0.5 % of the person's size in the image unless the person happens to have the height.

    Args:
        sequences: Of all subjects, with 3D; of a single one with 2D and a camera too.

    Raises:
        ValueError: If there is no sequence.
    """
    by_subject: dict[str, list[PoseSequence]] = defaultdict(list)
    for sequence in sequences:
        by_subject[sequence.subject].append(sequence)
    if not by_subject:
        raise ValueError("expected sequences to tell their scale from, got none")
    if len(by_subject) == 1:
        (alone,) = by_subject.values()
        return "annot3" if np.median([_share_beside(sequence) for sequence in alone]) < _BESIDE else "univ"
    heights = np.array([np.median([_heights_mm(s) for s in theirs], 0) for theirs in by_subject.values()])
    return "univ" if (np.ptp(heights, 0) < _SAME_HEIGHT * heights.mean(0)).any() else "annot3"


def _heights_mm(sequence: PoseSequence) -> Float[ndarray, "3"]:
    """Knee to neck, ankle to neck and ankle to head top along the bones."""
    assert sequence.joints_mm is not None
    joints = _counted(sequence, sequence.joints_mm)

    def length(*chain: str) -> float:
        bones = np.diff(joints[:, sequence.skeleton.indices(*chain)], axis=1)
        return float(np.median(np.linalg.norm(bones, axis=-1).sum(-1)))

    thigh, shin = (
        (length(f"left_{a}", f"left_{b}") + length(f"right_{a}", f"right_{b}")) / 2
        for a, b in (("hip", "knee"), ("knee", "ankle"))
    )
    return np.cumsum((thigh + length("pelvis", "spine", "neck"), shin, length("neck", "head", "head_top")))


def _share_beside(sequence: PoseSequence) -> float:
    """How far beside the 2D the 3D projects, as a share of the person's size in the image."""
    assert sequence.keypoints_px is not None
    keypoints = _counted(sequence, sequence.keypoints_px)
    return _beside_px(sequence) / float(np.median(np.ptp(keypoints, axis=1).max(-1)))


def _beside_px(sequence: PoseSequence) -> float:
    """How far the projected 3D lies from the 2D, pixels, median."""
    assert sequence.camera is not None
    assert sequence.joints_mm is not None
    projected = sequence.camera.project(torch.from_numpy(sequence.joints_mm)).numpy()
    off = np.linalg.norm(projected - sequence.keypoints_px, axis=-1)
    return float(np.nanmedian(_counted(sequence, off)))


def _counted(sequence: PoseSequence, array: Float[ndarray, "N ..."]) -> Float[ndarray, "n ..."]:
    """The valid frames."""
    return array if sequence.valid is None else array[sequence.valid]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    mats = {*path.glob("annot_data.mat"), *path.glob("TS*/annot_data.mat"), *path.glob("*/TS*/annot_data.mat")}
    return [*sorted(path.glob("data_*_3dhp*.npz")), *sorted(mats)]


def _holds_it(file: Path) -> bool:
    if not _is_mat(file):
        return "3dhp" in file.name and "data" in array_names(file)
    with file.open("rb") as opened:
        return opened.read(8) in (b"MATLAB 7", b"\x89HDF\r\n\x1a\n")


def _is_mat(file: Path) -> bool:
    return file.name == "annot_data.mat"


def _offered(file: Path) -> tuple[set[str], set[Scale]]:
    """The splits and scales of a file, by its name."""
    if _is_mat(file):
        return {"test"}, {"univ", "annot3"}
    return ({"test"} if "test" in file.stem else {"train", "val"}), {"annot3" if file.stem.endswith("_ori") else "univ"}


def _wanted(path: Path, split: str | None, scale: Scale | None) -> tuple[list[Path], Scale]:
    """The files to read, and the scale to take of those that hold both. An npz goes before the mat files it is of."""
    there = _files(path)
    files = [file for file in there if split is None or split in _offered(file)[0]]
    scale = scale or ("annot3" if any("annot3" in _offered(file)[1] for file in files) else "univ")
    files = [file for file in files if scale in _offered(file)[1]]
    if not files:
        names = ", ".join(str(file.relative_to(path)) for file in there) if path.is_dir() else path.name
        raise FileNotFoundError(
            f"{path} has no {scale} data of the split {split or 'train or test'}; it has {names or 'nothing'}. "
            "univ is in data_train_3dhp.npz and data_test_3dhp.npz, annot3 in those that end in _ori.npz, "
            "TS1/annot_data.mat to TS6/annot_data.mat hold both of the test"
        )
    tested = any(not _is_mat(file) and "test" in _offered(file)[0] for file in files)
    return [file for file in files if not (tested and _is_mat(file))], scale


def _read_npz(file: Path, split: str | None, scale: Scale) -> Iterator[PoseSequence]:
    for name, entry in require_mapping(file.name, read_npz(file, "data"), "sequences").items():
        where = f"{file.name}, {name}"
        if name in TEST_CAMERAS:
            yield _test_sequence(where, name, require_mapping(where, entry, "data_2d, data_3d and valid"), scale)
        elif match := re.fullmatch(r"(S[1-8]) (Seq[12])", name):
            if split != "val" or match[1] == HELD_OUT:
                yield from _train_sequences(where, match[1], match[2], entry, scale)
        else:
            raise ValueError(f"{where}: expected sequences named 'S1 Seq1' to 'S8 Seq2' or 'TS1' to 'TS6'")


def _train_sequences(where: str, subject: str, take: str, entry: Any, scale: Scale) -> Iterator[PoseSequence]:
    if not isinstance(entry, list | tuple | ndarray) or len(entry) != 2 or not isinstance(entry[1], int | float):
        raise ValueError(f"{where}: expected a list of the cameras' dictionary and the frames per second")
    for camera, view in require_mapping(where, entry[0], "cameras").items():
        here = f"{where}, camera {camera}"
        held = require_mapping(here, view, "data_2d and data_3d")
        keypoints, joints = _pair(here, held)
        _require_seen(here, joints)
        sequence = PoseSequence(
            name=f"{subject}/{take}/{camera}",
            fps=float(entry[1]),
            skeleton=MPI_INF_3DHP_17,
            joints_mm=joints,
            keypoints_px=keypoints,
            camera=_fit_camera(keypoints, joints) if scale == "annot3" else TRAIN_CAMERA,
            subject=subject,
        )
        _require_scale(here, sequence, scale, _FITS_PX)
        yield sequence


def _test_sequence(where: str, name: str, held: Mapping[str, Any], scale: Scale, action: str = "") -> PoseSequence:
    keypoints, joints = _pair(where, held)
    sequence = PoseSequence(
        name=name,
        fps=TEST_FPS,
        skeleton=MPI_INF_3DHP_17,
        joints_mm=joints,
        keypoints_px=keypoints,
        camera=TEST_CAMERAS[name],
        valid=_valid(where, require_entry(where, held, "valid"), len(joints)),
        subject=name,
        action=action,
    )
    _require_seen(where, _counted(sequence, joints))
    _require_scale(where, sequence, scale, _TEST_FITS_PX)
    return sequence


def _read_mat(file: Path, scale: Scale) -> PoseSequence:
    name = file.resolve().parent.name
    where = f"{name}/{file.name}"
    if name not in TEST_CAMERAS:
        raise ValueError(f"{file}: expected it in a folder TS1 to TS6, whose camera it is seen by, got {name!r}")
    truth = {"univ": "univ_annot3", "annot3": "annot3"}[scale]
    held = _read_hdf5(file, "annot2", truth, "valid_frame", "activity_annotation")
    valid = _valid(where, held["valid_frame"], held["valid_frame"].size)
    pair = {"data_2d": _one_person(held["annot2"]), "data_3d": _one_person(held[truth])}
    action = _activities(where, held["activity_annotation"], valid)
    return _test_sequence(where, name, pair | {"valid": valid}, scale, action)


def _activities(where: str, value: ndarray, valid: Bool[ndarray, " N"]) -> str:
    """The names of the activities of the valid frames, in the order in which they begin."""
    numbers = value.ravel()[valid] if value.size == valid.size else np.zeros(1)
    if not np.isin(numbers, np.arange(1, len(ACTIVITIES) + 1)).all():
        raise ValueError(f"{where}, activity_annotation: expected a number from 1 to {len(ACTIVITIES)} for each frame")
    return ", ".join(dict.fromkeys(ACTIVITIES[int(number) - 1] for number in numbers))


def _read_hdf5(file: Path, *names: str) -> dict[str, ndarray]:
    """Arrays of a MATLAB v7.3 file, whose axes come in the order opposite to MATLAB's."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError('reading annot_data.mat needs an extra: pip install "dreampose3d[datasets]"') from error
    if not file.is_file():
        raise FileNotFoundError(f"no such file: {file}")
    try:
        with h5py.File(file, "r") as held:
            arrays = {name: np.asarray(held[name][()]) for name in names if isinstance(held.get(name), h5py.Dataset)}
            there = ", ".join(held)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{file} is not a mat file of MATLAB v7.3 or is cut off ({error}); copy or download it again"
        ) from error
    if missing := [name for name in names if name not in arrays]:
        raise ValueError(f"{file}: expected an array {missing[0]!r}; the file holds {there or 'nothing'}")
    return arrays


def _one_person(array: ndarray) -> ndarray:
    """(frames, 1, joints, C) -> (frames, joints, C); another shape is left for its error."""
    return array[:, 0] if array.ndim == 4 and array.shape[1] == 1 else array


def _pair(where: str, held: Mapping[str, Any]) -> tuple[Float[ndarray, "N J 2"], Float[ndarray, "N J 3"]]:
    count = MPI_INF_3DHP_17.num_joints
    keypoints = require_frames(f"{where}, 2D", require_entry(where, held, "data_2d"), count, 2)
    joints = require_frames(f"{where}, 3D", require_entry(where, held, "data_3d"), count, 3)
    if len(keypoints) != len(joints):
        raise ValueError(f"{where}: expected as many frames of 2D as of 3D, got {len(keypoints)} and {len(joints)}")
    require_pixels(f"{where}, 2D", keypoints)
    return keypoints.astype(np.float32), joints.astype(np.float32)


def _valid(where: str, value: Any, frames: int) -> Bool[ndarray, " N"]:
    marks = np.asarray(value).ravel()
    if marks.dtype.kind not in "biuf" or marks.size != frames or not np.isin(marks, (0, 1)).all():
        raise ValueError(
            f"{where}, valid: expected 0 or 1 for each of the {frames} frames, got {marks.size} {marks.dtype}"
        )
    if not marks.any():
        raise ValueError(f"{where}, valid: expected some valid frames, got none")
    return marks.astype(bool)


def _require_seen(where: str, joints_mm: Float[ndarray, "N J 3"]) -> None:
    """A person, in millimetres, in front of the camera."""
    require_finite(f"{where}, 3D", joints_mm)
    require_person(f"{where}, 3D", joints_mm, MPI_INF_3DHP_17)
    depth = float(np.median(joints_mm[..., 2]))
    if depth <= 0:
        raise ValueError(
            f"{where}, 3D: expected the camera's frame with z forward, got people at z = {depth:.0f} mm, behind it; "
            "the world's frame, or another order or sign of the axes"
        )


def _require_scale(where: str, sequence: PoseSequence, scale: Scale, within_px: float) -> None:
    """annot3 projects onto the 2D; univ_annot3 need not."""
    if scale == "annot3" and not (off := _beside_px(sequence)) <= within_px:
        raise ValueError(
            f"{where}: expected annot3, which projects onto the 2D, got 3D that lies {off:.3g} px beside it (median); "
            "univ_annot3 under another name, swapped sides, or axes in another order"
        )


def _fit_camera(keypoints_px: Float[ndarray, "N J 2"], joints_mm: Float[ndarray, "N J 3"]) -> Camera:
    """Focal lengths and centre that map the 3D onto the 2D best (least squares).

    u = fx x / z + cx is linear in fx and cx, and so is v.
    """
    few = np.linspace(0, len(joints_mm) - 1, min(len(joints_mm), 500)).astype(int)
    rays = (joints_mm[few, :, :2] / joints_mm[few, :, 2:]).astype(np.float64).reshape(-1, 2)
    seen = keypoints_px[few].astype(np.float64).reshape(-1, 2)
    (fx, cx), (fy, cy) = (np.polyfit(rays[:, axis], seen[:, axis], 1) for axis in (0, 1))
    if not (fx > 0 and fy > 0):
        return TRAIN_CAMERA  # the 3D is mirrored or behind the camera, which is found out where the two are compared
    return replace(TRAIN_CAMERA, focal_px=(float(fx), float(fy)), center_px=(float(cx), float(cy)), assumed=False)
