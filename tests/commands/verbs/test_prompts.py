"""`sao prompts`: what is drawn, from which fields, what rules left out; for people and for machines."""

from __future__ import annotations

import argparse
import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sao_data.captions._cleaning.rule import MARKS
from sao_data.commands.verbs import prompts as verb
from sao_data.dataset.reader import open_dataset
from sao_data.errors import MatchedNothing
from sao_data.loading import prompt_survey, t5_length
from sao_data.loading.prompts import PromptConfig, choose_of, words_of
from sao_data.storage.shards import read_sample
from tests.datasets_made import CC0, build, load, tone_wav
from tests.streams_made import sample

PHONE, HOUSE, PLACE = "+44 20 7946 0958", "12 Rose Lane, Springfield, IL 62704", "51.5074, -0.1278"
ROWS = [
    (
        "rain.wav",
        "ZOOM0001_LR rain.wav",
        "Light rain on a tin roof, recorded with a Zoom H4n. Please credit me!",
        "",
    ),
    (
        "owl.wav",
        f"Owl, call {PHONE}",
        f"A tawny owl calls at night near {PLACE}. Write to {HOUSE}.",
        "owl,cc0",
    ),
    ("loop.wav", "untitled", "<p>Schlagzeug mit Besen, langsam und leise.</p> Enjoy!", "drums"),
    ("long.wav", "Words", "every word of a long description counts " * 25, ""),
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("prompts")
    folder = tmp / "in"
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "title", "author", "license", "description", "tags"])
        for n, (name, title, description, tags) in enumerate(ROWS):
            (folder / name).write_bytes(tone_wav(200 + 30 * n))
            table.writerow([name, title, "Ana", CC0, description, tags])
    build(load(tmp, folder), tmp / "out")
    return tmp / "out"


@pytest.fixture(autouse=True)
def _no_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that never fetched one."""
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)


def run(out: Path, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return verb.run(parser.parse_args([str(out), *arguments]))


def told(out: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(out, *arguments, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_one_recording_with_fields_draws_and_what_was_left_out(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(out, capsys, "folder:rain-wav")
    assert found["fields"] == [
        {"name": "title", "values": ["rain"], "provenance": "title"},
        {"name": "description", "values": ["Light rain on a tin roof"], "provenance": "description"},
    ]
    removed = {(item["field"], item["rule"]): item["text"] for item in found["left_out"]}
    assert removed["title", "recorder_name"] == "ZOOM0001 LR"
    assert removed["description", "credit"] == "Please credit me!"
    assert removed["description", "gear"] == "with a Zoom H4n"
    assert removed["description", "left_over"] == "recorded ."
    assert not any(mark in item["text"] for item in found["left_out"] for mark in MARKS)
    assert (found["language"], found["language_by"].split()[0]) == ("en", "py3langid")
    assert [draw["seed"] for draw in found["draws"]] == list(range(8))
    assert all(0 < draw["probability"] <= 0.25 and draw["num_tokens"] > 1 for draw in found["draws"])
    assert found["tokens_estimated"]
    assert run(out, "folder:rain-wav") == 0
    text = capsys.readouterr().out
    assert "description Light rain on a tin roof  (from description)\n" in text
    assert "left out    description: credit: 'Please credit me!'\n" in text
    assert "tokens (estimated)" in text


def test_the_dataset_in_numbers(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(out, capsys)
    assert (found["num_samples"], found["num_drawn"]) == (4, 16)
    assert found["fields"] == {"title": 3, "description": 4, "tags": 2}
    assert found["languages"] == {"en": 3, "de": 1}
    assert found["rules"]["no_name"] == found["rules"]["thanks"] == found["rules"]["tag_about_file"] == 1
    assert found["rules"]["phone"] == found["rules"]["coordinates"] == found["rules"]["postal_address"] == 1
    assert found["examples"]["no_name"] == [
        {"rule": "no_name", "field": "title", "text": "untitled", "id": "folder:loop-wav"}
    ]
    assert found["longest"][0][1] == "folder:long-wav"
    assert 0 < found["num_too_long"] < 4 <= found["longest"][0][0]
    assert run(out) == 0
    text = capsys.readouterr().out
    assert "field       description        4  100.0%\n" in text
    assert "rule        phone           took something from 1 recordings\n" in text


def test_personal_data_reach_neither_a_caption_in_a_shard_nor_a_prompt(out: Path) -> None:
    dataset = open_dataset(str(out))
    for row in dataset.samples():
        said = read_sample(dataset.storage, row)[1]
        captions = " ".join(
            [said["prompt"], said["description"], said["artist"], *said["tags"], *said["genres"]]
        )
        drawn = " ".join(
            value for _, values in words_of(sample(**said), PromptConfig()).drawable for value in values
        )
        for personal in ("7946", "0958", "Rose", "62704", "51.5074", "0.1278"):
            assert personal not in captions
            assert personal not in drawn
    owl = next(read_sample(dataset.storage, r)[1] for r in dataset.samples() if "owl" in r.recording_id)
    assert PHONE in owl["title"]  # which is credited as it stands
    assert PHONE in owl["credit"]


def test_probabilities_are_those_of_the_choices() -> None:
    """Of all prompts of a sample with a title and two tags, in any case: their probabilities sum to one."""
    words = words_of(sample(title="Rain", tags=["a", "b"]), PromptConfig())
    rng = np.random.default_rng(0)
    drawn = {choose_of(words, rng, PromptConfig()) for _ in range(2_000)}
    assert len(drawn) == 3 * (1 + 2 + 2 * 2)
    assert math.isclose(sum(each.probability for each in drawn), 1.0)


@pytest.mark.parametrize("name", ["folder:nowhere", "tone"])
def test_what_is_not_there_is_said(out: Path, name: str) -> None:
    with pytest.raises(MatchedNothing, match=name):
        run(out, name)


def test_a_builder_that_is_not_ours_is_not_run(out: Path) -> None:
    dataset = open_dataset(str(out))
    dataset.facts["manifest"]["caption"]["plugin"] = "somebody.captions"
    found = prompt_survey.of_dataset(dataset, t5_length.token_counter(), PromptConfig())
    assert not found.rules
    assert any("somebody.captions is not one of ours" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "most", "least"),  # t5-base makes 2, 11, 6 and 8 of them
    [
        ("rain", 3, 2),
        ("Drum loop at 120 bpm, with brushes", 15, 9),
        ("RAIN ON TIN", 9, 5),
        ("Шум леса", 13, 4),
    ],
)
def test_the_estimate_of_tokens(text: str, most: int, least: int) -> None:
    assert least <= t5_length.estimated(text) <= most
