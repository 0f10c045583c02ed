"""`dreampose3d view`."""

import webbrowser
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


def view(
    results: Annotated[Positional[tuple[Path, ...]], arg(metavar="RESULT...")],
    out: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None,
    video: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None,
    open: bool = True,
) -> None:
    """Show lifted motions on one page: people of one clip, or results to compare, in step.

    Args:
        results: Files <name>.pose3d.npz; the first one's camera and clock are the page's.
        out: The page; else <name>.html, or <name>.compared.html for several, beside the first result.
        video: The clip that they were lifted from.
        open: Open the page in the browser.
    """
    from dreampose3d.export.tables import load_motion
    from dreampose3d.viewer.page import Shown, write_page

    if not results:
        raise ValueError("expected at least one result to show: dreampose3d view out/my.pose3d.npz")
    motions = [load_motion(path) for path in results]
    name = motions[0].name + (".compared.html" if len(motions) > 1 else ".html")
    page = results[0].parent / name if out is None else out
    labels = [path.name.removesuffix(".pose3d.npz") for path in results]
    if len(set(labels)) < len(labels):
        labels = [f"{path.parent.name}/{label}" for path, label in zip(results, labels, strict=True)]
    write_page([Shown(motion, label) for motion, label in zip(motions, labels, strict=True)], page, video)
    print(f"open {page}")
    if open:
        webbrowser.open(page.resolve().as_uri())
