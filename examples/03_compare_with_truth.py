"""How far off is it? Lift exact and detector-like 2D of a motion whose 3D is known, and measure."""

from dataclasses import replace

import torch
from walking import walk

from dreampose3d import Lifter
from dreampose3d.data.noise import add_detector_noise
from dreampose3d.lifting.lifter import LiftOptions
from dreampose3d.metrics import acceleration_error, mpjpe, p_mpjpe

lifter = Lifter.load("small")
exact = walk()
pixels, confidence = add_detector_noise(
    torch.from_numpy(exact.keypoints_px), exact.fps, torch.Generator().manual_seed(0)
)
noisy = replace(exact, keypoints_px=pixels.numpy(), confidence=confidence.numpy())
true = torch.from_numpy(exact.joints_mm - exact.joints_mm[:, :1]).float()

# No error means anything without its aggregation, H and K.
print(f"{'2D':8}{'aggregation':22}{'MPJPE, mm':>11}{'P-MPJPE, mm':>13}{'acceleration error, m/s^2':>27}")
for name, sequence in (("exact", exact), ("noisy", noisy)):
    for options in (LiftOptions(hypotheses=1, steps=1), LiftOptions()):
        lifted = torch.from_numpy(lifter.lift(sequence, options).root_relative_mm)
        how = f"{options.aggregate} H={options.hypotheses} K={options.steps}"
        errors = (mpjpe(lifted, true), p_mpjpe(lifted, true), acceleration_error(lifted, true, sequence.fps))
        near, aligned, shaking = (float(error.mean()) for error in errors)
        print(f"{name:8}{how:22}{near:11.1f}{aligned:13.1f}{shaking:27.2f}")
print("\nThe same against your own motion capture: dreampose3d evaluate --data FOLDER --split test --input noisy")
