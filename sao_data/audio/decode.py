"""Two decoders behind one interface: soundfile (libsndfile) and PyAV (FFmpeg's libraries), always in blocks.

A header may promise terabytes, so nothing is ever allocated by what a header says. Both read through
`Guarded`, a plain file object: no decoder sees a path or a URL, so none can open another file or the
network.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal, Protocol

import av
import av.logging
import numpy as np
import soundfile

from sao_data.audio.containers import channels
from sao_data.audio.containers.channels import Channels
from sao_data.audio.containers.frames import Floats, floats
from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.containers.sniff import DEMUXERS, EXACT_DURATION
from sao_data.audio.rejected import AudioRejected, Reason

_READ_IN_BITS = ("mp3", "ogg")
_MOST_COPIED, _PART = 1 << 25, 1 << 20  # bytes

BLOCK_FRAMES = 65_536  # frames per block: 27 MB over imports for a stereo file of any length

_UNKNOWN_LENGTH = 2**40  # frames; libsndfile says 2^63-1 where a header states no length
_CODECS = {"MPEG_LAYER_I": "mp1", "MPEG_LAYER_II": "mp2", "MPEG_LAYER_III": "mp3"}
_AV_CODECS = {
    "mp3float": "mp3",
    "mp2float": "mp2",
    "mp1float": "mp1",
    "pcm_f32": "float",
    "pcm_f64": "double",
}

_OPUS_RATE = 48_000  # Hz; Opus is always decoded at this rate (RFC 7845, 5.1)

_MAX_UNREADABLE = 100  # failed reads in a row: a demuxer that does not move on
_MIN_GOOD_PER_JUNK = 5  # so many good packets excuse one bad one behind the last (tags, padding)


class CannotOpen(Exception):
    """A decoder does not take this file; `reason` is the verdict if no other does."""

    def __init__(self, text: str, reason: Reason = "corrupt") -> None:
        super().__init__(text)
        self.reason: Reason = reason


class Decoder(Protocol):
    """One pass over a file. Counts and errors are final once `blocks` is exhausted."""

    name: Literal["soundfile", "pyav"]
    codec: str
    sample_rate: int
    num_channels: int
    channels: Channels  # what each one is; () = not known
    declared_frames: int | None  # what the library expects, possibly an estimate
    exact_frames: int | None  # the same where the container states it
    num_packets: int
    num_damaged: int
    error: str  # '' or why decoding ended early
    error_reason: Reason

    def blocks(self) -> Iterator[Floats]:
        """Float blocks of (frames, channels); full scale is 1."""


class SoundFileDecoder:
    """libsndfile: WAV, AIFF, FLAC, Ogg, MP3, AU, CAF."""

    name: Literal["soundfile", "pyav"] = "soundfile"
    exact_frames: int | None = None  # libsndfile clamps to what is there; claims.py reads the headers
    num_packets = 0
    num_damaged = 0
    error_reason: Reason = "corrupt"

    def __init__(self, file: Guarded, container: str = "") -> None:
        file.seek(0)
        try:
            self._sound = soundfile.SoundFile(_readable(file, container))
        except soundfile.LibsndfileError as error:
            raise CannotOpen(error.error_string.rstrip(".")) from error
        subtype = self._sound.subtype
        self._is_16_bit = subtype == "PCM_16"
        is_flac = self._sound.format == "FLAC"
        self.codec = "flac" if is_flac else _CODECS.get(subtype, subtype.lower())
        self.sample_rate = self._sound.samplerate
        self.num_channels = self._sound.channels
        if self.codec == "opus" and self.sample_rate != _OPUS_RATE:
            # libsndfile obeys the header's "input sample rate", which only tells what was once encoded.
            self._sound.close()
            raise CannotOpen(f"would decode Opus at {self.sample_rate} Hz")
        place = file.tell()
        self.channels = channels.by_file(file, container, self.codec, self.num_channels)
        file.seek(place)
        self.declared_frames = self._sound.frames if self._sound.frames < _UNKNOWN_LENGTH else None
        self.error = ""

    def blocks(self) -> Iterator[Floats]:
        """Read to the end, or to the first error, which is kept in `error`."""
        # 16-bit data are read as integers and scaled here: the same values at eight times the speed.
        dtype = "int16" if self._is_16_bit else "float32"
        num_frames = max(1_024, BLOCK_FRAMES // max(1, self.num_channels // 2))
        with self._sound:
            while True:
                try:
                    block = self._sound.read(num_frames, dtype=dtype, always_2d=True)
                except soundfile.LibsndfileError as error:
                    self.error = error.error_string.rstrip(".")
                    return
                if not len(block):
                    return
                yield block * np.float32(1 / 32_768) if self._is_16_bit else block


def _readable(file: Guarded, container: str) -> Guarded | int:
    """What libsndfile is given: of formats that it reads by a few hundred bytes a copy in memory, if the file
    is not large, so that it need not ask us for each; SoundFile closes it."""
    if container not in _READ_IN_BITS or file.size() > _MOST_COPIED:
        return file
    copy = os.memfd_create("audio")
    while part := file.read(_PART):
        os.write(copy, part)
    os.lseek(copy, 0, os.SEEK_SET)
    return copy


class PyAVDecoder:
    """FFmpeg's libraries, one named demuxer, damaged packets counted and left out."""

    name: Literal["soundfile", "pyav"] = "pyav"
    declared_frames: int | None = None

    def __init__(self, file: Guarded, container: str) -> None:
        av.logging.set_level(av.logging.PANIC)
        self._container = _open(file, container)
        try:
            self._stream = _audio_stream(self._container)
            self._frames = self._decode()
            self.num_packets = 0
            self.num_damaged = 0
            self.error = ""
            self.error_reason: Reason = "corrupt"
            self.codec = _codec_name(self._stream.codec_context.name)
            self._first = next(self._frames, None)
        except CannotOpen:
            self._container.close()
            raise
        context = self._stream.codec_context
        # Of the first frame, not the header: HE-AAC doubles the rate of its own header.
        self.sample_rate = self._first.sample_rate if self._first else context.sample_rate
        self.num_channels = self._first.layout.nb_channels if self._first else context.layout.nb_channels
        layout = self._first.layout if self._first else context.layout
        self.channels = channels.by_name(tuple(channel.name for channel in layout.channels))
        self.exact_frames = self._exact_frames(container)
        if self._first is None:  # nothing came: say why, and let no limit on a header's numbers answer first
            self._container.close()
            raise CannotOpen(self.error or "no frames", self.error_reason if self.error else "empty")

    def blocks(self) -> Iterator[Floats]:
        """Decode to the end; AudioRejected("format_changes") if rate or channel count change on the way."""
        parts: list[Floats] = []
        num_frames = 0
        with self._container:
            frame = self._first
            while frame is not None:
                self._check_format(frame)
                parts.append(floats(frame))
                num_frames += frame.samples
                if num_frames >= BLOCK_FRAMES:
                    yield np.concatenate(parts)
                    parts, num_frames = [], 0
                frame = next(self._frames, None)
            if parts:
                yield np.concatenate(parts)

    def _decode(self) -> Iterator[av.AudioFrame]:
        """Frames of all packets that decode; the others are counted, but for junk around the audio."""
        num_failed = num_good = 0  # failed: in a row
        for packet in self._packets():
            frames = self._frames_of(packet)
            if not frames:  # [] is no failure: decoders need a packet in advance, and one to flush
                num_failed += frames is None
                continue
            if num_good:
                self.num_damaged += num_failed
            num_failed = 0
            num_good += 1
            yield from frames
        if num_failed * _MIN_GOOD_PER_JUNK > num_good or self.codec == "flac":
            self.num_damaged += num_failed
        self.num_packets = num_good + self.num_damaged

    def _packets(self) -> Iterator[av.Packet[av.AudioStream] | None]:
        """Every packet; None for one that cannot even be read, too many of which in a row end the file."""
        packets = self._container.demux(self._stream)
        num_failed = 0
        while num_failed < _MAX_UNREADABLE:
            try:
                packet = next(packets, None)
            except MemoryError:
                raise
            except av.FFmpegError as error:
                self._note(error)
                if self.error_reason == "unsupported_codec":  # a chained Ogg whose next part differs
                    raise AudioRejected("format_changes", "a further part is in another format") from error
                packets = self._container.demux(self._stream)  # one that raised is spent
                num_failed += 1
                yield None
                continue
            if packet is None:
                return
            num_failed = 0
            yield packet

    def _frames_of(self, packet: av.Packet[av.AudioStream] | None) -> list[av.AudioFrame] | None:
        """What a packet decodes to, possibly nothing; None if it is damaged."""
        if packet is None:
            return None
        try:
            return packet.decode()
        except MemoryError:
            raise
        except av.FFmpegError as error:
            self._note(error)
            return None

    def _note(self, error: av.FFmpegError) -> None:
        self.error = type(error).__name__
        unsupported = isinstance(error, av.PatchWelcomeError | av.DecoderNotFoundError)
        self.error_reason = "unsupported_codec" if unsupported else "corrupt"

    def _check_format(self, frame: av.AudioFrame) -> None:
        rate, channels = frame.sample_rate, frame.layout.nb_channels
        if (rate, channels) != (self.sample_rate, self.num_channels):
            was = f"{self.sample_rate} Hz, {self.num_channels} channels"
            raise AudioRejected("format_changes", f"{was}, then {rate} Hz, {channels} channels")

    def _exact_frames(self, container: str) -> int | None:
        stream = self._stream
        if container not in EXACT_DURATION or not stream.duration or stream.time_base is None:
            return None
        return round(stream.duration * stream.time_base * self.sample_rate)


def count_frames(file: Guarded, container: str, max_frames: int) -> int:
    """How many frames PyAV gets out of a file (at most max_frames and a block more); CannotOpen if none."""
    num_frames = 0
    for block in PyAVDecoder(file, container).blocks():
        num_frames += len(block)
        if num_frames > max_frames:
            break
    return num_frames


def _open(file: Guarded, container: str) -> av.container.InputContainer:
    file.seek(0)
    options = {"protocol_whitelist": "none"}  # nothing a file refers to is ever opened
    try:
        return av.open(file, "r", format=DEMUXERS[container], options=options, metadata_errors="ignore")
    except MemoryError:
        raise
    except av.FFmpegError as error:
        reason: Reason = "unsupported_codec" if isinstance(error, av.PatchWelcomeError) else "corrupt"
        raise CannotOpen(type(error).__name__, reason) from error


def _audio_stream(container: av.container.InputContainer) -> av.AudioStream:
    if not container.streams.audio:
        raise CannotOpen("no audio stream", "no_audio")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise CannotOpen("no decoder for its codec", "unsupported_codec")
    stream.codec_context.thread_count = 1
    if container.format.name == "caf" and stream.codec_context.name == "alac":
        # The last frame says how short it is; FFmpeg would cut what CAF says of its end from it once more.
        stream.codec_context.options = {"flags2": "+skip_manual"}
    if stream.codec_context.name == "flac":
        # A lossless frame with a wrong checksum is damage; FFmpeg alone would play it as noise.
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
    return stream


def _codec_name(name: str) -> str:
    """FFmpeg's decoder names in libsndfile's words: pcm_s16le -> pcm_16, mp3float -> mp3."""
    name = name.removesuffix("le").removesuffix("be") if name.startswith("pcm_") else name
    return _AV_CODECS.get(name, name.replace("pcm_s", "pcm_"))
