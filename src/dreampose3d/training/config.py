"""One training run, as data: what every run has, and what motion capture and the benchmarks each add to it."""

import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args, get_type_hints

from dreampose3d.data.vocabulary import load_vocabulary
from dreampose3d.data.windows import WindowConfig
from dreampose3d.model.dreampose import PRESETS, DreamPose3DConfig, Imagination
from dreampose3d.skeleton import H36M_17, MPI_INF_3DHP_17

_PLAIN = (bool, int, float, str)
"""What a field of the model's configuration may be to be changed by name."""

Dataset = Literal["h36m", "3dhp", "mlb"]


@dataclass(frozen=True)
class Phase:
    """A stretch of training with windows of one length."""

    share: float
    """Of all steps."""
    frames: int
    batch: int
    prompt: float = 1.0
    """Share of steps that run the prompt. The tower costs as much as a short window's denoiser; without it the
    prompt's two entries add nothing, as at their start [ours]."""
    denoise: float = 1.0
    """Share of steps that train the denoiser; the others train the first guess alone, at an eighth of the cost [ours].
    Only where the model has a first guess."""

    def denoises(self, step: int) -> bool:
        """Whether a step trains the denoiser: every so many do."""
        return int((step + 1) * self.denoise) > int(step * self.denoise)

    @property
    def kinds(self) -> list[tuple[float, "Phase"]]:
        """The shares of steps that cost alike, each as a phase of its own."""
        parts = [(1 - self.denoise, replace(self, denoise=0.0)), (self.denoise, replace(self, denoise=1.0))]
        return [(share, kind) for share, kind in parts if share > 0]


@dataclass(frozen=True, kw_only=True)
class RunConfig(ABC):
    """What every run has; every field is also a command-line option."""

    data: tuple[Path, ...] = ()
    """Canonical set folders; their `train` split is trained on, `val` (where there is one) is watched."""
    out: Path = Path("runs/small")
    """The run's folder; a run that is found there goes on where it stopped."""
    model: Literal["paper", "base", "small", "tiny"] = "small"
    init: str | None = None
    """Weights to start from: a file, or the name of those that ship. The model takes their form, the optimisers start
    afresh."""
    join: str | None = None
    """Other weights, whose first guess joins those of `init`, which have none: the run begins at the mean of the two
    models' poses, which is better than either where their mistakes differ."""
    clip: str | None = None
    """CLIP as the text tower: a folder in the format of `transformers`, or a repository of the hub with
    `clip_revision`. Where not given, `small` has MiniLM; `paper` must be given one."""
    clip_revision: str | None = None
    """The commit of that repository, all 40 digits."""
    vocabulary: str = "mocap"
    """The intents: mocap, h36m, 3dhp, pitching, or a file of that form (`data/vocabulary.json`)."""
    steps: int = 3400
    budget: str | None = None
    """Wall-clock time for the training, such as 90s, 25m or 2h: overrides `steps` by what this machine does in it."""
    core_minutes: float | None = None
    """A budget in CPU time of all threads, whatever else runs on the machine: an equal one for unequal models."""
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    threads: int = 2
    precision: Literal["bf16", "fp32"] = "bf16"
    accumulate: int = 1
    """Parts in which each process goes through its share of a batch, one after the other: less memory, and (up to
    rounding) the same gradient."""
    compile: bool = False
    """Let torch.compile fuse the transformer blocks, once for each length of window: for long runs on a GPU. On a CPU
    it takes minutes and gains nothing (1.04 against 1.00 s of CPU time a step of `small`)."""
    optimizer: Literal["muon", "adamw"] = "muon"
    """AdamW is the paper's; Muon learns the blocks' matrices in fewer steps (RESULTS.md)."""
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.99)
    """AdamW's."""
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    ema: float = 0.999
    at_pure_noise: float = 0.5
    """Share of windows trained at t = T - 1, where H = 1, K = 1 runs; at lower t the 2D hardly matters, since over a
    window of frames the noisy poses give the clean ones away [ours]."""
    own_guess: float = 0.0
    """Share of steps in which the noisy poses are noised guesses of the network's own, made from the same noise at
    t = T - 1, as a sampler of K > 1 steps shows them: the truth's are better than it will ever have [ours]."""
    clamp: float | None = None
    """Clip what the network sees of noisy poses to +- this many metres, as the sampler then must (D3DP: 1.1)."""
    lambda_pose: float = 1.0
    """0 is the ablation without L'_3D, which does not converge."""
    lambda_act: float = 0.01
    lambda_bone: float = 0.5
    lambda_velocity: float = 0.0
    """Of the L1 on what the centre pose does from frame to frame, in metres: without it the network hands the jitter
    of a detector on to the 3D [ours; MixSTE and MotionBERT have such terms]."""
    single_pose: float = 0.25
    """Share of the steps in HPD's first stage (n = 1); 0 is the ablation with all n poses from the first step."""
    falloff: bool = False
    """Ablation: supervise the neighbours at distance k in a share of 1 / (1 + |k|) of the steps, at full weight,
    instead of in all steps with that weight."""
    guess: bool = True
    """False: the ablation without the first guess, where the model has one."""
    affinity: bool = True
    """False: the ablation without the SRE's affinity."""
    prompt: Literal["learned", "random", "none"] = "learned"
    tower: Literal["text", "random"] = "text"
    """"random": the ablation whose tower knows no language, as its weights are shuffled within each matrix."""
    change: tuple[str, ...] = ()
    """Other fields of the model's configuration than the preset's, as NAME=JSON: gated_affinity=false, guess=256."""
    num_poses: int = 3
    """HPD's n; 1 is the ablation without hallucination."""
    imagine: Imagination = "decoder"
    """Who imagines the neighbours: HPD's decoder, or (ablation) n runs of the denoiser with shared weights."""
    validate_every: int = 100
    save_every: int = 100

    @property
    @abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """Stretches of training, in order; their shares add up to 1."""

    @abstractmethod
    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""

    @property
    @abstractmethod
    def trained_on(self) -> tuple[str, ...]:
        """Names of the data sets, for the weights' card."""

    @property
    def second_stage(self) -> int:
        """The step from which on HPD decodes all n poses."""
        return math.ceil(self.single_pose * self.steps)

    def phase(self, step: int) -> Phase:
        """The phase that a step belongs to."""
        progress, end = step / self.steps, 0.0
        for phase in self.phases:
            end += phase.share
            if progress < end - 1e-9:
                return phase
        return self.phases[-1]

    def architecture(self) -> DreamPose3DConfig:
        """The model's preset with the ablations and the vocabulary of this run."""
        vocabulary, preset = load_vocabulary(self.vocabulary), PRESETS[self.model]()
        if preset.guess and not self.guess:
            preset = replace(preset, guess=0, whole_pose=True)  # which the guess had made superfluous
        whole = replace(
            preset,
            affinity=self.affinity,
            prompt=self.prompt,
            num_poses=self.num_poses,
            imagine=self.imagine,
            labels=vocabulary.training,
            phrases=tuple(vocabulary.training_phrases),
        )
        return with_changes(whole, self.change)


def with_changes(config: DreamPose3DConfig, changes: tuple[str, ...]) -> DreamPose3DConfig:
    """A model's configuration with fields changed by NAME=JSON.

    Raises:
        ValueError: If one is of another form, names no field, or is of another type than what it replaces.
    """
    for change in changes:
        name, _, text = change.partition("=")
        before = config.to_dict()
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text  # a bare word
        fields = {key: type(old) for key, old in before.items() if isinstance(old, _PLAIN)}
        choices = get_args(get_type_hints(DreamPose3DConfig).get(name))
        if type(value) is not fields.get(name) or (choices and value not in choices):
            kinds = [f"{key} ({kind.__name__})" for key, kind in fields.items()]
            raise ValueError(
                f"expected a change of the model as NAME=VALUE, got {change!r}; there are {', '.join(kinds)}"
            )
        config = DreamPose3DConfig.from_dict(before | {name: value})
    return config


@dataclass(frozen=True, kw_only=True)
class TrainConfig(RunConfig):
    """A run on motion capture, seen by virtual cameras. The defaults are the first stage of the weights that ship."""

    warm_up: float = 0.03
    """Share of the steps; then a cosine down to 1 % of the rate."""
    phases: tuple[Phase, ...] = (
        Phase(0.4, 9, 192, prompt=0.1, denoise=0.03),
        Phase(0.35, 27, 64, prompt=0.5, denoise=0.06),
        Phase(0.25, 81, 24, denoise=0.1),
    )
    """Short windows first: for the same cost they show ten times as many different poses [ours]."""
    windows: WindowConfig = field(default_factory=WindowConfig)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"expected at least 1 step, got {self.steps}")
        if self.model == "paper":
            raise ValueError(
                "the paper's model takes a benchmark's own cameras and windows: train it with --preset "
                "paper-h36m-cpn, paper-h36m-gt, paper-3dhp or paper-mlb"
            )
        if abs(sum(phase.share for phase in self.phases) - 1) > 1e-6:
            raise ValueError("the shares of the phases must add up to 1")

    def rate_at(self, step: int) -> float:
        """Linear warm-up, then a cosine down to 1 %."""
        progress = step / self.steps
        if progress < self.warm_up:
            return self.learning_rate * progress / self.warm_up + 1e-9
        along = min(1.0, (progress - self.warm_up) / (1 - self.warm_up))
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * along)))

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The folders' names."""
        return tuple(sorted({folder.name for folder in self.data}))


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig(RunConfig):
    """A run on a benchmark's own cameras and 2D, as the paper trains; see `training/recipes.py`.

    What the paper leaves open is D3DP's (decay an epoch, clamp) or ours (average, gradient norm, share at t = T - 1).
    """

    dataset: Dataset = "h36m"
    data: tuple[Path, ...] = ()
    """The folder of the data set's files."""
    keypoints: str = "gt"
    """The 2D: gt, or a set's detections by name (Human3.6M: cpn_ft_h36m_dbb)."""
    scale: Literal["univ", "annot3"] = "univ"
    """Of MPI-INF-3DHP's 3D: people of one height (univ_annot3, protocol A) or of their true one (annot3, B)."""
    hold_out: tuple[str, ...] = ()
    """Training subjects that are watched instead of trained on: the weights are then the average of the step that did
    best on them. With none, they are the last average. A test subject is never asked."""
    frames: int = 243
    """N."""
    batch: int = 4
    epochs: int = 100
    steps: int = 0
    """0: what the epochs take."""
    decay: float = 0.993
    """The learning rate's factor after each epoch (D3DP)."""
    out: Path = Path("runs/paper")
    model: Literal["paper", "base", "small", "tiny"] = "paper"
    vocabulary: str = "h36m"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["bf16", "fp32"] = "fp32"
    optimizer: Literal["muon", "adamw"] = "adamw"
    learning_rate: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-4
    at_pure_noise: float = 0.1
    clamp: float | None = 1.1
    validate_every: int = 2000
    save_every: int = 1000

    def __post_init__(self) -> None:
        if min(self.epochs, self.frames, self.batch) < 1:
            raise ValueError(
                "expected at least 1 epoch, 1 frame and 1 window in a batch, got "
                f"{self.epochs}, {self.frames} and {self.batch}"
            )

    @property
    def phases(self) -> tuple[Phase, ...]:
        """One, of windows of N frames."""
        return (Phase(1.0, self.frames, self.batch),)

    def rate_at(self, step: int) -> float:
        """A little less after each epoch."""
        return float(self.learning_rate * self.decay ** (step * self.epochs // self.steps))

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The benchmark's name."""
        return (self.dataset,)

    def architecture(self) -> DreamPose3DConfig:
        """The preset for windows of N frames of this set's joints, in screen coordinates."""
        skeleton = MPI_INF_3DHP_17 if self.dataset == "3dhp" else H36M_17
        return replace(super().architecture(), frames=self.frames, camera="screen", skeleton=skeleton.name)
