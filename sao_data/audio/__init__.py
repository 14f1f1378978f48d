"""Any file to measured 44.1 kHz stereo: decode, resample, measure, fingerprint, cut and encode.

It hands out `AudioConfig`, `AudioRejected` and the sandbox, a child process with limits on memory and
CPU time in which strangers' files are opened. What a file says of itself is read in `containers/`.

Imports: the vocabulary.
"""

from sao_data.audio.limits import AudioConfig
from sao_data.audio.rejected import AudioRejected

__all__ = ["AudioConfig", "AudioRejected"]
