"""Normalise: decode each file, bring it to 44.1 kHz stereo, cut it, measure it, store it as FLAC in the
bucket's blob.

Decoding runs in a child process with limits (audio/sandbox.py), because hostile files make decoders crash or
fill memory. A file that an earlier part of the bucket made clips of, with the same settings, is not decoded
again.
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
from sao_data.audio.measuring import speech
from sao_data.audio.sandbox import Normalised, Sandbox
from sao_data.audio.segments import Cut
from sao_data.plugins import DamagedFile, Source
from sao_data.records import AudioFile, Clip
from sao_data.stages.base import Bucket, Part, RowSink, earlier_parts, spool
from sao_data.stages.flac_reuse import FlacFinder, clips_of
from sao_data.stages.listing import LIST, Listed
from sao_data.stages.originals import Originals, opened

# Another version of these may give other bytes, or other last digits.
_TOOLS = ("soundfile", "av", "soxr", "numpy", "numba", "scipy", "pyloudnorm")
_version = functools.cache(version)  # each bucket asks anew, and reading it parses a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalise:
    """Files into clips."""

    sources: tuple[Source, ...]
    audio: AudioConfig
    cut: Cut

    name: ClassVar[str] = "normalise"
    version: ClassVar[int] = 6
    row: ClassVar[type] = Clip
    inputs: ClassVar[tuple[str, ...]] = (LIST, "fetch")
    has_blob: ClassVar[bool] = True

    def settings(self) -> object:
        tools = (*_TOOLS, speech.PACKAGE) if self.audio.speech else _TOOLS
        return [self.audio, self.cut, {tool: _version(tool) for tool in tools}]

    def run(self, bucket: Bucket, sink: RowSink) -> None:
        listed = {row.recording.id: row for row in bucket.rows(LIST, Listed)}
        files = bucket.rows("fetch", AudioFile)
        sink.expect(file.recording_id for file in files)
        sandbox = _sandbox(self.audio, self.cut)
        known = _known(self, bucket)
        originals = Originals(storage=bucket.storage, bucket=bucket.index)
        with spool(bucket.storage) as folder, FlacFinder(bucket.storage) as flacs:
            _open_known(flacs, bucket, known)
            for file in files:
                made = known.get((file.recording_id, file.sha256))
                if made and (file.recording_id not in sink.needed or all(map(flacs.has, made.clips))):
                    _take_over(made, file, flacs, sink)
                else:
                    self._normalise(listed[file.recording_id], file, originals, sandbox, folder, sink)

    def _normalise(
        self,
        row: Listed,
        file: AudioFile,
        originals: Originals,
        sandbox: Sandbox,
        folder: Path,
        sink: RowSink,
    ) -> None:
        path = folder / "original"
        try:
            source = self.sources[row.source_index]
            with opened(source, row.recording, originals, file.stated) as whole, path.open("wb") as copy:
                shutil.copyfileobj(whole, copy, 1 << 20)
            result = sandbox.normalise(path, folder)
        except (FileNotFoundError, DamagedFile) as error:  # it was there when it was fetched
            sink.reject(file.recording_id, "missing_file", f"gone since it was fetched: {error}"[:300])
            return
        except AudioRejected as rejected:
            sink.reject(file.recording_id, rejected.reason, rejected.detail)
            return
        finally:
            path.unlink(missing_ok=True)
        _store(result, file, sink)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """Clips of one file in an earlier part."""

    part: Part
    clips: tuple[Clip, ...]


def _known(stage: Normalise, bucket: Bucket) -> dict[tuple[str, str], _Known]:
    """What earlier parts with these settings made, by recording id and sha256 of the file."""
    found: dict[tuple[str, str], _Known] = {}
    for part in earlier_parts(stage, bucket):
        clips: dict[tuple[str, str], list[Clip]] = {}
        for clip in clips_of(bucket, part):
            clips.setdefault((clip.recording_id, clip.audio.sha256), []).append(clip)
        for key, items in clips.items():
            found.setdefault(key, _Known(part=part, clips=tuple(items)))
    return found


def _open_known(flacs: FlacFinder, bucket: Bucket, known: dict[tuple[str, str], _Known]) -> None:
    by_part: dict[Part, list[Clip]] = {}
    for item in known.values():
        by_part.setdefault(item.part, []).extend(item.clips)
    for part, clips in by_part.items():
        flacs.add_blob(part, clips)
    if known:
        flacs.add_shards(bucket.index)


def _take_over(known: _Known, file: AudioFile, flacs: FlacFinder, sink: RowSink) -> None:
    """Clips as an earlier part has them, their bytes copied where they are at hand."""
    for clip in known.clips:
        data = flacs.get(clip)
        offset = -1 if data is None else sink.store(data)
        audio = dataclasses.replace(clip.audio, stated=file.stated, rendition=file.rendition)
        sink.keep(file.recording_id, dataclasses.replace(clip, audio=audio, blob_offset=offset))


@functools.lru_cache(maxsize=1)
def _sandbox(audio: AudioConfig, cut: Cut) -> Sandbox:
    """One child per process, kept from bucket to bucket: starting it costs more than a short file."""
    sandbox = Sandbox(audio, cut)
    atexit.register(sandbox.close)
    return sandbox


def _store(result: Normalised, file: AudioFile, sink: RowSink) -> None:
    audio = dataclasses.replace(
        file,
        confirmed="",
        container=result.container,
        codec=result.codec,
        decoder=result.decoder,
        sample_rate=result.sample_rate,
        num_channels=result.num_channels,
        num_frames=result.num_frames,
        tags=result.tags,
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
                source=result.source,
                changes=result.changes,
                audio_sha256=result.audio_sha256,
                flac_sha256=clip.flac_sha256,
                flac_bytes=clip.flac_bytes,
                blob_offset=offset,
                seek_points=clip.seek_points,
                fingerprint=result.fingerprint if clip.number == 0 else "",
                spectral_hash=result.spectral_hash if clip.number == 0 else "",
            ),
        )
