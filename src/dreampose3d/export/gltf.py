"""glTF 2.0 in one binary file (GLB): a skinned figure and its animation, for Blender, Unity, Unreal and browsers.

Metres, y up, the T-pose facing +z, as the format fixes. The left side is blue, the right orange. A bone is a rotation
of its node; the root has a translation too. Times are seconds from the clip's start: the format has no frame rate, so
it stands in `asset.extras` with the rest of what a reader should know.
"""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from dreampose3d.export.body import COLOURS, Body, Side, body_around
from dreampose3d.export.motion import Motion
from dreampose3d.export.rotations import Rig
from dreampose3d.files import atomic_write

_MM_PER_M = 1000.0
_MAGIC, _VERSION, _JSON, _BINARY = b"glTF", 2, b"JSON", b"BIN\0"
_TYPES = {"f": 5126, "B": 5121, "H": 5123}
_SHAPES = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
_VERTICES, _INDICES = 34962, 34963


@dataclass
class _Buffer:
    """The file's numbers, and the list that says where each array lies."""

    data: bytearray = field(default_factory=bytearray)
    views: list[dict[str, int]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)

    def add(self, array: ndarray, kind: str = "f", target: int | None = None, bounds: bool = False) -> int:
        """Append an array and return its number."""
        array = np.ascontiguousarray(array, f"<{kind}" if kind != "B" else kind)
        self.data += bytes(-len(self.data) % 4)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes}
        self.views.append(view if target is None else view | {"target": target})
        accessor: dict[str, Any] = {
            "bufferView": len(self.views) - 1,
            "componentType": _TYPES[kind],
            "count": len(array),
            "type": _SHAPES[array.shape[1:]],
        }
        if bounds:
            accessor |= {"min": np.atleast_1d(array.min(0)).tolist(), "max": np.atleast_1d(array.max(0)).tolist()}
        self.accessors.append(accessor)
        self.data += array.tobytes()
        return len(self.accessors) - 1


def write_glb(motion: Motion, path: Path | str) -> None:
    """Write a GLB file.

    Raises:
        OSError: If it cannot be written.
        ValueError: If a bone has no direction, or the skeleton cannot become Human3.6M's.
    """
    rig, buffer = motion.rig, _Buffer()
    figure = len(rig.names)  # the node after the bones
    document = {
        "asset": {"version": "2.0", "generator": "dreampose3d", "extras": motion.described() | {"units": "m"}},
        "scene": 0,
        "scenes": [{"name": motion.name, "nodes": [0, figure]}],
        "nodes": [*_nodes(rig), {"name": "figure", "mesh": 0, "skin": 0}],
        "meshes": [_mesh(body_around(rig), rig, buffer)],
        "materials": [_material(side) for side in COLOURS],
        "skins": [_skin(rig, buffer)],
        "animations": [_animation(motion, buffer)],
    }
    document |= {"accessors": buffer.accessors, "bufferViews": buffer.views}
    document["buffers"] = [{"byteLength": len(buffer.data)}]
    with atomic_write(path) as temporary:
        temporary.write_bytes(_packed(document, buffer.data))


def _nodes(rig: Rig) -> list[dict[str, Any]]:
    """The bones in the T-pose, which stands where the motion begins."""
    nodes: list[dict[str, Any]] = []
    for node, name in enumerate(rig.names):
        children = [child for child, parent in enumerate(rig.parents) if parent == node]
        offset = rig.offsets_mm[node] if node else rig.root_mm[0]
        told = {"name": name, "translation": (offset / _MM_PER_M).tolist()}
        nodes.append(told | {"children": children} if children else told)
    return nodes


def _mesh(body: Body, rig: Rig, buffer: _Buffer) -> dict[str, Any]:
    """One part for each material; all share their vertices."""
    weights = np.eye(4)[np.zeros(len(body.nodes), int)]  # all of it to the first of four
    placed = (body.vertices_mm + rig.root_mm[0]) / _MM_PER_M
    attributes = {
        "POSITION": buffer.add(placed, target=_VERTICES, bounds=True),
        "NORMAL": buffer.add(body.normals, target=_VERTICES),
        "JOINTS_0": buffer.add(weights * body.nodes[:, None], "B", _VERTICES),
        "WEIGHTS_0": buffer.add(weights, target=_VERTICES),
    }
    corners = [buffer.add(body.triangles[side].ravel(), "H", _INDICES) for side in COLOURS]
    parts = [{"attributes": attributes, "indices": index, "material": side} for side, index in enumerate(corners)]
    return {"name": "figure", "primitives": parts}


def _material(side: Side) -> dict[str, Any]:
    surface = {"baseColorFactor": [*COLOURS[side], 1.0], "metallicFactor": 0, "roughnessFactor": 0.7}
    return {"name": side, "pbrMetallicRoughness": surface}


def _skin(rig: Rig, buffer: _Buffer) -> dict[str, Any]:
    unbind = np.tile(np.eye(4), (len(rig.names), 1, 1))
    unbind[:, 3, :3] = -(rig.rest_mm + rig.root_mm[0]) / _MM_PER_M  # stored column by column
    return {"joints": list(range(len(rig.names))), "skeleton": 0, "inverseBindMatrices": buffer.add(unbind)}


def _animation(motion: Motion, buffer: _Buffer) -> dict[str, Any]:
    """A key each frame for every node that ever turns, and for the root's place."""
    rig = motion.rig
    times = buffer.add(motion.time_s - motion.time_s[0], bounds=True)
    keys = [(0, "translation", rig.root_mm / _MM_PER_M)]
    turning = sorted({parent for node, parent in enumerate(rig.parents)} - {-1})
    keys += [(node, "rotation", rig.quaternions[:, node]) for node in turning]
    curves = [{"input": times, "output": buffer.add(values), "interpolation": "LINEAR"} for _, _, values in keys]
    targets = [{"sampler": curve, "target": {"node": node, "path": what}} for curve, (node, what, _) in enumerate(keys)]
    return {"name": motion.name, "samplers": curves, "channels": targets}


def _packed(document: dict[str, Any], data: bytearray) -> bytes:
    """The file: a header, the JSON padded with spaces and the numbers with zeros, each to whole words of four bytes."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    chunks = ((_JSON, text + b" " * (-len(text) % 4)), (_BINARY, bytes(data) + bytes(-len(data) % 4)))
    body = b"".join(struct.pack("<I4s", len(content), kind) + content for kind, content in chunks)
    return struct.pack("<4sII", _MAGIC, _VERSION, 12 + len(body)) + body
