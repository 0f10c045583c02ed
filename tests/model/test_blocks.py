import math

import pytest
import torch
from torch import nn

from dreampose3d.model.blocks import Block, Mlp, SelfAttention, attend, sinusoids


def test_self_attention_is_torchs():
    """The same weights in torch's own module, with some keys masked."""
    ours, theirs = SelfAttention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = ours.qkv.weight.data, ours.qkv.bias.data
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = ours.out.weight.data, ours.out.bias.data
    x, mask = torch.randn(4, 7, 12), torch.rand(4, 7) < 0.7
    mask[:, 0] = True
    torch.testing.assert_close(ours(x, mask), theirs(x, x, x, key_padding_mask=~mask)[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0], atol=1e-6, rtol=0)


def test_masked_keys_have_no_say():
    q, k, v = torch.randn(3, 2, 4, 5, 8).unbind(0)
    mask = torch.tensor([True, True, False, True, False]).expand(2, 1, 5)  # one mask for all four sequences
    answer = attend(q, k, v, 2, mask)
    k, v = (torch.where(mask[..., None], x, 1e4 * torch.randn_like(x)) for x in (k, v))
    torch.testing.assert_close(attend(q, k, v, 2, mask), answer, rtol=0, atol=0)
    kept = mask[0, 0]
    torch.testing.assert_close(attend(q, k[..., kept, :], v[..., kept, :], 2), answer, atol=1e-6, rtol=0)


def test_with_no_key_left_all_weigh_alike():
    q, k, v = torch.randn(3, 1, 5, 8).unbind(0)
    answer = attend(q, k, v, 2, torch.zeros(1, 5, dtype=torch.bool))
    torch.testing.assert_close(answer, v.mean(1, keepdim=True).expand_as(v), atol=1e-6, rtol=0)


def test_block_is_pre_norm():
    """torch's encoder layer with norm_first, the same weights in it."""
    ours = Block(12, 3, 2.0)
    theirs = nn.TransformerEncoderLayer(12, 3, 24, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    pairs = (
        (theirs.norm1, ours.norm_attention), (theirs.norm2, ours.norm_mlp), (theirs.linear1, ours.mlp[0]),
        (theirs.linear2, ours.mlp[2]), (theirs.self_attn.out_proj, ours.attention.out),
    )  # fmt: skip
    for their, our in pairs:
        our.weight.data.normal_()
        their.weight.data, their.bias.data = our.weight.data, our.bias.data
    theirs.self_attn.in_proj_weight.data = ours.attention.qkv.weight.data
    theirs.self_attn.in_proj_bias.data = ours.attention.qkv.bias.data
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)


def test_an_mlp_keeps_its_width_unless_told():
    assert Mlp(4, 8)(torch.zeros(3, 4)).shape == (3, 4)
    assert Mlp(4, 8, 6)(torch.zeros(3, 4)).shape == (3, 6)


@pytest.mark.parametrize("place", [-1.3, 0.0, 0.7, 2.0])
def test_sinusoids_repeat_at_their_wavelengths(place):
    """Wavelengths 0.5, 2 and 8: a factor of 4 each; sines first."""
    code = sinusoids(torch.tensor([place]), 6, 0.5, 8.0)[0]
    for i, wavelength in enumerate((0.5, 2.0, 8.0)):
        assert float(code[i]) == pytest.approx(math.sin(2 * math.pi * place / wavelength), abs=1e-5)
        assert float(code[3 + i]) == pytest.approx(math.cos(2 * math.pi * place / wavelength), abs=1e-5)


def test_a_long_time_apart_is_still_told_apart():
    """The diffusion step's code: no two of the 1000 steps look alike."""
    codes = sinusoids(torch.arange(1000.0), 16, 2 * math.pi, 2e4 * math.pi)
    apart = torch.cdist(codes, codes) + 10 * torch.eye(1000)
    assert float(apart.min()) > 0.5
