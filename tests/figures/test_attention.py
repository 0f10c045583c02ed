from dataclasses import replace

import numpy as np
import pytest
import torch

from dreampose3d.figures.attention import (
    AttentionMaps,
    attention_figure,
    attention_weights,
    cut,
    read_attention,
    token_groups,
    watch_attention,
)
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.model.blocks import attend
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import Weights
from dreampose3d.skeleton import H36M_17

J, N, HEADS = H36M_17.num_joints, 9, 2


@pytest.fixture(scope="module")
def maps(lifter, sequence):
    return read_attention(lifter, sequence)


@pytest.fixture(scope="module")
def denoiser_call(lifter):
    """What the denoiser is called with: two windows, one with frames that nobody may attend to."""
    torch.manual_seed(1)
    model = lifter.model
    observed, time_s = torch.randn(2, N, J, 3), torch.linspace(-0.1, 0.1, N).expand(2, N)
    valid = torch.ones(2, N, dtype=torch.bool)
    valid[1, 5:] = False
    prompt = model.read_intent(observed, time_s, valid)
    return torch.randn(2, N, J, 3), observed, torch.tensor([900, 10]), prompt, time_s, valid, torch.zeros(2, 2)


@torch.no_grad()
def test_watched_weights_times_values_are_what_the_model_computed(lifter, denoiser_call):
    """For every attention module: the input of its last linear layer is weights @ values, all heads side by side."""
    denoiser = lifter.model.denoiser
    values, answers, hooks = {}, {}, []
    for name, module in denoiser.named_modules():
        if hasattr(module, "num_heads"):
            source = getattr(module, "qkv", None) or module.key_value
            last = slice(-denoiser.width, None)
            hooks += [
                source.register_forward_hook(
                    lambda _, __, out, name=name, last=last: values.update({name: out[..., last]})
                ),
                module.out.register_forward_pre_hook(lambda _, inputs, name=name: answers.update({name: inputs[0]})),
            ]
    with watch_attention(denoiser) as seen:
        denoiser(*denoiser_call)
    for hook in hooks:
        hook.remove()
    assert set(seen) == set(answers)
    assert len(seen) == 2 * lifter.config.depth + 1
    for name, weights in seen.items():
        split = values[name][..., -denoiser.width :].unflatten(-1, (HEADS, -1)).transpose(-3, -2)
        torch.testing.assert_close((weights @ split).transpose(-3, -2).flatten(-2), answers[name], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    hidden = seen["temporal_first.attention"][1, ..., 5:]
    assert float(hidden.max()) == 0  # padding gets no attention


def test_weights_match_the_models_own_attention():
    query, key, value = torch.randn(3, 4, 8), torch.randn(3, 5, 8), torch.randn(3, 5, 8)
    mask = torch.tensor([True, True, False, True, True]).expand(3, 5)
    weights = attention_weights(query, key, 2, mask)
    ours = (weights @ value.unflatten(-1, (2, -1)).transpose(-3, -2)).transpose(-3, -2).flatten(-2)
    torch.testing.assert_close(ours, attend(query, key, value, 2, mask))


@torch.no_grad()
def test_watching_changes_nothing_and_leaves_nothing_behind(lifter, denoiser_call):
    denoiser = lifter.model.denoiser
    before = denoiser(*denoiser_call)
    with pytest.raises(KeyboardInterrupt), watch_attention(denoiser, ("ask_prompt",)) as seen:
        assert torch.equal(denoiser(*denoiser_call), before)
        raise KeyboardInterrupt
    assert list(seen) == ["ask_prompt"]
    assert not any(module._forward_hooks for module in denoiser.modules())


def test_maps_of_a_window(lifter, sequence, maps):
    assert maps.spatial.shape == (N, HEADS, J, J)
    assert maps.temporal.shape == (J, HEADS, N, N)
    assert maps.prompt.shape == (N, J, HEADS, 77)
    for weights in maps[:3]:
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(maps.time_s, (np.arange(N) - 4) / 50, atol=1e-6)
    denoiser = lifter.model.denoiser
    window = cut(sequence, None, N)
    with watch_attention(denoiser) as seen:
        lifter.hypotheses(window, LiftOptions(hypotheses=1, steps=2, flip=False))
    np.testing.assert_array_equal(maps.spatial, seen["encode_joints.attention"][0])
    np.testing.assert_array_equal(maps.prompt[3, 4, 1], seen["ask_prompt"][0, 1, 3 * J + 4])
    second = read_attention(lifter, sequence, layer=2)
    np.testing.assert_array_equal(second.temporal, seen["temporal.0.attention"][0])
    assert second.prompt is None


def test_a_window_lies_around_its_time(sequence):
    assert list(cut(sequence, None, 9).times * 50) == pytest.approx(range(11, 20))
    assert list(cut(sequence, 0.0, 9).times * 50) == pytest.approx(range(9))
    assert list(cut(sequence, 0.58, 9).times * 50) == pytest.approx(range(21, 30))
    assert len(cut(sequence, None, 500)) == 30
    part = cut(sequence, 0.3, 3)
    np.testing.assert_array_equal(part.keypoints_px, sequence.keypoints_px[14:17])
    np.testing.assert_array_equal(part.joints_mm, sequence.joints_mm[14:17])


def test_spatial_is_the_mean_over_frames_in_percent(maps):
    panel = attention_figure(maps, "spatial").axes[0]
    np.testing.assert_allclose(panel.images[0].get_array(), 100 * maps.spatial.mean((0, 1)), rtol=1e-5)
    names = [joint.replace("_", " ") for joint in H36M_17.joints]
    assert [text.get_text() for text in panel.get_yticklabels()] == names
    assert [text.get_text() for text in panel.get_xticklabels()] == names
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("attended joint", "attending joint")


def test_each_head_and_their_mean(maps):
    figure = attention_figure(maps, "spatial", each_head=True)
    panels = figure.axes[:3]
    assert [panel.get_title() for panel in panels] == ["head 1", "head 2", "mean"]
    shown = [np.asarray(panel.images[0].get_array()) for panel in panels]
    np.testing.assert_allclose(shown[1], 100 * maps.spatial.mean(0)[1], rtol=1e-5)
    np.testing.assert_allclose(shown[2], (shown[0] + shown[1]) / 2, rtol=1e-5)
    assert len({panel.images[0].get_clim() for panel in panels}) == 1
    assert figure.axes[3].get_ylabel() == "attention (% of the row; even: 5.9)"


def test_temporal_is_that_of_a_joint_with_time_up_and_to_the_right(maps):
    joint = H36M_17.index("left_wrist")
    panel = attention_figure(maps, "temporal", "left_wrist").axes[0]
    np.testing.assert_allclose(panel.images[0].get_array(), 100 * maps.temporal[joint].mean(0), rtol=1e-5)
    left, right, bottom, top = panel.images[0].get_extent()
    assert (left, right) == pytest.approx((-0.09, 0.09))  # the first row, which is drawn on top ...
    assert (bottom, top) == pytest.approx((0.09, -0.09))  # ... of the picture, lies at the earliest time
    assert panel.get_ylim() == pytest.approx((-0.09, 0.09))
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("attended time (s)", "attending time (s)")
    mean = attention_figure(maps, "temporal").axes[0].images[0].get_array()
    np.testing.assert_allclose(mean, 100 * maps.temporal.mean((0, 1)), rtol=1e-5)


@pytest.mark.parametrize("width", ["column", "full"])
def test_prompt_names_the_kinds_of_tokens(maps, width):
    panel = attention_figure(maps, "prompt", width=width).axes[0]
    np.testing.assert_allclose(panel.images[0].get_array(), 100 * maps.prompt.mean((0, 2)), rtol=1e-5)
    told = [text.get_text() for text in panel.texts]
    assert told == ["start", "“a person”", "learned\ncontext", "generated\nfrom the motion", "end"]
    assert [line.get_xdata()[0] for line in panel.lines] == [0.5, 2.5, 39.5, 75.5, 76.5]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("attended token of the prompt", "attending joint")


def test_token_groups_cover_the_prompt_as_it_is_assembled(lifter):
    """Only the generated rows depend on the clip; the others are where the groups say."""
    groups = token_groups()
    assert groups[0][1] == 0
    assert [group[2] for group in groups[:-1]] == [group[1] for group in groups[1:]]
    prompt = lifter.model.prompt
    rows = torch.full((1, 36, prompt.tower.width), 5.0)
    assembled = prompt._assemble(rows)[0]
    assert len(assembled) == groups[-1][2]
    places = {name.split("\n")[0]: slice(first, last) for name, first, last in groups}
    assert torch.equal(assembled[places["generated"]], rows[0])
    assert torch.equal(assembled[places["learned"]], prompt.context)
    assert torch.equal(assembled[places["“a person”"]], prompt.tower.template)
    assert torch.equal(assembled[places["start"]][0], prompt.tower.start)
    assert torch.equal(assembled[places["end"]][0], prompt.tower.end)


def test_slow_clips_are_resampled_and_still_give_one_window(lifter, sequence):
    slow = replace(sequence, fps=10.0)
    maps = read_attention(lifter, slow)
    assert isinstance(maps, AttentionMaps)
    assert maps.temporal.shape == (J, HEADS, N, N)
    np.testing.assert_allclose(np.diff(maps.time_s), 1 / 25, atol=1e-6)


def test_what_is_not_there_is_refused(lifter, sequence, maps):
    with pytest.raises(ValueError, match="these weights have the block pairs 1 to 2, got layer 3"):
        read_attention(lifter, sequence, layer=3)
    with pytest.raises(ValueError, match=r"t1/1 runs from 0 to 0.58 s; it has nothing at 4 s"):
        read_attention(lifter, sequence, at_s=4.0)
    with pytest.raises(ValueError, match="has no joint 'tail'"):
        attention_figure(maps, "temporal", "tail")
    with pytest.raises(ValueError, match="no attention to a prompt here"):
        attention_figure(maps._replace(prompt=None), "prompt")


def test_weights_without_prompt_have_no_attention_to_one(sequence):
    torch.manual_seed(0)
    without = Lifter(Weights(build(replace(tiny(), prompt="none")), "none", "0" * 64))
    assert read_attention(without, sequence).prompt is None
