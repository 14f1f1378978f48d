"""Audio for tests is made here, never stored: signals as float32 (frames, channels), files as bytes."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import soundfile

RATE = 44_100

Floats = npt.NDArray[np.float32]


def tone(
    hz: float = 440.0, seconds: float = 1.0, rate: int = RATE, channels: int = 2, level: float = 0.5
) -> Floats:
    """A sine, equal in all channels."""
    wave = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def noise(
    seed: int = 0, seconds: float = 1.0, rate: int = RATE, channels: int = 2, level: float = 0.1
) -> Floats:
    """White noise, different in each channel; equal seeds, equal noise."""
    shape = (round(seconds * rate), channels)
    return (level * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def silence(seconds: float = 1.0, rate: int = RATE, channels: int = 2) -> Floats:
    """Digital zeros."""
    return np.zeros((round(seconds * rate), channels), np.float32)


def clipped(hz: float = 440.0, seconds: float = 1.0, rate: int = RATE, channels: int = 2) -> Floats:
    """A sine driven 12 dB over full scale and cut off there."""
    return np.clip(tone(hz, seconds, rate, channels, level=4.0), -1.0, 32_767 / 32_768)


def to_pcm(audio: Floats) -> npt.NDArray[np.int16]:
    """16-bit samples as the project rounds them."""
    return np.clip(np.rint(audio * np.float32(32_768)), -32_768, 32_767).astype(np.int16)


def encode(audio: npt.NDArray[np.generic], rate: int = RATE, *, container: str, codec: str) -> bytes:
    """A file of libsndfile's making; written in blocks, since libvorbis cannot take a minute at once."""
    if codec == "PCM_16" and audio.dtype.kind == "f":  # libsndfile itself would scale by 32767
        audio = to_pcm(audio)
    target = io.BytesIO()
    with soundfile.SoundFile(target, "w", rate, audio.shape[1], codec, format=container) as file:
        for start in range(0, len(audio), 16_384):
            file.write(audio[start : start + 16_384])
    return target.getvalue()


def wav_bytes(audio: npt.NDArray[np.generic], rate: int = RATE, codec: str = "PCM_16") -> bytes:
    """A WAV file."""
    return encode(audio, rate, container="WAV", codec=codec)


def aiff_bytes(audio: npt.NDArray[np.generic], rate: int = RATE) -> bytes:
    """An AIFF file of 16 bits."""
    return encode(audio, rate, container="AIFF", codec="PCM_16")


def flac_bytes(audio: npt.NDArray[np.generic], rate: int = RATE, codec: str = "PCM_16") -> bytes:
    """A FLAC file."""
    return encode(audio, rate, container="FLAC", codec=codec)


def ogg_bytes(audio: npt.NDArray[np.generic], rate: int = RATE, codec: str = "VORBIS") -> bytes:
    """An Ogg file, Vorbis or OPUS (rates 8, 12, 16, 24 and 48 kHz)."""
    return encode(audio, rate, container="OGG", codec=codec)


def mp3_bytes(audio: npt.NDArray[np.generic], rate: int = RATE) -> bytes:
    """An MP3 file with an Info header."""
    return encode(audio, rate, container="MP3", codec="MPEG_LAYER_III")


def m4a_bytes(audio: Floats, rate: int = RATE, codec: str = "alac") -> bytes:
    """An MP4 file with ALAC or AAC, by way of PyAV."""
    import av

    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo" if audio.shape[1] == 2 else "mono")
        frame = av.AudioFrame.from_ndarray(
            to_pcm(audio).reshape(1, -1), format="s16", layout=stream.codec_context.layout.name
        )
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return target.getvalue()


def video_bytes() -> bytes:
    """An MP4 file with a picture and no sound."""
    import av

    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=25, width=16, height=16, pix_fmt="yuv420p")
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return target.getvalue()
