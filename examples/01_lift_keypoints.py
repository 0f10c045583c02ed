"""2D keypoints in, a 3D motion and a page that shows it out."""

from pathlib import Path

import numpy as np
from walking import walk

from dreampose3d import Lifter
from dreampose3d.export.results import write_results
from dreampose3d.lifting.source import choose_camera, read_2d

# What any 2D detector can write: pixels, rate, image size and the name of the joints' order.
seen = walk()
np.savez("walk.npz", keypoints_px=seen.keypoints_px, fps=seen.fps, size=seen.camera.size_px, skeleton="h36m_17")

# Say what you know about the camera: with nothing said, a field of view of 55 degrees is assumed.
sequence = read_2d(Path("walk.npz"), camera=choose_camera(focal_px=1100))
motion = Lifter.load("small").lift(sequence)

wrist = motion.skeleton.index("left_wrist")
print(f"{len(motion)} frames at {motion.fps:g} frames/s, {motion.camera.fov_degrees:.0f} degrees field of view")
print("time s   left wrist in the camera's frame, mm   likeliest intent")
for frame in range(0, len(motion), 16):
    x, y, z = motion.joints_mm[frame, wrist]
    intent, probability = motion.top_intents(frame, 1)[0]
    print(f"{motion.time_s[frame]:6.2f}   x {x:6.0f}   y {y:6.0f}   z {z:6.0f}     {intent} ({probability:.0%})")
print("open", write_results(motion, Path("out"), overlay=False))
