"""`dreampose3d report`."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


def report(
    clip: Annotated[Positional[Path], arg(metavar="CLIP")],
    out: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None,
    throws: Literal["left", "right", "auto"] = "auto",
    kind: Literal["auto", "pitch", "motion"] = "auto",
    set_name: Annotated[str | None, arg(name="set", metavar="NAME", help_behavior_hint="")] = None,
    trial: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None,
) -> None:
    """Write a page for a coach: moments, angles, speeds, how sure they are, what the camera cannot see.

    Args:
        clip: <name>.pose3d.npz, the folder of one, or a motion-capture folder (with --trial).
        out: The page; else <name>.report.html beside the result, or here for motion capture.
        throws: The throwing arm of a pitch.
        kind: Insist on a pitch, or look for none; auto takes one that looks like it.
        set_name: Which set, if a motion-capture folder holds several.
        trial: Which clip of a motion-capture folder.
    """
    from dreampose3d.report.page import write_report
    from dreampose3d.report.subject import read_subject

    subject = read_subject(clip, set_name, trial)
    home = Path() if subject.lifted is None else clip if clip.is_dir() else clip.parent
    page = home / f"{subject.name}.report.html" if out is None else out
    write_report(subject, page, kind, None if throws == "auto" else throws)
    print(f"open {page}")
