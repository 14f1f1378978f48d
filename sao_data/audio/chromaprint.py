"""Acoustic fingerprints as Chromaprint makes them: AcoustID can be asked without a native library.

Chromaprint's default algorithm (its TEST2, what `fpcalc` prints): mono at 11,025 Hz, power spectrum, energy
in the twelve semitones of the octave, smoothed over time, each moment scaled to unit length; sixteen pairs of
rectangles laid on that picture and compared give sixteen values of two bits: one 32-bit word every 0.12 s.
Its constants are facts that must be met exactly (https://github.com/acoustid/chromaprint, 1.5.1, read
2026-11-22); the words of `fpcalc` are the oracle of the tests.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sao_data.records import SAMPLE_RATE

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint32]

MAX_SECONDS = 120  # what fpcalc looks at, and what AcoustID has of every track
STEP = 4_096 // 3  # samples at 11,025 Hz from word to word
WORDS_PER_SECOND = SAMPLE_RATE / 4 / STEP  # 8.08

_DECIMATION = 4  # 44,100 Hz to 11,025 Hz
_FRAME = 4_096  # samples at 11,025 Hz
_NUM_TAPS, _CUTOFF, _BETA = 80, 0.8, 9.0  # libswresample's filter as fpcalc sets it; cut-off re 5,512.5 Hz
_DELAY = (_NUM_TAPS - 1) // 2
_ROW = 64  # samples at 11,025 Hz made by one row of a matrix product
_UNIT = 172 * _ROW * _DECIMATION  # frames at 44,100 Hz filtered at once: sums do not depend on the blocks
_BATCH = 64  # spectra at once: 2 MB

_NUM_BANDS = 12
_LOWEST, _HIGHEST = 28, 3_520  # Hz
_BASE = 27.5  # Hz, A0, where the first semitone starts
_SMOOTHING = (0.25, 0.75, 1.0, 0.75, 0.25)
_FAINT = 0.01  # length below which a moment counts as silence
_GRAY = np.array([0, 1, 3, 2], np.uint32)


class _Classifier(NamedTuple):
    """A rectangle (bands from `band`, `num_bands` high, `width` moments), halved as `kind` says."""

    kind: int
    band: int
    num_bands: int
    width: int
    thresholds: tuple[float, float, float]


_CLASSIFIERS = (
    _Classifier(0, 4, 3, 15, (1.98215, 2.35817, 2.63523)),
    _Classifier(4, 4, 6, 15, (-1.03809, -0.651211, -0.282167)),
    _Classifier(1, 0, 4, 16, (-0.298702, 0.119262, 0.558497)),
    _Classifier(3, 8, 2, 12, (-0.105439, 0.0153946, 0.135898)),
    _Classifier(3, 4, 4, 8, (-0.142891, 0.0258736, 0.200632)),
    _Classifier(4, 0, 3, 5, (-0.826319, -0.590612, -0.368214)),
    _Classifier(1, 2, 2, 9, (-0.557409, -0.233035, 0.0534525)),
    _Classifier(2, 7, 3, 4, (-0.0646826, 0.00620476, 0.0784847)),
    _Classifier(2, 6, 2, 16, (-0.192387, -0.029699, 0.215855)),
    _Classifier(2, 1, 3, 2, (-0.0397818, -0.00568076, 0.0292026)),
    _Classifier(5, 10, 1, 15, (-0.53823, -0.369934, -0.190235)),
    _Classifier(3, 6, 2, 10, (-0.124877, 0.0296483, 0.139239)),
    _Classifier(2, 1, 1, 14, (-0.101475, 0.0225617, 0.231971)),
    _Classifier(3, 5, 6, 4, (-0.0799915, -0.00729616, 0.063262)),
    _Classifier(1, 9, 2, 12, (-0.272556, 0.019424, 0.302559)),
    _Classifier(3, 4, 2, 14, (-0.164292, -0.0321188, 0.0846339)),
)
_MAX_WIDTH = 16  # moments under one word

_ALGORITHM = 1  # TEST2, first byte of the compressed form
_NORMAL, _EXCEPTION = 3, 5  # bits
_LARGE = 7  # the largest gap in three bits; what exceeds it follows in five


class Fingerprinter:
    """Fingerprints one recording: `add` it in blocks of any size, then `finish` once."""

    def __init__(self) -> None:
        self._held: list[Floats] = [np.zeros(_DELAY, np.float32)]  # silence before the start
        self._num_held = _DELAY
        self._left = MAX_SECONDS * SAMPLE_RATE
        self._mono: list[npt.NDArray[np.int16]] = []

    def add(self, block_TC: Floats) -> None:
        """Take the next (frames, 2) samples at 44,100 Hz, full scale 1; beyond 120 s they are ignored."""
        block_TC = block_TC[: self._left]
        self._left -= len(block_TC)
        self._hold(np.float32(0.5) * (block_TC[:, 0] + block_TC[:, 1]))

    def finish(self) -> Words:
        """One word every 0.12 s; none for recordings under 2.73 s."""
        num_frames = MAX_SECONDS * SAMPLE_RATE - self._left
        # Zeros that bring every sample under the filter and fill the last unit.
        self._hold(np.zeros(_UNIT + _NUM_TAPS, np.float32))
        mono = np.concatenate(self._mono)[: -(-num_frames // _DECIMATION)]
        return _words(_normalised(_chroma(mono)))

    def _hold(self, mono: Floats) -> None:
        self._held.append(mono)
        self._num_held += len(mono)
        if self._num_held < _UNIT + _NUM_TAPS:
            return
        held, start = np.concatenate(self._held), 0
        while len(held) - start >= _UNIT + _NUM_TAPS:
            self._mono.append(_decimated(held[start : start + _UNIT + _NUM_TAPS]))
            start += _UNIT
        self._held = [held[start:].copy()]
        self._num_held = len(self._held[0])


def fingerprint(samples_TC: Floats) -> Words:
    """The fingerprint of (frames, 2) samples at 44,100 Hz."""
    printer = Fingerprinter()
    printer.add(samples_TC)
    return printer.finish()


def encode(words: Words) -> str:
    """Chromaprint's compressed text, '' for no words: the gaps between bits that change from word to word."""
    if not len(words):
        return ""
    words = words.astype(np.uint32)
    changes = words.copy()
    changes[1:] ^= words[:-1]
    bits = np.ones((len(words), 33), np.uint8)  # bit 32 ends a word
    bits[:, :32] = np.unpackbits(
        changes.astype("<u4").view(np.uint8).reshape(-1, 4), axis=1, bitorder="little"
    )
    at = np.flatnonzero(bits)
    gaps = np.diff(at, prepend=-1)
    gaps[at % 33 == 32] = 0
    header = bytes([_ALGORITHM]) + len(words).to_bytes(3, "big")
    normal, exceptions = np.minimum(gaps, _LARGE), gaps[gaps >= _LARGE] - _LARGE
    packed = header + _pack(normal, _NORMAL) + _pack(exceptions, _EXCEPTION)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(text: str) -> Words:
    """The words of Chromaprint's compressed text; ValueError with the reason if it is damaged."""
    if not text:
        return np.empty(0, np.uint32)
    packed = _from_base64(text)
    if len(packed) < 4 or packed[0] != _ALGORITHM:
        raise ValueError(f"fingerprint: want algorithm {_ALGORITHM} and a length, not {packed[:4].hex()!r}")
    length = int.from_bytes(packed[1:4], "big")
    normal = _unpack(packed[4:], _NORMAL)
    ends = np.flatnonzero(normal == 0)
    if not 0 < length <= len(ends):
        raise ValueError(f"fingerprint: {length} words are promised; there are {len(ends)} at most")
    gaps = normal[: ends[length - 1] + 1]
    exceptions = _unpack(packed[4 + -(-len(gaps) * _NORMAL // 8) :], _EXCEPTION)
    large = np.flatnonzero(gaps == _LARGE)
    if len(exceptions) < len(large):
        raise ValueError(f"fingerprint: it ends {len(large) - len(exceptions)} large gaps early")
    gaps[large] += exceptions[: len(large)]
    words = _from_gaps(gaps, ends[:length])
    if encode(words) != text:
        raise ValueError("fingerprint: it has bits that belong to no word")
    return words


def problem(text: str) -> str:
    """Why this is no fingerprint that sounds can be compared with; '' if it is one."""
    if not text:
        return "it is empty"
    try:
        decode(text)
    except ValueError as error:
        return str(error)
    return ""


def _decimated(mono: Floats) -> npt.NDArray[np.int16]:
    """Samples at 11,025 Hz, 16 bits as in Chromaprint, of one unit and the taps that reach beyond it."""
    step = _ROW * _DECIMATION
    rows = np.lib.stride_tricks.sliding_window_view(mono[:-1], len(_LOW_PASS))[::step]
    return np.asarray(np.clip(np.rint(rows @ _LOW_PASS), -32_768, 32_767).reshape(-1), np.int16)


def _low_pass() -> Floats:
    """Matrix from a row of input to `_ROW` outputs: a sinc under a Kaiser window, scaled to 16 bits."""
    factor = _CUTOFF / _DECIMATION
    at = np.arange(_NUM_TAPS) - _DELAY
    inside = np.sqrt(np.maximum(1 - (2 * at / _NUM_TAPS) ** 2, 0))
    taps = np.sinc(factor * at) * np.i0(_BETA * inside)
    matrix = np.zeros((_NUM_TAPS + (_ROW - 1) * _DECIMATION, _ROW), np.float32)
    for n in range(_ROW):
        matrix[n * _DECIMATION : n * _DECIMATION + _NUM_TAPS, n] = 32_768 * taps / taps.sum()
    return matrix


def _chroma(mono: npt.NDArray[np.int16]) -> Doubles:
    """Energy per moment and semitone, (moments, 12)."""
    if len(mono) < _FRAME:
        return np.empty((0, _NUM_BANDS))
    frames = np.lib.stride_tricks.sliding_window_view(mono, _FRAME)[::STEP]
    energies = []
    for start in range(0, len(frames), _BATCH):
        spectra = np.fft.rfft(frames[start : start + _BATCH] * _WINDOW)[:, _BINS]
        energies.append((spectra.real**2 + spectra.imag**2) @ _SEMITONES)
    return np.concatenate(energies)


def _normalised(chroma: Doubles) -> Doubles:
    """Smoothed over five moments, then each moment of length 1, or 0 where it is silent."""
    num = max(len(chroma) - len(_SMOOTHING) + 1, 0)
    smooth = np.zeros((num, _NUM_BANDS))
    for n, weight in enumerate(_SMOOTHING):
        smooth += weight * chroma[n : n + num]
    lengths = np.sqrt((smooth**2).sum(axis=1, keepdims=True))
    return np.where(lengths < _FAINT, 0.0, smooth / np.maximum(lengths, _FAINT))


def _words(image: Doubles) -> Words:
    """Every classifier's two bits, most significant first, at every moment with 16 moments from it on."""
    num = max(len(image) - _MAX_WIDTH + 1, 0)
    integral = np.zeros((len(image) + 1, _NUM_BANDS + 1))
    integral[1:, 1:] = image.cumsum(axis=0).cumsum(axis=1)
    words = np.zeros(num, np.uint32)
    for classifier in _CLASSIFIERS:
        level = np.searchsorted(classifier.thresholds, _response(integral, classifier, num), side="right")
        words = (words << np.uint32(2)) | _GRAY[level]
    return words


def _response(integral: Doubles, classifier: _Classifier, num: int) -> Doubles:
    """ln((1 + the energy in one half of the rectangle) / (1 + the energy in its other half))."""
    kind, low, height, width, _ = classifier

    def area(start: int, end: int, bottom: int, top: int) -> Doubles:
        upper, lower = integral[:, low + top], integral[:, low + bottom]
        return np.asarray((upper - lower)[end : end + num] - (upper - lower)[start : start + num])

    whole = area(0, width, 0, height)
    if kind == 0:
        part, rest = whole, np.zeros(num)
    elif kind == 1:
        part, rest = area(0, width, height // 2, height), area(0, width, 0, height // 2)
    elif kind == 2:
        part, rest = area(width // 2, width, 0, height), area(0, width // 2, 0, height)
    elif kind == 3:
        half, middle = width // 2, height // 2
        part = area(0, half, middle, height) + area(half, width, 0, middle)
        rest = area(0, half, 0, middle) + area(half, width, middle, height)
    elif kind == 4:
        part = area(0, width, height // 3, 2 * (height // 3))
        rest = whole - part
    else:
        part = area(width // 3, 2 * (width // 3), 0, height)
        rest = whole - part
    return np.asarray(np.log1p(part) - np.log1p(rest))


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"fingerprint: not base64url ({error})") from error


def _pack(values: npt.NDArray[np.int64], width: int) -> bytes:
    """Values of `width` bits each, the least significant bit first."""
    bits = np.unpackbits(values.astype(np.uint8)[:, None], axis=1, bitorder="little")[:, :width]
    return np.packbits(bits, bitorder="little").tobytes()


def _unpack(packed: bytes, width: int) -> npt.NDArray[np.int64]:
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    return bits[: len(bits) - len(bits) % width].reshape(-1, width) @ (1 << np.arange(width))


def _from_gaps(gaps: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> Words:
    """Words from the gaps between changed bits; a gap of 0 ends a word."""
    words = np.zeros(len(ends), np.uint32)
    total = np.cumsum(gaps)
    word = np.searchsorted(ends, np.arange(len(gaps)))
    before = np.concatenate([[0], total[ends[:-1]]])
    bit = total - before[word] - 1
    if bit.max(initial=0) > 31:
        raise ValueError("fingerprint: a bit beyond the 32nd of a word")
    changed = gaps > 0
    np.bitwise_or.at(words, word[changed], np.uint32(1) << bit[changed].astype(np.uint32))
    return np.bitwise_xor.accumulate(words)


_LOW_PASS = _low_pass()
# Hamming's, symmetric; 1/32,767 is Chromaprint's full scale.
_WINDOW = np.hamming(_FRAME) / 32_767
_BINS = slice(round(_LOWEST * _FRAME / 11_025), round(_HIGHEST * _FRAME / 11_025))
_NOTES = np.floor(_NUM_BANDS * (np.log2(np.arange(_FRAME)[_BINS] * 11_025 / _FRAME / _BASE) % 1)).astype(int)
_SEMITONES = np.eye(_NUM_BANDS)[_NOTES]
