"""What a report is about: a lifted motion with its uncertainty, or motion capture, which has none."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.data.mocap import MocapClip, read_mocap
from dreampose3d.export.tables import SUFFIX, load_motion, result_name
from dreampose3d.figures.clip import pick_trial
from dreampose3d.motion.frames import Side, pelvis_axes, unit
from dreampose3d.motion.moments import Happened, Kind, what_happens, what_happens_in
from dreampose3d.motion.scale import body_height
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import H36M_17, Skeleton


@dataclass(frozen=True)
class Subject:
    """A person's motion in the axes of a camera that does not move (x right, y down, z forward), mm."""

    name: str
    fps: float
    time_s: Float[ndarray, " N"]
    joints_mm: Float[ndarray, "N J 3"]
    up: Float[ndarray, " 3"]
    source: str
    """Where it comes from, in words."""
    lifted: LiftedMotion | None = None
    """With 2D, uncertainty and provenance; none for motion capture."""
    skeleton: Skeleton = H36M_17

    @property
    def given_height_m(self) -> float | None:
        """The true height, if it was told when the motion was lifted."""
        options = {} if self.lifted is None else self.lifted.meta.get("refined", {}).get("options", {})
        height_m: float | None = options.get("height_m")
        return height_m

    @cached_property
    def height_mm(self) -> float:
        """Standing body height: the one that was given, else from the lengths of the bones."""
        if self.given_height_m is not None:
            return 1000 * self.given_height_m
        return body_height(self.joints_mm, self.skeleton, None if self.lifted is None else self.lifted.confidence)

    @property
    def frame_rate(self) -> float:
        """Frames a second by their times, where there are two."""
        return 1 / float(np.median(np.diff(self.time_s))) if len(self.time_s) > 1 else self.fps

    def happened(self, kind: Kind = "auto", throws: Side | None = None) -> Happened:
        """Its events.

        Raises:
            ValueError: If a pitch is asked for and there is none.
        """
        if self.lifted is not None:
            return what_happens_in(self.lifted, kind, throws)
        return what_happens(self.joints_mm, self.time_s, self.skeleton, self.up, kind, throws)

    def pose_at(self, time_s: float) -> Float[ndarray, "J 3"]:
        """The joints at a moment, between frames by interpolation."""
        after = int(np.clip(np.searchsorted(self.time_s, time_s), 1, max(1, len(self.time_s) - 1)))
        if len(self.time_s) == 1:
            only: ndarray = self.joints_mm[0]
            return only
        before = after - 1
        share = np.clip((time_s - self.time_s[before]) / (self.time_s[after] - self.time_s[before]), 0, 1)
        pose: ndarray = (1 - share) * self.joints_mm[before] + share * self.joints_mm[after]
        return pose

    def frame_at(self, time_s: float) -> int:
        """The frame nearest to a moment."""
        return int(np.abs(self.time_s - time_s).argmin())


def read_subject(path: Path, set_name: str | None = None, trial: str | None = None) -> Subject:
    """Read a result of `lift`, the folder that it wrote, or a clip of a motion-capture folder.

    Args:
        path: `<name>.pose3d.npz`, a folder with one of them, or a motion-capture folder (docs/evaluation.md).
        set_name: For a folder of set folders: which.
        trial: For a motion-capture folder: which clip.

    Raises:
        FileNotFoundError: If there is no such file or folder, or no result in it.
        ValueError: If a folder holds several results, or the file is none.
    """
    if path.is_dir() and (trial is not None or (path / "index.csv").is_file()):
        return captured(pick_trial(read_mocap(path, set_name), trial))
    if trial is not None or set_name is not None:
        raise ValueError(f"--trial and --set name a clip of a motion-capture folder, but {path} is none")
    result = _only_result(path) if path.is_dir() else path
    return replace(lifted(load_motion(result)), name=result_name(result))


def lifted(motion: LiftedMotion) -> Subject:
    """A lifted motion as the subject of a report."""
    up = np.array(motion.camera.up, np.float64)
    joints = motion.joints_mm.astype(np.float64)
    time_s = np.asarray(motion.time_s, np.float64)
    return Subject(motion.name, motion.fps, time_s, joints, up, "lifted from one camera", motion, motion.skeleton)


def captured(clip: MocapClip) -> Subject:
    """Motion capture as a level camera in front of the person sees it."""
    joints = clip.joints_mm.astype(np.float64)
    ahead = -_facing(joints)
    up = np.array((0.0, 0.0, 1.0))
    turn = np.stack((np.cross(ahead, up), -up, ahead), -1)
    time_s = np.arange(len(joints)) / clip.fps
    source = f"motion capture ({clip.set_name}: {clip.action or 'action not named'})"
    return Subject(clip.trial, clip.fps, time_s, joints @ turn, np.array((0.0, -1.0, 0.0)), source)


def _facing(joints: Float[ndarray, "N J 3"]) -> Float[ndarray, " 3"]:
    """Where the person faces in the middle of the clip, over the ground (z up); along y where he lies."""
    ahead = pelvis_axes(joints[len(joints) // 2], H36M_17)[:, 0] * (1, 1, 0)
    return unit(ahead) if np.linalg.norm(ahead) > 0.1 else np.array((0.0, 1.0, 0.0))


def _only_result(folder: Path) -> Path:
    found = sorted(folder.glob(f"*{SUFFIX}"))
    if not found:
        raise FileNotFoundError(f"{folder} holds no result of `dreampose3d lift` (<name>{SUFFIX})")
    if len(found) > 1:
        raise ValueError(f"{folder} holds {len(found)} results; name one: {', '.join(map(str, found[:6]))}")
    return found[0]
