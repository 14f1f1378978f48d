"""The processes of a training as Accelerate started them: what they may be asked for, and that they agree."""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import os
import platform
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import nn

from sao_data.config import canonical
from sao_data.errors import SaoError, Stopped, UsageError
from sao_data.loading.source import TrainingSource
from sao_data.storage.backend import LocalStorage
from sao_model import launched, run, weights
from sao_model.monitoring import trackers
from sao_model.training import sharding

log = logging.getLogger(__name__)

# What a run's folder holds (run.py), and its lock.
_OURS = {run.CONFIG, run.LOG, run.VALIDATION, run.SOUNDS, run.CHECKPOINTS, run.PAGE, run.TRACKING, "lock"}
_WAYS = "training runs on copies of the whole model (DDP) or on parts of it (FSDP2)"
# What `accelerate launch` or its config file may ask for, and where it is asked for here.
_LAUNCHED = {
    "ACCELERATE_MIXED_PRECISION": "give --set precision=… to the script, and leave --mixed_precision out",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "give --set accumulate=… to the script instead",
    "ACCELERATE_USE_DEEPSPEED": _WAYS,
    "ACCELERATE_USE_MEGATRON_LM": _WAYS,
}
_IS_DIVIDED = "ACCELERATE_USE_FSDP"
# What the config file may say of FSDP: the variable, its key there, the value that works here, and why.
_DIVIDED = (
    ("FSDP_VERSION", "fsdp_version", "2", "version 1 is another thing"),
    ("FSDP_OFFLOAD_PARAMS", "fsdp_offload_params", "false", "it was never tried here"),
    (
        "FSDP_ACTIVATION_CHECKPOINTING",
        "fsdp_activation_checkpointing",
        "false",
        "checkpointing does it",
    ),
    ("FSDP_CPU_RAM_EFFICIENT_LOADING", "fsdp_cpu_ram_efficient_loading", "false", "all processes load it"),
    ("FSDP_AUTO_WRAP_POLICY", "fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP", "block by block"),
    ("FSDP_TRANSFORMER_CLS_TO_WRAP", "fsdp_transformer_layer_cls_to_wrap", "Block", "the blocks' class"),
)
# What Gloo says, in errors without a type of their own, when a process on the other side has gone.
_LOST = re.compile(r"gloo/transport|Connection (closed|reset|refused)|Broken pipe|Timed out waiting", re.I)
_BREATH = 0.2  # seconds in which Gloo's threads may have the interpreter
_held: list[Any] = []  # see _hold_group
_PROBES = 5  # looks for a file that another machine wrote: network file systems are late by seconds


class ProcessSettings(Protocol):
    """What both trainings' configs say of their processes."""

    @property
    def batch_size(self) -> int: ...
    @property
    def accumulate(self) -> int: ...
    @property
    def precision(self) -> str: ...
    @property
    def trackers(self) -> tuple[str, ...]: ...


def make_accelerator(config: ProcessSettings, out: Path, *, may_divide: bool = False) -> Accelerator:
    """Accelerate's view of the processes; on a machine without a GPU they train on the CPU. `may_divide`:
    weights may be divided among processes (FSDP2), if Accelerate was asked for it."""
    precision = config.precision
    if precision not in ("no", "bf16"):
        raise UsageError(
            f"precision: {precision!r}; want no (float32) or bf16 (float16 overflows, and its scaling of "
            "gradients cannot be continued exactly)"
        )
    for name, setting in _LAUNCHED.items():
        asked = os.environ.get(name, "")
        if asked.lower() not in ("", "no", "false", "0", "1", precision):
            raise UsageError(f"accelerate launch: {name}={asked} has no effect here; {setting}")
    plan = sharding.plan() if _is_divided(may_divide) else None
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision=precision,
        log_with=trackers.checked(config.trackers) or None,
        project_dir=out / run.TRACKING,
        fsdp_plugin=plan,
    )
    if plan:
        sharding.divide(accelerator, plan)
    _hold_group()
    return accelerator


def check(accelerator: Accelerator, config: ProcessSettings, dataset: TrainingSource) -> None:
    """UsageError, on all processes, where they cannot train together; else say who trains: the first line."""
    check_share(config.batch_size, config.accumulate, accelerator.num_processes)
    check_agree(accelerator, config, dataset)
    _tell(accelerator, config)


def check_share(batch_size: int, accumulate: int, world: int) -> None:
    """UsageError where a batch does not divide among processes and parts, saying what does."""
    if accumulate < 1:
        raise UsageError(f"accumulate: {accumulate}; want at least 1")
    share, rest = divmod(batch_size, world * accumulate)
    if rest or not share:
        fits = [n for n in range(1, batch_size + 1) if batch_size % (world * n) == 0]
        some = ", ".join(map(str, fits[:6]))
        more = f"want accumulate = {some}" if fits else "start a number of processes that divides it"
        raise UsageError(
            f"batch_size {batch_size} does not divide by {world} processes times accumulate = {accumulate}; "
            f"{more}"
        )


def check_agree(accelerator: Accelerator, config: Any, dataset: TrainingSource) -> None:
    """UsageError on every process, naming those that were started with something else than the first."""
    facts = dataset.facts
    mine = {
        "dataset": f"{facts['name']} {facts['version']} {facts['root_digest'][:12]}",
        "latents": str(facts.get("latents", "")),
        "torch": torch.__version__,
        **{f"config: {name}": value for name, value in _flat(canonical(config))},
    }
    _check_same(accelerator, mine)


def check_same_weights(accelerator: Accelerator, model: nn.Module) -> None:
    """UsageError on every process where one begins with other weights than the first, in any part: only what
    is trained would be made the same."""
    if accelerator.num_processes == 1:
        return
    digests = {name: weights.sha256(dict(part.named_parameters())) for name, part in model.named_children()}
    _check_same(accelerator, {f"{name} (weights)": digest[:12] for name, digest in digests.items()})


def check_shared(accelerator: Accelerator, out: Path) -> None:
    """UsageError on every process if `out` is another folder on another machine: a checkpoint that the first
    process writes must be there for all when they go on."""
    if accelerator.num_processes == 1:
        return
    token = [f"{_token()}"]
    if accelerator.is_main_process:
        (out / token[0]).touch()
    broadcast_object_list(token)
    found = _is_there(out / token[0])
    missing = [place for place, is_there in gather_object([(_place(accelerator), found)]) if not is_there]
    if accelerator.is_main_process:
        (out / token[0]).unlink()
    if missing:
        raise UsageError(
            f"--out {out}: not the same folder on all machines: {missing[0]} does not see what the first "
            "process writes there; give a folder on a file system that they share"
        )


def from_main(accelerator: Accelerator, make: Any) -> Any:
    """What `make()` gives on the main process, on all; an error of it ends all of them alike."""
    answer: list[Any] = [None]
    if accelerator.is_main_process:
        try:
            answer = [make()]
        except SaoError as error:
            answer = [error]
        except OSError as error:  # weather on one machine; the others must not wait for it
            answer = [Stopped(f"{error}; run the same command again")]
    broadcast_object_list(answer)
    if isinstance(answer[0], SaoError):
        raise answer[0]
    return answer[0]


@contextlib.contextmanager
def ending_together() -> Iterator[None]:
    """Stopped where another process has ended: what the network says of that names no cause."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.distributed.DistError) and not _LOST.search(str(error)):
            raise
        raise Stopped(
            "another process has ended or does not answer: what it said last names the cause; run the same "
            "command again to continue from the last checkpoint"
        ) from error


@contextlib.contextmanager
def locked_run(out: Path, accelerator: Accelerator) -> Iterator[None]:
    """Hold the run's folder from its main process: Locked if another training has it; UsageError if it holds
    somebody's files. All processes end alike."""
    lock = contextlib.ExitStack()

    def hold() -> None:
        there = {path.name for path in out.iterdir()} if out.is_dir() else set()
        if there and there.isdisjoint(_OURS):
            raise UsageError(
                f"{out}: not empty, and no training's (found {min(there)}); choose another --out"
            )
        lock.enter_context(LocalStorage(out).lock())

    with lock:
        from_main(accelerator, hold)
        yield


def _check_same(accelerator: Accelerator, mine: dict[str, str]) -> None:
    every = gather_object([(_place(accelerator), mine)])
    first_place, first = every[0]
    for place, other in every[1:]:
        for name in sorted(first.keys() | other.keys()):
            if (theirs := other.get(name)) != (ours := first.get(name)):
                raise UsageError(
                    f"{place} has another {name} than {first_place}: {theirs}, not {ours}; start all "
                    "processes with the same command, files and packages"
                )


def _tell(accelerator: Accelerator, config: ProcessSettings) -> None:
    """Say who trains, on what, how much of a batch each; and where something else was asked for."""
    every: list[tuple[str, str]] = gather_object([(platform.node(), launched.device(accelerator.device))])
    if accelerator.is_main_process:
        world, rest = accelerator.num_processes, launched.instead(accelerator.num_processes)
        how = ", weights divided among them (FSDP2)" if accelerator.state.is_fsdp2 else ""
        share = config.batch_size // world // config.accumulate
        log.info(
            "%s%s; a batch of %d is %d x %d in memory at a time x accumulate = %d",
            launched.crew(every), how, config.batch_size, world, share, config.accumulate,
        )  # fmt: skip
        if rest:
            log.warning("%s", rest)


def _is_divided(may_divide: bool) -> bool:
    """Was FSDP asked for? UsageError for what it cannot do here."""
    if os.environ.get(_IS_DIVIDED, "").lower() not in ("1", "true", "yes"):
        return False
    if not may_divide:
        raise UsageError(
            f"accelerate launch: {_IS_DIVIDED} has no effect here: the codec trains on copies of the whole "
            "model, and so does an adapter, which is small (DDP); leave FSDP out"
        )
    for variable, key, wanted, why in _DIVIDED:
        asked = os.environ.get(variable, "")
        if asked.lower() != wanted.lower():
            raise UsageError(
                f"accelerate launch: {key}: {asked or 'not said'}; want {wanted} ({why}), as in "
                "manifests/accelerate/fsdp2.yaml"
            )
    return True


def _hold_group() -> None:
    """Gloo's threads let go of tensors when they get to it, and need the interpreter for that. Whoever drops
    the last reference to a process group joins them: DDP's reducer holds the interpreter meanwhile, for ever;
    an interpreter that has ended aborts the process. So the last reference is ours, which is dropped by a
    destructor that lets the interpreter go, before that ends."""
    if torch.distributed.is_initialized() and not _held:
        _held.append(torch.distributed.group.WORLD)
        atexit.register(_let_go)


def _let_go() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    gc.collect()  # wrapped modules hold the group, and are in circles
    _held.clear()
    if sharding.was_divided():
        time.sleep(_BREATH)  # PyTorch's memory of what it did to divided tensors holds the group still


def _flat(table: Any, start: str = "") -> Iterator[tuple[str, str]]:
    """Settings by their whole names."""
    if not isinstance(table, dict):
        yield start, str(table)
        return
    for key, value in table.items():
        yield from _flat(value, f"{start}.{key}" if start else key)


def _place(accelerator: Accelerator) -> str:
    return f"process {accelerator.process_index} on {platform.node()}"


def _token() -> str:
    return f".tmp-shared-{secrets.token_hex(8)}"


def _is_there(path: Path) -> bool:
    """Listing the folder makes a network file system look again."""
    return (
        any(path.name in os.listdir(path.parent) for _ in range(_PROBES)) if path.parent.is_dir() else False
    )
