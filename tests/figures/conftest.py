"""A tiny untrained lifter, a walker in a canonical folder, and one result: what figures are drawn from."""

from dataclasses import replace

import pytest
import torch
from tests.motion import clip_row, write_set

from dreampose3d.figures.clip import read_clip
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import load_weights, save_weights

LABELS = ("walking", "running", "sitting", "throwing", "dancing", "jumping", "kicking")


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Every part of the model, untrained; the prompt is let in, which at its start changes nothing."""
    torch.manual_seed(0)
    model = build(replace(tiny(), labels=LABELS, phrases=LABELS))
    model.prompt.vocabulary.normal_()
    for name, parameter in model.named_parameters():
        if "from_prompt" in name or "ask_prompt.out" in name or "affinity.learned" in name:
            parameter.data.normal_(std=0.1)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(model, path, {})
    return path


@pytest.fixture(scope="session")
def lifter(weights):
    return Lifter(load_weights(weights))


@pytest.fixture(scope="session")
def mocap(tmp_path_factory):
    """A folder of two clips."""
    rows = [clip_row(number, frames=30, split="test") for number in (1, 2)]
    return write_set(tmp_path_factory.mktemp("mocap") / "gym", rows)


@pytest.fixture(scope="session")
def sequence(mocap):
    """A clip with its truth as the second camera sees it, with a detector's errors."""
    return read_clip(mocap, trial="t1", camera=1, input="noisy")


@pytest.fixture(scope="session")
def motion(lifter, sequence):
    return lifter.lift(sequence, LiftOptions(hypotheses=2, steps=1))


@pytest.fixture(autouse=True)
def _global_style_is_left_alone():
    """No figure may change matplotlib's settings."""
    import matplotlib

    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before
