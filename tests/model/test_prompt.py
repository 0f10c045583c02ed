import math

import pytest
import torch

from dreampose3d.model.prompt import ACTION_TOKENS, SUBJECT_TOKENS, ActionPrompt
from dreampose3d.model.text import CLIPTower, MiniLMTower

TOWERS = ["minilm", "clip"]


def apl(tower="minilm", vocabulary=5, kind="learned"):
    torch.manual_seed(0)
    text = MiniLMTower(24, 1, 2, 32) if tower == "minilm" else CLIPTower(24, 1, 2, 32, 16)
    prompt = ActionPrompt(text, 3 * 17, 8, vocabulary, kind)
    prompt.vocabulary.normal_()
    return prompt


def clip(batch=2, frames=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    observed = torch.randn(batch, frames, 17, 3, generator=generator)
    time_s = ((torch.arange(frames) - (frames - 1) / 2) / 50).expand(batch, -1)
    return observed, time_s, torch.ones(batch, frames, dtype=torch.bool)


@pytest.mark.parametrize("tower", TOWERS)
def test_a_motion_becomes_a_prompt(tower):
    prompt = apl(tower)
    told = prompt(*clip())
    assert told.tokens.shape == (2, 77, 8)
    assert told.pooled.shape == (2, 8)
    assert prompt.intent_logits(told.text_feature).shape == (2, 5)
    other = prompt(*clip(seed=1))
    assert not torch.allclose(other.text_feature, told.text_feature), "another motion, another prompt"


@pytest.mark.parametrize("tower", TOWERS)
def test_the_77_tokens(tower):
    """[start, "a", "person", 37 learned]: the 40 of the subject; [36 generated, end]: the 37 of the action."""
    prompt, seen = apl(tower), []
    prompt.tower.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    prompt(*clip())
    (rows,) = seen
    assert (SUBJECT_TOKENS, ACTION_TOKENS) == (40, 37)
    assert rows.shape == (2, 77, 24)
    subject, action = rows.split((SUBJECT_TOKENS, ACTION_TOKENS), 1)
    for window in subject:
        assert torch.equal(window[0], prompt.tower.start)
        assert torch.equal(window[1:3], prompt.tower.template)
        assert torch.equal(window[3:], prompt.context)
    assert prompt.context.shape == (37, 24)
    assert torch.equal(action[0, -1], prompt.tower.end)
    assert torch.equal(action[1, -1], prompt.tower.end)
    assert (action[0, :-1] != action[1, :-1]).any(-1).all(), "each generated row depends on the motion"
    written = action[:, :-1].detach()
    assert float(written.std()) == pytest.approx(float(prompt.tower.token_std), rel=0.05)


@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize("part", ["tokens", "pooled", "text_feature"])
def test_gradients_reach_phi_through_the_frozen_tower_and_none_stays_in_it(tower, part):
    prompt = apl(tower)
    getattr(prompt(*clip()), part).square().sum().backward()
    through_the_tower = [*prompt.generate.named_parameters(), *prompt.encode.named_parameters(), ("", prompt.context)]
    assert [name for name, p in through_the_tower if p.grad is None or float(p.grad.abs().max()) == 0] == []
    assert not any(p.requires_grad or p.grad is not None for p in prompt.tower.parameters())


def test_a_cross_entropy_on_the_intent_teaches_phi():
    """Adam on phi alone: two motions get the two names they are told; the tower's weights stay what they were."""
    prompt, label = apl(vocabulary=2), torch.tensor([0, 1])
    prompt.vocabulary = prompt.tower(0.02 * torch.randn(2, 77, 24)).pooled
    before = [p.clone() for p in prompt.tower.parameters()]
    learner = torch.optim.Adam([*prompt.generate.parameters(), *prompt.encode.parameters()], 1e-3)
    for _ in range(15):
        learner.zero_grad()
        loss = torch.nn.functional.cross_entropy(prompt.intent_logits(prompt(*clip()).text_feature), label)
        loss.backward()
        learner.step()
    assert float(loss.detach()) < 0.1
    assert all(torch.equal(now, then) for now, then in zip(prompt.tower.parameters(), before, strict=True))


@pytest.mark.parametrize("tower", TOWERS)
def test_intent_is_the_scaled_cosine_seen_from_the_mean(tower):
    prompt = apl(tower)
    feature = prompt(*clip()).text_feature.detach()
    logits = prompt.intent_logits(feature)
    phrases = prompt.vocabulary.tolist()
    mean = [sum(column) / len(phrases) for column in zip(*phrases, strict=True)]
    for b, v in ((0, 0), (0, 4), (1, 2)):
        ours = [x - m for x, m in zip(feature[b].tolist(), mean, strict=True)]
        theirs = [x - m for x, m in zip(phrases[v], mean, strict=True)]
        cosine = sum(x * y for x, y in zip(ours, theirs, strict=True)) / math.hypot(*ours) / math.hypot(*theirs)
        assert float(logits[b, v].detach()) == pytest.approx(cosine / 0.07, abs=1e-4)
    prompt.log_scale.data.fill_(20.0)
    assert float((prompt.intent_logits(prompt.vocabulary).diag() - 100).abs().max()) < 1e-3, "at most ln 100"


def test_another_vocabulary_is_another_buffer():
    """No weight knows the vocabulary: more words, other words, another order; what the denoiser is told stays."""
    prompt = apl()
    told = prompt(*clip())
    logits = prompt.intent_logits(told.text_feature)
    order = torch.tensor([3, 0, 4, 1, 2])
    prompt.vocabulary = prompt.vocabulary[order]
    torch.testing.assert_close(prompt.intent_logits(told.text_feature), logits[:, order], atol=1e-5, rtol=0)
    prompt.vocabulary = torch.randn(9, 24)
    again = prompt(*clip())
    assert prompt.intent_logits(again.text_feature).shape == (2, 9)
    assert all(torch.equal(now, then) for now, then in zip(again, told, strict=True))


@pytest.mark.parametrize("tower", TOWERS)
def test_frames_that_are_not_valid_say_nothing(tower):
    prompt, (observed, time_s, valid) = apl(tower), clip()
    valid[0, 4:] = False
    told = prompt(observed, time_s, valid)
    observed[0, 4:] = 100
    for now, then in zip(prompt(observed, time_s, valid), told, strict=True):
        torch.testing.assert_close(now, then, rtol=0, atol=0)
    cut = prompt(observed[:1, :4], time_s[:1, :4], valid[:1, :4])
    torch.testing.assert_close(cut.text_feature, told.text_feature[:1], atol=1e-5, rtol=0)
    for value in prompt(observed, time_s, torch.zeros_like(valid)):
        assert value.isfinite().all()


def test_pooling_is_the_towers_own():
    """CLIP: the state at the end token; MiniLM: the mean of all 77. Both before the tower's own projection."""
    for tower in TOWERS:
        prompt, seen = apl(tower), []
        prompt.tower.register_forward_hook(lambda _, __, features, seen=seen: seen.append(features))
        told = prompt(*clip())
        tokens = seen[0].tokens
        pooled = tokens[:, 76] if tower == "clip" else tokens.mean(1)
        torch.testing.assert_close(told.pooled, prompt.project(pooled))
        torch.testing.assert_close(told.tokens, prompt.project(tokens))
        torch.testing.assert_close(told.text_feature, seen[0].pooled)


def test_random_prompts_are_one_prompt_for_all():
    prompt = apl(kind="random")
    told, other = prompt(*clip()), prompt(*clip(seed=1))
    assert torch.equal(told.tokens, other.tokens)
    assert torch.equal(told.tokens[0], told.tokens[1])
    told.tokens.sum().backward()
    assert all(p.grad is None for p in prompt.generate.parameters())
    assert prompt.context.grad is not None
