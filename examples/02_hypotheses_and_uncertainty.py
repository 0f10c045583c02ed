"""How sure is the result? Several hypotheses, their spread, and what a hidden arm does to both."""

from dataclasses import replace

import numpy as np
from walking import walk

from dreampose3d import Lifter
from dreampose3d.lifting.lifter import LiftOptions

lifter = Lifter.load("small")
options = LiftOptions(hypotheses=5, steps=3, save_hypotheses=True)
sequence = walk(frames=60)

# The same clip with the left arm out of sight for half a second: NaN where a joint is missing.
hidden = slice(20, 40)
keypoints = sequence.keypoints_px.copy()
keypoints[hidden, sequence.skeleton.indices("left_elbow", "left_wrist")] = np.nan
occluded = replace(sequence, keypoints_px=keypoints)

seen, unseen = lifter.lift(sequence, options), lifter.lift(occluded, options)
true = sequence.joints_mm - sequence.joints_mm[:, :1]

print("hypotheses:", seen.hypotheses_mm.shape, "(H, frames, joints, 3), mm, relative to the pelvis")
print("spread: the distance within which the true joint lies with 68 % probability")
print("both are means over the half second in which the left arm is hidden, mm\n")
print(f"{'':16}{'arm seen':>16}{'arm hidden':>18}\n{'joint':16}{2 * '   error  spread'}")
for joint, name in enumerate(seen.skeleton.joints):
    cells = ""
    for motion in (seen, unseen):
        error = np.linalg.norm(motion.root_relative_mm - true, axis=-1)[hidden, joint].mean()
        cells += f"{error:8.0f}{motion.spread_mm[hidden, joint].mean():8.0f}"
    print(f"{name:16}{cells}")
