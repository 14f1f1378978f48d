"""Short and steady sounds: which are copies, which are only nearly alike, in any order and of any size."""

from __future__ import annotations

import dataclasses
import itertools
import random

import numpy as np
import pytest
import soundfile

from sao_data.audio.measuring.spectral_hash import (
    COARSE,
    SpectralHasher,
    decode,
    encode,
    is_needed,
    spectral_hash,
)
from sao_data.matching.alike import find_alike
from sao_data.matching.spectral_fit import compare
from sao_data.matching.spectral_index import find_matches, find_pairs
from tests.audio.test_chromaprint import melody
from tests.made import RATE, Floats, noise, silence, to_pcm, tone
from tests.matching.near_misses import (
    CHANGES,
    LOST,
    coloured,
    drum,
    found_in,
    heard,
    hum,
    loop,
    near_misses,
    note,
    pairs_in,
    snare,
)
from tests.paths import SHARED

EXCERPTS = SHARED / "freesound" / "audio"
TRUE_COPIES = {("28314", "30322")}  # two versions of one fire, by one author

SHORT: dict[str, Floats] = {
    "kick": drum(0, 0),
    "kick a semitone up": drum(0, 1),
    "hat": drum(2, 0),
    "snare": snare(1),
    "snare struck again": snare(2),
    "note": note(220),
    "next note": note(220 * 2 ** (1 / 12)),
    "octave": note(440),
    "loop": loop(1),
    "other loop": loop(2),
    "hiss": noise(1, 0.7),
    "other hiss": noise(2, 0.7),
    "rumble": coloured(-2, 1, 2.0),
    "other rumble": coloured(-2, 2, 2.0),
    "tone": tone(440, 1.0),
    "next tone": tone(440 * 2 ** (1 / 12), 1.0),
    "hum": hum(50),
    "other hum": hum(60),
}


SHORT = {name: np.float32(0.25) * audio for name, audio in SHORT.items()}  # room for 12 dB


def test_no_two_sounds_that_are_nearly_alike_are_copies() -> None:
    assert pairs_in(SHORT) == set()


@pytest.mark.parametrize("change", [*CHANGES, *LOST])
def test_a_changed_copy_of_a_short_or_steady_sound_is_found_and_nothing_else(change: str) -> None:
    apply = {**CHANGES, **LOST}[change]
    names = (
        SHORT.keys() if change in CHANGES else {"note", "octave", "loop", "other loop", "hum", "other hum"}
    )
    changed = {f"{name}, {change}": heard(apply(SHORT[name])) for name in names}
    found = found_in(changed, {name: heard(audio) for name, audio in SHORT.items()})
    assert found == {(f"{name}, {change}", name) for name in names}


def test_only_what_chromaprint_cannot_tell_is_hashed() -> None:
    cases = [
        (melody(1, 12), False),
        (melody(1, 3), True),
        (hum(50), True),
        (noise(1, 8), False),
        (silence(3), False),
    ]
    assert [bool(heard(audio).spectral_hash) for audio, _ in cases] == [wanted for _, wanted in cases]
    assert is_needed(np.empty(0, np.uint32))


def test_the_hash_does_not_depend_on_the_blocks_nor_on_what_comes_late() -> None:
    pcm, none = to_pcm(hum(50, 12.0)), np.empty(0, np.uint32)
    hasher = SpectralHasher()
    for start in range(0, len(pcm), 10_007):
        hasher.add(pcm[start : start + 10_007])
    text = hasher.finish(none)
    whole = SpectralHasher()
    whole.add(np.concatenate([pcm[: 10 * RATE], to_pcm(noise(1, 2.0))]))
    assert text == whole.finish(none)
    made = spectral_hash(hum(50, 12.0))
    assert made is not None
    assert encode(made) == text == encode(decode(text))
    assert (made.spectrum.shape, made.moments.shape) == ((192,), (131, 24))
    assert pytest.approx(27.5 * 2 ** ((int(np.argmin(made.spectrum)) + 0.5) / 24), rel=0.015) == 50


@pytest.mark.parametrize("name", ["note", "hiss", "loop", "hum", "kick"])
def test_a_hash_of_an_earlier_version_is_read_and_compared(name: str) -> None:
    """Take-downs keep them for good: every second moment, behind a dot."""
    made = spectral_hash(SHORT[name])
    assert made is not None
    earlier = encode(dataclasses.replace(made, moments=made.moments[::2], step=COARSE))
    assert earlier[192] == "."
    old = decode(earlier)
    assert encode(old) == earlier
    for change in ("12 dB down", "MP3, 128 kbit/s"):
        copy = spectral_hash(CHANGES[change](SHORT[name]))
        assert copy is not None
        assert [match.second for match in find_matches({"x": copy}, [(name, old)])] == [name]
    others = [(n, h) for n, audio in SHORT.items() if n != name and (h := spectral_hash(audio))]
    assert find_matches({"x": old}, others) == []


def test_a_damaged_hash_is_refused() -> None:
    text = heard(note(220)).spectral_hash
    for damaged in ("", text[:-1], text[1:], text.replace(":", ""), f"~{text[1:]}", f"é{text[1:]}"):
        with pytest.raises(ValueError, match="spectral hash"):
            decode(damaged)


def test_the_search_finds_what_comparing_all_with_all_finds_in_any_order() -> None:
    sounds = {name: spectral_hash(audio) for name, audio in SHORT.items()}
    sounds |= {
        f"{name} (copy)": spectral_hash(CHANGES["12 dB down"](SHORT[name])) for name in ("kick", "hum")
    }
    sounds["a kick"] = sounds["kick"]
    items = [(name, made) for name, made in sounds.items() if made]
    alike = {
        (a, b)
        for (a, x), (b, y) in itertools.combinations(sorted(items, key=lambda i: i[0]), 2)
        if compare(x, y)
    }
    random.Random(1).shuffle(items)
    found = {(pair.first, pair.second) for pair in find_pairs(items)}
    assert ("a kick", "kick") in found  # equal ones: each with the lowest id alone
    assert found == {pair for pair in alike if pair[0] != "kick"}
    matched = find_matches({"kick": dict(items)["kick"]}, items)
    assert {pair.second for pair in matched} == {"kick", "a kick", "kick (copy)"}
    assert find_matches({}, items) == find_pairs([]) == []
    with pytest.raises(ValueError, match="given twice"):
        find_pairs([items[0], items[0]])


@pytest.mark.slow
def test_no_made_near_misses_are_copies_and_their_copies_are_found() -> None:
    for name, sounds in near_misses().items():
        originals = {key: heard(audio) for key, audio in sounds.items()}
        assert find_alike(originals) == [], name
        for change in ("12 dB down", "MP3, 128 kbit/s", "0.5 s of silence before"):
            changed = {f"{key}!": heard(CHANGES[change](audio)) for key, audio in sounds.items()}
            found = found_in(changed, originals)
            assert {pair for pair in found if pair[0] != f"{pair[1]}!"} == set(), (name, change)
            assert len(found) >= 0.98 * len(sounds), (name, change)


@pytest.mark.slow
@pytest.mark.skipif(not EXCERPTS.exists(), reason="needs ../shared/data/freesound, which is not here")
@pytest.mark.parametrize("seconds", [1, 2, 3, 5])
def test_changed_copies_of_real_recordings_are_found_and_no_others(seconds: int) -> None:
    sounds = {}
    for path in sorted(EXCERPTS.glob("*.ogg")):
        audio, _ = soundfile.read(path, dtype="float32", always_2d=True, stop=seconds * RATE)
        if np.abs(audio).max() > 1e-3:  # some begin with more than a second of nothing
            sounds[path.stem] = np.repeat(audio[:, :1], 2, axis=1)
    originals = {key: heard(audio) for key, audio in sounds.items()}
    assert {(pair.first, pair.second) for pair in find_alike(originals)} <= TRUE_COPIES
    for change, apply in (CHANGES | LOST).items():
        found = found_in({key: heard(apply(audio)) for key, audio in sounds.items()}, originals)
        copies = {pair for pair in found if pair[0] == pair[1]}
        others = {(min(pair), max(pair)) for pair in found - copies}
        assert others <= TRUE_COPIES, change
        wanted = 0.97 if (change, seconds) == ("first 0.5 s lost", 1) else 0.98
        assert len(copies) >= wanted * len(sounds), (change, len(copies), len(sounds))
