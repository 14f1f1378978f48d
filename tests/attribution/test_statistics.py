"""statistics.json and statistics.html: counted right, of nobody's name, safe, and fit for a phone."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from sao_data.attribution.card import dataset_card
from sao_data.attribution.figures.columns import plot_of, plot_of_years
from sao_data.attribution.figures.overview import statistics_files
from sao_data.attribution.figures.tally import MOST_TAGS, Statistics, WordCount, statistics_of
from sao_data.measures import MeasuredClip
from tests.attribution.made_rows import dropped, info_of, kept

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HAS_DRIVER = importlib.util.find_spec("playwright") is not None
HOSTILE = "<script>alert(1)</script>"

CLIP = MeasuredClip(
    id="freesound:1",
    recording_id="freesound:1",
    clip=0,
    num_frames=44_100,
    recording_frames=44_100,
    kept=True,
    stage="",
    reason="",
    detail="",
    rendition="original",
    container="wav",
    codec="pcm_16",
    source_rate=48_000,
    source_channels=2,
    language="en",
    year="",
    tags=(),
    lufs=-20.0,
    loudness_range=None,
    peak_dbfs=-6.0,
    true_peak_dbfs=None,
    silence_share=0.0,
    bits=16,
    clipped_share=0.0,
    dc=(0.0,),
    bandwidth_hz=24_000,
    noise_floor_dbfs=None,
    silence_start=0.0,
    silence_end=0.0,
    balance_db=0.0,
    correlation=None,
    side_share=0.0,
    is_dual_mono=False,
    delay_ms=0.0,
)  # fmt: skip


def clip(number: int, part: int = 0, **changes: Any) -> MeasuredClip:
    key = f"freesound:{number}"
    name = f"{key}#{part}" if part else key
    return dataclasses.replace(CLIP, id=name, recording_id=key, clip=part, **changes)


ROWS = [
    kept(1, author="Mia Example", seconds=3.0, num_clips=2),
    kept(2, author="Bo", seconds=1.0),
    kept(3, author="Bo", seconds=1.0),
    dropped(4, author="Cyn", title=HOSTILE),
]
CLIPS = [
    clip(1, tags=("rain", "Mia Example", "Roof"), recording_frames=132_300, num_frames=88_200, year="1999"),
    clip(1, 1, tags=("rain", "Mia Example", "Roof"), recording_frames=132_300, lufs=-18.0, year="1999"),
    clip(2, tags=("rain", HOSTILE), lufs=-30.5, bandwidth_hz=None, language="", source_rate=44_100),
    clip(3, tags=("cyn",), lufs=None, year="soon", true_peak_dbfs=-1.5, silence_share=1.0, language="de"),
    clip(4, tags=("never",), kept=False, stage="curate", reason="too_quiet", detail="x"),
]


def made(rows: list[Any] = ROWS, clips: list[MeasuredClip] | None = CLIPS) -> dict[str, bytes]:
    return dict(statistics_files(info_of(rows), statistics_of(rows, clips)))


def words(found: tuple[WordCount, ...]) -> list[tuple[str, int, float]]:
    return [(each.word, each.recordings, each.seconds) for each in found]


def test_distributions_are_counted_as_by_hand() -> None:
    found = statistics_of(ROWS, CLIPS)
    assert words(found.sources) == [("freesound", 3, 5.0)]
    assert words(found.languages) == [("en", 1, 3.0), ("", 1, 1.0), ("de", 1, 1.0)]
    assert words(found.tags) == [("rain", 2, 4.0), ("roof", 1, 3.0), (HOSTILE, 1, 1.0)]  # no author's name
    assert words(found.years) == [("", 2, 2.0), ("1999", 1, 3.0)]
    assert words(found.source_rates) == [("48000", 2, 4.0), ("44100", 1, 1.0)]
    by_name = {each.name: each for each in found.distributions}
    loudness, duration, width = by_name["loudness"], by_name["duration"], by_name["bandwidth"]
    assert (loudness.count, loudness.without, loudness.median) == (3, 1, -20.0)
    assert [(b.low, b.high, b.count, b.seconds) for b in loudness.bins if b.count] == [
        (-32, -30, 1, 1.0),
        (-20, -18, 1, 2.0),
        (-18, -16, 1, 1.0),
    ]
    assert [(b.low, b.high, b.count) for b in duration.bins] == [(1, 2, 2), (2, 5, 1)]  # by recording
    assert [(b.low, b.high, b.count) for b in width.bins] == [(22, 24, 2)]
    peak, silence = by_name["true_peak"], by_name["silence_share"]
    assert [(b.low, b.count) for b in peak.bins if b.count] == [(-6, 3), (-2, 1)]
    assert [(b.low, b.count) for b in silence.bins if b.count] == [(0, 3), (95, 1)]
    assert "loudness_range" not in by_name


def test_nothing_depends_on_the_order_of_rows_and_the_json_has_all_numbers() -> None:
    first = made()
    rows, clips = ROWS[:], CLIPS[:]
    random.Random(0).shuffle(rows)
    random.Random(0).shuffle(clips)
    assert made(rows, clips) == first
    said = json.loads(first["statistics.json"])
    assert (said["offered"], said["kept"], said["rejected"]) == (4, 3, 1)
    assert said["rejected_by_reason"] == [["license_not_allowed", 1]]
    assert said["licenses"][0]["count"] == 3
    assert {each["name"] for each in said["distributions"]} == {
        "duration", "loudness", "true_peak", "silence_share", "bandwidth",
    }  # fmt: skip


def test_the_page_runs_nothing_names_nobody_and_says_every_number_in_words() -> None:
    page = made()["statistics.html"].decode()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r'\bsrc=|style="|https?://(?!creativecommons)', page)
    assert not [name for name in ("Mia", "Cyn", "never") if name in page]
    assert "<li>\N{MINUS SIGN}20 to \N{MINUS SIGN}18 LUFS: 1 clip, 2.0 s</li>" in page
    assert "half lie below \N{MINUS SIGN}20 LUFS" in page
    plots = re.findall(r"<svg [^>]*>", page)
    assert len(plots) > 8
    assert all(re.search(r'width="|viewBox="', each) for each in plots)
    labelled = [each for each in plots if 'role="img"' in each]
    assert all('aria-label="' in each for each in labelled)
    assert all('aria-hidden="true"' in each for each in plots if each not in labelled)


def test_a_dataset_without_measures_or_without_anything_has_its_page() -> None:
    older = made(clips=None)["statistics.html"].decode()
    assert "Made before measures were published" in older
    assert 'id="sound"' not in older
    empty = [dropped(4)]
    for clips in (None, [], [CLIPS[-1]]):
        assert b"From offered to kept" in made(empty, clips)["statistics.html"]


def test_many_words_and_years_are_shown_in_part() -> None:
    rows = [kept(n, seconds=1.0) for n in range(60)]
    clips = [clip(n, tags=(f"tag {n:02d}",), year=str(1900 + n), lufs=-70.0 - n) for n in range(60)]
    found = statistics_of(rows, clips)
    assert (len(found.tags), found.num_tags) == (MOST_TAGS, 60)
    years = plot_of_years(found.years)
    assert years is not None
    assert [column.said.split(":")[0] for column in years.columns][:2] == ["1900 to 1909", "1910 to 1919"]
    loudness = next(each for each in found.distributions if each.name == "loudness")
    assert plot_of(loudness).columns[0].said.startswith("below \N{MINUS SIGN}70 LUFS: 59 clips")
    assert plot_of_years([WordCount(word="", recordings=1, seconds=1.0)]) is None


def test_every_stretch_of_bins_can_be_drawn() -> None:
    values = (0.05, 0.3, 3.0, 45.0, 700.0, 9_000.0)
    for low, high in itertools.combinations_with_replacement(values, 2):
        ends = [
            clip(number, recording_frames=round(44_100 * value), lufs=-value, bandwidth_hz=int(value))
            for number, value in enumerate((low, high))
        ]
        for each in statistics_of([kept(0), kept(1)], ends).distributions:
            plot = plot_of(each)
            assert plot.labels, each
            assert len(plot.labels) <= 8
            assert max(column.height for column in plot.columns) <= 150


def test_the_card_has_the_chief_numbers() -> None:
    found: Statistics = statistics_of(ROWS, CLIPS)
    card = dataset_card(info_of(ROWS), found)
    section = card.split("## In numbers", 1)[1].split("\n## ", 1)[0]
    assert "| Loudness | −20 LUFS | −30.5 LUFS to −18 LUFS |" in section
    assert "statistics.html" in section
    assert not re.search(r"(?<!\\)<script", section)
    assert "## In numbers" not in dataset_card(info_of(ROWS))


@pytest.mark.slow
@pytest.mark.skipif(not HAS_DRIVER or CHROMIUM is None, reason="needs playwright and Chromium")
def test_a_browser_shows_it_at_every_width_and_in_the_dark(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    path = tmp_path / "statistics.html"
    rows = [kept(n, seconds=1.0, author=f"Author {n}") for n in range(60)]
    long = "x" * 60
    clips = [clip(n, tags=(f"{long}{n}", "y"), year=str(1960 + n), lufs=-1.0 * n) for n in range(60)]
    path.write_bytes(made(rows, clips)["statistics.html"])
    complaints: list[str] = []
    asked: list[str] = []
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on(
            "request", lambda request: complaints.append(request.url) if "file:" not in request.url else None
        )
        page.goto(path.as_uri())
        for width, scheme in ((400, "light"), (1280, "dark")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
            sizes = page.evaluate(
                """[...document.querySelectorAll('svg')].map(e => e.getBoundingClientRect()).map(
                    box => [box.width, box.height])"""
            )
            assert min(min(size) for size in sizes) > 8
            assert page.evaluate("getComputedStyle(document.querySelector('.column')).fill") != "rgb(0, 0, 0)"
            texts = page.evaluate(
                """[...document.querySelectorAll('.columns-plot')].map(plot => [...plot.querySelectorAll(
                    'text:not(.scale)')].map(e => (b => [b.left, b.right])(e.getBoundingClientRect())))"""
            )
            for labels in texts:  # no two labels run into each other
                assert all(a[1] <= b[0] for a, b in itertools.pairwise(labels))
        assert page.screenshot()
        browser.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith("file:")] == []
