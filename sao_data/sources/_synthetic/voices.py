"""Sounds with a pitch, from theory: a voice turns a generator, a length, a rate and pitches into samples.

N frames. Pitches are MIDI note numbers (69 = 440 Hz). Levels do not matter: the source sets the peak.
Textures and percussion are in textures.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
Pitches = tuple[float, ...]
Voice = Callable[[np.random.Generator, int, int, Pitches], Samples]  # (rng, num_frames, rate, pitches) -> x_N


def tone(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Plain sines together, swelling and fading: one pitch is a test tone, three a soft chord."""
    t = seconds(num_frames, rate)
    out = np.zeros(num_frames)
    for pitch in pitches:
        out += np.sin(2 * np.pi * hertz(pitch) * t + rng.uniform(0, 2 * np.pi))
    return out * np.sin(np.pi * np.arange(num_frames) / num_frames) ** 0.5


def organ(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Drawbars at octaves and fifths (0.5, 1, 1.5, 2, 3, 4), with a slow tremolo."""
    t = seconds(num_frames, rate)
    out = np.zeros(num_frames)
    for pitch in pitches:
        for ratio, level in ((0.5, 0.5), (1, 1.0), (1.5, 0.4), (2, 0.6), (3, 0.3), (4, 0.2)):
            out += level * np.sin(2 * np.pi * hertz(pitch) * ratio * t + rng.uniform(0, 2 * np.pi))
    return out * (1 + 0.15 * np.sin(2 * np.pi * 5.5 * t)) * ramp(num_frames, rate, 0.04, 0.2)


def pluck(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Strings strummed 70 ms apart (Karplus & Strong 1983)."""
    out = np.zeros(num_frames)
    for index, pitch in enumerate(pitches):
        start = round(0.07 * index * rate)
        place(out, _string(rng, max(num_frames - start, 0), rate / float(hertz(pitch))), start)
    return out


def bell(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Bell partials (hum, prime, tierce, quint, nominal …), the higher the shorter; a stroke per pitch."""
    partials = ((0.5, 0.6), (1, 1.0), (1.2, 0.7), (1.5, 0.4), (2, 0.8), (2.5, 0.3), (3, 0.3), (4.1, 0.2))
    out = np.zeros(num_frames)
    for index, pitch in enumerate(pitches):
        start = index * num_frames // len(pitches)
        t = seconds(num_frames - start, rate)
        for ratio, level in partials:
            wave = np.sin(2 * np.pi * hertz(pitch) * ratio * (1 + rng.normal(0, 0.001)) * t)
            out[start:] += level * wave * np.exp(-t * (0.8 + ratio))
    return out


def marimba(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Wooden bars (partials 1, 4, 10), struck evenly one after another."""
    out = np.zeros(num_frames)
    for index, pitch in enumerate(pitches):
        start = index * num_frames // len(pitches)
        t = seconds(num_frames - start, rate)
        for ratio, level, decay in ((1, 1.0, 6), (4, 0.35, 18), (10, 0.1, 40)):
            out[start:] += (
                rng.uniform(0.8, 1)
                * level
                * np.sin(2 * np.pi * hertz(pitch) * ratio * t)
                * np.exp(-decay * t)
            )
    return out


def flute(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """A few harmonics with vibrato and breath, gliding from pitch to pitch."""
    phase = np.cumsum(2 * np.pi * melody(num_frames, rate, pitches, 0.04, vibrato=0.12)) / rate
    notes = np.sin(phase) + 0.4 * np.sin(2 * phase) + 0.12 * np.sin(3 * phase)
    breath = 0.05 * np.diff(rng.standard_normal(num_frames), prepend=0.0)
    return (notes + breath) * ramp(num_frames, rate, 0.08, 0.15)


def theremin(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """One sine that slides slowly between pitches with a wide vibrato."""
    curve = melody(num_frames, rate, pitches, 0.35, vibrato=0.4)
    phase = rng.uniform(0, 2 * np.pi) + np.cumsum(2 * np.pi * curve) / rate
    return (np.sin(phase) + 0.15 * np.sin(2 * phase)) * ramp(num_frames, rate, 0.15, 0.3)


def keys(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """An electric piano chord: frequency modulation whose brightness dies away (Chowning 1973)."""
    t = seconds(num_frames, rate)
    out = np.zeros(num_frames)
    for pitch in pitches:
        carrier = 2 * np.pi * hertz(pitch) * t + rng.uniform(0, 2 * np.pi)
        out += np.sin(carrier + 1.8 * np.exp(-4 * t) * np.sin(2 * np.pi * hertz(pitch) * 2 * t)) * np.exp(
            -1.1 * t
        )
    return out


def drone(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Detuned saws through a slowly opening filter, as a sum of harmonics."""
    t = seconds(num_frames, rate)
    sway = 1.5 + np.sin(2 * np.pi * 0.4 * t + rng.uniform(0, 2 * np.pi))
    out = np.zeros(num_frames)
    for pitch in pitches:
        for harmonic in range(1, 13):
            detune = 1 + rng.normal(0, 0.002)
            out += (
                np.sin(2 * np.pi * hertz(pitch) * harmonic * detune * t)
                * np.exp(-harmonic / (2 * sway))
                / harmonic
            )
    return out * ramp(num_frames, rate, 0.3, 0.3)


def chip(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Square waves in quick steps, as in early video games; the last pitch rings on."""
    step = max(num_frames // (len(pitches) + 3), 1)
    index = np.minimum(np.arange(num_frames) // step, len(pitches) - 1)
    phase = rng.uniform(0, 0.1) + np.cumsum(np.array([hertz(pitch) for pitch in pitches])[index]) / rate
    return np.where(phase % 1 < 0.5, 1.0, -1.0) * np.exp(-3 * np.arange(num_frames) / num_frames)


def sweep(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """A sine that glides evenly in pitch from the first to the last of `pitches`."""
    curve = hertz(np.linspace(pitches[0], pitches[-1], num_frames))
    return np.sin(rng.uniform(0, 2 * np.pi) + np.cumsum(2 * np.pi * curve) / rate) * ramp(
        num_frames, rate, 0.02, 0.05
    )


def siren(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """A two-tone horn that swings between the first and the last pitch 1.6 times a second."""
    swing = 0.5 + 0.5 * np.sin(2 * np.pi * 1.6 * seconds(num_frames, rate) + rng.uniform(0, 2 * np.pi))
    phase = np.cumsum(2 * np.pi * hertz(pitches[0] + (pitches[-1] - pitches[0]) * swing)) / rate
    horn: Samples = np.tanh(2 * np.sin(phase))
    return horn * ramp(num_frames, rate, 0.05, 0.1)


def bird(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Chirps of 60 to 160 ms around the pitches, each a fast bow in frequency, in loose groups."""
    out = np.zeros(num_frames)
    start = round(0.05 * rate)
    while start < num_frames:
        length = round(rng.uniform(0.06, 0.16) * rate)
        x = np.arange(length) / length
        curve = hertz(rng.choice(pitches) + rng.uniform(2, 7) * np.sin(np.pi * x * rng.uniform(1, 3)))
        place(
            out, np.sin(np.cumsum(2 * np.pi * curve) / rate) * np.sin(np.pi * x) * rng.uniform(0.5, 1), start
        )
        start += length + round(rng.choice((0.04, 0.06, 0.22)) * rate)
    return out


def cricket(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """A high tone in trains of three pulses, 30 pulses a second."""
    t = seconds(num_frames, rate)
    pulses = np.clip(np.sin(2 * np.pi * 30 * t), 0, None) * ((t * 30 + rng.uniform(0, 6)) % 6 < 3)
    out: Samples = np.sin(2 * np.pi * hertz(pitches[0]) * t) * pulses
    return out


def seconds(num_frames: int, rate: int) -> Samples:
    """The time of every frame."""
    return np.arange(num_frames) / rate


def hertz(pitch: float | Samples) -> Samples:
    """Frequency of a MIDI note number, equal temperament, A4 = 440 Hz."""
    return np.asarray(440.0 * 2.0 ** ((np.asarray(pitch) - 69.0) / 12.0))


def ramp(num_frames: int, rate: int, attack: float, release: float) -> Samples:
    """An envelope of one with straight ends of `attack` and `release` seconds."""
    rise = np.arange(num_frames) / max(attack * rate, 1)
    return np.clip(np.minimum(rise, rise[::-1] * max(attack * rate, 1) / max(release * rate, 1)), 0, 1)


def place(out: Samples, sound: Samples, start: int) -> None:
    """Add `sound` into `out` at frame `start`, as far as it fits."""
    room = out[start : start + len(sound)]
    room += sound[: len(room)]


def melody(num_frames: int, rate: int, pitches: Pitches, glide: float, *, vibrato: float) -> Samples:
    """A frequency curve: even notes joined by glides of `glide` seconds, 5 Hz vibrato in semitones."""
    index = np.minimum(np.arange(num_frames) * len(pitches) // num_frames, len(pitches) - 1)
    width = max(round(glide * rate), 1)
    steps = np.pad(np.array(pitches, dtype=float)[index], (width // 2, width - 1 - width // 2), mode="edge")
    sums = np.concatenate(([0.0], np.cumsum(steps)))
    smooth = (sums[width:] - sums[:-width]) / width
    return hertz(smooth + vibrato * np.sin(2 * np.pi * 5 * seconds(num_frames, rate)))


def _string(rng: np.random.Generator, num_frames: int, period: float) -> Samples:
    """Noise round a delay line of a whole `period`, averaged and damped a little each time round."""
    length = max(round(period - 0.5), 2)  # averaging two neighbours delays by half a frame
    line, before = rng.uniform(-1, 1, length), 0.0
    line -= line.mean()
    blocks = []
    for _ in range(-(-num_frames // length)):
        blocks.append(line)
        shifted = np.concatenate(([before], line[:-1]))
        before, line = line[-1], 0.498 * (line + shifted)
    return np.concatenate(blocks)[:num_frames] if blocks else np.zeros(0)
