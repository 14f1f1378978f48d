"""The music classes: what AudioSet's ontology puts under Music, found in a tagger's labels by name."""

from __future__ import annotations

import re

import pytest

from sao_data.errors import UsageError
from sao_data.screening.classes import columns_of, music_classes


def test_the_list_is_music_and_everything_under_it() -> None:
    found = music_classes()
    indices = [item.index for item in found.music]
    assert len(found.music) == 150
    assert set(range(137, 283)) < set(indices)  # one block of the label list, "Music" to "Scary music"
    by_name = {item.name: item for item in found.music}
    assert by_name["Music"].id == "/m/04rlf"
    assert (by_name["Marimba, xylophone"].index, by_name["Scary music"].index) == (180, 282)
    # These have a second parent outside Music, and stand elsewhere in the label list.
    assert {item.name for item in found.music if item.index < 137} == {"Choir", "Chant", "Mantra", "Cowbell"}


def test_rows_are_whole_sorted_and_unique() -> None:
    found = music_classes()
    for group in (found.music, found.singing):
        assert [item.index for item in group] == sorted({item.index for item in group})
    every = [*found.music, *found.singing]
    assert len({item.index for item in every}) == len({item.id for item in every}) == len(every)
    assert all(re.fullmatch(r"/[mt]/[a-z0-9_]+", item.id) for item in every)
    assert max(item.index for item in every) < found.num_labels == 527
    assert found.source
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found.checked)


def test_singing_is_apart_and_counts_only_when_asked_for() -> None:
    found = music_classes()
    assert "Singing" not in found.names()
    assert {"Singing", "Rapping", "Music"} <= set(found.names(singing=True))


def test_classes_are_found_by_name_in_any_order_and_spelling() -> None:
    labels = ("Speech", "Marimba,_xylophone", "MUSIC")
    assert columns_of(("Music", "Marimba, xylophone"), labels, where="here") == [2, 1]


def test_a_missing_class_is_an_error_that_names_it() -> None:
    with pytest.raises(UsageError, match=r"here: 1 of 2 music classes .* 'Banjo'"):
        columns_of(("Music", "Banjo"), ("Music", "Speech"), where="here")
