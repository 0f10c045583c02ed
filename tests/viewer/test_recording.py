"""The recording for Rerun, read back by Rerun's own reader."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from dreampose3d.commands.view import view
from dreampose3d.export.tables import write_npz
from dreampose3d.viewer.page import Event, Shown, Signal
from dreampose3d.viewer.recording import write_recording

_LEVEL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))


def test_without_rerun_the_extra_is_named(walk, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ValueError, match=r'pip install "dreampose3d\[rerun\]"'):
        write_recording([Shown(walk)], tmp_path / "walk.rrd")
    assert not list(tmp_path.iterdir())


def test_nothing_to_record_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one motion to record"):
        write_recording([], tmp_path / "none.rrd")


def test_save_belongs_to_rerun(tmp_path, walk):
    write_npz(walk, tmp_path / "walk.pose3d.npz")
    with pytest.raises(ValueError, match="--save names Rerun's recording"):
        view((tmp_path / "walk.pose3d.npz",), save=tmp_path / "walk.rrd", open=False)


def read(path) -> dict[str, dict[str, list]]:
    """Every component of every entity, in the order of time."""
    chunk = pytest.importorskip("rerun.chunk", reason="needs the extra rerun (500 MB)")
    found: dict[str, dict[str, list]] = {}
    for part in chunk.RrdReader(str(path)).stream().to_chunks():
        batch = part.to_record_batch()
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            found.setdefault(str(part.entity_path), {}).setdefault(name, []).extend(column.to_pylist())
    return found


def test_people_keypoints_curves_and_events_come_back(make_walk, tmp_path):
    pytest.importorskip("rerun", reason="needs the extra rerun (500 MB)")
    motion = make_walk(30)
    values = np.linspace(0, 90, 30)
    values[4] = np.nan
    first = Shown(motion, "Anna B.", [Signal("left knee", "°", values)], [Event("plant", 0.5)])
    write_recording([first, Shown(motion)], tmp_path / "walk.rrd")
    found = read(tmp_path / "walk.rrd")
    joints = [row for row in found["/world/people/Anna_B./joints"]["Points3D:positions"] if row]
    np.testing.assert_allclose(joints, motion.joints_mm / 1000, atol=1e-5)
    keypoints = [row for row in found["/world/camera/Anna_B."]["Points2D:positions"] if row]
    seen = np.isfinite(motion.keypoints_px).all(-1)
    np.testing.assert_allclose(np.concatenate(keypoints), motion.keypoints_px[seen], atol=1e-3)
    curve = found["/angles/Anna_B./left_knee"]["Scalars:scalars"]
    np.testing.assert_allclose(np.ravel(curve), values[np.isfinite(values)])
    assert found["/events/Anna_B."]["TextLog:text"] == [["plant"]]
    assert "/world/people/person_1/joints" in found


def test_a_posed_camera_stands_in_the_world(make_walk, tmp_path):
    pytest.importorskip("rerun", reason="needs the extra rerun (500 MB)")
    motion = make_walk(5)
    camera = replace(motion.camera, rotation=_LEVEL, position_mm=(0.0, 0.0, 1500.0))
    write_npz(replace(motion, camera=camera), tmp_path / "walk.pose3d.npz")
    view((tmp_path / "walk.pose3d.npz",), rerun=True, save=tmp_path / "walk.rrd", open=False)
    found = read(tmp_path / "walk.rrd")
    joints = [row for row in found["/world/people/walk/joints"]["Points3D:positions"] if row]
    world = camera.to_world(torch.from_numpy(motion.joints_mm)).numpy() / 1000
    np.testing.assert_allclose(joints, world, atol=1e-5)
    assert any(path.startswith("/angles/walk/left_knee_flexion") for path in found)
