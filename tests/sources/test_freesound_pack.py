"""Freesound data packs: columns by name, licences as given, places left out, audio read inside the zip."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest

from sao_data.errors import UsageError
from sao_data.ids import check_id
from sao_data.licences import Policy, Release, decide
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources import freesound, freesound_pack
from sao_data.sources._common.archive import DamagedFile
from sao_data.sources._freesound import taxonomy
from tests.paths import SHARED

ROW = {
    "filepath": "1/1001.wav",
    "id": "1001",
    "created": "2005-06-01 12:00:00",
    "username": "Ana B.",
    "title": "Rain_02 (C#).wav",
    "description": 'Rain on <b>tin</b> roof.\r\n"loud", and long',
    "tags": "rain field-recording Rain",
    "pack_name": "Weather",
    "bst_category": "Sound effects -> Natural elements and explosions",
    "geotag": "24.75 59.43",
    "license": "Attribution",
    "generative_ai_preference": "open-source-models",
    "type": "wav",
    "duration": "10.5",
    "filesize": "1764044",
    "avg_rating": "8.2",
    "num_ratings": "4",
    "num_downloads": "99",
    "num_comments": "0",
}


def table(*rows: dict[str, str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def pack(folder: Path, members: dict[str, bytes]) -> freesound_pack.FreesoundPack:
    with zipfile.ZipFile(folder / "pack.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return freesound_pack.build(freesound_pack.Config(path=str(folder / "pack.zip")))


def pack_of(folder: Path, *rows: dict[str, str]) -> freesound_pack.FreesoundPack:
    return pack(folder, {"metadata/metadata_0000.csv": table(*rows), "1/1001.wav": b"RIFF"})


def offered(folder: Path, **changes: str) -> Recording:
    (offer,) = pack_of(folder, ROW | changes).offers()
    assert isinstance(offer, Offer), offer
    return offer.recording


def rejected(folder: Path, **changes: str) -> Rejection:
    (rejection,) = pack_of(folder, ROW | changes).offers()
    assert isinstance(rejection, Rejection), rejection
    check_id(rejection.id)
    return rejection


def test_a_row_is_read_verbatim(tmp_path: Path) -> None:
    recording = offered(tmp_path)
    assert recording.id == "freesound:1001"
    assert recording.source == "freesound"
    assert (recording.title, recording.description) == (ROW["title"], ROW["description"])
    assert recording.tags == ("rain", "field-recording", "Rain")
    assert (recording.author, recording.author_url) == ("Ana B.", "https://freesound.org/people/Ana%20B./")
    assert recording.page_url == "https://freesound.org/s/1001/"
    assert (recording.license_claim, recording.license_url) == ("Attribution", "")
    assert recording.ai_preference == "open-source-models"
    assert (recording.album, recording.category) == ("Weather", "fx-n")
    assert recording.audio_url == "1/1001.wav"
    media = recording.media
    assert (media.container, media.num_bytes, media.seconds) == ("wav", 1764044, 10.5)


def test_place_is_in_no_text_that_is_kept(tmp_path: Path) -> None:
    (offer,) = pack_of(tmp_path, ROW | {"Latitude": "59.43"}).offers()
    assert isinstance(offer, Offer)
    assert "59.43" not in repr(offer)
    row = json.loads(offer.raw)
    assert {key: row[key] for key in ROW if key != "geotag"} == {
        k: v for k, v in ROW.items() if k != "geotag"
    }


def test_columns_are_found_by_name_in_any_order_under_their_earlier_names(tmp_path: Path) -> None:
    names = {
        "generative_ai_preference": "ai_preference",
        "license": "Licence",
        "title": " Name ",
        "username": "user",
    }
    renamed = {names.get(key, key): ROW[key] for key in reversed(ROW)}
    (offer,) = pack_of(tmp_path, renamed).offers()
    (tmp_path / "other").mkdir()
    expected = offered(tmp_path / "other")
    assert isinstance(offer, Offer)
    for field in ("id", "title", "author", "license_claim", "ai_preference", "tags", "media", "category"):
        assert getattr(offer.recording, field) == getattr(expected, field)


@pytest.mark.parametrize("column", freesound_pack.NEEDED)
def test_missing_column_is_a_usage_error_that_names_it_and_what_is_there(tmp_path: Path, column: str) -> None:
    source = pack_of(tmp_path, {key: cell for key, cell in ROW.items() if key != column})
    with pytest.raises(
        UsageError, match=rf"metadata_0000\.csv: no column '{column}'.*there is: .*'filepath'"
    ):
        source.check()


@pytest.mark.parametrize(
    ("license_name", "verdict"),
    [
        ("Creative Commons 0", "allow"),
        ("Attribution", "allow"),
        ("Attribution NonCommercial", "deny"),
        ("Attribution Noncommercial", "deny"),
        ("", "deny"),
    ],
)
def test_licence_is_judged_here_whatever_the_pack_promises(
    tmp_path: Path, license_name: str, verdict: str
) -> None:
    decision = decide(offered(tmp_path, license=license_name), Policy(), Release())
    assert decision.verdict == verdict
    assert decision.version in ("", "1.0")


def test_preference_that_forbids_is_obeyed(tmp_path: Path) -> None:
    recording = offered(tmp_path, generative_ai_preference="no-gen-ai")
    assert decide(recording, Policy(), Release()).rule == "ai_preference_forbids"


@pytest.mark.parametrize("sound_id", ["", "0", "-4", "1.5", "１", "../7", "9" * 19])
def test_bad_id_is_rejected(tmp_path: Path, sound_id: str) -> None:
    rejection = rejected(tmp_path, id=sound_id)
    assert rejection.reason == "bad_id"
    assert "metadata_0000.csv:" in rejection.detail


@pytest.mark.parametrize("kind", ["", "exe", "WAV", "../../x"])
def test_bad_type_is_rejected(tmp_path: Path, kind: str) -> None:
    rejection = rejected(tmp_path, type=kind)
    assert (rejection.id, rejection.reason) == ("freesound:1001", "bad_type")


@pytest.mark.parametrize("path", ["/1001.wav", "../1001.wav", "1\\1001.wav", "1/1002.wav"])
def test_path_that_leads_out_or_to_another_sound_is_rejected(tmp_path: Path, path: str) -> None:
    rejection = rejected(tmp_path, filepath=path)
    assert (rejection.id, rejection.reason) == ("freesound:1001", "bad_path")


def test_path_follows_from_the_id_where_no_column_has_it(tmp_path: Path) -> None:
    (offer,) = pack_of(tmp_path, {key: cell for key, cell in ROW.items() if key != "filepath"}).offers()
    assert isinstance(offer, Offer)
    assert offer.recording.audio_url == "1/1001.wav"


def test_row_that_cannot_be_read_is_rejected_and_hides_no_other(tmp_path: Path) -> None:
    text = (
        table(ROW) + b",".join([b"x"] * 30) + b'\r\n"a"b,c\r\n' + table(ROW | {"id": "1002", "filepath": ""})
    )
    outcomes = list(pack(tmp_path, {"metadata/metadata_0000.csv": text}).offers())
    reasons = [one.reason if isinstance(one, Rejection) else one.recording.id for one in outcomes]
    assert reasons == ["freesound:1001", "bad_metadata", "bad_metadata", "bad_id", "freesound:1002"]


def test_all_tables_are_read_in_the_order_of_their_names_within_the_pack_s_own_folder(tmp_path: Path) -> None:
    source = pack(
        tmp_path,
        {
            "2026-07-30/metadata/metadata_0001.csv": table(ROW | {"id": "1002", "filepath": "1/1002.wav"}),
            "2026-07-30/metadata/metadata_0000.csv": table(ROW),
            "2026-07-30/metadata/attribution.txt": b"not a table",
            "2026-07-30/1/1002.wav": b"RIFF two",
        },
    )
    first, second = (offer for offer in source.offers() if isinstance(offer, Offer))
    assert (first.recording.id, second.recording.id) == ("freesound:1001", "freesound:1002")
    with source.open(second.recording) as file:
        assert file.read() == b"RIFF two"
    with pytest.raises(FileNotFoundError):
        source.open(first.recording)


def test_replaced_or_added_audio_changes_the_evidence(tmp_path: Path) -> None:
    texts = []
    for members in ({}, {"1/1001.wav": b"one"}, {"1/1001.wav": b"two"}):
        (offer,) = pack(tmp_path, {"metadata/metadata_0000.csv": table(ROW), **members}).offers()
        assert isinstance(offer, Offer)
        texts.append(offer.raw)
    assert len(set(texts)) == 3


def test_damaged_audio_is_told_when_read(tmp_path: Path) -> None:
    source = pack_of(tmp_path, ROW)
    path = Path(source.config.path)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\1\2") + 16] ^= 1  # the crc32 of the last member
    path.write_bytes(data)
    (offer,) = source.offers()
    assert isinstance(offer, Offer)
    with pytest.raises(DamagedFile, match=r"1/1001\.wav: crc32"), source.open(offer.recording) as file:
        file.read()


def test_member_that_leads_out_is_recorded(tmp_path: Path) -> None:
    source = pack(tmp_path, {"metadata/metadata_0000.csv": table(ROW), "../../x.wav": b"RIFF"})
    _, rejection = source.offers()
    assert isinstance(rejection, Rejection)
    assert (rejection.reason, "'../../x.wav'" in rejection.detail) == ("bad_path", True)


def test_cut_pack_is_a_usage_error(tmp_path: Path) -> None:
    source = pack_of(tmp_path, ROW)
    path = Path(source.config.path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UsageError, match=r"pack\.zip: no whole zip file .*download it again"):
        source.check()


def test_damaged_table_is_a_usage_error(tmp_path: Path) -> None:
    source = pack_of(tmp_path, ROW)
    path = Path(source.config.path)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 16] ^= 1
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"metadata_0000\.csv: damaged .*download it again"):
        list(source.offers())


@pytest.mark.parametrize("member", ["readme.txt", "metadata/readme.txt"])
def test_zip_that_is_no_pack_is_a_usage_error(tmp_path: Path, member: str) -> None:
    with pytest.raises(UsageError, match=r"pack\.zip: no "):
        pack(tmp_path, {member: b"x"}).check()


def test_notes_say_what_packs_leave_out(tmp_path: Path) -> None:
    assert any("no Sampling+ works" in note for note in pack_of(tmp_path, ROW).notes())


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("Music -> Solo instrument", "m-si"),
        ("Instrument samples -> Piano / Keyboard instruments", "is-k"),
        ("Sound effects -> Other mechanisms, engines, machines", "fx-m"),
        ("Speech -> Solo speech", "sp-s"),
        ("Soundscapes -> Other", "ss-other"),
        ("Music -> Other", "m-other"),
        ("music->solo percussion", "m-sp"),
        ("Speech", "sp"),
        ("No category", ""),
        ("", ""),
        ("Sound effects -> Ghosts", "Sound effects -> Ghosts"),
        ("sp-s", "sp-s"),
    ],
)
def test_category_becomes_its_code(words: str, code: str) -> None:
    assert taxonomy.code(words) == code


def test_taxonomy_has_the_keys_of_its_publication() -> None:
    assert len(taxonomy.TOP) == 5
    assert sum(len(names) + 1 for names in taxonomy.BELOW.values()) == 28  # with an "Other" in each


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
def test_real_pack_holds_the_sounds_that_the_api_listing_has() -> None:
    source = freesound_pack.build(freesound_pack.Config(path=str(SHARED / "freesound_data_pack.zip")))
    source.check()
    offers = [offer for offer in source.offers() if isinstance(offer, Offer)]
    assert len(offers) == 24
    listed = freesound.build(freesound.Config(path=str(SHARED / "freesound")))
    by_id = {one.recording.id: one.recording for one in listed.offers() if isinstance(one, Offer)}
    for offer in offers:
        known = by_id[offer.recording.id]
        assert (offer.recording.title, offer.recording.author) == (known.title, known.author)
        assert set(offer.recording.tags) == set(known.tags)
        assert (
            decide(offer.recording, Policy(), Release()).family == decide(known, Policy(), Release()).family
        )
    with source.open(offers[0].recording) as file, listed.open(by_id[offers[0].recording.id]) as other:
        assert file.read() == other.read()
