"""TRC: joint positions as markers in text, which OpenSim and Pose2Sim read.

Metres, y up. Limbs have the names that Pose2Sim's marker sets give them (RHip, LElbow); its Hip and Neck are
Human3.6M's pelvis and thorax, and Human3.6M's neck/nose, which is neither of Pose2Sim's, is called NeckNose.
"""

from pathlib import Path

import numpy as np

from dreampose3d.export.motion import Motion
from dreampose3d.files import atomic_write
from dreampose3d.skeleton import H36M_17, Skeleton

_MM_PER_M = 1000.0
_H36M_MARKERS = {"pelvis": "Hip", "thorax": "Neck", "neck": "NeckNose"}


def write_trc(motion: Motion, path: Path | str) -> None:
    """Write a TRC file; its time column holds the presentation times, its DataRate the frame rate.

    Raises:
        OSError: If it cannot be written.
    """
    names, rate, frames = marker_names(motion.skeleton), f"{float(motion.fps)!r}", len(motion)
    axes = "\t".join(f"X{i}\tY{i}\tZ{i}" for i in range(1, len(names) + 1))
    head = (
        f"PathFileType\t4\t(X/Y/Z)\t{Path(path).name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate}\t{rate}\t{frames}\t{len(names)}\tm\t{rate}\t1\t{frames}",
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        f"\t\t{axes}",
        "",
    )
    numbers = np.column_stack((motion.time_s, motion.y_up_mm.reshape(frames, -1) / _MM_PER_M))
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join(head) + "\n")
        for number, row in enumerate(numbers, 1):
            file.write(f"{number}\t" + "\t".join(f"{value:.6f}" for value in row) + "\n")


def marker_names(skeleton: Skeleton) -> tuple[str, ...]:
    """What Pose2Sim calls these joints: `right_knee` is RKnee, `left_big_toe` LBigToe, `nose` Nose."""
    own = _H36M_MARKERS if skeleton == H36M_17 else {}
    return tuple(own.get(name, _camel(name)) for name in skeleton.joints)


def _camel(name: str) -> str:
    words = name.split("_")
    side = words[0][0].upper() if words[0] in ("left", "right") else words[0].capitalize()
    return side + "".join(word.capitalize() for word in words[1:])
