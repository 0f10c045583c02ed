"""Smoothing: the stated gain, no phase, no edges, uneven times; equal to dense least squares and near Butterworth."""

import math

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from dreampose3d.motion.roughness import acceleration_bands, solve_smooth, velocity_bands
from dreampose3d.motion.smoothing import smooth

FPS = 50.0


def wave(frequency_hz: float, frames: int = 400) -> tuple[np.ndarray, np.ndarray]:
    time_s = np.arange(frames) / FPS
    return np.sin(2 * math.pi * frequency_hz * time_s)[:, None], time_s


@pytest.mark.parametrize(("frequency_hz", "gain"), [(6.0, 1 / math.sqrt(2)), (0.5, 1.0), (24.0, 0.0)])
def test_the_gain_is_as_stated_and_nothing_is_delayed(frequency_hz, gain):
    values, time_s = wave(frequency_hz)
    inner = slice(100, 300)
    np.testing.assert_allclose(smooth(values, time_s, 6.0)[inner], gain * values[inner], atol=0.05)


def test_it_is_near_the_zero_lag_butterworth_of_biomechanics():
    """Second order, forwards and backwards; its cut-off is set so that both passes together are 3 dB down there."""
    rng = np.random.default_rng(0)
    values, time_s = np.cumsum(rng.normal(size=(500, 3)), 0), np.arange(500) / FPS
    once_hz = 6.0 / (math.sqrt(2) - 1) ** 0.25
    butterworth = sosfiltfilt(butter(2, once_hz, fs=FPS, output="sos"), values, axis=0)
    inner = slice(50, 450)
    difference = smooth(values, time_s, 6.0)[inner] - butterworth[inner]
    assert difference.std() < 0.03 * values[inner].std()
    assert difference.std() < 0.2 * (values - butterworth)[inner].std()


def test_straight_motion_stays_as_it_is_to_the_ends():
    time_s = np.sort(np.random.default_rng(0).uniform(0, 4, 120))
    line = 300 * time_s[:, None] + np.array((1.0, -2.0))
    np.testing.assert_allclose(smooth(line, time_s, 3.0), line, atol=1e-6)


def test_bands_and_solver_equal_dense_matrices():
    """Uneven times; roughness from divided differences, frame by frame; one system for all coordinates."""
    rng = np.random.default_rng(0)
    time_s = np.cumsum(rng.uniform(0.01, 0.05, 9))
    second, first = np.zeros((9, 9)), np.zeros((9, 9))
    for i in range(1, 8):
        a, b = time_s[i] - time_s[i - 1], time_s[i + 1] - time_s[i]
        row = np.zeros(9)
        row[i - 1 : i + 2] = 2 / (a * (a + b)), -2 / (a * b), 2 / (b * (a + b))
        second += np.outer(row, row) * (a + b) / 2
    for i in range(8):
        row = np.zeros(9)
        row[i : i + 2] = -1, 1
        first += np.outer(row, row) / (time_s[i + 1] - time_s[i])
    half = rng.normal(size=(9, 3, 3))
    weight, target = half @ half.swapaxes(1, 2), rng.normal(size=(9, 3))
    smoothness = 1e-6 * acceleration_bands(time_s)
    smoothness[:2] += 1e-2 * velocity_bands(time_s)
    dense = np.kron(1e-6 * second + 1e-2 * first, np.eye(3))
    for n in range(9):
        dense[3 * n : 3 * n + 3, 3 * n : 3 * n + 3] += weight[n]
    slow = np.linalg.solve(dense, target.ravel()).reshape(9, 3)
    np.testing.assert_allclose(solve_smooth(smoothness, weight, target), slow, rtol=1e-9, atol=1e-12)


def test_shape_and_type_stay_and_two_frames_are_left_alone():
    joints = np.random.default_rng(0).normal(size=(20, 17, 3)).astype(np.float32)
    smoothed = smooth(joints, np.arange(20) / FPS, 6.0)
    assert smoothed.dtype == np.float32
    assert smoothed.shape == joints.shape
    np.testing.assert_array_equal(smooth(joints[:2], np.arange(2) / FPS, 6.0), joints[:2])


def test_bad_input_is_refused():
    values, time_s = wave(1.0, 20)
    for cutoff_hz in (0.0, -3.0, 25.0, math.nan):
        with pytest.raises(ValueError, match=r"cut-off between 0 and 25 Hz, half the frame rate, got"):
            smooth(values, time_s, cutoff_hz)
    with pytest.raises(ValueError, match="times that grow from frame to frame"):
        smooth(values, time_s[::-1].copy(), 6.0)
