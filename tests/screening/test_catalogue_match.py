"""Matching works against a catalogue: readings of titles, artists, files that are no catalogue."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sao_data.errors import UsageError
from sao_data.screening import catalogue_match
from sao_data.screening.catalogue_match import KnownTitles, check_catalogue

KAGGLE = [
    ("Bohemian Rhapsody - Remastered 2011", "Queen"),
    ("Umbrella (feat. JAY-Z)", "Rihanna;JAY-Z"),
    ("Intro", "The xx"),
    ("Intro", ""),
    ("Umbrella (feat. JAY-Z)", "Rihanna;JAY-Z"),  # listed once for each genre
    ("", "Nobody"),
    ("The Sound of Silence", "Simon & Garfunkel"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "dataset.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["", "track_id", "artists", "album_name", "track_name", "popularity"])
        writer.writerows([n, f"id{n}", artist, "", title, 50] for n, (title, artist) in enumerate(KAGGLE))
    return file


@pytest.fixture
def catalogue(path: Path) -> KnownTitles:
    return KnownTitles(str(path), 0.85)


def test_a_work_is_found_under_another_spelling(catalogue: KnownTitles) -> None:
    (hit,) = catalogue.find("bohemian rhapsody", "QUEEN")
    assert (hit.title, hit.artist) == KAGGLE[0]
    assert (hit.score, hit.reference) == (1.0, "row 1")


def test_invisible_and_lookalike_letters_hide_nothing(catalogue: KnownTitles) -> None:
    (hit,) = catalogue.find("B\u043e\u200bhemi\u0430n Rh\u00e4ps\u03bfdy\x07", "Qu\u0435en")
    assert (hit.reference, hit.score) == ("row 1", 1.0)


def test_any_one_of_several_artists_suffices(catalogue: KnownTitles) -> None:
    assert catalogue.find("Umbrella", "Jay-Z")[0].reference == "row 2"
    assert catalogue.find("Umbrella", "Somebody & Rihanna")[0].reference == "row 2"


def test_repeated_rows_are_one_hit(catalogue: KnownTitles) -> None:
    assert len(catalogue.find("Umbrella", "Rihanna")) == 1


def test_another_artist_is_no_hit(catalogue: KnownTitles) -> None:
    assert catalogue.find("Bohemian Rhapsody", "Kevin MacLeod") == ()


def test_where_one_side_names_no_artist_the_title_decides(catalogue: KnownTitles) -> None:
    assert [hit.reference for hit in catalogue.find("Intro", "Somebody")] == ["row 4"]
    assert [hit.reference for hit in catalogue.find("Intro", "")] == ["row 3", "row 4"]


def test_a_misspelt_title_is_found_through_its_artist(catalogue: KnownTitles) -> None:
    (hit,) = catalogue.find("Umbrela", "Rihanna")
    assert 0.85 <= hit.score < 1.0


def test_artist_and_title_in_the_title_are_read_too(catalogue: KnownTitles) -> None:
    (hit,) = catalogue.find("Queen - Bohemian Rhapsody.mp3", "uploader77")
    assert hit.reference == "row 1"


def test_a_work_without_a_title_is_no_hit(catalogue: KnownTitles) -> None:
    assert catalogue.find("", "Nobody") == ()


def test_the_score_is_the_lesser_of_both_and_the_threshold_is_kept(path: Path) -> None:
    (hit,) = KnownTitles(str(path), 0.5).find("Bohemian Rhapsodi", "Queens")
    assert hit.score == pytest.approx(2 * 5 / 11, abs=0.001)  # "queen" and "queens"
    assert KnownTitles(str(path), 0.95).find("Bohemian Rhapsodi", "Queens") == ()


def test_no_more_than_five_hits_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    file.write_text("Title,Artist\n" + "".join(f"Intro,Artist {n}\n" for n in range(9)))
    found = KnownTitles(str(file), 0.85).find("Intro", "")
    assert [hit.reference for hit in found] == ["row 1", "row 2", "row 3", "row 4", "row 5"]


def test_a_large_catalogue_is_searched_without_comparing_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "large.csv"
    rows = "".join(f"song {n} of night {n % 50},artist {n % 700}\n" for n in range(5_000))
    file.write_text("title,artist\n" + rows)
    catalogue = KnownTitles(str(file), 0.85)
    compared = 0

    def counted(one: str, other: str, floor: float) -> float:
        nonlocal compared
        compared += 1
        return float(one == other)

    monkeypatch.setattr(catalogue_match, "similarity", counted)
    assert catalogue.find("Song 4321 of night 21", "Artist 121")[0].reference == "row 4322"
    assert compared < 400


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name,year\nx,1\n", r"no column artist or .*; found name, year"),
        (b"artist\nx\n", r"no column title or "),
        (b"", r"no column .*; found none"),
        (b"title,artist\n", r"no row has a title, so nothing would be found"),
        (b"title,artist\n,Queen\n\n", r"no row has a title, so nothing would be found"),
        (b"title,artist\n\xff\xfe,x\n", r"not UTF-8 \(byte 13\)"),
        (b'title,artist\n"open,x\n', r"line \d+: unexpected end of data"),
    ],
)
def test_a_file_that_is_no_catalogue_says_why(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=rf"screening\.catalogue: .*bad\.csv: {message}"):
        check_catalogue(str(file))


def test_a_missing_catalogue_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        check_catalogue(str(tmp_path / "absent.csv"))
    with pytest.raises(UsageError, match="name a CSV file"):
        check_catalogue("")


def test_a_catalogue_may_lie_at_a_url(path: Path) -> None:
    check_catalogue(path.as_uri())
    assert KnownTitles(path.as_uri(), 0.85).sha256 == KnownTitles(str(path), 0.85).sha256
