"""Text in a form in which what looks alike is equal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sao_data.licences.words import comparable

ALPHABET = (
    "aAbvyhnuGYx \u0391\u0392\u0393\u0397\u039c\u039d\u03a5\u03b1\u03b3\u03b7\u03bc\u03bd\u03c5"
    "\u0430\u0443\u0301\u200b\u00df\u0130"
)


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("Alpha", "\u0391lpha"),  # Greek
        ("alpha beta gamma", "Alpha b\u0435ta g\u00e4mma"),  # Cyrillic, diaeresis
        ("copy", "\u0441\u043e\u0440\u0443"),  # Cyrillic throughout
        ("Night hello love", "\u039dight \u0397ello lo\u03bde"),  # capitals and small letters of Greek
        ("rhapsody", "rha\u200bp\u00adso\u2060dy\x07"),
        ("rhapsody", "rha\u034fp\ufe0fso\u3164dy\U000e0101"),
        ("zal", "z\u0338a\u0337l"),
        ("full", "\uff26\uff35\uff2c\uff2c"),
        ("lodz oere aeon", "\u0141\u00f3d\u017a \u0153re \u00c6on"),
        ("\u03bd\u03ad\u03bf", "\u039d\u0395\u039f"),  # a Greek word in both cases
        ("\u0439", "\u0419"),
    ],
)
def test_what_looks_alike_is_equal(text: str, like: str) -> None:
    assert comparable(text) == comparable(like)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u30ab", "\u30ac"),  # ka and ga
        ("\u0915\u093f", "\u0915"),  # a vowel sign is no accent
        ("Take A", "Take B"),
        ("no 5", "no 6"),
    ],
)
def test_what_differs_stays_apart(one: str, other: str) -> None:
    assert comparable(one) != comparable(other)


@given(st.text(max_size=12) | st.text(ALPHABET, max_size=12))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert comparable(comparable(text)) == comparable(text)
