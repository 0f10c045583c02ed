"""SRE, the Spatial Representation Encoder: attention over joints that knows the skeleton (Eqs. 4, 5)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dreampose3d.model.blocks import Mlp, SelfAttention
from dreampose3d.skeleton import Skeleton


class JointAffinity(nn.Module):
    """A = ((A_L + A_G) + (A_L + A_G)^T) / 2 (Eq. 4).

    A_L, from the kinematic tree, ties near joints: adjacency divided by the joint's degree, diagonal 1 [ours,
    the convention of KTPFormer's prior]. A_G is learned, for distant joints, and starts at 1e-6. No softmax.

    Rows of that A_L add up to 2: an untrained network's joints drown in those beside them, which costs a short
    training 14 of 104 mm (RESULTS.md). `gated` [ours] lets it begin as none: A_L = I + g (A_L' - I), g learned from 0.
    """

    local: Tensor

    def __init__(self, skeleton: Skeleton, *, gated: bool = False) -> None:
        super().__init__()
        near = torch.tensor(skeleton.adjacency, dtype=torch.float32)
        local = near / near.sum(1, keepdim=True).clamp(min=1) + torch.eye(skeleton.num_joints)
        self.register_buffer("local", local, persistent=False)
        self.learned = nn.Parameter(torch.full_like(local, 1e-6))
        self.gate = nn.Parameter(torch.zeros(())) if gated else None

    def forward(self) -> Float[Tensor, "J J"]:
        """The symmetric affinity of every pair of joints."""
        one_sided = self.prior() + self.learned
        return (one_sided + one_sided.T) / 2

    def prior(self) -> Float[Tensor, "J J"]:
        """A_L."""
        if self.gate is None:
            return self.local
        alone = torch.eye(len(self.local), device=self.local.device)
        return alone + self.gate * (self.local - alone)


class SpatialRepresentationEncoder(nn.Module):
    """Z_S = MultiHead(LN C_t) + X_A + W_e e with X_A = A C_t over the joints (Eq. 5), then the block's MLP.

    X_A takes the place of the residual, since the diagonal of A_L is 1; the pooled prompt e is broadcast over
    frames and joints through W_e, which starts at zero [ours]. Without a skeleton prior (`affinity=False`, an
    ablation) X_A is C_t itself and the block is a plain one.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        width: int,
        num_heads: int,
        mlp_ratio: float,
        *,
        affinity: bool,
        prompt: bool,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.affinity = JointAffinity(skeleton, gated=gated) if affinity else None
        self.norm_attention = nn.LayerNorm(width)
        self.attention = SelfAttention(width, num_heads)
        self.from_prompt = nn.Linear(width, width) if prompt else None
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = Mlp(width, int(mlp_ratio * width))
        if self.from_prompt is not None:
            nn.init.zeros_(self.from_prompt.weight)
            nn.init.zeros_(self.from_prompt.bias)

    def forward(
        self, tokens: Float[Tensor, "B N J C"], pooled: Float[Tensor, "B C"] | None
    ) -> Float[Tensor, "B N J C"]:
        """Mix the joints of each frame."""
        mixed = tokens if self.affinity is None else torch.matmul(self.affinity().to(tokens.dtype), tokens)
        z = self.attention(self.norm_attention(tokens)) + mixed
        if self.from_prompt is not None and pooled is not None:
            z = z + self.from_prompt(pooled)[:, None, None]
        return z + self.mlp(self.norm_mlp(z))  # type: ignore[no-any-return]
