"""The demo's recordings: the same bytes every time, audible, distinct, and of every kind promised."""

from __future__ import annotations

import hashlib
import io
from collections import Counter

import numpy as np
import pytest
import soundfile

from sao_data.errors import UsageError
from sao_data.records import Offer, Recording
from sao_data.sources import synthetic
from sao_data.sources._synthetic.works import CC0, CC0_NAME, WORKS, Made

SOURCE = synthetic.build(synthetic.Config())
NAMES = [work.name for work in WORKS]


def recordings(source: synthetic.Synthetic) -> list[Recording]:
    return [offer.recording for offer in source.offers() if isinstance(offer, Offer)]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The bytes of every work, by its name."""
    return {work.name: SOURCE.open(each).read() for work, each in zip(WORKS, recordings(SOURCE), strict=True)}


@pytest.mark.parametrize(
    "work", [each for each in WORKS if each.name not in ("silent", "corrupt")], ids=lambda w: w.name
)
def test_work_is_audible_finite_and_as_stated(work: Made, files: dict[str, bytes]) -> None:
    x_NC, rate = soundfile.read(io.BytesIO(files[work.name]), always_2d=True)
    stated = recordings(SOURCE)[NAMES.index(work.name)].media
    assert np.isfinite(x_NC).all()
    assert -12 <= 20 * np.log10(np.abs(x_NC).max()) <= 0
    assert (rate, x_NC.shape[1]) == (stated.sample_rate, stated.num_channels)
    assert len(x_NC) / rate == pytest.approx(stated.seconds, abs=0.1)  # MP3 pads


def test_works_are_pairwise_distinct_but_for_the_duplicate(files: dict[str, bytes]) -> None:
    names_of = Counter(hashlib.sha256(data).hexdigest() for data in files.values())
    assert sorted(names_of.values()) == [1] * 46 + [2]
    assert files["duplicate"] == files["guitar"]


def test_duplicate_has_another_title_and_author() -> None:
    by_name = dict(zip(NAMES, recordings(SOURCE), strict=True))
    assert by_name["duplicate"].title != by_name["guitar"].title
    assert by_name["duplicate"].author != by_name["guitar"].author


def test_silent_is_silent_and_clipped_is_clipped(files: dict[str, bytes]) -> None:
    silent, _ = soundfile.read(io.BytesIO(files["silent"]))
    clipped, _ = soundfile.read(io.BytesIO(files["clipped"]))
    assert not silent.any()
    assert np.mean(np.abs(clipped) > 0.9999) > 0.5


def test_corrupt_begins_as_flac_and_does_not_decode(files: dict[str, bytes]) -> None:
    assert files["corrupt"].startswith(b"fLaC")
    assert soundfile.info(io.BytesIO(files["corrupt"])).samplerate == 44_100
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.read(io.BytesIO(files["corrupt"]))


def test_odd_shapes_are_there(files: dict[str, bytes]) -> None:
    shapes = {name: soundfile.info(io.BytesIO(data)) for name, data in files.items()}
    assert shapes["quad"].channels == 4
    assert {shapes["ultrasonic"].samplerate, shapes["telephone"].samplerate} == {96_000, 8_000}
    assert shapes["click"].duration < 0.2
    assert {info.format for info in shapes.values()} == {"WAV", "FLAC", "AIFF", "MP3"}


def test_a_second_rendering_is_equal_byte_for_byte(files: dict[str, bytes]) -> None:
    again = synthetic.build(synthetic.Config())
    for work, recording in zip(WORKS, recordings(again), strict=True):
        assert again.open(recording).read() == files[work.name], work.name


def test_mixture_of_licences_and_wishes() -> None:
    flawed = {"silent", "clipped", "duplicate", "corrupt", "click"}
    open_urls = ("/publicdomain/zero/", "/licenses/by/", "/licenses/sampling+/")
    survivors = [
        work.name
        for work in WORKS
        if work.name not in flawed
        and (
            any(part in work.licence[1] for part in open_urls)
            or work.licence in (CC0, CC0_NAME, ("Attribution", ""))
        )
        and work.wish in ("", "no-additional-preferences")
    ]
    assert len(WORKS) == len(set(NAMES)) == 48
    assert len(survivors) == 32
    assert {work.wish for work in WORKS} == {
        *("", "no-additional-preferences", "open-source-models"),
        *("noncommercial-open-source-models", "no-gen-ai"),
    }


def test_ids_and_pages() -> None:
    first = recordings(SOURCE)[0]
    assert (first.id, first.page_url) == ("synthetic:0001", "https://example.org/sounds/0001")
    assert {each.author_id for each in recordings(SOURCE)} >= {"zoe-branza", "elif-aydin", "lune-tide", ""}


def test_larger_count_varies_the_works_in_the_same_mixture() -> None:
    many = synthetic.build(synthetic.Config(count=100, seconds=0.2))
    all_of_them = recordings(many)
    assert [each.id for each in all_of_them] == [f"synthetic:{n:04d}" for n in range(1, 101)]
    assert all_of_them[50].title == "bd_deep-01, variation 1.aif"
    assert all_of_them[96].title == "Concert A (sine), variation 2.wav"
    digests = Counter(hashlib.sha256(many.open(each).read()).hexdigest() for each in all_of_them)
    assert sorted(digests.values())[-2:] == [2, 2]  # the duplicate of each whole round, and nothing else
    assert len(digests) == 98


def test_works_do_not_depend_on_the_count(files: dict[str, bytes]) -> None:
    few = synthetic.build(synthetic.Config(count=3))
    assert [few.open(each).read() for each in recordings(few)] == [files[name] for name in NAMES[:3]]


def test_seconds_scales_lengths() -> None:
    short = synthetic.build(synthetic.Config(count=1, seconds=0.1))
    (recording,) = recordings(short)
    assert soundfile.info(short.open(recording)).frames == round(0.1 * 1.5 * 44_100)


@pytest.mark.parametrize("changes", [{"count": 0}, {"seconds": 0.0}, {"seconds": -1.0}])
def test_amounts_that_make_nothing_are_usage_errors(changes: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="want a count"):
        synthetic.build(synthetic.Config(**changes))  # type: ignore[arg-type]
