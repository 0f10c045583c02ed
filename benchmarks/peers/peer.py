"""What a peer is: another network in our denoiser's place, or another schedule, and otherwise our engine."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dreampose3d.diffusion import cosine_alpha_bar
from dreampose3d.model.dreampose import DreamPose3D, wiener_gain
from dreampose3d.model.hallucination import HallucinativePoseDecoder
from dreampose3d.model.prompt import Prompt
from dreampose3d.training.config import Phase, RunConfig
from dreampose3d.training.feed import Feed
from dreampose3d.training.trainer import Run

DENOISER_ALONE: dict[str, Any] = {"guess": False, "affinity": False, "prompt": "none", "num_poses": 1}
"""Our model without SRE, APL, HPD and first guess."""
PHASES = (
    Phase(0.4, 9, 96, prompt=0.1, denoise=0.05),
    Phase(0.35, 27, 32, prompt=0.5, denoise=0.1),
    Phase(0.25, 81, 12, denoise=0.2),
)
"""Windows a step, the same for all: half of what our recipe takes, since a step of some peers costs eight of ours."""


class Peer(NamedTuple):
    """A row of the table."""

    name: str
    """Of its folder."""
    title: str
    change: Mapping[str, Any] = DENOISER_ALONE
    """The fields of the run's configuration that differ from ours."""
    network: Callable[[DreamPose3D], nn.Module] | None = None
    """Makes what takes our denoiser's place, with `Denoiser.forward`'s signature and its tokens' `width`."""
    alpha_bar: Callable[[int], Tensor] = cosine_alpha_bar
    """The schedule of T levels."""
    steps: int | None = None
    """K at which its hypotheses are averaged; None if it is deterministic and has but one."""
    span: float = 1.0
    """Share of the schedule over which these steps are spread."""


class PeerRun(Run):
    """Our engine, unchanged, at work on a peer."""

    peer: Peer

    def __init__(self, config: RunConfig, model: DreamPose3D, feed: Feed) -> None:
        if self.peer.network is not None:
            network: Any = self.peer.network(model)
            model.denoiser = network
            model.decoder = HallucinativePoseDecoder(network.width, 1, model.decoder.root)
        super().__init__(config, model, feed)
        self.alpha_bar = self.peer.alpha_bar(model.config.diffusion_steps)
        if model.config.shrink_noise:
            model.shrink.copy_(wiener_gain(self.alpha_bar))

    @classmethod
    def of(cls, peer: Peer) -> type["PeerRun"]:
        """The engine for one peer."""
        return type(cls.__name__, (cls,), {"peer": peer})


class Deterministic(nn.Module):
    """A network that regresses the pose from the 2D alone: it is shown neither noise nor step."""

    def __init__(self, network: nn.Module, width: int) -> None:
        super().__init__()
        self.network = network
        self.width = width

    def forward(
        self,
        x_t: Float[Tensor, "B N J 3"],
        observed: Float[Tensor, "B N J D"],
        t: Int[Tensor, " B"],
        prompt: Prompt | None,
        time_s: Float[Tensor, "B N"],
        valid: Bool[Tensor, "B N"],
        view: Float[Tensor, "B 2"],
        neighbour: None = None,
        guess: None = None,
    ) -> Float[Tensor, "B N J C"]:
        """Pose tokens; arguments as in `Denoiser.forward`."""
        return self.network(torch.zeros_like(x_t), observed, torch.zeros_like(t), None, time_s, valid, view)  # type: ignore[no-any-return]
