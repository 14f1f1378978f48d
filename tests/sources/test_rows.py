"""Rows from strangers: what is read, what is refused, what is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from sao_data.sources._common import rows


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"null", "NoneType"),
        (b"[1]", "list"),
        (b"", "no JSON object"),
        (b'{"a": 1', "no JSON object"),
        (b'{"a": "\xff"}', "no JSON object"),
        (b'{"license": "cc0", "license": "by-nc"}', "duplicate key 'license'"),
        (b'{"a": {"b": 1, "b": 2}}', "duplicate key 'b'"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "no JSON object"),
    ],
)
def test_bad_object_says_why(raw: bytes, said: str) -> None:
    with pytest.raises(rows.BadRow, match=said):
        rows.parse_object(raw)


@pytest.mark.parametrize(
    ("value", "whole", "real"),
    [
        (44100, 44100, 44100.0),
        (44100.0, 44100, 44100.0),
        (0.5, None, 0.5),
        (9007199254740993, 9007199254740993, 9007199254740992.0),
        ("44100", None, None),
        (True, None, None),
        (None, None, None),
        ([44100], None, None),
        (-1, None, None),
        (10**40, None, None),
        (1e300, None, None),
        (float("nan"), None, None),
        (float("inf"), None, None),
    ],
)
def test_numbers_are_numbers_that_a_table_can_hold(
    value: object, whole: int | None, real: float | None
) -> None:
    assert rows.whole({"x": value}, "x") == whole
    assert rows.real({"x": value}, "x") == real


def test_text_cells() -> None:
    row: rows.Row = {"s": " a ", "i": 2021, "b": True, "n": None, "l": ["x"]}
    assert [rows.text(row, key) for key in ("s", "i", "b", "n", "l", "absent")] == [
        " a ",
        "2021",
        "",
        "",
        "",
        "",
    ]


def test_list_cells_stay_verbatim_and_string_cells_are_split() -> None:
    row: rows.Row = {"list": ["a,b", " ", "c", None], "string": "a b, c;;d"}
    assert rows.texts(row, "list", separators=",;") == ("a,b", " ", "c")
    assert rows.texts(row, "string", separators=",;") == ("a b", "c", "d")


@pytest.mark.parametrize(
    "cell",
    [
        "https://creativecommons.org/licenses/by/4.0/",
        "http://creativecommons.org/licenses/sampling+/1.0/",
        "//creativecommons.org/licenses/by/4.0/",
        "creativecommons.org/licenses/by/4.0",
        "https://example.org/?u=https://creativecommons.org/publicdomain/zero/1.0/",
    ],
)
def test_licence_url_goes_to_the_url(cell: str) -> None:
    assert rows.split_licence(cell) == ("", cell)


@pytest.mark.parametrize("cell", ["", "Attribution", "CC BY 4.0 / see http://x.org", "Sampling+"])
def test_licence_words_go_to_the_claim(cell: str) -> None:
    assert rows.split_licence(cell) == (cell, "")


def test_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a":1}\r\n\n{"b":"\xe2\x80\xa8"}\n{"c":3}')
    assert list(rows.numbered_lines(str(path))) == [
        (1, b'{"a":1}'),
        (3, b'{"b":"\xe2\x80\xa8"}'),
        (4, b'{"c":3}'),
    ]


def test_canonical_json_is_sorted_readable_and_always_utf8() -> None:
    assert rows.canonical_json({"b": "é", "a": "\ud800"}) == '{"a": "\\ud800", "b": "é"}'
