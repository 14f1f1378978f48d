"""Lists of works: columns by any name, files at hand only from where they may be, ids that never change."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from sao_data import manifest
from sao_data.errors import UsageError
from sao_data.ids import check_id
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources import catalogue, freesound
from sao_data.sources._common import fields as _fields
from sao_data.stages import listing

BY = "https://creativecommons.org/licenses/by/4.0/"
ROW = {"id": "a1", "file_name": "a.wav", "title": "Rain", "author": "Ana", "license": BY}


def written(folder: Path, rows: list[dict[str, Any]], suffix: str = "jsonl") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"works.{suffix}"
    if suffix == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif suffix == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        path.write_text(text.getvalue())
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    return path


def made(folder: Path, *rows: dict[str, Any], suffix: str = "jsonl", **more: Any) -> Any:
    """A catalogue of these rows beside a.wav and sub/b.wav."""
    path = written(folder, list(rows), suffix)
    (folder / "sub").mkdir(exist_ok=True)
    (folder / "a.wav").write_bytes(b"RIFF a")
    (folder / "sub" / "b.wav").write_bytes(b"RIFF b")
    return catalogue.build(catalogue.Config(path=str(path), **more))


def listed(source: Any) -> tuple[list[Recording], list[Rejection]]:
    offered = list(source.offers())
    recordings = [one.recording for one in offered if isinstance(one, Offer)]
    rejections = [one for one in offered if isinstance(one, Rejection)]
    for one in [*recordings, *rejections]:
        check_id(one.id)
    return recordings, rejections


def only(source: Any) -> Recording:
    (recording,), rejections = listed(source)
    assert not rejections
    return recording


def refused(source: Any) -> Rejection:
    recordings, (rejection,) = listed(source)
    assert not recordings
    return rejection


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_every_format_says_the_same(tmp_path: Path, suffix: str) -> None:
    row = ROW | {"url": "https://example.org/1", "year": 2021, "duration": 1.5, "filesize": 6}
    recording = only(made(tmp_path, row, suffix=suffix))
    assert (recording.id, recording.source, recording.title) == ("catalogue:a1", "catalogue", "Rain")
    assert (recording.author, recording.license_url, recording.license_claim) == ("Ana", BY, "")
    assert (recording.page_url, recording.year) == ("https://example.org/1", "2021")
    assert (recording.media.seconds, recording.media.num_bytes) == (1.5, 6)
    assert recording.media.container == "wav"
    assert recording.sha256 == hashlib.sha256(b"RIFF a").hexdigest()


@pytest.mark.parametrize("key", _fields.KNOWN_AS)
def test_every_usual_name_is_known_whatever_its_case(key: str) -> None:
    for name in _fields.KNOWN_AS[key]:
        assert _fields.RowReader({f" {name.upper()}": "x"}, {}).value(key) == "x"


def test_no_usual_name_stands_for_two_fields() -> None:
    names = [name for all_of_them in _fields.KNOWN_AS.values() for name in all_of_them]
    assert len(names) == len(set(names))


def test_the_first_usual_name_that_says_something_counts(tmp_path: Path) -> None:
    row = ROW | {"author": "", "artist": "Bo", "creator": "Bo", "file_name": None, "path": "sub/b.wav"}
    recording = only(made(tmp_path, row))
    assert (recording.author, recording.audio_url) == ("Bo", "sub/b.wav")


def test_named_columns_come_first_and_are_read_as_nothing_else(tmp_path: Path) -> None:
    row = {"key": 7, "url": "a.wav", "by": "Ana", "author": "not she", "rights": "CC0", "title": "T"}
    fields = {"id": "key", "audio": "url", "author": "by", "title": ""}
    recording = only(made(tmp_path, row, fields=fields, suffix="parquet"))
    assert (recording.id, recording.author, recording.title) == ("catalogue:7", "Ana", "")
    assert (recording.audio_url, recording.page_url, recording.license_claim) == ("a.wav", "", "CC0")


def test_words_and_address_of_a_licence_are_both_kept(tmp_path: Path) -> None:
    recording = only(made(tmp_path, ROW | {"license": "CC BY-NC", "license_url": BY}))
    assert (recording.license_claim, recording.license_url) == ("CC BY-NC", BY)
    recording = only(made(tmp_path, ROW | {"license_url": BY}))
    assert (recording.license_claim, recording.license_url) == ("", BY)


@pytest.mark.parametrize(
    ("said", "is_explicit"), [(True, True), ("Yes", True), (1, True), ("no", False), (0, False)]
)
def test_marks_are_read(tmp_path: Path, said: object, is_explicit: bool) -> None:
    recording = only(made(tmp_path, ROW | {"explicit": said, "is_remix": said}))
    assert (recording.is_explicit, recording.is_remix) == (is_explicit, is_explicit)


@pytest.mark.parametrize(
    ("stated", "key"),
    [
        ("a1", "catalogue:a1"),
        (12, "catalogue:12"),
        (12.0, "catalogue:12"),
        ("freesound:123", "freesound:123"),
        ("", "catalogue:sub__b-wav"),  # as the source folder has it
        (None, "catalogue:sub__b-wav"),
        ("a b", f"catalogue:a-b-{hashlib.sha256(b'a b').hexdigest()[:10]}"),
        ("https://x.org/1", f"catalogue:x-org-1-{hashlib.sha256(b'https://x.org/1').hexdigest()[:10]}"),
    ],
)
def test_ids_follow_from_what_the_row_says(tmp_path: Path, stated: object, key: str) -> None:
    recording = only(made(tmp_path, ROW | {"id": stated, "file_name": "./sub//b.wav"}))
    assert (recording.id, recording.source) == (key, key.split(":")[0])


def test_a_work_of_another_source_is_known_as_the_same_one(tmp_path: Path) -> None:
    sounds = tmp_path / "freesound"
    (sounds / "audio").mkdir(parents=True)
    (sounds / "audio" / "7.wav").write_bytes(b"RIFF seven")
    (sounds / "sounds.jsonl").write_text(json.dumps({"id": 7, "type": "wav", "license": BY, "name": "Rain"}))
    others = made(tmp_path / "list", ROW | {"id": "freesound:7"}, ROW | {"id": "freesound:8"})
    sources = [freesound.build(freesound.Config(path=str(sounds))), others]
    found = listing.ask(manifest.Manifest(name="x"), sources)
    assert {key: row.num_offers for key, row in found.rows.items()} == {"freesound:7": 2, "freesound:8": 1}
    named = made(tmp_path / "named", ROW | {"id": 7}, name="freesound")
    assert set(listing.ask(manifest.Manifest(name="x"), [sources[0], named]).rows) == {"freesound:7"}


@pytest.mark.parametrize(
    "name",
    [
        "../x.wav",
        "/etc/passwd",
        "sub/../../x.wav",
        "C:\\x.wav",
        "..\\x.wav",
        ".",
        "a\0.wav",
        "n" * 300 + ".wav",
    ],
)
def test_a_path_that_leads_out_is_rejected_under_the_rows_id(tmp_path: Path, name: str) -> None:
    rejection = refused(made(tmp_path, ROW | {"file_name": name}))
    assert rejection.reason == "bad_path"
    assert rejection.detail.startswith("works.jsonl:1: ")
    assert rejection.id.startswith("catalogue:row-")


def test_a_link_out_of_the_folder_is_a_damaged_file_and_is_not_hashed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    source = made(tmp_path / "in", ROW | {"file_name": "link.wav"})
    (tmp_path / "in" / "link.wav").symlink_to(tmp_path / "secret")
    recording = only(source)
    assert recording.sha256 == ""
    with pytest.raises(catalogue.DamagedFile, match="leaves the folder"):
        source.open(recording)


def test_absolute_paths_are_opened_only_where_the_config_allows_them(tmp_path: Path) -> None:
    (tmp_path / "far.wav").write_bytes(b"RIFF far")
    row = ROW | {"file_name": str(tmp_path / "far.wav")}
    assert refused(made(tmp_path / "in", row)).reason == "bad_path"
    source = made(tmp_path / "in", row, absolute_paths=True)
    with source.open(only(source)) as file:
        assert file.read() == b"RIFF far"
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    source = made(tmp_path / "in", ROW | {"file_name": str(tmp_path / "pipe")}, absolute_paths=True)
    with pytest.raises(FileNotFoundError):
        source.open(only(source))


def test_audio_may_lie_in_another_folder(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "a.wav").write_bytes(b"RIFF elsewhere")
    source = made(tmp_path / "list", ROW, audio=str(tmp_path / "audio"))
    with source.open(only(source)) as file:
        assert file.read() == b"RIFF elsewhere"


def test_a_file_that_is_not_there_is_offered_and_missing_when_opened(tmp_path: Path) -> None:
    source = made(tmp_path, ROW | {"file_name": "gone.wav"}, ROW | {"id": "a2", "file_name": "sub"})
    for recording in listed(source)[0]:
        assert recording.sha256 == ""
        with pytest.raises(FileNotFoundError):
            source.open(recording)


def test_stated_checksums_are_kept_and_what_is_none_is_refused(tmp_path: Path) -> None:
    recording = only(made(tmp_path, ROW | {"md5": "AB" * 16, "sha256": "c" * 64}))
    assert (recording.md5, recording.sha256) == ("ab" * 16, "c" * 64)
    assert only(made(tmp_path, ROW | {"md5": "n/a"})).md5 == ""
    rejection = refused(made(tmp_path, ROW | {"md5": "see site"}))
    assert (rejection.id, rejection.reason) == ("catalogue:a1", "bad_checksum")
    assert "'see site' is not 32 hexadecimal digits" in rejection.detail
    assert only(made(tmp_path, ROW | {"md5": "see site"}, fields={"md5": ""})).md5 == ""


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": "a", "title": "no audio"}, "no_audio"),
        (ROW | {"file_name": ""}, "no_audio"),
        (ROW | {"file_name": "https://example.org/a.wav"}, "remote_not_allowed"),
        (ROW | {"file_name": "file:///etc/passwd"}, "bad_url"),
        (ROW | {"file_name": "s3://bucket/a.wav"}, "bad_url"),
    ],
)
def test_rows_without_audio_that_may_be_opened(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    assert refused(made(tmp_path, row)).reason == reason


def test_rows_that_cannot_be_read_are_rejected_with_their_place(tmp_path: Path) -> None:
    source = made(tmp_path, ROW)
    Path(source.config.path).write_text(json.dumps(ROW) + '\nnull\n{"a": 1, "a": 2}\n')
    recordings, rejections = listed(source)
    assert len(recordings) == 1
    assert [(r.reason, r.detail.split(": ")[0]) for r in rejections] == [
        ("bad_metadata", "works.jsonl:2"),
        ("bad_metadata", "works.jsonl:3"),
    ]
    source = made(tmp_path, ROW, suffix="csv")
    with Path(source.config.path).open("a") as file:
        file.write("1,2,3,4,5,6,7\n")
    assert listed(source)[1][0].detail == "works.csv:3: 7 cells, but the header names 5 columns"


def test_other_columns_stay_in_the_evidence_as_json_has_them(tmp_path: Path) -> None:
    row = ROW | {
        "picture": b"png",
        "when": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        "price": Decimal("1.50"),
        "loss": float("nan"),
        "more": {"mood": ["calm"]},
    }
    (offer,) = made(tmp_path, row, suffix="parquet").offers()
    assert isinstance(offer, Offer)
    raw = json.loads(offer.raw, parse_constant=pytest.fail)
    assert raw["picture"] == {"num_bytes": 3, "sha256": hashlib.sha256(b"png").hexdigest()}
    assert (raw["when"], raw["price"], raw["loss"]) == ("2026-01-02T00:00:00+00:00", "1.50", None)
    assert raw["more"] == {"mood": ["calm"]}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"fields": {"licence": "x"}}, "unknown field 'licence'; did you mean 'license'"),
        ({"name": "My list"}, "want lower-case letters"),
        ({"name": "n" * 41}, "41 characters, at most 40"),
        ({"requests_per_second": 0.0}, "want more than 0"),
        ({"private_hosts": ("nas",)}, "no effect without remote"),
    ],
)
def test_settings_that_make_no_sense_are_usage_errors(
    tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        made(tmp_path, ROW, **more)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_column_that_is_not_there_is_a_usage_error_that_names_those_that_are(
    tmp_path: Path, suffix: str
) -> None:
    source = made(tmp_path, ROW, suffix=suffix, fields={"author": "by"})
    with pytest.raises(
        UsageError, match=r"no column 'by', which source\.fields\.author names; there is: 'id', 'file_name'"
    ):
        source.check()
    source = made(tmp_path, {"title": "T", "sound": "a.wav"}, suffix=suffix)
    with pytest.raises(UsageError, match=r'no column for the audio; there is: .*fields = \{audio = "…"\}'):
        list(source.offers())


def test_damaged_pages_of_a_parquet_list_are_a_usage_error_of_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, [ROW | {"title": "x" * 100 + str(k)} for k in range(200)], suffix="parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:60] + bytes(200) + whole[260:])
    (tmp_path / "a.wav").write_bytes(b"a")
    with pytest.raises(UsageError, match="damaged Parquet file") as told:
        list(catalogue.build(catalogue.Config(path=str(path), audio=str(tmp_path))).offers())
    assert "\n" not in str(told.value)


def test_files_that_are_no_list_are_usage_errors(tmp_path: Path) -> None:
    (tmp_path / "works.txt").write_text("x")
    (tmp_path / "works.parquet").write_text("PAR0")
    for name, said in (("works.txt", r"want one of \.csv"), ("works.parquet", "no whole Parquet file")):
        with pytest.raises(UsageError, match=said):
            catalogue.build(catalogue.Config(path=str(tmp_path / name))).check()
    path = written(tmp_path, [ROW])
    with pytest.raises(UsageError, match=r"nowhere: no such folder; set source\.audio"):
        catalogue.build(catalogue.Config(path=str(path), audio=str(tmp_path / "nowhere"))).check()
