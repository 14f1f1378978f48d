"""Made audio for benchmarks/audio.py: compressible, like music, unlike white noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

RATE = 44_100
Floats = npt.NDArray[np.float32]


def sound(seconds: int, rate: int, *, seed: int) -> Floats:
    """Notes with overtones over coloured noise, (frames, 2)."""
    random = np.random.default_rng(seed)
    at = np.arange(seconds * rate) / rate
    noise = np.cumsum(random.standard_normal((len(at), 2)), axis=0)
    noise -= np.linspace(noise[0], noise[-1], len(at))
    wave = 0.05 * noise / np.abs(noise).max()
    for hz in random.uniform(80, 900, size=6):
        decay = np.exp(-3 * (at * random.uniform(0.5, 2) % 1))
        for overtone in range(1, 6):
            pan = random.uniform(0.2, 1, size=2)
            wave += (0.08 / overtone * decay * np.sin(2 * np.pi * hz * overtone * at))[:, None] * pan
    wave += 0.002 * random.standard_normal(wave.shape)
    return np.asarray(0.7 * wave / np.abs(wave).max(), dtype=np.float32)


def write_minutes(path: Path, minutes: int) -> None:
    """An MP3 of so many minutes, one over and over; of a second for 0."""
    minute = sound(60, 48_000, seed=3)
    with soundfile.SoundFile(path, "w", 48_000, 2, "MPEG_LAYER_III", format="MP3") as file:
        for _ in range(minutes or 1):
            file.write(minute if minutes else minute[:48_000])
