"""Every kind of file that names a work is known, and so is who takes the work out of it."""

from __future__ import annotations

import gzip
import importlib
import json
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sao_data import stages
from sao_data.dataset import measured
from sao_data.dataset.commit import commit
from sao_data.dataset.history import past
from sao_data.dataset.reader import open_dataset
from sao_data.ids import bucket_of
from sao_data.revision import recheck, rewrite
from sao_data.revision.rewrite_shard import rewrite_shard
from sao_data.rights import known_audio, reviews
from sao_data.screening import AuditRow, audit
from sao_data.sources import freesound_api
from sao_data.stages import amend, flac_reuse, listing, originals, refresh
from sao_data.storage import evidence, layout, tables
from sao_data.storage.backend import LocalStorage
from tests.revision.test_takedown import asked, take
from tests.sounds_made import build, load, rows, sound, write_sounds

# A name in the layout, and who takes a work out of what lies there, or writes the whole file anew.
TAKEN_OUT_BY: dict[str, Callable[..., object]] = {
    "SHARD_FOLDER": rewrite_shard,
    "SHARDS": commit,
    "SAMPLES": commit,
    "CATALOGUE": commit,  # its row stays, with nothing in it but the id and that it was taken down
    "MEASURES": measured.without,
    "STATISTICS": commit,
    "STATISTICS_PAGE": commit,
    "DATASET": commit,
    "SCREENING": audit.without,
    "EVIDENCE": evidence.without,
    "FINGERPRINTS": known_audio.without,
    "REPORT": commit,
    "CARD": commit,
    "CROISSANT": commit,
    "REVIEWS": reviews.write,
    "RECHECK": recheck.forget,
    "HISTORY": past.forget,
    "WORK": amend.forget,
    "ORIGINALS": originals.forget,
    "READINGS": refresh.forget,
    "ANSWERS": audit.forget_answers,
    "SOURCES": freesound_api.forget,  # each remote source has its own
    "JOURNAL": rewrite.rewrite,
}
NAMES_NO_WORK = {
    "SUPERSEDED",
    "SIGNATURE",
    "OWNER",
    "LOCK",
    "TERMS",
    "REQUESTS",
    "SPOOL",
    "ENCODINGS",
    "EVALUATION",
}
NAMES_WORKS_FOR_GOOD = {"TAKEDOWNS", "CREDITS"}  # by id and hash, so that the request holds in later runs

ID, TITLE = "freesound:6", "Sound 6"


def test_a_new_kind_of_file_has_to_say_who_takes_works_out_of_it() -> None:
    names = {name for name in vars(layout) if name.isupper()}
    assert names == TAKEN_OUT_BY.keys() | NAMES_NO_WORK | NAMES_WORKS_FOR_GOOD


def test_a_new_stage_has_to_say_what_becomes_of_its_finished_parts() -> None:
    found = set()
    for info in pkgutil.iter_modules(stages.__path__):
        module = importlib.import_module(f"{stages.__name__}.{info.name}")
        own = [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__]
        named = [value for name, value in vars(module).items() if name.isupper() and value == name.lower()]
        found |= {name for name in (*named, *(vars(v).get("name") for v in own)) if isinstance(name, str)}
    assert found == {*amend.REMADE, *amend.KEPT, listing.LIST, flac_reuse.PACK}


def said(out: Path) -> Iterator[tuple[str, str]]:
    """Every file and what it says, unpacked."""
    for path in sorted(out.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".parquet":
                text = json.dumps(pq.read_table(path).to_pylist(), default=str, ensure_ascii=False)
            else:
                text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode(errors="replace")
            yield path.relative_to(out).as_posix(), text


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset in which every kind of file there is names freesound:6."""
    tmp = tmp_path_factory.mktemp("forgetting")
    sounds = [sound(n) for n in range(1, 10)]
    build(load(write_sounds(tmp / "in", sounds), "[work]\nkeep = true"), tmp / "out")
    storage, bucket = LocalStorage(tmp / "out"), bucket_of(ID, 4)
    made = open_dataset(str(tmp / "out"))
    lost = {shard.name for shard in made.shards()}
    tables_of = {"shards": made.shards(), "samples": made.samples(), "rows": made.catalogue()}
    past.keep(storage, "0123456789ab", **tables_of, going=lost, staying=())  # as if all had been relisted
    reviews.write(storage, [reviews.OpenQuestion(id=ID, question="licence_unclear", note="Sound 6 by ada")])
    head, line = b"id,kind,before,after,restricts,then", b"freesound:6,renamed,ada,adah,no,keep"
    storage.write(layout.RECHECK, head + b"\r\n" + line + b"\r\n")
    for end in ("", ".json", ".0123456789ab.part"):
        storage.write(f"{layout.ORIGINALS}/{bucket:06d}/freesound-000000006{end}", b'"Sound 6" freesound:6')
    reading = json.dumps({"recording": {"id": ID, "title": "Sound 6", "author": "ada"}})
    storage.write(f"{layout.READINGS}/{bucket:06d}.jsonl", reading.encode() + b"\n")
    what = json.dumps({"artist": "ada", "title": "Sound 6"})
    blank = {name: "" for name in ("response_sha256", "best", "reference", "note")}
    numbers = {"num_hits": 0, "score": 0.0}
    row = AuditRow(
        recording_id=ID, provider="acoustid", host="x", what=what, status="sent", **blank, **numbers
    )
    tables.write(storage, layout.SCREENING, AuditRow, [row])
    storage.write(audit.answer_name("acoustid", what), b'{"title": "Sound 6"}')
    return tmp / "out"


def test_every_kind_of_file_that_names_a_work_is_in_the_table_and_no_longer_names_it(full: Path) -> None:
    places = {name: getattr(layout, name) for name in TAKEN_OUT_BY}
    before = rows(full)[ID]
    told = [
        name for name, text in said(full) if any(word in text for word in (ID, "Sound 6", before.evidence))
    ]
    covered = {
        name: [path for path in told if path == place or path.startswith(f"{place}/")]
        for name, place in places.items()
    }
    assert set(told) == {path for paths in covered.values() for path in paths}
    never = {name for name, paths in covered.items() if not paths}
    others = {"DATASET", "SOURCES", "JOURNAL", "SHARDS", "CARD", "CROISSANT"}
    assert never <= others | {"STATISTICS", "STATISTICS_PAGE"}

    assert take(LocalStorage(full), asked(ids=(ID,))) is not None

    left = {name for name, text in said(full) if ID in text}
    listed = {name for name in left if name.startswith(f"{layout.WORK}/{listing.LIST}/")}
    report = {f"{layout.REPORT}/{name}" for name in ("dropped.csv", "index.html")}  # left out: taken down
    assert left - listed == {layout.TAKEDOWNS, layout.CATALOGUE} | report
    words = (TITLE, before.evidence, before.audio_sha256, "adah")
    still = {name for name, text in said(full) if any(word in text for word in words)}
    assert still <= {layout.TAKEDOWNS}  # the hashes by which it is recognised
