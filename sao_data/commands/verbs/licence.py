"""`sao licence`: what the default policy makes of licence claims, as a table of one row each."""

from __future__ import annotations

import argparse
import io
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from sao_data.errors import UsageError

HELP = "read licence claims and say what they are and whether the default policy allows them"
HEADER = ("claim", "license_id", "family", "version", "decision")

_ESCAPES = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}
_REORDERING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Claims as arguments, from a file, or one a line on standard input."""
    parser.add_argument(
        "claims", nargs="*", metavar="CLAIM", help="none: one claim per line of standard input"
    )
    parser.add_argument("--file", type=Path, help="a file with one claim per line")


def run(args: argparse.Namespace) -> int:
    """Write the table to standard output."""
    from sao_data.licences import Policy, Release, judge, parse

    policy, release = Policy(), Release()
    sys.stdout.write("\t".join(HEADER) + "\n")
    for claim in _claims(args):
        licence = parse(claim)
        verdict = judge(licence, policy, release).verdict
        row = (escape(claim), licence.license_id, licence.family, licence.version, verdict)
        sys.stdout.write("\t".join(row) + "\n")
    return 0


def escape(text: str) -> str:
    """One line of printable text: tab, line break, control and reordering characters as backslash escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") and character not in _REORDERING:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _claims(args: argparse.Namespace) -> Iterator[str]:
    if args.claims and args.file:
        raise UsageError("sao licence: claims and --file together; give one of them")
    if args.claims:
        yield from args.claims
        return
    for line in _lines(args.file):  # bytes: only a newline ends a claim; what is no UTF-8 is shown as \xff
        yield line.removesuffix(b"\n").decode("utf-8", errors="backslashreplace")


def _lines(file: Path | None) -> Iterable[bytes]:
    if file is None:
        return sys.stdin.buffer
    try:
        return io.BytesIO(file.read_bytes())
    except OSError as error:
        raise UsageError(f"sao licence: cannot read {file}: {error.strerror}; give a text file") from error
