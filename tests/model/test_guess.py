from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.guess import DilatedBlock, FirstGuess, log_pace, three_taps
from dreampose3d.model.weights import load_weights, save_weights
from dreampose3d.skeleton import H36M_17, MPI_INF_3DHP_17


def first_guess(skeleton=H36M_17):
    torch.manual_seed(0)
    return FirstGuess(skeleton, 51, 32, 4)


def window(batch=2, frames=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "observed": torch.randn(batch, frames, 17, 3, generator=generator),
        "time_s": ((torch.arange(frames) - (frames - 1) / 2) / 50).expand(batch, -1),
        "valid": torch.ones(batch, frames, dtype=torch.bool),
        "view": torch.randn(batch, 2, generator=generator),
    }


@pytest.mark.parametrize("dilation", [1, 3, 9])
def test_taps_and_a_linear_map_are_a_dilated_convolution(dilation):
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 12, 5, generator=generator), torch.randn(7, 5, 3, generator=generator)
    valid = torch.ones(2, 12, dtype=torch.bool)
    expected = F.conv1d(x.transpose(1, 2), weight, padding=dilation, dilation=dilation).transpose(1, 2)
    found = F.linear(three_taps(x, dilation, valid), weight.permute(0, 2, 1).flatten(1))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_frame_sees_81_of_them():
    model, inputs = first_guess(), window(1, 121)
    for parameter in model.parameters():
        parameter.data.normal_(std=0.2)
    inputs["observed"].requires_grad_()
    model(**inputs).pose[0, 60, 3].sum().backward()
    seen = inputs["observed"].grad.abs().sum((0, 2, 3)).nonzero()[:, 0].tolist()
    assert (seen[0], seen[-1]) == (20, 100)


@pytest.mark.parametrize("frames", [1, 2, 9, 81])
@pytest.mark.parametrize("skeleton", [H36M_17, MPI_INF_3DHP_17])
def test_any_length_and_any_skeleton(frames, skeleton):
    guess = first_guess(skeleton)(**window(frames=frames))
    assert guess.tokens.shape == (2, frames, 17, 4)
    assert guess.pose.shape == (2, frames, 17, 3)
    assert float(guess.pose[:, :, skeleton.root].abs().max()) == 0


def test_what_stands_in_a_masked_frame_does_not_matter():
    model, inputs = first_guess(), window()
    inputs["valid"][:, 6:] = False
    pose = model(**inputs).pose[:, :6]
    inputs["observed"][:, 6:] = 7.0
    torch.testing.assert_close(model(**inputs).pose[:, :6], pose)


def test_padding_is_as_if_it_were_not_there():
    block, x = DilatedBlock(8, 3), torch.randn(2, 12, 8, generator=torch.Generator().manual_seed(0))
    valid = torch.arange(12).expand(2, -1) < 7
    torch.testing.assert_close(block(x, valid)[:, :7], block(x[:, :7], valid[:, :7]))


def test_pace_is_the_log_of_a_frames_duration():
    at_100_hz = torch.arange(9)[None] / 100
    torch.testing.assert_close(log_pace(at_100_hz), torch.tensor([[0.5]]).log())
    assert float(log_pace(torch.zeros(1, 1))) == 0, "a single frame has none"


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build(replace(tiny(), guess=64))


def noisy(frames=9):
    inputs = window(frames=frames)
    x_t = torch.randn(2, frames, 17, 3, generator=torch.Generator().manual_seed(1))
    seen = (inputs["time_s"], inputs["valid"], inputs["view"])
    return (x_t, inputs["observed"], torch.tensor([999, 10]), None, *seen)


def test_the_correction_begins_as_none(model):
    guess = model.guess(*(noisy()[at] for at in (1, 4, 5, 6)))
    torch.testing.assert_close(model(*noisy()), guess.pose, rtol=0, atol=0)
    every = model.hallucinate(*noisy())
    torch.testing.assert_close(every, guess.pose[:, :, None].expand_as(every), rtol=0, atol=0)


def test_a_guess_made_before_is_the_one_made_inside(model):
    for parameter in model.decoder.parameters():
        parameter.data.normal_()
    guess = model.guess(*(noisy()[at] for at in (1, 4, 5, 6)))
    for method in (model.forward, model.hallucinate):
        torch.testing.assert_close(method(*noisy(), guess), method(*noisy()), rtol=0, atol=0)


def test_the_denoiser_is_told_the_guess(model):
    for parameter in model.decoder.parameters():
        parameter.data.normal_()
    guess = model.guess(*(noisy()[at] for at in (1, 4, 5, 6)))
    joints = model(*noisy(), guess) - guess.pose
    for other in (guess._replace(tokens=guess.tokens + 1), guess._replace(pose=guess.pose + 1)):
        assert not torch.allclose(model(*noisy(), other) - other.pose, joints, atol=1e-3)


def test_a_model_without_has_none():
    model = build(tiny())
    assert model.guess(**window()) is None
    assert not any(name.startswith(("first.", "denoiser.guess")) for name in model.state_dict())


def test_weights_with_a_first_guess_are_read_back(model, tmp_path):
    save_weights(model, tmp_path / "w.safetensors", {})
    found = load_weights(tmp_path / "w.safetensors").model
    assert found.config == model.config
    assert float((found(*noisy()) - model(*noisy())).abs().max()) < 5e-3, "half precision"
