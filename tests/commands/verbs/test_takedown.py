"""`sao takedown` and `sao credit`: what they show, what they do, and exit codes 0, 2, 4, 6 and 7."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import pytest

from sao_data.commands import common
from sao_data.commands.verbs import credit, status, takedown
from sao_data.dataset.reader import open_dataset
from sao_data.storage.backend import LocalStorage
from tests.sounds_made import Killed, Mortal, build, load, published, rows, sound, write_sounds

REASON = ("--reason", "author's request")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """in/ with 9 sounds of three people, out/ the dataset of them."""
    tmp = tmp_path_factory.mktemp("verbs")
    build(load(write_sounds(tmp / "in", [sound(n) for n in range(1, 10)])), tmp / "out")
    return tmp


@pytest.fixture
def out(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built / "out", tmp_path / "out")
    return tmp_path / "out"


def run(verb: object, *arguments: object) -> int:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)  # type: ignore[attr-defined]
    parsed = parser.parse_args([str(argument) for argument in arguments])
    return common.guard(lambda: int(verb.run(parsed)))  # type: ignore[attr-defined]


def test_it_shows_first_and_changes_nothing(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = published(out)
    assert run(takedown, out, "--author", "freesound:70", *REASON, "--checkpoints", out) == 0
    text = capsys.readouterr().out
    assert "works        2 kept, 1 merely listed\n" in text
    assert "audio        0.8 s in 2 samples" in text
    assert 'kept   freesound:6  "Sound 6" by ada (freesound:70), CC0-1.0' in text
    assert "evidence     3 raw rows" in text
    assert "checkpoints  0 saw them" in text
    assert text.endswith("nothing was changed; add --apply to do it\n")
    assert published(out) == before
    assert not (out / "takedowns.jsonl").exists()


def test_then_does_it_once(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = open_dataset(str(out)).facts["version"]
    for arguments in (("--author", "ada"), ("--author", "71"), ("--licence", "CC0")):
        assert run(takedown, out, *arguments, *REASON, "--apply") == 0
        text = capsys.readouterr().out
        new = open_dataset(str(out)).facts["version"]
        assert f"version      {old} → {new}" in text
        assert "taken down" in text
        assert "copies elsewhere" in text
        assert run(takedown, out, *arguments, *REASON, "--apply") == 0
        assert "already done" in capsys.readouterr().out
        assert open_dataset(str(out)).facts["version"] == new
        old = new


def test_what_was_killed_is_said_and_finished_first(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sao_data.revision.selection import Wanted
    from sao_data.revision.takedown import Request, apply, examine
    from tests.sounds_made import opened

    mortal = Mortal(LocalStorage(out), 9)
    request = Request(wanted=Wanted(ids=("freesound:1",)), reason="x", when="")
    dataset = opened(mortal)
    with pytest.raises(Killed):
        apply(dataset, request, examine(dataset, request))
    assert run(takedown, out, "--id", "freesound:1", *REASON) == 4
    said = capsys.readouterr().err
    assert "was begun here and not finished; run it again with --apply: it finishes" in said
    assert status.run(argparse.Namespace(dir=str(out))) == 0
    assert "not finished; run it again with --apply" in capsys.readouterr().out
    assert run(takedown, out, "--id", "freesound:1", *REASON, "--apply") == 0
    text = capsys.readouterr().out
    assert text.startswith("finished what was begun before: version ")
    assert "already done: 1 work taken down before" in text


def test_nothing_matched_is_exit_7_and_nothing_asked_exit_2(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(takedown, out, "--id", "freesound:10", *REASON, "--apply") == 7
    assert "near: freesound:1" in capsys.readouterr().err
    assert run(takedown, out, *REASON) == 2
    assert "give --author, --id or --licence" in capsys.readouterr().err
    assert run(takedown, out, "--id", "freesound:1") == 2
    assert "--reason is missing" in capsys.readouterr().err
    assert run(takedown, out, "--id", "freesound:1", "--reason", "from bo", "--apply") == 2 - 2  # two letters
    assert run(takedown, tmp_path / "nowhere", "--id", "a:1", *REASON, "--apply") == 2
    assert "no dataset here" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
    assert run(credit, out, "--as", "X") == 2
    assert run(credit, out, "--author", "nobody", "--as", "X", "--apply") == 7


def test_a_dataset_in_use_is_exit_6(out: Path) -> None:
    with LocalStorage(out).lock():
        assert run(takedown, out, "--id", "freesound:1", *REASON, "--apply") == 6
        assert run(takedown, out, "--id", "freesound:1", *REASON) == 0


def test_credit_only_withholds_the_name(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(out, tmp_path / "other")
    assert run(takedown, out, "--author", "ada", "--credit-only") == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert run(takedown, out, "--author", "ada", "--credit-only", "--apply") == 0
    text = capsys.readouterr().out
    assert "2 kept, 1 merely listed (to be credited to nobody)" in text
    assert rows(out)["freesound:6"].author.startswith("(credit withheld")
    assert rows(out)["freesound:6"].kept
    assert not (out / "takedowns.jsonl").exists()
    assert run(credit, tmp_path / "other", "--author", "ada", "--as", "withhold", "--apply") == 0
    assert published(out) == published(tmp_path / "other")


def test_another_name_is_credited_once(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(credit, out, "--id", "freesound-000000006", "--as", "Ada B.", "--apply") == 0
    assert "audio is byte for byte as it was" in capsys.readouterr().out
    assert rows(out)["freesound:6"].author == "Ada B."
    assert run(credit, out, "--id", "freesound:6", "--as", "Ada B.", "--apply") == 0
    assert "already done" in capsys.readouterr().out


def test_a_dataset_that_was_never_finished_is_served_too(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (out / "dataset.json").unlink()
    assert run(takedown, out, "--id", "freesound:6", *REASON) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert run(takedown, out, "--id", "freesound:6", *REASON, "--apply") == 0
    text = capsys.readouterr().out
    assert "not finished; 1 work listed" in text
    assert "run the ingest" in text
    assert run(credit, out, "--author", "bo", "--as", "Bob", "--apply") == 0
    assert "to be credited to 'Bob') by the next ingest" in capsys.readouterr().out
    assert (out / "credits.jsonl").read_text().count("\n") == 1
