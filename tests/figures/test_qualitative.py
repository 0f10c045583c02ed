from dataclasses import replace

import numpy as np
import pytest

from dreampose3d.camera import Camera
from dreampose3d.figures.clip import true_track
from dreampose3d.figures.qualitative import View, evenly, nearest, pictures_of, qualitative_figure
from dreampose3d.skeleton import H36M_17
from dreampose3d.viewer.mp4 import mp4_writer

FRAMES = (3, 28)


@pytest.fixture(scope="module")
def truth(sequence):
    return true_track(sequence)


@pytest.fixture(scope="module")
def figure(motion, truth):
    return qualitative_figure(motion, FRAMES, truth)


def bones(panel, colour):
    """The ends of the lines of one colour, as a set of rounded points."""
    found = [line for line in panel.lines if line.get_color() == colour]
    return {tuple(np.round(point, 3)) for line in found for point in line.get_xydata()}


def test_views_go_around_the_vertical():
    front, side = View.around((0, -1, 0), 0, 0), View.around((0, -1, 0), 90, 0)
    point = np.array([100.0, -200.0, 300.0])  # 100 to the right, 200 above, 300 behind
    np.testing.assert_allclose(front(point), (100, 200), atol=1e-9)
    np.testing.assert_allclose(side(point), (-300, 200), atol=1e-9)  # seen along the camera's x: what is far is left
    np.testing.assert_allclose(front.ahead, (0, 0, 1), atol=1e-9)
    np.testing.assert_allclose(side.ahead, (1, 0, 0), atol=1e-9)


@pytest.mark.parametrize("degrees", [0, 30, 90, 200])
@pytest.mark.parametrize("elevation", [0, 10, 40])
def test_a_view_is_a_rotation_and_up_is_up(degrees, elevation):
    up = np.array((0.1, -0.9, 0.3)) / np.linalg.norm((0.1, -0.9, 0.3))
    view = View.around(up.tolist(), degrees, elevation)
    axes = np.stack((view.right, view.up, view.ahead))
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(np.stack((view.right, -view.up, view.ahead))) == pytest.approx(1)  # no mirror image
    across, upward = view(up)
    assert across == pytest.approx(0, abs=1e-12)
    assert upward == pytest.approx(np.cos(np.deg2rad(elevation)))


def test_panels_show_the_poses_of_their_frames(figure, motion, truth):
    panels = np.reshape(figure.axes, (3, len(FRAMES)))
    for column, frame in enumerate(FRAMES):
        for row, degrees in ((1, 0), (2, 90)):
            view = View.around(motion.camera.up, degrees)
            real = view(truth.relative_to_root().joints_mm[frame])
            assert bones(panels[row, column], "black") == {tuple(np.round(point, 3)) for point in real}
            lifted = view(motion.root_relative_mm[frame].astype(np.float64))
            left = {tuple(np.round(lifted[joint], 3)) for joint in H36M_17.left}
            assert left <= bones(panels[row, column], "#0072b2")
        seen = [joint for joint in H36M_17.left if np.isfinite(motion.keypoints_px[frame, joint]).all()]
        pixels = {tuple(np.round(motion.keypoints_px[frame, joint].astype(float), 3)) for joint in seen}
        drawn = {point for point in bones(panels[0, column], "#0072b2") if np.isfinite(point).all()}
        assert pixels <= drawn


def test_discs_are_the_spread_in_the_scale_of_the_panel(figure, motion):
    panel = figure.axes[len(FRAMES)]
    (discs,) = panel.collections
    widths = [np.ptp(path.vertices[:, 0]) for path in discs.get_paths()]
    np.testing.assert_allclose(widths, 2 * motion.spread_mm[FRAMES[0]], rtol=1e-5)
    assert not qualitative_figure(motion, [3], spread=False).axes[1].collections


def test_shapes_are_true_and_all_3d_panels_have_one_scale(figure):
    assert {panel.get_aspect() for panel in figure.axes} == {1.0}
    limits = {(*panel.get_xlim(), *panel.get_ylim()) for panel in figure.axes[len(FRAMES) :]}
    assert len(limits) == 1
    left, right, bottom, top = limits.pop()
    assert left < right
    assert bottom < top
    for panel in figure.axes[len(FRAMES) :]:
        boxes = [path.get_extents() for discs in panel.collections for path in discs.get_paths()]
        assert left <= min(box.x0 for box in boxes)  # no disc is cut off
        assert max(box.y1 for box in boxes) <= top
    for panel in figure.axes[: len(FRAMES)]:
        assert panel.yaxis_inverted()  # pixels count from the top


def test_the_floor_lies_below_the_feet_where_the_clip_is_lowest(figure, motion, truth):
    """In a view from the horizon the tile is a line at the height of the lowest joint of the clip."""
    up = np.array(motion.camera.up)
    lowest = (truth.joints_mm @ up).min()
    panel = figure.axes[len(FRAMES)]
    tile = np.concatenate([line.get_xydata() for line in panel.lines if line.get_color() == "#dde2e9"])
    height = (lowest - truth.joints_mm[FRAMES[0], 0] @ up) * np.cos(np.deg2rad(10))
    assert tile[:, 1].mean() == pytest.approx(height, abs=1)
    assert np.ptp(tile[:, 0]) == pytest.approx(1000)


def test_titles_give_time_and_error_and_the_legend_how_it_was_lifted(figure, motion, truth):
    error = np.linalg.norm(motion.root_relative_mm - truth.relative_to_root().joints_mm, axis=-1).mean(-1)
    titles = [panel.get_title() for panel in figure.axes[: len(FRAMES)]]
    assert titles == [f"{frame / 50:.2f} s\nMPJPE {error[frame]:.0f} mm" for frame in FRAMES]
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["left, lifted (p-agg, H=2, K=1)", "right", "ground truth", "spread (68 %)", "floor, 1 m"]
    assert [panel.get_ylabel() for panel in figure.axes[:: len(FRAMES)]] == [
        "2D input",
        "from the camera",
        "from the side",
    ]
    plain = qualitative_figure(replace(motion, meta={}), [3], spread=False)
    assert [text.get_text() for text in plain.legends[0].get_texts()] == ["left, lifted", "right", "floor, 1 m"]
    assert plain.axes[0].get_title() == "0.06 s"


def test_left_and_right_differ_without_colour(figure):
    left, right = figure.legends[0].get_lines()[:2]
    assert not left.get_path_effects()
    assert len(right.get_path_effects()) == 2  # hollow


def test_a_frame_without_2d_is_drawn_empty(motion):
    keypoints = motion.keypoints_px.copy()
    keypoints[3] = np.nan
    panel = qualitative_figure(replace(motion, keypoints_px=keypoints), [3]).axes[0]
    assert not any(np.isfinite(line.get_xydata()).any() for line in panel.lines)


def test_frames_are_spread_evenly_or_chosen_by_time(motion):
    assert evenly(motion, 3) == [5, 14, 24]
    assert evenly(motion, 1) == [14]
    assert nearest(motion, [0.0, 0.2, 0.58]) == [0, 10, 29]
    with pytest.raises(ValueError, match="expected at least one frame, got 0"):
        evenly(motion, 0)
    with pytest.raises(ValueError, match=r"t1/1 runs from 0 to 0.58 s; it has nothing at 1 s"):
        nearest(motion, [1.0])


def test_the_video_stands_behind_the_2d(motion, tmp_path):
    pytest.importorskip("av")
    small = replace(motion, camera=Camera.from_fov((64, 64)))
    with mp4_writer(tmp_path / "a.mp4", (64, 64), 50.0, quality=10) as write:
        for frame in range(30):
            write(frame / 50, np.full((64, 64, 3), 8 * frame, np.uint8))
    pictures = pictures_of(small, [5, 20], tmp_path / "a.mp4")
    assert [round(pictures[frame].mean() / 8) for frame in (5, 20)] == [5, 20]
    panel = qualitative_figure(small, [5], pictures=pictures).axes[0]
    np.testing.assert_array_equal(panel.images[0].get_array(), pictures[5])
    assert panel.images[0].get_extent() == [0, 64, 64, 0]  # in the pixels of the keypoints
    with mp4_writer(tmp_path / "b.mp4", (64, 64), 50.0, quality=10) as write:
        write(0.0, np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match=r"b.mp4 shows nothing at frames \[20\] of t1/1; is it another clip\?"):
        pictures_of(small, [20], tmp_path / "b.mp4")


def test_what_cannot_be_drawn_is_refused(motion, truth):
    with pytest.raises(ValueError, match=r"expected frames from 0 to 29 \(t1/1\), got \[\]"):
        qualitative_figure(motion, [])
    with pytest.raises(ValueError, match=r"got \[30\]"):
        qualitative_figure(motion, [30])
    with pytest.raises(ValueError, match="the truth has 11 frames, the result 30; give that clip's own"):
        qualitative_figure(motion, FRAMES, truth.between((0.1, 0.3)))
