from dataclasses import replace

import pytest

from dreampose3d.model.dreampose import PRESETS, base, build, paper, small, tiny
from dreampose3d.model.info import count_macs, count_parameters, describe, overview


def test_the_papers_denoiser_is_as_large_as_d3dps():
    """34.8 M weights and 147 GMAC a window of 243 frames, within 10 %: SRE and cross-attention included."""
    weights, macs = count_parameters(paper()), count_macs(paper())
    trained = weights["denoiser"].trained + weights["decoder"].trained
    assert trained / 1e6 == pytest.approx(34.8, rel=0.1)
    assert (macs.denoiser + macs.decoder) / 1e9 == pytest.approx(147, rel=0.1)


def test_base_keeps_within_its_bounds():
    """At most 25 M trained weights, and 120 MB in half precision with the tower; small at most 40 MB."""
    counted = {config: count_parameters(config).values() for config in (base(), small())}
    assert 20e6 < sum(part.trained for part in counted[base()]) <= 25e6
    megabytes = {config: 2e-6 * sum(part.trained + part.frozen for part in parts) for config, parts in counted.items()}
    assert megabytes[base()] <= 120
    assert megabytes[small()] <= 40


@pytest.mark.parametrize("prompt", ["learned", "none"])
def test_parameters_are_those_of_the_model(prompt):
    config = replace(tiny(), prompt=prompt)
    model, counted = build(config), count_parameters(config)
    assert sum(part.trained for part in counted.values()) == sum(
        p.numel() for p in model.parameters() if p.requires_grad
    )
    assert sum(part.frozen for part in counted.values()) == sum(
        p.numel() for p in model.parameters() if not p.requires_grad
    )
    assert counted["prompt"].frozen == counted["tower"].trained == 0
    assert (counted["tower"].frozen > 0) is (prompt == "learned")


def test_macs_are_counted_as_by_hand():
    """Each linear layer by its tokens, each attention as Q K^T and weights V."""
    config = replace(tiny(), depth=1)
    N, J, C, L, W = 9, 17, 16, 77, 24
    tokens = N * J
    block = tokens * (4 * C * C + 4 * C * C)  # qkv and out; an MLP of ratio 2
    spatial, temporal = 2 * N * J * J * C, 2 * J * N * N * C
    affinity, pooled = N * J * J * C, C * C
    asked = tokens * 2 * C * C + L * 2 * C * C + 2 * tokens * L * C
    condition = 4 * C * C + 2 * C + C * C + N * C * C  # step, view, seconds
    denoiser = tokens * 6 * C + 2 * block + spatial + temporal + affinity + pooled + asked + condition
    motion = N * 51 * 256 + 2 * (N * 8 * 256 * 256 + 2 * N * N * 256)
    phi = 36 * 256 * 64 + 36 * (64 * 256 + 256 * W)
    tower = L * (4 * W * W + 2 * W * 32) + 2 * L * L * W
    projected = (L + 1) * (W * C + C * C)
    assert count_macs(config) == (0, motion + phi + tower + projected, denoiser, tokens * 3 * C)
    F, G = 64, 4  # of the first guess
    taps, block = 3 * N * 51 * F, N * (3 * F * F + F * F)
    of_guess = taps + 3 * F + 3 * block + N * F * 17 * G + tokens * G * 3
    guessing = count_macs(replace(config, guess=F))
    assert guessing == (of_guess, *count_macs(config)[1:2], denoiser + tokens * (G + 3) * C, tokens * 3 * C)


def test_without_a_prompt_it_costs_nothing():
    assert count_macs(replace(tiny(), prompt="none")).prompt == 0
    assert "no prompt" in describe(replace(tiny(), prompt="none"))


def test_describe_names_every_part():
    text = describe(tiny())
    assert text.startswith("N 9, C 16, 2 + 2 blocks, 2 heads, n 3, T 1000, any camera, minilm text tower: ")
    parts = [line.split()[0] for line in text.splitlines()[1:]]
    assert parts == ["part", "guess", "prompt", "tower", "denoiser", "decoder"]
    assert "6 heads, n 3, T 1000, any camera, minilm text tower: 23.83 M weights to train" in overview()
    assert all(f"{name}: N " in overview() for name in PRESETS)
