"""Decontamination: what stands in an evaluation list is left out, by id before it is fetched, by its sound
after it was decoded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sao_data import config
from sao_data.audio import AudioRejected
from sao_data.audio.sandbox import Sandbox
from sao_data.ingest.plan import Unit, planned
from sao_data.manifest import Manifest
from sao_data.matching import alike, decontamination
from sao_data.matching.decontamination import EvaluationList
from sao_data.records import Clip, Objection, Recording
from sao_data.sources.folder import SUFFIXES
from sao_data.stages.listing import LIST, Listed
from sao_data.stages.normalise import Normalise
from sao_data.stages.pack import is_dropped
from sao_data.storage import layout, tables
from sao_data.storage.backend import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSound:
    """One audio file of a list, as work/ keeps it: that it need not be decoded again."""

    name: str  # within the folder
    sha256: str
    audio_sha256: str  # '' = it cannot be decoded
    fingerprint: str
    spectral_hash: str


def by_id(manifest: Manifest, recordings: Iterable[Recording]) -> list[Objection]:
    """Denials of works that a list names."""
    lists = [(item, decontamination.read_ids(item)) for item in manifest.decontaminate]
    return list(decontamination.by_id(recordings, lists)) if lists else []


def listed_recordings(units: list[Unit]) -> Iterator[Recording]:
    """Everything that is offered."""
    return (row.recording for unit in units for row in unit.bucket().rows(LIST, Listed))


def by_sound(
    units: list[Unit], storage: Storage, found: Collection[Objection], *, is_kept: bool = True
) -> list[Objection]:
    """Denials of works that sound like a file of a list. `found`: what else was found out about them;
    `is_kept`: note in work/ what the files sound like."""
    manifest = units[0].plan.manifest
    said: dict[str, list[str]] = {}
    asked = [item for item in manifest.decontaminate if item.audio]
    if not asked:
        return []
    out = {item.recording_id for item in found if is_dropped(item)}
    works = {key: clip for key, clip in _first_clips(units) if key not in out}
    for item in asked:
        sounds = {sound.name: sound for sound in _sounds(item, manifest, storage, is_kept=is_kept)}
        equal = {sound.audio_sha256: name for name, sound in sounds.items() if sound.audio_sha256}
        how = {
            pair.second: f"sounds like {pair.first}, {pair.how}" for pair in alike.find_like(sounds, works)
        }
        how |= {
            key: f"same audio as {equal[clip.audio_sha256]}"
            for key, clip in works.items()
            if clip.audio_sha256 in equal
        }
        for key, words in how.items():
            said.setdefault(key, []).append(f"{item.name} ({words.replace('; ', ', ')})")
    return [decontamination.denial(key, said[key]) for key in sorted(said)]


def _first_clips(units: list[Unit]) -> Iterator[tuple[str, Clip]]:
    for unit in units:
        bucket = planned(unit)
        kept = {clip.recording_id for clip in bucket.rows("curate", Clip)}
        for clip in bucket.rows("normalise", Clip):
            if clip.number == 0 and clip.recording_id in kept:
                yield clip.recording_id, clip


def _sounds(
    item: EvaluationList, manifest: Manifest, storage: Storage, *, is_kept: bool
) -> list[EvaluationSound]:
    """The files of a folder by their sound; only those not seen before are decoded."""
    settings = config.digest(Normalise.version, manifest.audio)[:16]
    name = f"{layout.EVALUATION}/{item.name}-{settings}.parquet"
    rows = tables.read(storage, name, EvaluationSound) if storage.exists(name) else []
    known = {row.sha256: row for row in rows}
    found = []
    folder = Path(item.audio)
    with tempfile.TemporaryDirectory(prefix="evaluation-") as spool, Sandbox(manifest.audio) as sandbox:
        for path in sorted(folder.rglob("*")):
            if path.suffix.casefold() not in SUFFIXES or not path.is_file():
                continue
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            relative = path.relative_to(folder).as_posix()
            row = known.get(sha256) or _heard(sandbox, path, Path(spool), sha256)
            found.append(dataclasses.replace(row, name=relative))
    if is_kept and found != rows:
        tables.write(storage, name, EvaluationSound, found)
    return found


def _heard(sandbox: Sandbox, path: Path, spool: Path, sha256: str) -> EvaluationSound:
    try:
        made = sandbox.normalise(path, spool)
    except AudioRejected:
        return EvaluationSound(name="", sha256=sha256, audio_sha256="", fingerprint="", spectral_hash="")
    for clip in made.clips:
        clip.path.unlink()
    return EvaluationSound(
        name="",
        sha256=sha256,
        audio_sha256=made.audio_sha256,
        fingerprint=made.fingerprint,
        spectral_hash=made.spectral_hash,
    )
