"""Licence and author from a file's own tags, where its source says nothing (`embedded_tags = "fill"`).

Done to the fresh listing, since what names no licence is never fetched: so only of files that are at hand.
What was taken is said in `Recording.from_tags`, and from there in the evidence.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence

from sao_data.audio import AudioRejected
from sao_data.audio.containers.embedded import tags_of
from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.containers.sniff import container_of
from sao_data.embedded_tag import EmbeddedTag
from sao_data.fetch.remote import RemoteSource
from sao_data.licences import parse_fields
from sao_data.manifest import Manifest
from sao_data.plugins import DamagedFile, Source
from sao_data.records import Recording
from sao_data.rights.embedded_tags import author_in, licence_in
from sao_data.stages.listing import Listing


def fill(listing: Listing, sources: Sequence[Source], manifest: Manifest) -> None:
    """Complete the listed recordings in place; nothing unless the manifest asks for it."""
    if manifest.rights.embedded_tags != "fill":
        return
    for key, row in listing.rows.items():
        source, recording = sources[row.source_index], row.recording
        if _says_all(recording) or isinstance(source, RemoteSource):
            continue
        tags = _tags(source, recording, manifest.audio.max_bytes)
        listing.rows[key] = dataclasses.replace(row, recording=completed(recording, tags))


def completed(recording: Recording, tags: tuple[EmbeddedTag, ...]) -> Recording:
    """The recording with what its source leaves out, as far as the tags say it."""
    licence = licence_in(tags) if _is_silent(recording) else None
    author = None if recording.author.strip() else author_in(tags)
    taken = (("license_claim", licence), ("author", author))
    return dataclasses.replace(
        recording,
        license_claim=licence.text if licence else recording.license_claim,
        license_url="" if licence else recording.license_url,
        author=author.text if author else recording.author,
        from_tags=tuple(f"{field}: {tag.name}" for field, tag in taken if tag),
    )


def _says_all(recording: Recording) -> bool:
    return bool(recording.author.strip()) and not _is_silent(recording)


def _is_silent(recording: Recording) -> bool:
    return parse_fields(recording.license_url, recording.license_claim).silent


def _tags(source: Source, recording: Recording, max_bytes: int) -> tuple[EmbeddedTag, ...]:
    """The tags of a file; none of one that is not there or no audio: fetch and normalise say so."""
    try:
        with source.open(recording) as file, tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
            guarded = Guarded(copy)
            return tags_of(guarded, container_of(guarded, max_bytes))
    except (FileNotFoundError, IsADirectoryError, DamagedFile, AudioRejected):
        return ()
