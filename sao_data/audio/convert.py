"""From any audio file to 44.1 kHz stereo 16-bit PCM: limits, choice of decoder, and the verdict.

What a file is, is decided by its content (sniff.py); decoding is block by block (decode.py), so that memory
stays bounded whatever a header promises; what a header promises is compared with what came (claims.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Generic, Literal, Protocol, TypeVar

from sao_data.audio import decode, flac
from sao_data.audio.containers import sniff
from sao_data.audio.containers.around import num_behind, start_of
from sao_data.audio.containers.channels import front
from sao_data.audio.containers.claims import Claims, claims_of
from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.downmix import Mix, mix_of
from sao_data.audio.limits import AudioConfig
from sao_data.audio.measuring.source_meter import SourceMeter
from sao_data.audio.rejected import AudioRejected
from sao_data.audio.stereo import Pcm, Stereo
from sao_data.measures import SourceMeasures

# Two libraries may differ by this much over encoder delay and padding (LAME states at most 4,095 of each).
_LOSSY_SLACK = 4_096  # frames
_CLOCK_SLACK = 0.2  # s by which a container's own duration may exceed its audio: codec delay, coarse clocks
_FREE_SAMPLES = 2 * 3_600 * 48_000  # an hour of stereo: whatever a file weighs, it may hold that much
_NO_END = "The stream has no end page: it may have been cut off."
_MOST = 32_767 / 32_768  # of full scale: the largest sample of 16 bits
_ROUNDING = 0.999  # share of declared frames from which on a file counts as whole: durations are rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What a file turned out to be once it had been decoded to the end."""

    container: str
    codec: str
    decoder: Literal["soundfile", "pyav"]
    sample_rate: int  # Hz
    num_channels: int
    num_frames: int  # at sample_rate
    num_frames_out: int  # at 44.1 kHz
    num_clipped: int  # samples beyond full scale, clamped by the rounding to 16 bits
    measures: SourceMeasures
    gain: float = 1.0  # by which all samples were multiplied, at most 1
    mixed: str = ""  # what became of more than two channels, a sentence
    notes: tuple[str, ...] = ()  # what was repaired, one sentence each


class PcmSink(Protocol):
    """Takes the normalised PCM of one attempt."""

    def write(self, pcm: Pcm) -> None:
        """Take the next frames."""

    def discard(self) -> None:
        """Forget what was written: another decoder starts over."""


S = TypeVar("S", bound=PcmSink)


def normalise(file: BinaryIO, config: AudioConfig, new_sink: Callable[[], S]) -> tuple[Decoded, S]:
    """Decode a seekable file into a sink from `new_sink`; AudioRejected with a reason where that fails.

    soundfile first; PyAV for what soundfile does not know, and as a second opinion when it fails, falls short
    of what was declared, or the file shows signs of a second stream. The longer decode wins.
    """
    guarded = Guarded(file)
    try:
        container = sniff.container_of(guarded, config.max_bytes)
        guarded.start = start_of(guarded, container)
        guarded.num_hidden = num_behind(guarded, container)
        job = _Job(guarded, container, claims_of(guarded, container), config, new_sink)
        attempt = job.best()
        if attempt.stereo.num_clipped and config.overshoot == "gain":
            attempt = job.turned_down(attempt)
        return job.judge(attempt), attempt.sink
    finally:
        guarded.check()  # a read error of the disk outranks every verdict that followed from it


@dataclass(slots=True)
class _Attempt(Generic[S]):
    decoder: decode.Decoder
    mix: Mix
    gain: float
    stereo: Stereo
    meter: SourceMeter
    sink: S
    num_frames: int = 0

    @property
    def is_usable(self) -> bool:
        return self.num_frames > 0 and not self.decoder.error


@dataclass(frozen=True, slots=True)
class _Job(Generic[S]):
    file: Guarded
    container: str
    claims: Claims
    config: AudioConfig
    new_sink: Callable[[], S]

    def best(self) -> _Attempt[S]:
        """The attempt that gave most, soundfile's if both gave the same."""
        first: _Attempt[S] | None = None
        failure = ""
        if self.container in sniff.SOUNDFILE:
            try:
                first = self._run(decode.SoundFileDecoder(self.file, self.container))
            except decode.CannotOpen as error:
                failure = f"soundfile: {error}; "
            else:
                if first.is_usable and not self._falls_short(first):
                    return first
        try:
            return self._second(first)
        except decode.CannotOpen as error:
            if first and first.is_usable:
                return first
            if self.container == "mp3":  # a tag alone, or a header without a whole frame behind it
                raise AudioRejected("empty", "no decodable MPEG frame") from error
            raise AudioRejected(error.reason, f"{failure}pyav: {error}") from error

    def turned_down(self, loud: _Attempt[S]) -> _Attempt[S]:
        """The same decode once more, by as much lower as its highest sample was beyond full scale."""
        loud.sink.discard()
        again = {"soundfile": decode.SoundFileDecoder, "pyav": decode.PyAVDecoder}[loud.decoder.name]
        attempt = self._run(again(self.file, self.container), _MOST / loud.stereo.peak)
        assert not attempt.stereo.num_clipped, attempt.stereo.peak
        return attempt

    def judge(self, attempt: _Attempt[S]) -> Decoded:
        """Facts about a finished attempt; AudioRejected if it is too little or too damaged."""
        decoder, num_frames = attempt.decoder, attempt.num_frames
        share = min(1.0, self.claims.share_present, *(num_frames / n for n in self._declared(decoder)))
        if share < self.config.min_decoded_share:
            raise AudioRejected("truncated", f"{num_frames} frames, {share:.1%} of what the file declares")
        if self.claims.is_cut:
            raise AudioRejected("truncated", f"{num_frames} frames; the file ends inside a page")
        notes = [_NO_END] if self.claims.has_no_end else []
        for damaged, total, unit in (
            (decoder.num_damaged, decoder.num_packets, "packets"),
            (self.claims.num_damaged, self.claims.num_pages, "Ogg pages"),
        ):
            if damaged > (1 - self.config.min_decoded_share) * total:
                raise AudioRejected("corrupt", f"{damaged} of {total} {unit} damaged")
            if damaged:
                notes.append(f"{damaged} of {total} {unit} damaged and left out.")
        if share < _ROUNDING:
            notes.append(f"Only {share:.1%} of what the file declares is there.")
        return Decoded(
            container=self.container,
            codec=decoder.codec,
            decoder=decoder.name,
            sample_rate=decoder.sample_rate,
            num_channels=decoder.num_channels,
            num_frames=num_frames,
            num_frames_out=attempt.stereo.num_frames,
            num_clipped=attempt.stereo.num_clipped,
            gain=attempt.gain,
            mixed=attempt.mix.words,
            measures=attempt.meter.finish(),
            notes=tuple(notes),
        )

    def _second(self, first: _Attempt[S] | None) -> _Attempt[S]:
        """PyAV's attempt, or the first where it is usable and PyAV gives no more."""
        if first and first.is_usable:
            slack = 0 if self.container == "flac" else _LOSSY_SLACK
            more = decode.count_frames(self.file, self.container, self._most_frames(first.decoder))
            if more <= first.num_frames + slack:
                return first
        if first:
            first.sink.discard()
        return self._run(decode.PyAVDecoder(self.file, self.container))

    def _falls_short(self, attempt: _Attempt[S]) -> bool:
        """Is there reason to think that the file holds more than soundfile gave?"""
        declared = max(attempt.decoder.declared_frames or 0, self.claims.num_frames or 0)
        if attempt.num_frames < declared * _ROUNDING:
            return True
        if attempt.num_frames + _LOSSY_SLACK < self.claims.frames_present:
            return True
        if self.container == "flac":
            return flac.scan(self.file).contradicts(attempt.num_frames, attempt.decoder.sample_rate)
        return self.claims.is_chained

    def _declared(self, decoder: decode.Decoder) -> list[float]:
        """Frames that headers state, each by another."""
        by_clock = ((self.claims.num_seconds or 0) - _CLOCK_SLACK) * decoder.sample_rate
        return [n for n in (self.claims.num_frames, decoder.exact_frames, by_clock) if n and n > 0]

    def _most_frames(self, decoder: decode.Decoder) -> int:
        """Frames after which decoding ends, whatever was declared."""
        most_samples = _FREE_SAMPLES + self.config.max_samples_per_byte * self.file.size()
        return min(self.config.max_seconds * decoder.sample_rate, most_samples // decoder.num_channels)

    def _run(self, decoder: decode.Decoder, gain: float = 1.0) -> _Attempt[S]:
        """Decode to the end or to the first error, converting on the way."""
        self._check_format(decoder)
        self._check_declared(decoder)
        most = self._most_frames(decoder)
        config, names = self.config, decoder.channels
        mix = mix_of(names, decoder.num_channels, config.downmix, config.unknown_layout)
        stereo = Stereo(decoder.sample_rate, mix, gain)
        meter = SourceMeter(decoder.sample_rate, decoder.num_channels, front(names), decoder.codec)
        attempt = _Attempt(decoder, mix, gain, stereo, meter, self.new_sink())
        for block in decoder.blocks():
            attempt.num_frames += len(block)
            if attempt.num_frames > most:
                raise AudioRejected("too_long", self._too_long(decoder, most))
            attempt.sink.write(stereo.push(block))
            meter.feed(block)
        attempt.sink.write(stereo.finish())
        return attempt

    def _too_long(self, decoder: decode.Decoder, most: int) -> str:
        if most == self.config.max_seconds * decoder.sample_rate:
            return f"more than {self.config.max_seconds} s"
        return f"more than {most * decoder.num_channels} samples in {self.file.size()} bytes"

    def _check_declared(self, decoder: decode.Decoder) -> None:
        """What says that it is too long is not decoded to find out; a guess at an MP3 says nothing."""
        guessed = 0 if self.container == "mp3" else decoder.declared_frames or 0
        seconds = max(guessed, *self._declared(decoder), 0) / decoder.sample_rate
        if seconds > self.config.max_seconds:
            raise AudioRejected(
                "too_long", f"declares {seconds:.0f} s; allowed are {self.config.max_seconds} s"
            )

    def _check_format(self, decoder: decode.Decoder) -> None:
        low, high, most = self.config.min_sample_rate, self.config.max_sample_rate, self.config.max_channels
        if not low <= decoder.sample_rate <= high:
            raise AudioRejected("bad_rate", f"{decoder.sample_rate} Hz; allowed are {low} to {high} Hz")
        if not 1 <= decoder.num_channels <= most:
            raise AudioRejected("bad_channels", f"{decoder.num_channels} channels; allowed are 1 to {most}")
