"""Tensors that may be divided among processes (FSDP2's DTensor), and whole ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator, FullyShardedDataParallelPlugin
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy
from torch.distributed.tensor import DTensor, distribute_tensor


def plan() -> FullyShardedDataParallelPlugin:
    """How `accelerate launch` was asked to divide weights, but gathered and averaged in float32: autocast
    makes them bfloat16 as it does copies of the whole model. Accelerate's own policy for bf16 would round the
    noise times and the seconds that go into the model, too."""
    return FullyShardedDataParallelPlugin(mixed_precision_policy=MixedPrecisionPolicy())


def divide(accelerator: Accelerator, how: FullyShardedDataParallelPlugin) -> None:
    """Several processes on CPUs: Accelerate (1.15) leaves FSDP out there without a word. Set what it sets for
    GPUs; the rest of its road is the same."""
    if accelerator.distributed_type == DistributedType.MULTI_CPU:
        accelerator.state.fsdp_plugin = how
        for each in (accelerator.state, PartialState()):  # the second overwrites the first at every look
            each.distributed_type = DistributedType.FSDP


def prepare(
    accelerator: Accelerator, module: nn.Module, optim: torch.optim.Optimizer
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A module as it is wrapped for several processes, and its optimiser. Where weights are divided,
    Accelerate leaves out what it puts around the forward pass of copies: autocast."""
    wrapped, prepared = accelerator.prepare(module, optim)
    if accelerator.state.is_fsdp2:
        plain = wrapped.forward

        def forward(*args: Any) -> Any:
            with accelerator.autocast():
                return plain(*args)

        wrapped.forward = forward
    return wrapped, prepared.optimizer


def trained(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The weights that are learned, by name. Divided ones are so again where a forward pass
    without a backward pass behind it (validation) left them whole."""
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()
    return ((name, p) for name, p in module.named_parameters() if p.requires_grad)


def was_divided() -> bool:
    """Have weights been divided in this process?"""
    return AcceleratorState._shared_state.get("fsdp_plugin") is not None


def is_divided(tensor: Tensor) -> bool:
    """Does each process hold a part of this tensor?"""
    return isinstance(tensor, DTensor)


def local(tensor: Tensor) -> Tensor:
    """This process's part, sharing memory; of a tensor that is not divided, all of it."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def like(part: Tensor, other: Tensor) -> Tensor:
    """A part of this process as a tensor divided like `other`."""
    if not isinstance(other, DTensor):
        return part
    return DTensor.from_local(
        part, other.device_mesh, other.placements, shape=other.shape, stride=other.stride()
    )


def whole(tensor: Tensor) -> Tensor:
    """The whole tensor where it lies; where it is divided, all processes take part."""
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach()


def whole_copy(tensor: Tensor) -> Tensor:
    """A copy of the whole tensor on the CPU; likewise."""
    return whole(tensor).to("cpu", copy=True)


@torch.no_grad()
def put(target: Tensor, whole: Tensor) -> None:
    """Overwrite a tensor, divided or not, by the values of a whole one; all processes take part."""
    if isinstance(target, DTensor):
        value = whole.to(target.device, target.dtype)
        target.copy_(distribute_tensor(value, target.device_mesh, target.placements))
    else:
        target.copy_(whole)
