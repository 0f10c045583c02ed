"""What can be lifted: a video or a keypoint file as 2D motion with a camera."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dreampose3d.calibration import pick_camera, read_calibrations
from dreampose3d.camera import Camera
from dreampose3d.lifting.crowd import see_everyone
from dreampose3d.lifting.detector import DetectorName, detect_video
from dreampose3d.lifting.keypoints import read_everyone, read_keypoints
from dreampose3d.lifting.people import Choice, choose_person, follow
from dreampose3d.lifting.plausibility import check_skeleton
from dreampose3d.lifting.video import is_video
from dreampose3d.sequence import PoseSequence

CameraChoice = Callable[[Camera], Camera]
"""Takes the camera that an input came with, which is usually a guess, and gives the one to use."""


def choose_camera(
    fov_degrees: float | None = None, focal_px: float | None = None, calibration: Path | None = None, hint: str = ""
) -> CameraChoice:
    """What is known about the camera, checked at once, to be applied when the image size is known.

    Args:
        fov_degrees: Field of view over the longer image side.
        focal_px: Focal length, pixels.
        calibration: A calibration file; scaled if the input's size is another.
        hint: Names the camera, where the file holds several: the name of the input.

    Returns:
        The choice; with nothing given, it leaves the camera as it is.

    Raises:
        FileNotFoundError: If there is no such calibration.
        ValueError: If more than one of the three is given, a number is impossible, or the calibration unreadable.
    """
    if sum(known is not None for known in (fov_degrees, focal_px, calibration)) > 1:
        raise ValueError("--fov, --focal and --calib each say what the camera is; give one of them")
    if calibration is not None:
        calibrated = pick_camera(read_calibrations(calibration), hint)
        return lambda camera: calibrated.resized(camera.size_px)

    def stated(camera: Camera) -> Camera:
        if fov_degrees is not None:
            return replace(camera, focal_px=Camera.from_fov(camera.size_px, fov_degrees).focal_px, assumed=False)
        if focal_px is not None:
            return replace(camera, focal_px=(focal_px, focal_px), assumed=False)
        return camera

    stated(Camera.from_fov((1, 1)))
    return stated


def read_2d(
    path: Path,
    camera: CameraChoice | None = None,
    detector: DetectorName = "blazepose",
    fps: float | None = None,
    size_px: tuple[int, int] | None = None,
    skeleton: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> PoseSequence:
    """Read the 2D motion of one person from a video (by detection) or from a keypoint file.

    Args:
        path: A video, by its name's ending; anything else is read as keypoints.
        camera: From `choose_camera`; else the file's own, or the default field of view.
        detector: For a video.
        fps: Frames per second, where the file does not say or says it wrong.
        size_px: For a keypoint file that does not say.
        skeleton: For a keypoint file that does not say, or says it wrong.
        progress: Told (frames done, frames in all or None) while detecting.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no person, is damaged, says too little, or is plainly in another skeleton's order.
    """
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if not is_video(path):
        sequence = read_keypoints(path, fps=fps, size_px=size_px, skeleton=skeleton)
        check_skeleton(sequence)
    elif size_px is not None or skeleton is not None:
        raise ValueError("--size and --skeleton are for keypoint files; a video and its detector say both")
    else:
        detections = detect_video(path, detector, fps, progress)
        guess = replace(Camera.from_fov(detections.size_px), assumed=True)
        sequence = replace(detections.sequence, camera=guess)
    return sequence if camera is None or sequence.camera is None else replace(sequence, camera=camera(sequence.camera))


def read_people(
    path: Path,
    which: Choice = "all",
    camera: CameraChoice | None = None,
    detector: DetectorName = "blazepose",
    fps: float | None = None,
    size_px: tuple[int, int] | None = None,
    skeleton: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[PoseSequence]:
    """Read the 2D motion of everyone in a video, or of some of them; identities last through crossings.

    Args:
        path: A video, by its name's ending; anything else is read as keypoints.
        which: Everyone (`all`), who fills most of the clip (`largest`), or a number in that order, from 0.
        camera: As in `read_2d`; so are the others.
        detector: For a video.
        fps: Frames per second, where the file does not say or says it wrong.
        size_px: For a keypoint file that does not say.
        skeleton: For a keypoint file that does not say, or says it wrong.
        progress: Told (frames done, frames in all or None) while detecting.

    Returns:
        One sequence a person, from the first frame that shows them to the last; the most prominent first.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As `read_2d`; or if there is no person of that number.
    """
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if not is_video(path):
        people = choose_person(read_everyone(path, fps=fps, size_px=size_px, skeleton=skeleton), which)
        for person in people:
            check_skeleton(person)
    elif size_px is not None or skeleton is not None:
        raise ValueError("--size and --skeleton are for keypoint files; a video and its detector say both")
    else:
        people = choose_person(follow(see_everyone(path, detector, fps, progress)), which)
    if camera is None:
        return people
    return [replace(person, camera=camera(person.camera)) for person in people if person.camera is not None]
