"""`sao licence`: one row per claim, nothing that could break a row or a terminal."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import pytest

from sao_data.commands.verbs import licence
from sao_data.errors import UsageError

HEADER = "claim\tlicense_id\tfamily\tversion\tdecision"


def rows(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    parser = argparse.ArgumentParser()
    licence.add_arguments(parser)
    assert licence.run(parser.parse_args(arguments)) == 0
    written = capsys.readouterr().out
    assert written.endswith("\n")
    return written[:-1].split("\n")


def feed(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))


def test_claims_as_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert rows(["Attribution", "CC BY-NC 4.0", "CCO"], capsys) == [
        HEADER,
        "Attribution\tCC-BY\tBY\t\tallow",
        "CC BY-NC 4.0\tCC-BY-NC-4.0\tBY-NC\t4.0\tdeny",
        "CCO\tUNKNOWN\tUNKNOWN\t\treview",
    ]


def test_one_claim_per_line_of_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, "CC0\n\nAttribution 3.0\u2028x\r\n\xff".encode() + b"\xfe\nsamp+")
    assert rows([], capsys) == [
        HEADER,
        "CC0\tCC0-1.0\tCC0\t1.0\tallow",
        "\tUNKNOWN\tUNKNOWN\t\tdeny",
        "Attribution 3.0\\u2028x\\r\tCC-BY-3.0\tBY\t3.0\treview",
        "\xff\\xfe\tUNKNOWN\tUNKNOWN\t\tdeny",
        "samp+\tLicenseRef-CC-Sampling-Plus-1.0\tSAMPLING+\t1.0\tallow",
    ]


def test_empty_input_gives_the_header_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, b"")
    assert rows([], capsys) == [HEADER]


def test_claims_from_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "claims").write_bytes(b"a\tb\nCC0\n")
    assert rows(["--file", str(tmp_path / "claims")], capsys)[1:] == [
        "a\\tb\tUNKNOWN\tUNKNOWN\t\tdeny",
        "CC0\tCC0-1.0\tCC0\t1.0\tallow",
    ]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain + text", "plain + text"),
        ("a\tb\nc\rd", "a\\tb\\nc\\rd"),
        ("\x1b[31m\x00\x7f\x9b", "\\x1b[31m\\x00\\x7f\\x9b"),
        ("\u202eCN\u2066", "\\u202eCN\\u2066"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\udcff", "\\udcff"),
        ("été 雨", "été 雨"),
    ],
)
def test_what_could_break_a_row_or_a_terminal_is_escaped(text: str, escaped: str) -> None:
    assert licence.escape(text) == escaped


def test_an_unreadable_file_says_what_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*nowhere: No such file.*give a text file"):
        rows(["--file", str(tmp_path / "nowhere")], capsys)


def test_claims_and_a_file_together_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="give one of them"):
        rows(["CC0", "--file", "x"], capsys)
