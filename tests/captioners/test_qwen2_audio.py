"""The captioner Qwen2-Audio, with a tiny random model saved as the published one is."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from sao_data.captioners.qwen2_audio import Config, build
from sao_data.errors import UsageError
from tests import tiny_captioner
from tests.made import Floats, noise, tone

SMALL = {"dtype": "float32", "max_tokens": 8}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_captioner.qwen2_audio(tmp_path_factory.mktemp("qwen"))


def clips() -> list[Floats]:
    """Some of other lengths, one longer than it hears, one of a hundred samples."""
    some = [
        noise(seed, seconds, 16_000, channels=1)[:, 0] for seed, seconds in ((1, 1.0), (2, 3.0), (3, 31.0))
    ]
    return [*some, noise(4, 1.0, 16_000, channels=1)[:100, 0], tone(440, 2.0, 16_000)[:, 0]]


def test_words_follow_from_the_sound_alone_however_many_are_asked_at_once(weights: Path) -> None:
    one = build(Config(folder=str(weights), **SMALL))
    one.check()
    said = one.describe(clips())
    assert len(set(said)) > 1
    assert all(set(text.split()) <= set(tiny_captioner.WORDS) for text in said)
    assert [one.describe([clip])[0] for clip in reversed(clips())] == said[::-1]
    assert build(Config(folder=str(weights), batch_size=3, **SMALL)).describe(clips()) == said
    assert pickle.loads(pickle.dumps(one)).describe(clips()[:1]) == said[:1]


def test_what_lies_beyond_thirty_seconds_is_not_heard(weights: Path) -> None:
    long = clips()[2]
    other = np.concatenate([long[: 30 * 16_000], -long[30 * 16_000 :]])
    first, second = build(Config(folder=str(weights), **SMALL)).describe([long, other])
    assert first == second


def test_weights_in_several_files_say_the_same_under_another_digest(weights: Path, tmp_path: Path) -> None:
    whole = build(Config(folder=str(weights), **SMALL))
    several = build(Config(folder=str(tiny_captioner.qwen2_audio(tmp_path, shards=True)), **SMALL))
    several.check()
    assert several.describe(clips()[:2]) == whole.describe(clips()[:2])
    assert several.digest() != whole.digest()
    changed = tmp_path / sorted(path.name for path in tmp_path.glob("model-*"))[-1]
    before = build(Config(folder=str(tmp_path), **SMALL)).written_by
    changed.write_bytes(changed.read_bytes()[:-1] + b"\x01")
    assert build(Config(folder=str(tmp_path), **SMALL)).written_by != before


def test_the_mark_names_model_revision_and_weights(weights: Path) -> None:
    made = build(Config(folder=str(weights), **SMALL))
    name, digest = made.written_by.split(", weights sha256 ")
    assert (name, len(digest)) == (weights.name, 64)


def test_another_question_or_length_is_another_digest(weights: Path) -> None:
    made = [
        build(Config(folder=str(weights), **more)).digest()
        for more in ({}, {"max_tokens": 9}, {"question": "What is it?"}, {"dtype": "float32"})
    ]
    assert len(set(made)) == 4
    assert build(Config(folder=str(weights), device="cpu", batch_size=2)).digest() == made[0]


def test_weights_that_are_not_here_are_named_with_the_way_to_them_and_without(tmp_path: Path) -> None:
    for config, fetch in (
        (Config(model="org/ears", revision="v1"), "`hf download org/ears --revision v1`"),
        (Config(folder=str(tmp_path)), f"`hf download Qwen/Qwen2-Audio-7B-Instruct --local-dir {tmp_path}`"),
    ):
        with pytest.raises(UsageError) as caught:
            build(config).check()
        said = str(caught.value)
        assert "\n" not in said
        assert f"fetch them ({fetch}), or do without: leave out [captioner]" in said


def test_another_kind_of_model_is_refused(weights: Path, tmp_path: Path) -> None:
    for path in weights.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    said = json.loads((weights / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(said | {"model_type": "whisper"}))
    with pytest.raises(UsageError, match="a model of type 'whisper'; want 'qwen2_audio'"):
        build(Config(folder=str(tmp_path))).check()


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"max_tokens": 0}])
def test_settings_without_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Config(**wrong)
