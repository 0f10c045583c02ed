"""KTPFormer (Peng et al. 2024): the skeleton's and the trajectory's topology as priors of the first attentions."""

import torch
from benchmarks.peers.peer import Deterministic, Peer
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from dreampose3d.model.affinity import JointAffinity
from dreampose3d.model.dreampose import DreamPose3D
from dreampose3d.skeleton import Skeleton, skeleton_named


class KinematicPrior(nn.Module):
    """KPA, the embedding of joints: relu(norm((A o I) (M o X W_0) + (A o (1 - I)) (M o X W_1) + b)).

    A is the symmetrised sum of the skeleton's and a learned topology, which is our SRE's too; M modulates each joint's
    channels.
    """

    def __init__(self, skeleton: Skeleton, inputs: int, width: int) -> None:
        super().__init__()
        self.affinity = JointAffinity(skeleton)
        self.own = nn.Linear(inputs, width)
        self.neighbours = nn.Linear(inputs, width, bias=False)
        self.modulation = nn.Parameter(torch.ones(skeleton.num_joints, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "B N J D"]) -> Float[Tensor, "B N J C"]:
        """Joint tokens that know their neighbours."""
        own, others = apart(self.affinity())
        modulated = self.modulation * self.neighbours(x)
        return F.relu(self.norm(own * self.modulation * self.own(x) + torch.matmul(others.to(modulated), modulated)))


class TrajectoryPrior(nn.Module):
    """TPA: two residual layers of the same kind over a joint's frames, before the first temporal attention.

    The local topology is the chain of frames. The learned one is a number for each distance in frames, not for each
    pair of them, since windows here are of any length and rate; so there is no modulation of a frame either.
    """

    def __init__(self, attention: nn.Module, width: int, frames: int, layers: int = 2) -> None:
        super().__init__()
        self.learned = nn.Parameter(torch.full((frames,), 1e-6))
        self.mlp = nn.ModuleList(
            nn.ModuleList((nn.Linear(width, width), nn.Linear(width, width))) for _ in range(layers)
        )
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.attention = attention

    def forward(
        self, x: Float[Tensor, "B J N C"], mask: Bool[Tensor, "B 1 N"] | None = None
    ) -> Float[Tensor, "B J N C"]:
        """Mix each joint's frames, then attend."""
        valid = torch.ones_like(x[:, 0, :, 0], dtype=torch.bool) if mask is None else mask[:, 0]
        own, others = apart(self.topology(valid)[:, None])
        for (straight, across), norm in zip(self.mlp, self.norm, strict=True):  # type: ignore[misc]
            moved = across(x)
            x = x + F.relu(norm(own * straight(x) + torch.matmul(others.to(moved), moved)))
        return self.attention(x, mask)  # type: ignore[no-any-return]

    def topology(self, valid: Bool[Tensor, "B N"]) -> Float[Tensor, "B N N"]:
        """((A_L + A_G) + (A_L + A_G)^T) / 2 among valid frames."""
        frame = torch.arange(valid.shape[1], device=valid.device)
        distance = (frame[:, None] - frame).abs()
        both = valid[:, :, None] & valid[:, None]
        chain = ((distance == 1) & both).float()
        chain = chain / chain.sum(-1, keepdim=True).clamp(min=1) + (distance == 0).float()
        one_sided = chain + both * self.learned[distance.clamp(max=len(self.learned) - 1)]
        return (one_sided + one_sided.transpose(-1, -2)) / 2


def apart(affinity: Float[Tensor, "*batch L L"]) -> tuple[Float[Tensor, "*batch L 1"], Float[Tensor, "*batch L L"]]:
    """What a node keeps of itself, and what it takes from the others."""
    own = affinity.diagonal(dim1=-2, dim2=-1)
    return own[..., None], affinity - torch.diag_embed(own)


def ktpformer(model: DreamPose3D) -> Deterministic:
    """Our backbone as a regressor, its embedding and its first temporal block with these priors."""
    backbone, width = model.denoiser, model.config.width
    backbone.embed = KinematicPrior(skeleton_named(model.config.skeleton), backbone.embed.in_features, width)
    backbone.temporal_first = TrajectoryPrior(backbone.temporal_first, width, model.config.frames)
    return Deterministic(backbone, width)


PEER = Peer("ktpformer", "KTPFormer-like", network=ktpformer)
