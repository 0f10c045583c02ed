"""Human3.6M as VideoPose3D packed it: `data_3d_h36m.npz` and any `data_2d_h36m_<detections>.npz` beside it.

The 3D is in the world, metres, 32 joints, 50 frames/s; the 2D in pixels of four cameras, 17 joints. We yield a sequence
per camera in the camera's own frame, mm, with the published calibration (`h36m_cameras.json`).
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
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
from dreampose3d.skeleton import COCO_17, H36M_17, Skeleton

FPS = 50.0
SUBJECTS: dict[str, tuple[str, ...]] = {
    "train": ("S1", "S5", "S6", "S7", "S8"),
    "val": ("S8",),
    "test": ("S9", "S11"),
}
"""The published split. `val` is the subject of `train` that training holds out to choose its weights."""
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases", "Sitting",
    "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether",
)  # fmt: skip
"""The 15 that tables average over. A recording's key is one of them, and mostly a number: "Directions 1"."""

_RENAMED = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}  # Human3.6M's own names
_JOINTS = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""The 17 joints of H36M_17 among the file's 32."""
_ALL_JOINTS = 32
_FILE_3D = "data_3d_h36m.npz"
_EXACT_PX, _DETECTED_PX = 5.0, 60.0
"""How far the median 2D joint may lie from the projected 3D one before the two cannot belong together."""


def recognises(path: Path) -> bool:
    """Whether a path is Human3.6M's folder of npz files, or its 3D file, by what the file holds."""
    with suppress(OSError):
        return "positions_3d" in array_names(path / _FILE_3D if path.is_dir() else path)
    return False


def read(path: Path, split: str | None = None, detections: str = "gt") -> Iterator[PoseSequence]:
    """Yield a sequence per recording and camera, "S9/Directions 1/54138969".

    3D is in the camera's frame, mm, with the root's path; 2D in pixels, cut to the frames that have 3D. The action is
    its group, one of `ACTIONS`. 2D in COCO's joints is converted by name.

    Args:
        path: The folder, or the 3D file in it.
        split: Subjects S1, S5 to S8 (`train`); S8 alone, to be held out of them (`val`); S9 and S11 (`test`); or all.
        detections: Which 2D: `gt`, `cpn_ft_h36m_dbb` or the ending of any other `data_2d_h36m_*.npz` there.

    Raises:
        FileNotFoundError: If there is no such file; for 2D with those that are there.
        ValueError: If there is no such split; if a file is damaged or pickles code, lacks something, or is in other
            units, axes or joints.
    """
    require_split(split, SUBJECTS)
    folder = path if path.is_dir() else path.parent
    world = require_mapping(_FILE_3D, read_npz(folder / _FILE_3D, "positions_3d"), "subjects")
    keypoints, skeleton = _read_2d(folder, detections)
    agree_px = _EXACT_PX if detections == "gt" else _DETECTED_PX
    for subject, recordings in world.items():
        if split is None or subject in SUBJECTS[split]:
            for recording, joints in require_mapping(f"{_FILE_3D}, {subject}", recordings, "recordings").items():
                where = f"{subject}/{recording}"
                joints_mm = _world_mm(f"{where}, 3D", joints)
                views = _views(f"{where}, {detections} 2D", keypoints, subject, recording, len(joints_mm))
                for (name, camera), view in zip(cameras(subject).items(), views, strict=True):
                    sequence = _sequence(f"{where}/{name}", joints_mm, view, skeleton, camera)
                    _require_agreement(sequence, agree_px)
                    yield sequence


def detections(path: Path) -> list[str]:
    """The kinds of 2D beside the 3D file, `gt` first: the endings of the names of `data_2d_h36m_*.npz`."""
    folder = path if path.is_dir() else path.parent
    found = sorted(file.stem.removeprefix("data_2d_h36m_") for file in folder.glob("data_2d_h36m_*.npz"))
    return sorted(found, key=lambda name: name != "gt") or ["gt"]


@cache
def cameras(subject: str) -> Mapping[str, Camera]:
    """The published cameras of a subject, by number, in the order of the files.

    The published 2D is projected as u (radial + p.u) + p |u|^2. OpenCV's tangential terms count u (p.u) twice (up to
    1.5 px at the corners), so half of p stands there, and the rest of p |u|^2 is a thin prism.

    Raises:
        ValueError: If there is no calibration of that subject.
    """
    published = json.loads((resources.files(__package__) / "h36m_cameras.json").read_text())
    if subject not in published["extrinsics"]:
        raise ValueError(f"expected a subject of {', '.join(published['extrinsics'])}, got {subject!r}")
    return {
        lens["id"]: _camera(lens, pose)
        for lens, pose in zip(published["intrinsics"], published["extrinsics"][subject], strict=True)
    }


def action_of(recording: str) -> str:
    """The group of `ACTIONS` that a recording belongs to: "TakingPhoto 1" -> "Photo".

    Raises:
        ValueError: If it belongs to none.
    """
    first = recording.split(" ")[0]
    action = _RENAMED.get(first, first)
    if action not in ACTIONS:
        raise ValueError(f"expected a recording of {', '.join(ACTIONS)}, got {recording!r}")
    return action


def _camera(lens: Mapping[str, Any], pose: Mapping[str, Any]) -> Camera:
    (k1, k2, k3), (p1, p2) = lens["radial"], lens["tangential"]
    return Camera(
        size_px=(lens["width"], lens["height"]),
        focal_px=tuple(lens["focal_px"]),
        center_px=tuple(lens["center_px"]),
        distortion=(k1, k2, p2 / 2, p1 / 2, k3),
        rotation=_world_to_camera(*pose["orientation"]),
        position_mm=tuple(pose["translation_mm"]),
        thin_prism=(p1 / 2, p2 / 2),
    )


def _world_to_camera(w: float, x: float, y: float, z: float) -> tuple[tuple[float, float, float], ...]:
    """The inverse of a quaternion's rotation, row by row."""
    norm = w * w + x * x + y * y + z * z
    half = np.array([[0, z, -y], [-z, 0, x], [y, -x, 0]])  # the transposed cross product with (x, y, z)
    rotation = np.eye(3) + 2 * (w * half + half @ half) / norm
    return tuple((float(a), float(b), float(c)) for a, b, c in rotation)


def _read_2d(folder: Path, detections: str) -> tuple[Mapping[str, Any], Skeleton]:
    file = folder / f"data_2d_h36m_{detections}.npz"
    if not file.is_file():
        there = sorted(f.stem.removeprefix("data_2d_h36m_") for f in folder.glob("data_2d_h36m_*.npz"))
        raise FileNotFoundError(f"{folder} has no {file.name}; its 2D is {', '.join(there) or 'missing'}")
    keypoints = require_mapping(file.name, read_npz(file, "positions_2d"), "subjects")
    metadata = require_mapping(
        f"{file.name}, metadata", read_npz(file, "metadata"), "num_joints and keypoints_symmetry"
    )
    return keypoints, _skeleton(f"{file.name}, metadata", metadata)


def _skeleton(where: str, metadata: Mapping[str, Any]) -> Skeleton:
    """Whose joints the 2D has, by which are left and which right: nothing else in the file tells."""
    sides = require_entry(where, metadata, "keypoints_symmetry")
    told = [sorted(side) for side in sides if isinstance(side, list | tuple)] if isinstance(sides, list | tuple) else []
    for skeleton in (H36M_17, COCO_17):
        left, right = sorted(skeleton.left), sorted(skeleton.right)
        if told == [left, right]:
            return skeleton
        if told == [right, left]:
            raise ValueError(f"{where}: left and right of {skeleton.name} are swapped; swap keypoints_symmetry")
    raise ValueError(
        f"{where}: expected the joints of {H36M_17.name} or {COCO_17.name}, got {metadata.get('num_joints')} joints "
        f"with left and right {sides}; convert them first"
    )


def _world_mm(where: str, joints: Any) -> Float[ndarray, "N J 3"]:
    """The file's metres of 32 joints, checked, as float64 mm of our 17."""
    metres = require_frames(where, joints, _ALL_JOINTS, 3)[:, _JOINTS]
    require_finite(where, metres)
    joints_mm = metres.astype(np.float64) * 1000
    require_person(where, joints_mm, H36M_17)
    return joints_mm


def _views(
    where: str, keypoints: Mapping[str, Any], subject: str, recording: str, frames: int
) -> Iterator[Float[ndarray, "N K C"]]:
    """The 2D of each camera, of as many frames as the 3D has."""
    recordings = require_mapping(f"{where}, {subject}", require_entry(where, keypoints, subject), "recordings")
    views = require_entry(where, recordings, recording)
    wanted = len(cameras(subject))
    if not isinstance(views, list | tuple | ndarray) or len(views) != wanted:
        raise ValueError(f"{where}: expected a list of {wanted} cameras, got {len(views)} {type(views).__name__}")
    for number, view in enumerate(views):
        here = f"{where}, camera {number}"
        checked = require_frames(here, view, H36M_17.num_joints, 2, 3)
        if len(checked) < frames:
            raise ValueError(
                f"{here}: expected 2D for each of the {frames} frames of the 3D, got {len(checked)}; "
                "the two files are not of one version: take both from one place"
            )
        require_pixels(here, checked[..., :2])
        yield checked[:frames]


def _sequence(
    name: str,
    joints_mm: Float[ndarray, "N J 3"],
    view: Float[ndarray, "N K C"],
    skeleton: Skeleton,
    camera: Camera,
) -> PoseSequence:
    subject, recording, _ = name.split("/")
    keypoints = view[..., :2].astype(np.float32)
    confidence = view[..., 2].astype(np.float32) if view.shape[2] == 3 else None
    if skeleton != H36M_17:
        keypoints, confidence = skeleton.to(H36M_17, keypoints, confidence)
    return PoseSequence(
        name=name,
        fps=FPS,
        skeleton=H36M_17,
        joints_mm=camera.to_camera(torch.from_numpy(joints_mm)).numpy().astype(np.float32),
        keypoints_px=keypoints,
        confidence=confidence,
        camera=camera,
        subject=subject,
        action=action_of(recording),
    )


def _require_agreement(sequence: PoseSequence, within_px: float) -> None:
    """2D and 3D show the same person: cameras in another order, swapped sides or other axes do not."""
    assert sequence.camera is not None
    assert sequence.joints_mm is not None
    assert sequence.keypoints_px is not None
    projected = sequence.camera.project(torch.from_numpy(sequence.joints_mm)).numpy()
    if np.isnan(projected).all():
        raise ValueError(f"{sequence.name}: expected 3D in the world, but all of it lies behind this camera")
    off = float(np.nanmedian(np.linalg.norm(projected - sequence.keypoints_px, axis=-1)))
    if not off <= within_px:
        raise ValueError(
            f"{sequence.name}: expected 2D within {within_px:g} px (median) of the projected 3D, got {off:.3g} px: "
            "another order of the cameras, swapped sides, or 3D that is not in the world's frame"
        )
