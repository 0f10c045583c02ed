"""The three incompatible protocols of MPI-INF-3DHP: PCK, AUC and MPJPE of six test sequences and their mean.

All count valid frames only. A compares with `univ_annot3`, people scaled to one height (P-STMO and most), B with
`annot3`, their true size (D3DP, FinePOSE), and C lifts with weights that never saw this data. Numbers of one say
nothing about numbers of another.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from dreampose3d.data.mpi_inf_3dhp import Scale, read, scale_of
from dreampose3d.evaluation.counting import Counted
from dreampose3d.evaluation.protocol import MPJPE, P_MPJPE, D3DPCounting, Metric, Protocol
from dreampose3d.metrics import auc, mpjpe, pck
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import MPI_INF_3DHP_17, Skeleton

JOINTS = tuple(joint for joint in MPI_INF_3DHP_17.joints if joint not in ("pelvis", "spine", "head"))
"""The 14 of PCK and AUC. Human3.6M has each of them: its head is the head top, its thorax the neck, limbs go by their
names. Its spine and neck/nose are not quite where MPI-INF-3DHP has spine and head."""

_ARRAYS: dict[Scale, str] = {"univ": "univ_annot3", "annot3": "annot3"}


def read_scaled(scale: Scale, folder: Path, split: str, keypoints: str) -> Iterator[PoseSequence]:
    """Sequences whose people are of that scale, as their bone lengths tell, whatever the file is called.

    Raises:
        ValueError: If they are of the other one.
    """
    sequences = list(read(folder, split, keypoints, scale))
    found = scale_of(sequences)
    if found != scale:
        right = {"univ": "3dhp-a", "annot3": "3dhp-b"}[found]
        raise ValueError(
            f"expected {_ARRAYS[scale]} in {folder}, but by their bone lengths its people are {_ARRAYS[found]}, which "
            f"the protocol {right} is for; results on the one say nothing about the other"
        )
    yield from sequences


def require_unseen(trained_on: Sequence[str]) -> None:
    """Protocol C is for weights that never saw MPI-INF-3DHP.

    Args:
        trained_on: The data sets on the weights' card.

    Raises:
        ValueError: If it is among them, or there are none.
    """
    if not trained_on:
        raise ValueError("the weights do not say what they were trained on, so 3dhp-c cannot take them; try 3dhp-b")
    if any("3dhp" in name.lower() for name in trained_on):
        raise ValueError(
            f"the weights were trained on {', '.join(trained_on)}, and 3dhp-c is for weights that never saw "
            "MPI-INF-3DHP; evaluate them with 3dhp-a or 3dhp-b"
        )


def _of_14(counted: Counted, skeleton: Skeleton) -> tuple[Float[Tensor, "A F j 3"], Float[Tensor, "F j 3"]]:
    joints = skeleton.indices(*JOINTS)
    return counted.poses[..., joints, :], counted.true[..., joints, :]


PCK = Metric("pck_percent", "PCK, %", lambda counted, skeleton: 100 * pck(*_of_14(counted, skeleton)))
AUC = Metric("auc_percent", "AUC, %", lambda counted, skeleton: 100 * auc(*_of_14(counted, skeleton)))
MPJPE_14 = Metric("mpjpe_14_mm", "MPJPE of 14, mm", lambda counted, skeleton: mpjpe(*_of_14(counted, skeleton)))

A = Protocol(
    name="3dhp-a",
    title="MPI-INF-3DHP, protocol A (univ_annot3: people scaled to one height)",
    read=partial(read_scaled, "univ"),
    metrics=(PCK, AUC, MPJPE, P_MPJPE),
    part=lambda sequence: sequence.name,
    parts="sequences",
    as_d3dp=D3DPCounting(batch=2, each_frame_once=True),
)
B = Protocol(
    name="3dhp-b",
    title="MPI-INF-3DHP, protocol B (annot3: true size)",
    read=partial(read_scaled, "annot3"),
    metrics=A.metrics,
    part=A.part,
    parts="sequences",
    as_d3dp=A.as_d3dp,
)
C = Protocol(
    name="3dhp-c",
    title="MPI-INF-3DHP, protocol C (cross-data: the weights never saw it)",
    read=read,
    metrics=(*A.metrics, MPJPE_14),
    part=A.part,
    parts="sequences",
    as_d3dp=A.as_d3dp,
    admit=require_unseen,
    remark=lambda sequence: f"truth: {_ARRAYS[scale_of([sequence])]}",
)
