"""Joints by the names and in the orders that other tools use, made into one of our skeletons."""

import re
from collections.abc import Sequence

from dreampose3d.skeleton import BLAZEPOSE_33, BODY_25, COCO_17, H36M_17, HALPE_26, SKELETONS, Skeleton

_OPENPOSE_COCO = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
    "right_ear", "left_ear",
)  # fmt: skip
_ORDERS: dict[int, tuple[str, ...]] = {
    17: COCO_17.joints,
    18: _OPENPOSE_COCO,
    25: BODY_25.joints,
    26: HALPE_26.joints,
    33: BLAZEPOSE_33.joints,
    68: HALPE_26.joints,  # and two hands
    133: COCO_17.joints,  # COCO-WholeBody: and feet, face, hands
    136: HALPE_26.joints,  # Halpe: and face, hands
}
_SAME = {
    "hip": "pelvis", "mid_hip": "pelvis", "midhip": "pelvis", "c_hip": "pelvis", "root": "pelvis",
    "head": "head_top", "top_head": "head_top", "head_bottom": "neck",
}  # fmt: skip
_SAME_ON_A_SIDE = {"big_toe": "toe", "bigtoe": "toe", "smalltoe": "small_toe", "foot_index": "toe"}
"""Words that mean the same in the skeletons that are told by name."""
_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}
_LIMBS = {"hip", "knee", "ankle", "shoulder", "elbow", "wrist", "eye", "ear", "heel"}
_WORDS_OF_ITS_OWN = {"h36m_17", "mpi_inf_3dhp_17"}
"""Skeletons whose `neck` and `head` are other joints than elsewhere: told by all of their names, in our spelling."""
_FEWEST = 9
"""Of Human3.6M's joints, how many the file's must make up to be a person's [ours]."""


def names_in_order(count: int) -> list[str]:
    """The names of so many joints, in the one order that the tools that list them without names agree on.

    AlphaPose, OpenPose, MMPose, MediaPipe and Pose2Sim: 17 COCO, 18 OpenPose's COCO, 25 BODY_25, 26 Halpe, 33
    BlazePose, 68 and 136 Halpe with hands and face, 133 COCO-WholeBody. Joints of hands and face are `""`.

    Raises:
        ValueError: If there is no such order.
    """
    if count not in _ORDERS:
        known = ", ".join(map(str, sorted(_ORDERS)))
        raise ValueError(
            f"people have {count} joints, and known orders have {known}; write them as npz with a skeleton's joints"
        )
    return [*_ORDERS[count], *[""] * (count - len(_ORDERS[count]))]


def fit_skeleton(names: Sequence[str], wanted: Skeleton | None = None) -> tuple[Skeleton, list[int | None]]:
    """The skeleton that joints of these names make up best, and where each of its joints is among them.

    Args:
        names: In any usual spelling (`LShoulder`, `left shoulder`, `shoulder_L`, `LEFT_SHOULDER`); others are left out.
        wanted: Take this one, if not the one from which most of Human3.6M's joints can be made.

    Returns:
        The skeleton, and for each of its joints a place in `names`, or None.

    Raises:
        ValueError: If they do not make up a person.
    """
    fits = {skeleton.name: _places(skeleton, names) for skeleton in ([wanted] if wanted else SKELETONS.values())}
    best = max(fits, key=lambda name: _made(SKELETONS[name], fits[name]))
    if _made(SKELETONS[best], fits[best])[0] < _FEWEST:
        told = ", ".join(name for name in names if name)
        raise ValueError(
            f"its joints ({told}) do not make up a person"
            f"{f' as {wanted.name}' if wanted else ''}; names like {', '.join(COCO_17.joints[5:7])} are understood"
        )
    return SKELETONS[best], fits[best]


def _plain(name: str) -> str:
    """A joint's name in one spelling: left_shoulder for LShoulder, shoulder-l, lshoulder, LEFT SHOULDER."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]
    if len(words) == 1 and words[0][1:] in _LIMBS:
        words = [words[0][0], words[0][1:]]
    side = next((_SIDES[word] for word in words if word in _SIDES), "")
    rest = "_".join(word for word in words if word not in _SIDES)
    return f"{side}_{_SAME_ON_A_SIDE.get(rest, rest)}" if side else _SAME.get(rest, rest)


def _places(skeleton: Skeleton, names: Sequence[str]) -> list[int | None]:
    if skeleton.name in _WORDS_OF_ITS_OWN:
        return [names.index(j) if {*skeleton.joints} <= {*names} else None for j in skeleton.joints]
    places = {_plain(name): place for place, name in reversed([*enumerate(names)]) if name}
    return [places.get(_plain(joint)) for joint in skeleton.joints]


def _made(skeleton: Skeleton, places: Sequence[int | None]) -> tuple[int, int]:
    """How many of Human3.6M's joints can be made from those that are there; then how many are there at all."""
    there = {joint for joint, place in zip(skeleton.joints, places, strict=True) if place is not None}
    sources = skeleton.to_h36m or {joint: {joint: 1.0} for joint in H36M_17.joints}
    return sum(there.issuperset(made_of) for made_of in sources.values()), len(there)
