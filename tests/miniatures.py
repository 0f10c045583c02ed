"""Small files of the benchmarks' exact published layouts, from procedural motion.

Nobody may hand out Human3.6M or MPI-INF-3DHP, so the readers are proven on these: the same keys, shapes, types, units,
frames and axis orders, written from a figure that walks, reaches or sits with rigid bones. Everything here is stated
a second time on purpose (projection, joint order): nothing is imported from the readers under test.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
from numpy import ndarray
from tests.motion import STANDING_MM

H36M_NAMES = (
    "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "spine", "thorax",
    "neck", "head", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip
PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
H36M_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Where the 17 joints lie among the 32 of the file."""
H36M_SYMMETRY = [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]
CALIBRATION = json.loads((resources.files("dreampose3d.data") / "h36m_cameras.json").read_text())
H36M_CAMERAS = ("54138969", "55011271", "58860488", "60457274")

MPI_17 = (10, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6, 0, 7, 9)
"""MPI-INF-3DHP's joints (head top, neck, right arm, left arm, right leg, left leg, pelvis, spine, head), each as the
index of the figure's joint."""
MPI_CAMERAS = ("0", "1", "2", "4", "5", "6", "7", "8")
MPI_TESTS = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")
UNIVERSAL_MM = 920.0
"""Knee to neck, over hip and spine, of every person of univ_annot3."""

Bends = Mapping[str, ndarray]
"""For each joint that bends, the angle at every frame about the figure's right-hand axis: positive swings what hangs
down forwards, and what stands up backwards."""
Motion = Callable[[str, str], ndarray]
"""(subject, action) -> (frames, 17, 3) joints in Human3.6M's order, mm, world, z up."""


def figure(
    frames: int,
    bends: Bends | None = None,
    root_mm: ndarray | None = None,
    heading: ndarray | float = 0.0,
    size: float = 1.0,
    seed: int = 0,
) -> ndarray:
    """(frames, 17, 3): a person with rigid bones, equal on both sides, mm; z up, at heading 0 facing +y.

    `size` scales the whole body, `seed` draws its proportions (bones differ by 3 %).
    """
    bends = bends or {}
    joints, turns = np.zeros((frames, 17, 3)), np.zeros((frames, 17, 3, 3))
    joints[:, 0] = STANDING_MM[0] * size if root_mm is None else root_mm
    turns[:, 0] = _turn(2, np.broadcast_to(heading, frames)) @ _bend(bends, 0, frames)
    stretch = 1 + 0.03 * np.random.default_rng(seed).standard_normal(17)
    for joint in range(1, 17):
        parent, name = PARENTS[joint], H36M_NAMES[joint].replace("right", "left")
        offset = (STANDING_MM[joint] - STANDING_MM[parent]) * size * stretch[H36M_NAMES.index(name)]
        joints[:, joint] = joints[:, parent] + turns[:, parent] @ offset
        turns[:, joint] = turns[:, parent] @ _bend(bends, joint, frames)
    return joints


def person(frames: int, fps: float = 50.0, action: str = "Walking", size: float = 1.0, seed: int = 0) -> ndarray:
    """(frames, 17, 3) in Human3.6M's order, mm: walks round a circle, sits, or stands and reaches, as `action` says."""
    rng = np.random.default_rng([seed, *action.encode()])
    phase = 2 * np.pi * (rng.uniform(0.7, 1.0) * np.arange(frames) / fps + rng.uniform())
    around = rng.uniform(0, 2 * np.pi) + (0.2 if "Walk" in action else 0.02) * phase
    path = 900 * np.stack((np.cos(around), np.sin(around), np.zeros(frames)), -1)
    height = np.full(frames, 480.0 if action.startswith("Sit") else 950.0) + 15 * np.sin(2 * phase)
    root = path * (0.3 if "Walk" not in action else 1.0) + height[:, None] * size * np.array((0, 0, 1))
    bends = _walking(phase) if "Walk" in action else _reaching(phase, rng, sitting=action.startswith("Sit"))
    return figure(frames, bends, root, around, size, seed)


def _walking(phase: ndarray) -> Bends:
    swing = np.sin(phase)
    return {
        "right_hip": 0.45 * swing, "left_hip": -0.45 * swing,
        "right_knee": -0.35 * (1 + np.cos(phase)), "left_knee": -0.35 * (1 - np.cos(phase)),
        "right_shoulder": -0.4 * swing, "left_shoulder": 0.4 * swing,
        "right_elbow": 0.5 - 0.2 * swing, "left_elbow": 0.5 + 0.2 * swing, "spine": 0.03 * np.sin(2 * phase) - 0.05,
    }  # fmt: skip


def _reaching(phase: ndarray, rng: np.random.Generator, sitting: bool) -> Bends:
    slow, seat = np.sin(phase / 2), 1.4 if sitting else 0.1
    sides = ("right", "left") if rng.uniform() < 0.5 else ("left", "right")
    return {
        f"{sides[0]}_shoulder": 0.9 + 0.7 * slow, f"{sides[0]}_elbow": 0.6 - 0.4 * slow,
        f"{sides[1]}_shoulder": 0.1 * slow, f"{sides[1]}_elbow": 0.4 + 0.1 * np.cos(phase),
        "right_hip": seat + 0.05 * slow, "left_hip": seat - 0.05 * slow,
        "right_knee": -seat - 0.1 * (1 + slow), "left_knee": -seat - 0.1 * (1 - slow),
        "spine": -0.1 - 0.08 * slow, "neck": 0.1 * slow,
    }  # fmt: skip


def _bend(bends: Bends, joint: int, frames: int) -> ndarray:
    return _turn(0, np.broadcast_to(bends.get(H36M_NAMES[joint], 0.0), frames))


def _turn(axis: int, angle: ndarray) -> ndarray:
    """(frames, 3, 3) right-handed rotations about the x (0) or z (2) axis."""
    turn = np.zeros((len(angle), 3, 3))
    turn[:, axis, axis] = 1
    one, two = (axis + 1) % 3, (axis + 2) % 3
    turn[:, one, one] = turn[:, two, two] = np.cos(angle)
    turn[:, two, one], turn[:, one, two] = np.sin(angle), -np.sin(angle)
    return turn


def body_size(subject: str) -> float:
    """How tall a subject is, as a factor: no two of S1-S8, S9, S11 or TS1-TS6 are alike."""
    number = int("".join(filter(str.isdigit, subject)))
    return 0.9 + 0.022 * (number * 5 % 11) + (0.009 if subject.startswith("T") else 0.0)


def write_h36m(
    folder: Path,
    subjects: Sequence[str] = ("S1", "S5", "S6", "S7", "S8", "S9", "S11"),
    actions: Sequence[str] = ("Directions", "Directions 1", "Walking"),
    frames: int = 60,
    seed: int = 0,
    motion: Motion | None = None,
) -> Path:
    """Write data_3d_h36m.npz, data_2d_h36m_gt.npz and data_2d_h36m_cpn_ft_h36m_dbb.npz; return the folder.

    World, metres, 32 joints, 50 fps; pixels of the four published cameras, projected with their distortion. The
    detections have noise of 4 px, and every second action's three frames more than its 3D. S11 has no "Directions".
    """
    motion = motion or (lambda subject, action: person(frames, 50, action, body_size(subject), _seed(seed, subject)))
    rng = np.random.default_rng(seed)
    world = {
        subject: {a: motion(subject, a) for a in actions if (subject, a) != ("S11", "Directions")}
        for subject in subjects
    }
    exact = {
        subject: {a: [_h36m_pixels(subject, c, joints) for c in range(4)] for a, joints in clips.items()}
        for subject, clips in world.items()
    }
    more = {action: 3 * (n % 2) for n, action in enumerate(actions)}
    noisy = {
        subject: {a: [_detected(view, more[a], rng) for view in views] for a, views in clips.items()}
        for subject, clips in exact.items()
    }
    metres = {s: {a: _all_32(joints) for a, joints in clips.items()} for s, clips in world.items()}
    metadata = {"num_joints": 17, "keypoints_symmetry": H36M_SYMMETRY}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "data_3d_h36m.npz", positions_3d=metres)
    np.savez_compressed(folder / "data_2d_h36m_gt.npz", positions_2d=exact, metadata=metadata)
    np.savez_compressed(
        folder / "data_2d_h36m_cpn_ft_h36m_dbb.npz",
        positions_2d=noisy, metadata=metadata | {"layout_name": "h36m"},
    )  # fmt: skip
    return folder


def _seed(seed: int, subject: str) -> int:
    return 1000 * seed + sum(subject.encode())


def _all_32(joints_mm: ndarray) -> ndarray:
    """float32 metres; toes, fingers and the doubled joints of the file hold something, but never the joint wanted."""
    filled = np.repeat(joints_mm[:, :1] + 5000.0, 32, 1)
    filled[:, H36M_32] = joints_mm
    return (filled / 1000).astype(np.float32)


def _h36m_pixels(subject: str, camera: int, joints_mm: ndarray) -> ndarray:
    """The projection that the published 2D was made with: u (radial + p.u) + p |u|^2."""
    lens, pose = CALIBRATION["intrinsics"][camera], CALIBRATION["extrinsics"][subject][camera]
    turn, place = quaternion_matrix(pose["orientation"]), np.array(pose["translation_mm"])
    seen = (joints_mm - place) @ turn  # the inverse of `turn` applied to rows
    u = seen[..., :2] / seen[..., 2:]
    r2, p = (u**2).sum(-1, keepdims=True), np.array(lens["tangential"])
    radial = 1 + sum(k * r2 ** (i + 1) for i, k in enumerate(lens["radial"]))
    u = u * (radial + (p * u).sum(-1, keepdims=True)) + p * r2
    return (u * lens["focal_px"] + lens["center_px"]).astype(np.float32)


def quaternion_matrix(wxyz: Sequence[float]) -> ndarray:
    """The rotation matrix of a unit quaternion."""
    w, x, y, z = np.array(wxyz) / np.linalg.norm(wxyz)
    return np.array(
        [
            (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        ]
    )


def _detected(keypoints: ndarray, more: int, rng: np.random.Generator) -> ndarray:
    longer = np.concatenate((keypoints, np.repeat(keypoints[-1:], more, 0)))
    return (longer + rng.normal(0, 4, longer.shape)).astype(np.float32)


def write_3dhp(
    folder: Path,
    layout: Literal["d3dp", "p-stmo", "mat"] = "d3dp",
    subjects: Sequence[str] = ("S1", "S2", "S8"),
    sequences: Sequence[str] = ("Seq1", "Seq2"),
    tests: Sequence[str] = MPI_TESTS,
    cameras: Sequence[str] = MPI_CAMERAS,
    frames: int = 60,
    seed: int = 0,
    motion: Motion | None = None,
) -> Path:
    """Write MPI-INF-3DHP in one of its layouts; return the folder.

    "d3dp": data_train_3dhp_ori.npz and data_test_3dhp_ori.npz, 3D = annot3; "p-stmo": data_train_3dhp.npz and
    data_test_3dhp.npz, 3D = univ_annot3; "mat": TSx/annot_data.mat (MATLAB v7.3, so HDF5 with its axes reversed) with
    both. Millimetres in the camera's frame, 17 joints. A tenth of the test frames is not valid.
    """
    motion = motion or (lambda subject, take: person(frames, 25, take, body_size(subject), _seed(seed, subject)))
    folder.mkdir(parents=True, exist_ok=True)
    tested = {name: _mpi_test(name, motion(name, "Walking")) for name in tests}
    if layout == "mat":
        for name, arrays in tested.items():
            _write_mat(folder / name / "annot_data.mat", arrays)
        return folder
    which, ending = ("annot3", "_ori") if layout == "d3dp" else ("univ_annot3", "")
    train = {}
    for subject in subjects:
        for take in sequences:
            joints = motion(subject, {"Seq1": "Walking", "Seq2": "Sitting"}[take])
            views = {camera: _mpi_view(joints, *mpi_train_camera(camera)) for camera in cameras}
            pick = {c: {"data_2d": v["annot2"], "data_3d": v[which]} for c, v in views.items()}
            train[f"{subject} {take}"] = [pick, 50 if (subject, take) == ("S1", "Seq2") else 25]
    test = {
        name: {"data_2d": a["annot2"], "data_3d": a[which], "valid": a["valid_frame"]} for name, a in tested.items()
    }
    np.savez_compressed(folder / f"data_train_3dhp{ending}.npz", data=train)
    np.savez_compressed(folder / f"data_test_3dhp{ending}.npz", data=test)
    return folder


def mpi_train_camera(name: str) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """A studio camera: world-to-camera rotation, place (mm), focal lengths and centre (px)."""
    angle, number = 2 * np.pi * MPI_CAMERAS.index(name) / len(MPI_CAMERAS), int(name)
    place = np.array((3600 * np.cos(angle), 3600 * np.sin(angle), 1000.0 + 150 * number))
    focal, center = np.array((1497.7 - number, 1497.1 - number)), np.array((1024.7 + 2 * number, 1051.4 - 3 * number))
    return _look_at(place), place, focal, center


def _mpi_test(name: str, joints_mm: ndarray) -> dict[str, ndarray]:
    place = np.array((-2000.0, -4200.0, 1300.0))
    outdoors = name in ("TS5", "TS6")
    focal = np.full(2, 8.770747185 / 10 * 1920) if outdoors else np.full(2, 7.32506 / 10 * 2048)
    center = (
        np.array((960 - 0.104908645 / 10 * 1920, 540 + 0.104899704 / 5.625 * 1080))
        if outdoors
        else np.array((1024 - 0.0322884 / 10 * 2048, 1024 + 0.0929296 / 10 * 2048))
    )
    frames = np.arange(len(joints_mm))
    activity = np.where(frames < len(frames) // 2, 1.0, 6.0)
    return _mpi_view(joints_mm, _look_at(place), place, focal, center) | {
        "valid_frame": (frames % 10 != 3).astype(np.float64), "activity_annotation": activity,
    }  # fmt: skip


def _mpi_view(joints_mm: ndarray, turn: ndarray, place: ndarray, focal: ndarray, center: ndarray) -> dict[str, ndarray]:
    """annot2, annot3 and univ_annot3 of one camera, in the order of MPI-INF-3DHP's joints."""
    seen = ((joints_mm - place) @ turn.T)[:, MPI_17]
    pelvis = seen[:, 14:15]
    return {
        "annot2": seen[..., :2] / seen[..., 2:] * focal + center,
        "annot3": seen,
        "univ_annot3": pelvis + (seen - pelvis) * UNIVERSAL_MM / _knee_to_neck(seen),
    }


def _knee_to_neck(joints: ndarray) -> float:
    pelvis, spine, neck = joints[:, 14], joints[:, 15], joints[:, 1]
    bones = (joints[:, 8] - joints[:, 9], pelvis - spine, spine - neck)
    return float(sum(np.linalg.norm(bone, axis=-1).mean() for bone in bones))


def _look_at(place: ndarray) -> ndarray:
    """World-to-camera rotation (x right, y down, z forward) of a level camera that looks at (0, 0, 900)."""
    forward = np.array((0.0, 0.0, 900.0)) - place
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    return np.stack((right, np.cross(forward, right), forward))


def _write_mat(path: Path, arrays: Mapping[str, ndarray]) -> None:
    """MATLAB's (C, 17, 1, T) lies in the file as (T, 1, 17, C), behind a header of 512 bytes."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = array[:, None]
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(124) + b"\x00\x02IM")
