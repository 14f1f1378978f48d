"""The API's terms: shown, accepted, kept; commercial use only with a permission that has a name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from sao_data.errors import UsageError
from sao_data.fetch import terms
from sao_data.licences import Release
from sao_data.storage import layout
from sao_data.storage.backend import LocalStorage
from tests.fakes.freesound import SimulatedClock

COMMERCIAL = [Release(commercial_use=True), Release(commercial_training=True)]


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "out")


def test_without_acceptance_the_terms_are_shown_and_nothing_is_written(storage: LocalStorage) -> None:
    with pytest.raises(UsageError) as caught:
        terms.check(storage, Release(), permission="", accept=False)
    assert terms.TERMS_URL in str(caught.value)
    assert str(caught.value).endswith("run again with --accept-terms to accept them")
    assert caught.value.exit_code == 2
    assert storage.entries() == []


def test_acceptance_is_kept_and_not_asked_for_again(storage: LocalStorage, clock: SimulatedClock) -> None:
    terms.check(storage, Release(), permission="", accept=True, operator="a@b.example", clock=clock)
    kept = json.loads(storage.read(layout.TERMS))
    assert kept == {
        "accepted_at": "2026-07-25T17:20:00Z",
        "accepted_by": "a@b.example",
        "permission": "",
        "text": terms.SUMMARY,
        "text_sha256": hashlib.sha256(terms.SUMMARY.encode()).hexdigest(),
        "url": "https://freesound.org/help/tos_api/",
        "use": {
            "open_source": True, "freely_available": True,
            "commercial_use": False, "commercial_training": False,
        },
    }  # fmt: skip
    clock.advance(3600)
    terms.check(storage, Release(), permission="", accept=False)
    terms.check(storage, Release(), permission="", accept=True, clock=clock)
    assert json.loads(storage.read(layout.TERMS)) == kept  # the first acceptance is the one that counts


def test_another_text_or_another_use_is_asked_for_anew(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms.check(storage, Release(), permission="", accept=True)
    with pytest.raises(UsageError, match="--accept-terms"):
        terms.check(storage, Release(open_source=False), permission="", accept=False)
    monkeypatch.setattr(terms, "SUMMARY", "Other terms.")
    with pytest.raises(UsageError, match=r"^Other terms\."):
        terms.check(storage, Release(), permission="", accept=False)


@pytest.mark.parametrize("release", COMMERCIAL)
def test_commercial_use_needs_a_permission_that_has_a_name(storage: LocalStorage, release: Release) -> None:
    for accept in (False, True):
        with pytest.raises(UsageError, match=r"commercial use.*mtg@upf.edu.*permission = "):
            terms.check(storage, release, permission="  ", accept=accept)
    terms.check(storage, release, permission="UPF, 2026-08-01, letter 12", accept=True)
    assert json.loads(storage.read(layout.TERMS))["permission"] == "UPF, 2026-08-01, letter 12"
    with pytest.raises(UsageError, match="--accept-terms"):
        terms.check(storage, release, permission="another", accept=False)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff"])
def test_a_damaged_acceptance_is_none(storage: LocalStorage, text: bytes) -> None:
    storage.write(layout.TERMS, text)
    with pytest.raises(UsageError, match="--accept-terms"):
        terms.check(storage, Release(), permission="", accept=False)


def test_who_accepts_is_the_login_name_if_nobody_else_is_named(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ana")
    terms.check(storage, Release(), permission="", accept=True)
    assert json.loads(storage.read(layout.TERMS))["accepted_by"] == "ana"
