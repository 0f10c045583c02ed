"""The first guess [ours]: a pose for each frame from the 2D alone, read once a window, which the denoiser corrects.

Dilated convolutions over whole poses (Pavllo et al. 2019, arXiv:1811.11742): a frame is one feature, so that a step of
training costs an eighth of the denoiser's, and sees eight times as many poses in the same time (docs/peers.md).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from dreampose3d.model.blocks import Mlp
from dreampose3d.skeleton import Skeleton

RATE = 50.0
"""Frames a second at which a window's pace counts as 1."""
_TAPS = 3


class Guess(NamedTuple):
    """What is known of a window before any noise is looked at."""

    tokens: Float[Tensor, "B N J G"]
    """A few features of each joint, for the denoiser."""
    pose: Float[Tensor, "B N J 3"]
    """In the network's unit, root at 0."""


class DilatedBlock(nn.Module):
    """x + W_2 gelu(W_1 * norm x): a convolution over three frames, `dilation` apart, then one over a single frame."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(width)
        self.mlp = Mlp(_TAPS * width, width, width)

    def forward(self, x: Float[Tensor, "B N C"], valid: Bool[Tensor, "B N"]) -> Float[Tensor, "B N C"]:
        """Mix frames; those that are not valid, or not there, are 0."""
        return x + self.mlp(three_taps(self.norm(x), self.dilation, valid))  # type: ignore[no-any-return]


class DilatedConvolutions(nn.Module):
    """One feature a frame, seen over 1 + 2 (1 + 3 + 9 + 27) = 81 frames."""

    def __init__(self, num_inputs: int, width: int, dilations: tuple[int, ...] = (3, 9, 27)) -> None:
        """Build it.

        Args:
            num_inputs: Numbers that come with a frame: its joints' x, y and, where there is one, confidence.
            width: C.
            dilations: Of the blocks after the first convolution, whose dilation is 1.
        """
        super().__init__()
        self.expand = nn.Linear(_TAPS * num_inputs, width)
        self.condition = nn.Linear(3, width)
        self.blocks = nn.ModuleList(DilatedBlock(width, dilation) for dilation in dilations)
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        observed: Float[Tensor, "B N J D"],
        time_s: Float[Tensor, "B N"],
        valid: Bool[Tensor, "B N"],
        view: Float[Tensor, "B 2"] | None = None,
    ) -> Float[Tensor, "B N C"]:
        """Read a window; arguments as in `Denoiser.forward`."""
        view = torch.zeros_like(time_s[:, :1]).expand(-1, 2) if view is None else view
        told = torch.cat((view, log_pace(time_s)), -1).to(observed.dtype)
        x = F.gelu(self.expand(three_taps(observed.flatten(2), 1, valid)) + self.condition(told)[:, None])
        for block in self.blocks:
            x = block(x, valid)
        return self.norm(x)  # type: ignore[no-any-return]


class FirstGuess(nn.Module):
    """Convolutions over whole poses, a few features of each joint read off them, and a pose read off those."""

    def __init__(self, skeleton: Skeleton, num_inputs: int, width: int, joint_width: int) -> None:
        """Build it.

        Args:
            skeleton: Joint count and root.
            num_inputs: Numbers that come with a frame.
            width: C of a frame.
            joint_width: G of a joint, handed on to the denoiser.
        """
        super().__init__()
        self.root = skeleton.root
        self.num_joints = skeleton.num_joints
        self.convolutions = DilatedConvolutions(num_inputs, width)
        self.shrink = nn.Linear(width, skeleton.num_joints * joint_width)
        self.norm_joint = nn.LayerNorm(joint_width)
        self.head = nn.Linear(joint_width, 3)

    def forward(
        self,
        observed: Float[Tensor, "B N J D"],
        time_s: Float[Tensor, "B N"],
        valid: Bool[Tensor, "B N"],
        view: Float[Tensor, "B 2"] | None = None,
    ) -> Guess:
        """Guess; arguments as in `Denoiser.forward`."""
        x = self.convolutions(observed, time_s, valid, view)
        tokens = self.norm_joint(self.shrink(x).unflatten(-1, (self.num_joints, -1)))
        joints = self.head(tokens)
        return Guess(tokens, joints - joints[:, :, self.root, None])


def three_taps(x: Float[Tensor, "B N C"], dilation: int, valid: Bool[Tensor, "B N"]) -> Float[Tensor, "B N 3*C"]:
    """Each frame beside those `dilation` before and after it: a linear map of this is a dilated convolution."""
    count = x.shape[1]
    padded = F.pad(x * valid[..., None], (0, 0, dilation, dilation))
    return torch.cat([padded[:, tap * dilation :][:, :count] for tap in range(_TAPS)], -1)


def log_pace(time_s: Float[Tensor, "B N"]) -> Float[Tensor, "B 1"]:
    """Log of a frame's duration over 1/50 s: a convolution has no other clock. 0 for a single frame."""
    if time_s.shape[1] == 1:
        return torch.zeros_like(time_s)
    return (RATE * time_s.diff(dim=1).mean(1, keepdim=True)).log()
