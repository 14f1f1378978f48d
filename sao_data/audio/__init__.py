"""From any audio file to 44.1 kHz stereo 16-bit PCM, or to the reason why not: see convert.py."""

from sao_data.audio.limits import AudioConfig
from sao_data.audio.rejected import AudioRejected

__all__ = ["AudioConfig", "AudioRejected"]
