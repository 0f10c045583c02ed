"""People who cross each other's way, with known identities, as a detector would see them."""

from collections.abc import Iterator

import numpy as np
from numpy import ndarray
from scipy.optimize import linear_sum_assignment
from tests.motion import walker

from dreampose3d.camera import Camera
from dreampose3d.lifting.people import Sightings
from dreampose3d.skeleton import H36M_17

SIZE_PX = (1920, 1080)
CAMERA = Camera.from_fov(SIZE_PX, 55.0)
EYE_MM = 1500.0
"""The camera's height."""


def crossing(
    seed: int,
    walkers: int = 2,
    fps: float = 30.0,
    seconds: float = 8.0,
    noise: float = 0.01,
    missed: float = 0.03,
    ghosts: float = 0.02,
) -> tuple[Sightings, ndarray]:
    """Walkers who all pass the middle at about the same time, in turn from either side, at distances of their own.

    Whoever is hidden behind someone nearer is not detected, and only in part where partly hidden; the order of the
    people in a frame is random.

    Args:
        seed: Of everything.
        walkers: How many.
        fps: Frames per second.
        seconds: Of the clip; they meet in the middle of it.
        noise: Standard deviation of the keypoints, as a share of the body's height.
        missed: Share of the frames in which somebody who stands free is missed.
        ghosts: Share of the frames with a detection of nobody.

    Returns:
        What is seen, and who each of the sightings is: int (N, P), -1 for ghosts and empty places.
    """
    rng = np.random.default_rng(seed)
    frames = round(seconds * fps)
    time = np.arange(frames) / fps - seconds / 2
    depths = np.sort(rng.uniform(3500, 8000, walkers)) + 300 * np.arange(walkers)
    pixels = np.stack([_walk(rng, frames, fps, time, depth, number) for number, depth in enumerate(depths)], 1)
    seen = [list(_shuffled(rng, list(_seen(rng, pixels[frame], noise, missed, ghosts)))) for frame in range(frames)]
    keypoints = np.full((frames, max(1, *map(len, seen)), H36M_17.num_joints, 2), np.nan, np.float32)
    identity = np.full(keypoints.shape[:2], -1)
    for frame, people in enumerate(seen):
        for place, (person, pose) in enumerate(people):
            keypoints[frame, place], identity[frame, place] = pose, person
    confidence = np.isfinite(keypoints).all(-1).astype(np.float32)
    return Sightings(f"crossing{seed}", fps, H36M_17, keypoints, confidence, camera=CAMERA), identity


def _walk(rng: np.random.Generator, frames: int, fps: float, time: ndarray, depth: float, number: int) -> ndarray:
    """(N, J, 2) pixels of a person who walks by, not quite straight and not quite evenly."""
    speed = rng.uniform(700, 1700) * (1 if number % 2 else -1)  # mm/s
    along = speed * (time - rng.uniform(-0.6, 0.6)) + 60 * np.sin(rng.uniform(0.5, 1.5) * time + rng.uniform(0, 6))
    away = depth + rng.uniform(-150, 150) * time
    pose = walker(frames, fps, int(rng.integers(1 << 30)), speed_mm_s=0) * rng.uniform(0.9, 1.1)
    x, y, z = pose[..., 0] + along[:, None], EYE_MM - pose[..., 2], pose[..., 1] + away[:, None]
    return np.stack((x / z, y / z), -1) * CAMERA.focal_px + CAMERA.center_px


def _seen(
    rng: np.random.Generator, people: ndarray, noise: float, missed: float, ghosts: float
) -> Iterator[tuple[int, ndarray]]:
    """(person, keypoints) of everyone whom the detector finds in a frame; `people` (M, J, 2) are nearest first."""
    boxes = [(person.min(0), person.max(0)) for person in people]
    for number, person in enumerate(people):
        hidden = max((_covered(boxes[number], boxes[nearer]) for nearer in range(number)), default=0.0)
        if hidden > 0.6 or rng.random() < missed:
            continue
        height = np.ptp(person[:, 1])
        pose = person + rng.normal(0, noise * height, person.shape)
        behind = np.zeros(len(pose), bool)
        for low, high in boxes[:number]:
            behind |= ((person > low) & (person < high)).all(1)
        lost = (rng.random(len(pose)) < np.where(behind, 0.5, 0.02)) | ((pose < 0) | (pose > SIZE_PX)).any(1)
        pose[lost] = np.nan
        if (~lost).sum() >= 5:
            yield number, pose
    if rng.random() < ghosts:
        yield -1, rng.uniform(0, 1, 2) * SIZE_PX + rng.normal(0, 60, people.shape[1:])


def _covered(box: tuple[ndarray, ndarray], other: tuple[ndarray, ndarray]) -> float:
    """The share of a box that lies in another."""
    overlap = (np.minimum(box[1], other[1]) - np.maximum(box[0], other[0])).clip(0)
    return float(overlap.prod() / (box[1] - box[0]).prod())


def _shuffled(rng: np.random.Generator, people: list) -> Iterator:
    return (people[i] for i in rng.permutation(len(people)))


def idf1(true: ndarray, told: ndarray) -> float:
    """The F1 score of identities under the best one-to-one naming (Ristani et al. 2016, eq. 10); -1 is nobody."""
    persons, names = range(true.max() + 1), range(told.max() + 1)
    shared = np.array([[((true == person) & (told == name)).sum() for name in names] for person in persons])
    named = shared[linear_sum_assignment(-shared)].sum() if shared.size else 0
    return float(2 * named / max(1, (true >= 0).sum() + (told >= 0).sum()))
