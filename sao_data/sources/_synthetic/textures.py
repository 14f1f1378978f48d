"""Sounds without a pitch, from theory: noises, weather, water, machines, drums; voices as in voices.py.

Each is a voice; `pitches` are used where a size has to be told (a drop, a drum), and ignored elsewhere.
"""

from __future__ import annotations

import numpy as np

from sao_data.sources._synthetic.voices import Pitches, Samples, hertz, place, ramp, seconds


def white(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Equal power per hertz."""
    return coloured(rng, num_frames, 0) * ramp(num_frames, rate, 0.05, 0.1)


def pink(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Equal power per octave (1/f), without what is below hearing."""
    return band(coloured(rng, num_frames, 1), rate, 20, rate / 2) * ramp(num_frames, rate, 0.05, 0.1)


def brown(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """A random walk (1/f²), without what is below hearing."""
    return band(coloured(rng, num_frames, 2), rate, 30, rate / 2) * ramp(num_frames, rate, 0.05, 0.1)


def rain(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Hundreds of small drops a second over a hiss."""
    out = 0.04 * band(rng.standard_normal(num_frames), rate, 2000, 0.45 * rate)
    for start in rng.integers(0, num_frames, size=300 * num_frames // rate):
        length = round(rng.uniform(0.002, 0.008) * rate)
        drop = np.exp(-6 * np.arange(length) / length) * rng.standard_normal(length)
        place(out, rng.uniform(0.05, 0.5) ** 2 * drop, int(start))
    return out * ramp(num_frames, rate, 0.1, 0.2)


def wind(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Gusts: a low and a whistling band of noise that come and go on their own."""
    noise = coloured(rng, num_frames, 1)
    low, high = band(noise, rate, 80, 400), band(noise, rate, 500, 1100)
    return (low * _gusts(rng, num_frames) + high * _gusts(rng, num_frames) ** 2) * ramp(
        num_frames, rate, 0.2, 0.3
    )


def surf(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Waves on a beach: a slow swell of dark noise with a brighter crest behind it."""
    x = np.arange(num_frames) / num_frames
    swell: Samples = np.sin(np.pi * np.clip(x * 1.1, 0, 1)) ** 2
    dark = band(coloured(rng, num_frames, 2), rate, 30, 0.4 * rate)
    bright = band(rng.standard_normal(num_frames), rate, 1000, 0.4 * rate)
    return unit(dark) * (0.2 + swell) + 0.5 * unit(bright) * np.roll(swell, num_frames // 8) ** 2


def thunder(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """A crack, then rolls of low noise that die away."""
    t = seconds(num_frames, rate)
    rolls = np.exp(-1.2 * t) * (0.4 + _gusts(rng, num_frames))
    crack = rng.standard_normal(num_frames) * np.exp(-25 * t)
    return unit(band(coloured(rng, num_frames, 2), rate, 25, 500)) * rolls + 0.3 * unit(crack)


def fire(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Crackles and pops over a faint roar."""
    out = 0.2 * unit(band(coloured(rng, num_frames, 1), rate, 60, 700))
    for start in rng.integers(0, num_frames, size=max(26 * num_frames // rate, 8)):
        length = round(rng.uniform(0.001, 0.012) * rate)
        pop = rng.standard_normal(length) * np.exp(-8 * np.arange(length) / length)
        place(out, rng.uniform(0.1, 0.5) * pop, int(start))
    return out * ramp(num_frames, rate, 0.05, 0.1)


def drops(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Water dripping: tones that rise as the bubble shrinks, at uneven times."""
    out = np.zeros(num_frames)
    start = round(0.03 * rate)
    while start < num_frames:
        t = seconds(round(0.09 * rate), rate)
        curve = hertz(rng.choice(pitches) + rng.uniform(-4, 4)) * (1 + 9 * t)
        place(out, np.sin(np.cumsum(2 * np.pi * curve) / rate) * np.exp(-45 * t) * rng.uniform(0.5, 1), start)
        start += round(rng.uniform(0.12, 0.4) * rate)
    return out


def ticks(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """A clock: short wooden clicks four a second, tick and tock in turn."""
    out = np.zeros(num_frames)
    for count, start in enumerate(range(0, num_frames, rate // 4)):
        t = seconds(round(0.03 * rate), rate)
        pitch = hertz(pitches[count % len(pitches)])
        place(
            out, (np.sin(2 * np.pi * pitch * t) + 0.3 * rng.standard_normal(len(t))) * np.exp(-180 * t), start
        )
    return out + 6e-3 * coloured(rng, num_frames, 0)


def geiger(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Clicks at random (a Poisson process, 25 a second) over a faint hiss."""
    out = 2e-3 * rng.standard_normal(num_frames)
    for start in rng.integers(0, num_frames, size=max(25 * num_frames // rate, 4)):
        t = seconds(round(0.006 * rate), rate)
        place(out, np.sin(2 * np.pi * hertz(pitches[0]) * t) * np.exp(-600 * t), int(start))
    return out


def engine(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """An idling motor: harmonics of an unsteady low note, and dark noise."""
    wobble = 1 + 0.03 * _gusts(rng, num_frames)
    phase = np.cumsum(2 * np.pi * hertz(pitches[0]) * wobble) / rate
    hum = sum(np.sin(k * phase + k * k) / k for k in range(1, 16))
    return (hum + 0.4 * unit(coloured(rng, num_frames, 1.5))) * ramp(num_frames, rate, 0.1, 0.2)


def heart(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Two dull thumps, 72 times a minute."""
    out = 2e-3 * coloured(rng, num_frames, 1)
    for start in range(0, num_frames, round(rate * 60 / 72)):
        for delay, level in ((0.0, 1.0), (0.28, 0.7)):
            t = seconds(round(0.15 * rate), rate)
            thump = np.sin(2 * np.pi * hertz(pitches[0]) * t) * np.exp(-25 * t)
            place(out, level * thump, start + round(delay * rate))
    return out


def kick(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """A bass drum: a sine falling fast to the pitch, with a click."""
    t = seconds(num_frames, rate)
    body = np.sin(np.cumsum(2 * np.pi * hertz(pitches[0]) * (1 + 5 * np.exp(-30 * t))) / rate) * np.exp(
        -6 * t
    )
    return body + 0.1 * rng.standard_normal(num_frames) * np.exp(-300 * t)


def snare(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """A snare drum: a short tone and the rattle of the wires."""
    t = seconds(num_frames, rate)
    rattle = band(rng.standard_normal(num_frames), rate, 800, 0.45 * rate)
    return 0.6 * np.sin(2 * np.pi * hertz(pitches[0]) * t) * np.exp(-14 * t) + unit(rattle) * np.exp(-9 * t)


def hat(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """A cymbal: bright noise that fades."""
    t = seconds(num_frames, rate)
    return unit(band(rng.standard_normal(num_frames), rate, 5000, 0.48 * rate)) * np.exp(-7 * t)


def clap(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Hands: three bursts of noise 12 ms apart, then the room."""
    noise = unit(band(rng.standard_normal(num_frames), rate, 700, 3500))
    t = seconds(num_frames, rate)
    bursts: Samples = 0.5 * np.exp(-7 * t)
    for delay in (0.005, 0.017, 0.029):
        bursts += np.exp(-250 * np.abs(t - delay))
    return noise * bursts


def shaker(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Beads in a gourd: soft bursts of hiss, eight a second, every second one stronger."""
    t = seconds(num_frames, rate)
    stroke: Samples = np.exp(-18 * (t % 0.125)) * np.where((t // 0.125) % 2 == 0, 1.0, 0.5)
    return unit(band(rng.standard_normal(num_frames), rate, 3500, 0.45 * rate)) * stroke


def beat(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """A bar of drums at 120 beats a minute, over and over."""
    out = np.zeros(num_frames)
    for step, start in enumerate(range(0, num_frames, rate // 4)):
        place(out, 0.25 * hat(rng, rate // 8, rate, pitches), start)
        if step % 4 in (0, 3):
            place(out, kick(rng, rate // 2, rate, pitches), start)
        if step % 4 == 2:
            place(out, 0.6 * snare(rng, rate // 4, rate, (57.0,)), start)
    return out


def silence(rng: np.random.Generator, num_frames: int, rate: int, pitches: Pitches) -> Samples:
    """Nothing at all."""
    return np.zeros(num_frames)


def coloured(rng: np.random.Generator, num_frames: int, slope: float) -> Samples:
    """Noise whose power falls as 1/f^slope, from shaping a white spectrum; peak 1."""
    spectrum = np.fft.rfft(rng.standard_normal(num_frames))
    frequency = np.maximum(np.arange(len(spectrum)), 1.0)
    return unit(np.fft.irfft(spectrum * frequency ** (-slope / 2), num_frames))


def band(x: Samples, rate: int, low: float, high: float) -> Samples:
    """What of `x` lies between two frequencies in hertz, with edges of about an octave."""
    spectrum = np.fft.rfft(x)
    frequency = np.maximum(np.fft.rfftfreq(len(x), 1 / rate), 1e-9)
    return np.fft.irfft(spectrum / (1 + (low / frequency) ** 4) / (1 + (frequency / high) ** 8), len(x))


def unit(x: Samples) -> Samples:
    """`x` with a peak of 1."""
    return x / max(float(np.max(np.abs(x), initial=0.0)), 1e-12)


def _gusts(rng: np.random.Generator, num_frames: int) -> Samples:
    """A smooth random curve between 0 and 1, a few swings long."""
    knots = rng.uniform(0, 1, 8)
    x = np.linspace(0, len(knots) - 1, num_frames)
    index = np.minimum(x.astype(int), len(knots) - 2)
    part = 0.5 - 0.5 * np.cos(np.pi * (x - index))
    curve: Samples = knots[index] * (1 - part) + knots[index + 1] * part
    return curve
