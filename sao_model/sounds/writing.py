"""A sound as a file: WAV, FLAC or Ogg Vorbis by its suffix, with tags that say what it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import soundfile

from sao_data.errors import IntegrityError, UsageError

Bits = Literal["16", "24", "float"]
SUBTYPES: dict[str, dict[str, str]] = {  # suffix -> bits -> what libsndfile calls it
    ".wav": {"16": "PCM_16", "24": "PCM_24", "float": "FLOAT"},
    ".flac": {"16": "PCM_16", "24": "PCM_24"},
    ".ogg": {"16": "VORBIS"},  # as many bits as it needs
}
TAGS = ("title", "software", "artist", "comment", "copyright", "date")
_BLOCK = 1 << 16  # frames: libsndfile's Vorbis encoder overruns its stack with very many at once


def check_name(path: Path, bits: Bits = "16") -> None:
    """UsageError for a name whose suffix is no format, or one that has no such samples."""
    if path.suffix.lower() not in SUBTYPES or path.parent.is_file():
        raise UsageError(f"--out {path}: want a name that ends in {', '.join(SUBTYPES)}, in a folder")
    there = SUBTYPES[path.suffix.lower()]
    if bits not in there:
        wav = "" if path.suffix.lower() == ".wav" else "; .wav has all"
        raise UsageError(f"bits: {path.suffix} has no {bits} (but {', '.join(there)}){wav}")


def write(
    path: Path,
    samples_CT: npt.NDArray[np.float32],
    sample_rate: int,
    *,
    bits: Bits = "16",
    tags: Mapping[str, str] | None = None,
) -> float:
    """Publish a sound, whole or not at all; return by how much it was scaled: full scale is never exceeded
    but in floating point, which has none. IntegrityError for numbers that are not finite."""
    check_name(path, bits)
    peak = float(np.abs(samples_CT).max())
    if not np.isfinite(peak):
        raise IntegrityError(
            f"{path}: the model gave samples that are not finite; lower cfg_scale or use other weights"
        )
    scale = 1.0 if bits == "float" else 1 / max(peak, 1.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}")
    suffix = path.suffix.lower()
    with soundfile.SoundFile(
        temporary, "w", sample_rate, len(samples_CT), SUBTYPES[suffix][bits], format=suffix[1:].upper()
    ) as file:
        for name, text in (tags or {}).items():
            assert name in TAGS, name
            setattr(file, name, text)
        samples_TC = (samples_CT * np.float32(scale)).T
        for at in range(0, len(samples_TC), _BLOCK):
            file.write(samples_TC[at : at + _BLOCK])
    with temporary.open("rb") as whole:
        os.fsync(whole.fileno())
    os.replace(temporary, path)
    return scale
