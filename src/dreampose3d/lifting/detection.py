"""What a detector finds in one frame."""

from jaxtyping import Float
from numpy import ndarray

Detection = tuple[Float[ndarray, "K 2"], Float[ndarray, " K"]]
"""Keypoints in pixels (NaN where missing), and the certainty of each in [0, 1]."""
