"""Published lists of works: columns by name or by content, ids out of URLs, one owner for each number."""

from __future__ import annotations

from pathlib import Path

import pytest

from sao_data.errors import UsageError
from sao_data.sources._common import work_list
from sao_data.sources._common.work_list import ListedWork
from tests.paths import SHARED

SHARED = SHARED / "fma_attribution.csv"


def read(folder: Path, text: str) -> list[ListedWork]:
    (folder / "list.csv").write_text(text, encoding="utf-8")
    work_list.read.cache_clear()
    return list(work_list.read(str(folder / "list.csv")))


@pytest.mark.parametrize(
    "text",
    [
        "id,title,author,license,url\n12,Rain,Ana,cc0,https://freesound.org/s/12/\n",
        "URL;Licence;Author;Name\nhttps://freesound.org/people/A%20B/sounds/12/;cc0;Ana;Rain\n",
        "Artist\tLink\tTitle\tRights\nAna\thttp://www.freesound.org/people/a b/sounds/12\tRain\tcc0\n",
        "\ufeffTitle,Author,License,Freesound_ID\r\nRain,Ana,cc0,12\r\n\r\n",
        "12,Rain,Ana,cc0,https://freesound.org/s/12/\n",
        "https://freesound.org/apiv2/sounds/12/,cc0,Rain,Ana\n",
    ],
)
def test_columns_are_found_in_any_order_with_or_without_a_header(text: str, tmp_path: Path) -> None:
    (entry,) = read(tmp_path, text)
    assert (entry.source, entry.number) == ("freesound", 12)
    assert (entry.title, entry.author, entry.license) == ("Rain", "Ana", "cc0")


def test_the_sites_own_list_of_downloads_names_sounds_by_their_files(tmp_path: Path) -> None:
    header = "Download Type,File Name,User,License,Timestamp\n"
    (entry,) = read(tmp_path, header + "S,456440__inspectorj__bird.wav,InspectorJ,Attribution,2020-01-01\n")
    assert (entry.source, entry.number, entry.author) == ("freesound", 456440, "InspectorJ")


@pytest.mark.parametrize(
    ("cells", "source", "number"),
    [
        ("7,https://freemusicarchive.org/music/A/B/C/", "fma", 7),
        ("7,http://www.freemusicarchive.org/music/A", "fma", 7),
        ("7,https://example.org/7", "", 7),
        ("7,", "", 7),
        ("x,https://freesound.org/people/a/packs/12/", "freesound", 0),
        ("7,https://freesound.org.evil.org/s/12/", "", 7),
        ("07,", "", 0),
        ("12.0,", "", 12),
        (",HTTPS://Freesound.org:443/s/12", "freesound", 12),
        (",https://freesound.org./people/a/../b/sounds/12/", "freesound", 12),
        ("7,https://evil.example/freesound.org/s/12/", "", 7),
        ("7,https://freesound.org@evil.example/s/12/", "", 7),
        ("7,https://freesound.org:8443/s/12/", "", 7),
        ("-7,", "", 0),
        ("9,https://freesound.org/s/12/?x#y", "freesound", 12),
    ],
)
def test_whose_number_it_is_follows_from_the_url(
    cells: str, source: str, number: int, tmp_path: Path
) -> None:
    (entry,) = read(tmp_path, f"id,url\n{cells}\n")
    assert (entry.source, entry.number) == (source, number)


def test_wanted_are_the_numbers_of_one_source_once_each(tmp_path: Path) -> None:
    read(tmp_path, "id,url\n5,\n,https://freesound.org/s/3/\n9,https://freemusicarchive.org/music/A\n5,\n")
    path = str(tmp_path / "list.csv")
    assert work_list.wanted(path, "freesound") == (5, 3)
    assert work_list.wanted(path, "fma") == (5, 9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty list"),
        ("\n\n", "an empty list"),
        ("colour,size\nred,large\n", "names no work of fma"),
        ('id,title\n1,"open\n', "not a CSV in UTF-8"),
        ("author,license\nAna,cc0\n", "no column of ids or URLs"),
    ],
)
def test_a_file_that_is_no_list_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    work_list.read.cache_clear()
    with pytest.raises(UsageError, match=message):
        work_list.wanted(str(tmp_path / "list.csv"), "fma")


def test_latin_1_and_absent_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("id,title\n1,caf\u00e9\n".encode("latin-1"))
    with pytest.raises(UsageError, match="save it as CSV UTF-8"):
        work_list.read(str(tmp_path / "latin.csv"))
    with pytest.raises(UsageError, match="no such list"):
        work_list.read(str(tmp_path / "absent.csv"))


@pytest.mark.skipif(not SHARED.is_file(), reason="no ../shared/data/fma_attribution.csv")
def test_the_published_list_is_read_whole() -> None:
    entries = work_list.read(str(SHARED))
    assert len(entries) == 13_874
    assert {entry.source for entry in entries} == {"fma"}
    assert {entry.license for entry in entries} == {"cc0", "ccby"}
    assert len(work_list.wanted(str(SHARED), "fma")) == 13_874
