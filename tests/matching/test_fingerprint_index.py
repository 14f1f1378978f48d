"""Who sounds like whom: what must match, what must not, and the search against comparing all with all."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt

from sao_data.audio.chromaprint import Words, fingerprint
from sao_data.matching.fingerprint_index import (
    MAX_SHARED,
    FingerprintMatch,
    compare,
    find_matches,
    find_pairs,
)
from tests.audio.test_chromaprint import melody
from tests.made import RATE, Floats, mp3_bytes, noise, silence, tone
from tests.paths import SHARED

EXCERPTS = SHARED / "freesound" / "audio"
LOST = round(0.37 * RATE)  # frames


def made(seed: int, num: int = 60) -> Words:
    """Words of no sound, as unlike as music: half of all bits differ by chance."""
    return np.random.default_rng(seed).integers(0, 2**32, size=num, dtype=np.uint32)


def flipped(words: Words, share: float, seed: int = 0) -> Words:
    """The words with this share of their bits turned over."""
    bits = np.unpackbits(words.view(np.uint8))
    return np.packbits(bits ^ (np.random.default_rng(seed).random(len(bits)) < share)).view(np.uint32)


def by_mp3(audio: Floats) -> Floats:
    return np.asarray(soundfile.read(io.BytesIO(mp3_bytes(audio)), dtype="float32")[0])


def low_passed(audio: Floats) -> Floats:
    return np.asarray(sosfilt(butter(8, 5_500, fs=RATE, output="sos"), audio, axis=0), np.float32)


CHANGES: dict[str, tuple[Callable[[Floats], Floats], int]] = {
    "MP3": (by_mp3, 0),
    "low pass at 5.5 kHz": (low_passed, 0),
    "12 dB down": (lambda audio: np.float32(0.25) * audio, 0),
    "0.37 s lost": (lambda audio: audio[LOST:], 3),
    "0.37 s of silence before": (lambda audio: np.concatenate([silence(0.37), audio]), -3),
    "both ends trimmed": (lambda audio: audio[RATE // 4 : -RATE // 4], 2),
    "MP3 of an excerpt of 4.5 s": (lambda audio: by_mp3(audio[3 * RATE : round(7.5 * RATE)]), 24),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_recording_is_like_its_original(change: str) -> None:
    apply, offset = CHANGES[change]
    fit = compare(fingerprint(melody(1)), fingerprint(apply(melody(1))))
    assert fit is not None
    assert fit[0] < 0.1
    assert abs(fit[1] - offset) <= 1


@pytest.mark.skipif(not EXCERPTS.exists(), reason="needs ../shared/data/freesound, which is not here")
def test_real_excerpts_are_like_their_mp3s_and_like_no_other() -> None:
    words = {}
    for path in sorted(EXCERPTS.glob("*.ogg"))[::48]:
        audio, _ = soundfile.read(path, dtype="float32", always_2d=True)
        stereo = np.repeat(audio[:, :1], 2, axis=1)
        words[path.stem] = fingerprint(stereo)
        words[f"{path.stem} MP3"] = fingerprint(by_mp3(np.float32(0.5) * stereo))
    pairs = {(pair.first, pair.second) for pair in find_pairs(words.items())}
    assert all(second == f"{first} MP3" for first, second in pairs)
    assert len(pairs) == len(words) / 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (melody(1), melody(2)),
        (noise(1, seconds=8), noise(2, seconds=8)),
        (np.concatenate([melody(1, 0.6), silence(6)]), np.concatenate([melody(2, 0.6), silence(6)])),
        (tone(100, 6), tone(100, 6)),
        (tone(100, 6) + noise(1, 6, level=0.001), tone(100, 6) + noise(2, 6, level=0.001)),
        (silence(6), silence(6)),
    ],
    ids=["melodies", "hisses", "short sounds in silence", "a hum and itself", "hums", "silence and itself"],
)
def test_what_has_no_recording_in_common_is_not_alike(one: Floats, other: Floats) -> None:
    a, b = fingerprint(one), fingerprint(other)
    assert compare(a, b) is None
    assert find_pairs([("a", a), ("b", b)]) == []
    assert find_matches({"a": a}, [("b", b)]) == []


def test_the_offset_is_where_the_second_begins_in_the_first() -> None:
    words = made(1)
    assert compare(words, words) == (0.0, 0, 60)
    assert compare(words, words[10:]) == (0.0, 10, 50)
    assert compare(words[10:], words) == (0.0, -10, 50)
    assert compare(words, np.concatenate([made(2, 5), words])) == (0.0, -5, 60)


@pytest.mark.parametrize(("share", "is_alike"), [(0.03, True), (0.12, True), (0.2, False)])
def test_bits_may_differ_up_to_a_share_of_chance(share: float, is_alike: bool) -> None:
    fit = compare(made(1, 200), flipped(made(1, 200), share))
    assert (fit is not None) == is_alike
    assert fit is None or fit[0] == pytest.approx(share, abs=0.01)


def test_an_overlap_must_be_four_seconds_and_half_of_the_shorter() -> None:
    words = made(1, 100)
    assert compare(words[:12], words) is not None
    assert compare(words[:11], words) is None
    assert compare(np.concatenate([words[:50], made(2, 50)]), words[:50]) is not None
    assert compare(np.concatenate([made(2, 51), words[:49]]), words) is None
    assert compare(made(1, 0), words) is None


def test_words_that_repeat_count_once() -> None:
    """Half of the words differ in most bits; a long stretch of equal silence around them does not help."""
    still = np.full(300, 627_964_279, np.uint32)
    assert compare(np.concatenate([made(1, 20), still]), np.concatenate([made(2, 20), still])) is None
    assert compare(np.concatenate([made(1, 20), still]), np.concatenate([made(1, 20), still])) is not None


def planted(num: int) -> dict[str, Words]:
    """Recordings of which every fourth has a noisy, shifted copy, and every tenth an equal one."""
    items = {}
    for n in range(num):
        items[f"{n:03d}"] = words = made(n, 20 + n % 50)
        if n % 4 == 0:
            items[f"{n:03d} noisy"] = flipped(np.concatenate([made(n + 999, 4), words[2:]]), 0.03, n)
        if n % 10 == 0:
            items[f"{n:03d} equal"] = words
    return items


@settings(max_examples=5)
@given(st.randoms(use_true_random=False))
def test_the_search_finds_what_comparing_all_with_all_finds_in_any_order(random: Random) -> None:
    items = list(planted(30).items())
    all_pairs = {
        (a, b): fit for (a, x), (b, y) in itertools.combinations(sorted(items), 2) if (fit := compare(x, y))
    }
    random.shuffle(items)
    found = find_pairs(items)
    pairs = [(like.first, like.second) for like in found]
    assert pairs == sorted(pair for pair in all_pairs if "equal" not in pair[0])  # those by their equals
    assert all(
        all_pairs[like.first, like.second] == (like.error, like.offset_words, like.overlap_words)
        for like in found
    )


def test_of_equal_fingerprints_each_is_paired_with_the_lowest_id_alone() -> None:
    words = made(1)
    items = [("c", words), ("a", words), ("b", words), ("d", flipped(words, 0.02)), ("e", made(2))]
    pairs = [(like.first, like.second) for like in find_pairs(items)]
    assert pairs == [("a", "b"), ("a", "c"), ("a", "d")]


def test_equals_are_found_however_many_share_their_words() -> None:
    num = MAX_SHARED + 20
    words = made(1)
    assert len(find_pairs((f"{n:03d}", words) for n in range(num))) == num - 1
    rolled = {f"{n:03d}": np.roll(made(1, num), n) for n in range(num)}  # all have the same words
    found = find_matches(rolled, [("x", rolled["007"])])
    assert found == [FingerprintMatch(first="007", second="x", error=0.0, offset_words=0, overlap_words=num)]


def test_words_that_too_many_share_bring_no_candidates() -> None:
    common = made(1, 6)
    items = {f"{n:03d}": np.concatenate([made(n + 10, 20), common]) for n in range(MAX_SHARED + 5)}
    items["copy of 003"] = flipped(items["003"], 0.01)
    assert [(like.first, like.second) for like in find_pairs(items.items())] == [("003", "copy of 003")]


def test_a_short_excerpt_of_a_long_recording_is_found() -> None:
    items = {f"{n:03d}": made(n, 948) for n in range(5)}
    for n in range(5):
        items[f"{n:03d} excerpt"] = made(n, 948)[400:440]
    assert [(like.first, like.offset_words) for like in find_pairs(items.items())] == [
        (f"{n:03d}", 400) for n in range(5)
    ]


def test_matches_are_those_of_comparing_every_query_with_everything() -> None:
    items = planted(40)
    queries = {name: words for name, words in items.items() if name.startswith("00") or name == "012 noisy"}
    expected = [
        (query, name) for query in sorted(queries) for name in sorted(items)
        if compare(items[query], items[name])
    ]  # fmt: skip
    corpus = iter(sorted(items.items(), reverse=True))
    assert [(like.first, like.second) for like in find_matches(queries, corpus)] == expected
    assert ("000 equal", "000") in expected
    assert ("012 noisy", "012") in expected


@pytest.mark.parametrize("num", [0, 1, 11])
def test_too_few_words_match_nothing_and_break_nothing(num: int) -> None:
    words = made(1, num)
    assert find_pairs([("a", words), ("b", words)]) == []
    assert find_matches({"a": words}, [("b", words), ("c", made(2))]) == []
    assert find_matches({"a": made(2)}, [("b", words)]) == []
    assert find_pairs([]) == []
    assert find_matches({}, [("a", made(1))]) == []


def test_an_id_given_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="'a' is given twice"):
        find_pairs([("a", made(1)), ("a", made(2))])
