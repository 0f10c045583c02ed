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


def begin_with(model: DreamPose3D, init: str, join: str | None = None) -> None:
    """Give a fresh model the weights of a file, and the first guess of another if one is to `join` them.

    Raises:
        ValueError: If they are of another architecture, with what differs.
    """
    begun = load_weights(init).model
    if join is not None:
        begun = joined(begun, load_weights(join).model, init, join)
    theirs, ours = begun.config.to_dict(), model.config.to_dict()
    if differ := [key for key in ours if theirs[key] != ours[key]]:
        changes = " ".join(f"{key}={json.dumps(theirs[key])}" for key in differ)
        raise ValueError(f"cannot start from {init}: its model differs; it has {changes} (see --change)")
    model.load_state_dict(begun.state_dict())


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
