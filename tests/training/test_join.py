from dataclasses import replace

import pytest
import torch
from tests.motion import clip_row, write_set

from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import load_weights, save_weights
from dreampose3d.training.config import TrainConfig
from dreampose3d.training.start import begin_with
from dreampose3d.training.trainer import train


def trained(seed, path, **changes):
    """A model of which no part is zero, as a file."""
    torch.manual_seed(seed)
    model = build(replace(tiny(), **changes))
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn(parameter.shape))
    save_weights(model, path, {"config": {}})
    return str(path)


@pytest.fixture
def files(tmp_path):
    denoising = trained(1, tmp_path / "denoising.safetensors", whole_pose=True)
    return denoising, trained(2, tmp_path / "guessing.safetensors", guess=64)


def test_two_models_joined_begin_at_the_mean_of_their_poses(files):
    denoising, guessing = files
    model = build(replace(tiny(), whole_pose=True, guess=64))
    begin_with(model, denoising, guessing)
    generator = torch.Generator().manual_seed(0)
    x_t, observed = (torch.randn(2, 9, 17, 3, generator=generator) for _ in range(2))
    time_s, valid = ((torch.arange(9) - 4) / 50).expand(2, -1), torch.ones(2, 9, dtype=torch.bool)
    given = (x_t, observed, torch.tensor([999, 300]), None, time_s, valid)
    with torch.no_grad():
        mean = (
            load_weights(denoising).model(*given) + load_weights(guessing).model.guess(observed, time_s, valid).pose
        ) / 2
        torch.testing.assert_close(model(*given), mean, atol=1e-3, rtol=1e-3)  # half precision
        torch.testing.assert_close(model.hallucinate(*given)[:, :, 1], mean, atol=1e-3, rtol=1e-3)


def test_what_cannot_be_joined_says_why(files, tmp_path):
    denoising, guessing = files
    model = build(replace(tiny(), whole_pose=True, guess=64))
    with pytest.raises(ValueError, match=r"guessing\.safetensors, which has a first guess of its own"):
        begin_with(model, guessing, guessing)
    with pytest.raises(ValueError, match="expected weights with a first guess, and it has none"):
        begin_with(model, denoising, denoising)
    with pytest.raises(ValueError, match="its model differs; it has whole_pose=true "):
        begin_with(build(replace(tiny(), guess=64)), denoising, guessing)


def test_joining_needs_weights_to_join(files, tmp_path):
    data = write_set(tmp_path / "studio", [clip_row(0)])
    with pytest.raises(ValueError, match="--join guessing needs weights to join: name them by --init"):
        train(TrainConfig(data=(data,), out=tmp_path / "run", model="tiny", steps=1, join="guessing"), lambda _: None)
