"""Bodies built from known joint angles, segment by segment: what angles, events and feet are tested on."""

import numpy as np
from numpy import ndarray
from scipy.spatial.transform import Rotation

from dreampose3d.camera import Camera
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import H36M_17

LENGTHS_MM = {"hip": 120, "thigh": 430, "shin": 420, "spine": 240, "thorax": 250, "neck": 120, "head": 110,
              "shoulder": 180, "arm": 290, "forearm": 260}  # fmt: skip
DOWN = np.array((0.0, -1.0, 0.0))
_RIGHT = np.array((0.0, 0.0, 1.0))
_MIRROR = np.array((1.0, 1.0, -1.0))


def body(pose: dict[str, float] | None = None) -> ndarray:
    """Joints (J, 3), mm, x to the front, y up, z to the right, pelvis at the origin, from angles in degrees.

    Names are those of `ANGLES` without `_deg`; what is not given is 0, knees and elbows 30. The rotations are built as
    the definitions say: Z-X-Y for hip and trunk, Y-X-Y for the shoulder, Y-X-Z for the pelvis.
    """
    angle = {"knee_flexion": 30.0, "elbow_flexion": 30.0, "shoulder_elevation": 40.0} | (pose or {})

    def of(name: str, side: str = "") -> float:
        return angle.get(f"{side}_{name}", angle.get(name, 0.0))

    pelvis = Rotation.from_euler(
        "YXZ", (of("pelvis_rotation"), -of("pelvis_obliquity"), -of("pelvis_tilt")), degrees=True
    )
    thorax = pelvis * Rotation.from_euler(
        "ZXY", (-of("trunk_flexion"), of("trunk_side_bend"), of("trunk_rotation")), degrees=True
    )
    at = {"pelvis": np.zeros(3)}
    at["spine"] = pelvis.apply(-LENGTHS_MM["spine"] * DOWN)
    at["thorax"] = at["spine"] + thorax.apply(-LENGTHS_MM["thorax"] * DOWN)
    at["neck"] = at["thorax"] + thorax.apply(-LENGTHS_MM["neck"] * DOWN)
    f, b = np.radians((of("head_flexion"), of("head_side_bend")))
    crown = np.array((np.sin(f) * np.cos(b), np.cos(f) * np.cos(b), np.sin(b)))
    at["head"] = at["neck"] + thorax.apply(LENGTHS_MM["head"] * crown)
    for side, mirror in (("right", np.ones(3)), ("left", _MIRROR)):
        turn = (of("hip_flexion", side), of("hip_adduction", side), of("hip_rotation", side))
        thigh = Rotation.from_euler("ZXY", turn, degrees=True)
        shin = thigh * Rotation.from_euler("Z", -of("knee_flexion", side), degrees=True)
        turn = (
            of("shoulder_plane", side),
            -of("shoulder_elevation", side),
            -of("shoulder_external_rotation", side),
        )
        arm = Rotation.from_euler("YXY", turn, degrees=True)
        forearm = arm * Rotation.from_euler("Z", of("elbow_flexion", side), degrees=True)
        way = at["pelvis"] + pelvis.apply(LENGTHS_MM["hip"] * _RIGHT * mirror)
        at[f"{side}_hip"] = way
        at[f"{side}_knee"] = way = way + pelvis.apply(LENGTHS_MM["thigh"] * thigh.apply(DOWN) * mirror)
        at[f"{side}_ankle"] = way + pelvis.apply(LENGTHS_MM["shin"] * shin.apply(DOWN) * mirror)
        at[f"{side}_shoulder"] = way = at["thorax"] + thorax.apply(LENGTHS_MM["shoulder"] * _RIGHT * mirror)
        at[f"{side}_elbow"] = way = way + thorax.apply(LENGTHS_MM["arm"] * arm.apply(DOWN) * mirror)
        at[f"{side}_wrist"] = way + thorax.apply(LENGTHS_MM["forearm"] * forearm.apply(DOWN) * mirror)
    return np.array([at[name] for name in H36M_17.joints])


def mirrored(joints: ndarray) -> ndarray:
    """The body as a mirror shows it: z turned over, left and right joints exchanged."""
    return joints[..., H36M_17.mirror, :] * _MIRROR


def lifted(joints_mm: ndarray, fps: float = 50.0, camera: Camera | None = None, **fields: object) -> LiftedMotion:
    """Joints (N, J, 3) in the camera frame as a lifted motion with its own exact 2D."""
    import torch

    camera = camera or Camera.from_fov((1000, 1000), 50.0)
    joints = np.asarray(joints_mm, np.float32)
    values: dict[str, object] = {
        "name": "clip",
        "fps": fps,
        "time_s": np.arange(len(joints)) / fps,
        "root_relative_mm": joints - joints[:, :1],
        "root_mm": joints[:, 0],
        "spread_mm": np.full(joints.shape[:2], 20, np.float32),
        "keypoints_px": camera.project(torch.from_numpy(joints)).numpy(),
        "confidence": np.ones(joints.shape[:2], np.float32),
        "intent_names": (),
        "intent_probability": np.zeros((len(joints), 0), np.float32),
        "camera": camera,
    }
    return LiftedMotion(**(values | fields))  # type: ignore[arg-type]
