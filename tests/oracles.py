"""Slow, obvious twins of what the package computes fast: loops over plain numbers, written from the definitions."""

import math
from collections.abc import Sequence

import numpy as np
from numpy import ndarray
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import least_squares
from torch import nn


def slow_mpjpe(pred: ndarray, true: ndarray) -> float:
    """One pose (J, 3): the mean of the distances, joint by joint."""
    return sum(math.dist(p, t) for p, t in zip(pred.tolist(), true.tolist(), strict=True)) / len(pred)


def scipy_p_mpjpe(pred: ndarray, true: ndarray) -> float:
    """One pose (J, 3), for a best rotation without reflection: scipy's orthogonal Procrustes, then the best scale."""
    x, y = pred - pred.mean(0), true - true.mean(0)
    rotation, _ = orthogonal_procrustes(x, y)
    assert np.linalg.det(rotation) > 0, "scipy allows a reflection: compare only where none is better"
    turned = x @ rotation
    scale = (turned * y).sum() / (turned**2).sum()
    return slow_mpjpe(scale * turned, y)


def slow_p_mpjpe_squared(pred: ndarray, true: ndarray) -> float:
    """The least sum of squared errors over all similarities without reflection, by search over rotation vectors."""
    x, y = pred - pred.mean(0), true - true.mean(0)

    def residual(parameters: ndarray) -> ndarray:
        return (math.exp(parameters[3]) * x @ _rotation(parameters[:3]).T - y).ravel()

    starts = np.random.default_rng(0).uniform(-3, 3, (12, 4)) * (1, 1, 1, 0.1)
    return min(2 * float(least_squares(residual, start, xtol=1e-12, ftol=1e-12).cost) for start in starts)


def slow_n_mpjpe(pred: ndarray, true: ndarray) -> float:
    """One pose (J, 3): the scale by search."""
    fit = least_squares(lambda s: (s * pred - true).ravel(), 1.0, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    return slow_mpjpe(fit.x * pred, true)


def slow_velocity_errors(pred: ndarray, true: ndarray, fps: float) -> list[float]:
    """One clip (N, J, 3), mm/s, frame by frame."""
    return [slow_mpjpe((pred[f + 1] - pred[f]) * fps, (true[f + 1] - true[f]) * fps) for f in range(len(pred) - 1)]


def slow_acceleration_errors(pred: ndarray, true: ndarray, fps: float) -> list[float]:
    """One clip (N, J, 3), m/s^2, from the definition."""
    acceleration = [(x[2:] - 2 * x[1:-1] + x[:-2]) * fps * fps / 1000 for x in (pred, true)]
    return [slow_mpjpe(p, t) for p, t in zip(*acceleration, strict=True)]


def slow_pck(pred: ndarray, true: ndarray, threshold_mm: float) -> float:
    """One pose (J, 3): count."""
    return sum(math.dist(p, t) < threshold_mm for p, t in zip(pred, true, strict=True)) / len(pred)


def slow_auc(pred: ndarray, true: ndarray) -> float:
    """One pose (J, 3): the mean of 31 counts."""
    return sum(slow_pck(pred, true, 5 * step) for step in range(31)) / 31


def slow_bone_spread(joints: ndarray, parents: tuple[int, ...]) -> list[float]:
    """One clip (N, J, 3): the standard deviation of each bone's length, bone by bone."""
    return [
        float(np.std([math.dist(frame[joint], frame[parent]) for frame in joints]))
        for joint, parent in enumerate(parents)
        if parent >= 0
    ]


def slow_root(joints: ndarray, rays: ndarray, confidence: ndarray, start: ndarray) -> ndarray:
    """One pose (J, 3): the root of least reprojection error, joint by joint, by scipy's search from a start."""

    def misses(root: ndarray) -> list[float]:
        placed = joints + root
        return [
            math.sqrt(c) * (x[axis] / x[2] - q[axis])
            for x, q, c in zip(placed, rays, confidence, strict=True)
            for axis in (0, 1)
        ]

    return least_squares(misses, start, x_scale="jac", xtol=1e-14, ftol=1e-14, gtol=1e-14).x


def slow_j_agg(hypotheses: ndarray, roots: ndarray, rays: ndarray, confidence: ndarray) -> ndarray:
    """(H, N, J, 3) and (H, N, 3): the hypothesis of least reprojection distance, joint by joint."""
    chosen = np.empty(hypotheses.shape[1:])
    for frame, joint in np.ndindex(chosen.shape[:2]):
        if confidence[frame, joint] < 0.3:
            chosen[frame, joint] = hypotheses[:, frame, joint].mean(0)
            continue
        points = hypotheses[:, frame, joint] + roots[:, frame]
        distances = [math.dist(p[:2] / p[2], rays[frame, joint]) for p in points]
        chosen[frame, joint] = hypotheses[int(np.argmin(distances)), frame, joint]
    return chosen


def slow_linear(x: list[float], layer: nn.Linear) -> list[float]:
    """W x + b, row by row."""
    return [
        sum(w * value for w, value in zip(row, x, strict=True)) + bias
        for row, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    ]


def slow_layer_norm(x: list[float], layer: nn.LayerNorm) -> list[float]:
    """One token: mean 0, variance 1, then gain and bias."""
    mean = sum(x) / len(x)
    std = math.sqrt(sum((value - mean) ** 2 for value in x) / len(x) + layer.eps)
    gain, bias = layer.weight.tolist(), layer.bias.tolist()
    return [g * (value - mean) / std + b for value, g, b in zip(x, gain, bias, strict=True)]


def slow_attention(
    query: list[float], keys: Sequence[list[float]], values: Sequence[list[float]], num_heads: int
) -> list[float]:
    """What one query reads: each head by itself, a softmax over the scaled scores of its slice."""
    size, answer = len(query) // num_heads, []
    for head in range(num_heads):
        part = slice(head * size, (head + 1) * size)
        scores = [
            math.exp(sum(q * k for q, k in zip(query[part], key[part], strict=True)) / math.sqrt(size)) for key in keys
        ]
        for channel in range(part.start, part.stop):
            answer.append(sum(s * value[channel] for s, value in zip(scores, values, strict=True)) / sum(scores))
    return answer


def _rotation(vector: ndarray) -> ndarray:
    """Rodrigues' formula."""
    angle = float(np.linalg.norm(vector)) or 1e-30
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
