"""`dreampose3d fetch`."""

from typing import Literal

from tyro.conf import Positional

from dreampose3d.commands.console import say


def fetch(what: Positional[Literal["blazepose", "pose2sim", "pose2sim-two", "sports2d"]]) -> None:
    """Download once what the package may not ship, checked by SHA-256, and print the folder that it is in.

    Args:
        what: The default detector's weights (Apache-2.0), or a demo clip (BSD-3-Clause).
    """
    from dreampose3d.lifting.fetch import fetch as fetch_once

    print(fetch_once(what, report=say))
