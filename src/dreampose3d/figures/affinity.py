"""The SRE's joint affinity (Eq. 4): the kinematic prior A_L, the learned A_G, and their symmetrised sum A."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from dreampose3d.figures.matrix import label_joints, matrix_panels
from dreampose3d.figures.style import INK, SIGNED, Width, paper_style
from dreampose3d.model.affinity import JointAffinity
from dreampose3d.skeleton import Skeleton

_TITLES = (r"$A_L$, kinematic prior", r"$A_G$, learned", r"$A$, their symmetrised sum")


@paper_style()
def affinity_figure(affinity: JointAffinity | None, skeleton: Skeleton, width: Width = "full") -> Figure:
    """Draw the three matrices with one colour scale, A_L's: from -1 to 1. Cells marked with a bar are negative.

    Args:
        affinity: The model's own: `model.denoiser.encode_joints.affinity`.
        skeleton: Names of the joints.
        width: The figure's; in a column the matrices stand below each other.

    Raises:
        ValueError: If the model has none (it was trained with `affinity=False`).
    """
    if affinity is None:
        raise ValueError("these weights were trained without joint affinity (affinity=False): nothing to draw")
    matrices = affinity_matrices(affinity)
    drawn = matrix_panels(width, _TITLES, 3 if width == "full" else 1, labels_in=(0.68, 0.72))
    for place, (panel, matrix) in enumerate(zip(drawn.panels, matrices, strict=True)):
        image = panel.imshow(matrix, cmap=SIGNED, vmin=-1, vmax=1)
        _mark_negative(panel, matrix, below=-0.05)
        label_joints(panel, skeleton, columns=drawn.at_bottom(place), rows=drawn.at_left(place))
    drawn.colour_bar(image, "affinity (no unit)", _beyond(matrices))
    return drawn.figure


def affinity_matrices(affinity: JointAffinity) -> Float[ndarray, "3 J J"]:
    """A_L, A_G and ((A_L + A_G) + (A_L + A_G)^T) / 2."""
    matrices = (affinity.prior(), affinity.learned, affinity())
    return np.stack([matrix.detach().cpu().double().numpy() for matrix in matrices])


def _beyond(matrices: Float[ndarray, "3 J J"]) -> str:
    """On which side values lie outside of the colour scale, in matplotlib's words."""
    over, under = bool((matrices > 1).any()), bool((matrices < -1).any())
    return {(True, True): "both", (True, False): "max", (False, True): "min"}.get((over, under), "neither")


def _mark_negative(panel: Any, matrix: Float[ndarray, "J J"], below: float) -> None:
    """A small bar in every cell that is clearly negative, for those who print in grey."""
    rows, columns = np.nonzero(matrix < below)
    panel.plot(columns, rows, linestyle="none", marker="_", markersize=2.5, markeredgewidth=0.6, color=INK)
