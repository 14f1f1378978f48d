"""What the weights sound like while they train: the same prompts, seeds and windows at every checkpoint.

RUN/sounds/step-00000100/ema-00.flac  averaged weights      raw-00.flac  weights as trained
                         original-00.flac  what a codec was given
                         sounds.json  of each file: weights, prompt, seed, seconds
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import soundfile
import torch
from torch import Tensor

from sao_data.errors import UsageError
from sao_data.records import SAMPLE_RATE
from sao_model import run, weights
from sao_model.codec import Codec
from sao_model.model import StableAudioModel
from sao_model.request import USUAL_SECONDS, Guidance, Sampling, Sound
from sao_model.sounds import writing
from sao_model.training import sharding, snapshot, state
from sao_model.training.ema import Ema
from sao_model.training.validation import Windows

if TYPE_CHECKING:
    from sao_model.training.loop import Loop

FILE = "sounds.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What is made; pace.sample_every says how often."""

    prompts: tuple[str, ...] = (
        "rain on a tin roof",
        "a dog barks twice",
        "slow piano chords in a large hall",
        "drum loop, 120 bpm",
    )
    seed: int = 0  # of the first prompt; the others' follow
    seconds: float = 0.0  # 0: ten, or the window if that is shorter
    steps: int = 50
    cfg_scale: float = 7.0
    num_windows: int = 4  # that a codec reconstructs, on the main process

    def __post_init__(self) -> None:
        if not self.prompts or self.steps < 1 or self.num_windows < 1:
            raise UsageError("demos: want at least one prompt, one step and one window")


@torch.no_grad()
def generate(model: StableAudioModel, average: Ema, config: Config, here: Loop, step: int) -> None:
    """Sounds of the prompts, from averaged weights and from those as trained. Processes share the prompts."""
    window = model.config.num_frames / model.config.sample_rate
    seconds = min(config.seconds or USUAL_SECONDS, window)
    how = Sampling(steps=config.steps, guidance=Guidance(), cfg_scale=config.cfg_scale)
    rank, world = here.accelerator.process_index, here.accelerator.num_processes
    folder = _folder(here, step)
    with here.timed("sounds"):
        for which, applied in (("ema", average.applied()), ("raw", contextlib.nullcontext())):
            with applied, here.accelerator.autocast():
                complete = whole(model)
                for n in range(rank, len(config.prompts), world):
                    sound = Sound(prompt=config.prompts[n], seconds=seconds, seed=config.seed + n)
                    (made_CT,) = complete.generate([sound], how)
                    _write(folder / f"{which}-{n:02d}.flac", made_CT, model.config.sample_rate)
        here.accelerator.wait_for_everyone()
    facts = [
        {"file": f"{which}-{n:02d}.flac", "weights": which, "prompt": prompt, "seed": config.seed + n}
        for n, prompt in enumerate(config.prompts)
        for which in ("ema", "raw")
    ]
    _list(folder, [{**fact, "seconds": round(seconds, 3)} for fact in facts], here)


@torch.no_grad()
def reconstruct(codec: Codec, average: Ema, held: Windows, config: Config, here: Loop, step: int) -> None:
    """What the codec makes of the first windows, by averaged weights and by those as trained."""
    folder, facts = _folder(here, step), []
    shown = (held.heard() or held.samples)[: config.num_windows] if here.accelerator.is_main_process else ()
    with here.timed("sounds"):
        for which, applied in (("ema", average.applied()), ("raw", contextlib.nullcontext())):
            with applied:
                for n, sample in enumerate(shown):
                    x_BCT = torch.from_numpy(sample.audio)[None].to(here.accelerator.device)
                    made_BCT = codec.decode_in_chunks(codec.encode_in_chunks(x_BCT).mean_BDL)
                    _write(folder / f"{which}-{n:02d}.flac", made_BCT[0], SAMPLE_RATE)
                    if which == "ema":
                        _write(folder / f"original-{n:02d}.flac", x_BCT[0], SAMPLE_RATE)
        here.accelerator.wait_for_everyone()
    for n, sample in enumerate(shown):
        seconds = round(sample.audio.shape[-1] / SAMPLE_RATE, 3)
        for which in ("original", "ema", "raw"):
            fact: dict[str, Any] = {"file": f"{which}-{n:02d}.flac", "weights": which, "prompt": sample.key}
            facts.append({**fact, "seed": None, "seconds": seconds})
    _list(folder, facts, here)


def whole(model: StableAudioModel) -> StableAudioModel:
    """The model; where its weights are divided among processes, a copy that has all: only a whole forward
    pass puts divided ones together, and a sampler calls parts of it."""
    named = dict(model.dit.named_parameters())
    if not any(map(sharding.is_divided, named.values())):
        return model
    complete = snapshot.empty(model.config)
    complete.codec, complete.text = model.codec, model.text
    for name in ("dit", "conditioners"):
        parts = model.get_submodule(name).named_parameters()
        weights.put(complete.get_submodule(name), {n: sharding.whole(p) for n, p in parts})
    return complete


def _folder(here: Loop, step: int) -> Path:
    folder = here.out / run.SOUNDS / f"step-{step:08d}"
    with _going_on(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _going_on(path: Path) -> Iterator[None]:
    """A full disk does not end a training: what could not be written is said."""
    try:
        yield
    except (OSError, soundfile.SoundFileError) as error:
        log.warning("%s: not written (%s)", path, error)


def _write(path: Path, made_CT: Tensor, sample_rate: int) -> None:
    """A sound that is not finite is left out: weights may be anything while they train."""
    sound_CT = made_CT.float().cpu().numpy()
    if not bool(torch.isfinite(made_CT).all()):
        return
    with _going_on(path):
        writing.write(path, sound_CT, sample_rate)


def _list(folder: Path, facts: list[dict[str, Any]], here: Loop) -> None:
    if here.accelerator.is_main_process:
        there = [fact for fact in facts if (folder / fact["file"]).is_file()]
        with _going_on(folder / FILE):
            run.write(folder / FILE, state.as_json(there))
