"""One training run, as data."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dreampose3d.data.windows import WindowConfig


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


@dataclass(frozen=True)
class TrainConfig:
    """One training run; every field is also a command-line option. The defaults trained the weights that ship."""

    data: tuple[Path, ...] = ()
    """Canonical set folders; their `train` split is trained on, `val` (where there is one) is watched."""
    out: Path = Path("runs/small")
    """The run's folder; a run that is found there goes on where it stopped."""
    model: Literal["small", "tiny"] = "small"
    steps: int = 3400
    minutes: float | None = None
    """Wall-clock budget: overrides `steps` by what this machine does in that time."""
    seed: int = 0
    threads: int = 2
    precision: Literal["bf16", "fp32"] = "bf16"
    optimizer: Literal["muon", "adamw"] = "muon"
    """AdamW is the paper's; Muon learns the blocks' matrices in fewer steps (RESULTS.md)."""
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warm_up: float = 0.03
    """Share of the steps; then a cosine down to 1 % of the rate."""
    clip_norm: float = 1.0
    ema: float = 0.999
    at_pure_noise: float = 0.5
    """Share of windows trained at t = T - 1, where H = 1, K = 1 runs; at lower t the 2D hardly matters, since over a
    window of frames the noisy poses give the clean ones away [ours]."""
    lambda_act: float = 0.01
    lambda_bone: float = 0.5
    single_pose: float = 0.25
    """Share of the steps in HPD's first stage (n = 1)."""
    phases: tuple[Phase, ...] = (Phase(0.4, 9, 96, prompt=0.1), Phase(0.35, 27, 32, prompt=0.5), Phase(0.25, 81, 12))
    """Short windows first: for the same cost they show ten times as many different poses [ours]."""
    windows: WindowConfig = field(default_factory=WindowConfig)
    affinity: bool = True
    """False: the ablation without the SRE's affinity."""
    prompt: Literal["learned", "random", "none"] = "learned"
    num_poses: int = 3
    """HPD's n; 1 is the ablation without hallucination."""
    validate_every: int = 100
    save_every: int = 100

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"expected at least 1 step, got {self.steps}")
        if abs(sum(phase.share for phase in self.phases) - 1) > 1e-6:
            raise ValueError("the shares of the phases must add up to 1")

    def phase(self, step: int) -> Phase:
        """The phase that a step belongs to."""
        progress, end = step / self.steps, 0.0
        for phase in self.phases:
            end += phase.share
            if progress < end - 1e-9:
                return phase
        return self.phases[-1]
