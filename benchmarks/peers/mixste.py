"""MixSTE (Zhang et al. 2022): attention over joints and over each joint's frames in turn, straight to the pose.

It is D3DP's backbone without diffusion.
"""

from benchmarks.peers.peer import Deterministic, Peer

from dreampose3d.model.dreampose import DreamPose3D


def mixste(model: DreamPose3D) -> Deterministic:
    """Our denoiser as a regressor."""
    return Deterministic(model.denoiser, model.config.width)


PEER = Peer("mixste", "MixSTE", network=mixste)
