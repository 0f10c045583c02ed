"""SPD, the Semantic Prompt-driven Denoiser: noisy pose, 2D, prompt and time in, pose tokens out (Eq. 3)."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dreampose3d.model.affinity import SpatialRepresentationEncoder
from dreampose3d.model.blocks import Block, Mlp, attend, sinusoids
from dreampose3d.model.guess import Guess
from dreampose3d.model.prompt import Prompt
from dreampose3d.skeleton import Skeleton
from dreampose3d.view import MISSING_BELOW

Conditioning = Literal["both", "pooled", "tokens"]


class PromptCrossAttention(nn.Module):
    """Each pose token asks the prompt: Q = W_q Z_S, K = W_k E_c, V = W_v E_c. Its output starts at zero [ours]."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, tokens: Float[Tensor, "B N J C"], prompt: Float[Tensor, "B L C"]) -> Float[Tensor, "B N J C"]:
        """Add what the prompt says to each joint of each frame."""
        query = self.query(self.norm(tokens)).flatten(1, 2)
        key, value = self.key_value(prompt).chunk(2, -1)
        answer = attend(query, key, value, self.num_heads)
        return tokens + self.out(answer).view_as(tokens)  # type: ignore[no-any-return]


class Denoiser(nn.Module):
    """C_t = embed(X, Y_t) -> SRE -> prompt -> + t -> temporal block -> (spatial, temporal) x (depth - 1).

    The SRE, the cross-attention and the timestep *are* the first of the block pairs, the others are plain MixSTE
    [ours]; the prompt enters once.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        width: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float = 2.0,
        *,
        confidence: bool = True,
        frames: int | None = None,
        affinity: bool = True,
        prompt: bool = True,
        whole_pose: bool = False,
        guess: int = 0,
        gated: bool = False,
        conditioning: Conditioning = "both",
    ) -> None:
        """Build it.

        Args:
            skeleton: Joint count and tree.
            width: C.
            depth: Spatial blocks, and as many temporal ones.
            num_heads: Attention heads.
            mlp_ratio: Hidden width of the blocks' MLPs over C.
            confidence: Whether the 2D input carries a confidence (and the view: log scale, known camera) beside x, y.
            frames: N for learned temporal positions, as in the paper; None for sinusoids of seconds, any N.
            affinity: False leaves the SRE's affinity out (ablation).
            prompt: False leaves the prompt out (ablation).
            whole_pose: True lets every token also see its frame's whole 2D pose through an MLP [ours]: a small model
                trained briefly need not first learn to gather it by attention.
            guess: G of the first guess whose features and pose every token is told; 0 without one [ours].
            gated: True lets the affinity of the kinematic tree begin as none [ours].
            conditioning: Which forms of the prompt are heard: e in the SRE, E_c's tokens by cross-attention, or both.
        """
        super().__init__()
        self.width = width
        self.embed = nn.Linear(6 if confidence else 5, width)
        self.whole_pose = Mlp((3 if confidence else 2) * skeleton.num_joints, 4 * width, width) if whole_pose else None
        self.guess = nn.Linear(guess + 3, width) if guess else None
        self.missing = nn.Parameter(torch.zeros(width)) if confidence else None
        self.view = Mlp(2, width, width) if confidence else None
        self.joint = nn.Parameter(torch.zeros(skeleton.num_joints, width))
        self.frame = nn.Parameter(torch.zeros(frames, width)) if frames else None
        self.seconds = None if frames else nn.Linear(width, width)
        self.step = Mlp(width, 2 * width, width)
        self.encode_joints = SpatialRepresentationEncoder(
            skeleton,
            width,
            num_heads,
            mlp_ratio,
            affinity=affinity,
            gated=gated,
            prompt=prompt and conditioning != "tokens",
        )
        asks = prompt and conditioning != "pooled"
        self.ask_prompt = PromptCrossAttention(width, num_heads) if asks else None
        self.temporal_first = Block(width, num_heads, mlp_ratio)
        self.spatial = nn.ModuleList(Block(width, num_heads, mlp_ratio) for _ in range(depth - 1))
        self.temporal = nn.ModuleList(Block(width, num_heads, mlp_ratio) for _ in range(depth - 1))
        nn.init.trunc_normal_(self.joint, std=0.3)  # joints can be told apart from the first step

    def forward(
        self,
        x_t: Float[Tensor, "B N J 3"],
        observed: Float[Tensor, "B N J D"],
        t: Int[Tensor, " B"],
        prompt: Prompt | None,
        time_s: Float[Tensor, "B N"],
        valid: Bool[Tensor, "B N"],
        view: Float[Tensor, "B 2"] | None = None,
        neighbour: Float[Tensor, " C"] | None = None,
        guess: Guess | None = None,
    ) -> Float[Tensor, "B N J C"]:
        """Denoise.

        Args:
            x_t: Noisy poses, in the network's unit, scaled as the model sees fit (`DreamPose3D.tokens`).
            observed: x, y and (any-camera lifter) confidence of each 2D joint.
            t: Diffusion step of each window.
            prompt: E_c, computed once a window.
            time_s: Seconds from the window's centre.
            valid: False on padded frames and on frames without a joint: no frame attends to them.
            view: log of the person's angular size, and whether the camera is known.
            neighbour: In the ablation without HPD's decoder, the vector that says which neighbour's pose is wanted.
            guess: What the first guess has made of the window.

        Returns:
            Pose tokens, from which the decoder reads poses.
        """
        tokens = self.embed(torch.cat((observed, x_t), -1)) + self.joint
        if self.whole_pose is not None:
            tokens = tokens + self.whole_pose(observed.flatten(2))[:, :, None]
        if self.guess is not None and guess is not None:
            tokens = tokens + self.guess(torch.cat(guess, -1))
        if self.missing is not None:
            tokens = tokens + (observed[..., 2:] < MISSING_BELOW) * self.missing
        tokens = self.encode_joints(tokens, None if prompt is None else prompt.pooled)
        if self.ask_prompt is not None and prompt is not None:
            tokens = self.ask_prompt(tokens, prompt.tokens)
        condition = self._condition(t, view, tokens.dtype)
        if neighbour is not None:
            condition = condition + neighbour
        tokens = tokens + condition[:, None, None]
        tokens = tokens + self._positions(time_s).to(tokens.dtype)[:, :, None]
        tokens = self._over_time(self.temporal_first, tokens, valid)
        for spatial, temporal in zip(self.spatial, self.temporal, strict=True):
            tokens = self._over_time(temporal, spatial(tokens), valid)
        return tokens

    def _condition(
        self, t: Int[Tensor, " B"], view: Float[Tensor, "B 2"] | None, dtype: torch.dtype
    ) -> Float[Tensor, "B C"]:
        condition = self.step(sinusoids(t.float(), self.width, 2 * torch.pi, 2e4 * torch.pi).to(dtype))
        if self.view is not None and view is not None:
            condition = condition + self.view(view.to(dtype))
        return condition  # type: ignore[no-any-return]

    def _positions(self, time_s: Float[Tensor, "B N"]) -> Float[Tensor, "B N C"]:
        if self.seconds is None:
            assert self.frame is not None
            return self.frame[: time_s.shape[1]].expand(len(time_s), -1, -1)
        return self.seconds(sinusoids(time_s, self.width, 0.05, 20.0))  # type: ignore[no-any-return]

    @staticmethod
    def _over_time(
        block: nn.Module, tokens: Float[Tensor, "B N J C"], valid: Bool[Tensor, "B N"]
    ) -> Float[Tensor, "B N J C"]:
        mask = valid[:, None] if not bool(valid.all()) else None
        return block(tokens.transpose(1, 2), mask).transpose(1, 2)  # type: ignore[no-any-return]
