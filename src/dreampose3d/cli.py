"""The command line: which command is meant, and what becomes of its errors (the commands are in `commands/`)."""

import os
import sys
import warnings
from collections.abc import Callable, Sequence

import tyro

from dreampose3d import __version__
from dreampose3d.commands.ablate import ablate
from dreampose3d.commands.console import say
from dreampose3d.commands.data import data
from dreampose3d.commands.evaluate import evaluate
from dreampose3d.commands.export import export
from dreampose3d.commands.fetch import fetch
from dreampose3d.commands.figure import figure
from dreampose3d.commands.info import info
from dreampose3d.commands.lift import lift
from dreampose3d.commands.report import report
from dreampose3d.commands.train import train
from dreampose3d.commands.view import view

USER_ERROR, INTERRUPTED = 2, 130

COMMANDS: dict[str, Callable[..., None]] = {
    command.__name__: command
    for command in (lift, view, report, export, evaluate, data, train, ablate, figure, info, fetch)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 2 for what the user can put right, 130 for Ctrl-C."""
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(_overview())
        return 0
    if name == "--version":
        print(f"dreampose3d {__version__}")
        return 0
    if name not in COMMANDS:
        say(f"dreampose3d: error: unknown command {name!r}; the commands are {', '.join(COMMANDS)}")
        return USER_ERROR
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: say(f"dreampose3d: note: {message}")
            if name == "train":
                train(*rest)
            else:
                tyro.cli(COMMANDS[name], prog=f"dreampose3d {name}", args=rest)
    except KeyboardInterrupt:
        say("interrupted; no file is half-written")
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads our output, `head` say, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("DREAMPOSE3D_DEBUG"):
            raise
        say(f"dreampose3d: error: {error}")
        return USER_ERROR
    return 0


def _overview() -> str:
    """The help of the whole: a line a command."""
    lines = {name: (command.__doc__ or "").splitlines()[0] for name, command in COMMANDS.items()}
    return "\n".join(
        [
            "usage: dreampose3d COMMAND [OPTIONS]      dreampose3d COMMAND --help tells the options",
            "",
            "A video or 2D keypoints in, 3D human motion out.",
            "",
            *(f"  {name:10}{line}" for name, line in lines.items()),
            "",
            "Set DREAMPOSE3D_DEBUG=1 to see where an error comes from.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
