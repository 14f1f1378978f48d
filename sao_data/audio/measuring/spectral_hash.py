"""Spectral hashes: by what short and steady sounds are told, which have too little for Chromaprint.

    text = spectrum (192 levels) ":" moments (24 levels each)

A level is one character: 0 to 63 dB below the loudest. The spectrum, in 24ths of an octave over the whole
stretch, tells one pitch from the next. The moments, 24 narrow bands every 23 ms, tell one recording from
another with the same spectrum: in them two hisses differ by chance. Both begin where the sound does, whatever
silence stands before it. The plan of the moments is Haitsma and Kalker's (ISMIR 2002); levels instead of
their bits say as well how much there is to compare. As theirs, frames overlap by far, so that two that do not
begin together are still nearly the same. Earlier texts, with "." and every second moment, are read as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sao_data.audio.chromaprint import Words
from sao_data.records import SAMPLE_RATE

Floats = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]

NUM_LINES, NUM_BANDS = 192, 24
FLOOR = 63  # dB below the loudest
MAX_SECONDS = 3  # of sound, that are hashed
STEP, COARSE = 512, 1_024  # samples at 22,050 Hz from moment to moment; likewise in earlier texts

_RATE = SAMPLE_RATE // 2
_LOOKED_AT = 10 * SAMPLE_RATE  # frames in which the sound must begin
_FRAME = 2_048  # samples under a moment, 93 ms
_BLOCK = 1_024  # samples in which it is looked whether there is sound
_MAX_BLOCKS = round(MAX_SECONDS * SAMPLE_RATE / 2 / _BLOCK)
_FAINT = 3e-5  # of full scale, 16 bits' last: below it there is nothing
_SOUNDING = 10 ** (-30 / 20)  # of the loudest frame: where sound begins …
_ENDING = 10 ** (-55 / 20)  # … and where it ends
_FIRST = 0.1  # of the largest sample: the first so large is where moments are counted from
_LINES_PER_OCTAVE, _LOWEST_LINE = 24, 27.5  # A0 to A8
_LOWEST_BAND, _HIGHEST_BAND = 100.0, 8_800.0  # Hz, centres
_WIDEST = 200.0  # Hz; what is wider fluctuates too little to tell one hiss from another

# Chromaprint wants 12 words, 8 of them telling, and a chance of 0.05 (fingerprint_index.py). A copy may have
# less than its original, so both are hashed from some way above that.
_FEW_WORDS, _FEW_TELLING, _SMALL_CHANCE = 24, 16, 0.1

_STEPS = {b":": STEP, b".": COARSE}
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpectralHash:
    """The levels of one sound, dB below its loudest."""

    spectrum: Levels  # (192,)
    moments: Levels  # (moments, 24)
    step: int = STEP  # samples at 22,050 Hz from one to the next


class SpectralHasher:
    """Hashes one recording: `add` it in blocks of any size, then `finish` once."""

    def __init__(self) -> None:
        self._held: list[npt.NDArray[np.int16]] = []
        self._left = _LOOKED_AT

    def add(self, pcm_TC: npt.NDArray[np.int16]) -> None:
        """Take the next (frames, 2) samples at 44,100 Hz; beyond 10 s they are ignored."""
        if self._left:
            self._held.append(pcm_TC[: self._left].copy())
            self._left -= len(self._held[-1])

    def finish(self, words: Words) -> str:
        """The text; '' for silence, and where Chromaprint's words have enough to be told by."""
        if not self._held or not is_needed(words):
            return ""
        pcm = np.concatenate(self._held).astype(np.float32)
        made = _hash((pcm[:, 0] + pcm[:, 1]) / np.float32(65_536))
        return "" if made is None else encode(made)


def is_needed(words: Words) -> bool:
    """Has this fingerprint so little in it that it, or that of a copy, may match nothing?"""
    changing = words[1:][words[1:] != words[:-1]]
    if len(words) < _FEW_WORDS or len(changing) < _FEW_TELLING:
        return True
    share = np.unpackbits(changing.astype("<u4").view(np.uint8).reshape(-1, 4), axis=1).mean(axis=0)
    return bool((2 * share * (1 - share)).mean() < _SMALL_CHANCE)


def spectral_hash(samples_TC: Floats) -> SpectralHash | None:
    """The hash of (frames, 2) samples at 44,100 Hz, full scale 1; None for silence."""
    return _hash(np.float32(0.5) * (samples_TC[:_LOOKED_AT, 0] + samples_TC[:_LOOKED_AT, 1]))


def encode(made: SpectralHash) -> str:
    """The hash as text."""
    levels = np.frombuffer(_ALPHABET, np.uint8)
    mark = ":" if made.step == STEP else "."
    return f"{levels[made.spectrum].tobytes().decode()}{mark}{levels[made.moments].tobytes().decode()}"


def decode(text: str) -> SpectralHash:
    """The hash from its text; ValueError with the reason if it is damaged."""
    data = text.encode(errors="replace")
    spectrum, mark, moments = data[:NUM_LINES], data[NUM_LINES : NUM_LINES + 1], data[NUM_LINES + 1 :]
    if mark not in _STEPS or len(spectrum) != NUM_LINES or not moments or len(moments) % NUM_BANDS:
        raise ValueError(f"spectral hash: want {NUM_LINES} characters, a colon and groups of {NUM_BANDS}")
    levels = _LEVELS[np.frombuffer(spectrum + moments, np.uint8)]
    if levels.max() > FLOOR:
        raise ValueError("spectral hash: a character that is no level")
    return SpectralHash(
        spectrum=levels[:NUM_LINES], moments=levels[NUM_LINES:].reshape(-1, NUM_BANDS), step=_STEPS[mark]
    )


def problem(text: str) -> str:
    """Why this is no spectral hash; '' if it is one."""
    try:
        decode(text)
    except ValueError as error:
        return str(error)
    return ""


def _hash(mono: Floats) -> SpectralHash | None:
    import soxr

    halved = np.asarray(soxr.resample(mono, SAMPLE_RATE, _RATE, quality="LQ"), np.float32)
    stretch = _sounding(halved)
    if not len(stretch):
        return None
    return SpectralHash(spectrum=_spectrum(stretch), moments=_moments(stretch))


def _sounding(mono: Floats) -> Floats:
    """What sounds of it, three seconds at most, from the first large sample of its first loud frame on."""
    num = -(-len(mono) // _BLOCK)
    padded = np.zeros((num + 1) * _BLOCK, np.float32)
    padded[: len(mono)] = mono
    blocks = padded.reshape(-1, _BLOCK)
    energy = np.einsum("bt,bt->b", blocks, blocks) / _BLOCK
    if not len(mono) or energy.max() < _FAINT**2:
        return np.empty(0, np.float32)
    loud = np.flatnonzero(energy >= _SOUNDING**2 * energy.max())
    start = int(loud[0]) * _BLOCK
    last = np.flatnonzero(energy >= max(_ENDING**2 * energy.max(), _FAINT**2))[-1]
    end = min((int(last) + 1) * _BLOCK, start + (_MAX_BLOCKS + 1) * _BLOCK)
    stretch = np.abs(padded[start:end])
    first = int(np.argmax(stretch >= _FIRST * stretch[: 4 * _BLOCK].max()))
    return padded[start + first : min(end, start + first + _MAX_BLOCKS * _BLOCK)]


def _moments(stretch: Floats) -> Levels:
    """Level in every band at every moment, (moments, 24); the first frame is centred on the beginning."""
    from scipy.fft import rfft

    padded = np.pad(stretch, (_FRAME // 2, _FRAME // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::STEP]
    spectra = rfft(frames * _WINDOW, axis=1)[:, : len(_BANDS)]
    return _levels((spectra.real**2 + spectra.imag**2) @ _BANDS)


def _spectrum(stretch: Floats) -> Levels:
    """Level in every 24th of an octave over the whole stretch, under one window; (192,)."""
    from scipy.fft import next_fast_len, rfft

    num = next_fast_len(max(len(stretch), 4 * _FRAME), real=True)
    turn = np.arange(1, len(stretch) + 1, dtype=np.float32) * np.float32(2 * np.pi / (len(stretch) + 1))
    spectrum = rfft(stretch * (np.float32(0.5) - np.float32(0.5) * np.cos(turn)), num)
    total = np.concatenate([[0.0], np.cumsum(spectrum.real**2 + spectrum.imag**2, dtype=np.float64)])
    edges = _LOWEST_LINE * 2.0 ** (np.arange(NUM_LINES + 1) / _LINES_PER_OCTAVE)
    return _levels(np.diff(np.interp(edges * num / _RATE + 0.5, np.arange(len(total)), total)))


def _levels(power: npt.NDArray[np.floating]) -> Levels:
    level = 10 * np.log10(np.maximum(power, 1e-20))
    return np.asarray(np.minimum(np.rint(level.max() - level), FLOOR), np.uint8)


def _bands() -> Floats:
    """Matrix from the power of every bin to the mean power in every band."""
    width = _RATE / _FRAME
    centres = np.geomspace(_LOWEST_BAND, _HIGHEST_BAND, NUM_BANDS)
    half = np.minimum(centres * (2.0**0.125 - 2.0**-0.125), _WIDEST) / 2
    bins = (np.arange(_FRAME // 2 + 1) * width)[:, None]
    inside = np.minimum(bins + width / 2, centres + half) - np.maximum(bins - width / 2, centres - half)
    inside = np.maximum(inside, 0.0)
    return np.asarray(inside / inside.sum(axis=0), np.float32)[: int((centres[-1] + _WIDEST) / width)]


_BANDS = _bands()
_WINDOW = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
_LEVELS = np.full(256, 255, np.uint8)
_LEVELS[np.frombuffer(_ALPHABET, np.uint8)] = np.arange(len(_ALPHABET))
