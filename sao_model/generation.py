"""A sound from a checkpoint: FILE.wav, and FILE.json that says how it was made."""

from __future__ import annotations

import json
import math
import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from sao_data.config import canonical
from sao_data.errors import IntegrityError, UsageError
from sao_model import declared

if TYPE_CHECKING:  # PyTorch takes seconds to import: whoever only asks or errs does not wait for it
    from torch import Tensor

    from sao_model import checkpoint
    from sao_model.model import Progress

_SECONDS = 10.0  # of a sound for which no length was asked, or the model's window if that is shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One generation; the defaults are the paper's (5.1)."""

    prompt: str = ""
    seconds: float | None = None  # not given: 10, or the window if that is shorter
    steps: int = 100
    cfg_scale: float = 7.0
    seed: int | None = None  # not given: drawn at random, printed and written into FILE.json
    negative_prompt: str = ""
    sampler: str = "dpmpp-2m-sde"
    device: str = ""  # "" = the GPU if there is one
    release: declared.Use = field(default_factory=declared.Use)


def generate(
    folder: str, config: Config, out: Path, progress: Progress | None = None, *, overwrite: bool = False
) -> Path:
    """Write the wav (16 bit) and its facts; UsageError for what the model cannot do, before it is loaded."""
    config = with_seed(config)
    check(folder, config, out, overwrite=overwrite)
    from sao_model import opened
    from sao_model.model import check_request, device

    where = device(config.device or _best_device())
    found = opened.find(folder)
    described = found.describe()
    config = _with_length(config, described)
    request = config.prompt, config.seconds or 0.0
    check_request(
        described.config, *request, steps=config.steps, cfg_scale=config.cfg_scale, sampler=config.sampler
    )
    release = declared.check_use(found.folder, config.release)
    model = found.load().to(where).eval()
    audio = model.generate(
        *request,
        steps=config.steps,
        cfg_scale=config.cfg_scale,
        seed=config.seed or 0,
        negative_prompt=config.negative_prompt,
        sampler=config.sampler,
        progress=progress,
    )
    peak = write_wav(out, audio, described.config.sample_rate)
    facts = canonical(config)
    assert isinstance(facts, dict)
    facts |= release | {
        "ran_on": str(where),
        "model": described.config.name,
        "model_digest": _digests(described),
        "peak": peak,
        "scaled_by": round(1 / peak, 6) if peak > 1 else 1.0,
    }
    out.with_suffix(".json").write_text(
        json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    )
    return out


def with_seed(config: Config) -> Config:
    """The same with a seed, a random one where none was given."""
    return config if config.seed is not None else replace(config, seed=secrets.randbelow(1 << 32))


def check(folder: str, config: Config, out: Path, *, overwrite: bool = False) -> None:
    """UsageError for what is wrong whatever the model, before anything is imported or loaded."""
    if out.suffix != ".wav" or out.parent.is_file():
        raise UsageError(f"--out {out}: want a name that ends in .wav, in a folder")
    for path in (out, out.with_suffix(".json")):
        if path.exists() and not overwrite:
            raise UsageError(
                f"{path}: is there already and is not overwritten; give another --out, or --overwrite"
            )
    if not config.prompt.strip():
        raise UsageError("prompt: empty; say what to generate, e.g. --prompt 'rain on a tin roof'")
    if config.seed is not None and not 0 <= config.seed < 2**63:
        raise UsageError(f"seed: {config.seed}; give a number from 0 to 2^63 - 1")
    if not Path(folder).is_dir():
        raise UsageError(f"--model {folder}: no such folder; give a checkpoint, or a run that has some")


def is_made(folder: str, config: Config, out: Path) -> bool:
    """Was this sound made already, by this model and these settings?"""
    try:
        facts = json.loads(out.with_suffix(".json").read_text())
    except (FileNotFoundError, ValueError):
        return False
    from sao_model import opened

    found = opened.find(folder)
    described = found.describe()
    wanted = canonical(_with_length(config, described))
    assert isinstance(wanted, dict)
    if config.seed is None:
        del wanted["seed"]  # any will do
    wanted |= {"model_digest": _digests(described)}
    wanted |= declared.facts_of_use(found.folder, config.release)
    return out.exists() and all(facts.get(key) == value for key, value in wanted.items())


def write_wav(path: Path, audio_CT: Tensor, sample_rate: int) -> float:
    """Publish audio as a 16-bit WAV, scaled down if its peak is above full scale; return the peak."""
    samples_CT = audio_CT.numpy()
    peak = float(np.abs(samples_CT).max())
    if not math.isfinite(peak):
        raise IntegrityError(
            f"{path}: the model gave samples that are not finite; lower cfg_scale or use other weights"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}")
    soundfile.write(temporary, (samples_CT / max(peak, 1.0)).T, sample_rate, subtype="PCM_16", format="WAV")
    os.replace(temporary, path)
    return peak


def _with_length(config: Config, described: checkpoint.Description) -> Config:
    """The config with the length that is meant where none is given."""
    window = described.config.num_frames / described.config.sample_rate
    return config if config.seconds is not None else replace(config, seconds=min(_SECONDS, window))


def _digests(described: checkpoint.Description) -> dict[str, str]:
    return {name: part.sha256 for name, part in described.parts.items() if part.sha256}


def _best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
