"""What a listener would complain of, before anybody listens: silence, overload, a constant offset."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_SILENT = -60.0  # dBFS, of the peak
_OFFSET = 0.01  # of full scale, of the mean of a channel


def remarks(samples_CT: npt.NDArray[np.float32]) -> tuple[str, ...]:
    """A sentence for each thing that is wrong with a sound of finite samples."""
    found = []
    peak = float(np.abs(samples_CT).max())
    level = 20 * math.log10(peak) if peak else -math.inf
    if level < _SILENT:
        found.append(f"silent: its peak is {level:.0f} dBFS" if peak else "silent: all samples are zero")
    if peak > 1:
        share = float((np.abs(samples_CT) > 1).mean())
        found.append(
            f"overloaded: its peak is {level:+.1f} dBFS, {share:.2%} of the samples are beyond full scale; "
            "a lower cfg_scale or guidance.rescale=0.7 makes it less loud"
        )
    offset = float(np.abs(samples_CT.mean(1)).max())
    if offset > _OFFSET:
        found.append(f"off centre: a constant of {offset:.3f} is in it (DC)")
    return tuple(found)
