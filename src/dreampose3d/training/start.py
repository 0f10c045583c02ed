"""What a run begins with: a model with fresh weights, or with those of a file, and its text tower."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from dreampose3d.model.dreampose import DreamPose3D, DreamPose3DConfig, TowerConfig, build
from dreampose3d.model.text import CLIPTower, MiniLMTower, vocabulary_features
from dreampose3d.model.weights import load_weights
from dreampose3d.training.config import RunConfig

FORM = ("guess", "whole_pose", "gated_affinity")
"""What may differ between models of one size: taken from the weights that a run begins with, unless it names them."""


def first_model(config: RunConfig) -> DreamPose3D:
    """The model that a run begins with: fresh, or that of `init`, joined with `join`.

    Raises:
        FileNotFoundError: If there are no such weights.
        ValueError: If they are damaged, or of another architecture than the run's, with what differs.
    """
    if config.init is None:
        if config.join is not None:
            raise ValueError(f"--join {config.join} needs weights to join: name them by --init")
        return fresh_model(config)
    begun = load_weights(config.init).model
    if config.join is not None:
        begun = joined(begun, load_weights(config.join).model, config.init, config.join)
    theirs = begun.config.to_dict()
    named = {change.partition("=")[0] for change in config.change} | (
        set() if config.guess else {"guess", "whole_pose"}
    )
    model = fresh_model(config, {key: theirs[key] for key in FORM if key not in named})
    ours = model.config.to_dict()
    if differ := [key for key in ours if theirs[key] != ours[key]]:
        changes = " ".join(f"{key}={json.dumps(theirs[key])}" for key in differ)
        raise ValueError(f"cannot start from {config.init}: its model differs; it has {changes} (see --change)")
    model.load_state_dict(begun.state_dict())
    return model


def fresh_model(config: RunConfig, form: Mapping[str, Any] | None = None) -> DreamPose3D:
    """The run's model with new weights (in another `form`), and its vocabulary as its tower reads it."""
    wanted = replace(config.architecture(), **form or {})
    tower = _tower(config, wanted)
    model = build(replace(wanted, tower=TowerConfig.of(tower)) if tower else wanted, tower)
    if model.prompt is not None:
        if tower is None:
            model.prompt.vocabulary.normal_()
        else:
            model.prompt.vocabulary.copy_(vocabulary_features(tower, list(wanted.phrases)))
    return model


def _tower(config: RunConfig, wanted: DreamPose3DConfig) -> MiniLMTower | CLIPTower | None:
    """The text tower that the prompt is written to; None where there is no prompt, and for `tiny`, whose is random."""
    if config.prompt == "none":
        return None
    if config.clip is not None:
        return CLIPTower.from_pretrained(config.clip, config.clip_revision)
    if config.model == "tiny":
        return None
    if wanted.tower.kind == "clip":
        raise ValueError(
            "the paper's model writes its prompt to CLIP, whose weights you bring: --clip FOLDER with "
            "openai/clip-vit-base-patch32 as `transformers` stores it, or --clip openai/clip-vit-base-patch32 "
            "--clip-revision COMMIT to download it; or --prompt none for the ablation without"
        )
    return shuffled(MiniLMTower.from_package(), config.seed) if config.tower == "random" else MiniLMTower.from_package()


def shuffled(tower: MiniLMTower, seed: int) -> MiniLMTower:
    """A tower of the same shape and scale that knows nothing: the entries of each matrix in another order."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in (part for part in tower.parameters() if part.ndim > 1):
            weights.copy_(weights.flatten()[torch.randperm(weights.numel(), generator=generator)].view_as(weights))
    return tower


def joined(denoising: DreamPose3D, guessing: DreamPose3D, init: str, join: str) -> DreamPose3D:
    """A model whose x_0 is the mean of a denoiser's without a first guess and of another model's first guess [ours].

    The denoiser is told nothing of the guess yet, its decoder gives half of what it gave, and half of the guess is
    trusted: training starts from there.

    Raises:
        ValueError: If the first has a first guess of its own, or the second none.
    """
    if denoising.first is not None:
        raise ValueError(f"cannot join {join} to {init}, which has a first guess of its own")
    if guessing.first is None:
        raise ValueError(f"cannot join {join} to {init}: expected weights with a first guess, and it has none")
    model = build(replace(denoising.config, guess=guessing.config.guess))
    state = model.state_dict() | denoising.state_dict()
    state |= {name: value for name, value in guessing.state_dict().items() if name.startswith("first.")}
    state |= {name: torch.zeros_like(state[name]) for name in state if name.startswith("denoiser.guess.")}
    state |= {name: state[name] / 2 for name in state if name.startswith("decoder.head.")}
    model.load_state_dict(state | {"trust": torch.tensor(0.5)})
    return model
