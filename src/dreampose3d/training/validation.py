"""What is watched while training: the `val` split, seen by fixed virtual cameras, exact 2D, H = 1, K = 1."""

from collections.abc import Sequence

import torch

from dreampose3d.data.cameras import VirtualCameras, film
from dreampose3d.data.mocap import MocapClip
from dreampose3d.data.windows import MILLIMETRES, MotionBank
from dreampose3d.metrics import mpjpe, p_mpjpe
from dreampose3d.model.dreampose import DreamPose3D
from dreampose3d.view import normalise_view

_FRAMES, _BATCH, _WINDOWS = 81, 16, 192


class Validation:
    """Windows of the val split, 50 frames/s, drawn once from seed 0; four fifths of the cameras stand level."""

    def __init__(self, clips: Sequence[MocapClip], labels: Sequence[str]) -> None:
        """From the clips of the val split; with none, nothing is measured."""
        self.bank = MotionBank(clips, labels, balance=1.0) if clips else None

    @torch.no_grad()
    def measure(self, model: DreamPose3D) -> dict[str, float]:
        """Mean errors over the valid frames of all windows, mm."""
        if self.bank is None:
            return {}
        errors, aligned, weights, hits = [], [], [], []
        generator = torch.Generator().manual_seed(0)
        last = model.config.diffusion_steps - 1
        for _ in range(_WINDOWS // _BATCH):
            world, valid, label = self.bank.windows(_FRAMES, torch.full((_BATCH,), 50.0), generator)
            filmed = film(world, generator, VirtualCameras(panning=0))
            rays = filmed[..., :2] / filmed[..., 2:]
            view = normalise_view(rays, torch.ones(filmed.shape[:-1]), torch.ones(_BATCH), valid)
            true = (filmed - filmed[:, :, :1]) @ view.rotation[:, None].transpose(-1, -2)
            time_s = ((torch.arange(_FRAMES) - (_FRAMES - 1) / 2) / 50).expand(_BATCH, -1)
            prompt = model.read_intent(view.observed, time_s, valid)
            noise = torch.randn(true.shape, generator=generator)
            t = torch.full((_BATCH,), last)
            pred = model(noise, view.observed, t, prompt, time_s, valid, view.condition) * MILLIMETRES
            errors.append(mpjpe(pred, true))
            aligned.append(p_mpjpe(pred[:, ::5], true[:, ::5]).to(pred))
            weights.append(valid)
            if prompt is not None and model.prompt is not None and len(model.config.labels):
                guess = model.prompt.intent_logits(prompt.text_feature).argmax(-1)
                hits.append((guess == label)[label >= 0].float())
        weight = torch.cat(weights)
        return {
            "val_mpjpe_mm": float(torch.cat(errors)[weight].mean()),
            "val_p_mpjpe_mm": float(torch.cat(aligned)[weight[:, ::5]].mean()),
            "val_intent": float(torch.cat(hits).mean()) if hits else 0.0,
        }
