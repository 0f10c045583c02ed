"""All files of lifted motions at once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dreampose3d.export.formats import write_formats
from dreampose3d.export.motion import motion_of
from dreampose3d.export.tables import write_json, write_npz
from dreampose3d.files import staged
from dreampose3d.sequence import LiftedMotion
from dreampose3d.viewer.measured import measured
from dreampose3d.viewer.overlay import write_overlay
from dreampose3d.viewer.page import Shown, write_page


def write_results(
    lifted: LiftedMotion | Sequence[LiftedMotion],
    folder: Path,
    video: Path | None = None,
    overlay: bool = True,
    video_in_page: bool = True,
    formats: tuple[str, ...] = (),
) -> Path:
    """Write `<name>.pose3d.npz`, `<name>.json`, `<name>.html` and `<name>.overlay.mp4`: all of them or none.

    Args:
        lifted: What the lifter returned: one person, or everyone in the clip. Of several, each has files
            `<name>_personNN.pose3d.npz` and `.json`, and all are on the one page and in the one overlay.
        folder: Made if it is not there.
        video: The clip that the motion was lifted from, to be shown beside and under it.
        overlay: Whether to write the overlay video.
        video_in_page: Whether the page carries the video.
        formats: What to export besides, names out of `formats.FORMATS`.

    Returns:
        The page, to open in a browser.

    Raises:
        ValueError: If there is nobody.
        OSError: If they cannot be written.
    """
    people = list(lifted) if isinstance(lifted, Sequence) else [lifted]
    if not people:
        raise ValueError("expected at least one motion to write, got none")
    stem = people[0].name
    if len(people) > 1:
        people = [replace(person, name=f"{stem}_person{number:02d}") for number, person in enumerate(people)]
    with staged(folder) as staging:
        for person in people:
            write_npz(person, staging / f"{person.name}.pose3d.npz")
            write_json(person, staging / f"{person.name}.json")
            write_formats(motion_of(person), formats, staging)
        everyone = [measured(person, f"person {number}") for number, person in enumerate(people)]
        write_page(_titled(everyone, stem), staging / f"{stem}.html", video if video_in_page else None)
        if overlay:
            write_overlay(people, staging / f"{stem}.overlay.mp4", video)
    return folder / f"{stem}.html"


def _titled(everyone: list[Shown], name: str) -> list[Shown]:
    """The page bears the name of its first motion."""
    first, *others = everyone
    return [replace(first, motion=replace(first.motion, name=name)), *others]
