"""Folders of audio: tables, sidecars, bare files, safe ids, and nothing from outside."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from sao_data.errors import UsageError
from sao_data.ids import check_id
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources import folder
from tests.paths import SHARED

HEADER = "file_name,title,author,license,url\n"


def made(path: Path, files: dict[str, str | bytes]) -> folder.Folder:
    for name, content in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder.build(folder.Config(path=str(path)))


def listed(path: Path, files: dict[str, str | bytes]) -> tuple[list[Recording], list[Rejection]]:
    offered = list(made(path, files).offers())
    recordings = [one.recording for one in offered if isinstance(one, Offer)]
    rejections = [one for one in offered if isinstance(one, Rejection)]
    for one in [*recordings, *rejections]:
        check_id(one.id)
    return recordings, rejections


def test_csv_row_is_read_verbatim(tmp_path: Path) -> None:
    table = (
        "\ufefffile_name,title,author,license,url,author_url,tags,genres,year,ai_preference,mood\r\n"
        '"a.wav","Rain, ""heavy""\nand long",Ana,https://creativecommons.org/licenses/by/4.0/,https://example.org/1,'
        'https://example.org/ana,"rain, tin roof;field-recording",Folk,2021,no-gen-ai,calm\r\n'
    )
    (recording,), rejections = listed(tmp_path, {"metadata.csv": table, "a.wav": b"abc"})
    assert not rejections
    assert recording.title == 'Rain, "heavy"\nand long'
    assert recording.license_url == "https://creativecommons.org/licenses/by/4.0/"
    assert (recording.page_url, recording.author_url) == ("https://example.org/1", "https://example.org/ana")
    assert recording.tags == ("rain", "tin roof", "field-recording")
    assert (recording.genres, recording.year, recording.ai_preference) == (("Folk",), "2021", "no-gen-ai")
    assert recording.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert (recording.media.num_bytes, recording.media.container) == (None, "wav")


def test_unknown_columns_stay_in_the_evidence(tmp_path: Path) -> None:
    source = made(tmp_path, {"metadata.csv": "file_name,mood\na.wav,calm\n", "a.wav": b"a"})
    (offer,) = source.offers()
    assert isinstance(offer, Offer)
    assert json.loads(offer.raw) == {"file_name": "a.wav", "mood": "calm"}


def test_jsonl_row_is_read(tmp_path: Path) -> None:
    row = {"file_name": "a.wav", "title": "T", "license": "CC0", "tags": ["a,b", "c"], "year": 2021}
    (recording,), _ = listed(tmp_path, {"metadata.jsonl": json.dumps(row), "a.wav": b"a"})
    assert (recording.title, recording.license_claim, recording.license_url) == ("T", "CC0", "")
    assert (recording.tags, recording.year) == (("a,b", "c"), "2021")


def test_sidecars_are_read(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "d/a.wav": b"a",
        "d/a.json": '{"title": "T", "license": "CC0"}',
        "d/a.txt": "Rain.\n",
    }
    (recording,), _ = listed(tmp_path, files)
    assert (recording.id, recording.audio_url) == ("folder:d__a-wav", "d/a.wav")
    assert (recording.title, recording.license_claim, recording.description) == ("T", "CC0", "Rain.")


def test_file_without_metadata_is_offered_without_a_licence(tmp_path: Path) -> None:
    recordings, _ = listed(
        tmp_path, {"metadata.csv": HEADER + "a.wav,A,B,CC0,\n", "a.wav": b"a", "b.FLAC": b"b"}
    )
    assert [(each.id, each.license_claim) for each in recordings] == [
        ("folder:a-wav", "CC0"),
        ("folder:b-FLAC", ""),
    ]


def test_listed_but_absent_file_is_offered_and_missing_when_opened(tmp_path: Path) -> None:
    source = made(tmp_path, {"metadata.csv": HEADER + "gone.wav,A,B,CC0,\nsub,A,B,CC0,\n", "sub/x.txt": "x"})
    for offer in source.offers():
        assert isinstance(offer, Offer)
        assert offer.recording.sha256 == ""
        with pytest.raises(FileNotFoundError):
            source.open(offer.recording)


@pytest.mark.parametrize(
    "name", ["../x.wav", "/etc/x.wav", "a/../../x.wav", "C:\\x.wav", "..\\x.wav", "", ".", "a\0.wav"]
)
def test_file_name_that_leaves_the_folder_is_rejected(tmp_path: Path, name: str) -> None:
    row = json.dumps({"file_name": name, "license": "CC0"})
    recordings, (rejection,) = listed(tmp_path, {"metadata.jsonl": row})
    assert not recordings
    assert rejection.reason == "bad_path"
    assert rejection.id.startswith("folder:row-")
    assert "metadata.jsonl:1" in rejection.detail


def test_overlong_file_name_is_rejected_and_not_transient(tmp_path: Path) -> None:
    _, (rejection,) = listed(tmp_path, {"metadata.csv": HEADER + "n" * 300 + ".wav,A,B,CC0,\n"})
    assert rejection.reason == "bad_path"


def test_link_out_of_the_folder_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    inside = tmp_path / "in"
    source = made(inside, {"a.wav": b"a"})
    (inside / "out.wav").symlink_to(tmp_path / "secret.wav")
    (inside / "same.wav").symlink_to(inside / "a.wav")
    (inside / "loop.wav").symlink_to(inside / "loop.wav")
    results = {one.recording.audio_url: one for one in source.offers() if isinstance(one, Offer)}
    rejections = [one for one in source.offers() if isinstance(one, Rejection)]
    assert set(results) == {"a.wav", "same.wav", "loop.wav"}
    assert [each.reason for each in rejections] == ["bad_path"]
    with source.open(results["same.wav"].recording) as file:
        assert file.read() == b"a"
    with pytest.raises(FileNotFoundError):
        source.open(results["loop.wav"].recording)


def test_link_out_cannot_be_opened_either(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    source = made(tmp_path / "in", {"a.wav": b"a"})
    (offer,) = source.offers()
    assert isinstance(offer, Offer)
    (tmp_path / "in" / "a.wav").unlink()
    (tmp_path / "in" / "a.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(FileNotFoundError):
        source.open(offer.recording)


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("metadata.jsonl", "metadata.jsonl:1"),
        ("metadata.csv", "metadata.csv:2"),
    ],
)
def test_bad_row_is_rejected_and_the_next_is_read(tmp_path: Path, table: str, where: str) -> None:
    text = {
        "metadata.jsonl": '{"file_name": \n{"file_name": "a.wav", "license": "CC0"}\n',
        "metadata.csv": HEADER + "a.wav,A,B,CC0,url,too,many\na.wav,A,B,CC0,\n",
    }[table]
    (recording,), (rejection,) = listed(tmp_path, {table: text, "a.wav": b"a"})
    assert recording.license_claim == "CC0"
    assert rejection.reason == "bad_metadata"
    assert where in rejection.detail


def test_unclosed_quote_is_said(tmp_path: Path) -> None:
    _, rejections = listed(tmp_path, {"metadata.csv": HEADER + 'a.wav,"A,B,CC0,\nb.wav,A,B,CC0,\n'})
    assert [each.reason for each in rejections] == ["bad_metadata"]


def test_short_row_has_empty_cells(tmp_path: Path) -> None:
    (recording,), _ = listed(tmp_path, {"metadata.csv": HEADER + "a.wav,A\n", "a.wav": b"a"})
    assert (recording.title, recording.license_claim) == ("A", "")


def test_bad_sidecar_rejects_the_recording(tmp_path: Path) -> None:
    recordings, (rejection,) = listed(tmp_path, {"a.wav": b"a", "a.json": "{"})
    assert not recordings
    assert (rejection.id, rejection.reason) == ("folder:a-wav", "bad_metadata")


@pytest.mark.parametrize(
    ("table", "text", "said"),
    [
        ("metadata.csv", "sound;title\na.wav;A\n", "no column 'file_name'; there is: 'sound', 'title'"),
        ("metadata.csv", "", "there is: nothing"),
        ("metadata.csv", "file_name,license,license\n", "'license' stands there twice"),
        ("metadata.csv", b"file_name,title\na.wav,\xe9\n", "not UTF-8"),
        ("metadata.jsonl", '{"sound": "a.wav"}\n', "no column 'file_name'; there is: 'sound'"),
        ("metadata.csv", "file_name,title\na.wav,T\n".encode("utf-16"), "it is UTF-16"),
        ("metadata.csv", "file_name,title\na.wav,T\n".encode("utf-16-le"), "it is UTF-16"),
    ],
)
def test_table_that_cannot_be_used_is_a_usage_error(
    tmp_path: Path, table: str, text: str | bytes, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        list(made(tmp_path, {table: text}).offers())


def test_named_metadata_must_be_there(tmp_path: Path) -> None:
    source = folder.build(folder.Config(path=str(tmp_path), metadata="mine.csv"))
    with pytest.raises(UsageError, match=r"mine\.csv: no such file"):
        source.check()


def test_name_is_the_prefix_of_ids_and_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"a")
    (offer,) = folder.build(folder.Config(path=str(tmp_path), name="field")).offers()
    assert isinstance(offer, Offer)
    assert (offer.recording.id, offer.recording.source) == ("field:a-wav", "field")
    with pytest.raises(UsageError, match="lower-case"):
        folder.build(folder.Config(path=str(tmp_path), name="My Field"))


@pytest.mark.parametrize(
    ("path", "own"),
    [("brahms.ogg", "brahms-ogg"), ("drums/kick_01.wav", "drums__kick_01-wav"), ("A1-b.WAV", "A1-b-WAV")],
)
def test_plain_path_is_its_own_id(path: str, own: str) -> None:
    assert folder.own_id(path) == own


def test_ids_differ_for_different_paths_and_are_valid() -> None:
    paths = [
        *(
            "a.wav",
            "a.flac",
            "A.wav",
            "a/b.wav",
            "a__b.wav",
            "a_b.wav",
            "a-b.wav",
            "a b.wav",
            "a.b.wav",
            "a-b-wav",
        ),
        *(
            "é.wav",
            "è.wav",
            "日本.wav",
            "_a.wav",
            "-a.wav",
            "a_/b.wav",
            "a/_b.wav",
            "x" * 90 + ".wav",
            "x" * 91 + ".wav",
        ),
        *("a.txt", "noext", "...wav", "a/b/c.wav", "a__b/c.wav"),
    ]
    ids = [folder.own_id(path) for path in paths]
    assert len(set(ids)) == len(paths)
    for own in ids:
        check_id(f"folder:{own}")


def test_undecodable_file_name_is_rejected(tmp_path: Path) -> None:
    source = made(tmp_path, {})
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    (rejection,) = source.offers()
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "bad_path"
    rejection.detail.encode()


def test_raw_row_gives_the_id_back_under_the_configured_name(tmp_path: Path) -> None:
    config = folder.Config(path="", name="mine")
    assert folder.recording('{"file_name": "./a/b c.wav"}', config).id == f"mine:{folder.own_id('a/b c.wav')}"


def test_raw_text_that_leaves_the_folder_is_no_row() -> None:
    with pytest.raises(ValueError, match="leaves the folder"):
        folder.recording('{"file_name": "../x.wav"}', folder.Config(path=""))


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
def test_real_folder_is_offered_whole() -> None:
    offers = list(folder.build(folder.Config(path=str(SHARED / "folder"))).offers())
    recordings = [one.recording for one in offers if isinstance(one, Offer)]
    assert [each.id for each in recordings] == ["folder:brahms-ogg", "folder:pibble-ogg", "folder:sense-ogg"]
    assert all(each.license_url and each.sha256 for each in recordings)
