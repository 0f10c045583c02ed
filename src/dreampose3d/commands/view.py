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
    rerun: bool = False,
    save: Annotated[Path | None, arg(metavar="FILE.rrd", help_behavior_hint="")] = None,
) -> None:
    """Show lifted motions on one page: people of one clip, or results to compare, in step.

    Args:
        results: Files <name>.pose3d.npz; the first one's camera and clock are the page's.
        out: The page; else <name>.html, or <name>.compared.html for several, beside the first result.
        video: The clip that they were lifted from.
        open: Open the page in the browser.
        rerun: Show them in the Rerun viewer instead.
        save: Write Rerun's recording to a file instead of opening its viewer.
    """
    from dreampose3d.export.tables import load_motion, result_name
    from dreampose3d.viewer.measured import measured
    from dreampose3d.viewer.page import write_page
    from dreampose3d.viewer.recording import write_recording

    if not results:
        raise ValueError("expected at least one result to show: dreampose3d view out/my.pose3d.npz")
    if save is not None and not rerun:
        raise ValueError("--save names Rerun's recording; give --rerun, too, or --out for the page")
    motions = [load_motion(path) for path in results]
    labels = [result_name(path) for path in results]
    if len(set(labels)) < len(labels):
        labels = [f"{path.parent.name}/{label}" for path, label in zip(results, labels, strict=True)]
    shown = [measured(motion, label) for motion, label in zip(motions, labels, strict=True)]
    if rerun:
        write_recording(shown, save, video)
        print("showing in Rerun" if save is None else f"open it with: rerun {save}")
        return
    name = result_name(results[0]) + (".compared.html" if len(motions) > 1 else ".html")
    page = results[0].parent / name if out is None else out
    write_page(shown, page, video)
    print(f"open {page}")
    if open:
        webbrowser.open(page.resolve().as_uri())
