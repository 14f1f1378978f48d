"""What decisions rest on: raw metadata rows, kept verbatim, named by content, sealed by one Merkle root.

Each bucket has one evidence file: the raw rows of its recordings, one a line, in the order of the bucket,
gzip, named by the sha256 of the uncompressed lines. `Recording.evidence` is the sha256 of its row, so any row
can be found and checked.
"""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Iterable, Sequence

from sao_data.storage import Storage

FOLDER = "evidence"


def pack(rows: Iterable[str]) -> tuple[str, bytes]:
    """(name, gzip bytes) of an evidence file for raw rows. No time stamp: same rows, same bytes."""
    lines = b"".join(row.encode() + b"\n" for row in rows)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as file:
        file.write(lines)
    return f"{FOLDER}/{hashlib.sha256(lines).hexdigest()}.jsonl.gz", buffer.getvalue()


def read_rows(storage: Storage, name: str) -> dict[str, str]:
    """Raw rows of an evidence file by their sha256; ValueError if the content is not what its name says."""
    lines = gzip.decompress(storage.read(name))
    if hashlib.sha256(lines).hexdigest() != digest_of(name):
        raise ValueError(f"{name}: content does not match its name")
    rows = lines.decode().split("\n")[:-1]
    return {hashlib.sha256(row.encode()).hexdigest(): row for row in rows}


def digest_of(name: str) -> str:
    """The sha256 in an evidence file's name."""
    return name.removeprefix(f"{FOLDER}/").removesuffix(".jsonl.gz")


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
