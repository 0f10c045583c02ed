"""Which weights Muon trains and which AdamW, and which of them decay."""

import torch
from torch import nn

from dreampose3d.training.config import RunConfig

_BLOCKS = ("attention.", "mlp.", "ask_prompt.", "whole_pose.2", "project.2")
"""Parts of the names of the matrices between hidden features, which Muon may train."""


def optimizers_of(model: nn.Module, config: RunConfig) -> list[torch.optim.Optimizer]:
    """AdamW, as in the paper; or Muon (Jordan et al. 2024) for the blocks' matrices and AdamW for all else.

    Matrices decay; gains, biases and embeddings do not. Muon's steps are scaled to AdamW's (Liu et al. 2025), so that
    one learning rate serves both.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = {name for name, p in trained.items() if name.endswith("weight") and p.ndim >= 2}
    inner = {name for name in matrices if trained[name].ndim == 2 and any(part in name for part in _BLOCKS)}
    by_muon = inner if config.optimizer == "muon" else set()
    groups = [
        {"params": [trained[name] for name in sorted(matrices - by_muon)], "weight_decay": config.weight_decay},
        {"params": [p for name, p in trained.items() if name not in matrices], "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)
    ]
    if by_muon:
        optimizers.append(
            torch.optim.Muon(
                [trained[name] for name in sorted(by_muon)],
                lr=config.learning_rate,
                weight_decay=config.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return optimizers
