"""Sounds for the matching of short and steady ones: what is nearly alike and no copy, and what is one."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import soundfile

from sao_data.audio import chromaprint
from sao_data.audio.measuring.spectral_hash import SpectralHasher
from sao_data.matching.alike import find_alike, find_like
from sao_data.rights.takedowns import Tombstone
from tests.made import RATE, Floats, silence, to_pcm, tone


def heard(audio: Floats) -> Tombstone:
    """What is kept of a sound (a tombstone has just that)."""
    pcm = to_pcm(audio)
    words = chromaprint.fingerprint(pcm.astype(np.float32) / np.float32(32_768))
    hasher = SpectralHasher()
    hasher.add(pcm)
    text = chromaprint.encode(words)
    return Tombstone(id="", when="", reason="", fingerprint=text, spectral_hash=hasher.finish(words))


def pairs_in(sounds: dict[str, Floats]) -> set[tuple[str, str]]:
    """Pairs that are found alike."""
    return {(pair.first, pair.second) for pair in find_alike({key: heard(x) for key, x in sounds.items()})}


def found_in(changed: dict[str, Tombstone], originals: dict[str, Tombstone]) -> set[tuple[str, str]]:
    """Which of the changed are found alike which originals."""
    return {(pair.first, pair.second) for pair in find_like(changed, originals)}


def by_mp3(audio: Floats) -> Floats:
    """Through an MP3 of some 128 kbit/s."""
    target = io.BytesIO()
    with soundfile.SoundFile(
        target, "w", RATE, 2, "MPEG_LAYER_III", format="MP3", bitrate_mode="CONSTANT", compression_level=0.65
    ) as file:
        file.write(audio)
    target.seek(0)
    return np.asarray(soundfile.read(target, dtype="float32", always_2d=True)[0])


def resampled(audio: Floats) -> Floats:
    """To 22.05 kHz and back."""
    import soxr

    return np.asarray(soxr.resample(soxr.resample(audio, RATE, RATE // 2), RATE // 2, RATE), np.float32)


CHANGES: dict[str, Callable[[Floats], Floats]] = {
    "12 dB up, clipped": lambda audio: np.clip(4 * audio, -1, 1),
    "12 dB down": lambda audio: np.float32(0.25) * audio,
    "MP3, 128 kbit/s": by_mp3,
    "0.5 s of silence before": lambda audio: np.concatenate([silence(0.5), audio]),
    "22.05 kHz and back": resampled,
    "mono": lambda audio: np.repeat(audio.mean(axis=1, keepdims=True), 2, axis=1),
}
LOST: dict[str, Callable[[Floats], Floats]] = {
    "first 0.2 s lost": lambda audio: audio[RATE // 5 :],
    "first 0.5 s lost": lambda audio: audio[RATE // 2 :],
}


def note(hz: float, seconds: float = 1.5) -> Floats:
    """A plucked string: twelve partials that die the faster the higher they are."""
    time = np.arange(round(seconds * RATE)) / RATE
    partials = (
        np.exp(-time * (1.5 + 0.8 * n)) * np.sin(2 * np.pi * hz * n * time) / n**1.2
        for n in range(1, 13)
        if hz * n < 20_000
    )
    return _stereo(0.3 * sum(partials, np.zeros(len(time))))


def drum(kind: int, seed: int, seconds: float = 0.5) -> Floats:
    """Kick, snare, hat or tom: a falling tone and noise, each in its measure; seeds differ by a semitone."""
    time = np.arange(round(seconds * RATE)) / RATE
    hz = (50, 180, 300, 120)[kind] * 2 ** (seed / 12)
    turns = hz * (time + (1 - np.exp(-40 * time)) / 20)
    body = np.sin(2 * np.pi * turns) * np.exp(-(8 + seed) * time)
    hiss = np.random.default_rng(4 * seed + kind).standard_normal(len(time)) * np.exp(-(20 + 2 * seed) * time)
    return _stereo(0.5 * ((1, 0.5, 0.1, 0.9)[kind] * body + (0.05, 0.5, 0.9, 0.1)[kind] * hiss))


def snare(seed: int) -> Floats:
    """One snare struck again: nothing differs but the noise in it."""
    time = np.arange(round(0.4 * RATE)) / RATE
    body = 0.4 * np.sin(2 * np.pi * 180 * time) * np.exp(-20 * time)
    hiss = np.random.default_rng(100 + seed).standard_normal(len(time)) * np.exp(-15 * time)
    return _stereo(0.3 * (body + hiss))


def loop(seed: int, seconds: float = 2.0) -> Floats:
    """Sixteen steps of one tempo and one kit, in another pattern each."""
    random = np.random.default_rng(seed)
    audio = silence(seconds)
    for step in range(16):
        for kind in range(4):
            if random.random() < (0.5, 0.3, 0.7, 0.3)[kind]:
                start = round(step * seconds / 16 * RATE)
                hit = drum(kind, 0, 0.25)[: len(audio) - start]
                audio[start : start + len(hit)] += np.float32(0.6) * hit
    return audio


def coloured(slope: int, seed: int, seconds: float) -> Floats:
    """Noise that rises by `slope` times 3 dB an octave: -2 brown, -1 pink, 0 white, 1 blue, 2 violet."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(round(seconds * RATE)))
    audio = np.fft.irfft(spectrum * np.maximum(np.arange(len(spectrum)), 1) ** (slope / 2))
    return _stereo(0.1 * audio / audio.std())


def hum(hz: float, seconds: float = 6.0) -> Floats:
    """Mains hum with seven harmonics."""
    time = np.arange(round(seconds * RATE)) / RATE
    return _stereo(sum(0.3 / n**1.5 * np.sin(2 * np.pi * hz * n * time + n) for n in range(1, 8)))


def near_misses() -> dict[str, dict[str, Floats]]:
    """Sets of sounds of which no two are copies."""
    sets = {
        "88 notes of one instrument": [note(27.5 * 2 ** (n / 12)) for n in range(88)],
        "24 drums": [drum(kind, seed) for kind in range(4) for seed in range(6)],
        "12 strokes of one snare": [snare(seed) for seed in range(12)],
        "12 loops of one tempo and kit": [loop(seed) for seed in range(12)],
        "60 noises of five colours, 3 s": [coloured(c, n, 3.0) for c in range(-2, 3) for n in range(12)],
        "60 noises of five colours, 0.5 s": [coloured(c, n, 0.5) for c in range(-2, 3) for n in range(12)],
        "72 sines a semitone apart": [tone(55 * 2 ** (n / 12), 2.0, level=0.3) for n in range(72)],
        "hums and tones of 50, 60, 100, 120 Hz": [
            *(hum(hz) for hz in (50, 60)),
            *(tone(hz, 6.0, level=0.3) for hz in (50, 60, 100, 120)),
        ],
    }
    return {name: {f"{n:02d}": audio for n, audio in enumerate(items)} for name, items in sets.items()}


def _stereo(mono: object) -> Floats:
    return np.repeat(np.asarray(mono, np.float32)[:, None], 2, axis=1)
