"""VideoPose3D (Pavllo et al. 2019): dilated temporal convolutions over whole 2D poses."""

import torch
from benchmarks.peers.peer import Deterministic, Peer
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from dreampose3d.model.blocks import Mlp
from dreampose3d.model.dreampose import DreamPose3D
from dreampose3d.skeleton import Skeleton, skeleton_named


class DilatedBlock(nn.Module):
    """x + W_2 gelu(W_1 * norm x): a convolution over three frames, `dilation` apart, then one over a single frame."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(width)
        self.mlp = Mlp(3 * width, width, width)

    def forward(self, x: Float[Tensor, "B N C"], valid: Bool[Tensor, "B N"]) -> Float[Tensor, "B N C"]:
        """Mix frames; those that are not valid, or not there, are 0."""
        return x + self.mlp(three_taps(self.norm(x), self.dilation, valid))  # type: ignore[no-any-return]


class TemporalConvolutions(nn.Module):
    """One feature a frame, seen over 1 + 2 (1 + 3 + 9 + 27) = 81 frames."""

    def __init__(
        self, skeleton: Skeleton, width: int, joint_width: int, dilations: tuple[int, ...] = (3, 9, 27)
    ) -> None:
        super().__init__()
        self.joints = skeleton.num_joints
        self.expand = nn.Linear(3 * 3 * skeleton.num_joints, width)
        self.condition = nn.Linear(3, width)
        self.blocks = nn.ModuleList(DilatedBlock(width, dilation) for dilation in dilations)
        self.norm = nn.LayerNorm(width)
        self.shrink = nn.Linear(width, skeleton.num_joints * joint_width)

    def forward(
        self,
        x_t: Tensor,
        observed: Float[Tensor, "B N J D"],
        t: Int[Tensor, " B"],
        prompt: None,
        time_s: Float[Tensor, "B N"],
        valid: Bool[Tensor, "B N"],
        view: Float[Tensor, "B 2"],
    ) -> Float[Tensor, "B N J C"]:
        """A few features for each joint, from which the decoder reads the pose."""
        told = torch.cat((view, log_pace(time_s)), -1)
        x = self.expand(three_taps(observed.flatten(2), 1, valid)) + self.condition(told)[:, None]
        x = F.gelu(x)
        for block in self.blocks:
            x = block(x, valid)
        return self.shrink(self.norm(x)).unflatten(-1, (self.joints, -1))  # type: ignore[no-any-return]


def three_taps(x: Float[Tensor, "B N C"], dilation: int, valid: Bool[Tensor, "B N"]) -> Float[Tensor, "B N 3*C"]:
    """Each frame beside those `dilation` before and after it: a linear map of this is a dilated convolution."""
    count = x.shape[1]
    padded = F.pad(x * valid[..., None], (0, 0, dilation, dilation))
    return torch.cat([padded[:, tap * dilation :][:, :count] for tap in range(3)], -1)


def log_pace(time_s: Float[Tensor, "B N"]) -> Float[Tensor, "B 1"]:
    """Log of a frame's duration over 1/50 s: a convolution has no other clock. 0 for a single frame."""
    if time_s.shape[1] == 1:
        return torch.zeros_like(time_s)
    return (50 * time_s.diff(dim=1).mean(1, keepdim=True)).log()


def videopose3d(model: DreamPose3D) -> Deterministic:
    """Of 512 channels where our tokens have 160: with the paper's 1024, Muon would cost more than the network."""
    width = model.config.width // 5
    return Deterministic(TemporalConvolutions(skeleton_named(model.config.skeleton), 16 * width, width), width)


PEER = Peer("videopose3d", "VideoPose3D", network=videopose3d)
