"""The Human3.6M protocol: subjects S9 and S11, four cameras, MPJPE and P-MPJPE of 15 actions and their mean."""

from dreampose3d.data import h36m
from dreampose3d.evaluation.protocol import MPJPE, P_MPJPE, D3DPCounting, Protocol

ABBREVIATIONS = dict(
    zip(
        h36m.ACTIONS,
        ["Dir.", "Disc.", "Eat", "Greet", "Phone", "Photo", "Pose", "Purch.", "Sit", "SitD.", "Smoke", "Wait",
         "WalkD.", "Walk", "WalkT."],
        strict=True,
    )
)  # fmt: skip
"""The 15 actions in the order in which papers print them, and as they abbreviate them."""

H36M = Protocol(
    name="h36m",
    title="Human3.6M",
    read=h36m.read,
    metrics=(MPJPE, P_MPJPE),
    part=lambda sequence: sequence.action,
    parts="actions",
    abbreviations=ABBREVIATIONS,
    as_d3dp=D3DPCounting(batch=4, each_frame_once=False),
)
