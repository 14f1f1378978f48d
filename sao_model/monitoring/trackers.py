"""Trackers beside a run's own log: which there are, whether they are installed, and demo sounds for them.

Scalars and settings go through Accelerate; sounds it does not know, so each tracker gets them in its own way.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import soundfile
from accelerate import Accelerator

from sao_data.errors import UsageError
from sao_model.monitoring.logs import SoundSet

log = logging.getLogger(__name__)

# Tracker as Accelerate calls it -> the package that it needs.
PACKAGES = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "trackio": "trackio",
    "aim": "aim",
    "clearml": "clearml",
    "comet_ml": "comet_ml",
    "dvclive": "dvclive",
    "mlflow": "mlflow",
    "swanlab": "swanlab",
}


def checked(names: Sequence[str]) -> list[str]:
    """The trackers of a config. UsageError for one that is not known, or not installed: Accelerate would
    leave that one out without a word."""
    for name in names:
        if name not in PACKAGES:
            raise UsageError(f"trackers: {name!r} is not known; there are {', '.join(PACKAGES)}")
        if importlib.util.find_spec(PACKAGES[name]) is None:
            raise UsageError(
                f"trackers: {name} needs the package {PACKAGES[name]}, which is not installed; add it to the "
                "environment that trains, or take it out of `trackers`"
            )
    return list(names)


def tell_sounds(accelerator: Accelerator, found: SoundSet) -> None:
    """Give a step's sounds to the trackers that can play them."""
    for tracker in accelerator.trackers:
        if give := _GIVERS.get(tracker.name):
            try:
                for sound in found.sounds:
                    give(
                        tracker.tracker, _tag(sound["file"]), found.folder / sound["file"], sound, found.step
                    )
            except (OSError, soundfile.SoundFileError) as error:  # a full disk does not end a training
                log.warning("%s: step %d has no sounds there (%s)", tracker.name, found.step, error)


def _tag(name: str) -> str:
    """ "sounds/ema-00": the same at every step, so that a tracker has one row for it."""
    return f"sounds/{Path(name).stem}"


def _to_tensorboard(writer: Any, tag: str, path: Path, sound: dict[str, Any], step: int) -> None:
    """TensorBoard's add_audio takes one channel: the mean of both."""
    samples_TC, rate = soundfile.read(path, dtype="float32", always_2d=True)
    writer.add_audio(tag, samples_TC.mean(1), global_step=step, sample_rate=rate)
    writer.add_text(f"{tag}/prompt", sound["prompt"], global_step=step)
    writer.flush()


def _to_wandb(run: Any, tag: str, path: Path, sound: dict[str, Any], step: int) -> None:
    audio = importlib.import_module("wandb").Audio
    run.log({tag: audio(str(path), caption=sound["prompt"])}, step=step)


def _to_trackio(run: Any, tag: str, path: Path, sound: dict[str, Any], step: int) -> None:
    audio = importlib.import_module("trackio").Audio
    run.log({tag: audio(str(path), caption=sound["prompt"])}, step=step)


_GIVERS: dict[str, Callable[[Any, str, Path, dict[str, Any], int], None]] = {
    "tensorboard": _to_tensorboard,
    "wandb": _to_wandb,
    "trackio": _to_trackio,
}
