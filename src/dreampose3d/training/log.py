"""What a run writes down: log.csv of its steps (and TensorBoard's, where installed), pace.csv of its speed.

The first is the same however often a run was interrupted; the second is as the machine was.
"""

import csv
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dreampose3d.training.budget import clock

COLUMNS = (
    "step", "learning_rate", "total", "pose", "action", "bone", "velocity", "guess",
    "val_mpjpe_mm", "val_p_mpjpe_mm", "val_intent",
)  # fmt: skip
_BARS = "▁▂▃▄▅▆▇█"
PACE = ("step", "seconds", "frames_per_s", "gmacs_per_s")


class Table:
    """A CSV file with a column `step`, gone on with after a step."""

    def __init__(self, path: Path, columns: tuple[str, ...], step: int) -> None:
        self.kept = [row for row in rows_of(path) if int(row["step"]) <= step]
        self.file = path.open("w", newline="")
        self.csv = csv.DictWriter(self.file, columns)
        self.csv.writeheader()
        self.csv.writerows(self.kept)

    def write(self, row: Mapping[str, float]) -> None:
        """Add a row."""
        self.csv.writerow(row)


class Log:
    """Both tables of a run; without a folder nothing is kept (the processes beside the first)."""

    def __init__(self, folder: Path | None, step: int) -> None:
        self.steps = Table(Path(os.devnull) if folder is None else folder / "log.csv", COLUMNS, step)
        self.pace = Table(Path(os.devnull) if folder is None else folder / "pace.csv", PACE, step)
        self.curve = [float(row["val_mpjpe_mm"]) for row in self.steps.kept if row["val_mpjpe_mm"]]
        """The errors on whom is held out, up to now."""
        self.board: Any = None
        if folder is None:
            return
        with suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(folder), purge_step=step)

    def __enter__(self) -> "Log":
        return self

    def write(self, row: dict[str, float]) -> None:
        """Log one step."""
        self.steps.write(row)
        if "val_mpjpe_mm" in row:
            self.curve.append(row["val_mpjpe_mm"])
        if self.board is not None:
            for name, value in row.items():
                if name != "step":
                    self.board.add_scalar(name, value, int(row["step"]))
        if int(row["step"]) % 50 == 0:
            self.flush()

    def flush(self) -> None:
        """Bring the rows to the disk, as a checkpoint will be."""
        self.steps.file.flush()
        self.pace.file.flush()

    def __exit__(self, *_: object) -> None:
        self.steps.file.close()
        self.pace.file.close()
        if self.board is not None:
            self.board.close()


def progress(
    row: Mapping[str, float], curve: Sequence[float], steps: int, speed: Mapping[str, float], left_s: float
) -> str:
    """A line about a step: losses, what was measured, the curve of that up to now, speed, and when the run will end."""
    text = f"step {int(row['step']):6d}/{steps}  loss {row['total']:.4f}  pose {1000 * row['pose']:.1f} mm"
    if "val_mpjpe_mm" in row:
        text += f"  val MPJPE {row['val_mpjpe_mm']:.1f} mm  P-MPJPE {row['val_p_mpjpe_mm']:.1f} mm"
        text += f"  intent {row['val_intent']:.2f}  {spark(curve)}"
    text += f"  {speed['frames_per_s']:.0f} frames/s  {speed['gmacs_per_s']:.1f} GMAC/s"
    end = time.localtime(time.time() + left_s)
    return f"{text}  {clock(left_s)} left, ends {time.strftime('%H:%M' if left_s < 43200 else '%a %H:%M', end)}"


def spark(values: Sequence[float], width: int = 24) -> str:
    """The last values as a row of bars."""
    shown = values[-width:]
    low, high = min(shown), max(shown)
    return "".join(_BARS[round((value - low) / max(high - low, 1e-9) * (len(_BARS) - 1))] for value in shown)


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table, if it is there."""
    if path.is_file():
        with path.open(newline="") as file:
            yield from csv.DictReader(file)
