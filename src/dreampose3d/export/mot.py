"""MOT: joint angles as OpenSim's coordinates, under the names of the full-body model of Rajagopal et al. 2016.

Degrees and metres. Axes of a segment: x forward, y up, z right. Rotations about turning axes Z, X, Y (flexion,
adduction, rotation), each segment against the one above it, the pelvis against the ground, whose y is up. Left angles
are those of the mirrored body: equal values mean equal poses on both sides. All are zero when one stands straight and
the arms hang.

Joint centres alone give no ankle, wrist, forearm or neck angle; those coordinates are left out, and a model keeps its
defaults for them. The pelvis stands where its joint is, not at the model's own origin.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.transform import Rotation

from dreampose3d.export.motion import Motion
from dreampose3d.export.rotations import Rig, continuous_euler
from dreampose3d.files import atomic_write

_MM_PER_M = 1000.0
_FROM_REST = np.array(((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)))
"""From the rig's axes (left, up, forward) to OpenSim's (forward, up, right)."""
_HANGING = {"right": np.array(((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))}
_HANGING["left"] = _HANGING["right"].T
"""What brings a hanging arm, in the rig's axes, to the T-pose."""
_NOTES = (
    "Coordinates as in Rajagopal et al. 2016: Z-X-Y about turning axes, x forward, y up, z right; degrees and metres.",
    "Angles from joint centres: no ankle, wrist, forearm and neck angles.",
)


def write_mot(motion: Motion, path: Path | str) -> None:
    """Write an OpenSim motion file.

    Raises:
        OSError: If it cannot be written.
        ValueError: If a bone has no direction, or the skeleton cannot become Human3.6M's.
    """
    columns = {"time": motion.time_s} | opensim_coordinates(motion.rig)
    head = (
        motion.name,
        "version=1",
        f"nRows={len(motion)}",
        f"nColumns={len(columns)}",
        "inDegrees=yes",
        "",
        *_NOTES,
        f"Source: {motion.described()['source_frame']}; {float(motion.fps)!r} frames/s.",
        "",
        "endheader",
        "\t".join(columns),
    )
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join(head) + "\n")
        np.savetxt(file, np.column_stack(list(columns.values())), "%.6f", "\t")


def opensim_coordinates(rig: Rig) -> dict[str, Float[ndarray, " N"]]:
    """The model's coordinates by name: degrees, metres for pelvis_tx, pelvis_ty and pelvis_tz."""
    world = {name: rig.turned[:, node] @ _FROM_REST.T for node, name in enumerate(rig.names)}
    found = _named(("pelvis_tilt", "pelvis_list", "pelvis_rotation"), continuous_euler(world["pelvis"], "ZXY"))
    found |= _named(("pelvis_tx", "pelvis_ty", "pelvis_tz"), rig.root_mm / _MM_PER_M)
    for side in ("right", "left"):
        end, mirror = side[0], np.array((1, 1, 1) if side == "right" else (1, -1, -1))
        hip = _against(world["pelvis"], world[f"{side}_hip"])
        names = (f"hip_flexion_{end}", f"hip_adduction_{end}", f"hip_rotation_{end}")
        found |= _named(names, continuous_euler(hip, "ZXY") * mirror)
        found[f"knee_angle_{end}"] = _bend(rig, f"{side}_knee")
    trunk = continuous_euler(_against(world["pelvis"], world["thorax"]), "ZXY")
    found |= _named(("lumbar_extension", "lumbar_bending", "lumbar_rotation"), trunk)
    for side in ("right", "left"):
        end, mirror = side[0], np.array((1, 1, 1) if side == "right" else (1, -1, -1))
        upper_arm = rig.turned[:, rig.index(f"{side}_shoulder")] @ _HANGING[side] @ _FROM_REST.T
        names = (f"arm_flex_{end}", f"arm_add_{end}", f"arm_rot_{end}")
        found |= _named(names, continuous_euler(_against(world["thorax"], upper_arm), "ZXY") * mirror)
        found[f"elbow_flex_{end}"] = _bend(rig, f"{side}_elbow")
    return found


def _named(names: tuple[str, ...], columns: Float[ndarray, "N C"]) -> dict[str, Float[ndarray, " N"]]:
    return dict(zip(names, columns.T, strict=True))


def _against(upper: Float[ndarray, "N 3 3"], lower: Float[ndarray, "N 3 3"]) -> Float[ndarray, "N 3 3"]:
    relative: ndarray = upper.swapaxes(1, 2) @ lower
    return relative


def _bend(rig: Rig, name: str) -> Float[ndarray, " N"]:
    """By how much the limb bends at a joint: 0 when straight."""
    degrees: ndarray = np.degrees(Rotation.from_matrix(rig.rotations[:, rig.index(name)]).magnitude())
    return degrees
