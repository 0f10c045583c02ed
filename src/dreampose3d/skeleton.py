"""Skeletons as data: joint names, parents, sides; and conversions between them by joint name.

Nothing in this package counts joints or relies on their order: it asks a `Skeleton`. A conversion is
a table of names (`thorax` = half `left_shoulder`, half `right_shoulder`), so a new convention is one
more table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

Recipe = Mapping[str, Mapping[str, float]]
"""For each target joint, the source joints whose weighted mean it is."""


@dataclass(frozen=True)
class Skeleton:
    """A named set of joints in a fixed order, its kinematic tree and its sides.

    `parents` holds -1 for a root; 2D conventions without a tree (COCO) have several roots.
    `to_h36m` says how each Human3.6M joint is made from this skeleton's joints.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    to_h36m: Recipe = field(default_factory=dict, repr=False, compare=False)
    mapping_note: str = field(default="", compare=False)
    """In words, what the conversion to Human3.6M does to the joints that the conventions define differently."""

    def __post_init__(self) -> None:
        if len(self.parents) != len(self.joints):
            raise ValueError(f"{self.name}: {len(self.joints)} joints, but {len(self.parents)} parents")
        if len(set(self.joints)) != len(self.joints):
            raise ValueError(f"{self.name}: joint names repeat")

    @property
    def num_joints(self) -> int:
        """J."""
        return len(self.joints)

    def index(self, joint: str) -> int:
        """The place of a joint in this skeleton's order."""
        try:
            return self.joints.index(joint)
        except ValueError:
            raise ValueError(f"{self.name} has no joint {joint!r}; it has {', '.join(self.joints)}") from None

    def indices(self, *joints: str) -> list[int]:
        """The places of several joints."""
        return [self.index(joint) for joint in joints]

    @cached_property
    def root(self) -> int:
        """The joint that root-relative poses are relative to: the first of the tree's roots."""
        return self.parents.index(-1)

    @cached_property
    def left(self) -> tuple[int, ...]:
        """Indices of the left joints, in the order of their right partners in `right`."""
        return tuple(i for i, name in enumerate(self.joints) if name.startswith("left_"))

    @cached_property
    def right(self) -> tuple[int, ...]:
        """Indices of the right joints, each the partner of the same entry of `left`."""
        return tuple(self.index(self.joints[i].replace("left_", "right_", 1)) for i in self.left)

    @cached_property
    def mirror(self) -> Int[ndarray, " J"]:
        """The permutation that swaps left and right joints."""
        order = np.arange(self.num_joints)
        order[list(self.left)], order[list(self.right)] = self.right, self.left
        return order

    @cached_property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(joint, parent) of every bone."""
        return tuple((joint, parent) for joint, parent in enumerate(self.parents) if parent >= 0)

    @cached_property
    def adjacency(self) -> Bool[ndarray, "J J"]:
        """True where two joints share a bone; symmetric, False on the diagonal."""
        near = np.zeros((self.num_joints, self.num_joints), bool)
        for joint, parent in self.bones:
            near[joint, parent] = near[parent, joint] = True
        return near

    def subtree(self, joint: str | int) -> tuple[int, ...]:
        """A joint and all its descendants."""
        inside = {self.index(joint) if isinstance(joint, str) else joint}
        while grown := {child for child, parent in enumerate(self.parents) if parent in inside} - inside:
            inside |= grown
        return tuple(sorted(inside))

    def to(
        self,
        target: "Skeleton",
        positions: Float[ndarray, "*batch K D"],
        confidence: Float[ndarray, "*batch K"] | None = None,
    ) -> tuple[Float[ndarray, "*batch J D"], Float[ndarray, "*batch J"]]:
        """Convert joints of this skeleton to `target` by name.

        A joint that is made from several is their weighted mean and as certain as the least certain of
        them; a missing source (NaN) makes it missing (NaN, confidence 0).

        Args:
            target: The skeleton wanted: this one itself, Human3.6M's, or one whose joints are Human3.6M's in another
                order and by other names (MPI-INF-3DHP's).
            positions: 2D or 3D positions in this skeleton's order, any unit.
            confidence: Confidence in [0, 1] per joint; 1 where not given.

        Returns:
            Positions and confidence in the target's order.

        Raises:
            ValueError: If the joint count is wrong or no conversion is known.
        """
        if positions.shape[-2] != self.num_joints:
            raise ValueError(
                f"expected {self.num_joints} joints ({self.name}), got {positions.shape[-2]}; "
                f"name the skeleton that the file holds: {', '.join(SKELETONS)}"
            )
        weights = self._weights(target)
        if confidence is None:
            confidence = np.ones(positions.shape[:-1], positions.dtype)
        missing = ~np.isfinite(positions).all(-1)
        confidence = np.where(missing, 0, np.nan_to_num(confidence))
        needed = weights > 0  # J K
        converted = weights.astype(positions.dtype) @ np.nan_to_num(positions)
        certain = np.where(needed, confidence[..., None, :], np.inf).min(-1).astype(positions.dtype)
        lost = (missing[..., None, :] & needed).any(-1)
        return np.where(lost[..., None], np.nan, converted).astype(positions.dtype), np.where(lost, 0, certain).astype(
            positions.dtype
        )

    def _weights(self, target: "Skeleton") -> Float[ndarray, "J K"]:
        if target == self:
            return np.eye(self.num_joints)
        there, back = self._weights_to_h36m(), target._weights_to_h36m()
        if there is None or back is None or not np.array_equal(back.T @ back, np.eye(target.num_joints)):
            raise ValueError(f"no conversion from {self.name} to {target.name}")
        weights: ndarray = back.T @ there  # the inverse of a permutation is its transpose
        return weights

    def _weights_to_h36m(self) -> Float[ndarray, "J K"] | None:
        if self.name == H36M_17.name:
            return np.eye(self.num_joints)
        if not self.to_h36m:
            return None
        weights = np.zeros((H36M_17.num_joints, self.num_joints))
        for joint, sources in self.to_h36m.items():
            for source, weight in sources.items():
                weights[H36M_17.index(joint), self.index(source)] = weight
        return weights


def _limbs(*without: str) -> dict[str, dict[str, float]]:
    """The twelve limb joints, which every convention names alike."""
    names = [f"{s}_{j}" for s in ("left", "right") for j in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")]
    return {name: {name: 1.0} for name in names if name not in without}


def _middle(*joints: str) -> dict[str, float]:
    return {joint: 1 / len(joints) for joint in joints}


H36M_17 = Skeleton(
    name="h36m_17",
    joints=(
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "spine", "thorax", "neck", "head",
        "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
    ),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
    mapping_note="none: the joints are Human3.6M's (neck: its joint 9, neck/nose)",
)  # fmt: skip

MPI_INF_3DHP_17 = Skeleton(
    name="mpi_inf_3dhp_17",
    joints=(
        "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
        "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "pelvis", "spine", "head",
    ),
    parents=(16, 15, 1, 2, 3, 1, 5, 6, 14, 8, 9, 14, 11, 12, -1, 14, 1),
    to_h36m=_limbs() | {
        "pelvis": {"pelvis": 1}, "spine": {"spine": 1}, "thorax": {"neck": 1}, "neck": {"head": 1},
        "head": {"head_top": 1},
    },
    mapping_note="thorax = neck, neck/nose = head, head = head top",
)  # fmt: skip

_FACE_TO_H36M: dict[str, dict[str, float]] = {
    "pelvis": _middle("left_hip", "right_hip"),
    "thorax": _middle("left_shoulder", "right_shoulder"),
    "spine": _middle("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    "neck": {"nose": 1.0},
    "head": _middle("left_eye", "right_eye"),
}
_FACE_NOTE = (
    "pelvis = mid-hips, thorax = mid-shoulders, spine = middle of pelvis and thorax, neck/nose = nose, head = mid-eyes"
)

COCO_17 = Skeleton(
    name="coco_17",
    joints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee",
        "left_ankle", "right_ankle",
    ),
    parents=(-1, 0, 0, 1, 2, -1, 5, 5, 6, 7, 8, 5, 6, 11, 12, 13, 14),
    to_h36m=_limbs() | _FACE_TO_H36M,
    mapping_note=_FACE_NOTE,
)  # fmt: skip

BLAZEPOSE_33 = Skeleton(
    name="blazepose_33",
    joints=(
        "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
        "left_ear", "right_ear", "left_mouth", "right_mouth", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
        "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
        "left_heel", "right_heel", "left_toe", "right_toe",
    ),
    parents=(
        -1, 0, 1, 2, 0, 4, 5, 3, 6, 0, 0, -1, 11, 11, 12, 13, 14, 15, 16, 15, 16, 15, 16, 11, 12, 23, 24, 25, 26,
        27, 28, 27, 28,
    ),
    to_h36m=_limbs() | _FACE_TO_H36M,
    mapping_note=_FACE_NOTE,
)  # fmt: skip

HALPE_26 = Skeleton(
    name="halpe_26",
    joints=(
        *COCO_17.joints, "head_top", "neck", "hip", "left_big_toe", "right_big_toe", "left_small_toe",
        "right_small_toe", "left_heel", "right_heel",
    ),
    parents=(18, 0, 0, 1, 2, 18, 18, 5, 6, 7, 8, 19, 19, 11, 12, 13, 14, 0, 19, -1, 15, 16, 15, 16, 15, 16),
    to_h36m=_limbs() | {
        "pelvis": {"hip": 1}, "thorax": {"neck": 1}, "spine": _middle("hip", "neck"), "neck": {"nose": 1},
        "head": {"head_top": 1},
    },
    mapping_note="pelvis = hip, thorax = neck, spine = middle of hip and neck, neck/nose = nose, head = head top",
)  # fmt: skip

BODY_25 = Skeleton(
    name="body_25",
    joints=(
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye",
        "left_eye", "right_ear", "left_ear", "left_big_toe", "left_small_toe", "left_heel", "right_big_toe",
        "right_small_toe", "right_heel",
    ),
    parents=(1, 8, 1, 2, 3, 1, 5, 6, -1, 8, 9, 10, 8, 12, 13, 0, 0, 15, 16, 14, 14, 14, 11, 11, 11),
    to_h36m=_limbs() | {
        "pelvis": {"hip": 1}, "thorax": {"neck": 1}, "spine": _middle("hip", "neck"), "neck": {"nose": 1},
        "head": _middle("left_eye", "right_eye"),
    },
    mapping_note="pelvis = mid-hip, thorax = neck, spine = middle of both, neck/nose = nose, head = mid-eyes",
)  # fmt: skip

SKELETONS: dict[str, Skeleton] = {
    s.name: s for s in (H36M_17, MPI_INF_3DHP_17, COCO_17, BLAZEPOSE_33, HALPE_26, BODY_25)
}


def skeleton_named(name: str) -> Skeleton:
    """The skeleton of that name.

    Raises:
        ValueError: If there is none, with the names that exist.
    """
    if name.lower() not in SKELETONS:
        raise ValueError(f"unknown skeleton {name!r}; known are {', '.join(SKELETONS)}")
    return SKELETONS[name.lower()]
