"""The scale: one camera cannot tell a tall person far away from a short one near by; a known body height can.

Height is read along the joints, as if the person stood upright: shins, thighs, pelvis to spine to thorax to neck to
head. That is less than the height by the foot below the ankle and the top of the head, and by the same share for
everyone. Persons of equal height differ by 2 to 3 % in their proportions, which is how well `--height` can do.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.motion.bones import estimate_lengths
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import Skeleton

SHARE_OF_HEIGHT = 0.93
"""Ankle to head along the joints, over body height. Source: thigh 0.245, shin 0.246, upper arm 0.186 and forearm 0.146
of height (Drillis and Contini 1966, as in Winter 2009, figure 4.1) say how tall the twelve subjects of cmu train are;
ankle to head measures 0.932 of that. Lifted poses have the proportions of these subjects."""
CHAIN = ("knee", "ankle", "spine", "thorax", "neck", "head")
"""The bones that add up to it, by the joints that they end in."""

PROPORTIONS_SHARE = 0.025
"""By which people of equal height differ from each other: what a known height leaves of the spread for size."""
_QUANTILE = 0.6
"""The mean of hypotheses shortens bones that they are unsure of: by the median a height is 1 % short (cmu val)."""
_PLAUSIBLE_M = (0.4, 2.8)


def body_height(
    joints_mm: Float[ndarray, "N J 3"], skeleton: Skeleton, weight: Float[ndarray, "N J"] | None = None
) -> float:
    """Standing body height, mm, from the lengths that the bones have over a clip.

    Args:
        joints_mm: Poses, mm; the root may be in or out.
        skeleton: Whose joints.
        weight: How much to trust each joint, as in `estimate_lengths`.

    Raises:
        ValueError: If there are no frames, the joint count is wrong, or the skeleton lacks a joint.
    """
    lengths = estimate_lengths(joints_mm, skeleton, weight, symmetric=True, quantile=_QUANTILE)
    of = dict(zip((skeleton.joints[joint] for joint, _ in skeleton.bones), lengths.tolist(), strict=True))
    chain: float = sum(of[joint] if joint in of else of[f"left_{joint}"] for joint in CHAIN)
    return chain / SHARE_OF_HEIGHT


def require_height(height_m: float) -> None:
    """Refuse what is no person's height in metres."""
    if not _PLAUSIBLE_M[0] <= height_m <= _PLAUSIBLE_M[1]:
        raise ValueError(f"expected a body height in metres, such as 1.85, got {height_m:g}")


def with_height(motion: LiftedMotion, height_m: float) -> LiftedMotion:
    """The motion, its path and its uncertainty scaled so that the person has a known height.

    What is seen stays the same: a person twice as tall moves twice as far away. The uncertainty no longer holds that
    people differ in size (`lifting.spread`, u), but only that those of one height differ in proportion.

    Args:
        motion: A lifted motion.
        height_m: Standing body height without shoes, metres.

    Raises:
        ValueError: If the height is not a person's in metres, or the motion has no frames.
    """
    require_height(height_m)
    scale = np.float32(1000 * height_m / body_height(motion.root_relative_mm, motion.skeleton, motion.confidence))
    return replace(
        motion,
        root_relative_mm=scale * motion.root_relative_mm,
        root_mm=scale * motion.root_mm,
        spread_mm=scale * _spread_at_height(motion),
        hypotheses_mm=None if motion.hypotheses_mm is None else scale * motion.hypotheses_mm,
        meta=motion.meta | {"spread_size_share": min(PROPORTIONS_SHARE, _size_share(motion))},
    )


def _spread_at_height(motion: LiftedMotion) -> Float[ndarray, "N J"]:
    reach = np.linalg.norm(motion.root_relative_mm, axis=-1)
    gone = max(0.0, _size_share(motion) ** 2 - PROPORTIONS_SHARE**2)
    spread: ndarray = np.sqrt(np.maximum(motion.spread_mm**2 - gone * reach**2, 0)).astype(motion.spread_mm.dtype)
    return spread


def _size_share(motion: LiftedMotion) -> float:
    """0 in motions of older weights."""
    return float(motion.meta.get("spread_size_share", 0.0))
