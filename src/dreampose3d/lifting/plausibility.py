"""Is this the skeleton that the file says? Told from the lengths of body segments in the image.

A file in one joint order that is read as another gives limbs that run across the body, and a lifter that fails without
a word. Here every skeleton with the right number of joints is tried: after conversion to Human3.6M's joints, the
lengths of sixteen segments are compared with a body's. They are 2D lengths, shortened by the view, so what is known of
each is a mean and a spread, over poses and views; they hold upright or upside down, mirrored or not.

Only a comparison decides: a strange pose is strange in every order, the right order is just less so. Over the clips
that the project has, no right skeleton was refused and nearly every wrong one was (`benchmarks/plausibility.py`).
"""

import warnings

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17, SKELETONS, Skeleton

MARGIN = 1.5
"""How much more implausible than another skeleton the named one must be to be refused [ours]."""
PLAUSIBLE = 3.0
"""And how little implausible that other one: what is no body in any order is not refused here [ours]."""
MOSTLY_UPSIDE_DOWN = 0.9
"""Share of the frames with the head below the feet from which a clip of at least a second is warned of [ours]."""
_CAP = 9.0  # a segment more than 3 standard deviations off says no more than one that is 3 off
_SEEN = 0.85  # share of the joints that a frame must show to be judged: half a person resembles many things
_FRAMES = 1000  # of a longer clip, so many frames spread over it are enough

_BOTH_SIDES = {
    ("hip", "knee"): (0.81, 0.18),
    ("knee", "ankle"): (0.86, 0.22),
    ("shoulder", "elbow"): (0.58, 0.16),
    ("elbow", "wrist"): (0.55, 0.18),
    ("hip", "shoulder"): (1.12, 0.18),
}
_MIDDLE = {
    ("left_hip", "right_hip"): (0.28, 0.13),
    ("left_shoulder", "right_shoulder"): (0.71, 0.33),
    ("thorax", "neck"): (0.32, 0.13),  # both of the head wider than measured (0.09, 0.12): conventions differ there
    ("neck", "head"): (0.26, 0.16),
    ("pelvis", "spine"): (0.50, 0.07),
    ("spine", "thorax"): (0.55, 0.10),
}
SEGMENTS = {
    (f"{side}_{a}", f"{side}_{b}"): size for side in ("left", "right") for (a, b), size in _BOTH_SIDES.items()
} | _MIDDLE
"""Mean and standard deviation of a segment's 2D length over the spread of the body (the RMS distance of its joints
from their middle), over the training splits of CMU and HDM05 seen from random cameras, in the joint orders h36m_17,
coco_17 and mpi_inf_3dhp_17: `benchmarks/plausibility.py` measures them."""


def check_skeleton(sequence: PoseSequence) -> None:
    """Refuse 2D keypoints whose joints are plainly in another skeleton's order; warn if they stand on their heads.

    Args:
        sequence: 2D keypoints in the skeleton that they are said to be in.

    Raises:
        ValueError: If another skeleton with as many joints fits clearly better, with its name.
    """
    if sequence.keypoints_px is None:
        return
    told = sequence.skeleton
    keypoints = sequence.keypoints_px[:: max(1, len(sequence) // _FRAMES)]
    rivals = [other for other in SKELETONS.values() if other.num_joints == told.num_joints and other != told]
    own = implausibility(keypoints, told)
    others = {rival.name: implausibility(keypoints, rival) for rival in rivals}
    likeliest = min(others, key=lambda name: others[name], default=told.name)
    if is_refused(own, others.get(likeliest, np.inf)):
        raise ValueError(
            f"{sequence.name}: this looks like {likeliest}, not {told.name}: its segments are {own**0.5:.1f} standard "
            f"deviations from a body's, but {others[likeliest] ** 0.5:.1f} if read as {likeliest}; "
            f"try --skeleton {likeliest}"
        )
    if len(sequence) >= sequence.fps and share_upside_down(keypoints, told) > MOSTLY_UPSIDE_DOWN:
        warnings.warn(
            f"{sequence.name}: the head is below the feet in nearly every frame. Keypoints count y downwards from the "
            "top left corner; if these count it upwards, write height - y instead",
            stacklevel=2,
        )


def is_refused(own: float, rival: float) -> bool:
    """Whether a skeleton this implausible gives way to a rival that implausible."""
    return rival < PLAUSIBLE and MARGIN < own - rival < np.inf


def implausibility(keypoints_px: Float[ndarray, "N K 2"], skeleton: Skeleton) -> float:
    """How far the segments are from a body's if the keypoints are read as this skeleton.

    Returns:
        The mean squared deviation over frames and segments, in standard deviations, each counted up to 9: about 1 for
        the right skeleton, about 5 for a wrong one; infinite if too little is seen to tell.
    """
    whole = np.isfinite(keypoints_px).all(-1).mean(1) >= _SEEN
    mean, deviation = np.array(list(SEGMENTS.values())).T
    off = ((segment_lengths(keypoints_px[whole], skeleton) - mean) / deviation) ** 2
    seen = np.isfinite(off)
    return float(np.minimum(off[seen], _CAP).mean()) if seen.any() else np.inf


def segment_lengths(keypoints_px: Float[ndarray, "N K 2"], skeleton: Skeleton) -> Float[ndarray, "N segments"]:
    """The 2D lengths of `SEGMENTS` over the spread of the body, frame by frame; NaN where not seen."""
    seen = np.isfinite(keypoints_px).all(-1, keepdims=True)
    count = seen.sum(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # joints all in one place have no spread
        middle = np.where(seen, keypoints_px, 0).sum(1, keepdims=True) / count
        square = (np.where(seen, keypoints_px - middle, 0) ** 2).sum((1, 2)) / count[:, 0, 0]
        joints, _ = skeleton.to(H36M_17, keypoints_px)
        start, end = (H36M_17.indices(*(segment[i] for segment in SEGMENTS)) for i in (0, 1))
        lengths = np.linalg.norm(joints[:, start] - joints[:, end], axis=-1) / np.sqrt(square)[:, None]
    return np.where(np.isfinite(lengths), lengths, np.nan)


def share_upside_down(keypoints_px: Float[ndarray, "N K 2"], skeleton: Skeleton) -> float:
    """The share of the frames that show head and a foot in which the head is below all feet that they show."""
    joints, _ = skeleton.to(H36M_17, keypoints_px)
    head, feet = joints[:, H36M_17.index("head"), 1], joints[:, H36M_17.indices("left_ankle", "right_ankle"), 1]
    lowest = np.fmax(*feet.T)
    known = np.isfinite(head) & np.isfinite(lowest)
    return float((head > lowest)[known].mean()) if known.any() else 0.0
