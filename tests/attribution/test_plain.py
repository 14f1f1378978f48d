"""Foreign text on paper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sao_data.attribution.plain import author_key, length, one_line, safe_url, shorten, work_order
from tests.attribution.made_rows import kept


@pytest.mark.parametrize(
    "url",
    [
        "https://freesound.org/s/1/",
        "http://example.org:8080/a?b=c&d#e",
        "https://freesound.org/people/José/",
        "https://creativecommons.org/licenses/sampling+/1.0/",
    ],
)
def test_web_addresses_become_links(url: str) -> None:
    assert safe_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "java\tscript:alert(1)",
        "\x01https://example.org/",
        " https://example.org/",
        "data:text/html,x",
        "//example.org/x",
        "https:example.org",
        "https:/example.org",
        "https:///x",
        "https://creativecommons.org@evil.invalid/",
        "https://a\\@b/",
        "https://example.org/\u202etxt",
        "https://example.org/a b",
        'https://example.org/"onclick=',
        "http://[",
        "file:///etc/passwd",
        "vbscript:x",
        "https://exаmple.org/",  # a Cyrillic letter in the host
        "https://example.org/" + "a" * 3000,
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    assert safe_url(url) == ""


@given(st.text())
def test_one_line_is_printable_but_for_joiners(text: str) -> None:
    shown = one_line(text)
    assert "\n" not in shown
    assert shown == one_line(shown)
    assert not any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in shown)


def test_long_titles_are_cut_and_marks_do_not_pile_up() -> None:
    assert shorten("x" * 500) == "x" * 119 + "…"
    assert shorten("Z" + "\u0301" * 10_000) == "Z" + "\u0301" * 3
    assert shorten("José e\u0301") == "José e\u0301"


def test_ids_are_ordered_as_numbers() -> None:
    rows = [kept(10), kept(9), kept(100), kept(9, source="fma")]
    assert [row.id for row in sorted(rows, key=work_order)] == [f"freesound:{n}" for n in (9, 9, 10, 100)]


def test_authors_are_told_apart_by_id_and_by_page_not_by_spelling() -> None:
    assert author_key(kept(author="José", author_url="")) == author_key(
        kept(author="Jose\u0301", author_url="")
    )
    assert author_key(kept(author="old", author_id="7")) == author_key(kept(author="new", author_id="7"))
    assert author_key(kept(author=" \u202e")) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5.0, "5.0 s"), (992, "16 min 32 s"), (3600 * 7300 + 720, "7,300 h 12 min"), (59.96, "60.0 s")],
)
def test_length_for_people(seconds: float, text: str) -> None:
    assert length(seconds) == text
