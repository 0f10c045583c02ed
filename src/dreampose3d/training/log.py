"""What a run writes down of its steps: a row each in log.csv, and in TensorBoard where it is installed."""

import csv
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any


class Log:
    """A row a step in log.csv, and in TensorBoard where it is installed."""

    columns = (
        "step", "learning_rate", "total", "pose", "action", "bone", "velocity",
        "val_mpjpe_mm", "val_p_mpjpe_mm", "val_intent",
    )  # fmt: skip

    def __init__(self, folder: Path | None, step: int) -> None:
        """Go on after a step of the run in a folder; without one nothing is kept (the processes beside the first)."""
        path = Path(os.devnull) if folder is None else folder / "log.csv"
        rows = list(_rows_until(path, step))
        self.file = path.open("w", newline="")
        self.csv = csv.DictWriter(self.file, self.columns)
        self.csv.writeheader()
        self.csv.writerows(rows)
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
        self.csv.writerow(row)
        if self.board is not None:
            for name, value in row.items():
                if name != "step":
                    self.board.add_scalar(name, value, int(row["step"]))
        if int(row["step"]) % 50 == 0:
            self.flush()

    def flush(self) -> None:
        """Bring the rows to the disk, as a checkpoint will be."""
        self.file.flush()

    def __exit__(self, *_: object) -> None:
        self.file.close()
        if self.board is not None:
            self.board.close()


def _rows_until(path: Path, step: int) -> Iterator[dict[str, str]]:
    if path.is_file():
        with path.open(newline="") as file:
            yield from (row for row in csv.DictReader(file) if int(row["step"]) <= step)
