from copy import deepcopy

import numpy as np
import pytest
import torch

from dreampose3d.figures.affinity import affinity_figure, affinity_matrices
from dreampose3d.skeleton import H36M_17


@pytest.fixture
def affinity(lifter):
    return lifter.model.denoiser.encode_joints.affinity


def test_the_matrices_are_the_models(affinity):
    prior, learned, both = affinity_matrices(affinity)
    np.testing.assert_allclose(both, affinity().detach(), atol=1e-7)
    np.testing.assert_allclose(both, ((prior + learned) + (prior + learned).T) / 2, atol=1e-6)
    figure = affinity_figure(affinity, H36M_17)
    for panel, matrix in zip(figure.axes[:3], (prior, learned, both), strict=True):
        np.testing.assert_array_equal(panel.images[0].get_array(), matrix)


@pytest.mark.parametrize("width", ["column", "full"])
def test_joints_are_named_once_along_the_left_and_the_bottom(affinity, width):
    figure = affinity_figure(affinity, H36M_17, width)
    names = [joint.replace("_", " ") for joint in H36M_17.joints]
    rows = [[text.get_text() for text in panel.get_yticklabels()] for panel in figure.axes[:3]]
    columns = [[text.get_text() for text in panel.get_xticklabels()] for panel in figure.axes[:3]]
    assert (rows, columns) == (([names, [], []], 3 * [names]) if width == "full" else (3 * [names], [[], [], names]))
    titles = [panel.get_title() for panel in figure.axes[:3]]
    assert titles == ["$A_L$, kinematic prior", "$A_G$, learned", "$A$, their symmetrised sum"]
    assert figure.axes[3].get_ylabel() == "affinity (no unit)"


def test_negative_cells_are_marked_for_those_who_print_in_grey(affinity):
    _, learned, _ = affinity_matrices(affinity)
    (marks,) = affinity_figure(affinity, H36M_17).axes[1].lines
    columns, rows = marks.get_data()
    assert set(zip(rows, columns, strict=True)) == set(zip(*np.nonzero(learned < -0.05), strict=True))


@pytest.mark.parametrize(("value", "extend"), [(0.0, "neither"), (2.0, "max"), (-3.0, "min")])
def test_values_outside_of_the_scale_show_on_the_colour_bar(affinity, value, extend):
    changed = deepcopy(affinity)
    with torch.no_grad():
        changed.learned.zero_()
        changed.learned[0, 5] = value
    assert affinity_figure(changed, H36M_17).axes[2].images[0].colorbar.extend == extend


def test_weights_without_affinity_are_refused():
    with pytest.raises(ValueError, match="trained without joint affinity"):
        affinity_figure(None, H36M_17)
