"""FMA dumps: three tables joined, every witness of the licence handed on, excerpts and broken tracks told."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Literal

import pytest

from sao_data import config
from sao_data.errors import UsageError
from sao_data.ids import check_id
from sao_data.licences import Policy, Release, decide
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources import fma
from sao_data.sources._fma import defects
from sao_data.sources._fma import rows as _fma_rows
from tests.paths import SHARED

BY = "http://creativecommons.org/licenses/by/3.0/us/"
BADGE = "http://i.creativecommons.org/l/by/3.0/us/88x31.png"
TRACK = {
    "track_id": "2",
    "album.date_released": "2009-01-05 00:00:00",
    "album.title": "AWOL - A Way Of Life",
    "artist.bio": "<p>Lives at 1 Home Street</p>",
    "artist.id": "1",
    "artist.latitude": "40.058324",
    "artist.name": "AWOL & B feat. C",
    "set.subset": "small",
    "track.date_recorded": "2008-11-26 00:00:00",
    "track.duration": "168",
    "track.genre_top": "Hip-Hop",
    "track.genres": "[811]",
    "track.genres_all": "[811, 21]",
    "track.information": "<p>Made at home</p>",
    "track.license": "Attribution",
    "track.tags": "['a b', \"it's\"]",
    "track.title": "Food",
}
RAW_TRACK = {
    "track_id": "2",
    "artist_url": "http://freemusicarchive.org/music/AWOL/",
    "license_image_file": BADGE,
    "license_title": "Attribution",
    "license_url": BY,
    "track_copyright_c": "2009 AWOL",
    "track_copyright_p": "",
    "track_date_recorded": "11/26/2008",
    "track_explicit": "Radio-Unsafe",
    "track_genres": "[]",
    "track_url": "http://freemusicarchive.org/music/AWOL/AWOL_-_A_Way_Of_Life/Food",
}
GENRES = (
    ("4", "0", "Jazz"),
    ("21", "0", "Hip-Hop"),
    ("100", "21", "Rap"),
    ("811", "100", "Abstract Rap"),
    ("7", "8", "Loop A"),
    ("8", "7", "Loop B"),
    ("9", "9", "Own Parent"),
)


def text(*rows: list[str]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def tracks_csv(*rows: dict[str, str]) -> bytes:
    columns = [name.partition(".") for name in rows[0] if name != "track_id"]
    header = [["", *(top for top, _, _ in columns)], ["", *(low for _, _, low in columns)]]
    header.append(["track_id"] + [""] * len(columns))
    return text(*header, *([row["track_id"], *(row["".join(name)] for name in columns)] for row in rows))


def table(*rows: dict[str, str]) -> bytes:
    return text(list(rows[0]), *(list(row.values()) for row in rows))


def metadata(folder: Path, **files: bytes) -> str:
    made = {
        "tracks": tracks_csv(TRACK),
        "raw_tracks": table(RAW_TRACK),
        "genres": text(["genre_id", "#tracks", "parent", "title"], *([i, "1", p, t] for i, p, t in GENRES)),
    }
    with zipfile.ZipFile(folder / "fma_metadata.zip", "w", zipfile.ZIP_BZIP2) as archive:
        for name, data in (made | files).items():
            archive.writestr(f"fma_metadata/{name}.csv", data)
    return str(folder / "fma_metadata.zip")


def audio(folder: Path, name: str = "fma_full") -> str:
    with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr(f"{name}/README.txt", b"readme")
        archive.writestr(f"{name}/000/000002.mp3", b"ID3 two")
    return str(folder / f"{name}.zip")


def source(
    folder: Path, name: str = "fma_full", clips: Literal["auto", True, False] = "auto", **files: bytes
) -> fma.Fma:
    return fma.build(fma.Config(metadata=metadata(folder, **files), audio=audio(folder, name), clips=clips))


def offered(folder: Path, name: str = "fma_full", **changes: str) -> Recording:
    """The one recording, with cells of either table changed."""
    track = TRACK | {key.replace("__", "."): cell for key, cell in changes.items() if "__" in key}
    own = RAW_TRACK | {key: cell for key, cell in changes.items() if "__" not in key}
    (offer,) = source(folder, name, tracks=tracks_csv(track), raw_tracks=table(own)).offers()
    assert isinstance(offer, Offer), offer
    return offer.recording


def test_a_track_is_read_from_both_tables(tmp_path: Path) -> None:
    recording = offered(tmp_path)
    assert (recording.id, recording.source) == ("fma:2", "fma")
    assert (recording.title, recording.album, recording.year) == ("Food", "AWOL - A Way Of Life", "2009")
    assert (recording.author, recording.author_id) == ("AWOL & B feat. C", "1")
    assert (recording.author_url, recording.page_url) == (RAW_TRACK["artist_url"], RAW_TRACK["track_url"])
    assert (recording.license_url, recording.license_claim) == (BY, "Attribution")
    assert recording.copyright_notice == "(c) 2009 AWOL"
    assert recording.description == "<p>Made at home</p>"
    assert recording.tags == ("a b", "it's")
    assert recording.genres == ("Abstract Rap", "Hip-Hop", "Rap")
    assert recording.is_explicit
    assert recording.earlier_changes == ()
    assert (recording.media.container, recording.media.seconds) == ("mp3", 168.0)
    assert recording.ai_preference == ""


def test_audio_is_read_inside_its_bzip2_archive(tmp_path: Path) -> None:
    made = source(tmp_path)
    made.check()
    (offer,) = made.offers()
    assert isinstance(offer, Offer)
    assert offer.recording.audio_url == "000/000002.mp3"
    with made.open(offer.recording) as file:
        assert file.read() == b"ID3 two"


def test_unpacked_folders_give_the_same(tmp_path: Path) -> None:
    zipped = source(tmp_path)
    for path in (zipped.config.metadata, zipped.config.audio):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path)
    (expected,) = zipped.offers()
    assert isinstance(expected, Offer)
    for place in (tmp_path / "fma_full", tmp_path):
        folder = fma.build(fma.Config(metadata=str(tmp_path / "fma_metadata"), audio=str(place)))
        (offer,) = folder.offers()
        assert isinstance(offer, Offer)
        row, other = json.loads(offer.raw), json.loads(expected.raw)
        assert row["audio_file"]["num_bytes"] == other["audio_file"]["num_bytes"]
        assert (row | {"audio_file": 0}) == (other | {"audio_file": 0})
        with folder.open(offer.recording) as file:
            assert file.read() == b"ID3 two"


@pytest.mark.parametrize(
    ("url", "badge", "title", "verdict", "rule", "license_id"),
    [
        (BY, BADGE, "Attribution", "allow", "allowed", "CC-BY-3.0-US"),
        (BY, "", "Attribution 3.0 International", "allow", "allowed", "CC-BY-3.0-US"),
        ("", BADGE, "Attribution", "allow", "allowed", "CC-BY-3.0-US"),
        ("", "", "Attribution", "allow", "allowed", "CC-BY"),
        ("", "http://fma-files.example.org/by-nc.png", "Attribution", "allow", "allowed", "CC-BY"),
        (BY, BADGE.replace("/by/", "/by-nc/"), "Attribution", "review", "license_conflict", "UNKNOWN"),
        (BY, BADGE, "Attribution-NonCommercial", "review", "license_conflict", "UNKNOWN"),
        ("http://freemusicarchive.org/FMA_License", "", "FMA-Limited: Download Only", "deny", "", "UNKNOWN"),
        ("", "", "", "deny", "no_license", "UNKNOWN"),
        (BY.replace("/by/", "/by-nc-sa/"), "", "", "deny", "license_not_allowed", ""),
    ],
)
def test_every_field_of_the_licence_reaches_the_decision(
    tmp_path: Path, url: str, badge: str, title: str, verdict: str, rule: str, license_id: str
) -> None:
    recording = offered(
        tmp_path, license_url=url, license_image_file=badge, license_title=title, track__license=title
    )
    decision = decide(recording, Policy(), Release())
    assert decision.verdict == verdict
    assert rule in ("", decision.rule)
    assert license_id in ("", decision.license)


def test_titles_that_differ_between_the_tables_are_both_judged(tmp_path: Path) -> None:
    recording = offered(
        tmp_path, license_url="", license_image_file="", license_title="Attribution-NonCommercial 3.0"
    )
    assert recording.license_claim == "Attribution / Attribution-NonCommercial 3.0"
    assert decide(recording, Policy(), Release()).verdict != "allow"


@pytest.mark.parametrize(
    ("name", "clips", "duration", "is_cut"),
    [
        ("fma_full", "auto", "168", False),
        ("fma_large", "auto", "168", True),
        ("fma_small", "auto", "", True),
        ("fma_medium", "auto", "29", False),  # 30 s and less were copied whole
        ("fma_full", True, "168", True),
        ("fma_large", False, "168", False),
        ("mine", True, "168", True),
    ],
)
def test_excerpts_say_so_among_the_changes(
    tmp_path: Path, name: str, clips: Literal["auto", True, False], duration: str, is_cut: bool
) -> None:
    tracks = tracks_csv(TRACK | {"track.duration": duration})
    (offer,) = source(tmp_path, name, clips, tracks=tracks).offers()
    assert isinstance(offer, Offer)
    assert offer.recording.earlier_changes == ((_fma_rows.EXCERPT,) if is_cut else ())


def test_collection_of_unknown_name_must_be_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"mine\.zip: not called fma_full.*set source\.clips"):
        source(tmp_path, "mine").check()


def test_notes_credit_the_metadata_and_tell_excerpts(tmp_path: Path) -> None:
    whole, cut = source(tmp_path).notes(), source(tmp_path, "fma_large").notes()
    assert "Defferrard" in whole[0]
    assert "CC BY 4.0" in whole[0]
    assert set(cut) > set(whole)


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("['a', 'b']", ("a", "b")),
        ("[]", ()),
        ("", ()),
        ("['a', 3, None, ['b']]", ("a",)),
        ("__import__('os').abort()", ()),
        ("{'a': 1}", ()),
        ("['a'", ()),
        ("[" * 5_000, ()),
        ("['" + "a" * 30_000 + "']", ()),
        ("\x00", ()),
    ],
)
def test_bad_list_cells_are_no_tags_and_no_crash(tmp_path: Path, cell: str, tags: tuple[str, ...]) -> None:
    assert offered(tmp_path, track__tags=cell).tags == tags


@pytest.mark.parametrize(
    ("genres", "all_genres", "top", "names"),
    [
        ("[811]", "[]", "", ("Abstract Rap", "Rap", "Hip-Hop")),
        ("[4]", "[4, 811]", "Jazz", ("Jazz", "Abstract Rap", "Rap", "Hip-Hop")),
        ("[806]", "[806]", "", ("Hip-Hop",)),  # merged by the dataset's authors
        ("[7]", "[7]", "", ("Loop A", "Loop B")),
        ("[9]", "[]", "", ("Own Parent",)),
        ("[12345]", "[]", "Folk", ("From its page", "Folk")),
        ("nonsense", "", "Folk", ("From its page", "Folk")),
    ],
)
def test_genres_are_named_its_own_first_then_those_above(
    tmp_path: Path, genres: str, all_genres: str, top: str, names: tuple[str, ...]
) -> None:
    recording = offered(
        tmp_path,
        track__genres=genres,
        track__genres_all=all_genres,
        track__genre_top=top,
        track_genres="[{'genre_id': '1', 'genre_title': 'From its page', 'genre_url': 'x'}, 3]",
    )
    assert recording.genres == names


@pytest.mark.parametrize(
    ("released", "recorded", "dumped", "year"),
    [
        ("2009-01-05 00:00:00", "2008-11-26 00:00:00", "", "2009"),
        ("", "2008-11-26 00:00:00", "", "2008"),
        ("1970-01-01 00:00:00", "", "11/26/2008", "2008"),
        ("1900-01-01 00:00:00", "", "", ""),
        ("0009-01-01", "nan", "01/01/1970", ""),
    ],
)
def test_year_is_that_of_the_first_date_that_is_one(
    tmp_path: Path, released: str, recorded: str, dumped: str, year: str
) -> None:
    recording = offered(
        tmp_path, album__date_released=released, track__date_recorded=recorded, track_date_recorded=dumped
    )
    assert recording.year == year


def test_minus_one_and_nothing_are_not_stated(tmp_path: Path) -> None:
    recording = offered(
        tmp_path,
        track__duration="-1",
        artist__id="-1",
        track__title="",
        track__information="",
        track_explicit="",
    )
    assert recording.media.seconds is None
    assert recording.author_id == recording.title == recording.description == ""
    assert not recording.is_explicit


@pytest.mark.parametrize(
    ("copyright_c", "copyright_p", "notice"),
    [
        ("", "", ""),
        ("2009 Ana", "2010 Label", "(c) 2009 Ana; (p) 2010 Label"),
        ("© Ana", "(P) Label", "© Ana; (P) Label"),
        ("Copyright 2009 Ana", "", "Copyright 2009 Ana"),
    ],
)
def test_copyright_notices_are_kept(tmp_path: Path, copyright_c: str, copyright_p: str, notice: str) -> None:
    recording = offered(tmp_path, track_copyright_c=copyright_c, track_copyright_p=copyright_p)
    assert recording.copyright_notice == notice


@pytest.mark.parametrize(("word", "explicit"), [("Radio-Safe", False), ("", False), ("Adults-Only", True)])
def test_explicit_is_as_the_site_marks_it(tmp_path: Path, word: str, explicit: bool) -> None:
    assert offered(tmp_path, track_explicit=word).is_explicit is explicit


def test_home_of_the_artist_is_in_no_text_that_is_kept(tmp_path: Path) -> None:
    (offer,) = source(tmp_path).offers()
    assert "40.058324" not in repr(offer)
    assert "Home Street" not in repr(offer)


def test_wrong_length_is_not_passed_on(tmp_path: Path) -> None:
    row = {"track_id": "2624"}
    made = source(tmp_path, tracks=tracks_csv(TRACK | row), raw_tracks=table(RAW_TRACK | row))
    (offer,) = made.offers()
    assert isinstance(offer, Offer)
    assert offer.recording.media.seconds is None


@pytest.mark.parametrize(
    ("track_id", "name", "reason"),
    [
        ("80015", "fma_full", "known_defect"),
        ("29170", "fma_full", "known_defect"),
        ("99134", "fma_small", "known_defect"),
        ("99134", "fma_full", ""),
        ("29174", "fma_full", ""),
    ],
)
def test_broken_tracks_are_rejected_with_who_says_so(
    tmp_path: Path, track_id: str, name: str, reason: str
) -> None:
    row = {"track_id": track_id}
    made = source(tmp_path, name, tracks=tracks_csv(TRACK | row), raw_tracks=table(RAW_TRACK | row))
    (one,) = made.offers()
    assert reason == (one.reason if isinstance(one, Rejection) else "")
    if isinstance(one, Rejection):
        assert one.id == f"fma:{track_id}"
        assert "github.com/mdeff/fma" in one.detail


def test_defects_are_as_many_as_published() -> None:
    assert [len(defect.ids) for defect in defects.DEFECTS] == [1, 2, 71, 3]


def test_rows_are_joined_by_id_in_any_order_and_halves_are_rejected(tmp_path: Path) -> None:
    ids = ("2", "10", "3", "5", "x")
    made = source(
        tmp_path,
        tracks=tracks_csv(*(TRACK | {"track_id": each} for each in ids)),
        raw_tracks=table(
            *(RAW_TRACK | {"track_id": each, "track_url": f"page {each}"} for each in ("5", "3", "2"))
        ),
    )
    outcomes = list(made.offers())
    said = [one.reason if isinstance(one, Rejection) else one.recording.page_url for one in outcomes]
    assert said == ["page 2", "bad_metadata", "page 3", "page 5", "bad_id"]
    for one in outcomes:
        check_id(one.id if isinstance(one, Rejection) else one.recording.id)


@pytest.mark.parametrize(
    ("file", "column"),
    [
        (name, column)
        for name, columns in _fma_rows.NEEDED.items()
        for column in columns
        if "id" not in column
    ],
)
def test_missing_column_is_a_usage_error_that_names_file_and_column(
    tmp_path: Path, file: str, column: str
) -> None:
    files = {
        "tracks": TRACK,
        "raw_tracks": RAW_TRACK,
        "genres": dict.fromkeys(_fma_rows.NEEDED["genres.csv"], "1"),
    }
    stem = file.removesuffix(".csv")
    left = {key: cell for key, cell in files[stem].items() if key != column}
    data = tracks_csv(left) if stem == "tracks" else table(left)
    made = source(tmp_path, **{stem: data})
    with pytest.raises(UsageError, match=rf"fma_metadata/{file}: no column '{column}'; there is: "):
        made.check()


def test_missing_table_is_a_usage_error(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr("fma_metadata/tracks.csv", tracks_csv(TRACK))
    made = fma.build(fma.Config(metadata=str(tmp_path / "m.zip"), audio=audio(tmp_path)))
    with pytest.raises(UsageError, match=r"fma_metadata/raw_tracks\.csv: not there"):
        made.check()


def test_archives_swapped_are_a_usage_error(tmp_path: Path) -> None:
    made = source(tmp_path)
    swapped = fma.build(fma.Config(metadata=made.config.audio, audio=made.config.metadata))
    with pytest.raises(UsageError, match=r"no tracks\.csv in it; set source\.metadata"):
        swapped.check()
    with pytest.raises(UsageError, match=r"no folders 000, 001, … in it; set source\.audio"):
        fma.build(fma.Config(metadata=made.config.metadata, audio=made.config.metadata)).check()


def test_member_that_leads_out_is_recorded(tmp_path: Path) -> None:
    made = source(tmp_path)
    with zipfile.ZipFile(made.config.audio, "a") as archive:
        archive.writestr("../../000/000002.mp3", b"x")
    _, rejection = made.offers()
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "bad_path"


def test_long_biography_is_read_over(tmp_path: Path) -> None:
    assert offered(tmp_path, artist__bio="x" * 200_000).id == "fma:2"


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
def test_real_rows_are_two_attributions_with_audio_and_two_noncommercial_without() -> None:
    folder = SHARED / "fma"
    real = fma.build(fma.Config(metadata=str(folder / "fma_metadata.zip"), audio=str(folder / "fma_full")))
    real.check()
    offers = [offer for offer in real.offers() if isinstance(offer, Offer)]
    verdicts = {each.recording.id: decide(each.recording, Policy(), Release()) for each in offers}
    assert {key: (each.verdict, each.license) for key, each in verdicts.items()} == {
        "fma:2": ("deny", "CC-BY-NC-SA-3.0"),
        "fma:10": ("deny", "CC-BY-NC-ND-3.0"),
        "fma:50986": ("allow", "CC-BY-3.0"),
        "fma:900001": ("allow", "CC-BY-3.0"),
    }
    assert offers[2].recording.genres == ("Jazz",)
    for offer in offers:
        if verdicts[offer.recording.id].verdict == "allow":
            with real.open(offer.recording) as file:
                assert len(file.read()) > 1_000_000
        else:
            with pytest.raises(FileNotFoundError):
                real.open(offer.recording)


@pytest.mark.parametrize("value", ["maybe", 2, "true"])
def test_clips_are_auto_true_or_false(value: object) -> None:
    table: config.Table = {"metadata": "m", "audio": "a", "clips": value}
    with pytest.raises(UsageError, match="clips"):
        config.parse(fma.Config, table, where="test")
    assert config.parse(fma.Config, table | {"clips": False}, where="test").clips is False


def test_of_a_list_only_its_tracks_are_offered_and_absent_ones_are_said(tmp_path: Path) -> None:
    if not (SHARED / "fma").is_dir():
        pytest.skip("no ../shared/data/fma")
    (tmp_path / "list.csv").write_text("title,track_id\nVibe Ace,50986\nGone,77\nFreesound's,\n")
    source = fma.build(
        fma.Config(
            metadata=str(SHARED / "fma" / "fma_metadata.zip"),
            audio=str(SHARED / "fma" / "fma_full"),
            ids_file=str(tmp_path / "list.csv"),
        )
    )
    offer, rejection = source.offers()
    assert isinstance(offer, Offer)
    assert offer.recording.id == "fma:50986"
    assert isinstance(rejection, Rejection)
    assert (rejection.id, rejection.reason) == ("fma:77", "not_offered")
    with pytest.raises(UsageError, match="no such list"):
        fma.build(
            fma.Config(metadata=source.config.metadata, audio=source.config.audio, ids_file="/x.csv")
        ).check()
