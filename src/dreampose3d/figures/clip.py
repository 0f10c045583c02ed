"""What figures are drawn from: recorded motion seen by a virtual camera, 2D to be lifted, or what was lifted before."""

from dataclasses import replace
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from dreampose3d.data.mocap import MocapClip, read_mocap
from dreampose3d.evaluation.mocap import AZIMUTHS_DEGREES, Input, film_clip, stable_seed, static_camera
from dreampose3d.export.tables import SUFFIX, load_motion
from dreampose3d.lifting.source import read_2d
from dreampose3d.sequence import LiftedMotion, PoseSequence
from dreampose3d.skeleton import H36M_17, Skeleton
from dreampose3d.view import MISSING_BELOW


class Track(NamedTuple):
    """Joints over time, by whichever method, in the camera's frame (x right, y down, z forward)."""

    name: str
    time_s: Float[ndarray, " N"]
    joints_mm: Float[ndarray, "N J 3"]
    missing: Bool[ndarray, "N J"] | None = None
    """Where the 2D that it was lifted from had no joint."""
    skeleton: Skeleton = H36M_17

    def relative_to_root(self) -> "Track":
        """The same with the root subtracted."""
        return self._replace(joints_mm=self.joints_mm - self.joints_mm[:, [self.skeleton.root]])

    def between(self, span_s: tuple[float, float] | None) -> "Track":
        """The frames of a span of time.

        Raises:
            ValueError: If there are none.
        """
        inside = within(self.time_s, span_s, self.name)
        missing = None if self.missing is None else self.missing[inside]
        return self._replace(time_s=self.time_s[inside], joints_mm=self.joints_mm[inside], missing=missing)


def within(time_s: Float[ndarray, " N"], span_s: tuple[float, float] | None, name: str) -> Bool[ndarray, " N"]:
    """Which frames lie in a span of time; all, if there is none.

    Raises:
        ValueError: If there are none.
    """
    first, last = (-np.inf, np.inf) if span_s is None else span_s
    inside: ndarray = (time_s >= first) & (time_s <= last)
    if not inside.any():
        raise ValueError(
            f"{name} has no frame between {first:g} and {last:g} s: it runs from {time_s[0]:g} to {time_s[-1]:g} s"
        )
    return inside


def read_clip(
    path: Path, set_name: str | None = None, trial: str | None = None, camera: int = 0, input: Input = "gt"
) -> PoseSequence | LiftedMotion:
    """Read what a figure is about, whatever it is.

    Args:
        path: A motion-capture folder (docs/evaluation.md), a `.pose3d.npz` of `dreampose3d lift`, or anything with
            2D: a keypoint file or a video.
        set_name: For a folder of set folders: which.
        trial: For a motion-capture folder: which clip.
        camera: For a motion-capture folder: which of the evaluation's four virtual cameras sees it.
        input: For a motion-capture folder: exact 2D, or 2D with a detector's errors.

    Returns:
        2D to be lifted, with the truth in `joints_mm` if it is motion capture; or a motion lifted before.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If it cannot be read, or has no such trial or camera.
    """
    if path.is_dir():
        return film(pick_trial(read_mocap(path, set_name), trial), camera, input)
    if trial is not None:
        raise ValueError(f"--trial names a clip of a motion-capture folder, but {path} is none")
    return load_motion(path) if path.name.endswith(SUFFIX) else read_2d(path)


def pick_trial(clips: list[MocapClip], trial: str | None) -> MocapClip:
    """The clip of that name.

    Raises:
        ValueError: If none was named or it is not there, with names that are.
    """
    clip = next((clip for clip in clips if clip.trial == trial), None)
    if clip is None:
        names = [clip.trial for clip in clips]
        near = get_close_matches(trial or "", names) or names[:3]
        asked = "name one of its clips with --trial" if trial is None else f"it has no clip {trial!r}"
        raise ValueError(f"{clips[0].set_name}: {asked}, such as {', '.join(near)} ({len(names)} in its index.csv)")
    return clip


def film(clip: MocapClip, camera: int, input: Input) -> PoseSequence:
    """A clip as one of the evaluation's cameras sees it, here with the truth and with the camera's pose, for its up.

    The lifter uses neither.
    """
    if not 0 <= camera < len(AZIMUTHS_DEGREES):
        raise ValueError(f"expected a camera from 0 to {len(AZIMUTHS_DEGREES) - 1}, got {camera}")
    filmed = next(islice(film_clip(clip, input), camera, None))
    generator = torch.Generator().manual_seed(stable_seed(filmed.sequence.name))
    posed = static_camera(torch.from_numpy(clip.joints_mm).double(), camera, generator)
    return replace(
        filmed.sequence, joints_mm=filmed.joints_mm.numpy(), camera=posed, subject=clip.subject, action=clip.action
    )


def read_truth(path: Path) -> Track:
    """Measured joints of the same person in the same camera's frame.

    Args:
        path: An npz file with `joints_mm` (N, J, 3), and `time_s` (N,) or `fps`; any `.pose3d.npz` is one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is something else.
    """
    expected = f"{path}: expected an npz file with joints_mm (N, {H36M_17.num_joints}, 3) and time_s (N,) or fps"
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with np.load(path, allow_pickle=False) as file:
            joints = np.asarray(file["joints_mm"], np.float64)
            times = file["time_s"] if "time_s" in file else np.arange(len(joints)) / float(file["fps"])
    except Exception as error:  # whatever a damaged file makes of numpy
        raise ValueError(f"{expected} ({error})") from None
    if joints.shape[1:] != (H36M_17.num_joints, 3) or times.shape != joints.shape[:1]:
        raise ValueError(f"{expected}, got joints of shape {joints.shape} and times of shape {times.shape}")
    return Track("ground truth", np.asarray(times, np.float64), joints)


def true_track(sequence: PoseSequence) -> Track | None:
    """The truth of a sequence that has one."""
    if sequence.joints_mm is None:
        return None
    joints = np.asarray(sequence.joints_mm, np.float64)
    return Track("ground truth", np.asarray(sequence.times, np.float64), joints, skeleton=sequence.skeleton)


def lifted_track(motion: LiftedMotion, name: str) -> Track:
    """A lifted motion under a name of its own."""
    missing = motion.confidence < MISSING_BELOW
    return Track(
        name, np.asarray(motion.time_s, np.float64), motion.joints_mm.astype(np.float64), missing, motion.skeleton
    )


def keypoints_of(motion: LiftedMotion) -> PoseSequence:
    """The 2D that a motion was lifted from, to be lifted again."""
    return PoseSequence(
        name=motion.name,
        fps=motion.fps,
        skeleton=motion.skeleton,
        keypoints_px=motion.keypoints_px,
        confidence=motion.confidence,
        time_s=motion.time_s,
        camera=motion.camera,
    )
