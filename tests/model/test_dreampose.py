import json
from dataclasses import replace

import pytest
import torch

from dreampose3d.diffusion import cosine_alpha_bar
from dreampose3d.model.dreampose import (
    PRESETS,
    DreamPose3DConfig,
    TowerConfig,
    base,
    build,
    empty_tower,
    paper,
    small,
    tiny,
    wiener_gain,
)
from dreampose3d.model.text import CLIPTower, MiniLMTower
from dreampose3d.skeleton import MPI_INF_3DHP_17
from dreampose3d.view import MISSING_BELOW


def lift(model, frames=9, batch=2, seed=0):
    """One step from noise; the arguments say what a lifter may know: no label, no text."""
    generator = torch.Generator().manual_seed(seed)
    observed = torch.randn(batch, frames, 17, 3 if model.config.camera == "any" else 2, generator=generator)
    noise = torch.randn(batch, frames, 17, 3, generator=generator)
    time_s = ((torch.arange(frames) - (frames - 1) / 2) / 50).expand(batch, -1)
    valid = torch.ones(batch, frames, dtype=torch.bool)
    view = torch.zeros(batch, 2) if model.config.camera == "any" else None
    prompt = model.read_intent(observed, time_s, valid)
    return model(noise, observed, torch.full((batch,), 999), prompt, time_s, valid, view)


@pytest.mark.parametrize("kind", ["learned", "random", "none"])
def test_the_whole_lifter(kind):
    torch.manual_seed(0)
    joints = lift(build(replace(tiny(), prompt=kind))).detach()
    assert joints.shape == (2, 9, 17, 3)
    assert float(joints[:, :, 0].abs().max()) == 0


def test_the_pose_loss_reaches_phi_once_the_prompt_is_heard():
    torch.manual_seed(0)
    model = build(tiny())
    lift(model).square().sum().backward()
    assert all(float(p.grad.abs().max()) == 0 for p in model.prompt.generate.parameters()), "entries are still zero"
    for name, parameter in model.named_parameters():
        if "from_prompt" in name or "ask_prompt.out" in name:
            parameter.data.normal_(std=0.1)
    lift(model).square().sum().backward()
    assert all(float(p.grad.abs().max()) > 0 for p in model.prompt.generate.parameters())
    assert all(p.grad is None for p in model.prompt.tower.parameters())


def test_the_papers_form_on_a_small_scale():
    torch.manual_seed(0)
    tower = TowerConfig("clip", width=16, layers=1, heads=2, mlp=32)
    model = build(replace(paper(), frames=5, width=16, depth=2, heads=2, tower=tower))
    assert lift(model, frames=5).shape == (2, 5, 17, 3)
    assert isinstance(model.prompt.tower, CLIPTower)
    assert model.denoiser.frame.shape == (5, 16)
    assert float(model.shrink.min()) == 1, "the denoiser sees x_t itself"


def test_joints_are_relative_to_the_skeletons_root():
    torch.manual_seed(0)
    joints = lift(build(replace(tiny(), skeleton="mpi_inf_3dhp_17"))).detach()
    at_zero = [joint for joint in range(17) if float(joints[:, :, joint].abs().max()) == 0]
    assert at_zero == [MPI_INF_3DHP_17.index("pelvis")]


def test_a_tower_can_be_brought():
    tower = MiniLMTower(24, 1, 2, 32)
    assert build(tiny(), tower).prompt.tower is tower


@pytest.mark.parametrize("tower", [MiniLMTower(24, 1, 2, 32), CLIPTower(24, 2, 3, 48, 16, "gelu")])
def test_a_towers_shape_is_read_off_it(tower):
    """An empty tower of that shape takes its weights and does the same with them."""
    same = empty_tower(TowerConfig.of(tower))
    same.load_state_dict(tower.state_dict())
    prompt = torch.randn(1, 77, tower.width)
    torch.testing.assert_close(same(prompt), tower(prompt), rtol=0, atol=0)


def imagine(model, frames=9, batch=2):
    generator = torch.Generator().manual_seed(0)
    observed, noise = torch.randn(2, batch, frames, 17, 3, generator=generator)
    time_s, valid = torch.zeros(batch, frames), torch.ones(batch, frames, dtype=torch.bool)
    prompt = model.read_intent(observed, time_s, valid)
    given = (noise, observed, torch.full((batch,), 500), prompt, time_s, valid, torch.zeros(batch, 2))
    return model.hallucinate(*given), model(*given)


def test_the_decoder_imagines_from_one_run_of_the_denoiser():
    torch.manual_seed(0)
    model, runs = build(replace(tiny(), num_poses=5)), []
    model.denoiser.register_forward_hook(lambda *_: runs.append(1))
    imagined, centre = imagine(model)
    assert imagined.shape == (2, 9, 5, 17, 3)
    assert len(runs) == 2
    torch.testing.assert_close(imagined[:, :, 2], centre)


def test_shared_denoisers_differ_by_a_vector_alone():
    """n runs; at its start, with all vectors zero, each says what the centre says, and inference is one run."""
    torch.manual_seed(0)
    model, runs = build(replace(tiny(), num_poses=3, imagine="denoisers")), []
    model.denoiser.register_forward_hook(lambda *_: runs.append(1))
    imagined, centre = imagine(model)
    assert len(runs) == 3 + 1
    for m in range(3):
        torch.testing.assert_close(imagined[:, :, m], centre)
    model.neighbours.data.normal_()
    imagined, unchanged = imagine(model)
    torch.testing.assert_close(unchanged, centre)
    torch.testing.assert_close(imagined[:, :, 1], centre)
    assert float((imagined[:, :, 0] - imagined[:, :, 2]).detach().abs().max()) > 1e-3
    hpd = build(replace(tiny(), num_poses=3))
    extra = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in hpd.parameters())
    assert extra == 3 * 16 - 2 * (3 * 16 + 3), "vectors for rows of the decoder"


def test_presets():
    config = paper()
    assert (config.frames, config.width, config.depth, config.diffusion_steps) == (243, 512, 8, 1000)
    assert (config.tower.kind, config.camera, config.num_poses, config.mlp_ratio) == ("clip", "screen", 3, 2.0)
    assert small().camera == "any"
    assert replace(base(), width=160, depth=4, heads=5) == small()
    assert paper().guess == 0, "the paper's has no first guess"
    assert not paper().gated_affinity
    assert set(PRESETS) == {"paper", "base", "small", "tiny"}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_config_survives_json(preset):
    config = replace(PRESETS[preset](), labels=("walking", "other"), phrases=("walking", "standing around"))
    assert DreamPose3DConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_config_of_another_version_is_refused():
    values = tiny().to_dict()
    for wrong in (values | {"wings": 2}, values | {"tower": {"height": 3}}, {"frames": 9}):
        with pytest.raises(ValueError, match=r"no configuration of dreampose3d .*a newer version may have written it"):
            DreamPose3DConfig.from_dict(wrong)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"heads": 3}, "3 heads do not divide a width of 16"),
        ({"frames": 0}, "expected at least 1 frame and 1 block pair, got 0 and 2"),
        ({"depth": 0}, "expected at least 1 frame and 1 block pair, got 9 and 0"),
        ({"labels": ("walking",)}, "1 labels, but 0 phrases"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        replace(tiny(), **change)


def test_an_unknown_skeleton_and_an_even_number_of_poses_are_refused():
    with pytest.raises(ValueError, match="unknown skeleton 'spider'"):
        build(replace(tiny(), skeleton="spider"))
    with pytest.raises(ValueError, match="odd number of hallucinated poses, got 2"):
        build(replace(tiny(), num_poses=2))


def test_noisy_poses_are_shown_as_their_best_linear_guess():
    """g_t is the slope of the regression of x_0 on x_t, here over many draws of x_0 ~ N(0, 0.35^2)."""
    alpha_bar = cosine_alpha_bar(1000)
    gain = wiener_gain(alpha_bar)
    generator = torch.Generator().manual_seed(0)
    x_0, eps = torch.randn(2, 200_000, generator=generator, dtype=torch.float64) * torch.tensor([[0.35], [1.0]])
    for t in (0, 300, 600, 900):
        x_t = alpha_bar[t].sqrt() * x_0 + (1 - alpha_bar[t]).sqrt() * eps
        assert float(gain[t]) == pytest.approx(float((x_0 * x_t).sum() / x_t.square().sum()), abs=5e-3)
    assert float(gain[-1]) < 1e-4, "of pure noise nothing is shown"
    assert (gain.diff() < 0)[300:].all()


def test_the_guess_is_what_the_denoiser_sees():
    torch.manual_seed(0)
    model, seen = build(tiny()), []
    model.denoiser.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x_t, t = torch.randn(2, 9, 17, 3), torch.tensor([100, 700])
    model(
        x_t, torch.rand(2, 9, 17, 3), t, None, torch.zeros(2, 9), torch.ones(2, 9, dtype=torch.bool), torch.zeros(2, 2)
    )
    gain = wiener_gain(cosine_alpha_bar(1000)).float()[t]
    torch.testing.assert_close(seen[0], gain[:, None, None, None] * x_t)
    assert "shrink" not in model.state_dict(), "it follows from the configuration"


def test_a_model_that_is_not_told_of_doubts_knows_what_is_missing():
    torch.manual_seed(0)
    told, untold = build(replace(tiny(), guess=32)), build(replace(tiny(), guess=32, told_confidence=False))
    observed = torch.rand(2, 9, 17, 3)
    observed[:, :, 4, 2] = 0
    sure = observed.clone()
    sure[..., 2] = (observed[..., 2] >= MISSING_BELOW).float()
    assert torch.equal(told.seen(observed), observed)
    torch.testing.assert_close(untold.seen(observed), sure, rtol=0, atol=0)
    assert float(untold.seen(observed)[:, :, 4, 2].max()) == 0
    time_s, valid = torch.arange(9.0).expand(2, -1) / 50, torch.ones(2, 9, dtype=torch.bool)
    asked = (time_s, valid, torch.zeros(2, 2))
    torch.testing.assert_close(untold.guess(observed, *asked).pose, untold.guess(sure, *asked).pose, rtol=0, atol=0)
    noise, t = torch.randn(2, 9, 17, 3), torch.tensor([9, 999])
    torch.testing.assert_close(
        untold.tokens(noise, observed, t, None, *asked), untold.tokens(noise, sure, t, None, *asked), rtol=0, atol=0
    )
    assert not torch.equal(told.guess(observed, *asked).pose, told.guess(sure, *asked).pose)
