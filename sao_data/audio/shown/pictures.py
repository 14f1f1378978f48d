"""A sound to look at: its waveform as an SVG path, its mel spectrogram as a PNG."""

from __future__ import annotations

import math

import av
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_FLOOR = 80.0  # dB below the loudest that are black
_STOPS = ((0, 0, 4), (60, 15, 110), (150, 40, 120), (230, 90, 80), (252, 170, 90), (252, 253, 210))
_WINDOW = 2048  # samples of the transform


def waveform(samples_CT: Floats, width: int = 600, height: int = 80) -> str:
    """The `d` of an SVG path: lowest and highest sample of each column, in a box of width by height."""
    mono_T = samples_CT.mean(0)
    columns = min(width, len(mono_T))
    edges = np.linspace(0, len(mono_T), columns + 1).astype(int)[:-1]
    high = np.clip(np.maximum.reduceat(mono_T, edges), -1, 1)
    low = np.clip(np.minimum.reduceat(mono_T, edges), -1, 1)
    step, half = width / columns, height / 2
    lines = (
        f"M{column * step:.1f} {half - half * top:.1f}V{half - half * bottom + 0.5:.1f}"
        for column, (top, bottom) in enumerate(zip(high, low, strict=True))
    )
    return "".join(lines)


def mel(samples_CT: Floats, sample_rate: int, width: int = 600, height: int = 96) -> bytes:
    """A PNG of the power in `height` mel bands, in decibels below the loudest."""
    import librosa  # compiled: slow to import

    mono_T = samples_CT.mean(0)
    hop = max(1, math.ceil(len(mono_T) / width))
    power = librosa.feature.melspectrogram(
        y=np.pad(mono_T, (0, max(0, _WINDOW - len(mono_T)))),
        sr=sample_rate,
        n_fft=_WINDOW,
        hop_length=hop,
        n_mels=height,
    )
    decibels = 10 * np.log10(np.maximum(power, 1e-12) / max(float(power.max()), 1e-12))
    share = np.clip(1 + decibels / _FLOOR, 0, 1)[::-1]  # low bands at the bottom
    return png(_coloured(share))


def png(pixels_HW3: npt.NDArray[np.uint8]) -> bytes:
    """Pixels as a PNG."""
    height, width, _ = pixels_HW3.shape
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "rgb24"
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels_HW3), format="rgb24")
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def _coloured(share_HW: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """0 to 1 as colours from dark to light."""
    at = np.linspace(0, 1, len(_STOPS))
    channels = [np.interp(share_HW, at, [stop[channel] for stop in _STOPS]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)
