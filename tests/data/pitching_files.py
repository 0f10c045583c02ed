"""Small files of a pitching capture (npz, C3D, CSV), written from what the format is documented to be.

Nothing is imported from the readers under test: projection, joint order, axes and the camera's JSON are stated anew.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from tests.miniatures import H36M_NAMES, Bends, figure

SIZE_PX = (1280, 720)
FOCAL_PX = 9000.0
PLACE_MM = np.array((-4000.0, 118_000.0, 12_000.0))
"""A centre-field camera, far and high."""
COCO_NAMES = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
TURNS = {
    "z": np.eye(3),
    "y": np.array(((1, 0, 0), (0, 0, 1), (0, -1, 0))),
    "x": np.array(((0, 0, 1), (1, 0, 0), (0, 1, 0))),
    "-z": np.diag((1, -1, -1)),
    "-y": np.array(((1, 0, 0), (0, 0, -1), (0, 1, 0))),
    "-x": np.array(((0, 0, -1), (1, 0, 0), (0, -1, 0))),
}
"""From z up to the axis that points up."""


def pitch(frames: int, fps: float = 30.0, throws: str = "R", seed: int = 0) -> ndarray:
    """(frames, 17, 3) in Human3.6M's order, mm, world, z up: lifts the lead knee, strides, and the arm comes over."""
    time = np.arange(frames) / fps
    arm, lead = ("right", "left") if throws == "R" else ("left", "right")
    lift, whip = np.exp(-(((time - 0.4) / 0.2) ** 2)), 1 / (1 + np.exp(-(time - 0.9) / 0.06))
    bends: Bends = {
        f"{lead}_hip": 0.1 + 1.3 * lift, f"{lead}_knee": -0.2 - 1.2 * lift, f"{arm}_knee": -0.2 - 0.2 * lift,
        f"{arm}_shoulder": -1.0 + 3.0 * whip, f"{arm}_elbow": 1.5 - 1.2 * whip, f"{lead}_elbow": 0.8 + 0.2 * lift,
        "spine": -0.5 * whip,
    }  # fmt: skip
    path = np.stack((0 * time, 800 * whip, 950 - 100 * whip), -1)
    return figure(frames, bends, path, seed=seed)


def camera_turn() -> ndarray:
    """World-to-camera rotation (x right, y down, z forward) of a level camera at PLACE_MM that looks at the mound."""
    forward = np.array((0.0, 0.0, 900.0)) - PLACE_MM
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    return np.stack((right, np.cross(forward, right), forward))


def to_camera(joints_mm: ndarray) -> ndarray:
    return (joints_mm - PLACE_MM) @ camera_turn().T


def to_pixels(joints_mm: ndarray) -> ndarray:
    seen = to_camera(joints_mm)
    return seen[..., :2] / seen[..., 2:] * FOCAL_PX + np.array(SIZE_PX) / 2


def camera_json(up: str = "z", names: Sequence[str] = ("centre",), **changes: Any) -> str:
    """The camera in our JSON, in a world whose axis `up` points up."""
    camera = {
        "size_px": SIZE_PX, "focal_px": (FOCAL_PX, FOCAL_PX), "center_px": (SIZE_PX[0] / 2, SIZE_PX[1] / 2),
        "distortion": [0.0] * 5, "rotation": (camera_turn() @ TURNS[up].T).tolist(),
        "position_mm": (TURNS[up] @ PLACE_MM).tolist(), **changes,
    }  # fmt: skip
    return json.dumps({"format": "dreampose3d cameras", "cameras": dict.fromkeys(names, camera)})


def detected(joints_mm: ndarray, seed: int = 0) -> tuple[ndarray, ndarray]:
    """What a detector sees, in COCO's joints: pixels with noise, (N, 17, 2), and confidence (N, 17)."""
    rng = np.random.default_rng(seed)
    face = joints_mm[:, [H36M_NAMES.index("neck")]]
    points = [
        joints_mm[:, [H36M_NAMES.index(name)]] if name in H36M_NAMES else face + 20 * place
        for place, name in enumerate(COCO_NAMES)
    ]
    pixels = to_pixels(np.concatenate(points, 1))
    return pixels + rng.normal(0, 1.5, pixels.shape), rng.uniform(0.5, 1, pixels.shape[:2])


def npz_arrays(joints_mm: ndarray, fps: float = 30.0, frame: str = "world") -> dict[str, Any]:
    """Everything that an npz of the format may hold, but `valid`."""
    vitpose, certain = detected(joints_mm)
    return {
        "joints_mm": (joints_mm if frame == "world" else to_camera(joints_mm)).astype(np.float32),
        "frame": frame, "fps": fps, "skeleton": "h36m_17", "camera": camera_json(),
        "keypoints_px": to_pixels(joints_mm).astype(np.float32),
        "confidence": np.ones(joints_mm.shape[:2], np.float32),
        "keypoints_vitpose": vitpose.astype(np.float32), "confidence_vitpose": certain.astype(np.float32),
        "skeleton_vitpose": "coco_17",
    }  # fmt: skip


def write_index(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write index.csv with every column that some row has; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [",".join(str(row.get(column, "")) for column in columns) for row in rows]
    (folder / "index.csv").write_text("\n".join((",".join(columns), *lines)) + "\n")
    return folder


def write_pitching(
    folder: Path,
    pitchers: Mapping[str, str] | None = None,
    pitches: int = 2,
    frames: int = 60,
    fps: float = 30.0,
    seed: int = 0,
) -> Path:
    """Write a capture in npz files: for each pitcher (name -> split) some pitches; return the folder.

    2D is exact (`gt`) and detected (`vitpose`, COCO's joints), 3D in the world or in the camera's frame in turn.
    """
    pitchers = pitchers or {"P1": "train", "P2": "train", "P3": "val", "P4": "test"}
    rows = []
    for number, (pitcher, split) in enumerate(pitchers.items()):
        for take in range(pitches):
            joints = pitch(frames, fps, "RL"[number % 2], seed + 10 * number + take)
            file = f"{pitcher}/pitch{take}.npz"
            (folder / pitcher).mkdir(parents=True, exist_ok=True)
            np.savez_compressed(folder / file, **npz_arrays(joints, fps, ("world", "camera")[take % 2]))
            rows.append({"file": file, "split": split, "subject": pitcher, "action": "delivery", "fps": fps})
    return write_index(folder, rows)


def write_csv(
    path: Path,
    joints_mm: ndarray,
    names: Sequence[str] = H36M_NAMES,
    unit: str = "mm",
    up: str = "z",
    fps: float | None = None,
    suffix: str = "",
    delimiter: str = ",",
) -> Path:
    """Write landmarks, a row per frame, with a column of times if `fps` is given."""
    scale = {"mm": 1, "cm": 0.1, "m": 0.001}[unit]
    values = (joints_mm @ TURNS[up].T * scale).reshape(len(joints_mm), -1)
    header = [f"{name}_{axis}{suffix}" for name in names for axis in "xyz"]
    if fps is not None:
        values, header = np.concatenate(((np.arange(len(values)) / fps)[:, None], values), 1), ["time", *header]
    rows = [delimiter.join(f"{value:.9g}" for value in row) for row in values]
    path.write_text("\n".join((delimiter.join(header), *rows)) + "\n")
    return path


def write_c3d(
    path: Path,
    joints_mm: ndarray,
    names: Sequence[str] = H36M_NAMES,
    unit: str = "mm",
    up: str | None = "z",
    fps: float = 30.0,
) -> Path:
    """Write landmarks as C3D points, with POINT:Y_SCREEN if `up` is given."""
    import ezc3d

    file = ezc3d.c3d()
    points = np.ones((4, len(names), len(joints_mm)))
    scale = {"mm": 1, "cm": 0.1, "m": 0.001}.get(unit, 1)
    points[:3] = (joints_mm @ TURNS[up or "z"].T * scale).transpose(2, 1, 0)
    file["parameters"]["POINT"]["RATE"]["value"] = [fps]
    file["parameters"]["POINT"]["LABELS"]["value"] = list(names)
    file["parameters"]["POINT"]["UNITS"]["value"] = [unit]
    if up is not None:
        file.add_parameter("POINT", "Y_SCREEN", [up if up.startswith("-") else f"+{up}".upper()])
    file["data"]["points"] = points
    file.write(str(path))
    return path
