"""A recording is found by whatever names it, several are listed, and near names are suggested."""

from __future__ import annotations

import argparse
import json

import pytest

from sao_data.commands.verbs import why
from sao_data.dataset import explain
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import MatchedNothing
from tests.datasets_made import BY, NC, build, load, tone_wav

ROWS = (
    ("rain.wav", BY, "Rain on a roof", "https://www.example.org/sounds/1/"),
    ("deep/7.wav", BY, "Drum", "https://example.org/sounds/7"),
    ("deep/rain.wav", NC, "Drum", "https://example.org/sounds/8"),
)
RAIN, SEVEN, DENIED = "folder:rain-wav", "folder:deep__7-wav", "folder:deep__rain-wav"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three recordings: one of a kind, and two of one title."""
    tmp = tmp_path_factory.mktemp("explain")
    (tmp / "in" / "deep").mkdir(parents=True)
    for n, (name, *_) in enumerate(ROWS):
        (tmp / "in" / name).write_bytes(tone_wav(200.0 + 50 * n))
    lines = ["file_name,license,title,author,url", *(",".join((n, c, t, "Ada", p)) for n, c, t, p in ROWS)]
    (tmp / "in" / "metadata.csv").write_text("\n".join(lines) + "\n")
    build(load(tmp, tmp / "in"), tmp / "out")
    return open_dataset(str(tmp / "out"))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (RAIN, [RAIN]),
        ("rain-wav", [RAIN]),  # the source's own id
        (f"{RAIN}#1", [RAIN]),  # as a rejection names a clip
        ("folder-rain-wav", [RAIN]),  # a sample
        ("folder-rain-wav-0001", [RAIN]),  # a further clip
        ("folder-rain-wav.flac", [RAIN]),  # a member of a shard
        ("train-000000/folder-rain-wav.json", [RAIN]),  # … unpacked
        ("Rain on a roof", [RAIN]),
        ("  rain ON a roof ", [RAIN]),
        ("https://www.example.org/sounds/1/", [RAIN]),
        ("http://example.org/sounds/1#comments", [RAIN]),
        ("example.org/sounds/7/", [SEVEN]),
        ("7.wav", [SEVEN]),
        ("/somewhere/else/7.wav", [SEVEN]),
        ("rain.wav", [DENIED, RAIN]),
        ("drum", [SEVEN, DENIED]),
    ],
)
def test_a_recording_is_found_by_what_names_it(dataset: Dataset, text: str, ids: list[str]) -> None:
    assert [row.id for row in explain.find(dataset, text)] == ids


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("folder:rain-vaw", f'near: {RAIN} "Rain on a roof"'),
        ("Rain on the roof", f'near: {RAIN} "Rain on a roof"'),
        ("roof", f'near: {RAIN} "Rain on a roof"'),
        ("https://example.org/sounds/77", f'{SEVEN} "Drum"'),
        ("freesound-1", "ids look like folder:"),
        ("", "ids look like folder:"),
        ("/", "ids look like folder:"),
        ("%", "ids look like folder:"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is_near(dataset: Dataset, text: str, near: str) -> None:
    with pytest.raises(MatchedNothing, match="was never offered") as caught:
        explain.find(dataset, text)
    assert near in str(caught.value)


def test_the_raw_row_is_that_of_the_recording(dataset: Dataset) -> None:
    (denied,) = explain.find(dataset, DENIED)
    assert (denied.stage, denied.reason) == ("decide", "license_not_allowed")
    assert json.loads(explain.raw_row(dataset, denied))["license"] == NC


def test_the_verb_lists_several_and_explains_one(
    dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(text: str) -> str:
        parser = argparse.ArgumentParser()
        why.add_arguments(parser)
        assert why.run(parser.parse_args([dataset.storage.url, text])) == 0
        return capsys.readouterr().out

    several = said("drum")
    assert several.startswith("2 recordings are called 'drum'; give one of these ids:\n")
    assert f'{DENIED}  "Drum" by Ada: left out by decide: license_not_allowed\n' in several
    one = said("7.wav")
    assert f"recording   {SEVEN}\n" in one
    assert "raw row     {" in one
