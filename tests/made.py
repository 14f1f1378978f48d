"""Audio for tests is made here, never stored: signals as float32 (frames, channels), files as bytes."""

from __future__ import annotations

import io
import tempfile
import typing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

if typing.TYPE_CHECKING:
    import av

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
    return muxed_bytes(audio, rate, container="mp4", codec=codec)


def muxed_bytes(
    audio: Floats,
    rate: int = RATE,
    *,
    container: str,
    codec: str,
    layout: str = "",
    bit_rate: int = 128_000,
    tags: dict[str, str] | None = None,
    **options: str,
) -> bytes:
    """A file of FFmpeg's making, by its names of format, codec and layout; options are the muxer's."""
    import av

    with tempfile.NamedTemporaryFile() as target:  # "faststart" opens it by its name once more
        with av.open(target.name, "w", format=container, options=options) as file:
            file.metadata.update(tags or {})
            layout = layout or ("mono", "stereo")[audio.shape[1] - 1]
            _mux(file, file.add_stream(codec, rate=rate, layout=layout), audio, bit_rate)
        return Path(target.name).read_bytes()


def _mux(file: av.container.OutputContainer, stream: av.AudioStream, audio: Floats, bit_rate: int) -> None:
    context = stream.codec_context
    context.bit_rate = bit_rate
    context.format = context.format.name.replace("u8", "s16")
    context.open()
    size = context.frame_size if 1 < context.frame_size < len(audio) else len(audio)
    pcm = audio if context.format.name.startswith("flt") else to_pcm(audio)
    for start in range(0, len(audio), size):
        frame = _frame(pcm[start : start + size], context.format.name, context.layout.name)
        frame.sample_rate, frame.pts = context.sample_rate, start
        file.mux(stream.encode(frame))
    file.mux(stream.encode(None))


def _frame(block: npt.NDArray[np.generic], kind: str, layout: str) -> av.AudioFrame:
    import av

    if kind.startswith("s32"):
        block = block.astype(np.int32) << 16
    frame = av.AudioFrame(format=kind, layout=layout, samples=len(block))
    rows = np.ascontiguousarray(block.T) if kind.endswith("p") else block.reshape(1, -1)
    for plane, row in zip(frame.planes, rows, strict=False):  # PyAV sees planes behind the last of eight
        plane.update(row.tobytes().ljust(plane.buffer_size, b"\0"))
    return frame


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
