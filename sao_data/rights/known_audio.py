"""What is remembered of audio that was ever held: hashes and fingerprints, one small table a bucket.

So a work that was dropped (its uploader opted out, its licence changed) is recognised under another name. The
tables are kept beside the dataset (fingerprints/), hold no audio and cannot be turned back into any.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sao_data.config import WHEN_SET
from sao_data.ids import bucket_of, id_hash
from sao_data.storage import layout, tables
from sao_data.storage.backend import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAudio:
    """What is remembered of audio that was ever held, so that it can be recognised (fingerprints/)."""

    recording_id: str
    author_id: str
    audio_sha256: str  # of the normalised 16-bit PCM
    original_sha256: str
    md5: str  # of the original, as the source stated it
    fingerprint: str  # Chromaprint, '' = too short for one
    rule: str  # that forbids its use, as far as was last known; '' = none does
    spectral_hash: str = field(default="", metadata=WHEN_SET)  # of what is short or steady; '' = neither


def name_of(bucket: int) -> str:
    """File name of a bucket's table."""
    return f"{layout.FINGERPRINTS}/{bucket:06d}.parquet"


def read(storage: Storage) -> Iterator[KnownAudio]:
    """Everything remembered, bucket by bucket."""
    for name in storage.names(layout.FINGERPRINTS):
        yield from tables.iterate(storage, name, KnownAudio)


def merged(
    storage: Storage,
    bucket: int,
    num_buckets: int,
    new: Iterable[KnownAudio],
    forget: Collection[str],
    rules: Mapping[str, str],
) -> list[KnownAudio]:
    """A bucket's rows: those now held, and earlier ones of recordings that are not held now. In the order of
    the bucket. `forget`: recordings that were taken down (their tombstones remember them). `rules`: what is
    known now of who forbids what; of works that are no longer offered the last known rule stays."""
    rows = {row.recording_id: row for row in new}
    names = storage.names(layout.FINGERPRINTS)
    if len(names) == num_buckets:  # the usual case: the same buckets as before
        names = [name_of(bucket)] if name_of(bucket) in names else []
    for name in names:
        for row in tables.iterate(storage, name, KnownAudio):
            if bucket_of(row.recording_id, num_buckets) == bucket:
                rows.setdefault(row.recording_id, row)
    kept = (
        dataclasses.replace(row, rule=rules.get(key, row.rule))
        for key, row in rows.items()
        if key not in forget
    )
    return sorted(kept, key=lambda row: id_hash(row.recording_id))


def without(
    storage: Storage, buckets: Collection[int], ids: Collection[str], authors: Mapping[str, str]
) -> Iterator[tuple[str, bytes]]:
    """Every table, by name, those of the buckets without these recordings (their tombstones remember them);
    `authors`: by recording, the author's id as it is shown now."""
    concerned = {name_of(bucket) for bucket in buckets}
    for name in storage.names(layout.FINGERPRINTS):
        if name not in concerned:
            yield name, storage.read(name)
            continue
        rows = [row for row in tables.iterate(storage, name, KnownAudio) if row.recording_id not in ids]
        renamed = (dataclasses.replace(r, author_id=authors.get(r.recording_id, r.author_id)) for r in rows)
        if rows:
            yield name, tables.to_bytes(KnownAudio, list(renamed))
