"""What a device can do that decides how a model runs on it."""

from __future__ import annotations

from pathlib import Path

from sao_data.errors import UsageError

_CPUINFO = Path("/proc/cpuinfo")
_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}  # x86, x86, Arm


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


def check_bf16(device: str, cpuinfo: Path = _CPUINFO) -> None:
    """UsageError where bfloat16 would be emulated: on a CPU without it."""
    if device == "cpu" and not cpu_has_bf16(cpuinfo):
        raise UsageError(
            "precision: bf16, but this CPU has neither AMX nor AVX512-BF16 and would take a hundred times as "
            "long; use precision=fp32, or a GPU"
        )
