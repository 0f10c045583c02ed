"""How long steps are: from where one foot stands to where it, or the other one, stands next."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.motion.contacts import Contact


@dataclass(frozen=True)
class Stride:
    """The way of one foot from one contact to its next: two steps of a walk."""

    foot: str
    """The ankle's joint name."""
    start_s: float
    """When it came to stand before the stride, and .."""
    stop_s: float
    """when it does after it."""
    length_mm: float
    """Over the ground."""
    length_percent_of_height: float


def strides(
    found: Sequence[Contact], time_s: Float[ndarray, " N"], up: Float[ndarray, " 3"], height_mm: float
) -> list[Stride]:
    """All strides of a clip, in order of time.

    Args:
        found: When and where feet stand (`contacts`).
        time_s: Presentation times, seconds.
        up: Unit vector upwards.
        height_mm: Body height (`scale.body_height`, or the true one).

    Raises:
        ValueError: If the height is not positive.
    """
    if not height_mm > 0:
        raise ValueError(f"expected a positive body height in mm, got {height_mm:g}")
    result = []
    for foot in dict.fromkeys(contact.foot for contact in found):
        own = [contact for contact in found if contact.foot == foot]
        for before, after in pairwise(own):
            way = after.position_mm - before.position_mm
            length = float(np.linalg.norm(way - (way @ up) * up))
            result.append(
                Stride(foot, float(time_s[before.start]), float(time_s[after.start]), length, 100 * length / height_mm)
            )
    return sorted(result, key=lambda stride: stride.start_s)
