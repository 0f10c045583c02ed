"""What a configuration costs: weights and multiply-accumulates of each part, without building it for real."""

import platform
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dreampose3d import __version__
from dreampose3d.model.dreampose import PRESETS, DreamPose3D, DreamPose3DConfig, build, empty_tower
from dreampose3d.model.text import TextTower
from dreampose3d.model.weights import shipped
from dreampose3d.skeleton import skeleton_named


class Parameters(NamedTuple):
    """Numbers of weights."""

    trained: int
    frozen: int


class Macs(NamedTuple):
    """Multiply-accumulates for one window of N frames; guess and prompt run once a window, the rest at every step."""

    guess: int
    prompt: int
    denoiser: int
    decoder: int


def count_parameters(config: DreamPose3DConfig) -> dict[str, Parameters]:
    """Weights by part: first guess, prompt (without its tower), tower, denoiser, decoder."""
    model = _outline(config)
    whole, tower = (_count(part) for part in (model.prompt, model.prompt and model.prompt.tower))
    return {
        "guess": _count(model.first),
        "prompt": Parameters(whole.trained - tower.trained, whole.frozen - tower.frozen),
        "tower": tower,
        "denoiser": _count(model.denoiser),
        "decoder": _count(model.decoder),
    }


def count_macs(config: DreamPose3DConfig) -> Macs:
    """Multiply-accumulates of one window: all matrix products, those of attention too, and convolutions."""
    model = _outline(config)
    N, J = config.frames, skeleton_named(config.skeleton).num_joints
    any_camera = config.camera == "any"
    valid = torch.ones(1, N, dtype=torch.bool)  # the denoiser asks whether all are
    with torch.device("meta"):
        observed, x_t = torch.zeros(1, N, J, 3 if any_camera else 2), torch.zeros(1, N, J, 3)
        time_s, t = torch.zeros(1, N), torch.zeros(1, dtype=torch.long)
        view = torch.zeros(1, 2) if any_camera else None
    with FlopCounterMode(display=False) as of_guess:
        guess = model.guess(observed, time_s, valid.to("meta"), view)
    with FlopCounterMode(display=False) as of_prompt:
        prompt = model.read_intent(observed, time_s, valid.to("meta"))
    with FlopCounterMode(display=False) as of_denoiser:
        tokens = model.denoiser(x_t, observed, t, prompt, time_s, valid, view, guess=guess)
    with FlopCounterMode(display=False) as of_decoder:
        model.decoder(tokens)
    return Macs(*(counter.get_total_flops() // 2 for counter in (of_guess, of_prompt, of_denoiser, of_decoder)))


def describe(config: DreamPose3DConfig) -> str:
    """Shape, weights and cost of one configuration, in a few lines."""
    tower = f"{config.tower.kind} text tower" if config.prompt != "none" else "no prompt"
    parameters = count_parameters(config)
    trained = sum(part.trained for part in parameters.values())
    lines = [
        f"N {config.frames}, C {config.width}, {config.depth} + {config.depth} blocks, {config.heads} heads, "
        f"n {config.num_poses}, T {config.diffusion_steps}, {config.camera} camera, {tower}: "
        f"{trained / 1e6:.2f} M weights to train",
        f"  {'part':10}{'trained':>10}{'frozen':>10}{'GMAC/window':>13}",
    ]
    macs = count_macs(config)._asdict()
    for part, (trained, frozen) in parameters.items():
        cost = f"{macs[part] / 1e9:13.3f}" if part in macs else " (in prompt)".rjust(13)
        lines.append(f"  {part:10}{trained / 1e6:9.3f}M{frozen / 1e6:9.3f}M{cost}")
    return "\n".join(lines)


def overview() -> str:
    """Every preset, the weights that ship, and the versions in use."""
    presets = [f"{name}: {describe(preset())}" for name, preset in PRESETS.items()]
    weights = [f"  {name}  SHA-256 {sha256}" for name, sha256 in shipped().items()] or ["  none"]
    versions = f"dreampose3d {__version__}, torch {torch.__version__}, python {platform.python_version()}"
    return "\n".join((*presets, "weights that ship:", *weights, versions))


def _outline(config: DreamPose3DConfig) -> DreamPose3D:
    """The model on torch's meta device: shapes without numbers, so that even `paper` is there at once."""
    with torch.device("meta"):
        tower: TextTower = empty_tower(config.tower)
        tower.token_std = torch.tensor(1.0, device="cpu")  # the one number that building needs
        return build(config, tower)


def _count(part: nn.Module | None) -> Parameters:
    weights = [] if part is None else list(part.parameters())
    trained = sum(weight.numel() for weight in weights if weight.requires_grad)
    return Parameters(trained, sum(weight.numel() for weight in weights) - trained)
