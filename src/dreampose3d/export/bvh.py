"""BVH: a T-pose and joint rotations as text, which Blender, MotionBuilder, Maya and Unreal read.

Y up, the rest pose faces +z. Every joint has rotations Z, Y, X (applied in that order about turning axes), the root a
position before them. The format knows no unit: centimetres, as most programs take it, or metres.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.export.motion import Motion
from dreampose3d.export.rotations import TIPS_MM, Rig
from dreampose3d.files import atomic_write

Unit = Literal["cm", "m"]
_PER_MM: dict[Unit, float] = {"cm": 0.1, "m": 0.001}


def write_bvh(motion: Motion, path: Path | str, unit: Unit = "cm") -> None:
    """Write a BVH file.

    Args:
        motion: What moves. Bones get constant lengths; `motion.rig.error_mm` says what that changes.
        path: The file.
        unit: Of all lengths in it.

    Raises:
        OSError: If it cannot be written.
        ValueError: If a bone has no direction, or the skeleton cannot become Human3.6M's.
    """
    rig, scale = motion.rig, _PER_MM[unit]
    values = np.concatenate((rig.root_mm[:, None] * scale, rig.euler_degrees("ZYX")), 1)
    with atomic_write(path) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
        file.write("HIERARCHY\n")
        file.writelines(f"{line}\n" for line in _hierarchy(rig, 0, scale))
        file.write(f"MOTION\nFrames: {len(motion)}\nFrame Time: {1 / float(motion.fps)!r}\n")
        np.savetxt(file, values.reshape(len(motion), -1), "%.5f")


def _hierarchy(rig: Rig, node: int, scale: float) -> Iterator[str]:
    """A node and all below it, each level indented."""
    yield f"{'JOINT' if node else 'ROOT'} {rig.names[node]}"
    yield "{"
    yield f"\tOFFSET {_numbers(rig.offsets_mm[node] * scale)}"
    yield f"\tCHANNELS {'3' if node else '6 Xposition Yposition Zposition'} Zrotation Yrotation Xrotation"
    for child, parent in enumerate(rig.parents):
        if parent == node:
            yield from (f"\t{line}" for line in _hierarchy(rig, child, scale))
    if rig.names[node] in TIPS_MM:
        yield from ("\tEnd Site", "\t{", f"\t\tOFFSET {_numbers(np.array(TIPS_MM[rig.names[node]]) * scale)}", "\t}")
    yield "}"


def _numbers(vector: Float[ndarray, " 3"]) -> str:
    return " ".join(f"{value:.5f}" for value in vector + 0.0)
