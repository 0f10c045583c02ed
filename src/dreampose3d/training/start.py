"""What a run begins with: a model with fresh weights, or with those of a file, and its text tower."""

import json
from dataclasses import replace

import torch

from dreampose3d.model.dreampose import DreamPose3D, DreamPose3DConfig, TowerConfig, build
from dreampose3d.model.text import CLIPTower, MiniLMTower, vocabulary_features
from dreampose3d.model.weights import load_weights
from dreampose3d.training.config import RunConfig


def fresh_model(config: RunConfig) -> DreamPose3D:
    """The run's model with new weights, and its vocabulary as its tower reads it."""
    wanted = config.architecture()
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


def begin_with(model: DreamPose3D, init: str) -> None:
    """Give a fresh model the weights of a file.

    Raises:
        ValueError: If they are of another architecture, with what differs.
    """
    begun = load_weights(init).model
    theirs, ours = begun.config.to_dict(), model.config.to_dict()
    if differ := [key for key in ours if theirs[key] != ours[key]]:
        changes = " ".join(f"{key}={json.dumps(theirs[key])}" for key in differ)
        raise ValueError(f"cannot start from {init}: its model differs; it has {changes} (see --change)")
    model.load_state_dict(begun.state_dict())
