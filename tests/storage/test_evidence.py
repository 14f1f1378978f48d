"""Evidence is found again by content, and one root seals it."""

import hashlib
from pathlib import Path

import pytest

from sao_data.storage import evidence
from sao_data.storage.backend import LocalStorage


def test_rows_are_found_by_their_hash(tmp_path: Path) -> None:
    storage, rows = LocalStorage(tmp_path), ['{"id": 1}', '{"title": "ü \\n"}']
    name, data = evidence.pack(rows)
    assert (name, data) == evidence.pack(iter(rows))  # no clock in the gzip header
    storage.write(name, data)
    found = evidence.read_rows(storage, name)
    assert found == {hashlib.sha256(row.encode()).hexdigest(): row for row in rows}


def test_changed_evidence_is_noticed(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    name, _ = evidence.pack(["a"])
    storage.write(name, evidence.pack(["b"])[1])
    with pytest.raises(ValueError, match="does not match its name"):
        evidence.read_rows(storage, name)


def _h(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def test_the_merkle_root_is_that_of_rfc_6962() -> None:
    leaves = [hashlib.sha256(bytes([n])).digest() for n in range(3)]
    a, b, c = (_h(b"\x00" + leaf) for leaf in leaves)
    assert evidence.merkle_root([]) == hashlib.sha256(b"").hexdigest()
    assert evidence.merkle_root([leaves[0].hex()]) == a.hex()
    assert (
        evidence.merkle_root([leaf.hex() for leaf in leaves]) == _h(b"\x01" + _h(b"\x01" + a + b) + c).hex()
    )
