"""Train on motion capture of your own: write the folder, train, lift with what was learned."""

import csv
from pathlib import Path

import numpy as np
from walking import walk

from dreampose3d import Lifter
from dreampose3d.training.config import Phase, TrainConfig
from dreampose3d.training.trainer import train

# A set is index.csv beside npz files of joints (frames, 17, 3): int16, mm, z up, Human3.6M's order.
folder = Path("mocap")
folder.mkdir(exist_ok=True)
clips = {}
for number, fps in enumerate((30.0, 40.0, 50.0)):
    x, y, z = np.moveaxis(walk(frames=100, fps=fps).joints_mm, -1, 0)  # the camera's axes: right, down, forward
    clips[f"walk{number}"] = np.stack((x, z, 1000 - y), -1).round().astype(np.int16)
np.savez(folder / "anna.npz", **clips)
with (folder / "index.csv").open("w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(("subject", "trial", "fps", "frames", "split", "action"))
    rows.writerows(("anna", trial, 30 + 10 * n, len(clips[trial]), "train", "walking") for n, trial in enumerate(clips))

# A model and a run that are far too small to be of use, but whole: everything that trained the weights that ship.
# `small` in place of `tiny`, thousands of steps and hours of motion make a lifter: see CONTRIBUTING.md.
config = TrainConfig(
    data=(folder,), out=Path("run"), model="tiny", steps=30, precision="fp32", threads=1,
    phases=(Phase(0.7, 9, 16, prompt=0.1), Phase(0.3, 27, 8)),
)  # fmt: skip
weights = train(config)

with (config.out / "log.csv").open(newline="") as file:
    log = list(csv.DictReader(file))
first, last = (float(log[place]["total"]) for place in (0, -1))
print(f"the loss went from {first:.3f} to {last:.3f}; log.csv has {', '.join(log[0])}")
print(f"{weights}: {weights.stat().st_size / 1e6:.1f} MB")
motion = Lifter.load(weights).lift(walk(frames=20))
print(f"lifts {len(motion)} frames; thinks: {motion.top_intents(0, 1)}")
