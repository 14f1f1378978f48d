"""All files of the report: hostile text stays text, tables stay tables, raw values stay raw."""

import csv
import io
import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

from sao_data.attribution.page import html_files
from sao_data.attribution.plain import safe_url
from sao_data.attribution.report import files
from sao_data.attribution.sheets import COLUMNS, DROPPED_COLUMNS, safe_cell
from sao_data.records import CatalogueRow
from tests.attribution.made_rows import (
    BY,
    CC0,
    SAMPLING_PLUS,
    UNVERSIONED,
    catalogues,
    dropped,
    info_of,
    kept,
)
from tests.paths import SHARED

HOSTILE = SHARED / "hostile_metadata.jsonl"
TRIGGERS = tuple("=+-@\t\r\n＝＋－＠")
OWN_TITLES = [
    "<img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% include 'x' %}",
    "]]> --> </style></title></table><svg onload=x>",
    "\u200b=1+1",
    "＝1+1",
    "\ud800 lone",
    "a\x00b",
    "[x](javascript:alert(1)) `code` **b** | cell",
    "مرحبا \u202e evil",
    "x" * 5000,
]


class Shape(HTMLParser):
    """The skeleton of a page: every element with the names of its attributes, and where links lead."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.feed(html.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def built(rows: list[CatalogueRow], **settings: object) -> dict[str, bytes]:
    return dict(files(info_of(rows, **settings), rows))


def foreign(text: str, url: str) -> dict[str, str]:
    """The same foreign text everywhere a source may put text, the same foreign address everywhere."""
    names = ("title", "author", "copyright_notice", "requested_credit")
    return {**dict.fromkeys(names, text), "author_url": url, "page_url": url}


def hostile_values() -> list[tuple[str, str]]:
    """Every text with every address of the hostile objects for reports."""
    values = []
    for line in HOSTILE.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if case["case"].startswith(("html_", "csv_", "uni_")):
            thing = case["object"]
            texts = (thing["name"], thing.get("username", ""), thing.get("description", ""), *thing["tags"])
            values += [(text, thing["url"]) for text in texts if text.strip()]
    return values


def check_hostile(text: str, url: str) -> None:
    """One hostile row, kept and dropped, through every file."""
    rows = [kept(1, **foreign(text, url)), dropped(2, **foreign(text, url), detail=text)]
    hostile = built(rows, name=text, description=text, contact=text, policy=(text,))
    safe = "https://example.org/" if safe_url(url) else ""
    tame_rows = [kept(1, **foreign("tame", safe)), dropped(2, **foreign("tame", safe), detail="tame")]
    tame = built(tame_rows, name="tame", description="tame", contact="tame", policy=("tame",))
    shape = Shape(hostile["index.html"])
    assert sorted(shape.elements) == sorted(Shape(tame["index.html"]).elements)
    assert all(link.startswith(("https://", "http://", "#")) or "/" not in link for link in shape.links)
    assert not any(re.match(r"\s*(javascript|data|vbscript)", link, re.I) for link in shape.links)
    check_tables(rows, hostile)
    assert json.loads(hostile["attribution.json"])[0]["title"] == text
    assert b"<script" not in hostile["ATTRIBUTION.md"].replace(b"\\<", b"")


def check_tables(rows: list[CatalogueRow], report: dict[str, bytes]) -> None:
    for name, columns, number in (
        ("attribution.csv", COLUMNS, sum(row.kept for row in rows)),
        ("dropped.csv", DROPPED_COLUMNS, sum((not row.kept) + (row.num_offers > 1) for row in rows)),
    ):
        table = list(csv.reader(io.StringIO(report[name].decode(), newline="")))
        assert table[0] == list(columns)
        assert [len(line) for line in table] == [len(columns)] * (number + 1)
        cells = [cell.lstrip(" \xa0\u200b\ufeff") for line in table for cell in line]
        assert not [cell for cell in cells if cell.startswith(TRIGGERS)]


@pytest.mark.skipif(not HOSTILE.exists(), reason="../shared/data is not here")
def test_hostile_records_stay_text() -> None:
    values = hostile_values()
    assert len(values) > 17
    for text, url in values:
        check_hostile(text, url)


@pytest.mark.parametrize("title", OWN_TITLES, ids=range(len(OWN_TITLES)))
def test_own_hostile_titles_stay_text(title: str) -> None:
    check_hostile(title, "javascript:alert(1)")


@settings(max_examples=40)
@given(catalogues())
def test_any_catalogue_gives_whole_tables_and_the_same_bytes(rows: list[CatalogueRow]) -> None:
    report = built(rows)
    assert report == built(rows[::-1])
    check_tables(rows, report)
    works = {work["id"]: work for work in json.loads(report["attribution.json"])}
    assert {row.id: row.title for row in rows if row.kept} == {
        name: work["title"] for name, work in works.items()
    }
    summary = json.loads(report["summary.json"])
    lines = csv.DictReader(io.StringIO(report["dropped.csv"].decode(), newline=""))
    assert sum(int(line["offers"]) for line in lines) == summary["rejected"]
    page = Shape(report["index.html"])
    assert not [
        link for link in page.links if not re.match(r"https?://|#|[\w-]+\.(md|csv|json)$", link, re.I)
    ]


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@x", "\t=1", "\r1", "\n", " =1", "\xa0=1", "\u200b-1", "＝1", "－"]
)
def test_formulas_are_defused(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "rain", "a=1", '"=1+1"', "1-2", "’s", " rain", "#1"])
def test_plain_cells_are_left_alone(text: str) -> None:
    assert safe_cell(text) == text


def test_page_says_what_matters() -> None:
    rows = [
        kept(1, **BY),
        kept(2, **CC0, author=""),
        kept(3, **SAMPLING_PLUS, shards=("train-sampling-plus-000000.tar",)),
        kept(4, **UNVERSIONED),
        dropped(5, detail="CC BY-NC 3.0: NonCommercial"),
    ]
    shape = Shape(
        built(rows, policy=("No NC.",), release=("Share it.",), contact="x@example.org")["index.html"]
    )
    text = " ".join("".join(shape.text).split())
    for said in (
        "4 recordings by 1 person (the author of 1 is not named), every one allowed under its licence.",
        "1 of 5 offered was left out.",
        "5 offered = 4 kept + 1 left out.",
        "unnamed author",
        "CC BY (version not stated by the source)",
        "source says: Attribution",
        "non-commercially only",
        "advertising",
        "train-sampling-plus",
        "CC BY-NC 3.0: NonCommercial",
        "No NC.",
        "Share it.",
        "x@example.org",
        "not legal advice",
    ):
        assert said in text, said


def test_page_allows_its_own_style_and_nothing_else() -> None:
    html = built([kept(1)])["index.html"].decode()
    style = html.partition("<style>")[2].partition("</style>")[0]
    hashed = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in html
    tags = {tag for tag, _ in Shape(html.encode()).elements}
    assert not tags & {"script", "img", "link", "iframe", "form", "object"}
    assert '<html lang="en">' in html
    assert all("scope" in names for tag, names in Shape(html.encode()).elements if tag == "th")


def test_report_of_an_empty_dataset_is_whole() -> None:
    report = built([])
    assert json.loads(report["attribution.json"]) == []
    assert "No recording is in this dataset." in report["index.html"].decode()


def test_raw_values_are_lossless() -> None:
    row = kept(1, title="\ud800=\x00é", changes=("a", "b"))
    work = json.loads(built([row])["attribution.json"])[0]
    assert {name: work[name] for name in ("title", "changes", "seconds", "shards", "evidence")} == {
        "title": "\ud800=\x00é",
        "changes": ["a", "b"],
        "seconds": 5.001,
        "shards": ["train-000000.tar"],
        "evidence": "1" * 64,
    }


def test_every_work_can_be_linked_to() -> None:
    html = built([kept(10), kept(9)])["index.html"].decode()
    assert html.index('id="freesound-9"') < html.index('id="freesound-10"')


def test_many_works_are_split_over_pages() -> None:
    rows = [kept(number) for number in range(1, 8)]
    pages = dict(html_files(info_of(rows), rows, [], per_page=3))
    assert list(pages) == ["index.html", "works-0001.html", "works-0002.html", "works-0003.html"]
    assert {"works-0001.html", "works-0003.html"} <= set(Shape(pages["index.html"]).links)
    assert b'id="freesound-4"' in pages["works-0002.html"]
    assert {"works-0001.html", "works-0003.html", "index.html"} <= set(Shape(pages["works-0002.html"]).links)
    assert sum(page.count(b'<tr id="') for page in pages.values()) == 7


def test_markdown_groups_by_licence_then_author() -> None:
    rows = [
        kept(1, **CC0, author="b", author_url=""),
        kept(2, author=""),
        kept(3),
        kept(4, author="_a_|b", author_url=""),
    ]
    text = built(rows)["ATTRIBUTION.md"].decode()
    headings = [line for line in text.splitlines() if line.startswith("##")]
    assert headings == [
        "## CC BY 3.0: 3 recordings",
        "### \\_a\\_\\|b",
        "### dobroide <https://freesound.org/people/dobroide/>",
        "### Unnamed author (the source states none) <https://freesound.org/people/dobroide/>",
        "## CC0 1.0: 1 recording",
        "### b",
    ]


def test_info_of_other_rows_is_refused() -> None:
    with pytest.raises(AssertionError):
        list(files(info_of([kept(1)]), [kept(1), kept(2)]))
