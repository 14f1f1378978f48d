"""More than two channels made two (ITU-R BS.775-3, annex 4, table 2): left and right as they are, the centre
and the surrounds 3 dB lower, the LFE channel left out.

    left  = L + 0.7071 C + 0.7071 Ls      right = R + 0.7071 C + 0.7071 Rs

A single surround goes to both sides, 6 dB lower each; of 7.1 the sides and the rears are both surrounds. Of
first-order ambisonics and above two cardioids' sum and difference are taken, W + Y and W - Y. What is then
above full scale is turned down with the rest of the recording (convert.py). A layout with channels that the
standard does not know, or that no one states, keeps its left and right, or its first two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sao_data.audio.containers.channels import AMBISONIC, Channels, front
from sao_data.audio.rejected import AudioRejected
from sao_data.records import NUM_CHANNELS

Floats = npt.NDArray[np.float32]
Downmix = Literal["bs775", "front"]
UnknownLayout = Literal["front", "reject"]

_LOWER = 0.5**0.5  # -3 dB
_PARTS = {
    "FL": (1.0, 0.0), "FR": (0.0, 1.0), "FC": (_LOWER, _LOWER), "LFE": (0.0, 0.0),
    "BL": (_LOWER, 0.0), "BR": (0.0, _LOWER), "SL": (_LOWER, 0.0), "SR": (0.0, _LOWER), "BC": (0.5, 0.5),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How channels become one or two: which are taken, and how much of each goes left and right."""

    kept: tuple[int, ...]  # where nothing is mixed: places, in order
    parts: tuple[tuple[float, float], ...] = ()  # of each channel, into left and right; () = nothing mixed
    words: str = ""  # what was done, as a sentence for the credit; '' = nothing

    @property
    def num_channels(self) -> int:
        """How many come out."""
        return NUM_CHANNELS if self.parts else len(self.kept)

    def apply(self, block: Floats) -> Floats:
        """(frames, channels) to (frames, 1 or 2), contiguous. Added up in one order: the same bits always."""
        if not self.parts:
            is_all = self.kept == tuple(range(block.shape[1]))
            return np.ascontiguousarray(block if is_all else block[:, list(self.kept)])
        mixed = np.zeros((len(block), NUM_CHANNELS), np.float32)
        for channel, parts in zip(block.T, self.parts, strict=True):
            for side, part in enumerate(parts):
                if part:
                    mixed[:, side] += np.float32(part) * channel
        return mixed


def mix_of(
    channels: Channels, num_channels: int, how: Downmix = "bs775", unknown: UnknownLayout = "front"
) -> Mix:
    """How a file's channels become one or two; AudioRejected("bad_channels") if that is not to be guessed."""
    if num_channels <= NUM_CHANNELS:
        return Mix(kept=tuple(range(num_channels)))
    if channels and channels[0].startswith(AMBISONIC):
        parts = ((1.0, 1.0), (1.0, -1.0), *((0.0, 0.0),) * (num_channels - 2))
        words = f"{num_channels} channels of ambisonics made stereo (W + Y left, W - Y right)."
        return Mix(kept=(), parts=parts, words=words)
    if how == "bs775" and channels and set(channels) <= _PARTS.keys():
        without = ", without the LFE channel" if "LFE" in channels else ""
        words = f"{num_channels} channels mixed down to stereo (ITU-R BS.775{without})."
        return Mix(kept=(), parts=tuple(_PARTS[name] for name in channels), words=words)
    if not channels and unknown == "reject":
        raise AudioRejected("bad_channels", f"{num_channels} channels, and nothing says which they are")
    which = "Left and right" if channels else "The first two"
    return Mix(kept=front(channels), words=f"{which} of {num_channels} channels kept.")
