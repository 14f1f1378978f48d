"""Normalise: decode each file, bring it to 44.1 kHz stereo, cut it, measure it, store it as FLAC in the
bucket's blob.

Decoding runs in a child process with limits (workbench), because decoders of hostile files crash and balloon.
"""

from __future__ import annotations

import atexit
import dataclasses
import functools
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from sao_data.audio import AudioConfig, AudioRejected
from sao_data.cut import Cut
from sao_data.plugins import Source
from sao_data.records import AudioFile, Clip
from sao_data.stage import Bucket, Sink, spool
from sao_data.stages.listing import NAME as LIST
from sao_data.stages.listing import Listed
from sao_data.workbench import Normalised, Workbench

_TOOLS = ("soundfile", "av", "soxr", "numpy", "scipy", "pyloudnorm")  # another version may give other bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalise:
    """Files into clips."""

    sources: tuple[Source, ...]
    audio: AudioConfig
    cut: Cut

    name: ClassVar[str] = "normalise"
    version: ClassVar[int] = 1
    row: ClassVar[type] = Clip
    inputs: ClassVar[tuple[str, ...]] = (LIST, "fetch")
    has_blob: ClassVar[bool] = True

    def settings(self) -> object:
        return [self.audio, self.cut, {tool: version(tool) for tool in _TOOLS}]

    def run(self, bucket: Bucket, sink: Sink) -> None:
        listed = {row.recording.id: row for row in bucket.rows(LIST, Listed)}
        files = bucket.rows("fetch", AudioFile)
        sink.expect(file.recording_id for file in files)
        bench = _workbench(self.audio, self.cut)
        with spool(bucket.storage) as folder:
            for file in files:
                self._normalise(listed[file.recording_id], file, bench, folder, sink)

    def _normalise(self, row: Listed, file: AudioFile, bench: Workbench, folder: Path, sink: Sink) -> None:
        path = folder / "original"
        with self.sources[row.source_index].open(row.recording) as source, path.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        try:
            result = bench.normalise(path, folder)
        except AudioRejected as rejected:
            sink.reject(file.recording_id, rejected.reason, rejected.detail)
            return
        finally:
            path.unlink()
        _store(result, file, sink)


@functools.lru_cache(maxsize=1)
def _workbench(audio: AudioConfig, cut: Cut) -> Workbench:
    """One child per process, kept from bucket to bucket: starting it costs more than a short file."""
    bench = Workbench(audio, cut)
    atexit.register(bench.close)
    return bench


def _store(result: Normalised, file: AudioFile, sink: Sink) -> None:
    audio = dataclasses.replace(
        file,
        container=result.container,
        codec=result.codec,
        decoder=result.decoder,
        sample_rate=result.sample_rate,
        num_channels=result.num_channels,
        num_frames=result.num_frames,
    )
    for clip in result.clips:
        offset = sink.store(clip.path.read_bytes())
        clip.path.unlink()
        sink.keep(
            file.recording_id,
            Clip(
                recording_id=file.recording_id,
                number=clip.number,
                start_frame=clip.start_frame,
                num_frames=clip.num_frames,
                recording_frames=result.recording_frames,
                audio=audio,
                measures=clip.measures,
                changes=result.changes,
                audio_sha256=result.audio_sha256,
                flac_sha256=clip.flac_sha256,
                flac_bytes=clip.flac_bytes,
                blob_offset=offset,
                seek_points=clip.seek_points,
            ),
        )
