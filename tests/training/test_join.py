from dataclasses import replace

import pytest
import torch
from tests.motion import clip_row, write_set

from dreampose3d.data.vocabulary import load_vocabulary
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import load_weights, save_weights
from dreampose3d.training.config import TrainConfig
from dreampose3d.training.start import first_model
from dreampose3d.training.trainer import train


def trained(seed, path, **changes):
    """A model of which no part is zero, as a file."""
    torch.manual_seed(seed)
    vocabulary = load_vocabulary("mocap")
    words = {"labels": vocabulary.training, "phrases": tuple(vocabulary.training_phrases)}
    model = build(replace(tiny(), **words, **changes))
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn(parameter.shape))
    save_weights(model, path, {"config": {}})
    return str(path)


@pytest.fixture
def files(tmp_path):
    denoising = trained(1, tmp_path / "denoising.safetensors", whole_pose=True)
    return denoising, trained(2, tmp_path / "guessing.safetensors", guess=64)


@pytest.fixture
def config(tmp_path):
    """A run of the files' sizes and words."""
    data = write_set(tmp_path / "studio", [clip_row(0)])
    return TrainConfig(data=(data,), out=tmp_path / "run", model="tiny", steps=1)


def test_two_models_joined_begin_at_the_mean_of_their_poses(files, config):
    denoising, guessing = files
    model = first_model(replace(config, init=denoising, join=guessing))
    assert (model.config.guess, model.config.whole_pose) == (64, True)
    generator = torch.Generator().manual_seed(0)
    x_t, observed = (torch.randn(2, 9, 17, 3, generator=generator) for _ in range(2))
    time_s, valid = ((torch.arange(9) - 4) / 50).expand(2, -1), torch.ones(2, 9, dtype=torch.bool)
    given = (x_t, observed, torch.tensor([999, 300]), None, time_s, valid)
    with torch.no_grad():
        guess = load_weights(guessing).model.guess(observed, time_s, valid)
        mean = (load_weights(denoising).model(*given) + guess.pose) / 2
        torch.testing.assert_close(model(*given), mean, atol=1e-3, rtol=1e-3)  # half precision
        torch.testing.assert_close(model.hallucinate(*given)[:, :, 1], mean, atol=1e-3, rtol=1e-3)


def test_a_run_takes_the_form_of_the_weights_that_it_begins_with(files, config):
    denoising, _ = files
    model = first_model(replace(config, init=denoising))
    for name, value in load_weights(denoising).model.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, msg=name)
    with pytest.raises(ValueError, match="its model differs; it has whole_pose=true "):
        first_model(replace(config, init=denoising, change=("whole_pose=false",)))
    with pytest.raises(ValueError, match="its model differs; it has guess=64 "):
        first_model(replace(config, init=files[1], guess=False))


def test_what_cannot_be_joined_says_why(files, config):
    denoising, guessing = files
    with pytest.raises(ValueError, match=r"guessing\.safetensors, which has a first guess of its own"):
        first_model(replace(config, init=guessing, join=guessing))
    with pytest.raises(ValueError, match="expected weights with a first guess, and it has none"):
        first_model(replace(config, init=denoising, join=denoising))
    with pytest.raises(ValueError, match="--join guessing needs weights to join: name them by --init"):
        train(replace(config, join="guessing"), lambda _: None)
