"""Diffusion with x_0-prediction: the noise schedule, the forward process and DDIM. Knows nothing of poses."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

Denoise = Callable[[Tensor, int], Tensor]
"""(x_t, t) -> estimate of x_0."""
Noise = Callable[[int], Tensor]
"""Index of the step -> fresh standard normal noise of the state's shape (used where eta > 0)."""


def cosine_alpha_bar(num_steps: int, offset: float = 0.008, max_beta: float = 0.999) -> Float[Tensor, " T"]:
    """The share of signal left at each step, float64 (Nichol & Dhariwal 2021, Eq. 17; betas clipped as there).

    Raises:
        ValueError: If `num_steps` is below 1.
    """
    if num_steps < 1:
        raise ValueError(f"expected at least 1 diffusion step, got {num_steps}")
    progress = torch.arange(num_steps + 1, dtype=torch.float64) / num_steps
    f = torch.cos((progress + offset) / (1 + offset) * math.pi / 2) ** 2
    beta = (1 - f[1:] / f[:-1]).clamp(max=max_beta)
    return torch.cumprod(1 - beta, 0)


def q_sample(
    x_0: Float[Tensor, "B *shape"],
    t: Int[Tensor, " B"],
    eps: Float[Tensor, "B *shape"],
    alpha_bar: Float[Tensor, " T"],
) -> Float[Tensor, "B *shape"]:
    """The forward process: x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps (DreamPose3D, Eq. 8)."""
    a_t = alpha_bar[t.to(alpha_bar.device)].view(-1, *[1] * (x_0.ndim - 1))
    return a_t.sqrt().to(x_0) * x_0 + (1 - a_t).sqrt().to(x_0) * eps


def ddim_times(num_train_steps: int, num_steps: int, span: float = 1.0) -> list[int]:
    """The K + 1 times from T - 1 down to -1 (clean) that DDIM visits, evenly spaced and truncated.

    Args:
        num_train_steps: T.
        num_steps: K.
        span: The share of the schedule, from its noisy end, over which the steps are spread before the last one
            goes to the clean pose. 1 is D3DP's grid.

    Raises:
        ValueError: If the span is not in (0, 1], or there are fewer than 1 or more steps than it holds.
    """
    if not 0 < span <= 1:
        raise ValueError(f"expected a span in (0, 1], got {span}")
    if not 1 <= num_steps <= span * num_train_steps:
        raise ValueError(f"expected 1 to {int(span * num_train_steps)} sampling steps, got {num_steps}")
    last = (1 - span) * num_train_steps - 1
    *times, _ = torch.linspace(num_train_steps - 1, last, num_steps + 1, dtype=torch.float64).tolist()
    return [*map(int, times), -1]


@torch.no_grad()
def ddim_sample(
    denoise: Denoise,
    alpha_bar: Float[Tensor, " T"],
    x_T: Float[Tensor, "*shape"],
    num_steps: int,
    *,
    eta: float = 0.0,
    span: float = 1.0,
    clamp: float | None = None,
    noise: Noise | None = None,
) -> Iterator[Float[Tensor, "*shape"]]:
    """Yield each step's estimate of x_0; the last one is the sample (DDIM: Song et al. 2021, Eq. 12).

    Args:
        denoise: The network; called once a step.
        alpha_bar: The schedule it was trained with, float64 so that 1 - alpha_bar keeps its digits near t = 0.
        x_T: Standard normal noise.
        num_steps: K.
        eta: 0 is deterministic, 1 is DDPM's variance (D3DP's choice).
        span: Share of the schedule over which the steps are spread (see `ddim_times`).
        clamp: If given, what the network sees and says is clipped to +-clamp (D3DP: 1.1), the state itself is not.
        noise: Gives the fresh noise of each step; standard normal draws where not given.

    Raises:
        ValueError: If `num_steps` does not fit the schedule, or `eta` or `span` is outside its range.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"expected eta in [0, 1], got {eta}")
    x_t = x_T
    for step, (t, s) in enumerate(pairwise(ddim_times(len(alpha_bar), num_steps, span))):
        x_0 = _clip(denoise(_clip(x_t, clamp), t), clamp)
        yield x_0
        if s < 0:
            return
        a_t, a_s = float(alpha_bar[t]), float(alpha_bar[s])
        eps = (x_t - math.sqrt(a_t) * x_0) / math.sqrt(1 - a_t)
        sigma = eta * math.sqrt((1 - a_s) / (1 - a_t) * (1 - a_t / a_s))
        x_t = math.sqrt(a_s) * x_0 + math.sqrt(max(0.0, 1 - a_s - sigma**2)) * eps
        if sigma > 0:
            x_t = x_t + sigma * (torch.randn_like(x_t) if noise is None else noise(step))


def _clip(x: Tensor, limit: float | None) -> Tensor:
    return x if limit is None else x.clamp(-limit, limit)
