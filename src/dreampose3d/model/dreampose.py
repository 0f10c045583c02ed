"""DreamPose3D: the four parts wired as in the paper's figure, and the presets.

2D -> FirstGuess [ours] -> ActionPrompt (APL) -> Denoiser (SPD, with the SRE in its first block) ->
HallucinativePoseDecoder (HPD) -> x_0
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dreampose3d import __version__
from dreampose3d.diffusion import cosine_alpha_bar
from dreampose3d.model.denoiser import Conditioning, Denoiser
from dreampose3d.model.guess import FirstGuess, Guess
from dreampose3d.model.hallucination import HallucinativePoseDecoder
from dreampose3d.model.prompt import ActionPrompt, Prompt, PromptKind
from dreampose3d.model.text import Activation, CLIPTower, MiniLMTower, TextTower
from dreampose3d.skeleton import H36M_17, skeleton_named
from dreampose3d.view import MISSING_BELOW

Imagination = Literal["decoder", "denoisers"]


@dataclass(frozen=True)
class TowerConfig:
    """The frozen text tower's shape."""

    kind: Literal["minilm", "clip"] = "minilm"
    width: int = 384
    layers: int = 6
    heads: int = 12
    mlp: int = 1536
    pooled_width: int = 512
    """Of CLIP's pooled feature; MiniLM's is as wide as its tokens."""
    activation: Activation = "quick_gelu"
    """CLIP's; MiniLM has gelu."""

    @classmethod
    def of(cls, tower: MiniLMTower | CLIPTower) -> "TowerConfig":
        """The shape of a tower that there is."""
        layer: Any = tower.layers[0]
        shape = (tower.width, len(tower.layers), layer.heads, layer.up.out_features)
        if isinstance(tower, CLIPTower):
            return cls("clip", *shape, tower.pooled_width, layer.activation)
        return cls("minilm", *shape)


@dataclass(frozen=True)
class DreamPose3DConfig:
    """Everything that the weights depend on; it travels inside the weights file."""

    frames: int = 81
    """N: frames of a window at inference."""
    width: int = 128
    """C: channels of a token."""
    depth: int = 4
    """Spatial blocks, and as many temporal ones."""
    heads: int = 4
    mlp_ratio: float = 2.0
    num_poses: int = 3
    """n: poses that the decoder hallucinates for each frame in training."""
    diffusion_steps: int = 1000
    """T."""
    camera: Literal["any", "screen"] = "any"
    """"any": the normalised view with confidence; "screen": x/w*2-1, as the benchmarks have it."""
    whole_pose: bool = False
    """Every token also sees its frame's whole 2D pose [ours]; the paper's does not."""
    guess: int = 0
    """C of the first guess, which the denoiser corrects [ours]; 0: there is none, as in the paper."""
    shrink_noise: bool = True
    """The denoiser is shown each noisy pose's best linear guess at x_0 [ours]; the paper's sees x_t itself."""
    affinity: bool = True
    """SRE's affinity; False is an ablation."""
    gated_affinity: bool = False
    """The affinity of the kinematic tree begins as none [ours]; the paper does not say how large it is."""
    prompt: PromptKind = "learned"
    """"none" and "random" are ablations."""
    conditioning: Conditioning = "both"
    """Which forms of the prompt the denoiser hears; the paper's figure has both."""
    told_confidence: bool = True
    """False: the any-camera model knows which joints are missing, but not how sure the detector is of the others."""
    imagine: Imagination = "decoder"
    """Who makes the n poses: HPD's decoder; "denoisers" is the ablation with n runs of the denoiser, which share all
    weights but a vector that tells which neighbour is meant."""
    tower: TowerConfig = field(default_factory=TowerConfig)
    skeleton: str = H36M_17.name
    labels: tuple[str, ...] = ()
    """The vocabulary of intents: label and, in `phrases`, what the text tower read for it."""
    phrases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide a width of {self.width}")
        if self.frames < 1 or self.depth < 1:
            raise ValueError(f"expected at least 1 frame and 1 block pair, got {self.frames} and {self.depth}")
        if self.num_poses < 1 or self.num_poses % 2 == 0:
            raise ValueError(f"expected an odd number of hallucinated poses, got {self.num_poses}")
        if len(self.labels) != len(self.phrases):
            raise ValueError(f"{len(self.labels)} labels, but {len(self.phrases)} phrases")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DreamPose3DConfig":
        """The reverse of `to_dict`; an unknown field is an error, since the weights would mean something else."""
        plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        try:
            plain["tower"] = TowerConfig(**plain["tower"])
            return cls(**plain)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"this is no configuration of dreampose3d {__version__} ({error}); a newer version may have written it"
            ) from None


def paper() -> DreamPose3DConfig:
    """The paper's model: N 243, C 512, 8 + 8 blocks, CLIP ViT-B/32 text tower, T 1000, benchmark input.

    Eight heads: the paper prints six, which do not divide 512 [ours].
    """
    clip = TowerConfig("clip", width=512, layers=12, heads=8, mlp=2048)
    return DreamPose3DConfig(frames=243, width=512, depth=8, heads=8, camera="screen", shrink_noise=False, tower=clip)


def small() -> DreamPose3DConfig:
    """What ships: for a laptop's CPU, any camera, any frame rate."""
    return DreamPose3DConfig(frames=81, width=160, depth=4, heads=5, guess=512, gated_affinity=True)


def base() -> DreamPose3DConfig:
    """As `small`, for a GPU: 23.8 M trained weights. None of it ships, since no GPU was to be had to train them."""
    return DreamPose3DConfig(frames=81, width=384, depth=7, heads=6, guess=512, gated_affinity=True)


def tiny() -> DreamPose3DConfig:
    """For tests: every part, as small as it gets."""
    tower = TowerConfig(width=24, layers=1, heads=2, mlp=32)
    return DreamPose3DConfig(frames=9, width=16, depth=2, heads=2, tower=tower)


PRESETS = {"paper": paper, "base": base, "small": small, "tiny": tiny}


class DreamPose3D(nn.Module):
    """The whole lifter: prompt, denoiser, decoder."""

    shrink: Tensor

    def __init__(
        self,
        config: DreamPose3DConfig,
        prompt: ActionPrompt | None,
        denoiser: Denoiser,
        decoder: HallucinativePoseDecoder,
        first: FirstGuess | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.prompt = prompt
        self.first = first
        self.trust = None if first is None else nn.Parameter(torch.ones(()))
        """How much of the first guess x_0 begins with [ours]: all of it, unless two trained models are joined."""
        self.denoiser = denoiser
        self.decoder = decoder
        self.neighbours = nn.Parameter(torch.zeros(config.num_poses, config.width)) if _by_denoisers(config) else None
        gain = wiener_gain(cosine_alpha_bar(config.diffusion_steps)).float()
        self.register_buffer("shrink", gain if config.shrink_noise else torch.ones_like(gain), persistent=False)

    def read_intent(
        self, observed: Float[Tensor, "B N J D"], time_s: Float[Tensor, "B N"], valid: Bool[Tensor, "B N"]
    ) -> Prompt | None:
        """E_c, once a window; None in the ablation without prompts."""
        return None if self.prompt is None else self.prompt(self.seen(observed), time_s, valid)

    def guess(
        self,
        observed: Float[Tensor, "B N J D"],
        time_s: Float[Tensor, "B N"],
        valid: Bool[Tensor, "B N"],
        view: Float[Tensor, "B 2"] | None = None,
    ) -> Guess | None:
        """The first guess, once a window; None in a model without."""
        return None if self.first is None else self.first(self.seen(observed), time_s, valid, view)

    def seen(self, observed: Float[Tensor, "B N J D"]) -> Float[Tensor, "B N J D"]:
        """The 2D as this model is shown it: without the detector's doubts, where it is not told of them."""
        if self.config.told_confidence or self.config.camera == "screen":
            return observed
        return torch.cat((observed[..., :2], (observed[..., 2:] >= MISSING_BELOW).to(observed)), -1)

    def tokens(
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
        """What the denoiser makes of noisy poses (Eq. 3); arguments as in `Denoiser.forward`.

        It is shown each pose's best linear guess at x_0 rather than x_t itself: a change of scale known for each t,
        which keeps pure noise from drowning the 2D where nothing else is to be had [ours].
        """
        observed = self.seen(observed)
        x_t = self.shrink[t].to(x_t)[:, None, None, None] * x_t
        return self.denoiser(x_t, observed, t, prompt, time_s, valid, view, neighbour, guess)  # type: ignore[no-any-return]

    def forward(
        self,
        x_t: Float[Tensor, "B N J 3"],
        observed: Float[Tensor, "B N J D"],
        t: Int[Tensor, " B"],
        prompt: Prompt | None,
        time_s: Float[Tensor, "B N"],
        valid: Bool[Tensor, "B N"],
        view: Float[Tensor, "B 2"] | None = None,
        guess: Guess | None = None,
    ) -> Float[Tensor, "B N J 3"]:
        """The estimate of x_0: root-relative joints in metres; a first guess that is not given is made here."""
        guess = self.guess(observed, time_s, valid, view) if guess is None else guess
        correction = self.decoder(self.tokens(x_t, observed, t, prompt, time_s, valid, view, guess=guess))
        return correction if guess is None else self.trust * guess.pose + correction  # type: ignore[no-any-return, operator]

    def hallucinate(
        self,
        x_t: Float[Tensor, "B N J 3"],
        observed: Float[Tensor, "B N J D"],
        t: Int[Tensor, " B"],
        prompt: Prompt | None,
        time_s: Float[Tensor, "B N"],
        valid: Bool[Tensor, "B N"],
        view: Float[Tensor, "B 2"] | None = None,
        guess: Guess | None = None,
    ) -> Float[Tensor, "B N M J 3"]:
        """x_0 of every frame and of its imagined neighbours, for the loss (Eq. 6); arguments as in `forward`."""
        guess = self.guess(observed, time_s, valid, view) if guess is None else guess
        given = (x_t, observed, t, prompt, time_s, valid, view)
        if self.neighbours is None:
            correction = self.decoder.hallucinate(self.tokens(*given, guess=guess))
        else:
            centre = self.config.num_poses // 2  # which is told nothing, as in `forward`
            told = [None if m == centre else row for m, row in enumerate(self.neighbours)]
            correction = torch.stack([self.decoder(self.tokens(*given, neighbour, guess)) for neighbour in told], 2)
        return correction if guess is None else self.trust * guess.pose[:, :, None] + correction  # type: ignore[operator]


def wiener_gain(alpha_bar: Float[Tensor, " T"], std: float = 0.35) -> Float[Tensor, " T"]:
    """g_t of E[x_0 | x_t] = g_t x_t for x_0 ~ N(0, std^2): coordinates of root-relative joints vary by about 0.35 m."""
    return std**2 * alpha_bar.sqrt() / (std**2 * alpha_bar + 1 - alpha_bar)


def build(config: DreamPose3DConfig, tower: TextTower | None = None) -> DreamPose3D:
    """Assemble a model with fresh weights; `tower` brings a text tower's weights, else its shape alone is made."""
    skeleton = skeleton_named(config.skeleton)
    any_camera = config.camera == "any"
    prompt = None
    if config.prompt != "none":
        prompt = ActionPrompt(
            tower or empty_tower(config.tower),
            num_inputs=(3 if any_camera else 2) * skeleton.num_joints,
            width=config.width,
            vocabulary_size=len(config.labels),
            kind=config.prompt,
        )
    denoiser = Denoiser(
        skeleton,
        config.width,
        config.depth,
        config.heads,
        config.mlp_ratio,
        confidence=any_camera,
        frames=None if any_camera else config.frames,
        affinity=config.affinity,
        prompt=prompt is not None,
        whole_pose=config.whole_pose,
        guess=_joint_width(config),
        gated=config.gated_affinity,
        conditioning=config.conditioning,
    )
    first = None
    if config.guess:
        num_inputs = (3 if any_camera else 2) * skeleton.num_joints
        first = FirstGuess(skeleton, num_inputs, config.guess, _joint_width(config))
    num_poses = 1 if _by_denoisers(config) else config.num_poses
    decoder = HallucinativePoseDecoder(config.width, num_poses, skeleton.root)
    if config.guess:
        nn.init.zeros_(decoder.head.weight)  # a correction begins as none
        nn.init.zeros_(decoder.head.bias)
    return DreamPose3D(config, prompt, denoiser, decoder, first)


def empty_tower(config: TowerConfig) -> TextTower:
    """A tower of this shape with random weights, to be filled from a weights file."""
    if config.kind == "minilm":
        return MiniLMTower(config.width, config.layers, config.heads, config.mlp)
    return CLIPTower(config.width, config.layers, config.heads, config.mlp, config.pooled_width, config.activation)


def _joint_width(config: DreamPose3DConfig) -> int:
    return config.guess // 16


def _by_denoisers(config: DreamPose3DConfig) -> bool:
    return config.imagine == "denoisers" and config.num_poses > 1
