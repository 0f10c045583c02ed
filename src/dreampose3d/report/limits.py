"""What one camera cannot see, said of this very clip."""

from collections.abc import Iterator

from dreampose3d.motion.moments import Happened
from dreampose3d.motion.speeds import joint_speeds
from dreampose3d.report.quality import Quality, told
from dreampose3d.report.subject import Subject
from dreampose3d.sequence import LiftedMotion

_HANDS_AND_FEET = ("left_wrist", "right_wrist", "left_ankle", "right_ankle")


def limits(subject: Subject, happened: Happened, quality: Quality | None) -> list[tuple[str, str]]:
    """Headings and what is under them."""
    told = [("Not measured", _UNDEFINED), ("Between frames", _between_frames(subject))]
    if subject.lifted is None or quality is None:
        return told
    if happened.pitch is not None:
        told.insert(0, ("The throwing arm", _THROWING_ARM))
    return [*_of_a_camera(subject, subject.lifted, quality), *told]


def _of_a_camera(subject: Subject, motion: LiftedMotion, quality: Quality) -> Iterator[tuple[str, str]]:
    yield "Depth", _DEPTH
    yield "Hidden limbs", f"{_HIDDEN} {_least_certain(quality)}"
    yield "Focal length", _focal_length(motion)
    yield "Height", _height(subject)
    yield "Up and the ground", _ground(motion)


def _least_certain(quality: Quality) -> str:
    """Which joints, and when."""
    joints = [f"{doubt.joint} ({told(doubt.doubtful)})" for doubt in quality.doubts if doubt.doubtful]
    unseen = [f"{doubt.joint} ({told(doubt.unseen)})" for doubt in quality.doubts if doubt.unseen]
    lost = f" The detector lost: {'; '.join(unseen)}." if unseen else ""
    return f"Least certain here: {'; '.join(joints)}.{lost}" if joints else "No joint stands out here."


def _focal_length(motion: LiftedMotion) -> str:
    camera = motion.camera
    degrees = f"{camera.fov_degrees:.0f}° over the longer side of the picture"
    if not camera.assumed:
        return f"The field of view was given: {degrees}."
    return (
        f"The lens was not known, so a field of view of {degrees} was assumed. A focal length that is wrong by 10 % "
        "puts the person about 10 % too near or too far; angles suffer little. Give --fov, --focal or --calib to "
        "lift."
    )


def _height(subject: Subject) -> str:
    """Whether metres are true."""
    if subject.given_height_m is not None:
        return (
            f"Height was given as {subject.given_height_m:g} m: distances and speeds are as true as the proportions of "
            "the body."
        )
    return (
        "A tall person far away looks like a short one near by, so height is guessed; here it is "
        f"{subject.height_mm / 1000:.2f} m. Metres and m/s are off by the same share as that is; angles and % of "
        "height are not. Give --height to lift."
    )


def _ground(motion: LiftedMotion) -> str:
    ground = motion.meta.get("refined", {}).get("ground")
    if ground:
        return f"Found for a camera that does not move: {ground['source']}. Tilts against the vertical depend on it."
    if motion.camera.posed:
        return "Up is that of the camera's calibration."
    return (
        "The camera was taken to be held level. If it was not, tilts of trunk and pelvis are off by the same angle: "
        "lift with --world, or give --up."
    )


def _between_frames(subject: Subject) -> str:
    ends = subject.joints_mm[:, subject.skeleton.indices(*_HANDS_AND_FEET)]
    fastest = float(joint_speeds(ends, subject.time_s).max())
    return (
        f"At {subject.fps:g} frames a second moments are known to about {500 / subject.fps:.0f} ms, and the fastest "
        f"hand or foot moves up to {fastest / subject.fps / 10:.0f} cm from one frame to the next: what happens in "
        "between is not seen, and blur makes it less certain."
    )


_DEPTH = (
    "Towards and away from the camera is the direction in which a picture says least: it is inferred from what "
    "bodies do. Trust what happens across the picture more than what happens along the line of sight; an arm that "
    "points at the camera may bend more or less than is drawn."
)
_HIDDEN = (
    "A limb behind the body, out of the picture or blurred is filled in from the rest of the motion. It looks as "
    "smooth as the others and may be wrong."
)
_UNDEFINED = (
    "The skeleton has no feet, hands or eyes: there is no angle of ankle or wrist, no rotation of forearm, shin and "
    "head, no bending of knee and elbow sideways, no ball and no bat."
)
_THROWING_ARM = (
    "Against motion capture of two pitches of one person, tilts of the trunk were 2 to 18° off in lifted motion, the "
    "lead leg 5 to 17°, separation 9 to 31°; but the throwing shoulder's rotation 38 to 67° and the throwing elbow "
    "29 to 63°. Do not read the throwing arm off a lifted pitch."
)
