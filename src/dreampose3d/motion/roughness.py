"""The roughness of a path over time, and the least squares that it makes smooth: what every smoother here shares.

The roughness of x(t) is the integral of |x''|^2, from second divided differences, so frames need not be evenly spaced.
Data with independent noise and a path whose acceleration is white noise have their most probable path at the least of
(data misfit) + (roughness): a Kalman filter followed by a Rauch-Tung-Striebel smoother finds the same one. It is
linear, its matrix is banded, and solving it costs a few operations a frame.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import solveh_banded


def acceleration_bands(time_s: Float[ndarray, " N"]) -> Float[ndarray, "3 N"]:
    """The matrix of the integral of |x''|^2, lower bands: x @ matrix @ x is the roughness of N numbers x.

    The integral is the sum over inner frames of the second divided difference, squared, times the time that the frame
    stands for. Fewer than three frames have no roughness.

    Args:
        time_s: Increasing times, seconds.
    """
    bands = np.zeros((3, len(time_s)))
    if len(time_s) < 3:
        return bands
    before, after = np.diff(time_s)[:-1], np.diff(time_s)[1:]
    both = before + after
    row = np.stack((2 / (before * both), -2 / (before * after), 2 / (after * both)))  # of each inner frame, 3 N-2
    weighted = row * both / 2
    for band in range(3):
        for column in range(3 - band):
            bands[band, column : column + row.shape[1]] += weighted[column] * row[column + band]
    return bands


def velocity_bands(time_s: Float[ndarray, " N"]) -> Float[ndarray, "2 N"]:
    """The matrix of the integral of |x'|^2, lower bands.

    Args:
        time_s: Increasing times, seconds.
    """
    bands = np.zeros((2, len(time_s)))
    rate = 1 / np.diff(time_s)
    bands[0, :-1] += rate
    bands[0, 1:] += rate
    bands[1, :-1] = -rate
    return bands


def frame_seconds(time_s: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
    """The time that each frame stands for: half way to its neighbours; a lone frame stands for a second."""
    if len(time_s) == 1:
        return np.ones(1)
    seconds: ndarray = np.gradient(time_s)
    return seconds


def solve_smooth(
    smoothness: Float[ndarray, "bands N"], weight: Float[ndarray, "N C C"], target: Float[ndarray, "N C"]
) -> Float[ndarray, "N C"]:
    """argmin_x  sum_n x_n' W_n x_n - 2 x_n' b_n  +  sum_c x_c' S x_c: the path of least misfit and roughness.

    Args:
        smoothness: S, lower bands, the same for each coordinate.
        weight: W_n, symmetric; 0 where a frame is not observed.
        target: b_n = W_n y_n for an observation y_n.

    Returns:
        The path x, in the target's units.
    """
    count, coordinates = target.shape
    bands = np.zeros((len(smoothness), coordinates, count, coordinates))  # band = step in frames * C + step in C
    bands[:, 0] = smoothness[:, :, None]
    for c in range(coordinates):
        for d in range(c):
            bands[0, c - d, :, d] += weight[:, c, d]
        bands[0, 0, :, c] += weight[:, c, c]
    flat: ndarray = solveh_banded(bands.reshape(-1, count * coordinates), target.reshape(-1), lower=True)
    return flat.reshape(count, coordinates)
