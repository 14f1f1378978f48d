"""Filters: one test per reason, one that passes, and the contract for every filter in the folder."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from sao_data import plugins
from sao_data.errors import UsageError
from sao_data.filters import (
    bandwidth,
    channel_faults,
    clipping,
    language,
    loudness,
    max_seconds,
    min_seconds,
    silence,
    speech,
    tags,
)
from sao_data.measures import Measures, SourceMeasures
from sao_data.plugins import Knob
from sao_data.records import AudioFile, CaptionField, Clip, Recording

SOURCE = SourceMeasures(
    bits=16, clipped_share=0.0, dc=(0.0, 0.0), bandwidth_hz=22_050, noise_floor_dbfs=-70.0, silence_start=0.0,
    silence_end=0.0, balance_db=0.3, correlation=0.6, side_share=0.2, is_dual_mono=False, delay_ms=0.0,
)  # fmt: skip
RECORDING = Recording(id="made:1", source="made")


def clip(
    *,
    num_frames: int = 44_100,
    lufs: float | None = -20.0,
    peak: float | None = -3.0,
    silent: float = 0.0,
    spoken: float | None = None,
    **source: Any,
) -> Clip:
    return Clip(
        recording_id="made:1",
        number=0,
        start_frame=0,
        num_frames=num_frames,
        recording_frames=num_frames,
        audio=AudioFile(recording_id="made:1", sha256="", num_bytes=1),
        measures=Measures(
            lufs=lufs,
            loudness_range=None,
            peak_dbfs=peak,
            true_peak_dbfs=None,
            silence_share=silent,
            speech_share=spoken,
        ),
        source=dataclasses.replace(SOURCE, **source),
        changes=(),
        audio_sha256="",
        flac_sha256="",
        flac_bytes=1,
        blob_offset=0,
    )


@pytest.mark.parametrize("name", plugins.names("filters"))
def test_every_filter_builds_pickles_and_keeps_an_ordinary_clip(name: str) -> None:
    module = plugins.load("filters", name)
    built = pickle.loads(pickle.dumps(module.build(module.Config())))
    assert built.check(clip(), RECORDING) is None


def test_too_short() -> None:
    check = min_seconds.build(min_seconds.Config(seconds=0.5)).check
    assert check(clip(num_frames=22_050), RECORDING) is None
    assert check(clip(num_frames=22_049), RECORDING) == (
        "too_short",
        "measured 0.500 s (22049 frames) < 0.5 s (22050 frames)",
    )


def test_too_long() -> None:
    check = max_seconds.build(max_seconds.Config(seconds=2)).check
    assert check(clip(num_frames=88_200), RECORDING) is None
    assert check(clip(num_frames=88_201), RECORDING) == (
        "too_long",
        "measured 2.000 s (88201 frames) > 2 s (88200 frames)",
    )


def test_too_silent() -> None:
    check = silence.build(silence.Config(max_share=0.9)).check
    assert check(clip(silent=0.9), RECORDING) is None
    assert check(clip(silent=0.95), RECORDING) == (
        "too_silent",
        "measured 0.950 > 0.9 of 10 ms blocks below -60 dBFS",
    )


def test_silent() -> None:
    check = silence.build(silence.Config(max_share=1.0)).check
    assert check(clip(silent=1.0, peak=None, lufs=None), RECORDING) == ("silent", "measured no signal")
    assert check(clip(silent=1.0, peak=-71.5), RECORDING) == (
        "silent",
        "measured peak -71.50 < -60 dBFS throughout",
    )


def test_speech() -> None:
    check = speech.build(speech.Config(max_share=0.2)).check
    assert check(clip(spoken=0.2), RECORDING) is None
    assert check(clip(spoken=None), RECORDING) is None  # a manifest with this filter has it measured
    assert check(clip(spoken=0.85), RECORDING) == (
        "speech",
        "measured 0.850 > 0.2 of 32 ms windows with speech",
    )


def test_clipped() -> None:
    check = clipping.build(clipping.Config(max_share=0.01)).check
    assert check(clip(clipped_share=0.01), RECORDING) is None
    assert check(clip(clipped_share=0.02), RECORDING) == (
        "clipped",
        "measured 0.020 > 0.01 of samples on plateaus",
    )


def test_too_quiet_and_too_loud() -> None:
    check = loudness.build(loudness.Config(min_lufs=-40.0, max_lufs=-6.0)).check
    assert check(clip(lufs=-40.0), RECORDING) is None
    assert check(clip(lufs=-6.0), RECORDING) is None
    assert check(clip(lufs=-40.01), RECORDING) == ("too_quiet", "measured -40.01 < -40 LUFS")
    assert check(clip(lufs=-5.5), RECORDING) == ("too_loud", "measured -5.50 > -6 LUFS")


def test_unknown_loudness_passes() -> None:
    assert loudness.build(loudness.Config()).check(clip(lufs=None), RECORDING) is None


def test_narrow_band() -> None:
    check = bandwidth.build(bandwidth.Config(min_hz=15_000)).check
    assert check(clip(bandwidth_hz=15_000), RECORDING) is None
    assert check(clip(bandwidth_hz=None), RECORDING) is None  # silence is another filter's
    assert check(clip(bandwidth_hz=11_025), RECORDING) == ("narrow_band", "measured 11025 < 15000 Hz")


@pytest.mark.parametrize(
    ("source", "reason", "detail"),
    [
        ({"balance_db": -52.5}, "dead_channel", "measured 52.50 > 40 dB between the channels"),
        ({"correlation": -0.998}, "inverted_channel", "measured correlation -0.998 < -0.6"),
        ({"delay_ms": -0.25}, "delayed_channel", "measured 0.25 > 0 ms between equal channels"),
        ({"is_dual_mono": True}, "dual_mono", "measured equal channels"),
    ],
)
def test_channel_faults(source, reason, detail) -> None:
    check = channel_faults.build(channel_faults.Config(keep_dual_mono=False)).check
    assert check(clip(**source), RECORDING) == (reason, detail)


def test_sound_channels_and_mono_have_no_fault() -> None:
    check = channel_faults.build(channel_faults.Config()).check
    assert check(clip(is_dual_mono=True, correlation=1.0), RECORDING) is None
    assert check(clip(correlation=None, balance_db=0.0), RECORDING) is None
    assert check(clip(balance_db=40.0, correlation=-0.6), RECORDING) is None


TAGGED = dataclasses.replace(RECORDING, tags=("Field-Recording", "SPEECH", "rain"))


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, None),
        ({"drop_any": ("speech",)}, ("unwanted_tag", "tagged 'SPEECH', which is in drop_any")),
        (
            {"drop_any": ("field recording",)},
            ("unwanted_tag", "tagged 'Field-Recording', which is in drop_any"),
        ),
        ({"drop_any": ("recording", "voice")}, None),
        ({"keep_any": ("thunder", "Rain")}, None),
        (
            {"keep_any": ("thunder", "wind")},
            ("no_wanted_tag", "none of its 3 tags is one of the 2 in keep_any"),
        ),
        (
            {"keep_any": ("rain",), "drop_any": ("speech",)},
            ("unwanted_tag", "tagged 'SPEECH', which is in drop_any"),
        ),
    ],
)
def test_tags(config, found) -> None:
    assert tags.build(tags.Config(**config)).check(clip(), TAGGED) == found


@pytest.mark.parametrize(
    ("told", "config", "found"),
    [
        ("en", {}, None),
        ("de", {"keep": ("en", "de")}, None),
        ("de", {}, ("other_language", "told 'de', want en")),
        ("", {}, None),
        ("", {"keep_unknown": False}, ("unknown_language", "its words are too few to tell their language")),
    ],
)
def test_language(told, config, found) -> None:
    title = CaptionField(name="title", values=("A",), provenance="title")
    fields = (title, CaptionField(name="language", values=(told,), provenance="x")) if told else (title,)
    assert language.build(language.Config(**config)).check(clip(), RECORDING, fields) == found


@pytest.mark.parametrize(
    "name", [n for n in plugins.names("filters") if hasattr(plugins.load("filters", n), "KNOBS")]
)
def test_a_knob_says_what_its_filter_does(name: str) -> None:
    """At a threshold that is the measured value the clip is kept; just beyond it is not."""
    module = plugins.load("filters", name)
    for knob in module.KNOBS:
        some = clip(silent=0.5, spoken=0.4, clipped_share=0.25, delay_ms=-2.0, balance_db=3.0)
        value = knob.value(some, RECORDING)
        beyond = 0.01 * max(1, abs(value)) * (1 if knob.keeps == "at least" else -1)
        for threshold, is_kept in ((value, True), (value + beyond, False)):
            field = next(f for f in dataclasses.fields(module.Config) if f.name == knob.field)
            given = round(threshold) if field.type == "int" else threshold
            others = {"max_delay_ms": 9.0} if name == "channel_faults" else {}
            config = module.Config(**(others | {knob.field: given}))
            assert (module.build(config).check(some, RECORDING) is None) == is_kept, (knob.field, given)
    assert all(isinstance(knob, Knob) for knob in module.KNOBS)


@pytest.mark.parametrize(
    ("module", "wrong"),
    [
        (tags, {"drop_any": ("rain", " - ")}),
        (tags, {"keep_any": ("Rain",), "drop_any": ("rain",)}),
        (language, {"keep": ()}),
        (language, {"keep": ("english",)}),
        (bandwidth, {"min_hz": 0}),
        (speech, {"max_share": 1.5}),
        (channel_faults, {"max_imbalance_db": 0.0}),
        (channel_faults, {"min_correlation": -1.5}),
    ],
)
def test_settings_without_sense_are_refused(module, wrong) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        module.Config(**wrong)
