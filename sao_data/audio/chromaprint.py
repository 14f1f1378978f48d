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

from sao_data.audio.held import Held
from sao_data.records import SAMPLE_RATE

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint32]
Pcm = npt.NDArray[np.int16]  # (frames, 2)
Mono = npt.NDArray[np.int16]  # at 11,025 Hz

MAX_SECONDS = 120  # what fpcalc looks at, and what AcoustID has of every track
STEP = 4_096 // 3  # samples at 11,025 Hz from word to word
WORDS_PER_SECOND = SAMPLE_RATE / 4 / STEP  # 8.08

_DECIMATION = 4  # 44,100 Hz to 11,025 Hz
_FRAME = 4_096  # samples at 11,025 Hz
_NUM_TAPS, _CUTOFF, _BETA = 80, 0.8, 9.0  # libswresample's filter as fpcalc sets it; cut-off re 5,512.5 Hz
_DELAY = (_NUM_TAPS - 1) // 2
_BEFORE = _NUM_TAPS - 1  # frames that the filter reaches back
_LAG = _BEFORE - _DELAY  # frames by which what it gives is late; a multiple of four
_UNIT = 65_536  # frames at 44,100 Hz filtered at once
_BATCH = 32  # spectra at once: half a megabyte

_NUM_BANDS = 12
_LOWEST, _HIGHEST = 28, 3_520  # Hz
_BASE = 27.5  # Hz, A0, where the first semitone starts
_SMOOTHING = np.array([0.25, 0.75, 1.0, 0.75, 0.25])
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
        self._left = MAX_SECONDS * SAMPLE_RATE
        self._held = Held(_BEFORE, _UNIT)
        self._mono: list[Mono] = []

    def add(self, pcm: Pcm) -> None:
        """Take the next (frames, 2) samples at 44,100 Hz; beyond 120 s they are ignored."""
        pcm = pcm[: self._left]
        self._left -= len(pcm)
        for unit in self._held.push(pcm):
            self._decimate(unit)

    def finish(self) -> Words:
        """One word every 0.12 s; none for recordings under 2.73 s."""
        num_frames = MAX_SECONDS * SAMPLE_RATE - self._left
        for unit in self._held.push(np.zeros((_LAG + -num_frames % _DECIMATION, 2), np.int16)):
            self._decimate(unit)
        self._decimate(self._held.rest())
        first = _LAG // _DECIMATION  # before the start
        return _words(_chroma(np.concatenate(self._mono)[first : first - (-num_frames // _DECIMATION)]))

    def _decimate(self, unit: Pcm) -> None:
        """Samples at 11,025 Hz, 16 bits as in Chromaprint, of one unit behind `_BEFORE` frames."""
        from sao_data.audio.kernels import prints

        mono = np.empty((len(unit) - _BEFORE) // _DECIMATION, np.int16)
        prints.decimate(unit, _TAPS, mono)
        self._mono.append(mono)


def fingerprint(samples_TC: Floats) -> Words:
    """The fingerprint of (frames, 2) samples at 44,100 Hz, full scale 1, as 16 bits have them."""
    printer = Fingerprinter()
    printer.add(np.clip(np.rint(samples_TC * 32_768.0), -32_768, 32_767).astype(np.int16))
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


def _low_pass() -> Floats:
    """A sinc under a Kaiser window, by place in four frames; it takes the sum of both channels."""
    factor = _CUTOFF / _DECIMATION
    at = np.arange(_NUM_TAPS) - _DELAY
    inside = np.sqrt(np.maximum(1 - (2 * at / _NUM_TAPS) ** 2, 0))
    taps = np.sinc(factor * at) * np.i0(_BETA * inside)
    return np.ascontiguousarray((0.5 * taps / taps.sum()).reshape(-1, _DECIMATION).T, np.float32)


def _chroma(mono: Mono) -> Doubles:
    """Energy per moment and semitone, (moments, 12)."""
    from scipy import fft

    from sao_data.audio.kernels import prints

    num = max(0, (len(mono) - _FRAME) // STEP + 1)
    chroma = np.zeros((num, _NUM_BANDS))
    frames = np.empty((min(num, _BATCH), _FRAME), np.float32)
    for start in range(0, num, _BATCH):
        part = frames[: num - start]
        prints.cut(mono[start * STEP :], STEP, _WINDOW, part)
        prints.add_up(fft.rfft(part), _BINS.start, _NOTES, chroma[start : start + _BATCH])
    return chroma


def _words(chroma: Doubles) -> Words:
    """Every classifier's two bits, most significant first, at every moment with 16 moments from it on."""
    from sao_data.audio.kernels import prints

    num = max(0, len(chroma) - len(_SMOOTHING) + 1)
    integral = np.zeros((num + 1, _NUM_BANDS + 1))
    prints.picture(chroma, _SMOOTHING, _FAINT, integral)
    words = np.zeros(max(0, num - _MAX_WIDTH + 1), np.uint32)
    prints.compare(integral, _TERMS, _LIMITS, _GRAY, words)
    return words


def _terms(number: int, classifier: _Classifier) -> list[tuple[int, ...]]:
    """Its rectangles: where they lie, and how often they count in each of the halves that are compared."""
    kind, low, height, width, _ = classifier
    half, middle, high, wide = width // 2, height // 2, height // 3, width // 3
    whole = (0, width, 0, height, 0, 1)
    rectangles = {
        0: [(0, width, 0, height, 1, 0)],
        1: [(0, width, middle, height, 1, 0), (0, width, 0, middle, 0, 1)],
        2: [(half, width, 0, height, 1, 0), (0, half, 0, height, 0, 1)],
        3: [
            (0, half, middle, height, 1, 0),
            (half, width, 0, middle, 1, 0),
            (0, half, 0, middle, 0, 1),
            (half, width, middle, height, 0, 1),
        ],
        4: [whole, (0, width, high, 2 * high, 1, -1)],
        5: [whole, (wide, 2 * wide, 0, height, 1, -1)],
    }[kind]
    return [(number, a, b, low + c, low + d, one, other) for a, b, c, d, one, other in rectangles]


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


_TAPS = _low_pass()
# Hamming's, symmetric; 1/32,767 is Chromaprint's full scale.
_WINDOW = (np.hamming(_FRAME) / 32_767).astype(np.float32)
_BINS = slice(round(_LOWEST * _FRAME / 11_025), round(_HIGHEST * _FRAME / 11_025))
_NOTES = np.floor(_NUM_BANDS * (np.log2(np.arange(_FRAME)[_BINS] * 11_025 / _FRAME / _BASE) % 1)).astype(int)
_TERMS = np.array([term for n, item in enumerate(_CLASSIFIERS) for term in _terms(n, item)])
_LIMITS = np.exp(np.array([item.thresholds for item in _CLASSIFIERS]))
