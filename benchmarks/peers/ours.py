"""DreamPose3D, whole: denoiser, APL, SRE and HPD."""

from benchmarks.peers.peer import Peer

from dreampose3d.lifting.lifter import LiftOptions

PEER = Peer("ours", "DreamPose3D (ours)", change={}, steps=2, span=LiftOptions.span)
