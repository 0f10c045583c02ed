"""What the commands share: options that are left out, lines to the user, and a progress display."""

import sys
from types import TracebackType
from typing import Any, Literal

Device = Literal["auto", "cpu", "cuda", "mps"]
CHOSEN = "(default: chosen by measurement, see README)"


def given(**options: Any) -> dict[str, Any]:
    """The options that were given; the others keep the lifter's defaults."""
    return {name: value for name, value in options.items() if value is not None}


def say(line: str) -> None:
    """A line on standard error."""
    print(line, file=sys.stderr)


class Progress:
    """A percentage on standard error, if that is a terminal."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        self.shown = ""

    def __call__(self, share: float) -> None:
        """Show a share of the work, in [0, 1]."""
        self._show(f"{self.doing}: {share:4.0%}")

    def of(self, done: int, whole: int | None) -> None:
        """Show a count; the whole may be unknown."""
        self._show(f"{self.doing}: {done / whole:4.0%}" if whole else f"{self.doing}: {done}")

    def _show(self, line: str) -> None:
        if line != self.shown and sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
            self.shown = line

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.shown:
            say("")
