"""What a machine says of clips: marked, apart from what authors wrote, asked once, and only where wanted."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from sao_data.commands.verbs import prompts as verb
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.errors import UsageError
from sao_data.ingest import run
from sao_data.loading.prompts import PromptConfig, draw, drawable_fields
from sao_data.stages.heard.describe import DESCRIBE
from sao_data.storage import layout
from sao_data.storage.backend import LocalStorage
from sao_data.storage.shards import read_sample
from tests import tiny_captioner
from tests.datasets_made import CC0, Quiet, build, load, tone_wav, tree, write_folder, write_rows
from tests.made_plugins import parrot
from tests.revision.test_takedown import asked, take
from tests.streams_made import sample

PHONE = "+44 20 7946 0958"
ASKED = '[captioner]\nplugin = "tests.made_plugins.parrot"\n'
BY = "parrot, revision 1, weights sha256 00ff"


def tones(folder: Path, num: int = 3) -> Path:
    """Tones of Ada's; the last is too short for the manifest's filter."""
    folder.mkdir()
    for n in range(num):
        (folder / f"t{n}.wav").write_bytes(tone_wav(200 + 50 * n, 0.2 if n == num - 1 else 0.6))
    rows = [[f"t{n}.wav", f"Tone {n}", "Ada", CC0, f"https://example.org/{n}", "tone"] for n in range(num)]
    return write_rows(folder, rows)


def samples(out: Path) -> dict[str, dict[str, object]]:
    dataset = open_dataset(str(out))
    found = [read_sample(dataset.storage, row)[1] for row in dataset.samples()]
    return {str(said["id"]): said for said in found}


def shown(out: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    assert verb.run(parser.parse_args([str(out), *more])) == 0
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("described")
    build(load(tmp, tones(tmp / "in"), ASKED), tmp / "out")
    return tmp


def test_a_sample_carries_the_text_and_the_mark_and_its_prompt_neither(made: Path) -> None:
    found = samples(made / "out")
    assert {each["machine_caption"] for each in found.values()} == {"A tone at level 0.5"}
    assert {each["machine_caption_by"] for each in found.values()} == {BY}
    assert found["folder:t0-wav"]["prompt"] == "Tone 0. tone"
    assert found["folder:t0-wav"]["description"] == ""
    assert verify(open_dataset(str(made / "out"))) == []


def test_the_card_and_the_statistics_count_them(made: Path) -> None:
    card = (made / "out" / layout.CARD).read_text()
    assert "2 recordings (1.2 s) carry `machine_caption`, a text made by a machine" in card
    assert BY in card
    said = json.loads((made / "out" / layout.STATISTICS).read_text())
    assert [(each["word"], each["recordings"]) for each in said["machine_captions"]] == [(BY, 2)]


def test_sao_prompts_shows_it_apart_and_draws_none_of_it(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    text = shown(made / "out", capsys, "folder:t0-wav")
    assert f"machine     A tone at level 0.5  (made by a machine: {BY})\n" in text
    assert "drawn only where stream.prompt.machine_captions says so" in text
    assert "level" not in text.split("draws  ")[1]
    whole = shown(made / "out", capsys)
    assert f"100.0%  have a caption made by a machine: {BY}\n" in whole


def test_prompts_draw_from_it_only_where_the_config_says_so() -> None:
    said = dataclasses.replace(sample(title="Rain"), machine_caption="Water falls.", machine_caption_by=BY)
    assert "machine_caption" not in dict(drawable_fields(said, PromptConfig()))
    wanted = PromptConfig(machine_captions=True, upper=0, lower=0)
    assert dict(drawable_fields(said, wanted))["machine_caption"] == ("Water falls",)
    drawn = {draw(said, np.random.default_rng(seed), wanted) for seed in range(60)}
    assert any("Water falls" in text for text in drawn)
    music = dataclasses.replace(said, artist="Ana")
    typed = PromptConfig(machine_captions=True, typed=1, upper=0, lower=0)
    drawn = {draw(music, np.random.default_rng(seed), typed) for seed in range(60)}
    assert any("caption: Water falls" in text for text in drawn)
    assert not any("machine" in text for text in drawn)


def test_the_rules_for_personal_data_apply_and_nothing_left_bears_no_mark(tmp_path: Path) -> None:
    folder = tones(tmp_path / "in")
    for says, text in ((f"Rain on a roof, call {PHONE}.", "Rain on a roof"), ("https://example.org/x", "")):
        extra = f'{ASKED}says = "{says}"\n'
        build(load(tmp_path, folder, extra), tmp_path / "out")
        found = samples(tmp_path / "out").values()
        assert all(PHONE not in json.dumps(each) for each in found)
        assert {(each["machine_caption"].rstrip(".,"), each["machine_caption_by"]) for each in found} == {
            (text, BY if text else "")
        }


def test_nobody_is_asked_twice_of_the_same_audio_and_growing_equals_a_fresh_build(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 3)
    parrot.HEARD.clear()
    build(load(tmp_path, folder, ASKED, num_buckets=1), tmp_path / "out")
    assert parrot.HEARD == [9_600] * 3  # 0.6 s at 16 kHz
    build(load(tmp_path, folder, ASKED, num_buckets=1), tmp_path / "out")
    assert len(parrot.HEARD) == 3
    write_folder(folder, 2, first=3)
    build(load(tmp_path, folder, ASKED, num_buckets=1), tmp_path / "out")
    assert len(parrot.HEARD) == 5
    build(load(tmp_path, folder, ASKED, num_buckets=1), tmp_path / "fresh")
    assert tree(tmp_path / "fresh") == tree(tmp_path / "out")


def test_a_dataset_that_asks_no_machine_has_the_keys_and_nothing_in_them(tmp_path: Path) -> None:
    parrot.HEARD.clear()
    build(load(tmp_path, tones(tmp_path / "in")), tmp_path / "out")
    found = samples(tmp_path / "out").values()
    assert {(each["machine_caption"], each["machine_caption_by"]) for each in found} == {("", "")}
    assert parrot.HEARD == []
    assert "captioner" not in open_dataset(str(tmp_path / "out")).facts["manifest"]
    assert "made by a machine and not" not in (tmp_path / "out" / layout.CARD).read_text()


def test_without_weights_the_run_ends_before_work_and_a_dry_run_says_so(tmp_path: Path) -> None:
    chosen = load(tmp_path, tones(tmp_path / "in"), f'{ASKED}says = ""\n')
    with pytest.raises(UsageError, match=r"no weights here; leave out \[captioner\]"):
        build(chosen, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    said = run.dry_run(chosen, str(tmp_path / "out"), Quiet()).warnings
    assert "A run would stop here: captioner parrot: no weights here; leave out [captioner]" in said


def test_a_take_down_takes_the_words_of_the_machine_out(tmp_path: Path) -> None:
    build(load(tmp_path, tones(tmp_path / "in"), ASKED, num_buckets=1), tmp_path / "out")
    assert take(LocalStorage(tmp_path / "out"), asked(ids=("folder:t0-wav",))) is not None
    assert list(samples(tmp_path / "out")) == ["folder:t1-wav"]
    said = json.loads((tmp_path / "out" / layout.STATISTICS).read_text())
    assert [(each["word"], each["recordings"]) for each in said["machine_captions"]] == [(BY, 1)]
    parts = (tmp_path / "out" / layout.WORK / DESCRIBE).glob("*.parquet")
    assert not any(b"t0-wav" in path.read_bytes() for path in parts)


def test_the_captioner_that_ships_runs_in_a_dataset(tmp_path: Path) -> None:
    weights = tiny_captioner.qwen2_audio(tmp_path / "ears")
    table = '[captioner]\nplugin = "qwen2_audio"\nfolder = "ears"\ndtype = "float32"\nmax_tokens = 5\n'
    build(load(tmp_path, tones(tmp_path / "in"), table), tmp_path / "out")
    found = samples(tmp_path / "out")["folder:t0-wav"]
    assert set(str(found["machine_caption"]).split()) <= set(tiny_captioner.WORDS)
    assert str(found["machine_caption_by"]).startswith(f"{weights.name}, weights sha256 ")
    assert str(tmp_path) not in json.dumps(open_dataset(str(tmp_path / "out")).facts)
