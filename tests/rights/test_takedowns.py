"""Tombstones: whose works to come are unwanted, and lines that cannot be what they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sao_data.audio import chromaprint
from sao_data.errors import UsageError
from sao_data.records import Recording
from sao_data.rights import takedowns
from sao_data.rights.credits import credited_to
from sao_data.rights.takedowns import Tombstone, author_hash, gather
from sao_data.storage.backend import LocalStorage

ANN = Recording(id="folder:1", source="folder", author="Ann Ode")


def stone(author: str) -> takedowns.Tombstones:
    return gather([Tombstone(id="folder:9", when="", reason="", author=author)])


def test_an_author_without_an_id_is_known_by_name_in_any_case() -> None:
    taken = stone(author_hash("folder", "", "Ann Ode"))
    for author, wanted in (("Ann Ode", True), ("ANN  ODE ", True), ("Ann", False), ("", False)):
        recording = Recording(id="folder:2", source="folder", author=author)
        assert taken.covers(recording) is wanted, author
    assert not taken.covers(Recording(id="other:2", source="other", author="Ann Ode"))


def test_an_author_with_an_id_is_known_by_it_alone() -> None:
    taken = stone(author_hash("folder", "7", "Ann Ode"))
    assert taken.authors == {author_hash("folder", "7")}
    assert taken.covers(Recording(id="folder:2", source="folder", author="Now Else", author_id="7"))
    assert not taken.covers(Recording(id="folder:2", source="folder", author="Ann Ode", author_id="8"))
    assert not taken.covers(ANN)


def test_who_is_credited_in_another_way_is_known_by_the_name_of_old() -> None:
    renamed = credited_to(ANN, "J. New")
    taken = stone(author_hash(renamed.source, renamed.author_id, renamed.author))
    assert taken.covers(ANN)
    assert taken.covers(renamed)
    assert not taken.covers(Recording(id="folder:2", source="folder", author="J. New"))


def test_nobody_has_no_hash() -> None:
    assert author_hash("folder", "", " ") == author_hash("folder", "") == ""
    assert not stone("").covers(Recording(id="folder:2", source="folder"))


def test_names_that_are_no_text_do_not_stop_it() -> None:
    assert author_hash("folder", "", "\ud800") != author_hash("folder", "", "a")


def test_a_fingerprint_that_cannot_be_compared_is_said_with_its_line(tmp_path: Path) -> None:
    good = chromaprint.encode(np.arange(40, dtype=np.uint32) * 77)
    file = tmp_path / "takedowns.jsonl"
    file.write_text(f'{{"id": "a:1", "fingerprint": "{good}"}}\n{{"id": "a:2"}}\n')
    assert [stone.id for stone in takedowns.read_tombstones(LocalStorage(tmp_path)).sounds] == ["a:1"]
    file.write_text(f'{{"id": "a:1"}}\n{{"id": "a:2", "fingerprint": "{good[:-9]}"}}\n')
    with pytest.raises(UsageError, match=r"takedowns\.jsonl:2: the fingerprint cannot be compared"):
        takedowns.read_tombstones(LocalStorage(tmp_path))
    file.write_text(f'{{"id": "a:1", "spectral_hash": "{good}"}}\n')
    with pytest.raises(UsageError, match=r"takedowns\.jsonl:1: the spectral hash cannot be compared"):
        takedowns.read_tombstones(LocalStorage(tmp_path))
