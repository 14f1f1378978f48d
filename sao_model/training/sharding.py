"""Tensors that may be divided among processes (FSDP2's DTensor), and whole ones."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


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


def whole_copy(tensor: Tensor) -> Tensor:
    """A copy of the whole tensor on the CPU; where it is divided, all processes take part."""
    whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return whole.detach().to("cpu", copy=True)


@torch.no_grad()
def put(target: Tensor, whole: Tensor) -> None:
    """Overwrite a tensor, divided or not, by the values of a whole one; all processes take part."""
    if isinstance(target, DTensor):
        value = whole.to(target.device, target.dtype)
        target.copy_(distribute_tensor(value, target.device_mesh, target.placements))
    else:
        target.copy_(whole)
