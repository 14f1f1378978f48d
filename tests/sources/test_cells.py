"""Cells and columns of strangers' tables: one table of right values, held against every reader."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from sao_data import manifest
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.errors import UsageError
from sao_data.execution.executor import LocalExecutor
from sao_data.ingest import run
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources import catalogue, folder, freesound, freesound_pack, hub
from sao_data.sources._common import cells as _cells
from sao_data.sources._common import fields, preference
from sao_data.storage import evidence
from tests.datasets_made import CC0, Quiet, tone_wav

NAN = float("nan")
Result = tuple[list[Recording], list[Rejection], tuple[str, ...]]


TEXTS: list[tuple[object, str, str]] = [
    *((cell, key, "") for cell in ("", "nan", "NaN", "None", "null", "NULL", "N/A", "n/a", "NA", "<NA>",
      "NaT", "#N/A", "-", "--", "\\N", None, NAN, float("inf"), True, [], {}, {"a": 1})
      for key in ("title", "author", "album", "id", "year", "page_url", "category")),
    *((cell, "year", "") for cell in ("inf", "-Infinity", "NONE", "Nan", "nil")),
    *((cell, key, cell) for cell in ("Null", "none", "Nan", "Infinity", "nullable", "Nancy", "N. A.", "?")
      for key in ("title", "author", "album")),
    ("123.0", "id", "123"), ("123.00", "id", "123"), (123.0, "id", "123"), ("1.23e2", "id", "123"),
    ("1.23E+02", "id", "123"), ("0123", "id", "0123"), ("1e5", "id", "1e5"), ("2014.0", "year", "2014"),
    (2014.0, "year", "2014"), ("2014.5", "year", "2014.5"), ("-3.0", "id", "-3"),
    ("1.2.0", "id", "1.2.0"),
    (7, "title", "7"), ("7.0", "title", "7.0"), (1e300, "id", "1e+300"),
    ("1.5e99", "id", "15" + "0" * 98),
    (["Ana", "Bo"], "author", "Ana, Bo"), ("['Ana', 'Bo']", "author", "Ana, Bo"),
    (["Ana", None, NAN], "author", "Ana"), ("[untitled]", "title", "[untitled]"),
    ("Rain &amp; Thunder", "title", "Rain & Thunder"), ("Tom &amp; Ann", "author", "Tom & Ann"),
    ("caf&eacute; &#8211; &#x41;", "album", "caf\u00e9 \u2013 A"),
    ("AT&T &copy 1", "title", "AT&T &copy 1"),
    ("&amp;lt;b&amp;gt;", "title", "&lt;b&gt;"), ("&lt;b&gt; &amp;amp;", "title", "&lt;b&gt; &amp;amp;"),
    ("Tom &amp; Ann &lt;tom@x.org&gt;", "author", "Tom &amp; Ann &lt;tom@x.org&gt;"),
    ("Tom &amp;amp; Ann", "author", "Tom &amp; Ann"),
    ("R&amp;B &#60;b&#x3e; caf&eacute;", "album", "R&amp;B &#60;b&#x3e; caf&eacute;"),
    ("<&#98;> &amp;", "title", "<&#98;> &amp;"),
    ("I &lt;3 rain", "title", "I <3 rain"), ("Rain &amp; roof", "description", "Rain &amp; roof"),
    (" https://x.example/?a=1&amp;b=2 ", "page_url", "https://x.example/?a=1&b=2"),
    ("None", "license", "None"), ("nan", "license", "nan"), (NAN, "license", ""),
    (["CC0", "CC BY"], "license", "CC0 / CC BY"),
]  # fmt: skip


def test_text() -> None:
    read = [(_cells.text(cell, key), (cell, key, text)) for cell, key, text in TEXTS]
    assert [(got, case) for got, case in read if got != case[2]] == []


@pytest.mark.parametrize(
    ("cell", "items"),
    [
        *((cell, ("rain", "roof")) for cell in (
            ["rain", "roof"], "rain, roof", "rain;roof", "['rain', 'roof']", '["rain","roof"]',
            "('rain', 'roof')",
            "['rain' 'roof']", "['rain'\n 'roof']", "array(['rain', 'roof'], dtype='<U4')", 
            "{'rain', 'roof'}",
            "[np.str_('rain'), np.str_('roof')]", "[u'rain', u'roof']", "[rain, roof]",
            "frozenset({'rain', 'roof'})",
            "[nan, 'rain', None, 'roof']", "rain, nan, roof,", ["rain", None, NAN, "roof", "null"],
            "[&quot;rain&quot;, &quot;roof&quot;]", "[['rain'], ['roof']]",
        )),
        ("R&amp;B; soul", ("R&B", "soul")), ("['R&amp;B', 'a, b']", ("R&B", "a, b")),
        ("it's, ok", ("it's", "ok")),
        ("['it\\'s']", ("it's",)), ("(live)", ("(live)",)), ("[]", ()), ("nan", ()), (NAN, ()), (None, ()),
        ([1, 2.0, True], ("1", "2")), ("[" * 9_999 + "]" * 9_999, ()), ("'" * 9_999, ("'" * 9_999,)),
    ],
)  # fmt: skip
def test_lists(cell: object, items: tuple[str, ...]) -> None:
    assert _cells.items(cell, "tags") == items


@pytest.mark.parametrize(
    ("cell", "marked"),
    [(True, True), (1, True), ("1.0", True), ("Yes", True), ("explicit", True), (False, False), (0, False),
     ("0.0", False), ("FALSE", False), ("no", False), ("nan", False), (None, False), (NAN, False),
     ("", False)],
)  # fmt: skip
def test_flags(cell: object, marked: bool) -> None:
    assert _cells.flag(cell) == marked


def listed(source: Any) -> Result:
    offered = list(source.offers())
    recordings = [one.recording for one in offered if isinstance(one, Offer)]
    return recordings, [one for one in offered if isinstance(one, Rejection)], source.remarks()


def of_folder(path: Path, rows: list[dict[str, Any]], suffix: str) -> Result:
    written(path, "metadata", rows, suffix)
    return listed(folder.build(folder.Config(path=str(path))))


def of_catalogue(path: Path, rows: list[dict[str, Any]], suffix: str) -> Result:
    written(path, "works", rows, suffix)
    return listed(catalogue.build(catalogue.Config(path=str(path / f"works.{suffix}"))))


def written(path: Path, name: str, rows: list[dict[str, Any]], suffix: str) -> None:
    (path / "a.wav").write_bytes(b"a")
    if suffix == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path / f"{name}.parquet")
    elif suffix == "jsonl":
        (path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        (path / f"{name}.csv").write_text(text.getvalue())


READERS = [(reader, suffix) for reader in (of_folder, of_catalogue) for suffix in ("csv", "jsonl", "parquet")]


@pytest.mark.parametrize(("reader", "suffix"), READERS)
def test_readers_agree_on_a_row_that_other_tools_have_written(
    reader: Callable[..., Result], suffix: str, tmp_path: Path
) -> None:
    row = {"file_name": "a.wav", "title": "nan", "artist": "None", "Licence": "CC BY 4.0", "year": 2014.0,
           "tags": "['rain', 'R&amp;B']", "album": "Null", "page-url": "https://example.org/1",
           "explicit": "yes",
           "ID": 123.0}  # fmt: skip
    (recording,), rejections, told = reader(tmp_path, [row], suffix)
    assert not rejections
    assert (recording.title, recording.author, recording.album) == ("", "", "Null")
    assert (recording.license_claim, recording.year, recording.tags) == ("CC BY 4.0", "2014", ("rain", "R&B"))
    assert (recording.page_url, recording.is_explicit) == ("https://example.org/1", True)
    if reader is of_catalogue:
        assert recording.id == "catalogue:123"
    name = recording.source
    assert told == (
        f"{name}: 1 row: 'album' says 'Null', kept as the album; a program may have written it",
        f"{name}: 1 row: 'artist' says 'None', taken as not stated",
        f"{name}: 1 row: 'title' says 'nan', taken as not stated",
    )


@pytest.mark.parametrize(
    "text",
    [
        "file_name, title, author, license, url\na.wav, Roof, Ann Otter, CC BY 4.0, https://example.org/1\n",
        'file_name, title, author, license, url\na.wav, "Roof", Ann Otter, CC BY 4.0, '
        "https://example.org/1\n",
        "\ufeffFile Name;Title;AUTHOR;Licence;URL\r\na.wav;Roof;Ann Otter;CC BY 4.0;https://example.org/1\r\n",
        "file-name\ttitle\tartist\tlicense\tpage_url\na.wav\tRoof\tAnn Otter\tCC BY 4.0\thttps://example.org/1\n",
        '"file_name"," title ","author","license","url"\ra.wav,Roof,Ann Otter,CC BY 4.0,https://example.org/1\r',
        "Path|Track Title|Creator|Rights|Link\na.wav|Roof|Ann Otter|CC BY 4.0|https://example.org/1\n",
    ],
)
@pytest.mark.parametrize("reader", ["metadata", "works"])
def test_headers_as_people_write_them(reader: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"a")
    (tmp_path / f"{reader}.csv").write_bytes(text.encode())
    config = catalogue.Config(path=str(tmp_path / "works.csv"))
    source = (
        folder.build(folder.Config(path=str(tmp_path))) if reader == "metadata" else catalogue.build(config)
    )
    (recording,), rejections, told = listed(source)
    assert (rejections, told) == ([], ())
    assert (recording.title, recording.author, recording.license_claim) == ("Roof", "Ann Otter", "CC BY 4.0")
    assert recording.page_url == "https://example.org/1"


@pytest.mark.parametrize(("reader", "suffix"), READERS)
def test_a_long_cell_is_read(reader: Callable[..., Result], suffix: str, tmp_path: Path) -> None:
    row = {"file_name": "a.wav", "license": "CC0", "description": "rain " * 30_000}
    (recording,), rejections, _ = reader(tmp_path, [row], suffix)
    assert (rejections, len(recording.description)) == ([], 150_000)


@pytest.mark.parametrize("reader", [of_folder, of_catalogue])
@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        ({"license": "CC0", "licence": "CC0"}, "CC0"),
        ({"license": "CC0", "licence": "nan"}, "CC0"),
        ({"license": "CC0", "rights": "All rights reserved"}, "CC0 / All rights reserved"),
        ({"license": "CC BY", "Licence": "CC BY-NC"}, "CC BY / CC BY-NC"),
        ({"license": "CC0", "author": "Ann", "artist": "Ann"}, "CC0"),
        ({"license": "CC0", "author": "Ann", "artist": "Bo"}, "bad_metadata"),
        ({"license": "CC0", "title": "A", "name": "B"}, "bad_metadata"),
    ],
)
def test_columns_that_say_one_thing_twice(
    reader: Callable[..., Result], row: dict[str, str], outcome: str, tmp_path: Path
) -> None:
    recordings, rejections, _ = reader(tmp_path, [{"file_name": "a.wav", **row}], "csv")
    said = [each.license_claim for each in recordings] + [each.reason for each in rejections]
    assert said[0] == outcome
    assert not rejections or "fields = {" in rejections[0].detail


@pytest.mark.parametrize("reader", [of_folder, of_catalogue])
def test_near_names_short_rows_and_differing_columns_are_told(
    reader: Callable[..., Result], tmp_path: Path
) -> None:
    row = {
        "file_name": "a.wav",
        "licens": "CC0",
        "autor": "Ann",
        "url": "https://a.example",
        "link": "https://b.example",
    }
    told = reader(tmp_path, [row], "csv")[2]
    assert any("'url' and 'link' differ" in line for line in told)
    assert any("'licens' is not read; if it is the license" in line for line in told)
    assert any("'autor' is not read; if it is the author" in line for line in told)
    for name in ("metadata.csv", "works.csv"):
        (tmp_path / name).write_text("file_name,title,license\na.wav,A\na.wav\n")
    config = catalogue.Config(path=str(tmp_path / "works.csv"))
    source = (
        folder.build(folder.Config(path=str(tmp_path))) if reader is of_folder else catalogue.build(config)
    )
    assert any("2 rows: fewer cells than the header names columns" in line for line in listed(source)[2])


def test_an_unread_column_named_in_fields_must_be_there(tmp_path: Path) -> None:
    written(tmp_path, "metadata", [{"file_name": "a.wav", "By Whom": "Ann"}], "csv")
    source = folder.build(folder.Config(path=str(tmp_path), fields={"author": "by_whom"}))
    assert listed(source)[0][0].author == "Ann"
    with pytest.raises(UsageError, match="no column 'nobody'"):
        listed(folder.build(folder.Config(path=str(tmp_path), fields={"author": "nobody"})))


def test_what_is_no_text_is_told(tmp_path: Path) -> None:
    row = {"file_name": "a.wav", "title": True, "tags": {"a": 1}, "license": "CC0", "year": 2012.0}
    (recording,), _, told = of_catalogue(tmp_path, [row], "jsonl")
    assert (recording.title, recording.tags, recording.year) == ("", (), "2012")
    assert told == (
        "catalogue: 1 row: the tags is an object, no text; taken as not stated",
        "catalogue: 1 row: the title is true or false, no text; taken as not stated",
    )


@pytest.mark.parametrize(
    ("name", "key"),
    [("licens", "license"), ("Lizenz", "license"), ("titel", "title"), ("autor", "author"), ("tagss", "tags"),
     ("cc_license", "license"), ("Copyright line", "copyright_notice"), ("file_id", ""), ("mood", ""),
     ("user", ""), ("lat", "")],
)  # fmt: skip
def test_names_near_to_what_is_looked_for(name: str, key: str) -> None:
    told = fields.unread([name], {})
    assert [f"if it is the {key}, call it {key}" in line for line in told] == [True] * bool(key)


def test_a_field_that_a_folder_does_not_read_is_refused() -> None:
    with pytest.raises(UsageError, match="ids come from the paths"):
        folder.build(folder.Config(path="x", fields={"id": "number"}))


def test_freesound_rows_are_read_by_the_same_rules(tmp_path: Path) -> None:
    sound = {"id": 7.0, "name": NAN, "username": "Tom &amp; Ann", "license": CC0, "type": "wav",
             "tags": "['rain', 'roof']", "is_explicit": "True", "pack_name": "null",
             "retrieved_at": None}  # fmt: skip
    (tmp_path / "audio").mkdir()
    (tmp_path / "sounds.jsonl").write_text(json.dumps(sound))
    source = freesound.build(freesound.Config(path=str(tmp_path)))
    (recording,), rejections, told = listed(source)
    assert not rejections
    assert (recording.id, recording.title, recording.author) == ("freesound:7", "", "Tom & Ann")
    assert (recording.tags, recording.is_explicit, recording.album) == (("rain", "roof"), True, "")
    assert len(told) == 2

    cells = {" ID": "7.0", "UserName": "Tom &amp; Ann", "Title": "nan", "Licence": "Creative Commons 0",
             "type": "wav", "Tags": "rain roof", "GenerativeAI Preference": "", "description": "x" * 150_000,
             "generative-ai-preference": "no-gen-ai"}  # fmt: skip
    text = io.StringIO()
    writer = csv.DictWriter(text, list(cells), delimiter=";")
    writer.writeheader()
    writer.writerow(cells)
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as pack:
        pack.writestr("metadata/metadata_0000.csv", text.getvalue())
        pack.writestr("0/7.wav", b"a")
    (recording,), rejections, _ = listed(
        freesound_pack.build(freesound_pack.Config(path=str(tmp_path / "pack.zip")))
    )
    assert not rejections
    assert (recording.id, recording.author, recording.tags) == ("freesound:7", "Tom & Ann", ("rain", "roof"))
    assert (recording.title, recording.ai_preference) == ("", "no-gen-ai")


def test_a_dataset_of_the_hub_is_read_by_the_same_rules() -> None:
    row = {"Title": "nan", "artist": "Tom &amp; Ann", "Licence": None, "tags": "['rain']", "ID": 5.0}
    kept = {"audio": {"path": "a.wav", "num_bytes": 1, "sha256": "0" * 64}, "row": row}
    recording = hub.recording(json.dumps(kept), hub.Config(path="x"))
    assert (recording.id, recording.title, recording.author) == ("hub:5", "", "Tom & Ann")
    assert recording.tags == ("rain",)


@pytest.mark.parametrize(
    ("field", "value", "wish"),
    [
        ("ai_training", "no", "ai_training: no"),
        ("AI Training Allowed", "allowed", "AI Training Allowed: allowed"),
        ("optOut", True, "optOut: true"),
        ("tdm-reservation", "1", "tdm-reservation: 1"),
        ("consent", ["x"], 'consent: ["x"]'),
        ("machine_learning", 0, "machine_learning: 0"),
        ("training", "opt-out", "training: opt-out"),
        ("no_ai", False, ""),
        ("no_ai", True, "no_ai: true"),
        ("opt_out", "false", ""),
        ("ai_training", "nan", ""),
        ("ai_training", "null", ""),
        ("ai_training", "N/A", ""),
        ("ai_training", float("nan"), ""),
        ("ai_training_allowed", "none", "ai_training_allowed: none"),
        ("consent", "None", "consent: None"),
        ("ai_training", None, ""),
        ("ai_generated", False, ""),
        ("ai_caption", "rain on a roof", ""),
        ("train", True, ""),
        ("split", "train", ""),
        ("piano_air", "yes", ""),
    ],
)
def test_a_field_that_speaks_of_ai_goes_to_a_person(field: str, value: object, wish: str) -> None:
    assert preference.stated({"title": "x", field: value}) == wish
    assert preference.stated({field: value, "gen_ai_preference": "no-gen-ai"}) == "no-gen-ai"


@pytest.mark.parametrize(
    ("row", "claim", "author", "says"),
    [
        ({}, "CC BY 4.0", "Ann Otter", True),
        ({"title": "Roof", "license": "nan"}, "CC BY 4.0", "Ann Otter", True),
        ({"author": "ann otter"}, "CC BY 4.0", "ann otter", True),
        ({"license": "CC0"}, "CC0", "Ann Otter", True),
        ({"license": "CC BY-NC 4.0", "author": "Bo"}, "CC BY-NC 4.0", "Bo", False),
        ({"author": "Bo"}, "", "Bo", False),
        ({"license": "None", "author": "Ann Otter"}, "None", "Ann Otter", False),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "catalogue"])
def test_what_the_operator_declares_stands_where_a_row_says_nothing(
    kind: str, row: dict[str, str], claim: str, author: str, says: bool, tmp_path: Path
) -> None:
    (tmp_path / "a.wav").write_bytes(b"a")
    more: dict[str, str] = {"license": "CC BY 4.0", "author": "Ann Otter", "declared_by": "ann@example.org"}
    (tmp_path / "works.jsonl").write_text(json.dumps({"file_name": "a.wav", **row}))
    if kind == "folder":
        (tmp_path / "a.json").write_text(json.dumps(row))
        own = folder.Config(path=str(tmp_path), **more)
        (offer,), again = folder.build(own).offers(), lambda raw: folder.recording(raw, own)
    else:
        config = catalogue.Config(path=str(tmp_path / "works.jsonl"), **more)
        (offer,), again = catalogue.build(config).offers(), lambda raw: catalogue.recording(raw, config)
    assert isinstance(offer, Offer)
    assert (offer.recording.license_claim, offer.recording.author) == (claim, author)
    said = json.loads(offer.raw).get(fields.DECLARED)
    assert (said or {}).get("by") == ("ann@example.org" if says else None)
    read = again(offer.raw)
    assert (read.license_claim, read.author) == (claim, author)


def test_the_manifest_signs_what_it_declares_and_warnings_reach_the_dataset(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.wav").write_bytes(tone_wav(300 + number))
    (tmp_path / "metadata.csv").write_text("file_name,title,licens\n0.wav,nan,x\n1.wav,null,x\n")
    (tmp_path / "m.toml").write_text(
        'name = "own"\ncontact = "ann@example.org"\nnum_buckets = 1\nscreening = "off"\n'
        '[[source]]\nplugin = "folder"\npath = "."\nlicense = "CC BY 4.0"\nauthor = "Ann Otter"\n'
    )
    run.ingest(manifest.load(tmp_path / "m.toml"), str(tmp_path / "out"), LocalExecutor(), Quiet())
    dataset = open_dataset(str(tmp_path / "out"))
    assert verify(dataset) == []
    rows = list(dataset.catalogue())
    assert {(row.kept, row.license, row.author) for row in rows} == {(True, "CC-BY-4.0", "Ann Otter")}
    assert dataset.facts["warnings"] == [
        "folder: where a row states none, licence (CC BY 4.0) and author (Ann Otter): as the operator "
        "(ann@example.org) declared.",
        "folder: 1 row: 'title' says 'nan', taken as not stated",
        "folder: 1 row: 'title' says 'null', taken as not stated",
        "folder: the column 'licens' is not read; if it is the license, call it license",
    ]
    raw = "".join(
        text
        for name in dataset.storage.names("evidence")
        for text in evidence.read_rows(dataset.storage, name).values()
    )
    assert raw.count('"by": "ann@example.org"') == 3


def test_a_row_cannot_pretend_that_something_was_declared(tmp_path: Path) -> None:
    row = {"file_name": "a.wav", fields.DECLARED: {"license": "CC0"}}
    _, (rejection,), _ = of_catalogue(tmp_path, [row], "jsonl")
    assert rejection.reason == "bad_metadata"


def test_columns_called_alike_are_read_by_name_as_the_evidence_has_them() -> None:
    cells = {"url": "https://x.example/1", "URL": "https://x.example/2", "year": "1", "Year": "2",
             "license": "CC0", "License": "CC BY 4.0", "ai_train": "x", "AI train": "y"}  # fmt: skip
    said = [
        (read.text("page_url"), read.text("year"), read.licence(), read.wish())
        for row in (cells, dict(sorted(cells.items())), dict(sorted(cells.items(), reverse=True)))
        for read in (fields.RowReader(row, {}),)
    ]
    assert said == [("https://x.example/2", "2", ("CC BY 4.0 / CC0", ""), "AI train: y / ai_train: x")] * 3
