"""How much D3DP's counting moves each number, with one lifter's hypotheses counted both ways: the table in the docs."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.evaluation.scenes import sequence

from dreampose3d.evaluation.counting import AGGREGATIONS, count_as_d3dp, count_clean
from dreampose3d.evaluation.inputs import scene_of
from dreampose3d.metrics import mpjpe
from dreampose3d.sequence import PoseSequence

H, N = 5, 243
FRAMES = {"Walking": (150, 300), "Eating": (700, 1000)}
NAMES = list(AGGREGATIONS)


def wandering(rng: np.random.Generator, frames: int, joints: int, seconds: float = 0.5) -> np.ndarray:
    """(frames, joints, 3) of unit variance that changes slowly at 50 frames/s, first-order autoregressive."""
    keep = np.exp(-1 / (50 * seconds))
    values = rng.normal(size=(frames, joints, 3))
    values[1:] *= np.sqrt(1 - keep**2)
    for frame in range(1, frames):
        values[frame] += keep * values[frame - 1]
    return values


def hypotheses_of(video: PoseSequence, seed: int) -> np.ndarray:
    """(H, frames, J, 3): 25 mm per axis that all share, 10 mm of its own, a body size that it guesses."""
    rng = np.random.default_rng(seed)
    true = video.joints_mm - video.joints_mm[:, :1]
    shared = 25 * wandering(rng, len(video), true.shape[1])
    alone = np.stack([10 * wandering(rng, len(video), true.shape[1]) for _ in range(H)])
    poses = true * rng.normal(1, 0.03, (H, 1, 1, 1)) + shared + alone
    return poses - poses[:, :, :1]


@pytest.fixture(scope="module")
def measured() -> dict[str, tuple[float, float]]:
    """What is counted -> (clean, D3DP's), mm."""
    videos = {
        action: [sequence(f"{action} {n}", frames, action, seed=frames) for n, frames in enumerate(lengths)]
        for action, lengths in FRAMES.items()
    }
    known = {
        pixels.tobytes(): poses
        for of in videos.values()
        for video in of
        for pixels, poses in zip(video.keypoints_px, hypotheses_of(video, len(video)).swapaxes(0, 1), strict=True)
    }

    def predict(shown: PoseSequence, hypotheses: int, steps: int) -> torch.Tensor:
        poses = np.stack([known[frame.tobytes()] for frame in shown.keypoints_px], 1)
        return torch.from_numpy(poses[:hypotheses])

    def errors(count, video):
        counted = count(predict, scene_of(video, "gt"), H, 2)
        return torch.stack([mpjpe(of, counted.true) for of in (counted.poses, counted.aligned)])  # 2 A F

    def means(count):
        return {action: torch.cat([errors(count, v) for v in of], -1).mean(-1) for action, of in videos.items()}

    clean, d3dp, alone = (
        means(count) for count in (count_clean, *(count_as_d3dp(N, b, each_frame_once=False) for b in (4, 1)))
    )
    frames = {action: sum(lengths) for action, lengths in FRAMES.items()}

    def of(result, plain_or_aligned, name):
        return float(sum(errors[plain_or_aligned, NAMES.index(name)] for errors in result.values()) / len(result))

    p_agg = {action: float(errors[0, NAMES.index("p_agg")]) for action, errors in clean.items()}
    return {
        "overlap twice and padding: P-Agg": (of(clean, 0, "p_agg"), of(d3dp, 0, "p_agg")),
        "P-Best of a window, not of a pose": (of(clean, 0, "oracle_p_best"), of(alone, 0, "oracle_p_best")),
        "P-Best of a batch of 4 windows": (of(clean, 0, "oracle_p_best"), of(d3dp, 0, "oracle_p_best")),
        "P-MPJPE of each hypothesis: J-Best": (of(clean, 1, "oracle_j_best"), of(d3dp, 1, "oracle_j_best")),
        "P-MPJPE of each hypothesis: J-Agg, true root": tuple(
            of(result, 1, "oracle_j_agg_true_root") for result in (clean, d3dp)
        ),
        "nearest in the distorted image: J-Agg, true root": tuple(
            of(result, 0, "oracle_j_agg_true_root") for result in (clean, d3dp)
        ),
        "mean of actions, not of frames: P-Agg": (
            sum(frames[action] * p_agg[action] for action in FRAMES) / sum(frames.values()),
            of(clean, 0, "p_agg"),
        ),
    }


def test_the_table_in_the_docs_is_the_one_measured_here(measured):
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    table = {
        name.strip(): (float(clean), float(d3dp))
        for name, clean, d3dp in re.findall(r"^\| ([^|]+) \| ([\d.]+) \| ([\d.]+) \|", page, re.MULTILINE)
    }
    for name, pair in measured.items():
        assert table[name] == pytest.approx(pair, abs=0.006), name  # mm: rounded to 0.01
