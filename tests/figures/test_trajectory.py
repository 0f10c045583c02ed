import numpy as np
import pytest

from dreampose3d.figures.clip import Track, lifted_track, true_track
from dreampose3d.figures.trajectory import AXES, runs, trajectory_figure
from dreampose3d.skeleton import H36M_17

JOINTS = ("left_wrist", "right_ankle")


@pytest.fixture
def tracks(motion, sequence):
    lifted = lifted_track(motion, "ours")
    return [lifted, lifted._replace(name="theirs", joints_mm=lifted.joints_mm + 30)], true_track(sequence)


def lines(panel):
    """What a panel plots: (x, y) of the truth first, then of each method."""
    return [line.get_data() for line in panel.lines]


def test_the_lines_are_the_data(tracks):
    methods, truth = tracks
    figure = trajectory_figure(methods, truth, JOINTS)
    panels = np.reshape(figure.axes, (2, 3))
    for joint, row in zip(JOINTS, panels, strict=True):
        for axis, panel in enumerate(row):
            for (x, y), track in zip(lines(panel), (truth, *methods), strict=True):
                np.testing.assert_array_equal(x, track.time_s)
                np.testing.assert_array_equal(y, track.joints_mm[:, H36M_17.index(joint), axis])


def test_velocities_are_first_differences_between_the_frames(tracks):
    methods, truth = tracks
    panel = trajectory_figure(methods, truth, JOINTS, "velocity").axes[0]
    x, y = lines(panel)[1]
    wrist = methods[0].joints_mm[:, H36M_17.index("left_wrist"), 0]
    np.testing.assert_allclose(y, np.diff(wrist) * 50, rtol=1e-6)
    np.testing.assert_allclose(x, (np.arange(len(wrist) - 1) + 0.5) / 50)
    assert panel.get_ylabel() == "left wrist (mm/s)"


def test_everything_is_labelled_with_units_and_up_is_up(tracks):
    methods, truth = tracks
    figure = trajectory_figure(methods, truth, JOINTS)
    panels = np.reshape(figure.axes, (2, 3))
    assert [panel.get_title() for panel in panels[0]] == list(AXES)
    assert [row[0].get_ylabel() for row in panels] == ["left wrist (mm)", "right ankle (mm)"]
    assert {panel.get_xlabel() for panel in panels[1]} == {"time (s)"}
    assert [panel.yaxis_inverted() for panel in panels[0]] == [False, True, False]  # the camera's y points down
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["ground truth", "ours", "theirs", "bars: no 2D of the joint"]


def test_in_a_column_the_coordinates_stand_below_each_other(tracks):
    methods, truth = tracks
    figure = trajectory_figure(methods, truth, JOINTS, width="column")
    assert figure.get_figwidth() == pytest.approx(3.3)
    assert [panel.get_ylabel() for panel in figure.axes] == 2 * ["x (mm)", "y (mm)", "z (mm)"]
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["left wrist", "", "", "right ankle", "", ""]
    assert [panel.get_xlabel() for panel in figure.axes] == 5 * [""] + ["time (s)"]


def test_bars_stand_where_the_2d_is_missing(tracks):
    methods, _ = tracks
    wrist = H36M_17.index("left_wrist")
    missing = np.zeros_like(methods[0].missing)
    missing[3:6, wrist] = missing[-1, wrist] = True
    figure = trajectory_figure([methods[0]._replace(missing=missing)], None, ["left_wrist"])
    (bars,) = figure.axes[0].collections
    spans = [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in bars.get_paths()]
    np.testing.assert_allclose(spans, [(0.06, 0.12), (0.58, 0.60)])


def test_runs_cover_exactly_the_frames_that_are_inside():
    time = np.array([0.0, 0.1, 0.3, 0.4])
    assert runs(np.array([True, True, False, True]), time) == [(0.0, 0.3), (0.4, pytest.approx(0.1))]
    assert runs(np.zeros(4, bool), time) == []
    assert runs(np.array([True]), time[:1]) == [(0.0, 0.0)]


def test_what_cannot_be_drawn_is_refused(tracks):
    methods, truth = tracks
    with pytest.raises(ValueError, match="expected 1 to 6 methods in one figure, got 0"):
        trajectory_figure([], truth, JOINTS)
    with pytest.raises(ValueError, match="got 7"):
        trajectory_figure(7 * methods[:1], truth, JOINTS)
    with pytest.raises(ValueError, match="expected at least one joint to draw"):
        trajectory_figure(methods, truth, ())
    with pytest.raises(ValueError, match="h36m_17 has no joint 'left_toe'"):
        trajectory_figure(methods, truth, ["left_toe"])


def test_a_clip_of_one_frame_draws():
    track = Track("one", np.zeros(1), np.ones((1, H36M_17.num_joints, 3)), np.ones((1, H36M_17.num_joints), bool))
    assert len(trajectory_figure([track], None, ["head"]).axes) == 3
