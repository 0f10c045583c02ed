"""What is watched while training: windows of people who are not trained on, H = 1, K = 1."""

from collections.abc import Iterable

import torch

from dreampose3d.data.windows import MILLIMETRES, Batch
from dreampose3d.metrics import mpjpe, p_mpjpe
from dreampose3d.model.dreampose import DreamPose3D


@torch.no_grad()
def measure(model: DreamPose3D, batches: Iterable[Batch], generator: torch.Generator) -> dict[str, float]:
    """Mean errors over the valid frames of all windows, mm, and the share of labelled windows whose intent is right.

    Args:
        model: The lifter.
        batches: Windows with the centre pose as target; nothing is measured if there are none.
        generator: Draws the noise that each batch is lifted from.
    """
    errors, aligned, hits = [], [], []
    device = model.shrink.device
    for watched in batches:
        x_t = torch.randn(watched.target[:, :, 0].shape, generator=generator).to(device)
        batch = watched.to(device)
        prompt = model.read_intent(batch.observed, batch.time_s, batch.valid)
        t = torch.full_like(batch.label, model.config.diffusion_steps - 1)
        pred = MILLIMETRES * model(x_t, batch.observed, t, prompt, batch.time_s, batch.valid, batch.view)
        true, counted = MILLIMETRES * batch.target[:, :, 0], batch.target_valid[:, :, 0]
        errors.append(mpjpe(pred, true)[counted].cpu())
        aligned.append(p_mpjpe(pred[:, ::5][counted[:, ::5]], true[:, ::5][counted[:, ::5]]).cpu())
        if prompt is not None and model.prompt is not None and len(model.config.labels):
            guess = model.prompt.intent_logits(prompt.text_feature).argmax(-1)
            hits.append((guess == batch.label)[batch.label >= 0].float().cpu())
    if not errors:
        return {}
    intent = torch.cat(hits) if hits else torch.zeros(0)
    return {
        "val_mpjpe_mm": float(torch.cat(errors).mean()),
        "val_p_mpjpe_mm": float(torch.cat(aligned).mean()),
        "val_intent": float(intent.mean()) if len(intent) else 0.0,
    }
