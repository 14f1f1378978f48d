"""Files' own tags in an ingest: questions, answers, what fills a gap, and that each of it can be verified."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import pytest

from sao_data.commands.verbs import why
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.records import CatalogueRow
from sao_data.rights.credits import Credit, append
from sao_data.storage.backend import LocalStorage
from tests.datasets_made import BY, build, load, tone_wav, write_rows
from tests.made import Floats, muxed_bytes, tone

NC = "https://creativecommons.org/licenses/by-nc/4.0/"


def tagged(hz: float, **tags: str) -> bytes:
    audio: Floats = tone(hz, seconds=0.6)
    return muxed_bytes(audio, container="flac", codec="flac", tags=tags)


FILES = {  # name: bytes, the table's author, the table's licence
    "agrees.flac": (tagged(300, LICENSE=BY, ARTIST="ANA", COPYRIGHT="© 2012 Ana"), "Ana", BY),
    "licence.flac": (tagged(320, LICENSE=NC), "Ana", BY),
    "reserved.flac": (tagged(340, COPYRIGHT="All rights reserved"), "Ana", BY),
    "author.flac": (tagged(360, ARTIST="Somebody Else"), "Ana", BY),
    "silent.flac": (tagged(380, LICENSE="CC BY 4.0", ARTIST="Cyn"), "", ""),
    "plain.wav": (tone_wav(400), "Ana", BY),
}
ASKED = {"licence", "reserved", "author"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, (data, _, _) in FILES.items():
        (folder / name).write_bytes(data)
    return write_rows(folder, [[n, n, author, said, "", ""] for n, (_, author, said) in FILES.items()])


def rows(out: Path) -> dict[str, CatalogueRow]:
    found = {row.id.split(":")[1].rpartition("-")[0]: row for row in open_dataset(str(out)).catalogue()}
    assert verify(open_dataset(str(out))) == []
    return found


def queue(out: Path) -> list[dict[str, str]]:
    with (out / "reviews.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def kept(out: Path) -> set[str]:
    return {name for name, row in rows(out).items() if row.kept}


def test_what_contradicts_waits_for_a_person_and_an_answer_lets_it_in(tmp_path, folder, capsys) -> None:
    chosen, out = load(tmp_path, folder), tmp_path / "out"
    build(chosen, out)
    found = rows(out)
    assert {n for n, r in found.items() if r.rule == "embedded_tags_contradict"} == ASKED
    assert {(found[n].stage, found[n].verdict, found[n].kept) for n in ASKED} == {("tags", "review", False)}
    assert found["licence"].detail == (
        f"the file's own tag comment LICENSE says {NC!r}, its source 'CC-BY-4.0'"
    )
    assert found["author"].detail.endswith("tag comment ARTIST says 'Somebody Else', its source 'Ana'")
    assert kept(out) == {"agrees", "plain"}
    assert found["silent"].rule == "no_license"
    assert why.run(argparse.Namespace(dir=str(out), id=found["licence"].id)) == 0
    assert NC in capsys.readouterr().out
    waiting = queue(out)
    assert {row["id"] for row in waiting} == {found[n].id for n in ASKED}
    assert all("its source" in row["note"] for row in waiting)
    path = out / "reviews.csv"
    path.write_text(path.read_text().replace(f"{found['author'].id},,", f"{found['author'].id},allow,"))
    build(chosen, out)
    after = rows(out)
    assert (after["author"].kept, after["author"].rule) == (True, "allowed_by_review")
    assert kept(out) == {"agrees", "plain", "author"}
    # another tag is another question
    (folder / "author.flac").write_bytes(tagged(360, ARTIST="A third"))
    build(chosen, out)
    assert kept(out) == {"agrees", "plain"}


def test_off_asks_nothing(tmp_path, folder) -> None:
    build(load(tmp_path, folder, sets=('rights.embedded_tags="off"',)), tmp_path / "out")
    assert kept(tmp_path / "out") == {*ASKED, "agrees", "plain"}


def test_fill_lets_tags_stand_where_the_source_says_nothing(tmp_path, folder) -> None:
    out = tmp_path / "out"
    build(load(tmp_path, folder, sets=('rights.embedded_tags="fill"',)), out)
    assert kept(out) == {"agrees", "plain", "silent"}
    row = rows(out)["silent"]
    assert (row.author, row.license, row.license_claim) == ("Cyn", "CC-BY-4.0", "CC BY 4.0")
    assert row.license_field == "license_claim (the file's own comment LICENSE)"
    assert row.detail == ("from the file's own tags: license_claim: comment LICENSE, author: comment ARTIST")
    build(load(tmp_path, folder), out)  # and no longer
    assert kept(out) == {"agrees", "plain"}


def test_a_setting_changes_nothing_where_no_tag_says_anything(tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.wav").write_bytes(tone_wav(300))
    write_rows(folder, [["a.wav", "A", "Ana", BY, "", ""]])
    shards = []
    for setting in ("off", "contradict", "fill"):
        out = tmp_path / setting
        build(load(tmp_path, folder, sets=(f'rights.embedded_tags="{setting}"',)), out)
        shards.append([p.read_bytes() for p in sorted((out / "shards").iterdir())])
    assert shards[0] == shards[1] == shards[2]


def test_an_author_who_asked_for_another_name_is_not_held_to_the_one_in_the_file(tmp_path, folder) -> None:
    out = tmp_path / "out"
    build(load(tmp_path, folder), out)
    storage = LocalStorage(out)
    append(storage, [Credit(id=rows(out)["agrees"].id, name="A. K.", when="2026-01-01")])
    build(load(tmp_path, folder), out)
    assert rows(out)["agrees"].author == "A. K."
    assert kept(out) == {"agrees", "plain"}
