"""Batches are made where the run computes; shown without a GPU on torch's `meta` device, which has shapes alone."""

import pytest
import torch
from tests.motion import PLAIN, walker
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dreampose3d.data.mocap import MocapClip
from dreampose3d.data.windows import MotionBank, WindowConfig, make_batch

ops = torch.ops.aten
MAY_CROSS = {ops._to_copy.default, ops.copy_.default, ops.index.Tensor, ops.index_put_.default}
"""Copies from device to device; and a GPU takes indices that lie on the CPU."""


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices, as a GPU does, and makes up the numbers that `meta` has not."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is ops._local_scalar_dense.default:
            return 20.0 if args[0].is_floating_point() else 20
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.ndim]
        if function not in MAY_CROSS and len({tensor.device for tensor in given}) > 1:
            raise RuntimeError(f"{function} of tensors on several devices")
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("config", [PLAIN, WindowConfig()], ids=["plain", "default"])
def test_batches_stay_on_their_device(config):
    clip = MocapClip("set", "t", "s", "walking", "train", 50.0, walker(40).astype("float32"))
    bank = MotionBank([clip], ["walking"], device="meta")
    with OneDevice():
        batch = make_batch(bank, 4, 9, 3, config)
    assert {part.device.type for part in batch} == {"meta"}
    assert batch.observed.shape == (4, 9, 17, 3)


def test_a_tensor_that_was_left_on_the_cpu_is_found():
    with OneDevice(), pytest.raises(RuntimeError, match=r"aten.mm.default of tensors on several devices"):
        torch.zeros(3, 3, device="meta") @ torch.zeros(3, 3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_batches_are_drawn_by_the_gpus_own_generator():
    clip = MocapClip("set", "t", "s", "walking", "train", 50.0, walker(40).astype("float32"))
    bank = MotionBank([clip], ["walking"], device="cuda")
    one, same = (make_batch(bank, 4, 9, 3, WindowConfig(), torch.Generator("cuda").manual_seed(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
