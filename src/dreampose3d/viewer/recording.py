"""Motions as a recording for the Rerun viewer (rerun.io): 3D, 2D, camera, uncertainty, angles and events over time.

In metres: in the world's axes (z up) where the camera's pose is known, else in the camera's (x right, y down, z
forward). Entities are `world/people/<name>`, `world/camera/<name>`, `angles/<name>/..`, `spread/<name>/..` and
`events/<name>`.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.files import atomic_write
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import Skeleton
from dreampose3d.viewer.page import Shown

_COLOURS = {"left": (0, 114, 178), "right": (213, 94, 0), "": (122, 132, 148)}
_TIMELINE = "time"


def write_recording(shown: Sequence[Shown], path: Path | None = None, video: Path | None = None) -> None:
    """Record motions, to a file or straight to the viewer's window.

    Args:
        shown: What to record: people of one clip, or results to compare; the first one's camera is shown.
        path: The `.rrd` file, written whole or not at all; None opens the viewer.
        video: The clip that they were lifted from, which goes into the recording as it is.

    Raises:
        ValueError: If there is nothing to show, or the extra `rerun` is not installed.
        OSError: If the file cannot be written.
    """
    if not shown:
        raise ValueError("expected at least one motion to record, got none")
    if path is None:
        recording = _rerun().RecordingStream("dreampose3d")
        recording.spawn(default_blueprint=_blueprint())
        _record(recording, shown, video)
        return
    with atomic_write(path) as temporary:
        recording = _rerun().RecordingStream("dreampose3d")
        recording.save(temporary, default_blueprint=_blueprint())
        _record(recording, shown, video)
        recording.flush()
        recording.disconnect()


def _record(recording: Any, shown: Sequence[Shown], video: Path | None) -> None:
    _record_camera(recording, shown[0].motion, video)
    for number, one in enumerate(shown):
        name = one.label or f"person {number}"
        _record_body(recording, one.motion, name)
        _record_keypoints(recording, one.motion, name)
        _record_signals(recording, one, name)


def _record_camera(recording: Any, motion: LiftedMotion, video: Path | None) -> None:
    rr, camera = _rerun(), motion.camera
    axes = rr.ViewCoordinates.RIGHT_HAND_Z_UP if camera.posed else rr.ViewCoordinates.RDF
    recording.log("world", axes, static=True)
    if camera.posed:
        turn, place = np.array(camera.rotation).T, np.array(camera.position_mm) / 1000
        recording.log("world/camera", rr.Transform3D(translation=place, mat3x3=turn), static=True)
    lens = rr.Pinhole(
        resolution=camera.size_px,
        focal_length=camera.focal_px,
        principal_point=camera.center_px,
        camera_xyz=rr.ViewCoordinates.RDF,
    )
    recording.log("world/camera", lens, static=True)
    if video is not None:
        asset = rr.AssetVideo(path=video)
        stamps = asset.read_frame_timestamps_nanos()
        recording.log("world/camera/video", asset, static=True)
        seconds = rr.TimeColumn(_TIMELINE, duration=1e-9 * stamps)
        recording.send_columns("world/camera/video", [seconds], rr.VideoFrameReference.columns_nanos(stamps))


def _record_body(recording: Any, motion: LiftedMotion, name: str) -> None:
    """Joints, joined by what the annotations say, and the path of the root."""
    rr, entity, skeleton = _rerun(), _path("world", "people", name), motion.skeleton
    joints = _metres(motion)
    recording.log(entity, _annotations(skeleton), static=True)
    ids = list(range(skeleton.num_joints))
    still = rr.Points3D.from_fields(class_ids=[0], keypoint_ids=ids, radii=[0.02])
    recording.log(f"{entity}/joints", still, static=True)
    columns = rr.Points3D.columns(positions=joints.reshape(-1, 3)).partition([skeleton.num_joints] * len(motion))
    recording.send_columns(f"{entity}/joints", [_seconds(motion)], columns)
    path = rr.LineStrips3D([joints[:, skeleton.root]], colors=[_COLOURS[""]], radii=[0.004])
    recording.log(f"{entity}/path", path, static=True)


def _record_keypoints(recording: Any, motion: LiftedMotion, name: str) -> None:
    """The 2D input; joints that were not seen are left out."""
    rr, entity = _rerun(), _path("world", "camera", name)
    seen = np.isfinite(motion.keypoints_px).all(-1)
    recording.log(entity, _annotations(motion.skeleton), static=True)
    ids = np.broadcast_to(np.arange(motion.skeleton.num_joints), seen.shape)[seen]
    columns = rr.Points2D.columns(
        positions=motion.keypoints_px[seen],
        keypoint_ids=ids,
        class_ids=np.zeros_like(ids),
        radii=np.full(len(ids), 3.0),
    )
    recording.send_columns(entity, [_seconds(motion)], columns.partition(seen.sum(1)))


def _record_signals(recording: Any, one: Shown, name: str) -> None:
    """Angles and uncertainty as curves, events as a log."""
    rr, motion = _rerun(), one.motion
    spreads = dict(zip(motion.skeleton.joints, motion.spread_mm.T, strict=True))
    curves = {_path("angles", name, signal.name): signal.values for signal in one.signals}
    curves |= {_path("spread", name, joint): values for joint, values in spreads.items()}
    for entity, values in curves.items():
        known = np.isfinite(values)
        columns = rr.Scalars.columns(scalars=values[known])
        recording.send_columns(entity, [rr.TimeColumn(_TIMELINE, duration=motion.time_s[known])], columns)
    if one.events:
        when = rr.TimeColumn(_TIMELINE, duration=[event.time_s for event in one.events])
        recording.send_columns(
            _path("events", name), [when], rr.TextLog.columns(text=[event.name for event in one.events])
        )


def _annotations(skeleton: Skeleton) -> Any:
    """Names and colours of the joints, and which of them are joined."""
    rr = _rerun()
    sides = {joint: side for side in ("left", "right") for joint in getattr(skeleton, side)}
    points = [
        rr.AnnotationInfo(joint, name.replace("_", " "), _COLOURS[sides.get(joint, "")])
        for joint, name in enumerate(skeleton.joints)
    ]
    body = rr.ClassDescription(info=(0, "body"), keypoint_annotations=points, keypoint_connections=skeleton.bones)
    return rr.AnnotationContext([body])


def _path(*parts: str) -> str:
    """An entity's path, whatever its parts are called."""
    path: str = _rerun().new_entity_path([part.replace(" ", "_") for part in parts])
    return path


def _metres(motion: LiftedMotion) -> Float[ndarray, "N J 3"]:
    joints = torch.from_numpy(motion.joints_mm.astype(np.float64))
    placed: ndarray = (motion.camera.to_world(joints) if motion.camera.posed else joints).numpy() / 1000
    return placed


def _seconds(motion: LiftedMotion) -> Any:
    return _rerun().TimeColumn(_TIMELINE, duration=np.asarray(motion.time_s, np.float64))


def _blueprint() -> Any:
    """3D beside the picture, curves below."""
    rrb = _rerun(".blueprint")
    pictures = rrb.Horizontal(
        rrb.Spatial3DView(origin="world", name="3D"), rrb.Spatial2DView(origin="world/camera", name="2D input")
    )
    curves = rrb.Tabs(
        rrb.TimeSeriesView(origin="angles", name="Angles, degrees"),
        rrb.TimeSeriesView(origin="spread", name="68 % lie within, mm"),
        rrb.TextLogView(origin="events", name="Events"),
    )
    return rrb.Blueprint(rrb.Vertical(pictures, curves, row_shares=[3, 1]), rrb.TimePanel(state="collapsed"))


def _rerun(part: str = "") -> ModuleType:
    try:
        return import_module(f"rerun{part}")
    except ImportError:
        raise ValueError('showing motion in Rerun needs an extra: pip install "dreampose3d[rerun]"') from None
