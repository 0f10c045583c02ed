"""USD: a skinned figure with its animation (UsdSkel), which Omniverse, Houdini, Maya, Unreal and usdview read.

Metres and y up, as the stage says; the T-pose faces +z. Frame n of the motion is time code n, at the motion's rate.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.export.body import COLOURS, Body, Side, body_around
from dreampose3d.export.motion import Motion
from dreampose3d.export.rotations import Rig
from dreampose3d.files import atomic_write

_MM_PER_M = 1000.0


def write_usd(motion: Motion, path: Path | str) -> None:
    """Write a USD file.

    Raises:
        ImportError: If usd-core is missing.
        OSError: If it cannot be written.
        ValueError: If a bone has no direction, or the skeleton cannot become Human3.6M's.
    """
    try:
        from pxr import Usd, UsdGeom, UsdSkel
    except ImportError:
        raise ImportError('writing USD needs an extra: pip install "dreampose3d[usd]"') from None
    rig = motion.rig
    with atomic_write(path) as temporary:
        stage = Usd.Stage.CreateNew(str(temporary))
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        stage.SetTimeCodesPerSecond(float(motion.fps))
        stage.SetFramesPerSecond(float(motion.fps))
        stage.SetStartTimeCode(0)
        stage.SetEndTimeCode(len(motion) - 1)
        person = UsdSkel.Root.Define(stage, "/person").GetPrim()
        person.SetCustomDataByKey("dreampose3d", json.dumps(motion.described()))
        stage.SetDefaultPrim(person)
        _write_skeleton(stage, rig)
        _write_animation(stage, rig)
        body = body_around(rig)
        for side in COLOURS:
            _write_part(stage, body, side)
        stage.Save()


def _write_skeleton(stage: Any, rig: Rig) -> None:
    from pxr import UsdSkel, Vt

    skeleton = UsdSkel.Skeleton.Define(stage, "/person/skeleton")
    skeleton.CreateJointsAttr(_joint_paths(rig))
    skeleton.CreateBindTransformsAttr(Vt.Matrix4dArray.FromNumpy(_shifts(rig.rest_mm)))
    skeleton.CreateRestTransformsAttr(Vt.Matrix4dArray.FromNumpy(_shifts(rig.offsets_mm)))
    bound = UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
    bound.CreateAnimationSourceRel().SetTargets(["/person/animation"])


def _write_animation(stage: Any, rig: Rig) -> None:
    """Rotations and offsets of all nodes, frame by frame; only the root's offset changes."""
    from pxr import UsdSkel, Vt

    animation = UsdSkel.Animation.Define(stage, "/person/animation")
    animation.CreateJointsAttr(_joint_paths(rig))
    animation.CreateScalesAttr(Vt.Vec3hArray(len(rig.names), (1, 1, 1)))
    rotations, translations = animation.CreateRotationsAttr(), animation.CreateTranslationsAttr()
    offsets = (rig.offsets_mm / _MM_PER_M).astype(np.float32)
    for frame, turned in enumerate(rig.quaternions.astype(np.float32)):
        offsets[0] = rig.root_mm[frame] / _MM_PER_M
        rotations.Set(Vt.QuatfArray.FromNumpy(turned), frame)
        translations.Set(Vt.Vec3fArray.FromNumpy(offsets), frame)


def _write_part(stage: Any, body: Body, side: Side) -> None:
    """The triangles of one side as a mesh of one colour, each point moved by its node."""
    from pxr import UsdGeom, UsdSkel, Vt

    used, corners = np.unique(body.triangles[side], return_inverse=True)
    mesh = UsdGeom.Mesh.Define(stage, f"/person/{side}")
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy((body.vertices_mm[used] / _MM_PER_M).astype(np.float32)))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray(len(body.triangles[side]), 3))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(corners.ravel().astype(np.int32)))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(body.normals[used].astype(np.float32)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDisplayColorAttr([COLOURS[side]])
    bound = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    bound.CreateSkeletonRel().SetTargets(["/person/skeleton"])
    bound.CreateJointIndicesPrimvar(False, 1).Set(Vt.IntArray.FromNumpy(body.nodes[used].astype(np.int32)))
    bound.CreateJointWeightsPrimvar(False, 1).Set(Vt.FloatArray(len(used), 1.0))


def _joint_paths(rig: Rig) -> list[str]:
    """Each node's name after those of all above it, as UsdSkel has them."""
    paths: list[str] = []
    for name, parent in zip(rig.names, rig.parents, strict=True):
        paths.append(name if parent < 0 else f"{paths[parent]}/{name}")
    return paths


def _shifts(offsets_mm: Float[ndarray, "B 3"]) -> Float[ndarray, "B 4 4"]:
    """Matrices that move by these, for row vectors."""
    matrices = np.tile(np.eye(4), (len(offsets_mm), 1, 1))
    matrices[:, 3, :3] = offsets_mm / _MM_PER_M
    return matrices
