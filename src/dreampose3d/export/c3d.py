"""C3D: joint positions as markers, which biomechanics software reads (Vicon, Qualisys, Visual3D, Mokka, Python).

Millimetres, z up (POINT:X_SCREEN = +X, POINT:Y_SCREEN = +Z), 32-bit floats, one point a joint under its own name.
"""

from pathlib import Path
from typing import Any

import numpy as np

from dreampose3d.export.motion import FRAMES, Motion
from dreampose3d.files import atomic_write

MOST_FRAMES = 65_535
"""What the header's 16 bits count to; programs differ in what they make of more."""


def write_c3d(motion: Motion, path: Path | str) -> None:
    """Write a C3D file.

    Raises:
        ImportError: If ezc3d is missing.
        OSError: If it cannot be written.
        ValueError: If there are more frames than the format counts.
    """
    if len(motion) > MOST_FRAMES:
        raise ValueError(
            f"{motion.name}: a C3D file holds at most {MOST_FRAMES} frames, got {len(motion)}; cut it, or take TRC"
        )
    file = _ezc3d().c3d()
    points = np.ones((4, motion.skeleton.num_joints, len(motion)))
    points[:3] = motion.z_up_mm.transpose(2, 1, 0)
    file["parameters"]["POINT"]["RATE"]["value"] = [motion.fps]
    file["parameters"]["POINT"]["LABELS"]["value"] = list(motion.skeleton.joints)
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    file.add_parameter("POINT", "X_SCREEN", ["+X"])
    file.add_parameter("POINT", "Y_SCREEN", ["+Z"])
    file.add_parameter("MANUFACTURER", "SOFTWARE", ["dreampose3d"])
    file.add_parameter("SUBJECTS", "NAMES", [motion.name])
    file.add_parameter("DREAMPOSE3D", "SOURCE_FRAME", [FRAMES[motion.frame]])
    file.add_parameter("DREAMPOSE3D", "SKELETON", [motion.skeleton.name])
    file["data"]["points"] = points
    with atomic_write(path) as temporary:
        file.write(str(temporary))


def _ezc3d() -> Any:
    try:
        import ezc3d
    except ImportError:
        raise ImportError('writing C3D needs an extra: pip install "dreampose3d[export]"') from None
    return ezc3d
