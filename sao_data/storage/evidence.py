"""What decisions rest on: raw metadata rows, kept verbatim, named by content, sealed by one Merkle root.

Each bucket has one evidence file: the raw rows of its recordings, one a line, in the order of the bucket,
gzip, named by the sha256 of the uncompressed lines. `Recording.evidence` is the sha256 of its row, so any row
can be found and checked.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence

from sao_data.errors import IntegrityError
from sao_data.storage import layout
from sao_data.storage.backend import Storage

_UNPACKED = 64 << 20  # bytes that any file may unpack to, and …
_RATIO = 50  # … for each of its own: JSON rows of one form shrink to a tenth
_GZIP = 31  # zlib's number for one gzip member


def pack(rows: Iterable[str]) -> tuple[str, bytes]:
    """(name, gzip bytes) of an evidence file for raw rows. No time stamp: same rows, same bytes."""
    lines = b"".join(row.encode() + b"\n" for row in rows)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as file:
        file.write(lines)
    return f"{layout.EVIDENCE}/{hashlib.sha256(lines).hexdigest()}.jsonl.gz", buffer.getvalue()


def unpack(data: bytes) -> list[str]:
    """The raw rows in an evidence file; ValueError where it is none, or unpacks to too much."""
    limit = _UNPACKED + _RATIO * len(data)
    unpacker = zlib.decompressobj(wbits=_GZIP)
    try:
        lines = unpacker.decompress(data, limit)
    except zlib.error as error:
        raise ValueError(f"not gzip ({error})") from error
    if len(lines) >= limit:
        raise ValueError(f"{len(data)} bytes unpack to {limit} and more, which raw metadata do not")
    if not unpacker.eof or unpacker.unused_data or (lines and not lines.endswith(b"\n")):
        raise ValueError("cut short, or with bytes behind its end")
    return lines.decode().split("\n")[:-1]


def read_rows(storage: Storage, name: str) -> dict[str, str]:
    """Raw rows of an evidence file by their sha256; ValueError if the content is not what its name says."""
    rows = unpack(storage.read(name))
    lines = hashlib.sha256()
    for row in rows:
        lines.update(row.encode() + b"\n")
    if lines.hexdigest() != digest_of(name):
        raise ValueError("content does not match its name")
    return {hashlib.sha256(row.encode()).hexdigest(): row for row in rows}


def checked_rows(storage: Storage, name: str) -> dict[str, str]:
    """The same; IntegrityError where it is damaged."""
    try:
        return read_rows(storage, name)
    except ValueError as error:
        fix = "run `sao verify`, and restore it from a copy"
        raise IntegrityError(f"{storage.url}/{name}: damaged ({error}); {fix}") from error


def digest_of(name: str) -> str:
    """The sha256 in an evidence file's name."""
    return name.removeprefix(f"{layout.EVIDENCE}/").removesuffix(".jsonl.gz")


def merkle_root(leaves: Sequence[str]) -> str:
    """Merkle tree hash (RFC 6962, 2.1) of hex digests, as hex: one file can be proven without the others."""
    if not leaves:
        return hashlib.sha256(b"").hexdigest()
    return _tree([hashlib.sha256(b"\x00" + bytes.fromhex(leaf)).digest() for leaf in leaves]).hex()


def _tree(nodes: list[bytes]) -> bytes:
    if len(nodes) == 1:
        return nodes[0]
    split = 1 << ((len(nodes) - 1).bit_length() - 1)  # largest power of two below the number of nodes
    return hashlib.sha256(b"\x01" + _tree(nodes[:split]) + _tree(nodes[split:])).digest()


def without(
    storage: Storage, going: Collection[str], staying: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    """Every evidence file, by name, without what was said of works that go (digests of their raw rows).

    A work's own raw row is followed by other readings of it, whose digests are in no table: they go with it.
    """
    for name in storage.names(layout.EVIDENCE):
        data = storage.read(name)
        kept, goes = [], False
        rows = raw_rows(storage, name, data) if going else []
        for row in rows:
            digest = hashlib.sha256(row.encode()).hexdigest()
            goes = digest in going or (goes and digest not in staying)
            if not goes:
                kept.append(row)
        if len(kept) == len(rows):
            yield name, data
        elif kept:
            yield pack(kept)


def raw_rows(storage: Storage, name: str, data: bytes) -> list[str]:
    """The rows of an evidence file; IntegrityError if it is damaged."""
    try:
        return unpack(data)
    except ValueError as error:
        raise IntegrityError(f"{storage.url}/{name}: damaged ({error}); run `sao verify`") from error
