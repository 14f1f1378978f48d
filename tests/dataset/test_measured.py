"""The table of measures: what is in it, and that older datasets do without."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sao_data.dataset.commit import root_digest
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.dataset.verify import verify
from sao_data.measures import MeasuredClip, Measures, SourceMeasures
from sao_data.storage import layout
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
