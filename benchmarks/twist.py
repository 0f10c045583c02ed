"""How far each bone of the exported skeleton turns about itself from one frame to the next, at most.

    python benchmarks/twist.py FOLDER

FOLDER is a set in the canonical form (docs/conventions.md); its test clips are turned into rigs at their own rate.
Prints a Markdown table: bone, greatest twist a frame in its parent's frame (degrees), frames above 20 degrees, where;
then how far constant bones moved the joints.
"""

import csv
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.export.test_rotations import bones_of, spin_degrees

from dreampose3d.export.motion import Motion


def main(data: Path) -> None:
    worst, over, errors = {}, {}, []
    for row in csv.DictReader((data / "index.csv").open(newline="")):
        if row["split"] != "test":
            continue
        with np.load(data / (row.get("file") or f"{row['subject']}.npz")) as file:
            rig = Motion(row["trial"], float(row["fps"]), file[row["trial"]].astype(np.float64)).rig
        errors.append(rig.error_mm.ravel())
        for node in bones_of(rig):
            spin, name = spin_degrees(rig, node), rig.names[node]
            over[name] = over.get(name, 0) + int((spin > 20).sum())
            if len(spin) and spin.max() > worst.get(name, (0.0,))[0]:
                worst[name] = (spin.max(), f"{row['trial']}, frame {spin.argmax() + 1}")
    print("| bone | degrees a frame | frames above 20 | where |\n|---|---|---|---|")
    for name, (degrees, where) in sorted(worst.items(), key=lambda item: -item[1][0]):
        print(f"| {name} | {degrees:.1f} | {over[name]} | {where} |")
    error = np.concatenate(errors)
    print(f"\nConstant bones move joints by {error.mean():.2f} mm in the mean, 99 % by less than", end=" ")
    print(f"{np.percentile(error, 99):.1f} mm, {error.max():.0f} mm at most.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
