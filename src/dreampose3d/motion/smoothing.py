"""Smoothing, for those who ask for it: zero phase, a cut-off in Hz, and a statement of what it takes off the speeds.

A smoothing spline: of all motions it takes the one of least squared distance from the joints plus lambda times the
roughness. In the frequency domain that is the gain 1 / (1 + lambda (2 sin(pi f / fps))^4 fps^4): zero phase, and the
square of a second-order Butterworth's, which biomechanics runs forwards and backwards. Unlike that filter it knows no
edges to ring at and takes frames at uneven times. lambda is chosen so that the gain at the cut-off is 1 / sqrt(2).
"""

import math

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import solveh_banded

from dreampose3d.motion.roughness import acceleration_bands, frame_seconds


def smooth(
    positions: Float[ndarray, "N *rest"], time_s: Float[ndarray, " N"], cutoff_hz: float
) -> Float[ndarray, "N *rest"]:
    """Take out what is faster than a cut-off; nothing is delayed, and straight motion at constant speed is kept.

    Args:
        positions: Anything that moves, over N frames; fewer than three are returned as they are.
        time_s: Presentation times, increasing, seconds.
        cutoff_hz: Where the amplitude has fallen to 1 / sqrt(2). Walking needs about 6 Hz, a pitch 15 or more.

    Raises:
        ValueError: If the cut-off is not between 0 and half the frame rate, or times do not grow.

    Source: Winter 2009, section 3.4.4 (zero-lag Butterworth, whose gain this is); Eilers 2003 (the solver).
    """
    require_growing(time_s)
    if len(time_s) < 3:
        return positions
    fps = 1 / float(np.median(np.diff(time_s)))
    if not 0 < cutoff_hz < fps / 2:
        raise ValueError(f"expected a cut-off between 0 and {fps / 2:g} Hz, half the frame rate, got {cutoff_hz:g} Hz")
    return smooth_by(positions, time_s, (math.sqrt(2) - 1) / (2 * fps * math.sin(math.pi * cutoff_hz / fps)) ** 4)


def smooth_by(
    positions: Float[ndarray, "N *rest"], time_s: Float[ndarray, " N"], strength: float
) -> Float[ndarray, "N *rest"]:
    """The motion of least squared distance, integrated over time, plus `strength` (s^4) times the roughness.

    With positions whose noise has the variance v and an acceleration that is white with the spectrum q, the most
    probable motion is that of strength v / q times the seconds between frames.
    """
    if len(time_s) < 3 or strength == 0:
        return positions
    seconds = frame_seconds(time_s)
    bands = strength * acceleration_bands(time_s)
    bands[0] += seconds
    flat = np.asarray(positions, np.float64).reshape(len(time_s), -1)
    smoothed: ndarray = solveh_banded(bands, seconds[:, None] * flat, lower=True)
    return smoothed.reshape(positions.shape).astype(positions.dtype)


def require_growing(time_s: Float[ndarray, " N"]) -> None:
    """Refuse times that do not grow."""
    if not np.all(np.diff(time_s) > 0):
        raise ValueError("expected presentation times that grow from frame to frame, some do not")
