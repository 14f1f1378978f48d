"""Datasets in layouts of the Hugging Face Hub, made here: nothing is decoded, nothing is asked of the Hub."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow
import pytest
from pyarrow import parquet

from sao_data import manifest
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.errors import UsageError
from sao_data.execution.executor import LocalExecutor
from sao_data.ingest import run
from sao_data.plugins import DamagedFile
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources import hub
from sao_data.sources._hub import files, nearby
from sao_data.storage import inputs
from sao_data.storage.backend import open_storage
from tests.datasets_made import BY, CC0, Quiet, tone_wav
from tests.fakes.s3_server import S3

ROW = {"id": "a1", "title": "Rain", "artist": "Ana", "license": BY}
# datasets 5.2 leaves the metadata.csv of an AudioFolder open until it is collected
leaves_a_file_open = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def audio(data: bytes | None, path: str | None = None) -> dict[str, Any]:
    return {"audio": {"bytes": data, "path": path}}


def made(folder: Path, *rows: dict[str, Any], **more: Any) -> hub.Hub:
    """A folder with one Parquet file of these rows."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    table = pyarrow.Table.from_pylist(list(rows))
    if pyarrow.types.is_struct(table.schema.field("audio").type):
        kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
        place = table.schema.get_field_index("audio")
        table = table.set_column(place, "audio", pyarrow.array(table["audio"].to_pylist(), kind))
    parquet.write_table(table, folder / "data" / "train-00000-of-00001.parquet")
    return source(folder, **more)


def source(folder: Path, **more: Any) -> hub.Hub:
    return hub.build(hub.Config(path=str(folder), cache=str(folder.parent / "cache"), **more))


def listed(source: hub.Hub) -> tuple[list[Recording], list[Rejection]]:
    offered = list(source.offers())
    return (
        [one.recording for one in offered if isinstance(one, Offer)],
        [one for one in offered if isinstance(one, Rejection)],
    )


def only(source: hub.Hub) -> Recording:
    (recording,), rejections = listed(source)
    assert not rejections
    return recording


def read(source: hub.Hub, recording: Recording) -> bytes:
    with source.open(recording) as file:
        return file.read()


def test_rows_of_a_parquet_file_are_read_and_their_bytes_given(tmp_path: Path) -> None:
    rows = [ROW | audio(b"RIFF one", "x/one.wav"), ROW | {"id": "a2"} | audio(b"RIFF two", "two.flac")]
    source = made(tmp_path / "d", *rows)
    first, second = listed(source)[0]
    assert (first.id, first.source, first.title, first.author) == ("hub:a1", "hub", "Rain", "Ana")
    assert (first.license_url, first.media.container, second.media.container) == (BY, "wav", "flac")
    assert first.sha256 == hashlib.sha256(b"RIFF one").hexdigest()
    assert [read(source, one) for one in (second, first)] == [b"RIFF two", b"RIFF one"]


def test_evidence_is_every_other_column_and_what_tells_the_audio(tmp_path: Path) -> None:
    row = ROW | audio(b"RIFF", "one.wav") | {"mood": None, "scores": [0.5, float("nan")], "picture": b"png"}
    (offer,) = made(tmp_path / "d", row).offers()
    assert isinstance(offer, Offer)
    raw = json.loads(offer.raw, parse_constant=pytest.fail)
    assert raw["audio"] == {"num_bytes": 4, "path": "one.wav", "sha256": hashlib.sha256(b"RIFF").hexdigest()}
    assert raw["row"] == ROW | {
        "mood": None,
        "scores": [0.5, None],
        "picture": {"num_bytes": 3, "sha256": hashlib.sha256(b"png").hexdigest()},
    }


def test_columns_may_be_named(tmp_path: Path) -> None:
    row = {"sound": {"bytes": b"RIFF", "path": None}, "audio": "x", "key": 3, "by": "Ana", "terms": "CC0"}
    fields = {"id": "key", "author": "by", "license": "terms"}
    recording = only(made(tmp_path / "d", row, audio_column="sound", fields=fields, name="birds"))
    assert (recording.id, recording.author, recording.license_claim) == ("birds:3", "Ana", "CC0")


def test_classes_are_named(tmp_path: Path) -> None:
    import datasets

    info = datasets.Features(
        {"label": datasets.ClassLabel(names=["rain", "wind"]), "audio": datasets.Audio()}
    )
    table = pyarrow.Table.from_pylist([{"label": 1} | audio(b"RIFF", "a.wav")], schema=info.arrow_schema)
    (tmp_path / "d").mkdir()
    parquet.write_table(table, tmp_path / "d" / "train.parquet")
    assert only(source(tmp_path / "d", fields={"category": "label"})).category == "wind"


def test_without_an_id_the_bytes_name_a_work_and_equal_paths_do_not(tmp_path: Path) -> None:
    rows = [{"title": t} | audio(t.encode(), "audio.wav") for t in ("one", "two")]
    assert [one.id for one in listed(made(tmp_path / "d", *rows))[0]] == [
        f"hub:{hashlib.sha256(t).hexdigest()[:20]}" for t in (b"one", b"two")
    ]


def test_ids_of_other_sources_are_kept(tmp_path: Path) -> None:
    recording = only(made(tmp_path / "d", ROW | {"id": "freesound:7"} | audio(b"RIFF")))
    assert (recording.id, recording.source) == ("freesound:7", "freesound")


def test_the_licence_of_the_card_is_taken_where_a_row_has_none_and_that_is_said(tmp_path: Path) -> None:
    rows = [
        ROW | audio(b"RIFF 1"),
        {"id": "a2", "title": "", "artist": "", "license": None} | audio(b"RIFF 2"),
    ]
    source = made(tmp_path / "d", *rows, license="cc-by-nc-4.0")
    own, blanket = (one for one in source.offers() if isinstance(one, Offer))
    assert (own.recording.license_url, own.recording.license_claim) == (BY, "")
    assert (blanket.recording.license_url, blanket.recording.license_claim) == ("", "cc-by-nc-4.0")
    assert "license_of_dataset" not in json.loads(own.raw)
    assert json.loads(blanket.raw)["license_of_dataset"] == "cc-by-nc-4.0"
    assert hub.recording(blanket.raw, hub.Config(path="x")).license_claim == "cc-by-nc-4.0"
    assert "the dataset's card states for all of them (cc-by-nc-4.0)" in source.notes()[0]


@leaves_a_file_open
def test_an_audiofolder_is_read_without_decoding(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.wav").write_bytes(b"no audio at all")
    (folder / "sub" / "b.wav").write_bytes(b"RIFF b")
    (folder / "metadata.csv").write_text(f"file_name,title,license\na.wav,A,{CC0}\nsub/b.wav,B,CC BY 4.0\n")
    made = source(folder)
    by_title = {one.title: one for one in listed(made)[0]}
    assert (by_title["A"].license_url, by_title["B"].license_claim) == (CC0, "CC BY 4.0")
    assert read(made, by_title["A"]) == b"no audio at all"
    assert read(made, by_title["B"]) == b"RIFF b"
    raws = [json.loads(one.raw)["audio"]["path"] for one in made.offers() if isinstance(one, Offer)]
    assert sorted(raws) == ["a.wav", "sub/b.wav"]  # not where they lie on this machine
    assert "torchcodec" not in sys.modules


@leaves_a_file_open
def test_an_audiofolder_in_a_zip_is_read_inside_it(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    with zipfile.ZipFile(folder / "train.zip", "w") as archive:
        archive.writestr("sub/a.wav", b"RIFF a")
        archive.writestr("b.wav", b"RIFF b")
    made = source(folder)
    found = listed(made)[0]
    assert {read(made, one) for one in found} == {b"RIFF a", b"RIFF b"}
    raws = [json.loads(one.raw)["audio"]["path"] for one in made.offers() if isinstance(one, Offer)]
    assert sorted(raws) == ["b.wav", "sub/a.wav"]


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../secret.wav", "https://example.org/a.wav", "zip://a::/etc/x.zip", "a\0b", "link.wav"],
)
def test_a_path_that_leads_out_of_the_dataset_is_rejected_and_never_opened(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "link.wav").symlink_to(tmp_path / "secret.wav")
    recordings, rejections = listed(made(tmp_path / "d", ROW | audio(None, path)))
    if path.startswith("https"):  # a relative path, by its spelling, to nothing
        assert recordings[0].sha256 == ""
        return
    assert not recordings
    assert (rejections[0].reason, rejections[0].stage) == ("bad_path", "list")
    assert rejections[0].detail.startswith("train/0: ")
    places = files.Places(base=str(tmp_path / "d"), roots=(os.path.realpath(tmp_path / "d"),))
    with pytest.raises(DamagedFile):
        files.opened({"bytes": None, "path": path}, places)


def test_files_of_a_dataset_of_the_hub_are_opened_only_where_the_library_keeps_them(tmp_path: Path) -> None:
    snapshot = tmp_path / "datasets--o--n" / "snapshots" / "0a1b" / "data"
    (tmp_path / "datasets--o--n" / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (tmp_path / "datasets--o--n" / "blobs" / "77").write_bytes(b"RIFF")
    (snapshot / "a.wav").symlink_to("../../../blobs/77")
    (tmp_path / "token").write_bytes(b"hf_secret")
    places = files.Places(base="", roots=(os.path.realpath(tmp_path / "datasets--o--n"),))
    said = files.facts({"bytes": None, "path": str(snapshot / "a.wav")}, places)
    assert said == {"path": "data/a.wav", "num_bytes": 4, "sha256": hashlib.sha256(b"RIFF").hexdigest()}
    for path in (str(tmp_path / "token"), "a.wav"):
        with pytest.raises(files.Refused):
            files.facts({"bytes": None, "path": path}, places)


def test_a_row_whose_file_is_not_there_is_missing_when_opened(tmp_path: Path) -> None:
    source = made(tmp_path / "d", ROW | audio(None, "gone.wav"), ROW | {"id": "a2", "audio": None})
    for recording in listed(source)[0]:
        assert recording.sha256 == ""
        with pytest.raises(FileNotFoundError):
            source.open(recording)
    without = listed(made(tmp_path / "e", {"title": "x"} | audio(None, None)))[1]
    assert [one.reason for one in without] == ["no_audio"]


def test_a_copy_that_was_pickled_opens_the_same(tmp_path: Path) -> None:
    source = made(tmp_path / "d", ROW | audio(b"RIFF"))
    recording = only(source)
    hub._loaded.cache_clear()  # as in another process
    assert read(pickle.loads(pickle.dumps(source)), recording) == b"RIFF"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "want one of dataset"),
        ({"path": "x", "dataset": "o/n"}, "want one of dataset"),
        ({"dataset": "json"}, 'want "organisation/name"'),
        ({"dataset": "../x"}, 'want "organisation/name"'),
        ({"dataset": "o/n", "fields": {"audio": "x"}}, "as audio_column"),
        ({"path": "x", "revision": "main"}, "no effect"),
        ({"path": "x", "name": "My"}, "lower-case"),
        ({"path": "x", "cache": "s3://bucket/x"}, "want a folder here"),
    ],
)
def test_settings_that_make_no_sense_are_usage_errors(more: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        hub.build(hub.Config(**more))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"audio_column": "sound"}, r"no column 'sound'; set source\.audio_column to one of .*audio"),
        ({"audio_column": "title"}, None),
        ({"split": "test"}, r"cannot be read \(Unknown split"),
        ({"config_name": "other"}, r"cannot be read \(BuilderConfig 'other' not found"),
        ({"fields": {"author": "by"}}, r"no column 'by', which source\.fields\.author names"),
    ],
)
def test_what_the_dataset_does_not_have_is_a_usage_error(
    tmp_path: Path, more: dict[str, Any], said: str | None
) -> None:
    source = made(tmp_path / "d", ROW | audio(b"RIFF"), **more)
    if said is None:  # a column of words is read as paths, and these lead to nothing
        assert only(source).sha256 == ""
        return
    with pytest.raises(UsageError, match=said):
        source.check()


def test_a_folder_without_data_and_a_column_that_is_no_audio_are_usage_errors(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        source(tmp_path / "d").check()
    with pytest.raises(UsageError, match="cannot be read"):
        made(tmp_path / "e", {"audio": 7}).check()


def test_a_dataset_that_cannot_be_had_is_a_usage_error_with_the_way_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    def unreachable(path: str, *rest: object, **more: object) -> None:
        assert path == "hf://datasets/org/name"  # never a folder of that name that happens to lie here
        assert more["revision"] == "v1"
        assert "trust_remote_code" not in more
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    source = hub.build(hub.Config(dataset="org/name", revision="v1", cache=str(tmp_path)))
    with pytest.raises(UsageError, match="hf download org/name --repo-type dataset --local-dir DIR"):
        source.check()
    with pytest.raises(ConnectionError):  # while a bucket is worked on, it is transient
        source.open(Recording(id="hub:1", source="hub", audio_url="train/0"))
    assert source.notes() == ()
    assert "no named revision" in hub.build(hub.Config(dataset="org/name")).notes()[0]


@leaves_a_file_open
def test_a_folder_in_an_object_store_is_copied_once_and_again_when_it_changes(
    tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    own = inputs.open_file

    def counted(location: str) -> BinaryIO:
        opened.append(location)
        return own(location)

    monkeypatch.setattr(inputs, "open_file", counted)
    url = s3.url
    store = open_storage(url)
    store.write("a.wav", b"RIFF a")
    store.write("sub/b.wav", b"RIFF b")
    store.write("metadata.csv", f"file_name,title,license\na.wav,A,{CC0}\nsub/b.wav,B,CC BY 4.0\n".encode())
    far = hub.build(hub.Config(path=url, cache=str(tmp_path / "cache")))
    far.check()
    by_title = {one.title: one for one in listed(far)[0]}
    assert [read(far, by_title[name]) for name in "AB"] == [b"RIFF a", b"RIFF b"]
    paths = [json.loads(one.raw)["audio"]["path"] for one in far.offers() if isinstance(one, Offer)]
    assert sorted(paths) == ["a.wav", "sub/b.wav"]  # not where the copy lies
    assert sorted(opened) == [f"{url}/{name}" for name in ("a.wav", "metadata.csv", "sub/b.wav")]
    store.write("a.wav", b"RIFF other")
    (changed,) = (one for one in listed(far)[0] if one.title == "A")
    assert read(far, changed) == b"RIFF other"
    assert not list((tmp_path / "cache" / "sao-copies").glob("*-*"))  # nothing is left half made


@leaves_a_file_open
def test_a_copy_that_breaks_off_is_none(tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    url = s3.url
    store = open_storage(url)
    for name in ("a.wav", "b.wav"):
        store.write(name, b"RIFF")
    store.write("metadata.csv", b"file_name,title\na.wav,A\nb.wav,B\n")
    own = inputs.open_file

    def broken(location: str) -> BinaryIO:
        if location.endswith("b.wav"):
            raise ConnectionError("reset by peer")
        return own(location)

    far = hub.build(hub.Config(path=url, cache=str(tmp_path / "cache")))
    with monkeypatch.context() as patched:
        patched.setattr(inputs, "open_file", broken)
        with pytest.raises((UsageError, OSError), match="reset by peer"):
            far.check()
    assert len(listed(far)[0]) == 2


@pytest.mark.parametrize("name", ["../x.wav", "a/../../x.wav", "/x.wav"])
def test_an_object_whose_name_leads_out_of_a_folder_is_refused(
    tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    url = s3.url
    open_storage(url).write("a.wav", b"RIFF")
    monkeypatch.setattr(inputs, "files_below", lambda _: [name])
    with pytest.raises(UsageError, match="cannot be a file here"):
        nearby.copied(url, str(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


def test_a_dataset_is_built_from_it_and_verified(tmp_path: Path) -> None:
    rows = [ROW | {"id": f"a{n}"} | audio(tone_wav(200 + 50 * n), f"{n}.wav") for n in range(2)]
    made(tmp_path / "d", *rows)
    toml = tmp_path / "hub.toml"
    toml.write_text(
        'name = "hubs"\nnum_buckets = 1\nscreening = "off"\n'
        '[[source]]\nplugin = "hub"\npath = "d"\ncache = "cache"\nfields = {author = "artist"}\n'
    )
    summary = run.ingest(manifest.load(toml), str(tmp_path / "out"), LocalExecutor(), Quiet())
    assert summary.kept == 2
    dataset = open_dataset(str(tmp_path / "out"))
    assert {row.author for row in dataset.catalogue()} == {"Ana"}
    assert str(tmp_path) not in json.dumps(dataset.facts)
    assert verify(dataset) == []
