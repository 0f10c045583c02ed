"""MotionAGFormer (Mehraban et al. 2024): a stream of attention beside a stream of graph convolutions, fused."""

import torch
from benchmarks.peers.peer import Deterministic, Peer
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from dreampose3d.model.blocks import Block, Mlp, sinusoids
from dreampose3d.model.dreampose import DreamPose3D
from dreampose3d.skeleton import Skeleton, skeleton_named
from dreampose3d.view import MISSING_BELOW


class GraphConvolution(nn.Module):
    """x + relu(norm(A x U + x V))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: Float[Tensor, "*batch L C"], adjacency: Float[Tensor, "*#batch L L"]
    ) -> Float[Tensor, "*batch L C"]:
        """Take from each node's neighbours."""
        around = torch.matmul(adjacency.to(x), x)
        return x + F.relu(self.norm(self.mlp(torch.cat((around, x), -1))))


class GraphBlock(nn.Module):
    """A transformer block with a graph in attention's place."""

    def __init__(self, width: int, mlp_ratio: float) -> None:
        super().__init__()
        self.graph = GraphConvolution(width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = Mlp(width, int(mlp_ratio * width))

    def forward(
        self, x: Float[Tensor, "*batch L C"], adjacency: Float[Tensor, "*#batch L L"]
    ) -> Float[Tensor, "*batch L C"]:
        """The graph, then the MLP."""
        x = self.graph(x, adjacency)
        return x + self.mlp(self.norm_mlp(x))  # type: ignore[no-any-return]


class TwoStreams(nn.Module):
    """Attention and graphs, each over joints and then over frames; each token weighs the two streams."""

    def __init__(self, width: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.attend_joints = Block(width, num_heads, mlp_ratio)
        self.attend_frames = Block(width, num_heads, mlp_ratio)
        self.graph_joints = GraphBlock(width, mlp_ratio)
        self.graph_frames = GraphBlock(width, mlp_ratio)
        self.fuse = nn.Linear(2 * width, 2)
        nn.init.zeros_(self.fuse.weight)
        nn.init.zeros_(self.fuse.bias)

    def forward(
        self, tokens: Float[Tensor, "B N J C"], bones: Float[Tensor, "J J"], valid: Bool[Tensor, "B N"]
    ) -> Float[Tensor, "B N J C"]:
        """One layer."""
        mask = None if bool(valid.all()) else valid[:, None]
        attended = self.attend_frames(self.attend_joints(tokens).transpose(1, 2), mask).transpose(1, 2)
        by_joint = self.graph_joints(tokens, bones).transpose(1, 2)
        mixed = self.graph_frames(by_joint, alike(by_joint, valid[:, None])).transpose(1, 2)
        weight = self.fuse(torch.cat((attended, mixed), -1)).softmax(-1)
        return weight[..., :1] * attended + weight[..., 1:] * mixed  # type: ignore[no-any-return]


class AttentionAndGraphs(nn.Module):
    """Joint tokens as our denoiser makes them of the 2D, then layers of two streams."""

    bones: Tensor

    def __init__(self, skeleton: Skeleton, width: int, depth: int, num_heads: int) -> None:
        super().__init__()
        self.width = width
        self.embed = nn.Linear(3, width)
        self.whole_pose = Mlp(3 * skeleton.num_joints, 4 * width, width)
        self.missing = nn.Parameter(torch.zeros(width))
        self.joint = nn.Parameter(torch.zeros(skeleton.num_joints, width))
        self.view = Mlp(2, width, width)
        self.seconds = nn.Linear(width, width)
        self.layers = nn.ModuleList(TwoStreams(width, num_heads, mlp_ratio=2.0) for _ in range(depth))
        self.register_buffer("bones", normalised(torch.tensor(skeleton.adjacency)), persistent=False)
        nn.init.trunc_normal_(self.joint, std=0.3)

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
        """Pose tokens."""
        tokens = self.embed(observed) + self.joint + (observed[..., 2:] < MISSING_BELOW) * self.missing
        told = self.view(view)[:, None] + self.seconds(sinusoids(time_s, self.width, 0.05, 20.0))  # B N C
        tokens = tokens + (told + self.whole_pose(observed.flatten(2)))[:, :, None]
        for layer in self.layers:
            tokens = layer(tokens, self.bones, valid)
        return tokens


def normalised(adjacency: Bool[Tensor, "J J"]) -> Float[Tensor, "J J"]:
    """D^-1/2 (A + I) D^-1/2."""
    looped = adjacency.float() + torch.eye(len(adjacency))
    scale = looped.sum(-1).rsqrt()
    return scale[:, None] * looped * scale


@torch.no_grad()
def alike(
    x: Float[Tensor, "*batch L C"], valid: Bool[Tensor, "*#batch L"], count: int = 2
) -> Float[Tensor, "*batch L L"]:
    """The graph of frames: each takes the mean of the `count` valid ones most like it, itself mostly among them."""
    scores = torch.matmul(x, x.transpose(-1, -2)).float().masked_fill(~valid[..., None, :], -torch.inf)
    nearest = scores.topk(min(count, scores.shape[-1]))
    graph = torch.zeros_like(scores).scatter(-1, nearest.indices, nearest.values.isfinite().float())
    return graph / graph.sum(-1, keepdim=True).clamp(min=1)


def motionagformer(model: DreamPose3D) -> Deterministic:
    """A layer of four blocks for each of our pairs, narrower (128 where ours has 160): as many weights."""
    shape = model.config
    network = AttentionAndGraphs(skeleton_named(shape.skeleton), 4 * (shape.width // 5), shape.depth, num_heads=4)
    return Deterministic(network, network.width)


PEER = Peer("motionagformer", "MotionAGFormer-like", network=motionagformer)
