"""The samples of a decoded PyAV frame as floats."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_DTYPES: dict[str, type[np.generic]] = {
    "u8": np.uint8,
    "s16": np.int16,
    "s32": np.int32,
    "s64": np.int64,
    "flt": np.float32,
    "dbl": np.float64,
}


def floats(frame: av.AudioFrame) -> Floats:
    """(frames, channels) float32 of a decoded frame, integers scaled to full scale 1."""
    num_channels = frame.layout.nb_channels
    array = _planes(frame).T if frame.format.is_planar else frame.to_ndarray().reshape(-1, num_channels)
    if array.dtype == np.uint8:
        return (array.astype(np.float32) - 128) / np.float32(128)
    if array.dtype.kind == "i":
        return array.astype(np.float32) / np.float32(2.0 ** (8 * array.itemsize - 1))
    return array.astype(np.float32)


def _planes(frame: av.AudioFrame) -> npt.NDArray[np.generic]:
    """(channels, frames) of a planar frame. PyAV's own `to_ndarray` looks for a null pointer behind the last
    plane, finds none behind eight or more, and crashes."""
    dtype = _DTYPES[frame.format.name.removesuffix("p")]
    planes = frame.planes[: frame.layout.nb_channels]
    return np.stack([np.frombuffer(memoryview(plane), dtype, frame.samples) for plane in planes])
