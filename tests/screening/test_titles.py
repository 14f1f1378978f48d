"""Titles and artists: what is the same, and how alike others are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sao_data.screening.titles import artist_parts, plain_artist, plain_title, similarity


@pytest.mark.parametrize(
    ("title", "plain"),
    [
        ("Bohemian Rhapsody", "bohemian rhapsody"),
        ("Bohemian Rhapsody (Remastered 2011)", "bohemian rhapsody"),
        ("Bohemian Rhapsody - Remastered 2011", "bohemian rhapsody"),
        ("Bohemian Rhapsody - 2011 Remaster [Deluxe]", "bohemian rhapsody"),
        ("Hello - Live at the BBC", "hello"),
        ("Queen - Hello", "queen hello"),
        ("Umbrella (feat. JAY-Z)", "umbrella"),
        ("Umbrella feat. JAY-Z", "umbrella"),
        ("Umbrella ft. JAY-Z [Radio Edit]", "umbrella"),
        ("(I Can't Get No) Satisfaction - Mono", "i cant get no satisfaction"),
        ("The Sound of Silence", "sound of silence"),
        ("Déjà Vu", "deja vu"),
        ("Ｆｕｌｌ　Ｗｉｄｔｈ", "full width"),
        ("my_song.WAV", "my song"),
        ("Rock & Roll", "rock and roll"),
        ("Straße", "strasse"),
        ("ガラス", "ガラス"),
        ("(Untitled)", "untitled"),
        ("The", "the"),
        ("???", "???"),
        ("  ", ""),
    ],
)
def test_a_title_is_reduced_to_what_names_the_work(title: str, plain: str) -> None:
    assert plain_title(title) == plain


def test_names_of_several_artists_are_taken_apart_and_kept_whole() -> None:
    assert artist_parts("Simon & Garfunkel") == ("simon and garfunkel", "simon", "garfunkel")
    assert artist_parts("Ann; Bob feat. Cy") == ("ann bob feat cy", "ann", "bob", "cy")
    assert artist_parts("The Beatles") == ("beatles",)
    assert artist_parts("Alexander") == ("alexander",)  # "x", "and" and "a" within words are letters
    assert artist_parts("") == ()
    assert plain_artist("The_Knife") == "knife"


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ("satisfaction", "satisfaction", 1.0, 1.0),
        ("rhapsody bohemian", "bohemian rhapsody", 1.0, 1.0),
        ("satisfation", "satisfaction", 0.9, 0.99),
        ("symphony no 5", "symphony no 6", 0.0, 0.0),
        ("long symphony ii", "long symphony iii", 0.0, 0.0),
        ("long symphony take a", "long symphony take b", 0.0, 0.0),
        ("love", "crazy in love", 0.0, 0.0),
        ("hello", "goodbye", 0.0, 0.0),
        ("love", "lover", 0.88, 0.9),
    ],
)
def test_likeness(one: str, other: str, low: float, high: float) -> None:
    assert low <= similarity(one, other, 0.85) <= high


@given(st.text(max_size=30), st.text(max_size=30))
def test_likeness_is_symmetric_and_one_for_equals(one: str, other: str) -> None:
    ours, theirs = plain_title(one), plain_title(other)
    assert similarity(ours, ours, 0.85) == 1.0
    assert similarity(ours, theirs, 0.85) == similarity(theirs, ours, 0.85)
