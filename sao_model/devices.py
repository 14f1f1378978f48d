"""The device that a model computes on, and what is said when it has too little memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from sao_data.errors import UsageError

_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def device(name: str) -> torch.device:
    """The device called `name`, '' for the best there is; UsageError if this machine has none such."""
    try:
        wanted = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise UsageError(f"device: {name!r} is none that PyTorch knows; give cpu, cuda or cuda:1") from error
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device: {name}: PyTorch sees {torch.cuda.device_count()} GPUs here; use --device cpu"
        )
    return wanted


@contextlib.contextmanager
def memory_for(advice: str) -> Iterator[None]:
    """Turn what PyTorch raises for want of memory, on a GPU or here, into a UsageError with the advice."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # of a GPU it is torch.OutOfMemoryError, a RuntimeError
        said = str(error).lower()
        if not isinstance(error, MemoryError) and not any(words in said for words in _NO_MEMORY):
            raise
        raise UsageError(f"out of memory: {advice}") from error


def check_precision(precision: str, where: torch.device) -> None:
    """UsageError for half precision on a CPU that has no instructions for it."""
    if precision == "bfloat16" and where.type == "cpu" and not cpu_has_bfloat16():
        raise UsageError(
            "precision: this CPU has neither AMX nor AVX512-BF16, and would take a hundred times as long for "
            "bfloat16 as for float32; leave precision=float32"
        )


def cpu_has_bfloat16() -> bool:
    """Does this CPU multiply matrices of bfloat16?"""
    has = torch.cpu.get_capabilities()
    return bool(has.get("amx_bf16") or has.get("avx512_bf16") or has.get("bf16"))
