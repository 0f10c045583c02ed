import pytest
import torch
from tests.oracles import slow_attention, slow_layer_norm, slow_linear

from dreampose3d.model.blocks import sinusoids
from dreampose3d.model.denoiser import Denoiser, PromptCrossAttention
from dreampose3d.model.prompt import Prompt
from dreampose3d.skeleton import H36M_17, MPI_INF_3DHP_17
from dreampose3d.view import normalise_view


def denoiser(*, told=True, skeleton=H36M_17, **options):
    """With weights of a size that makes everything matter; `told=False` leaves the prompt's entry at its zeros."""
    torch.manual_seed(0)
    model = Denoiser(skeleton, 8, 2, 2, **options)
    for name, parameter in model.named_parameters():
        if told or not ("from_prompt" in name or "ask_prompt.out" in name):
            parameter.data.normal_(std=0.3)
    return model


def window(batch=2, frames=5, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x_t = torch.randn(batch, frames, 17, 3, generator=generator)
    observed = torch.rand(batch, frames, 17, channels, generator=generator) + 0.1
    time_s = ((torch.arange(frames) - (frames - 1) / 2) / 50).expand(batch, -1)
    return {
        "x_t": x_t, "observed": observed, "t": torch.arange(batch) * 400 + 7, "prompt": words(batch), "time_s": time_s,
        "valid": torch.ones(batch, frames, dtype=torch.bool), "view": torch.randn(batch, 2, generator=generator),
    }  # fmt: skip


def words(batch=2, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return Prompt(*(torch.randn(batch, *size, generator=generator) for size in ((77, 8), (8,), (24,))))


def test_the_prompt_enters_at_zero_and_can_be_learned():
    model, inputs = denoiser(told=False), window()
    tokens = model(**inputs)
    assert tokens.shape == (2, 5, 17, 8)
    for prompt in (words(seed=4), None):
        torch.testing.assert_close(model(**inputs | {"prompt": prompt}), tokens, rtol=0, atol=0)
    tokens.square().sum().backward()
    assert float(model.encode_joints.from_prompt.weight.grad.abs().max()) > 0
    assert float(model.ask_prompt.out.weight.grad.abs().max()) > 0


@pytest.mark.parametrize("part", ["tokens", "pooled"])
def test_both_forms_of_the_prompt_are_heard(part):
    model, inputs = denoiser(), window()
    other = inputs["prompt"]._replace(**{part: getattr(words(seed=4), part)})
    assert not torch.allclose(model(**inputs | {"prompt": other}), model(**inputs), atol=1e-3)


@pytest.mark.parametrize("heard", ["tokens", "pooled"])
def test_one_form_of_the_prompt_can_be_left_out(heard):
    model, inputs = denoiser(conditioning=heard), window()
    tokens = model(**inputs)
    for part in ("tokens", "pooled"):
        other = inputs["prompt"]._replace(**{part: getattr(words(seed=4), part)})
        assert torch.equal(model(**inputs | {"prompt": other}), tokens) is (part != heard)
    weights = {name for name, _ in model.named_parameters()}
    assert any("from_prompt" in name for name in weights) is (heard == "pooled")
    assert any("ask_prompt" in name for name in weights) is (heard == "tokens")


def test_masked_frames_influence_nothing():
    """Whatever stands in a masked frame, the others are the same; and the same as if it were not there."""
    model, inputs = denoiser(), window()
    inputs["valid"][0, :2] = False
    tokens = model(**inputs)
    inputs["x_t"][0, :2] = 50
    inputs["observed"][0, :2] = -50
    changed = model(**inputs)
    torch.testing.assert_close(changed[0, 2:], tokens[0, 2:], rtol=0, atol=0)
    torch.testing.assert_close(changed[1], tokens[1], rtol=0, atol=0)
    cut = {key: x[:1, 2:] for key, x in inputs.items() if key in ("x_t", "observed", "time_s", "valid")}
    cut |= {"t": inputs["t"][:1], "view": inputs["view"][:1], "prompt": Prompt(*(x[:1] for x in inputs["prompt"]))}
    torch.testing.assert_close(model(**cut), tokens[:1, 2:], atol=1e-4, rtol=1e-4)
    inputs["valid"][:] = False
    assert model(**inputs).isfinite().all()


@pytest.mark.parametrize("frames", [1, 2, 9, 30])
def test_any_number_of_frames(frames):
    assert denoiser()(**window(frames=frames)).shape == (2, frames, 17, 8)


def test_windows_of_a_batch_do_not_meet():
    model, inputs = denoiser(), window()
    alone = {key: Prompt(*(part[1:] for part in x)) if key == "prompt" else x[1:] for key, x in inputs.items()}
    torch.testing.assert_close(model(**alone), model(**inputs)[1:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("changed", ["x_t", "observed", "t", "time_s", "view"])
def test_every_input_matters(changed):
    model, inputs = denoiser(), window()
    other = inputs[changed] + 1 if changed != "time_s" else 2 * inputs[changed]
    assert not torch.allclose(model(**inputs | {changed: other}), model(**inputs), atol=1e-3)


def test_what_is_written_at_a_missing_joint_does_not_matter():
    """With confidence 0 (or NaN) a joint's 2D place is nothing to the network, only that it is missing."""
    model, inputs = denoiser(), window()
    rays, confidence = 0.1 * torch.randn(2, 5, 17, 2), torch.ones(2, 5, 17)
    confidence[:, 1, 4] = 0

    def tokens(value):
        rays[:, 1, 4] = value
        view = normalise_view(rays, confidence, torch.ones(2), inputs["valid"])
        return model(**inputs | {"observed": view.observed, "view": view.condition})

    there = tokens(0.3)
    torch.testing.assert_close(tokens(torch.nan), there, rtol=0, atol=0)
    torch.testing.assert_close(tokens(-7.0), there, rtol=0, atol=0)
    confidence[:, 1, 4] = 1
    assert not torch.allclose(tokens(0.3), there, atol=1e-3)


def test_missing_joints_carry_a_learned_vector_and_others_do_not():
    model, inputs = denoiser(), window()
    seen = model(**inputs)
    model.missing.data += 1
    torch.testing.assert_close(model(**inputs), seen, rtol=0, atol=0)
    inputs["observed"][0, 2, 3] = 0
    lost = model(**inputs)
    model.missing.data -= 1
    changed = (model(**inputs) - lost).abs().amax((1, 2, 3))
    assert (changed > 0).tolist() == [True, False]


def test_each_joint_asks_the_prompt_by_itself():
    """Q of the pose token, K and V of the prompt's tokens, in loops."""
    torch.manual_seed(1)
    ask, tokens, prompt = PromptCrossAttention(8, 2).double(), torch.randn(1, 2, 3, 8).double(), torch.randn(1, 5, 8)
    prompt = prompt.double()
    ask.out.weight.data.normal_()
    out = ask(tokens, prompt)
    keys, values = zip(*((row[:8], row[8:]) for row in (slow_linear(x.tolist(), ask.key_value) for x in prompt[0])),
                       strict=True)  # fmt: skip
    for f, j in ((0, 0), (1, 2)):
        token = tokens[0, f, j].tolist()
        query = slow_linear(slow_layer_norm(token, ask.norm), ask.query)
        answer = slow_linear(slow_attention(query, keys, values, num_heads=2), ask.out)
        torch.testing.assert_close(
            out[0, f, j], tokens[0, f, j] + torch.tensor(answer, dtype=torch.float64), atol=1e-9, rtol=0
        )


def test_the_parts_follow_each_other_as_in_the_paper():
    """Embed, SRE, prompt, + t (+ view), + time, temporal; then (spatial, temporal) pairs."""
    model, inputs = denoiser(), window(batch=1)
    model.missing.data.zero_()
    prompt = inputs["prompt"]
    x = torch.cat((inputs["observed"], inputs["x_t"]), -1) @ model.embed.weight.T + model.embed.bias + model.joint
    x = model.ask_prompt(model.encode_joints(x, prompt.pooled), prompt.tokens)
    step = [torch.tensor(7.0) / 10000 ** (i / 3) for i in range(4)]
    step = model.step(torch.stack([*(angle.sin() for angle in step), *(angle.cos() for angle in step)]))
    x = x + step + model.view(inputs["view"][0])
    x = x + model.seconds(sinusoids(inputs["time_s"][0], 8, 0.05, 20.0))[:, None]

    def over_time(block, x):
        return torch.stack([block(x[0, :, joint]) for joint in range(17)], 1)[None]

    x = over_time(model.temporal_first, x)
    for spatial, temporal in zip(model.spatial, model.temporal, strict=True):
        x = over_time(temporal, torch.stack([spatial(frame) for frame in x[0]])[None])
    torch.testing.assert_close(model(**inputs), x, atol=1e-4, rtol=1e-4)


def test_depth_counts_pairs_with_the_sre_in_the_first():
    model = Denoiser(H36M_17, 8, 4, 2)
    assert (1 + len(model.spatial), 1 + len(model.temporal)) == (4, 4)


def test_the_benchmarks_form_has_no_confidence_and_learned_frames():
    model = denoiser(confidence=False, frames=5)
    inputs = window(channels=2) | {"view": None}
    tokens = model(**inputs)
    assert tokens.shape == (2, 5, 17, 8)
    assert model.embed.in_features == 5
    inputs["time_s"] = inputs["time_s"] * 3
    torch.testing.assert_close(model(**inputs), tokens, rtol=0, atol=0)


def test_ablations_and_other_skeletons():
    plain = denoiser(affinity=False, prompt=False)
    inputs = window()
    torch.testing.assert_close(plain(**inputs | {"prompt": None}), plain(**inputs), rtol=0, atol=0)
    assert not any("affinity" in name or "prompt" in name for name, _ in plain.named_parameters())
    assert denoiser(skeleton=MPI_INF_3DHP_17)(**window()).shape == (2, 5, 17, 8)


def test_a_whole_pose_is_added_to_every_token_of_its_frame():
    """An MLP of the frame's 2D, the same for its 17 joints; silent when its last layer is."""
    model, inputs = denoiser(whole_pose=True), window()
    model.whole_pose[2].weight.data.zero_()
    model.whole_pose[2].bias.data.zero_()
    plain = denoiser()
    plain.load_state_dict({name: x for name, x in model.state_dict().items() if "whole_pose" not in name})
    torch.testing.assert_close(model(**inputs), plain(**inputs), rtol=0, atol=0)
    model.whole_pose[2].bias.data.fill_(0.3)
    plain.joint.data += 0.3
    torch.testing.assert_close(model(**inputs), plain(**inputs), atol=1e-4, rtol=1e-4)
    assert model.whole_pose[0].in_features == 3 * 17
