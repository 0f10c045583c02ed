"""Motion capture through every export and back: how far joints end up from where they were.

    python benchmarks/round_trips.py FOLDER

FOLDER has the sets `cmu` and `obp` in the canonical form (docs/conventions.md). Readers are libraries that are not ours
(tests/export/readers.py). Formats with rotations hold constant bones, so each clip goes through twice: as captured, and
with its bones made constant first. Prints a Markdown table, millimetres.
"""

import csv
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.export.readers import READERS

from dreampose3d.export.formats import export
from dreampose3d.export.motion import Motion
from dreampose3d.motion.bones import estimate_lengths, with_lengths


def main(data: Path) -> None:
    clips = {
        "pitch": _clip(data / "obp", lambda row: True),
        "jump": _clip(data / "cmu", lambda row: row["split"] == "test" and "jump" in row["action"]),
        "walk": _clip(data / "cmu", lambda row: row["split"] == "test" and row["action"] == "walking"),
    }
    print("| clip | frames | bones |", " | ".join(READERS), "|")
    print("|---" * (len(READERS) + 3) + "|")
    for label, motion in clips.items():
        lengths = estimate_lengths(motion.joints_mm, motion.skeleton)
        rigid = replace(motion, joints_mm=with_lengths(motion.joints_mm, lengths, motion.skeleton))
        for bones, version in (("as captured", motion), ("constant", rigid)):
            errors = [f"{error:.3f}" for error in _errors(version)]
            print(f"| {label} {motion.name} | {len(motion)} | {bones} |", " | ".join(errors), "|", flush=True)


def _clip(folder: Path, wanted) -> Motion:
    row = next(row for row in csv.DictReader((folder / "index.csv").open(newline="")) if wanted(row))
    with np.load(folder / (row.get("file") or f"{row['subject']}.npz")) as file:
        return Motion(row["trial"], float(row["fps"]), file[row["trial"]].astype(np.float64))


def _errors(motion: Motion) -> list[float]:
    """The greatest distance of any joint in any frame, format by format; the rate must be the same."""
    errors = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that bones change: it is what is measured
        for kind, (up, read) in READERS.items():
            places, rate = read(export(motion, kind, folder)[0])
            assert abs(rate / motion.fps - 1) < 1e-6
            expected = motion.joints_mm[..., [0, 2, 1]] * (1, 1, -1) if up == "y" else motion.joints_mm
            errors.append(float(np.linalg.norm(places - expected, axis=-1).max()))
    return errors


if __name__ == "__main__":
    main(Path(sys.argv[1]))
