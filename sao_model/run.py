"""A training run's folder, and which of its checkpoints to go on from.

RUN/config.json               what is trained, as it was asked for
RUN/log.jsonl                 one JSON object a line: step, losses, rate, seconds
RUN/validation.jsonl          one a line: step, weights (ema or raw), their distances on the validation series
RUN/sounds/step-00000100/     what the model makes of fixed prompts and seeds
RUN/tracking/                 what TensorBoard and other trackers write
RUN/checkpoints/latest        name of the newest whole checkpoint
RUN/checkpoints/step-00000100/  a loadable model folder of averaged weights; in it also
    training.safetensors      weights as trained, averages and the optimiser's moments
    loop.json                 step and data position: all else that a resume needs
    training_data.json        which samples these weights have seen, and what their works ask of a release
    README.md                 the model's card

Of a training that learns an adapter, each is an adapter's folder (adapters/folders.py).
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from sao_data.errors import IntegrityError, UsageError
from sao_data.storage import checksums
from sao_model import declared

log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
LOOP = "loop.json"
DATA = declared.DATA
LATEST = "latest"
LOG, VALIDATION, SOUNDS, CONFIG = "log.jsonl", "validation.jsonl", "sounds", "config.json"
PAGE, TRACKING = "index.html", "tracking"
ADAPTER = "adapter.json"  # in the place of model.json, where an adapter was learned
_TEMPORARY = ".tmp-"  # begins the names of what was not finished
_DAMAGED = "damaged-"  # begins those of checkpoints that were found so


def checkpoints(run: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    return sorted(path for path in (run / CHECKPOINTS).glob("step-*") if _is_checkpoint(path))


def checkpoint_folder(run: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run / CHECKPOINTS / f"step-{step:08d}"


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint's folder."""
    return int(checkpoint.name.removeprefix("step-"))


def resolve(path: str | Path) -> Path:
    """A checkpoint folder, given itself or its run (then the latest one)."""
    folder = Path(path)
    if _is_checkpoint(folder):
        return folder
    found = checkpoints(folder)
    if not found:
        raise UsageError(f"{folder}: neither a checkpoint (no model.json) nor a run with checkpoints in it")
    return found[-1]


def to_resume(out: Path, resume: str) -> Path | None:
    """The checkpoint to continue from: "auto" the newest of the run that is whole, "never" none, else the one
    given. One that is damaged is set aside, and that is said."""
    found = checkpoints(out)
    if resume == "never":
        if found:
            raise UsageError(
                f"{out}: has {found[-1].name} already; --resume auto continues, or give another --out"
            )
        return None
    if resume == "auto":
        return _newest_whole(out, found)
    given = resolve(resume)
    if found and given.resolve().parent != (out / CHECKPOINTS).resolve():
        log.info("%s: goes on from its own checkpoints, not from %s again", out, given)
        return _newest_whole(out, found)
    if found and given.resolve() in [path.resolve() for path in found[:-1]]:
        raise UsageError(
            f"{given}: {out} has {found[-1].name} already, in the way; give another --out, or "
            "delete the later checkpoints"
        )
    return given


def problem(checkpoint: Path) -> str:
    """What is wrong with a checkpoint's files; '' = nothing."""
    try:
        named = checksums.read(checkpoint)
    except IntegrityError as error:
        return str(error)
    for name, sha256 in named.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{path}: missing"
        if checksums.sha256(path) != sha256:
            return f"{path}: not the bytes that {checksums.FILE} names"
    return ""


def clear_unfinished(run: Path) -> None:
    """Delete what a run that was killed had not finished writing."""
    for leftover in (run / CHECKPOINTS).glob(f"{_TEMPORARY}*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def point(checkpoint: Path) -> None:
    """Say that this checkpoint is the newest: the last thing that saving does."""
    write(checkpoint.parent / LATEST, f"{checkpoint.name}\n".encode())


def write(path: Path, data: bytes) -> None:
    """Publish a small file, whole or not at all."""
    temporary = path.with_name(f"{_TEMPORARY}{path.name}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _is_checkpoint(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("model.json", ADAPTER))


def _newest_whole(run: Path, found: list[Path]) -> Path | None:
    """The newest checkpoint whose files are all as their digests say; damaged ones are renamed."""
    for checkpoint in reversed(found):
        said = problem(checkpoint)
        if not said:
            return checkpoint
        aside = checkpoint.with_name(f"{_DAMAGED}{checkpoint.name}")
        if aside.exists():
            shutil.rmtree(aside)
        os.replace(checkpoint, aside)
        log.warning("%s; set aside as %s, going on with the one before it", said, aside.name)
    folder = run / CHECKPOINTS
    if any(folder.glob(f"{_DAMAGED}*")):  # of this start, or of one before
        raise IntegrityError(
            f"{folder}: no checkpoint is whole; restore one from a copy, or train into another --out"
        )
    return None
