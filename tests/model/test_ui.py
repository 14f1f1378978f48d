"""The page's parts, without Gradio and without a browser."""

from __future__ import annotations

import argparse
import base64
import dataclasses
import importlib.util
import json
import logging
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest

from sao_data.errors import Stopped, UsageError
from sao_model import checkpoint, generation, making
from sao_model.model import StableAudioModel
from sao_model.sounds import reading
from sao_model.ui import address, cards, form, heard, history, regions
from sao_model.ui.maker import Maker, Update
from sao_model.verbs import ui as verb
from tests.datasets_made import tone_wav

TYPED: dict[str, Any] = {
    "prompt": "rain", "negative_prompt": " music ", "seconds": 0.1, "steps": 2, "cfg_scale": 3.0,
    "sampler": "dpmpp-2m", "seed": "7", "variations": 1, "way": form.VERSION, "strength": 0.5, "regions": "",
    "rescale": 0.7, "format": "wav", "bits": "24",
}  # fmt: skip
SHARD = {"name": "main-000000.tar", "sha256": "0" * 64, "num_samples": 9, "draws": 5}
RECORD = {
    "dataset": "open-sound", "version": "2", "root_digest": "a" * 64, "step": 1200,
    "shards": [SHARD | {"seen": base64.b64encode(bytes([0b101, 1])).decode()}],
    "pretrained": [
        {"part": "vae", "training_data": {
            "dataset": "older", "version": "1", "root_digest": "b" * 64, "step": 10, "shards": [],
            "pretrained": [{"part": "start", "training_data": None}]}},
        {"part": "text_encoder", "name": "t5-base"},
    ],
}  # fmt: skip


def write_wav(path: Path) -> None:
    path.write_bytes(tone_wav(440))


@pytest.mark.parametrize(
    ("text", "found", "again"),
    [
        ("", (), ""),
        ("1.0-2.5, 4-5", ((1.0, 2.5), (4.0, 5.0)), "1.00-2.50, 4.00-5.00"),
        ("4 – 5; .5 to 1 s", ((0.5, 1.0), (4.0, 5.0)), "0.50-1.00, 4.00-5.00"),
        ("1-3\n2-4, 4-4.5", ((1.0, 4.5),), "1.00-4.50"),
    ],
)
def test_regions_as_they_are_typed(text: str, found: regions.Regions, again: str) -> None:
    assert regions.parse(text) == found
    assert regions.text(found) == again
    assert regions.parse(again) == found


@pytest.mark.parametrize("text", ["1", "2-1", "1-1", "a-b", "-1-2", "1-2-3", "1-inf"])
def test_what_is_no_region(text: str) -> None:
    with pytest.raises(UsageError, match="is none; give seconds from and to"):
        regions.parse(text)


def test_what_is_typed_becomes_a_config_and_comes_back() -> None:
    config = form.config(TYPED, None, 10.0)
    assert (config.prompt, config.negative_prompt, config.seed, config.bits) == ("rain", "music", 7, "24")
    assert config.guidance.rescale == 0.7
    assert not config.edit.audio
    facts = {"seed": 7} | dataclasses.asdict(config)
    assert form.config(form.typed_again(facts), None, 10.0) == config
    assert form.config(TYPED | {"seed": " "}, None, 10.0).seed is not None


@pytest.mark.parametrize(
    ("typed", "edit", "seconds"),
    [
        ({"way": form.VERSION}, {"strength": 0.5}, 4.0),
        ({"way": form.REGIONS, "regions": "3-9"}, {"regions": ((3.0, 4.0),)}, 4.0),
        ({"way": form.BEHIND, "seconds": 6.0}, {"extend": True}, 6.0),
    ],
)
def test_a_sound_to_begin_with(typed: dict[str, Any], edit: dict[str, Any], seconds: float) -> None:
    original = form.OriginalSound(path=Path("/me.wav"), seconds=4.0)
    config = form.config(TYPED | typed, original, 10.0)
    assert config.edit == generation.Editing(audio="/me.wav", **edit)
    assert config.seconds == seconds
    again = form.typed_again({"seed": 7} | dataclasses.asdict(config))
    assert form.config(again, original, 10.0) == config


def test_of_a_sound_beyond_the_window_the_window_is_used() -> None:
    original = form.OriginalSound(path=Path("/me.wav"), seconds=40.0)
    assert form.config(TYPED, original, 10.0).seconds == 10.0


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"seed": "-1"}, "seed: '-1' is none"),
        ({"seed": "1.5"}, "whole number"),
        ({"steps": None}, "steps: empty; give a number"),
        ({"way": form.REGIONS}, "regions: none; drag"),
        ({"way": form.BEHIND, "seconds": 4.0}, "has 4.00 s already"),
    ],
)
def test_what_cannot_be_made(typed: dict[str, Any], says: str) -> None:
    original = form.OriginalSound(path=Path("/me.wav"), seconds=4.0)
    with pytest.raises(UsageError, match=says):
        form.config(TYPED | typed, original, 10.0)


def test_a_history_lies_in_its_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert history.newest(tmp_path / "not_there_yet", 9) == []
    asked = form.config(TYPED, None, 10.0)
    for path in (
        "001-a.wav",
        "010-b.flac",
        "1002-e.wav",
        "009-c/001-x.wav",
        "009-c/002-x.wav",
        "011-bad.wav",
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        write_wav(tmp_path / path)
        facts = {"prompt": path, "seed": 1, "seconds": 1.0, "steps": 1}
        generation.facts_path(tmp_path / path).write_text(json.dumps(facts))
    (tmp_path / "011-bad.json").write_text("{")
    (tmp_path / "012-without-a-sound.json").write_text("{}")
    with caplog.at_level(logging.WARNING):
        names = [made.name for made in history.newest(tmp_path, 9)]
    assert names == ["1002-e.wav", "010-b.flac", "009-c/001-x.wav", "009-c/002-x.wav", "001-a.wav"]
    assert "011-bad.json: does not say how" in caplog.text
    assert [made.name for made in history.newest(tmp_path, 2)] == names[:2]
    assert history.next_path(tmp_path, asked).name == "1003-rain.wav"
    several = dataclasses.replace(asked, variations=2)
    assert history.next_path(tmp_path, several).name == "1003-rain"


def test_names_lead_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "ui"
    folder.mkdir()
    write_wav(tmp_path / "001-other.wav")
    (folder / "001-a.json").write_text("{}")
    for name in ("../001-other.wav", str(tmp_path / "001-other.wav"), "001-a.json", "", "not.wav"):
        assert history.sound(folder, name) is None
        assert history.named(folder, name) is None


def test_originals_are_kept_once_by_content(tmp_path: Path) -> None:
    upload = tmp_path / "a * b?.wav"
    write_wav(upload)
    kept = history.keep_original(tmp_path / "ui", upload)
    assert kept.name.endswith("-a-b-.wav")
    assert kept.read_bytes() == upload.read_bytes()
    assert history.keep_original(tmp_path / "ui", upload.rename(tmp_path / "c.wav")) == kept
    digest = reading.read(kept, 44_100).sha256
    assert history.original(tmp_path / "ui", digest) == kept
    assert history.original(tmp_path / "ui", "f" * 64) is None
    assert history.original(tmp_path / "ui", "") is None


def test_what_was_heard_in_words(tmp_path: Path) -> None:
    (tmp_path / "training_data.json").write_text(json.dumps(RECORD))
    known = heard.heard(tmp_path)
    first, second = known.trainings
    assert (first.what, first.num_heard, first.num_samples, first.step) == ("the model", 3, 9, 1200)
    assert (second.what, second.dataset) == ("its vae", "older")
    assert [words.partition(": trained")[0] for words in known.not_covered] == [
        "vae: start",
        "text_encoder (t5-base)",
    ]
    shown = cards.heard(known)
    assert "3 of 9 samples" in shown
    assert f"pipelines/report.py --data DIR --checkpoint {tmp_path} --out REPORT" in shown
    assert "a" * 64 in shown


def test_a_model_without_a_record_is_not_covered(tmp_path: Path) -> None:
    known = heard.heard(tmp_path)
    assert not known.trainings
    assert "does not say what it was trained on" in cards.heard(known)


def test_a_report_says_what_it_is_about(tmp_path: Path) -> None:
    (tmp_path / "training_data.json").write_text(json.dumps(RECORD))
    report = tmp_path / "report"
    report.mkdir()
    with pytest.raises(UsageError, match="give a folder that pipelines"):
        heard.heard(tmp_path, report)
    (report / "index.html").write_text("")
    for root, remark in (("a" * 64, ""), ("c" * 64, "no record")):
        facts = {"kept": 1234, "num_authors": 5, "root_digest": root, "name": "open-sound", "version": "2"}
        (report / "summary.json").write_text(json.dumps(facts))
        said = heard.heard(tmp_path, report).report
        assert said
        assert said.words == "1,234 works by 5 named authors (open-sound 2)"
        assert remark in said.remark
        assert bool(remark) == bool(said.remark)
    (report / "summary.json").write_text("[]")
    with pytest.raises(UsageError, match="write the report again"):
        heard.heard(tmp_path, report)


def test_cards_escape_what_people_type() -> None:
    facts = {"prompt": "<script>'", "seed": 1, "seconds": 1.0, "steps": 2, "remarks": ["<b>"], "sha256": "ab"}
    shown = cards.sounds([history.MadeSound(name="001-a b.wav", facts=facts)], empty="")
    assert "<script>" not in shown
    assert "<b>" not in shown.replace('<b class="sao-seed">', "")
    assert "/sounds/001-a%20b.wav?v=ab" in shown
    assert cards.sounds([], empty="nothing & none").count("nothing &amp; none") == 1


def test_a_maker_makes_one_after_the_other(tiny: StableAudioModel, tmp_path: Path) -> None:
    checkpoint.save(tiny, tmp_path / "ckpt")
    maker = Maker(str(tmp_path / "ckpt"), tmp_path / "ui", device="cpu")
    config = form.config(TYPED, None, 1.0)
    for number in (1, 2):
        *_, last = maker.make("me", config)
        assert [job.path.name for job in last.jobs] == [f"{number:03d}-rain.wav"]
    *_, last = maker.make("me", dataclasses.replace(config, variations=2))
    assert {job.path.parent.name for job in last.jobs} == {"003-rain"}
    assert len(history.newest(tmp_path / "ui", 9)) == 4
    with pytest.raises(UsageError, match="prompt: empty"):
        list(maker.make("me", dataclasses.replace(config, prompt=" ")))
    maker.close()


def test_a_stop_ends_what_its_own_page_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generation that goes on until it is stopped; behind it another page's, which never begins."""
    (tmp_path / "ckpt").mkdir()
    maker = Maker(str(tmp_path / "ckpt"), tmp_path / "ui")
    maker._model = object()  # type: ignore[assignment]  # never used
    began = threading.Event()

    def endless(*arguments: Any, **_: Any) -> list[making.SoundJob]:
        watch = arguments[3]
        watch.start("generate", 1000, "steps")
        while True:
            began.set()
            watch.advance(1)

    monkeypatch.setattr(making, "generate", endless)
    config = form.config(TYPED, None, 1.0)
    first, second = maker.make("first", config), maker.make("second", config)
    assert isinstance(next(first), Update)
    assert next(second).words == "waiting for the sound before it"
    began.wait()
    maker.stop("nobody")
    maker.stop("second")
    assert next(first).words.startswith("step ")
    maker.stop("first")
    for listening in (first, second):
        with pytest.raises(Stopped, match="stopped"):
            list(listening)
    maker.close()
    assert not (tmp_path / "ui").exists()


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return parser.parse_args(arguments)


def test_usual_errors_come_before_gradio(
    tiny: StableAudioModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None)
    ckpt = tmp_path / "ckpt"
    checkpoint.save(tiny, ckpt)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for arguments, says in (
        ([str(tmp_path / "none")], "no such folder"),
        ([str(tmp_path / "empty")], "neither a checkpoint"),
        ([str(ckpt), "--device", "cuda:99"], "--device cpu"),
        ([str(ckpt), "--report", str(tmp_path / "empty")], "--report"),
        ([str(ckpt), "--out", str(tmp_path / "file")], "not a folder"),
        ([str(ckpt)], r"pip install 'sao\[ui\]'"),
    ):
        with pytest.raises(UsageError, match=says):
            verb.run(parsed(*arguments))
    assert not (tmp_path / "out").exists()


def test_a_port_is_free_or_that_is_said() -> None:
    with address.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert address.url(taken) == f"http://127.0.0.1:{port}"
        assert address.is_loopback(taken)
        with pytest.raises(UsageError, match=f"--port {port}: .*give another --port"):
            address.listen("127.0.0.1", port)
    with pytest.raises(UsageError, match="--port 70000: give 0"):
        address.listen("127.0.0.1", 70_000)
    with pytest.raises(UsageError, match="give another --port"):  # an address of nobody
        address.listen("203.0.113.1", 0)
    with address.listen("0.0.0.0", 0) as everywhere:
        assert not address.is_loopback(everywhere)


def test_without_a_password_a_wider_address_is_warned_of(
    tiny: StableAudioModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoint.save(tiny, tmp_path / "ckpt")
    served: list[bool] = []
    server = types.ModuleType("sao_model.ui.server")
    server.serve = lambda *arguments: served.append(arguments[3].close() is None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sao_model.ui.server", server)
    monkeypatch.setattr("sao_model.ui.server", server, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: name)
    for name in ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, "")
    for host in ("127.0.0.1", "0.0.0.0"):
        assert verb.run(parsed(str(tmp_path / "ckpt"), "--host", host, "--port", "0", "--out",
                               str(tmp_path / host))) == 0  # fmt: skip
        assert ("no password" in capsys.readouterr().err) == (host == "0.0.0.0")
    assert served == [True, True]


def test_help_brings_neither_torch_nor_gradio() -> None:
    code = "import sys, sao_model.verbs.ui; print({'torch', 'gradio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
