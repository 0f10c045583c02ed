"""APL, Action Prompt Learning: the intent of a 2D motion, written as a text prompt (Eqs. 1, 2).

P = phi(E(X)): an encoder reads the 2D sequence; pooling, a deconvolution and an MLP turn it into the embeddings of
action tokens. They follow the embedded template "a person" with learnable context, pass through a *frozen* text
tower, which still hands gradients back, and become the prompt features E_c = MLP_p(tower(P)).
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from dreampose3d.model.blocks import Block, Mlp, sinusoids
from dreampose3d.model.text import TextTower

SUBJECT_TOKENS, ACTION_TOKENS = 40, 37
"""The template with its start token and learnable context; the generated action with the end token."""

PromptKind = Literal["learned", "random", "none"]


class Prompt(NamedTuple):
    """What the denoiser is told about the motion."""

    tokens: Float[Tensor, "B L C"]
    """E_c, one feature a prompt token."""
    pooled: Float[Tensor, "B C"]
    """e, one vector a window."""
    text_feature: Float[Tensor, "B D"]
    """The tower's pooled feature of the prompt: what intent is read from."""


class MotionEncoder(nn.Module):
    """E of Eq. 1: two transformer layers over the frames of a 2D sequence."""

    def __init__(self, num_inputs: int, width: int = 256, num_layers: int = 2, num_heads: int = 4) -> None:
        super().__init__()
        self.width = width
        self.embed = nn.Linear(num_inputs, width)
        self.blocks = nn.ModuleList(Block(width, num_heads, 2.0) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)

    def forward(
        self, observed: Float[Tensor, "B N J D"], time_s: Float[Tensor, "B N"], valid: Bool[Tensor, "B N"]
    ) -> Float[Tensor, "B N E"]:
        """One feature a frame."""
        x = self.embed(observed.flatten(2)) + sinusoids(time_s, self.width, 0.05, 20.0).to(observed.dtype)
        for block in self.blocks:
            x = block(x, valid)
        return self.norm(x)  # type: ignore[no-any-return]


class PromptGenerator(nn.Module):
    """phi of Eq. 1: global average pooling, a deconvolution, an MLP with one hidden layer -> token embeddings."""

    def __init__(self, width: int, text_width: int, num_tokens: int, token_std: float, channels: int = 64) -> None:
        super().__init__()
        self.deconvolve = nn.ConvTranspose1d(width, channels, num_tokens)
        self.mlp = Mlp(channels, 256, text_width)
        self.norm = nn.LayerNorm(text_width)  # its gain starts at the token table's own scale
        nn.init.constant_(self.norm.weight, token_std)

    def forward(self, features: Float[Tensor, "B N E"], valid: Bool[Tensor, "B N"]) -> Float[Tensor, "B L W"]:
        """Generate the action tokens of each window from its valid frames."""
        weight = valid.to(features.dtype)[..., None]
        pooled = (features * weight).sum(1) / weight.sum(1).clamp(min=1)
        rows = self.deconvolve(pooled[..., None]).transpose(1, 2)
        return self.norm(self.mlp(rows))  # type: ignore[no-any-return]


class ActionPrompt(nn.Module):
    """From a window of 2D to the prompt's features and the logits of its intent.

    The 77 tokens are [start, "a", "person", 37 learned rows] = 40 subject tokens and [36 generated rows, end] = 37
    action tokens. `kind` is "learned", or for the paper's ablation "random": generated rows replaced by fixed noise.
    """

    vocabulary: Tensor
    random_rows: Tensor

    def __init__(
        self, tower: TextTower, num_inputs: int, width: int, vocabulary_size: int, kind: PromptKind = "learned"
    ) -> None:
        super().__init__()
        self.tower = tower
        self.kind = kind
        num_context = SUBJECT_TOKENS - 1 - len(tower.template)
        num_generated = ACTION_TOKENS - 1
        self.encode = MotionEncoder(num_inputs)
        self.generate = PromptGenerator(self.encode.width, tower.width, num_generated, float(tower.token_std))
        self.context = nn.Parameter(torch.randn(num_context, tower.width) * float(tower.token_std))
        self.project = Mlp(tower.width, width, width)
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())
        self.register_buffer("vocabulary", torch.zeros(vocabulary_size, tower.pooled_width))
        self.register_buffer("random_rows", torch.randn(num_generated, tower.width) * float(tower.token_std))

    def forward(
        self, observed: Float[Tensor, "B N J D"], time_s: Float[Tensor, "B N"], valid: Bool[Tensor, "B N"]
    ) -> Prompt:
        """Read the intent of each window. Done once a window, never per step or hypothesis."""
        rows = self.generate(self.encode(observed, time_s, valid), valid)
        if self.kind == "random":
            rows = self.random_rows.to(rows.dtype).expand_as(rows)
        features = self.tower(self._assemble(rows))
        pooled = features.tokens[:, -1] if self.tower.causal else features.tokens.mean(1)
        return Prompt(self.project(features.tokens), self.project(pooled), features.pooled)

    def intent_logits(self, text_feature: Float[Tensor, "B D"]) -> Float[Tensor, "B V"]:
        """Scaled cosine similarity to each phrase of the vocabulary, both seen from the vocabulary's mean.

        Sentence features are nearly parallel: without the shift all cosines would be close to 1. The scale is
        learned from 1 / 0.07 and kept below 100 (CLIP: Radford et al. 2021).
        """
        mean = self.vocabulary.mean(0)
        cosine = F.normalize(text_feature.float() - mean, dim=-1) @ F.normalize(self.vocabulary - mean, dim=-1).T
        return self.log_scale.exp().clamp(max=100) * cosine

    def _assemble(self, generated: Float[Tensor, "B G W"]) -> Float[Tensor, "B L W"]:
        tower = self.tower
        subject = torch.cat((tower.start[None], tower.template, self.context)).to(generated.dtype)
        end = tower.end[None].to(generated.dtype)
        batch = len(generated)
        return torch.cat((subject.expand(batch, -1, -1), generated, end.expand(batch, -1, -1)), 1)
