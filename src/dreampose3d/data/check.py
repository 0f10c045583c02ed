"""Is this data what it should be: which format, how much, and what looks wrong, with how to mend it.

A reader refuses what cannot be meant. Here everything that it accepts is looked at as motion of a person: bones as
long as people's, the same on both sides and in all frames; knees that bend forwards (else left and right are
exchanged); up where up should be; 2D where the 3D projects; frames that neither stand still nor jump.
"""

import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.data import h36m, mlbpitchdb, mocap, movement, mpi_inf_3dhp
from dreampose3d.sequence import PoseSequence

_BONE_MM = {"knee": (250, 650), "ankle": (250, 650), "elbow": (150, 480), "wrist": (130, 420)}
"""Lengths of the bones that end in these joints: from children to giants."""
_SIDES_DIFFER = 0.15
_BONES_VARY = 0.12
_BENT = np.cos(np.radians(160))  # knees straighter than 160 degrees do not show which way they bend
_FROZEN_S = 0.5
_JUMP_M_PER_S = 25.0  # faster than a pitcher's hand
_MISPLACED = {True: 0.02, False: 0.15}
"""How far the median 2D joint may lie from the projected 3D one, in body sizes: exact 2D, detected 2D."""
_MOST_MISSING = 0.25


class Finding(NamedTuple):
    """Something that looks wrong in one sequence."""

    kind: str
    what: str
    mend: str
    serious: bool = True
    """Whether the data should not be used before it is mended."""


class Problem(NamedTuple):
    """A finding, with how many sequences it was made in."""

    what: str
    mend: str
    serious: bool
    sequences: int
    first: str


@dataclass(frozen=True)
class Checked:
    """What is at a path."""

    path: str
    format: str
    sequences: int
    frames: int
    subjects: tuple[str, ...]
    actions: tuple[str, ...]
    fps: tuple[float, ...]
    skeletons: tuple[str, ...]
    space: str
    """Units and frame of the 3D."""
    keypoints: tuple[str, ...]
    """The kinds of 2D that were read."""
    problems: tuple[Problem, ...]

    @property
    def serious(self) -> int:
        """How many problems forbid the use of the data."""
        return sum(problem.serious for problem in self.problems)


class Format(NamedTuple):
    """A source as `check_data` uses it."""

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, str], Iterator[PoseSequence]]
    """(path, which 2D) -> sequences."""
    keypoints: Callable[[Path], list[str]] = lambda path: ["gt"]
    """The kinds of 2D that a path holds."""


def _of_3dhp(path: Path) -> Iterator[PoseSequence]:
    """In univ_annot3 people have one height and no longer lie where the 2D shows them: nothing is to be compared."""
    sequences = list(mpi_inf_3dhp.read(path))
    scaled = mpi_inf_3dhp.scale_of(sequences) == "univ"
    for sequence in sequences:
        camera = sequence.camera
        yield replace(sequence, camera=replace(camera, assumed=True)) if scaled and camera is not None else sequence


FORMATS = (
    Format("canonical motion capture", mocap.recognises, lambda path, _: map(_as_sequence, mocap.read_mocap(path))),
    Format(
        "Human3.6M (npz)",
        h36m.recognises,
        lambda path, keypoints: h36m.read(path, detections=keypoints),
        lambda path: h36m.detections(path),
    ),
    Format("MPI-INF-3DHP", mpi_inf_3dhp.recognises, lambda path, _: _of_3dhp(path)),
    Format(
        "pitching capture",
        mlbpitchdb.recognises,
        lambda path, keypoints: mlbpitchdb.read(path, keypoints=keypoints, fps=None),
        mlbpitchdb.detections,
    ),
    Format("movement (netCDF)", movement.recognises, lambda path, _: movement.read(path)),
)


def check_data(path: Path, progress: Callable[[int, int | None], None] | None = None) -> Checked:
    """Recognise a data set and look at all of it.

    Args:
        path: A folder or a file.
        progress: Told (frames done, None) now and then.

    Raises:
        FileNotFoundError: If there is nothing at the path.
        ValueError: If no format is recognised, with those that are known.
    """
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    found = next((each for each in FORMATS if each.recognises(path)), None)
    if found is None:
        raise ValueError(
            f"{path} is in no format that is known: {', '.join(each.name for each in FORMATS)}; {_damaged(path)}name "
            "the folder that holds the set's own files, or add a source (docs/custom-data.md)"
        )
    survey, kinds = _Survey(progress), found.keypoints(path)
    for kind in kinds:
        try:
            for sequence in found.read(path, kind):
                survey.add(sequence, exact=kind == "gt")
        except (ValueError, OSError) as error:  # what the reader refuses, it explains
            survey.note("", Finding(f"refused {kind}", str(error), "", serious=True))
    return survey.result(str(path), found.name, kinds)


def _damaged(path: Path) -> str:
    """In words, which npz files are none: a set whose main file is cut off cannot be recognised."""
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path] if path.suffix == ".npz" else []
    names = ", ".join(file.name for file in files if not zipfile.is_zipfile(file))
    return f"{names} is damaged or cut off, copy or download it again; or " if names else ""


def describe(checked: Checked) -> str:
    """A result in words: a line of facts each, then the problems, the worst first."""
    lines = [
        f"{checked.path}: {checked.format}",
        f"  {_count(checked.sequences, 'sequence')}, {_count(checked.frames, 'frame')}, "
        f"{_count(len(checked.subjects), 'subject')} ({_few(checked.subjects)})",
        f"  {_few([f'{fps:g}' for fps in checked.fps])} frames/s; joints {_few(checked.skeletons)}; {checked.space}; "
        f"2D: {_few(checked.keypoints)}",
        f"  actions: {_few(checked.actions)}",
    ]
    if not checked.problems:
        return "\n".join([*lines, "  nothing looks wrong"])
    for problem in checked.problems:
        many = f"{problem.sequences} of {checked.sequences} sequences"
        where = f" [{many}, first {problem.first}]" if problem.first else ""
        mend = f"; {problem.mend}" if problem.mend else ""
        lines.append(f"  {'WRONG' if problem.serious else 'note'}: {problem.what}{mend}{where}")
    return "\n".join(lines)


def findings(sequence: PoseSequence, exact: bool = True) -> list[Finding]:
    """What looks wrong in one sequence.

    Args:
        sequence: 3D, 2D or both.
        exact: Whether its 2D is said to be a projection of its 3D, and not a detector's.
    """
    found = list(_rate(sequence))
    if sequence.joints_mm is not None:
        missing = 1 - float(np.isfinite(sequence.joints_mm).all(-1).mean())
        if missing:
            found.append(_missing("3D", missing))
        if missing < 1:
            found += [*_bones(sequence), *_bending(sequence), *_upright(sequence), *_movement(sequence)]
    if sequence.keypoints_px is not None:
        missing = 1 - float(np.isfinite(sequence.keypoints_px).all(-1).mean())
        if missing > _MOST_MISSING:
            found.append(_missing("2D", missing))
        found += [*_pixels(sequence), *_agreement(sequence, exact)]
    return found


def _kind(joint: str) -> str:
    """A joint's name without its side."""
    return joint.rpartition("_")[2]


def _missing(what: Literal["2D", "3D"], share: float) -> Finding:
    mend = "leave these frames out" if what == "3D" else "look whether the detector saw the right person"
    told = f"{share:.0%} of the {what} joints are NaN or infinite"
    return Finding(f"missing {what}", told, mend, serious=what == "3D")


def _rate(sequence: PoseSequence) -> Iterator[Finding]:
    if not 5 <= sequence.fps <= 1000:
        yield Finding("rate", f"{sequence.fps:g} frames/s is no camera's rate", "correct fps in the file")
    if len(sequence) < 2:
        yield Finding("short", "it has a single frame", "motion needs two", serious=False)


def _bones(sequence: PoseSequence) -> Iterator[Finding]:
    """Lengths as people have them, on both sides and in all frames."""
    assert sequence.joints_mm is not None
    skeleton, lengths = sequence.skeleton, {}
    for joint, parent in skeleton.bones:
        length = np.linalg.norm(sequence.joints_mm[:, joint] - sequence.joints_mm[:, parent], axis=-1)
        lengths[skeleton.joints[joint]] = length[np.isfinite(length)]
    middle = {name: float(np.median(length)) for name, length in lengths.items() if len(length)}
    limbs = {name: mm for name, mm in middle.items() if _kind(name) in _BONE_MM}
    ratios = [mm / np.mean(_BONE_MM[_kind(name)]) for name, mm in limbs.items()]
    if not ratios:
        return
    scale = float(np.median(ratios))
    if scale <= 0:
        yield Finding("no size", "all joints of a limb lie in one point", "read the joints' axes again")
        return
    odd = [name for name, mm in limbs.items() if not _BONE_MM[_kind(name)][0] < mm < _BONE_MM[_kind(name)][1]]
    power = round(np.log10(scale))
    if power:
        unit = {-3: "metres", -2: "decimetres", -1: "centimetres"}.get(power, f"millimetres x 1e{-power}")
        yield Finding("unit", f"bones are as long as people's in {unit}", f"multiply the 3D by {10.0**-power:g}")
    elif odd:
        told = ", ".join(f"{name} {middle[name]:.0f}" for name in odd[:3])
        yield Finding("bones", f"bones that end here are no person's, mm: {told}", "check the order of the joints")
    for kind in _BONE_MM:
        left, right = (middle.get(f"{side}_{kind}", np.nan) for side in ("left", "right"))
        if min(left, right) > 0 and abs(np.log(left / right)) > _SIDES_DIFFER:
            said = f"the bone to the left {kind} is {left / right:.2f} times as long as that to the right one"
            yield Finding("sides", said, "check the order of the joints")
            break
    vary = max((float(np.std(lengths[n]) / middle[n]) for n in limbs if middle[n] > 0), default=0.0)
    if vary > _BONES_VARY:
        yield Finding(
            "varying bones",
            f"a bone's length varies by {vary:.0%}",
            "joints are mixed up in some frames, or tracked one by one: smooth them or leave the clip out",
            serious=vary > 3 * _BONES_VARY,
        )


def _bending(sequence: PoseSequence) -> Iterator[Finding]:
    """Knees bend forwards: to the side on which the left hip is at the left."""
    assert sequence.joints_mm is not None
    skeleton, joints = sequence.skeleton, sequence.joints_mm
    hips = skeleton.indices("left_hip", "right_hip")
    across, up = joints[:, hips[0]] - joints[:, hips[1]], _trunk(sequence)
    forward = np.cross(across, up)
    bends = []
    for side in ("left", "right"):
        hip, knee, ankle = (joints[:, j] for j in skeleton.indices(f"{side}_hip", f"{side}_knee", f"{side}_ankle"))
        thigh, shank = hip - knee, ankle - knee
        with np.errstate(invalid="ignore", divide="ignore"):
            cosine = (thigh * shank).sum(-1) / (np.linalg.norm(thigh, axis=-1) * np.linalg.norm(shank, axis=-1))
        ahead = knee - (hip + ankle) / 2
        bends.append(np.sign((ahead * forward).sum(-1))[cosine > _BENT])
    signs = np.concatenate(bends)
    if len(signs) >= 5 and signs.mean() < -0.5:
        yield Finding(
            "knees",
            "the knees bend backwards",
            "left and right are exchanged, or one axis of the 3D is mirrored: swap the sides or negate that axis",
        )


def _trunk(sequence: PoseSequence) -> Float[ndarray, "N 3"]:
    """From the middle of the hips to the middle of the shoulders: every skeleton has these."""
    assert sequence.joints_mm is not None
    at = sequence.skeleton.indices
    hips, shoulders = (list(at(f"left_{part}", f"right_{part}")) for part in ("hip", "shoulder"))
    trunk: ndarray = sequence.joints_mm[:, shoulders].mean(1) - sequence.joints_mm[:, hips].mean(1)
    return trunk


def _upright(sequence: PoseSequence) -> Iterator[Finding]:
    """In the world z is up; in the camera's frame up is mostly against y."""
    trunk = _trunk(sequence)
    trunk = trunk / np.maximum(np.linalg.norm(trunk, axis=-1, keepdims=True), 1e-9)
    mean = np.nanmean(trunk, 0)
    axis, length = int(np.abs(mean).argmax()), float(np.linalg.norm(mean))
    if length < 0.6:  # lying, tumbling: no direction can be told
        return
    said = f"{'-' if mean[axis] < 0 else '+'}{'xyz'[axis]}"
    if sequence.camera is None and said != "+z":
        yield Finding("up", f"people stand along {said}", "turn the 3D so that z is up")
    if sequence.camera is not None and said in ("+y", "+z", "-z"):
        told = f"in the camera's frame people stand along {said}"
        yield Finding("up", told, "x is right, y is down, z is forward", serious=said == "+y")


def _movement(sequence: PoseSequence) -> Iterator[Finding]:
    """Neither frozen nor jumping."""
    assert sequence.joints_mm is not None
    if len(sequence) < 3:
        return
    step = np.linalg.norm(np.diff(sequence.joints_mm, axis=0), axis=-1)  # N-1 J
    still = (step < 1e-6).all(1)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], still.astype(int), [0]))))
    longest = int((edges[1::2] - edges[::2]).max(initial=0))
    if longest / sequence.fps >= _FROZEN_S:
        what = f"{longest + 1} frames in a row are the same"
        yield Finding("frozen", what, "cut them out, or mark them as not valid", serious=longest > 0.5 * len(sequence))
    fast = float(np.nanmax(step)) * sequence.fps / 1000
    if fast > _JUMP_M_PER_S:
        share = float((step * sequence.fps / 1000 > _JUMP_M_PER_S).any(1).mean())
        yield Finding(
            "jump",
            f"a joint moves at {fast:.0f} m/s",
            "a jump in the recording, or another frame rate: cut the clip there",
            serious=share > 0.05,
        )


def _pixels(sequence: PoseSequence) -> Iterator[Finding]:
    """2D in pixels, mostly inside the image."""
    assert sequence.keypoints_px is not None
    known = sequence.keypoints_px[np.isfinite(sequence.keypoints_px).all(-1)]
    if len(known) and float(np.abs(known).max()) <= 1.5:
        yield Finding("normalised", "2D lies within +-1.5, so it is normalised to the screen", "write it in pixels")
    elif len(known) and sequence.camera is not None:
        outside = float(((known < 0) | (known > np.array(sequence.camera.size_px))).any(-1).mean())
        if outside > 0.5:
            width, height = sequence.camera.size_px
            yield Finding(
                "outside", f"{outside:.0%} of the 2D lies outside {width}x{height}", "correct the image's size", False
            )


def _agreement(sequence: PoseSequence, exact: bool) -> Iterator[Finding]:
    """2D where the 3D projects; if not, whether another reading of it fits."""
    if sequence.joints_mm is None or sequence.camera is None or sequence.camera.assumed:
        return
    projected = sequence.camera.project(torch.from_numpy(np.asarray(sequence.joints_mm, np.float64))).numpy()
    keypoints = np.asarray(sequence.keypoints_px, np.float64)
    if not np.isfinite(projected).any():
        yield Finding("behind", "the 3D lies behind the camera", "z is forward in the camera's frame: negate it")
        return
    off, limit = _misplaced(keypoints, projected), _MISPLACED[exact]
    if not off > limit:
        return
    width, height = sequence.camera.size_px
    mirror = sequence.skeleton.mirror
    readings = {
        "read with y counted from the bottom": keypoints * (1, -1) + (0, height),
        "mirrored": keypoints * (-1, 1) + (width, 0),
        "read with x and y exchanged": keypoints[..., ::-1],
        "read with left and right exchanged": keypoints[:, mirror],
    }
    best = min(readings, key=lambda name: _misplaced(readings[name], projected))
    cure = (
        f"it would fit if it were {best}"
        if _misplaced(readings[best], projected) < off / 4
        else "check camera, order and frames"
    )
    yield Finding("2D against 3D", f"the 2D lies {off:.2f} body sizes from where the 3D projects", cure)


def _misplaced(keypoints: Float[ndarray, "N J 2"], projected: Float[ndarray, "N J 2"]) -> float:
    """The median distance in body sizes, over the frames that show somebody."""
    seen = np.isfinite(projected).all(-1).any(1)
    keypoints, projected = keypoints[seen], projected[seen]
    size = np.nanmedian(np.linalg.norm(projected - np.nanmean(projected, 1, keepdims=True), axis=-1)) * 1.5
    return float(np.nanmedian(np.linalg.norm(keypoints - projected, axis=-1)) / size)


class _Survey:
    """Counts sequences and their findings."""

    def __init__(self, progress: Callable[[int, int | None], None] | None) -> None:
        self.progress = progress
        self.names: set[str] = set()
        self.frames = 0
        self.seen: dict[str, set[Any]] = {key: set() for key in ("subject", "action", "fps", "skeleton", "space")}
        self.found: dict[str, tuple[Finding, set[str], str]] = {}

    def add(self, sequence: PoseSequence, exact: bool) -> None:
        if sequence.name not in self.names:
            self.names.add(sequence.name)
            self.frames += len(sequence)
        told = {"subject": sequence.subject, "action": sequence.action, "fps": sequence.fps}
        told["skeleton"] = sequence.skeleton.name
        told["space"] = "no 3D" if sequence.joints_mm is None else _space(sequence)
        for key, value in told.items():
            if value != "":
                self.seen[key].add(value)
        for finding in findings(sequence, exact):
            self.note(sequence.name, finding)
        if self.progress is not None:
            self.progress(self.frames, None)

    def note(self, where: str, finding: Finding) -> None:
        worst, sequences, place = self.found.get(finding.kind, (finding, set(), where))
        if finding.serious and not worst.serious:
            worst, place = finding, where
        self.found[finding.kind] = (worst, sequences | {where}, place)

    def result(self, path: str, name: str, keypoints: list[str]) -> Checked:
        problems = [
            Problem(finding.what, finding.mend, self._forbids(finding, len(where)), len(where), first)
            for finding, where, first in self.found.values()
        ]
        ordered = {key: tuple(sorted(values)) for key, values in self.seen.items()}
        return Checked(
            path, name, len(self.names), self.frames, ordered["subject"], ordered["action"], ordered["fps"],
            ordered["skeleton"], " and ".join(ordered["space"]) or "nothing readable", tuple(keypoints),
            tuple(sorted(problems, key=lambda problem: not problem.serious)),
        )  # fmt: skip

    def _forbids(self, finding: Finding, sequences: int) -> bool:
        """A direction of up is wrong if most sequences have it: a few people lie or tumble."""
        return finding.serious and (finding.kind != "up" or 2 * sequences > len(self.names))


def _space(sequence: PoseSequence) -> str:
    return "mm in the world, z up" if sequence.camera is None else "mm in the camera's frame"


def _as_sequence(clip: mocap.MocapClip) -> PoseSequence:
    return PoseSequence(clip.trial, clip.fps, joints_mm=clip.joints_mm, subject=clip.subject, action=clip.action)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _few(names: Iterable[str], most: int = 6) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "not told"
