"""What the lifter is shown of a sequence: its exact 2D, that with a detector's errors, or real detections."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.camera import Camera
from dreampose3d.data.noise import add_detector_noise
from dreampose3d.evaluation.counting import Scene
from dreampose3d.evaluation.mocap import stable_seed
from dreampose3d.lifting.keypoints import read_keypoints
from dreampose3d.sequence import PoseSequence


def scene_of(sequence: PoseSequence, input: str) -> Scene:
    """A sequence with its truth, and what the lifter is shown of it: neither its action nor where its camera stands.

    Args:
        sequence: Truth in the camera's frame, camera, and the set's own 2D: exact, or the detections of that name.
        input: "noisy" adds the errors of `data.noise`, seeded with the sequence's name; a folder holds `<name>.npz`,
            or any other keypoint file, for each sequence; any other shows the set's own 2D.

    Raises:
        FileNotFoundError: If the folder has no file for the sequence.
        ValueError: If the sequence has no truth, no camera or no valid frame, or the file has too few frames.
    """
    if sequence.joints_mm is None or sequence.camera is None:
        missing = "3D joints" if sequence.joints_mm is None else "camera"
        raise ValueError(f"{sequence.name}: an evaluation needs 3D joints and a camera, and there is no {missing}")
    joints = torch.from_numpy(np.array(sequence.joints_mm, np.float64))
    shown = _shown(sequence, sequence.camera, joints, input)
    keypoints, confidence = shown.skeleton.to(
        sequence.skeleton, np.asarray(shown.keypoints_px, np.float64), shown.confidence
    )
    valid = np.ones(len(sequence), bool) if sequence.valid is None else sequence.valid
    if not valid.any():
        raise ValueError(f"{sequence.name}: none of its {len(sequence)} frames is marked as valid; leave it out")
    seen = torch.from_numpy(keypoints), torch.from_numpy(confidence.astype(np.float64))
    return Scene(shown, sequence.skeleton, joints, *seen, torch.from_numpy(np.array(valid)))


def _shown(sequence: PoseSequence, camera: Camera, joints_mm: Float[torch.Tensor, "N J 3"], input: str) -> PoseSequence:
    lens = replace(camera, rotation=Camera.rotation, position_mm=Camera.position_mm)  # where it stands is not told
    keypoints = sequence.keypoints_px
    if keypoints is None:
        keypoints = camera.project(joints_mm).numpy()
    shown = PoseSequence(
        name=sequence.name,
        fps=sequence.fps,
        skeleton=sequence.skeleton,
        keypoints_px=keypoints.astype(np.float32),
        confidence=sequence.confidence,
        time_s=sequence.time_s,
        camera=lens,
    )
    if input == "noisy":
        return _with_noise(shown, keypoints)
    return _detected(shown, Path(input)) if Path(input).is_dir() else shown


def _with_noise(shown: PoseSequence, keypoints: Float[ndarray, "N J 2"]) -> PoseSequence:
    """With the errors of a detector; what is missing stays missing, and stands in the person's middle meanwhile."""
    generator = torch.Generator().manual_seed(stable_seed(shown.name))
    seen = np.isfinite(keypoints).all(-1)
    filled = np.where(seen[..., None], keypoints, keypoints[seen].mean(0)).astype(np.float64)
    noisy, confidence = add_detector_noise(torch.from_numpy(filled), shown.fps, generator, skeleton=shown.skeleton)
    return replace(
        shown,
        keypoints_px=np.where(seen[..., None], noisy.numpy(), np.nan).astype(np.float32),
        confidence=np.where(seen, confidence.numpy(), 0).astype(np.float32),
    )


def _detected(shown: PoseSequence, folder: Path) -> PoseSequence:
    """Detections from the sequence's file in a folder; more frames than the truth has are cut off."""
    stem = file_stem(shown.name)
    file = next((path for path in sorted(folder.iterdir()) if path.stem == stem), None)
    if file is None:
        raise FileNotFoundError(f"{folder} has no detections of {shown.name}; expected {stem}.npz")
    assert shown.camera is not None
    found = read_keypoints(file, fps=shown.fps, size_px=shown.camera.size_px)
    frames = len(shown)
    if len(found) < frames:
        raise ValueError(f"{file}: expected 2D for the {frames} frames of {shown.name}, got {len(found)}")
    assert found.keypoints_px is not None
    assert found.confidence is not None
    return replace(
        shown,
        skeleton=found.skeleton,
        keypoints_px=found.keypoints_px[:frames],
        confidence=found.confidence[:frames],
    )


def file_stem(name: str) -> str:
    """A sequence's name as a file's: `S9/Walking 1/54138969` is `S9_Walking_1_54138969`."""
    return name.replace("/", "_").replace(" ", "_")
