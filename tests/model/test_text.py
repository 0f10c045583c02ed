import pytest
import torch

from dreampose3d.model.text import (
    CLIPTower,
    MiniLMTower,
    TextTower,
)

TINY = {"width": 32, "layers": 2, "heads": 4, "mlp": 48}


def tokens(tower: TextTower, batch: int = 2, length: int = 77) -> torch.Tensor:
    return torch.randn(batch, length, tower.width, generator=torch.Generator().manual_seed(1)) * tower.token_std


@pytest.mark.parametrize("kind", [MiniLMTower, CLIPTower])
def test_a_tower_reads_continuous_tokens(kind):
    tower = kind(**TINY)
    features = tower(tokens(tower))
    assert features.tokens.shape == (2, 77, 32)
    assert features.pooled.shape == (2, tower.pooled_width)
