"""`dreampose3d data check`."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from dreampose3d.commands.console import Progress


def data(
    action: Annotated[Positional[Literal["check"]], arg(metavar="check")],
    path: Annotated[Positional[Path], arg(metavar="PATH")],
    json: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None,
) -> None:
    """Look at a data set: which format, how much, and what is wrong with it, in words.

    Args:
        action: `check` is all there is.
        path: A folder or file: canonical motion capture, Human3.6M, MPI-INF-3DHP, a pitching capture, or netCDF as
            movement writes it.
        json: Write the findings here as well.
    """
    from dataclasses import asdict
    from json import dumps

    from dreampose3d.data.check import check_data, describe
    from dreampose3d.files import atomic_write

    with Progress("checking") as progress:
        checked = check_data(path, progress.of)
    print(describe(checked))
    if json is not None:
        plain = asdict(checked) | {"problems": [problem._asdict() for problem in checked.problems]}
        with atomic_write(json) as temporary:
            temporary.write_text(dumps(plain, indent=2) + "\n", encoding="utf-8")
    if checked.serious:
        raise ValueError(f"{path} has {checked.serious} problem{'s' if checked.serious > 1 else ''} to mend first")
