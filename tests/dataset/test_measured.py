"""The table of measures: what is in it, that older datasets do without, and what `sao tune` says of it."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sao_data import plugins
from sao_data.commands.verbs import tune as verb
from sao_data.dataset.commit import root_digest
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.dataset.tuning import scales
from sao_data.dataset.verify import verify
from sao_data.errors import UsageError
from sao_data.measures import MeasuredClip, Measures, SourceMeasures
from sao_data.storage import layout
from sao_data.storage.shards import read_sample
from tests.datasets_made import CC0, build, load, write_rows
from tests.made import mp3_bytes, noise, silence, tone, wav_bytes
from tests.revision.test_takedown import asked, take

RAIN = "Light rain falls on the tin roof of a barn"
FILES = {
    "long": wav_bytes(noise(0, 5.0, 48_000), 48_000),  # three clips of two seconds at most
    "copy": mp3_bytes(tone(seconds=1.0)),
    "quiet": wav_bytes(noise(2, 1.0, level=1e-3)),
    "half": wav_bytes(np.concatenate([noise(3, 0.5), silence(2.5)])),  # its second clip is silent
    "short": wav_bytes(noise(4, 0.1)),
}
FILTERS = "[cut]\nmax_seconds = 2\n"
FILTERS += '[[filter]]\nplugin = "loudness"\nmin_lufs = -40.0\n\n[[filter]]\nplugin = "silence"\n'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("measured")
    folder = tmp / "in"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / f"{name}.wav").write_bytes(data)
    (folder / "again.wav").write_bytes(FILES["copy"])
    (folder / "broken.wav").write_bytes(b"RIFF")
    names = [*FILES, "again", "broken"]
    write_rows(
        folder,
        [
            [f"{n}.wav", f"{RAIN}, {n}", "Ada", CC0, f"https://example.org/{n}", "rain,tin-roof"]
            for n in names
        ],
    )
    build(load(tmp, folder, FILTERS), tmp / "out")
    return tmp / "out"


def named(dataset: Dataset) -> dict[str, MeasuredClip]:
    return {row.id.removeprefix("folder:"): row for row in dataset.measures()}


def older(out: Path) -> Dataset:
    """The dataset as a version wrote it that published no measures."""
    facts = json.loads((out / layout.DATASET).read_text())
    for name in (layout.MEASURES, layout.STATISTICS, layout.STATISTICS_PAGE):
        facts["files"].pop(name, None)
        (out / name).unlink(missing_ok=True)
    sealed = ("shards", "samples.", "catalogue.", "evidence/")
    files = {name: digest for name, digest in facts["files"].items() if name.startswith(sealed)}
    facts["root_digest"] = root_digest(files, facts["manifest"])
    facts["version"] = facts["root_digest"][:12]
    facts["tool"] = "sao 0.0.9"
    (out / layout.DATASET).write_text(json.dumps(facts))
    return open_dataset(str(out))


def test_every_clip_that_was_measured_has_a_row(built: Path) -> None:
    dataset = open_dataset(str(built))
    rows = named(dataset)
    ends = {key: (row.stage, row.reason) for key, row in rows.items()}
    copies = [ends.pop("copy-wav"), ends.pop("again-wav")]
    assert sorted(copies) == [("", ""), ("dedupe", "duplicate_audio")]
    assert ends == {
        "long-wav": ("", ""),
        "long-wav#1": ("", ""),
        "long-wav#2": ("", ""),
        "quiet-wav": ("curate", "too_quiet"),
        "half-wav": ("", ""),
        "half-wav#1": ("curate", "silent"),
        "short-wav": ("curate", "too_short"),
    }
    assert list(rows) == sorted(rows)
    assert [rows[key].num_frames for key in ("long-wav", "long-wav#2", "short-wav")] == [
        88_200,
        44_100,
        4_410,
    ]
    assert {row.kept: row.detail == "" for row in rows.values()} == {True: True, False: False}
    long, copy, half = rows["long-wav#1"], rows["copy-wav"], rows["half-wav#1"]
    assert (long.source_rate, long.source_channels, long.codec, long.rendition) == (
        48_000,
        2,
        "pcm_16",
        "original",
    )
    assert (long.recording_frames, copy.container, copy.codec) == (220_500, "mp3", "mp3")
    assert (half.lufs, half.peak_dbfs, half.silence_share, half.silence_end) == (None, None, 1.0, 2.5)
    assert {(row.language, row.tags) for row in rows.values()} == {("en", ("rain", "tin roof"))}
    assert verify(dataset) == []


def test_the_row_has_every_measure() -> None:
    there = {field.name: field.type for field in dataclasses.fields(MeasuredClip)}
    for cls in (Measures, SourceMeasures):
        assert {f.name: f.type for f in dataclasses.fields(cls)}.items() <= there.items()


def test_a_dataset_of_an_earlier_version_is_read_verified_and_rewritten(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "out")
    dataset = older(tmp_path / "out")
    with pytest.raises(UsageError, match=r"made before measures were published .* run its ingest again"):
        tuned(tmp_path / "out")
    assert list(dataset.measures()) == []
    assert verify(dataset) == []
    assert take(dataset.storage, asked(ids=("folder:long-wav",))) is not None
    dataset = open_dataset(str(tmp_path / "out"))
    assert not dataset.has_measures
    assert verify(dataset) == []


def test_a_take_down_leaves_no_row(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "out")
    assert take(open_dataset(str(tmp_path / "out")).storage, asked(ids=("folder:long-wav",))) is not None
    dataset = open_dataset(str(tmp_path / "out"))
    gone = named(open_dataset(str(built))).keys() - named(dataset).keys()
    assert gone == {"long-wav", "long-wav#1", "long-wav#2"}
    assert verify(dataset) == []


def tuned(out: Path, *arguments: str) -> tuple[int, str]:
    """`sao tune`, with what it printed."""
    parser, said = argparse.ArgumentParser(), io.StringIO()
    verb.add_arguments(parser)
    with contextlib.redirect_stdout(said):
        code = verb.run(parser.parse_args([str(out), *arguments]))
    return code, said.getvalue()


def test_thresholds_are_weighed_over_all_that_was_measured(built: Path) -> None:
    code, text = tuned(built, "--json")
    found = json.loads(text)
    knobs = {(knob["filter"], knob["field"]): knob for knob in found["knobs"]}
    assert (code, found["num_clips"], found["num_kept"]) == (0, 9, 5)
    assert {name for name, _ in knobs} == set(plugins.names("filters")) - {"tags", "language"}
    # lengths: 2, 2, 1 (long), 1, 1 (copy and again), 1 (quiet), 2, 1 (half), 0.1 s (short)
    least = knobs["min_seconds", "seconds"]
    assert (least["configured"], least["default"], least["num_clips"], least["near"]) == ([0.3], 0.5, 9, 0.3)
    dropped = {t["threshold"]: (t["num_dropped"], t["num_kept_dropped"]) for t in least["tried"]}
    assert dropped[0.3] == dropped[0.5] == dropped[1.0] == (1, 0)
    assert dropped[2.0] == (6, 2)
    assert sum(bar["num_clips"] for bar in least["bars"]) == 9
    assert [clip["id"] for clip in least["just_dropped"]] == ["folder:short-wav"]
    assert len({clip["id"].split("#")[0] for clip in least["just_kept"]}) == len(least["just_kept"]) == 5
    assert least["just_dropped"][0] == {
        "id": "folder:short-wav", "title": f"{RAIN}, short", "value": 0.1, "page": "https://example.org/short",
        "is_kept": False,
    }  # fmt: skip
    quiet = knobs["loudness", "min_lufs"]
    assert (quiet["configured"], quiet["num_without"]) == ([-40.0], 2)  # too short, and silent
    assert [clip["id"] for clip in quiet["just_dropped"]] == ["folder:quiet-wav"]
    words = {item["filter"]: item["words"] for item in found["words"]}
    assert [(w["word"], w["num_clips"], w["num_kept"]) for w in words["language"]] == [("en", 9, 5)]
    assert [(w["word"], w["seconds"]) for w in words["tags"]] == [("rain", 11.1), ("tin roof", 11.1)]


def test_one_filter_is_shown_and_another_packages_is_run_if_it_is_named(built: Path) -> None:
    code, text = tuned(built, "silence")
    assert (code, text.count("max_share"), text.count("min_seconds")) == (0, 1, 0)
    assert "█" in text
    assert "configured" in text
    assert tuned(built, "sao_data.filters.clipping")[1].count("clipping.max_share") == 1
    with pytest.raises(UsageError, match="has neither KNOBS nor categories"):
        tuned(built, "sao_data.captions.metadata")
    with pytest.raises(UsageError, match="did you mean 'loudness'"):
        tuned(built, "loudnes")


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(-41.5, -1.0, [-45.0, -40.0]), (0.0, 1.0, [0.0, 0.1]), (4_000, 22_000, [4000, 6000]), (3.0, 3.0, [3.0])],
)
def test_scales_are_round(low: float, high: float, wanted: list[float]) -> None:
    found = scales.linear(low, high, 16)
    assert found[: len(wanted)] == wanted
    assert found[0] <= low
    assert found[-1] >= high
    assert len(found) <= 18
    assert scales.decades(0.003, 0.9, 16) == [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    assert scales.decades(0.1, 600.0, 5)[-1] == 1000.0


def test_a_filter_judges_the_language_that_samples_state(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    titles = {"en": RAIN, "de": "Leichter Regen fällt auf das Blechdach der Scheune", "xx": "Rain 02"}
    for n, name in enumerate(titles):
        (folder / f"{name}.wav").write_bytes(wav_bytes(noise(n, 0.5)))
    rest = ("Ada", CC0, "https://example.org/", "")
    write_rows(folder, [[f"{name}.wav", title, *rest] for name, title in titles.items()])
    words = '[[filter]]\nplugin = "language"\nkeep = ["de"]\n'
    for chosen, ends in (
        ("", {"en": "other_language", "de": "", "xx": ""}),
        ("keep_unknown = false\n", {"en": "other_language", "de": "", "xx": "unknown_language"}),
    ):
        build(load(tmp_path, folder, words + chosen), tmp_path / "out")
        dataset = open_dataset(str(tmp_path / "out"))
        assert {key[:2]: row.reason for key, row in named(dataset).items()} == ends
        told = {key[:2]: row.language for key, row in named(dataset).items()}
        assert told == {"en": "en", "de": "de", "xx": ""}
        assert verify(dataset) == []


def test_timing_ends_where_the_sound_does_if_zeros_are_trimmed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "half.wav").write_bytes(FILES["half"])
    write_rows(folder, [["half.wav", "Half", "Ada", CC0, "https://example.org/", ""]])
    said = []
    for trims in ("false", "true"):
        build(load(tmp_path, folder, f"[cut]\ntrim_trailing_silence = {trims}\n"), tmp_path / "out")
        dataset = open_dataset(str(tmp_path / "out"))
        _, sample = read_sample(dataset.storage, next(dataset.samples()))
        (row,) = dataset.measures()
        assert row.silence_end == 2.5  # of the file as it came
        assert row.recording_frames == sample["recording_frames"] == sample["num_frames"]
        said.append((sample["recording_frames"], sample["seconds_total"]))
    assert said == [(132_300, 3), (22_050, 1)]
