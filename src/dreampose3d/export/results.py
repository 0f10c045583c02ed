"""All files of a lifted motion at once."""

from pathlib import Path

from dreampose3d.export.tables import write_json, write_npz
from dreampose3d.files import staged
from dreampose3d.sequence import LiftedMotion
from dreampose3d.viewer.overlay import write_overlay
from dreampose3d.viewer.page import write_page


def write_results(motion: LiftedMotion, folder: Path, video: Path | None = None, overlay: bool = True) -> Path:
    """Write `<name>.pose3d.npz`, `<name>.json`, `<name>.html` and `<name>.overlay.mp4`: all of them or none.

    Args:
        motion: What the lifter returned.
        folder: Made if it is not there.
        video: The clip that the motion was lifted from, to be shown beside and under it.
        overlay: Whether to write the overlay video.

    Returns:
        The page, to open in a browser.

    Raises:
        OSError: If they cannot be written.
    """
    with staged(folder) as staging:
        write_npz(motion, staging / f"{motion.name}.pose3d.npz")
        write_json(motion, staging / f"{motion.name}.json")
        write_page(motion, staging / f"{motion.name}.html", video)
        if overlay:
            write_overlay(motion, staging / f"{motion.name}.overlay.mp4", video)
    return folder / f"{motion.name}.html"
