"""The published protocols by name."""

from dreampose3d.evaluation.h36m import H36M
from dreampose3d.evaluation.mlb import MLB
from dreampose3d.evaluation.mpi_inf_3dhp import A, B, C
from dreampose3d.evaluation.protocol import Protocol

PUBLISHED: dict[str, Protocol] = {protocol.name: protocol for protocol in (H36M, A, B, C, MLB)}
