"""Identification: the audit, the ledger, and what becomes an objection."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from sao_data.errors import IntegrityError, Stopped, UsageError
from sao_data.records import Objection
from sao_data.screening import AuditRow, MusicWork, Screening, identify
from sao_data.screening.acoustid import AcoustId
from sao_data.storage import tables
from sao_data.storage.backend import LocalStorage
from tests.fakes import acoustid_server as fake

WORK = MusicWork(
    recording_id="made:2", title="Rain in town", author="someone", seconds=215, fingerprint="AQADtEmU"
)
SECOND = replace(WORK, recording_id="made:1", fingerprint="AQADsecond", seconds=61)
FOUND = fake.ok(fake.result(0.9501, fake.recording("Song", "A", "B")))
NOTHING = fake.ok()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "out")


def asked(
    server: fake.FakeAcoustId, storage: LocalStorage, *works: MusicWork, **settings: object
) -> tuple[tuple[Objection, ...], tuple[AuditRow, ...]]:
    screening = Screening(provider="acoustid", acoustid_url=server.url, **settings)  # type: ignore[arg-type]
    service = AcoustId(server.url, fake.KEY, clock=lambda: 0.0, sleep=lambda seconds: None)
    return identify(works, screening, storage, service=service)


def every_byte(storage: LocalStorage) -> bytes:
    files = sorted(path for path in storage.root.rglob("*") if path.is_file())
    return b"\n".join(str(path).encode() + path.read_bytes() for path in files)


def test_off_asks_nobody(storage: LocalStorage) -> None:
    assert identify([WORK], Screening(provider="off"), storage) == ((), ())


def test_a_dry_run_lists_what_would_be_sent_and_sends_nothing(storage: LocalStorage) -> None:
    objections, sent = identify([WORK, SECOND], Screening(), storage)
    assert objections == ()
    assert [row.recording_id for row in sent] == ["made:1", "made:2"]
    assert sent[1] == AuditRow(
        recording_id="made:2",
        provider="dry-run",
        host="api.acoustid.org",
        what="POST https://api.acoustid.org/v2/lookup duration=215&fingerprint=AQADtEmU&meta=recordings",
        status="would_be_sent",
        response_sha256="",
        num_hits=0,
        best="",
        score=0.0,
        reference="",
        note="",
    )
    assert not storage.root.exists()


def test_what_a_dry_run_shows_is_what_is_sent(storage: LocalStorage) -> None:
    with fake.running(NOTHING) as server:
        _, sent = asked(server, storage, WORK)
        _, shown = identify([WORK], Screening(acoustid_url=server.url), storage)
    assert sent[0].what == shown[0].what
    form = "&".join(f"{k}={v}" for k, v in server.requests[0].items() if k not in ("client", "format"))
    assert sent[0].what == f"POST {server.url} {form}"


def test_a_hit_is_up_for_review_with_what_was_found(storage: LocalStorage) -> None:
    with fake.running(NOTHING, FOUND) as server:
        objections, sent = asked(server, storage, WORK, SECOND)
    assert [(row.recording_id, row.status, row.num_hits) for row in sent] == [
        ("made:1", "sent", 0),
        ("made:2", "sent", 1),
    ]
    assert (sent[1].best, sent[1].score, sent[1].reference) == ("Song — A; B", 0.95, "mbid-1")
    assert sent[1].host == server.url.split("/")[2]
    assert objections == (
        Objection(
            recording_id="made:2",
            stage="screen",
            verdict="review",
            rule="screening_hit",
            detail="acoustid: Song — A; B, score 0.950 (mbid-1)",
        ),
    )


def test_a_hit_can_be_dropped_without_a_person(storage: LocalStorage) -> None:
    with fake.running(FOUND) as server:
        objections, _ = asked(server, storage, WORK, on_hit="drop")
    assert objections[0].verdict == "deny"


def test_nothing_is_sent_twice(storage: LocalStorage) -> None:
    copy = replace(WORK, recording_id="other:7")
    with fake.running(FOUND) as server:
        first = asked(server, storage, WORK, copy)
        again = asked(server, storage, copy, WORK)
    assert len(server.requests) == 1
    assert first == again


def test_the_ledger_keeps_the_response_under_the_hash_of_what_was_sent(storage: LocalStorage) -> None:
    with fake.running(FOUND) as server:
        _, (sent,) = asked(server, storage, WORK)
    name = f"work/identify/acoustid/{hashlib.sha256(sent.what.encode()).hexdigest()}.json"
    assert storage.names("work/identify/acoustid") == [name]
    assert hashlib.sha256(storage.read(name)).hexdigest() == sent.response_sha256
    assert json.loads(storage.read(name)) == json.loads(FOUND.body)


def test_a_run_that_was_stopped_goes_on_where_it_was(storage: LocalStorage) -> None:
    with fake.running(FOUND, fake.BAD_GATEWAY) as server:
        with pytest.raises(Stopped):
            asked(server, storage, WORK, SECOND)
        assert len(storage.names("work/identify/acoustid")) == 1
    with fake.running(NOTHING) as other:
        service = AcoustId(other.url, fake.KEY, clock=lambda: 0.0, sleep=lambda seconds: None)
        screening = Screening(provider="acoustid", acoustid_url=server.url)
        objections, sent = identify([WORK, SECOND], screening, storage, service=service)
    assert [request["fingerprint"] for request in other.requests] == ["AQADtEmU"]
    assert [row.recording_id for row in sent] == ["made:1", "made:2"]
    assert [found.recording_id for found in objections] == ["made:1"]


def test_another_threshold_needs_no_new_question(storage: LocalStorage) -> None:
    with fake.running(FOUND) as server:
        assert asked(server, storage, WORK)[0]
        assert asked(server, storage, WORK, min_acoustid_score=0.99)[0] == ()
    assert len(server.requests) == 1


def test_the_key_is_nowhere_in_what_is_kept(storage: LocalStorage) -> None:
    with fake.running(fake.ok(fake.result(1.0, fake.recording(fake.KEY)))) as server:
        objections, sent = asked(server, storage, WORK)
    assert fake.KEY.encode() not in every_byte(storage)
    assert fake.KEY not in f"{objections}{sent}"


@pytest.mark.parametrize("provider", ["acoustid", "dry-run"])
def test_what_has_no_fingerprint_is_not_passed_over(storage: LocalStorage, provider: str) -> None:
    with fake.running(FOUND) as server:
        screening = Screening(provider=provider, acoustid_url=server.url)  # type: ignore[arg-type]
        service = AcoustId(server.url, fake.KEY)
        objections, (sent,) = identify([replace(WORK, fingerprint="")], screening, storage, service=service)
    assert server.requests == []
    assert (sent.status, sent.host, sent.what) == ("impossible", "", "")
    assert "no fingerprint" in sent.note
    expected = [("review", "screening_impossible")] if provider == "acoustid" else []
    assert [(found.verdict, found.rule) for found in objections] == expected


def test_a_refused_fingerprint_is_up_for_review_even_where_hits_are_dropped(storage: LocalStorage) -> None:
    with fake.running(fake.error(3, "invalid fingerprint")) as server:
        objections, (sent,) = asked(server, storage, WORK, on_hit="drop")
    assert (sent.status, sent.note) == ("impossible", "acoustid: invalid fingerprint (error 3)")
    assert [(found.verdict, found.rule) for found in objections] == [("review", "screening_impossible")]


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"status": "ok", "results": [{}]}'])
def test_a_damaged_response_is_an_integrity_error(storage: LocalStorage, damage: bytes) -> None:
    with fake.running(FOUND) as server:
        asked(server, storage, WORK)
        (name,) = storage.names("work/identify/acoustid")
        storage.write(name, damage)
        with pytest.raises(IntegrityError, match="delete it and run again"):
            asked(server, storage, WORK)


def test_a_catalogue_is_looked_up_on_this_machine(storage: LocalStorage, tmp_path: Path) -> None:
    file = tmp_path / "known.csv"
    file.write_text("title,artist\nOther,X\nRain in Town (Remastered),Someone\n")
    screening = Screening(provider="catalogue", catalogue=str(file))
    objections, sent = identify(
        [replace(WORK, fingerprint=""), replace(SECOND, title="Wind")], screening, storage
    )
    assert {(row.status, row.host) for row in sent} == {("looked_up_locally", "")}
    assert [row.num_hits for row in sent] == [0, 1]
    assert sent[1].what == '{"artist": "someone", "title": "Rain in town"}'
    assert sent[1].response_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert [(found.recording_id, found.detail) for found in objections] == [
        ("made:2", "catalogue: Rain in Town (Remastered) — Someone, score 1.000 (row 2)")
    ]


def test_the_audit_is_a_table(storage: LocalStorage) -> None:
    _, sent = identify([WORK, SECOND], Screening(), storage)
    tables.write(storage, "sent.parquet", AuditRow, sent)
    assert tuple(tables.read(storage, "sent.parquet", AuditRow)) == sent


def test_without_a_key_nothing_is_asked(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACOUSTID_KEY", raising=False)
    with pytest.raises(UsageError, match="ACOUSTID_KEY"):
        identify([WORK], Screening(provider="acoustid"), storage)
