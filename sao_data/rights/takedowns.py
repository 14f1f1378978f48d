"""Tombstones (the usual term for deletion markers): what was taken out at somebody's request, and must not
come back (OUT/takedowns.jsonl).

One JSON object a line, appended, never rewritten. It names works by id and people by nothing: an author whose
every work is unwanted stands there as a hash of the source's own author id, or of the name where the source
gives no id. (Ids and names are few, so a hash hides them from a glance, not from a search.) Audio is
remembered by checksums and by its fingerprint.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sao_data.audio import chromaprint
from sao_data.audio.measuring import spectral_hash
from sao_data.errors import UsageError
from sao_data.records import Recording
from sao_data.rights import request_log
from sao_data.storage import layout
from sao_data.storage.backend import Storage
from sao_data.storage.series import pseudonym

_problem = functools.lru_cache(maxsize=65_536)(chromaprint.problem)  # 1 ms each


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """One line. Empty strings: not known, or not part of the request."""

    id: str  # recording id
    when: str  # ISO date of the request
    reason: str  # a word or two without names: "author's request", "court order"
    author: str = ""  # author_hash: all works of this author are unwanted, those to come too
    md5: str = ""
    original_sha256: str = ""
    audio_sha256: str = ""
    fingerprint: str = ""
    spectral_hash: str = ""
    evidence: str = ""  # sha256 of the metadata row it rested on, which is no longer published
    version: str = ""  # of the dataset it was taken from
    shards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstones:
    """All lines, ready to ask."""

    lines: tuple[Tombstone, ...] = ()
    ids: frozenset[str] = field(default_factory=frozenset)
    authors: frozenset[str] = field(default_factory=frozenset)  # hashes
    checksums: frozenset[str] = field(default_factory=frozenset)  # md5 and sha256 of files
    audio: frozenset[str] = field(default_factory=frozenset)  # sha256 of normalised audio
    sounds: tuple[Tombstone, ...] = ()  # those with a fingerprint or a spectral hash

    def covers(self, recording: Recording) -> bool:
        """Was this work, or everything by its author, taken down?"""
        if recording.id in self.ids:
            return True
        return bool(self.authors) and not self.authors.isdisjoint(author_hashes(recording))


def author_hash(source: str, author_id: str, author: str = "") -> str:
    """How a tombstone names an author: by the source's id, without one by name in any case; '' for nobody."""
    name = " ".join(author.casefold().split())
    own = author_id or (f"name:{name}" if name else "")
    return hashlib.sha256(f"sao author {source}:{own}".encode(errors="replace")).hexdigest() if own else ""


def author_hashes(recording: Recording) -> tuple[str, ...]:
    """By what a tombstone may name its author: with no id, by name, or by the stand-in that credits.py gives
    authors who are credited in another way."""
    source, author = recording.source, recording.author
    if recording.author_id:
        return (author_hash(source, recording.author_id),)
    return (author_hash(source, "", author), author_hash(source, pseudonym(recording))) if author else ()


def gather(lines: Iterable[Tombstone]) -> Tombstones:
    """Lines made ready to ask."""
    kept = tuple(lines)
    sums = {digest for line in kept for digest in (line.md5, line.original_sha256) if digest}
    return Tombstones(
        lines=kept,
        ids=frozenset(line.id for line in kept),
        authors=frozenset(line.author for line in kept if line.author),
        checksums=frozenset(sums),
        audio=frozenset(line.audio_sha256 for line in kept if line.audio_sha256),
        sounds=tuple(line for line in kept if line.fingerprint or line.spectral_hash),
    )


def read_tombstones(storage: Storage) -> Tombstones:
    """Tombstones of a dataset directory; UsageError names the line that is none."""
    return gather(request_log.read(storage, layout.TAKEDOWNS, _line))


def append(storage: Storage, more: Iterable[Tombstone]) -> None:
    """Add lines for works that have none yet; the file appears whole."""
    known = {(line.id, line.author) for line in read_tombstones(storage).lines}
    new = (line for line in more if (line.id, line.author) not in known)
    request_log.append(storage, layout.TAKEDOWNS, map(_plain, new), ensure_ascii=True)


def _plain(line: Tombstone) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(line).items() if value not in ("", ())}


@functools.cache
def _names() -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(Tombstone))


def _line(where: str, plain: dict[str, Any]) -> Tombstone:
    """Unknown keys are left to later versions; an id is needed."""
    try:
        named = {key: value for key, value in plain.items() if key in _names()}
        shards = tuple(map(str, named.pop("shards", ())))
        texts = {key: str(value) for key, value in named.items()}
        stone = Tombstone(**{"when": "", "reason": "", **texts, "id": str(plain["id"])}, shards=shards)
    except (KeyError, TypeError) as error:
        raise UsageError(f"{where}: not a JSON object with an id ({error!r}); mend the line") from error
    if problem := stone.fingerprint and _problem(stone.fingerprint):
        raise UsageError(f"{where}: the fingerprint cannot be compared ({problem}); restore it, or delete it")
    if problem := stone.spectral_hash and spectral_hash.problem(stone.spectral_hash):
        raise UsageError(f"{where}: the spectral hash cannot be compared ({problem}); restore or delete it")
    return stone
