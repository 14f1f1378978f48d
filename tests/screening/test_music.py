"""Seconds of music: windows, thresholds, lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from sao_data.errors import UsageError
from sao_data.screening import music
from sao_data.screening.config import Screening
from sao_data.screening.music import build_tagger, is_music, music_seconds, needs_tagging
from sao_data.screening.rows import Tagged
from tests.made import Floats, silence, tone

WINDOW = 1.0  # s: short windows keep the tests short
CLASSES = ("Music", "Piano")


class Loudness:
    """A tagger to whom loud is music: peak 0.2 is a probability of 0.2. The piano is a little less likely."""

    labels = ("Speech", "Piano", "Music")
    window_seconds = WINDOW

    def __init__(self) -> None:
        self.windows: list[Floats] = []

    def check(self) -> None:
        """Always ready."""

    def digest(self) -> str:
        """No weights."""
        return ""

    def tag(self, audio_NT: Floats) -> Floats:
        """Peaks as probabilities."""
        self.windows += list(audio_NT)
        peak = np.abs(audio_NT).max(axis=1)
        return np.stack([np.full_like(peak, 0.99), peak * 0.9, peak], axis=1).astype(np.float32)


def blocks(*parts: Floats, size: int = 10_000) -> Iterator[Floats]:
    audio = np.concatenate(parts)
    for start in range(0, len(audio), size):
        yield audio[start : start + size]


def tagged(*parts: Floats, threshold: float = 0.15) -> tuple[Tagged, Loudness]:
    tagger = Loudness()
    return music_seconds("made:1", blocks(*parts), tagger, CLASSES, threshold), tagger


def test_windows_over_the_threshold_count_and_others_do_not() -> None:
    found, tagger = tagged(tone(seconds=2), silence(1), tone(seconds=1), silence(2))
    assert found == Tagged(
        recording_id="made:1",
        seconds_tagged=6.0,
        music_seconds=3.0,
        top_class="Music",
        top_probability=pytest.approx(0.5, abs=0.01),
    )
    assert all(len(window) == 16_000 for window in tagger.windows)


def test_speech_is_not_music_however_likely() -> None:
    found, _ = tagged(silence(2))
    assert (found.music_seconds, found.top_class, found.top_probability) == (0.0, "", 0.0)


def test_the_last_window_is_padded_and_counts_with_its_real_length() -> None:
    found, tagger = tagged(tone(seconds=2.25))
    assert (found.seconds_tagged, found.music_seconds) == (2.25, 2.25)
    assert len(tagger.windows) == 3
    assert not tagger.windows[2][4_000:].any()
    assert tagger.windows[2][:3_990].any()


def test_more_windows_than_are_held_at_a_time() -> None:
    found, tagger = tagged(*[tone(seconds=1)] * 20, silence(0.5))
    assert len(tagger.windows) == 21
    assert (found.seconds_tagged, found.music_seconds) == (20.5, 20.0)


def test_the_size_of_blocks_changes_nothing() -> None:
    audio = tone(seconds=2.5)
    one = music_seconds("made:1", [audio], Loudness(), CLASSES, 0.15)
    other = music_seconds("made:1", blocks(audio, size=777), Loudness(), CLASSES, 0.15)
    assert one == other


def test_probabilities_are_rounded_before_the_threshold_looks() -> None:
    class Almost(Loudness):
        def tag(self, audio_NT: Floats) -> Floats:
            return np.full((len(audio_NT), 3), 0.14999, np.float32)

    found = music_seconds("made:1", blocks(tone(seconds=1)), Almost(), CLASSES, 0.15)
    assert (found.music_seconds, found.top_probability) == (1.0, 0.15)
    assert music_seconds("made:1", blocks(tone(seconds=1)), Almost(), CLASSES, 0.151).music_seconds == 0.0


def test_an_empty_recording_has_no_music() -> None:
    found = music_seconds("made:1", [], Loudness(), CLASSES, 0.15)
    assert (found.seconds_tagged, found.music_seconds) == (0.0, 0.0)


def test_a_tagger_without_the_classes_is_refused() -> None:
    with pytest.raises(UsageError, match="'Banjo'"):
        music_seconds("made:1", [], Loudness(), ("Banjo",), 0.15)


def test_thirty_seconds_are_music_and_less_is_not_worth_tagging() -> None:
    screening = Screening()
    row = Tagged(
        recording_id="made:1", seconds_tagged=60.0, music_seconds=30.0, top_class="", top_probability=0.0
    )
    assert is_music(row, screening)
    assert not is_music(replace(row, music_seconds=29.99), screening)
    assert needs_tagging(30.0, screening)
    assert not needs_tagging(29.99, screening)
    assert not needs_tagging(600.0, Screening(provider="catalogue"))


def test_the_tagger_gets_the_settings_that_are_set() -> None:
    tagger = build_tagger(Screening(folder="/weights", device="auto"))
    default = build_tagger(Screening())
    assert (tagger._config.folder, tagger._config.device) == ("/weights", "auto")  # type: ignore[attr-defined]
    assert tagger._config.model == default._config.model  # type: ignore[attr-defined]


def test_an_unknown_tagger_and_a_setting_without_effect_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="did you mean 'ast_audioset'"):
        build_tagger(Screening(tagger="ast_audiosett"))
    monkeypatch.setattr(music.plugins, "load", lambda kind, name, where: bare_module())
    with pytest.raises(UsageError, match=r"screening\.model: the tagger 'bare'"):
        build_tagger(Screening(tagger="bare", model="a/b"))
    with pytest.raises(UsageError, match="an embedder, but no tagger"):
        build_tagger(Screening(tagger="bare"))


def bare_module() -> object:
    """An embedder plugin without settings that cannot tag."""
    from dataclasses import dataclass

    @dataclass(frozen=True, slots=True, kw_only=True)
    class BareConfig:
        """Nothing to set."""

    class Module:
        Config = BareConfig

        @staticmethod
        def build(config: object) -> object:
            return object()

    return Module
