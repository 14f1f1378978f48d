"""The device that a model computes on, and what is said when it has too little memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch

from sao_data.errors import UsageError

_CPUINFO = Path("/proc/cpuinfo")
_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}  # x86, x86, Arm
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def device(name: str) -> torch.device:
    """The device called `name`, '' for the best there is; UsageError if this machine has none such."""
    try:
        wanted = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise UsageError(f"device: {name!r} is none that PyTorch knows; give cpu, cuda or cuda:1") from error
    if wanted.type not in ("cpu", "cuda"):
        raise UsageError(f"device: {name}: only cpu and cuda are known to work; give one of them")
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


def check_precision(precision: str, where: torch.device, cpuinfo: Path = _CPUINFO) -> None:
    """UsageError for a precision that is not known, and for bf16 on a CPU that would emulate it."""
    if precision not in ("fp32", "bf16"):
        raise UsageError(f"precision: {precision!r}; give fp32 or bf16")
    if precision == "bf16" and where.type == "cpu" and not cpu_has_bf16(cpuinfo):
        raise UsageError(
            "precision: bf16, but this CPU has neither AMX nor AVX512-BF16 and would take a hundred times as "
            "long; use precision=fp32, or a GPU"
        )


def cpu_has_bf16(cpuinfo: Path = _CPUINFO) -> bool:
    """Can this processor multiply bfloat16? Without that it emulates, some hundred times slower than float32.
    False also where the system does not say (no /proc/cpuinfo)."""
    if not cpuinfo.exists():
        return False
    lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
    flags = {
        flag for key, _, value in lines if key.strip() in ("flags", "Features") for flag in value.split()
    }
    return bool(flags & _BF16)
