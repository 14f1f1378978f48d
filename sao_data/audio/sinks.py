"""Where normalised PCM goes: FLAC clips with their measures, hashes and seek points, or measures alone."""

from __future__ import annotations

import hashlib
from io import BufferedRandom, FileIO
from pathlib import Path

import numpy as np
import soundfile

from sao_data.audio import flac
from sao_data.audio.chromaprint import Fingerprinter
from sao_data.audio.containers.guarded import Written
from sao_data.audio.loudness_meter import Meter
from sao_data.audio.measuring.spectral_hash import SpectralHasher
from sao_data.audio.sandbox import CLIP_NAMES, StoredClip
from sao_data.audio.segments import Cut
from sao_data.audio.stereo import Pcm
from sao_data.records import NUM_CHANNELS, SAMPLE_RATE

_BUFFER = 1 << 17  # bytes written at once
_ZEROS = np.zeros((SAMPLE_RATE, NUM_CHANNELS), np.int16)


class MeterSink:
    """Measures a whole recording and keeps no audio."""

    def __init__(self, *, speech: bool = False) -> None:
        self.meter = Meter(speech=speech)

    def write(self, pcm: Pcm) -> None:
        """Measure the next frames."""
        self.meter.feed(pcm)

    def discard(self) -> None:
        """Nothing to forget: another sink takes over."""


class ClipSink:
    """Cuts a recording into FLAC clips in a folder."""

    def __init__(self, folder: Path, cut: Cut, compression: float, *, speech: bool = False) -> None:
        self._folder = folder
        self._cut = cut
        self._compression = compression
        self._speech = speech
        self.clips: list[StoredClip] = []
        self.num_frames = 0
        self.num_trimmed = 0
        self.sha256 = hashlib.sha256()
        self.fingerprinter = Fingerprinter()
        self.hasher = SpectralHasher()
        self._num_zeros = 0
        self._encoder: _Encoder | None = None

    def write(self, pcm: Pcm) -> None:
        """Take the next frames; zeros that may turn out to be the end are counted, not written."""
        if not self._cut.trim_trailing_silence:
            self._store(pcm)
            return
        sounding = np.flatnonzero(pcm.any(axis=1))
        if not len(sounding):
            self._num_zeros += len(pcm)
            return
        end = int(sounding[-1]) + 1
        self._store_zeros()
        self._store(pcm[:end])
        self._num_zeros = len(pcm) - end

    def discard(self) -> None:
        """Delete what was written; this sink is done with."""
        if self._encoder:
            self._encoder.abandon()
        for clip in self.clips:
            clip.path.unlink()

    def finish(self) -> None:
        """Close the last clip. Nothing but zeros is left whole: silence is left to the filters."""
        if not self.num_frames:
            self._store_zeros()
        self.num_trimmed = self._num_zeros
        self._close_clip()

    def _store_zeros(self) -> None:
        while self._num_zeros:
            zeros = _ZEROS[: self._num_zeros]
            self._num_zeros -= len(zeros)
            self._store(zeros)

    def _store(self, pcm: Pcm) -> None:
        self.sha256.update(pcm.astype("<i2", copy=False).data)
        self.fingerprinter.add(pcm)
        self.hasher.add(pcm)
        while len(pcm):
            if self._encoder is None:
                meter = Meter(speech=self._speech)
                at = (len(self.clips), self.num_frames)
                self._encoder = _Encoder(self._folder, *at, self._compression, meter)
            room = self._cut.max_frames - self._encoder.num_frames
            self._encoder.write(pcm[:room])
            self.num_frames += min(room, len(pcm))
            pcm = pcm[room:]
            if self._encoder.num_frames == self._cut.max_frames:
                self._close_clip()

    def _close_clip(self) -> None:
        if self._encoder:
            self.clips.append(self._encoder.finish())
            self._encoder = None


class _Encoder:
    """One clip being written."""

    def __init__(self, folder: Path, number: int, start_frame: int, compression: float, meter: Meter) -> None:
        self.num_frames = 0
        self._number = number
        self._start_frame = start_frame
        self._meter = meter
        self._path = folder / CLIP_NAMES.format(number)
        self._file = BufferedRandom(FileIO(self._path, "w+"), _BUFFER)
        self._guarded = Written(self._file)
        self._flac = soundfile.SoundFile(
            self._guarded,
            "w",
            SAMPLE_RATE,
            NUM_CHANNELS,
            "PCM_16",
            format="FLAC",
            compression_level=compression,
        )

    def write(self, pcm: Pcm) -> None:
        """Encode and measure; OSError if the disk does not take it."""
        try:
            self._flac.write(pcm)
        finally:
            self._guarded.check()
        self._meter.feed(pcm)
        self.num_frames += len(pcm)

    def abandon(self) -> None:
        """Close and delete."""
        self._flac.close()
        self._file.close()
        self._path.unlink()

    def finish(self) -> StoredClip:
        """Close the file and read it once more, for its hash and its seek points."""
        self._flac.close()
        with self._file:
            self._file.flush()
            self._guarded.check()
            points = flac.seek_points(self._guarded, self._guarded.places)
            self._guarded.check()
            num_bytes = self._file.seek(0, 2)
            self._file.seek(0)
            sha256 = hashlib.file_digest(self._file, "sha256").hexdigest()
        return StoredClip(
            number=self._number,
            start_frame=self._start_frame,
            num_frames=self.num_frames,
            path=self._path,
            flac_sha256=sha256,
            flac_bytes=num_bytes,
            measures=self._meter.finish(),
            seek_points=points,
        )
