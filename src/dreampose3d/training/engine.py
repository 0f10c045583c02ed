"""Where a run computes: its device, precision and processes, which are Lightning Fabric's to know.

The training step is plain torch. Under `torchrun` every process draws the whole batch of a step, takes its own part of
it, and adds its gradients to the others' (`parts.py`), so that the number of processes changes nothing but the time.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from dreampose3d.model.blocks import Block

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_PRECISION: dict[str, Literal["bf16-mixed", "32-true"]] = {"bf16": "bf16-mixed", "fp32": "32-true"}


def fabric_of(device: torch.device, precision: str) -> "Fabric":
    """Fabric for this process, and for those that `torchrun` started beside it.

    Raises:
        ImportError: If Fabric is not installed.
    """
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment
        from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    except ImportError:
        raise ImportError('training needs an extra: pip install "dreampose3d[train]"') from None
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it would tell the precision
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    fabric = Fabric(
        accelerator=device.type,
        devices=here,
        num_nodes=_processes() // here,
        strategy="ddp" if _processes() > 1 else "auto",
        precision=_PRECISION[precision],
        plugins=[TorchElasticEnvironment() if _processes() > 1 else LightningEnvironment()],  # not Slurm's: see docs
    )
    fabric.launch()
    return fabric


def device_of(name: str) -> torch.device:
    """The device of this process.

    Raises:
        ValueError: If it is not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("this machine has no cuda device that torch can use; train with --device cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high")  # TF32
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def is_first() -> bool:
    """Whether this process is the one that reports and writes."""
    return int(os.environ.get("RANK", 0)) == 0


def same_everywhere(model: nn.Module, fabric: "Fabric") -> None:
    """Give every process the first one's weights: machines of different kinds may round fresh ones differently."""
    if fabric.world_size > 1:
        for tensor in model.state_dict().values():
            torch.distributed.broadcast(tensor, 0)


def compile_blocks(model: nn.Module) -> None:
    """Compile the forward of every transformer block, in place; lengths, masks and precisions have a graph each."""
    torch._dynamo.config.recompile_limit = 64
    for part in model.modules():
        if isinstance(part, Block):
            part.compile()


def add_gradients(trained: Sequence[nn.Parameter], fabric: "Fabric") -> None:
    """Replace each process's gradients by their sum, in one message.

    This is all of DDP that a model of this size has use for: there is no wrapper around the model, and the steps that
    leave the prompt out need no search for weights without a gradient, since all processes leave it out.
    """
    if fabric.world_size > 1:
        gradients = [weight.grad for weight in trained if weight.grad is not None]
        flat = total(torch.cat([gradient.flatten() for gradient in gradients]), fabric)
        for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))


def total(tensor: Tensor, fabric: "Fabric") -> Tensor:
    """The sum over all processes, in place."""
    if fabric.world_size > 1:
        torch.distributed.all_reduce(tensor)
    return tensor


def from_first(number: int, fabric: "Fabric") -> int:
    """The first process's number."""
    return int(total(torch.tensor(number if is_first() else 0, device=fabric.device), fabric))


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Take numbers next to zero for zero meanwhile: among the moments they would cost AdamW a third of a step."""
    smallest = torch.finfo(torch.float64).smallest_normal
    before = float(torch.tensor(smallest, dtype=torch.float64) / 2) == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@contextmanager
def stops_wait() -> Iterator[Callable[[], bool]]:
    """Yield whether Ctrl-C was pressed or SIGTERM came: they end a run between steps, as half a step is not resumed."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield lambda: False
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda number, _: received.append(number))
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", 1))
