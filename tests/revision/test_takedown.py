"""Take-down: what is left is what a fresh build without the works is, and nothing of them is anywhere."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.errors import MatchedNothing, Stopped, UsageError
from sao_data.loading.heard import exposed
from sao_data.revision import rewrite, takedown
from sao_data.revision.selection import Wanted
from sao_data.revision.takedown import Request
from sao_data.rights import known_audio, takedowns
from sao_data.screening import AuditRow, audit
from sao_data.storage import layout, tables
from sao_data.storage.backend import LocalStorage, Storage
from tests.audio.test_chromaprint import melody
from tests.made import wav_bytes
from tests.sounds_made import (
    Killed,
    Mortal,
    build,
    copy,
    count_decoded,
    load,
    names,
    opened,
    published,
    rows,
    sound,
    write_sounds,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """in/ with 16 sounds of three people, one of them twice; out/ the dataset of them, work and all."""
    tmp = tmp_path_factory.mktemp("sounds")
    sounds = [sound(n) for n in range(1, 17)] + [sound(4), {"id": 77, "type": "exe"}]
    build(load(write_sounds(tmp / "in", sounds)), tmp / "out")
    return tmp


def asked(**wanted: tuple[str, ...]) -> Request:
    return Request(wanted=Wanted(**wanted), reason="author's request", when="2026-11-22")


def take(storage: Storage, request: Request) -> rewrite.Rewritten | None:
    dataset = opened(storage)
    with storage.lock():
        return takedown.apply(dataset, request, takedown.examine(dataset, request))


def everything(out: Path) -> bytes:
    """All bytes of a directory, evidence unpacked."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name != "takedowns.jsonl"]
    return b"\n".join(gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in files)


@pytest.mark.parametrize(
    "wanted",
    [
        {"authors": ("freesound:70",)},
        {"authors": ("bo",)},
        {"ids": ("freesound:4", "freesound-000000005", "freesound:77")},
        {"licences": ("CC0",)},
        {"licences": ("https://creativecommons.org/licenses/by/4.0/",), "ids": ("freesound:2",)},
    ],
    ids=["author id", "name", "ids", "family", "deed"],
)
def test_what_is_left_is_what_a_fresh_build_makes(
    built: Path, tmp_path: Path, wanted: dict[str, tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(built / "out", out)
    done = take(LocalStorage(out), asked(**wanted))
    assert done is not None
    assert done.before != done.after
    assert verify(open_dataset(str(out))) == []
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    chosen = load(built / "in")
    shutil.copy(out / "owner.json", fresh / "owner.json")
    shutil.copy(out / "takedowns.jsonl", fresh / "takedowns.jsonl")
    build(chosen, fresh)
    assert published(out) == published(fresh)

    decoded = count_decoded(monkeypatch)
    build(chosen, out)
    assert decoded == []
    assert published(out) == published(fresh)


def test_nothing_of_the_works_is_anywhere(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built / "out", out)
    (out / "recheck.csv").write_bytes(
        b"id,kind,before,after,restricts,then\r\nfreesound:3,renamed,author: ada,author: adah,no,keep\r\n"
    )
    storage = LocalStorage(out)
    before = rows(out)
    assert b"adah" in everything(out)
    take(storage, asked(authors=("ada",)))
    text = everything(out)
    mine = [row for row in before.values() if row.author == "ada"]
    assert len(mine) == 5
    for row in mine:
        told = {
            f'Sound {row.id.removeprefix("freesound:")}"',
            row.evidence,
            row.audio_sha256,
            row.original_sha256,
        }
        assert not [word for word in told if word and word.encode() in text], row.id
    assert b"adah" not in text
    assert b'"ada"' not in text
    assert {row.recording_id for row in known_audio.read(storage)}.isdisjoint(row.id for row in mine)


def test_tombstones_name_no_people(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built / "out", out)
    before = rows(out)
    version = open_dataset(str(out)).facts["version"]
    take(LocalStorage(out), asked(authors=("freesound:71",), ids=("freesound:3",)))
    stones = {stone.id: stone for stone in takedowns.read_tombstones(LocalStorage(out)).lines}
    mine = {row.id for row in before.values() if row.author == "bo"}
    assert stones.keys() == mine | {"freesound:3"}
    assert stones["freesound:3"].author == ""
    assert {stones[key].author for key in mine} == {takedowns.author_hash("freesound", "71")}
    assert all(stone.version == version and stone.reason == "author's request" for stone in stones.values())
    assert stones["freesound:1"].original_sha256 == before["freesound:1"].original_sha256
    assert stones["freesound:1"].shards == before["freesound:1"].shards
    assert '"bo"' not in (out / "takedowns.jsonl").read_text()


def test_works_to_come_by_an_author_stay_out(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "out", tmp_path / "out")
    take(LocalStorage(tmp_path / "out"), asked(authors=("70",)))
    sounds = [sound(n) for n in range(1, 17)] + [sound(18, username="ada renamed")]
    build(load(write_sounds(tmp_path / "in", sounds)), tmp_path / "out")
    assert rows(tmp_path / "out")["freesound:18"].rule == "taken_down"


def test_a_second_time_there_is_nothing_to_do(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built / "out", out)
    storage = LocalStorage(out)
    for request in (asked(authors=("ada",)), asked(authors=("freesound:71",)), asked(licences=("BY-NC",))):
        take(storage, request)
        mortal = Mortal(storage, dies_at=0)
        effect = takedown.examine(opened(mortal), request)
        assert effect.rows == ()
        assert takedown.apply(opened(mortal), request, effect) is None


def test_only_the_shards_concerned_are_written(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built / "out", out)
    mortal = Mortal(LocalStorage(out))
    concerned = set(rows(out)["freesound:1"].shards)
    done = take(mortal, asked(ids=("freesound:1",)))
    assert done is not None
    assert set(done.written) | set(done.deleted) == concerned
    assert {name for name in mortal.changed if name.startswith("shards/")} == {
        f"shards/{n}" for n in concerned
    }
    assert len([name for name in mortal.changed if name.startswith("fingerprints/")]) == 1
    assert (
        len([name for name in mortal.changed if name.startswith("evidence/")]) == 2
    )  # old one out, new one in


@pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_any_write_the_same_command_finishes_it(built: Path, tmp_path: Path, stride: int) -> None:
    request = asked(authors=("ada",), ids=("freesound:5",))
    shutil.copytree(built / "out", tmp_path / "whole")
    mortal = Mortal(LocalStorage(tmp_path / "whole"))
    take(mortal, request)
    wanted = {name: (tmp_path / "whole" / name).read_bytes() for name in names(mortal)}
    assert len(mortal.changed) > 40
    for dies_at in range(0, len(mortal.changed), stride):
        out = tmp_path / f"{dies_at}"
        shutil.copytree(built / "out", out)
        with pytest.raises(Killed):
            take(Mortal(LocalStorage(out), dies_at), request)
        storage = LocalStorage(out)
        with storage.lock():
            rewrite.resume(storage)
        take(storage, request)
        assert {name: storage.read(name) for name in names(storage)} == wanted, mortal.changed[dies_at]
        shutil.rmtree(out)


def test_a_killed_run_is_said_and_not_read_half_way(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built / "out", out)
    with pytest.raises(Killed):
        take(Mortal(LocalStorage(out), 7), asked(ids=("freesound:1",)))
    assert not (out / "dataset.json").exists()
    with pytest.raises(Stopped, match="not finished; run it again with --apply"):
        takedown.open_published(LocalStorage(out))


def test_an_ingest_finishes_what_was_killed_before_it_goes_on(built: Path, tmp_path: Path) -> None:
    request = asked(authors=("ada",))
    shutil.copytree(built / "out", tmp_path / "whole")
    take(LocalStorage(tmp_path / "whole"), request)
    for dies_at in (5, 9, 22):
        out = tmp_path / f"{dies_at}"
        shutil.copytree(built / "out", out)
        with pytest.raises(Killed):
            take(Mortal(LocalStorage(out), dies_at), request)
        build(load(built / "in"), out)
        assert published(out) == published(tmp_path / "whole")
        assert not (out / "work" / "rewrite.json").exists()


def test_an_object_store_is_served_alike(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "out", tmp_path / "out")
    request = asked(authors=("ada",))
    store = copy(LocalStorage(built / "out"), f"memory://{tmp_path.name}/taken")
    take(store, request)
    take(LocalStorage(tmp_path / "out"), request)
    assert published(store.url) == published(tmp_path / "out")
    assert verify(open_dataset(store.url)) == []


def test_what_matches_nothing_is_refused_before_anything_is_done(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built / "out", out)
    for wanted, near in (
        ({"ids": ("freesound:160",)}, "freesound:16"),
        ({"ids": ("freesound:1",), "authors": ("adda",)}, "ada"),
        ({"licences": ("CC-BY-4.1",)}, "CC-BY-4.0"),
    ):
        with pytest.raises(MatchedNothing, match=rf"near: .*{near}"):
            take(Mortal(LocalStorage(out), 0), asked(**wanted))  # type: ignore[arg-type]
    take(LocalStorage(out), asked(authors=("ada",)))
    with pytest.raises(MatchedNothing, match="of the 5 works taken down before only the ids are known"):
        take(LocalStorage(out), asked(authors=("adah",)))


def test_a_reason_that_names_the_author_is_refused(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "out", tmp_path / "out")
    request = Request(wanted=Wanted(authors=("ada",)), reason="Ada asked", when="2026-11-22")
    with pytest.raises(UsageError, match="names an author"):
        take(Mortal(LocalStorage(tmp_path / "out"), 0), request)


@pytest.mark.parametrize(
    "reason",
    [
        "Ada asked", "for adas sake", "user 70", "freesound:70", "request (70)", "mail ann@x.org",
        "https://freesound.org/people/ada/",
    ],
)  # fmt: skip
def test_a_reason_that_tells_who_it_is_about_is_refused_before_anything_is_shown(
    built: Path, reason: str
) -> None:
    request = Request(wanted=Wanted(authors=("freesound:70",)), reason=reason, when="2026-11-22")
    with pytest.raises(UsageError, match=r"--reason (names an author|holds a mail address)"):
        takedown.examine(open_dataset(str(built / "out")), request)


@pytest.mark.parametrize("reason", ["author's request", "court order 1970-70", "made on the island, 7.70"])
def test_a_reason_without_names_is_none_of_that(built: Path, reason: str) -> None:
    request = Request(wanted=Wanted(authors=("freesound:70",)), reason=reason, when="2026-11-22")
    assert takedown.examine(open_dataset(str(built / "out")), request).rows


def nameless(number: int, **changes: Any) -> dict[str, Any]:
    """A sound of a source that gives no author ids."""
    return sound(number, previews={}, license="CC0", **changes)


def test_works_to_come_by_an_author_without_an_id_stay_out(tmp_path: Path) -> None:
    sounds = [nameless(1), nameless(2), nameless(4, username="BO"), nameless(5, username="cyn")]
    out, chosen = tmp_path / "out", load(write_sounds(tmp_path / "in", sounds))
    build(chosen, out)
    take(LocalStorage(out), asked(authors=("bo",)))
    assert {key for key, row in rows(out).items() if row.kept} == {"freesound:2", "freesound:5"}
    assert '"bo"' not in (out / "takedowns.jsonl").read_text().casefold()
    before = published(out)
    build(chosen, out)
    assert published(out) == before  # an ingest finds no more of theirs than was shown
    build(load(write_sounds(tmp_path / "in", [*sounds, nameless(7), nameless(8)])), out)
    assert rows(out)["freesound:7"].rule == "taken_down"
    assert rows(out)["freesound:8"].kept
    assert takedown.examine(open_dataset(str(out)), asked(authors=("Bo",))).rows == ()  # done before


def test_all_works_of_an_author_go_under_whatever_name(tmp_path: Path) -> None:
    sounds = [sound(4, license="CC0"), sound(7, license="CC0", username="bo of late"), sound(8)]
    build(load(write_sounds(tmp_path / "in", sounds)), tmp_path / "out")
    effect = takedown.examine(open_dataset(str(tmp_path / "out")), asked(authors=("bo",)))
    assert [row.id for row in effect.rows] == ["freesound:4", "freesound:7"]
    assert effect.by_author == {"freesound:4", "freesound:7"}


def test_copies_under_other_names_are_shown_for_a_person_to_decide(tmp_path: Path) -> None:
    tune = melody(1, 8.0)
    audio = {1: wav_bytes(tune), 2: wav_bytes(tune), 3: wav_bytes(0.5 * tune), 4: wav_bytes(melody(2, 8.0))}
    same = [sound(n, license="CC0", username="zoe") for n in range(1, 5)]
    off = '[matching]\nfile = "off"\nfingerprint = "off"\n[dedupe]\nexact = false'
    build(load(write_sounds(tmp_path / "in", same, audio), off), tmp_path / "out")
    effect = takedown.examine(open_dataset(str(tmp_path / "out")), asked(ids=("freesound:1",)))
    assert [(item.id, item.how.split(" (")[0]) for item in effect.copies] == [
        ("freesound:2", "the same file as freesound:1"),
        ("freesound:3", "sounds like freesound:1"),
    ]


def test_a_damaged_shard_stops_it_before_anything_is_done(built: Path, tmp_path: Path) -> None:
    from sao_data.errors import IntegrityError

    out = tmp_path / "out"
    shutil.copytree(built / "out", out)
    shard = out / "shards" / rows(out)["freesound:1"].shards[0]
    shard.write_bytes(shard.read_bytes()[:-10240])
    with pytest.raises(IntegrityError, match=r"not what shards\.parquet says .*; nothing was changed"):
        take(LocalStorage(out), asked(ids=("freesound:1",)))
    assert (out / "dataset.json").exists()


def test_checkpoints_that_saw_the_works_are_found(built: Path, tmp_path: Path) -> None:
    import base64

    dataset = open_dataset(str(built / "out"))
    ids = {"freesound:1", "freesound:2", "freesound:5"}
    where = exposed.places_of(dataset, ids)
    assert sum(map(len, where.values())) == 3
    ((shard, _), places) = next(iter(where.items()))
    row = next(s for s in dataset.shards() if s.name == shard)

    def checkpoint(name: str, seen: int, sha256: str, **more: object) -> None:
        bitmap = base64.b64encode(seen.to_bytes(8, "little")).decode()
        entry = {"name": shard, "sha256": sha256, "num_samples": 1, "seen": bitmap, "draws": 1}
        facts = {"dataset": "sounds", "version": "old", "root_digest": "0" * 64, "step": 7, "shards": [entry]}
        (tmp_path / name).mkdir()
        (tmp_path / name / "training_data.json").write_text(json.dumps(facts | more))

    bit = 1 << places[0]
    checkpoint("saw", bit, row.sha256)
    checkpoint("saw-others", ~bit & 0xFFFF, row.sha256) if len(places) == 1 else None
    checkpoint("another-version", 0, "0" * 64)
    checkpoint("another-dataset", bit, "0" * 64, dataset="theirs")
    inner = json.loads((tmp_path / "saw" / "training_data.json").read_text())
    checkpoint("fine-tuned", 0, row.sha256, pretrained=[{"part": "vae", "training_data": inner}])
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "training_data.json").write_text("{")
    found = {Path(e.path).name: e for e in exposed.exposures(dataset, ids, [tmp_path])}
    assert {name: (e.num_seen, e.step) for name, e in found.items() if not e.doubt} == {
        "saw": (1, 7),
        "fine-tuned": (1, 7),
    }
    assert "as in version old" in found["another-version"].doubt
    assert "training_data.json: Invalid JSON" in found["training_data.json"].doubt
    assert len(found) == 4
    with pytest.raises(UsageError, match="not there"):
        exposed.exposures(dataset, ids, [tmp_path / "nowhere"])


def _asked_of_others(storage: Storage, key: str) -> str:
    """A screening service was asked about a work, and a recheck found it changed; the answer's name."""
    blank = {name: "" for name in ("host", "response_sha256", "best", "reference", "note")}
    row = AuditRow(
        recording_id=key,
        provider="acoustid",
        what="asked",
        status="sent",
        num_hits=0,
        score=0.0,
        **blank,
    )
    tables.write(storage, layout.SCREENING, AuditRow, [row])
    storage.write(layout.RECHECK, f"id,kind\n{key},renamed\n".encode())
    name = audit.answer_name(row.provider, row.what)
    storage.write(name, b"{}")
    return name


def test_a_dataset_that_was_never_finished_forgets_too(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sao_data.ingest import run

    chosen, out = load(built / "in"), tmp_path / "out"

    def stop(*_: object) -> None:
        raise Stopped("by the test")

    with monkeypatch.context() as patched:
        patched.setattr(run, "_pack_all", stop)
        with pytest.raises(Stopped, match="by the test"):
            build(chosen, out)
    storage, request = LocalStorage(out), asked(authors=("freesound:70",))
    assert takedown.open_published(storage) is None
    assert len(takedown.apply_unfinished(storage, request, write=False)) == 5
    assert not (out / "takedowns.jsonl").exists()
    assert b'"ada"' in everything(out)
    answer = _asked_of_others(storage, "freesound:3")
    with storage.lock():
        taken = takedown.apply_unfinished(storage, request, write=True)
        assert takedown.apply_unfinished(storage, request, write=True) == ()
    assert len(taken) == 5
    assert b"Sound 3" not in everything(out)
    assert not storage.exists(answer)
    assert storage.read(layout.RECHECK) == b"id,kind\n"
    storage.delete(layout.SCREENING)
    storage.delete(layout.RECHECK)
    decoded = count_decoded(monkeypatch)
    build(chosen, out)
    assert decoded == []  # the neighbours' audio was kept
    shutil.copytree(built / "out", tmp_path / "other")
    take(LocalStorage(tmp_path / "other"), request)
    mine, other = published(out), published(tmp_path / "other")
    assert mine == other
