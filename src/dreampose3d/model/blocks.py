"""The plain transformer parts that the method's own parts are built from: attention, the pre-norm block, sinusoids."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F


def attend(
    query: Float[Tensor, "*batch Q C"],
    key: Float[Tensor, "*batch L C"],
    value: Float[Tensor, "*batch L C"],
    num_heads: int,
    key_mask: Bool[Tensor, "*#batch L"] | None = None,
) -> Float[Tensor, "*batch Q C"]:
    """Multi-head attention of `query` to `key` and `value`; masked keys (False) get no weight.

    Written out on the CPU, where the fused kernel is slower for the short sequences of a skeleton: training
    in bfloat16 runs 2.8 times faster so (two cores, N = 27, C = 128).
    """
    q, k, v = (x.unflatten(-1, (num_heads, -1)).transpose(-3, -2) for x in (query, key, value))
    mask = None if key_mask is None else key_mask[..., None, None, :]
    if query.is_cuda:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(-3, -2).flatten(-2)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)  # finite: with no key left, all weigh alike
    weights = torch.softmax(scores, -1, dtype=scores.dtype)
    return (weights @ v).transpose(-3, -2).flatten(-2)  # type: ignore[no-any-return]


class SelfAttention(nn.Module):
    """Multi-head self-attention over the second last axis."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "*batch L C"], key_mask: Bool[Tensor, "*#batch L"] | None = None
    ) -> Float[Tensor, "*batch L C"]:
        """Attend to all unmasked tokens of the same sequence."""
        query, key, value = self.qkv(x).chunk(3, -1)
        return self.out(attend(query, key, value, self.num_heads, key_mask))  # type: ignore[no-any-return]


class Mlp(nn.Sequential):
    """Linear, GELU, Linear."""

    def __init__(self, width: int, hidden: int, out: int | None = None) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, out or width))


class Block(nn.Module):
    """A pre-norm transformer block: x + attention(norm x), then x + mlp(norm x)."""

    def __init__(self, width: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = SelfAttention(width, num_heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = Mlp(width, int(mlp_ratio * width))

    def forward(
        self, x: Float[Tensor, "*batch L C"], key_mask: Bool[Tensor, "*#batch L"] | None = None
    ) -> Float[Tensor, "*batch L C"]:
        """Transform a sequence of tokens."""
        x = x + self.attention(self.norm_attention(x), key_mask)
        return x + self.mlp(self.norm_mlp(x))  # type: ignore[no-any-return]


def sinusoids(
    position: Float[Tensor, "*batch"], width: int, shortest: float, longest: float
) -> Float[Tensor, "*batch C"]:
    """Sines and cosines of a position, with wavelengths spaced geometrically from `shortest` to `longest`."""
    half = width // 2
    wavelength = shortest * (longest / shortest) ** (torch.arange(half, device=position.device) / max(half - 1, 1))
    angle = position[..., None] * (2 * math.pi / wavelength)
    return torch.cat((angle.sin(), angle.cos()), -1)
