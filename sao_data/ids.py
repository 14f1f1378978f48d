"""Ids and what follows from them alone: bucket, place in the bucket, name in a shard."""

from __future__ import annotations

import hashlib
import re

_ID = re.compile(r"[a-z][a-z0-9_]*:[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


def check_id(recording_id: str) -> None:
    """Raise ValueError unless this is a recording id: `source:own-id`, letters, digits, '-' and '_' only."""
    if not _ID.fullmatch(recording_id):
        raise ValueError(f"bad recording id {recording_id!r}: want source:id of letters, digits, '-' and '_'")


def id_hash(recording_id: str) -> bytes:
    """sha256 of the id: decides its bucket, its place in the bucket and every seeded choice about it."""
    return hashlib.sha256(recording_id.encode()).digest()


def bucket_of(recording_id: str, num_buckets: int) -> int:
    """The bucket of a recording: its id hash, big-endian, modulo `num_buckets`."""
    return int.from_bytes(id_hash(recording_id), "big") % num_buckets


def clip_id(recording_id: str, number: int) -> str:
    """How rejections name a clip: the recording id for its first clip, "id#1", "id#2" … for further ones."""
    return recording_id if number == 0 else f"{recording_id}#{number}"


def sample_key(recording_id: str, number: int) -> str:
    """Name of a sample in a shard: "freesound-000012345", "freesound-000012345-0001" for further clips.

    Numeric ids are padded to nine digits so that names sort as numbers; made from the id alone, never from a
    title.
    """
    source, own = recording_id.split(":", 1)
    stem = f"{source}-{int(own):09d}" if own.isascii() and own.isdigit() else f"{source}-{own}"
    return stem if number == 0 else f"{stem}-{number:04d}"
