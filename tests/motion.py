"""A procedural walker, and sets of it in the canonical folder: what the data and training tests run on."""

from pathlib import Path

import numpy as np
from numpy import ndarray

from dreampose3d.data.augment import PoseAugmentation
from dreampose3d.data.cameras import VirtualCameras
from dreampose3d.data.windows import WindowConfig

STANDING_MM = np.array(
    [
        (0, 0, 950), (130, 0, 930), (130, 30, 500), (130, 0, 80), (-130, 0, 930), (-130, 30, 500), (-130, 0, 80),
        (0, 0, 1150), (0, 0, 1400), (0, 60, 1500), (0, 30, 1620),
        (-170, 0, 1380), (-200, 20, 1100), (-210, 90, 860), (170, 0, 1380), (200, 20, 1100), (210, 90, 860),
    ],
    dtype=np.float64,
)  # fmt: skip
"""In Human3.6M's order; z up, facing +y, so the left side is at -x."""


PLAIN = WindowConfig(
    rates=(50, 50), warp=0, reverse=0, short=0, conventions=(1, 0, 0, 0), exact=1,
    pose=PoseAugmentation(0, 0, 0, tilt_limbs=0, lean=0, topple=0, bone_scale=0, body_scale=0, hip_scale=0),
    cameras=VirtualCameras(unknown=0, panning=0),
)  # fmt: skip
"""Windows with nothing but a camera of their own, and a mirror for half of them."""


def walker(frames: int, fps: float = 50.0, seed: int = 0, speed_mm_s: float = 900.0) -> ndarray:
    """int16 joints (frames, 17, 3), mm: a figure whose limbs swing, on its way in a direction of its own."""
    rng = np.random.default_rng(seed)
    time = (np.arange(frames) / fps)[:, None, None]
    swing = rng.normal(0, 40, (2, 17, 3)) * np.array((0.5, 1, 0.5))
    swing[:, 0] = 0
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    pose = STANDING_MM + swing[0] * np.sin(5 * time) + swing[1] * np.cos(5 * time)
    return np.round(pose @ turn.T + time * speed_mm_s * turn[:, 1]).astype(np.int16)


def write_set(folder: Path, clips: list[dict], columns: str = "subject,trial,fps,frames,split,action") -> Path:
    """Write clips, each a row of the index with its `joints`, as a canonical folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [",".join(str(clip.get(column, len(clip["joints"]))) for column in columns.split(",")) for clip in clips]
    (folder / "index.csv").write_text("\n".join((columns, *rows)) + "\n")
    files: dict[str, dict[str, ndarray]] = {}
    for clip in clips:
        files.setdefault(clip.get("file") or f"{clip['subject']}.npz", {})[clip["trial"]] = clip["joints"]
    for name, arrays in files.items():
        np.savez(folder / name, **arrays)
    return folder


def clip_row(
    number: int, *, frames: int = 60, fps: float = 50.0, split: str = "train", action: str = "walking"
) -> dict:
    """One clip of subject s1 for `write_set`."""
    joints = walker(frames, fps, seed=number)
    return {"subject": "s1", "trial": f"t{number}", "fps": fps, "split": split, "action": action, "joints": joints}
