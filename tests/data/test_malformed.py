"""Data sets spoilt in every way that happens: `data check` refuses or flags each, with the right words.

A case is a whole data set in miniature on the disk with one thing wrong in its 3D, its 2D or its main file.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import xarray
from numpy import ndarray
from tests.data.pitching_files import npz_arrays, pitch, write_c3d, write_csv, write_index
from tests.miniatures import H36M_32, person, write_3dhp, write_h36m
from tests.motion import write_set

from dreampose3d.data.check import check_data, describe
from dreampose3d.skeleton import H36M_17, MPI_INF_3DHP_17, Skeleton

FRAMES = 40
Change = Callable[[ndarray], ndarray]


def keep(array: ndarray) -> ndarray:
    return array


class Source(NamedTuple):
    """A data set in miniature, written with a change of all its 3D and of all its exact 2D."""

    write: Callable[[Path, Change, Change], object]
    file: str
    """The file that holds the 3D."""
    has_2d: bool = True
    any_shape: bool = True
    """Whether a file can be written whose arrays have other shapes or types."""
    skeleton: Skeleton = H36M_17
    places: tuple[int, ...] = tuple(range(H36M_17.num_joints))
    """Where the skeleton's joints lie in the file."""
    up: tuple[int, int] = (2, 1)
    """The axis of the file's 3D that is up, and its sign."""


def change_npz(path: Path, alter: Callable[[str, Any], Any]) -> None:
    """Write an npz again, each array of its nested dictionaries and lists changed by `alter(key, array)`."""

    def nested(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {inner: nested(inner, item) for inner, item in value.items()}
        if isinstance(value, list) and any(isinstance(item, ndarray | dict) for item in value):
            return [nested(key, item) for item in value]
        return alter(key, value) if isinstance(value, ndarray) else value

    with np.load(path, allow_pickle=True) as held:
        arrays = {name: held[name].item() if held[name].dtype == object else held[name] for name in held.files}
    np.savez(path, **{name: nested(name, value) for name, value in arrays.items()})


def mocap(folder: Path, change_3d: Change, _: Change) -> None:
    clips = {f"t{n}": person(FRAMES, 50, seed=n).astype(np.int16) for n in (0, 1)}
    rows = [
        {"subject": "s1", "trial": t, "fps": 50, "split": "train", "action": "walking", "joints": change_3d(j)}
        for t, j in clips.items()
    ]
    write_set(folder, rows)


def h36m(folder: Path, change_3d: Change, change_2d: Change) -> None:
    write_h36m(folder, subjects=("S9",), actions=("Walking",), frames=FRAMES)
    change_npz(folder / "data_3d_h36m.npz", lambda _, array: change_3d(array))
    change_npz(folder / "data_2d_h36m_gt.npz", lambda key, array: change_2d(array) if key == "Walking" else array)
    (folder / "data_2d_h36m_cpn_ft_h36m_dbb.npz").unlink()


def d3dp(folder: Path, change_3d: Change, change_2d: Change) -> None:
    one = {"subjects": ("S1", "S2"), "sequences": ("Seq1",), "tests": ("TS1",), "cameras": ("0",)}
    write_3dhp(folder, "d3dp", **one, frames=FRAMES)
    changes = {"data_3d": change_3d, "data_2d": change_2d}
    for name in ("train", "test"):
        change_npz(folder / f"data_{name}_3dhp_ori.npz", lambda key, array: changes.get(key, keep)(array))


def mat(folder: Path, change_3d: Change, change_2d: Change) -> None:
    write_3dhp(folder, "mat", tests=("TS1", "TS5"), frames=FRAMES)
    for path in folder.glob("*/annot_data.mat"):
        with h5py.File(path, "r+") as held:
            for name, change in (("annot3", change_3d), ("univ_annot3", change_3d), ("annot2", change_2d)):
                changed = change(held[name][:, 0])
                del held[name]
                held[name] = changed[:, None] if changed.dtype.kind != "U" else changed.astype("S")


def pitching(folder: Path, change_3d: Change, change_2d: Change) -> None:
    arrays = npz_arrays(pitch(FRAMES))
    arrays = {name: value for name, value in arrays.items() if "vitpose" not in name}
    changed = {"joints_mm": change_3d(arrays["joints_mm"]), "keypoints_px": change_2d(arrays["keypoints_px"])}
    folder.mkdir(parents=True)
    np.savez(folder / "p1.npz", **arrays | changed)
    write_index(folder, [{"file": "p1.npz", "split": "test", "subject": "P1", "action": "delivery"}])


def c3d(folder: Path, change_3d: Change, _: Change) -> None:
    folder.mkdir(parents=True)
    write_c3d(folder / "p1.c3d", change_3d(pitch(FRAMES)))
    write_index(folder, [{"file": "p1.c3d", "split": "test"}])


def comma_separated(folder: Path, change_3d: Change, _: Change) -> None:
    folder.mkdir(parents=True)
    write_csv(folder / "p1.csv", change_3d(pitch(FRAMES)), fps=30.0)
    write_index(folder, [{"file": "p1.csv", "split": "test", "units": "mm", "up": "z"}])


def movement(folder: Path, change_3d: Change, _: Change) -> None:
    folder.mkdir(parents=True)
    joints = change_3d(person(FRAMES, 30))
    dims = ("time", "keypoint", "space", "individual")
    coords = {"space": list("xyz"), "keypoint": list(H36M_17.joints), "individual": ["id_0"]}
    held = xarray.Dataset({"position": (dims, joints[..., None], {"units": "mm"})}, coords, {"fps": 30.0})
    held.to_netcdf(folder / "p1.nc")


SOURCES = {
    "mocap": Source(mocap, "s1.npz", has_2d=False),
    "h36m": Source(h36m, "data_3d_h36m.npz", places=H36M_32),
    "3dhp npz": Source(
        d3dp, "data_train_3dhp_ori.npz", skeleton=MPI_INF_3DHP_17, up=(1, -1), places=tuple(range(17)),
    ),
    "3dhp mat": Source(mat, "TS1/annot_data.mat", skeleton=MPI_INF_3DHP_17, up=(1, -1)),
    "pitching npz": Source(pitching, "p1.npz"),
    "pitching c3d": Source(c3d, "p1.c3d", has_2d=False, any_shape=False),
    "pitching csv": Source(comma_separated, "p1.csv", has_2d=False, any_shape=False),
    "movement": Source(movement, "p1.nc", has_2d=False, any_shape=False),
}  # fmt: skip


def swapped(source: Source) -> Change:
    """Left and right joints exchanged, whatever else the file holds left in its place."""

    def change(array: ndarray) -> ndarray:
        order = np.arange(array.shape[1])
        places = np.array(source.places if array.shape[-1] == 3 else range(source.skeleton.num_joints))
        order[places] = places[source.skeleton.mirror]
        return array[:, order]

    return change


def upside_down(source: Source) -> Change:
    """Turned by half a turn about the third axis or the first: no mirror."""
    axis, _ = source.up
    sign = np.ones(3)
    sign[[0, axis]] = -1
    return lambda array: array * sign


def with_frames(frames: slice, value: Any) -> Change:
    def change(array: ndarray) -> ndarray:
        changed = array.astype(np.float32)
        changed[frames] = value if not callable(value) else value(changed)
        return changed

    return change


VALUES: dict[str, tuple[Callable[[Source], Change], str]] = {
    "a thousandth": (lambda _: lambda j: j / 1000, "unit is another one|metres"),
    "a tenth": (lambda _: lambda j: j / 10, "unit is another one|centimetres"),
    "a thousandfold": (lambda _: lambda j: j.astype(float) * 1000, "unit is another one|x 1e-3"),
    "NaN in some frames": (lambda _: with_frames(slice(5, 9), np.nan), "NaN"),
    "infinity in a frame": (lambda _: with_frames(slice(5, 6), np.inf), "infinit|NaN"),
    "sides swapped": (swapped, "swapped|exchanged"),
    "mirrored": (lambda _: lambda j: j * (-1, 1, 1), "mirrored|swapped|negate|exchanged"),
    "upside down": (upside_down, "stand along|behind|beside|other axes|in the world"),
    "all zero": (lambda _: lambda j: j * 0, "legs of|one point|got 0 mm"),
    "the same frame": (lambda _: lambda j: np.repeat(j[:1], len(j), 0), "frames in a row are the same|2D"),
    "a jump": (lambda _: with_frames(slice(20, None), lambda j: j[20:] * 1.0 + 3000 * j.std() / 700), "m/s|2D"),
}
SHAPES: dict[str, tuple[Change, str]] = {
    "joints and coordinates exchanged": (lambda j: j.transpose(0, 2, 1), r"transpose|got \(40, 3, 17\)"),
    "frames last": (lambda j: j.transpose(1, 2, 0), r"transpose|got \(17, 3, 40\)"),
    "16 joints": (lambda j: j[:, :16], "16"),
    "a joint too many": (lambda j: np.concatenate((j, j[:, :1]), 1), "18|33"),
    "two coordinates": (lambda j: j[..., :2], r"\(40, \d+, 2\)"),
    "no frames": (lambda j: j[:0], r"no frames|got \(0,"),
    "a row a frame": (lambda j: j.reshape(len(j), -1), r"\(40, (1, )?\d+\)"),
    "text": (lambda j: j.astype(str), "<U|S|text|numbers"),
}
PIXELS: dict[str, tuple[Callable[[Source], Change], str]] = {
    "normalised": (lambda _: lambda k: k / 1000 - 0.5, "normalised"),
    "y from the bottom": (lambda _: lambda k: k * (1, -1) + (0, 1000), "2D"),
    "mirrored": (lambda _: lambda k: k * (-1, 1) + (1000, 0), "2D"),
    "x and y exchanged": (lambda _: lambda k: k[..., ::-1], "2D"),
    "sides swapped": (swapped, "2D"),
    "half a size": (lambda _: lambda k: k / 2, "2D"),
    "frames out of step": (lambda _: lambda k: np.roll(k, 17, 0) + 15, "2D"),
    "fewer frames": (lambda _: lambda k: k[:30], "30"),
    "16 joints": (lambda _: lambda k: k[:, :16], "16"),
    "none seen": (lambda _: lambda k: k * np.nan, "none is|NaN"),
    "text": (lambda _: lambda k: k.astype(str), "<U|S|text|numbers"),
}
CONTENT: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut off": (lambda content: content[: len(content) // 2], "cut off|damaged|cells|names"),
    "empty": (lambda content: b"", "cut off|damaged|no format|lines"),
    "noise": (lambda content: np.random.default_rng(0).bytes(2000), "cut off|damaged|no format|not a"),
}


def told(path: Path) -> str:
    """What `data check` says, or the error that ends it."""
    try:
        return describe(check_data(path))
    except ValueError as error:
        assert re.search(r"expected|name the folder|copy|again", str(error)), str(error)  # noqa: PT017
        return f"WRONG: {error}"


def assert_flagged(path: Path, words: str) -> None:
    said = told(path)
    problems = [line for line in said.splitlines() if "WRONG" in line or "note" in line]
    assert any(re.search(words, line) for line in problems), said


@pytest.mark.parametrize("name", SOURCES)
def test_unspoilt_nothing_looks_wrong(tmp_path, name):
    SOURCES[name].write(tmp_path / "set", keep, keep)
    assert told(tmp_path / "set").endswith("nothing looks wrong")


@pytest.mark.parametrize("change", VALUES)
@pytest.mark.parametrize("name", SOURCES)
def test_3d_that_is_wrong(tmp_path, name, change):
    source, (spoil, words) = SOURCES[name], VALUES[change]
    source.write(tmp_path / "set", spoil(source), keep)
    assert_flagged(tmp_path / "set", words)


@pytest.mark.parametrize("change", SHAPES)
@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.any_shape])
def test_3d_of_another_shape(tmp_path, name, change):
    spoil, words = SHAPES[change]
    SOURCES[name].write(tmp_path / "set", spoil, keep)
    assert_flagged(tmp_path / "set", words)


@pytest.mark.parametrize("change", PIXELS)
@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.has_2d])
def test_2d_that_is_wrong(tmp_path, name, change):
    source, (spoil, words) = SOURCES[name], PIXELS[change]
    source.write(tmp_path / "set", keep, spoil(source))
    assert_flagged(tmp_path / "set", words)


@pytest.mark.parametrize("change", CONTENT)
@pytest.mark.parametrize("name", SOURCES)
def test_files_with_other_content(tmp_path, name, change):
    SOURCES[name].write(tmp_path / "set", keep, keep)
    file, (spoil, words) = tmp_path / "set" / SOURCES[name].file, CONTENT[change]
    file.write_bytes(spoil(file.read_bytes()))
    assert_flagged(tmp_path / "set", words)
