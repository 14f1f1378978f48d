"""Ids and what follows from them alone: bucket, place in the bucket, name in a shard."""

from __future__ import annotations

import contextlib
import hashlib
import re

MOST_MEMBER = 100  # characters of the name of a file in a shard (POSIX ustar, no folders)
_ID = re.compile(r"[a-z][a-z0-9_]*:[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_PLACES = {"synthetic": 4}  # sources that write their numbers with leading zeros, and to how many places
_PADDED = re.compile(r"0\d{8}", re.ASCII)  # looks like a number of fewer places, padded to nine
_NINE = 9  # digits that numbers are padded to
_CLIP = re.compile(r"-(\d{4,5})\Z", re.ASCII)  # looks like the number of a further clip
_MAX_CLIPS = 100_000  # four hours in clips of a second are 14,400


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
    title. No two clips have one name (`parse_key` reads it back): a source name holds no "-", so the first
    one ends it. A further clip ends in "-" and four or five digits; an own id that ends so has "~", which no
    id holds, for that "-", so the end of a name says whether it has a clip number. What is left is the own
    id, but for numbers written as their source writes them, in at least nine digits; another own id of nine
    digits begins with a zero, and has "~" for it.
    """
    assert 0 <= number < _MAX_CLIPS, number
    source, own = recording_id.split(":", 1)
    stem = f"{source}-{_stem(source, own)}"
    return stem if number == 0 else f"{stem}-{number:04d}"


def parse_key(key: str) -> tuple[str, int]:
    """(recording id, clip number) of a sample's name; ValueError if no clip has that name."""
    source, _, stem = key.partition("-")
    clip = _CLIP.search(stem)
    if clip:
        stem = stem[: clip.start()]
    if len(stem) == _NINE and stem.isascii() and stem.isdigit():
        own = _written(source, int(stem))
    else:
        own = stem.replace("~", "0" if stem[:1] == "~" else "-", 1)
    recording_id, number = f"{source}:{own}", int(clip[1]) if clip else 0
    check_id(recording_id)
    if sample_key(recording_id, number) != key:
        raise ValueError(f"{key!r} is the name of no sample")
    return recording_id, number


def named_by(text: str) -> set[str]:
    """Recording ids that a recording id, a clip id, a sample key or the file name of a sample may mean."""
    ids = {text.split("#", 1)[0]}
    with contextlib.suppress(ValueError):
        ids.add(parse_key(text.split(".", 1)[0])[0])
    return ids


def _stem(source: str, own: str) -> str:
    if own.isdigit() and own == _written(source, int(own)):
        return own.zfill(_NINE)
    return f"~{own[1:]}" if _PADDED.fullmatch(own) else _CLIP.sub(r"~\1", own)


def _written(source: str, number: int) -> str:
    """A number as its source writes it."""
    return f"{number:0{_PLACES.get(source, 1)}d}"
