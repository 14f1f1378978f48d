"""The processes of a training as Accelerate started them, and whose the run's folder is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from accelerate import Accelerator

from sao_data.errors import UsageError
from sao_data.storage.backend import LocalStorage

_OURS = {"config.json", "log.jsonl", "checkpoints", "lock"}  # what a run's folder holds (run.py)
# What `accelerate launch` or its config file may ask for, and where it is asked for here.
_LAUNCHED = {
    "ACCELERATE_MIXED_PRECISION": "give --set precision=… to the script, and leave --mixed_precision out",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "batch_size is that of all processes together",
    "ACCELERATE_USE_FSDP": "training runs on copies of the whole model (DDP); leave FSDP out",
    "ACCELERATE_USE_DEEPSPEED": "training runs on copies of the whole model (DDP); leave DeepSpeed out",
    "ACCELERATE_USE_MEGATRON_LM": "training runs on copies of the whole model (DDP); leave Megatron-LM out",
}


def make_accelerator(precision: str) -> Accelerator:
    """Accelerate's view of the processes; on a machine without a GPU they train on the CPU."""
    if precision not in ("no", "bf16", "fp16"):
        raise UsageError(f"precision: {precision!r}; want no (float32), bf16 or fp16")
    if precision == "fp16" and not torch.cuda.is_available():
        raise UsageError("precision: fp16 needs a GPU, and there is none; set no (float32) or bf16")
    for name, setting in _LAUNCHED.items():
        asked = os.environ.get(name, "")
        if asked.lower() not in ("", "no", "false", "0", "1", precision):
            raise UsageError(f"accelerate launch: {name}={asked} has no effect here; {setting}")
    return Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=precision)


@contextlib.contextmanager
def locked_run(out: Path, accelerator: Accelerator) -> Iterator[None]:
    """Hold the run's folder from its main process: Locked if another training has it; UsageError if it holds
    somebody's files."""
    if not accelerator.is_main_process:
        yield
        return
    there = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if there and there.isdisjoint(_OURS):
        raise UsageError(f"{out}: not empty, and no training's (found {min(there)}); choose another --out")
    with LocalStorage(out).lock():
        yield
