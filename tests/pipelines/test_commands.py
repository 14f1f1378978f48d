"""The commands as a person calls them: exit codes, messages, what is left behind."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.datasets_made import BY, NC, manifest_text, tree, write_folder
from tests.paths import ROOT
from tests.warm import Warm

FOLDER = ["--manifest", "manifests/folder_example.toml"]
SMALL = ("source.0.count=12", "source.0.seconds=0.3")
STRICT = [part for field in (*SMALL, "limits.max_reject_share=0.1") for part in ("--set", field)]
SHARED = ROOT.parent / "shared" / "data"

INGEST = (ROOT / "pipelines" / "ingest.py", "--executor", "local")

Answer = subprocess.CompletedProcess[str]
Command = Callable[..., Answer]


def run(*arguments: str | Path) -> Answer:
    """A command from scratch, as a person calls it."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=600)


@pytest.fixture
def ingest(warm: Warm) -> Command:
    return partial(warm.ran, *INGEST)


@pytest.fixture
def sao(warm: Warm) -> Command:
    return partial(warm.ran, "-m", "sao_data")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, a manifest over it, and the dataset in out/."""
    tmp = tmp_path_factory.mktemp("commands")
    write_folder(tmp / "in", 6, licenses=(BY, BY, NC))
    (tmp / "made.toml").write_text(manifest_text(tmp / "in"))
    done = run(*INGEST, "--manifest", tmp / "made.toml", "--out", tmp / "out")
    assert done.returncode == 0, done.stderr
    return tmp


def test_the_box_adds_up_and_names_absolute_paths(made: Path, ingest: Command) -> None:
    again = ingest("--manifest", made / "made.toml", "--out", made / "out")
    assert again.returncode == 0
    for text in (
        "6  recordings offered",
        "4  kept:",
        "2  left out: license_not_allowed (decide)",
        "was complete already",
    ):
        assert text in again.stdout
    assert f"{made}/out/attribution/index.html" in again.stdout
    assert f"sao verify {made}/out" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--manifest", "nowhere.toml"], 2, "nowhere.toml: no such manifest"),
        (["--set", "cut.max_second=3"], 2, "unknown key 'max_second'; did you mean 'max_seconds'?"),
        (["--set", "source.0.count=many"], 2, "source.0: count: Input should be a valid integer"),
        (["--executor", "slurm"], 2, "invalid choice"),
        ([*FOLDER, "--set", "source.0.path=/no/such/folder"], 2, "/no/such/folder"),
        (["--limit", "-3"], 2, "limit -3"),
        ([*FOLDER, "--set", "source.0.path={tmp}", "--out", "{tmp}/none"], 7, "offer no recordings"),
        ([*STRICT, "--out", "{tmp}/o"], 3, "max_reject_share is 10.0%"),
    ],
)
def test_mistakes_end_with_their_code_and_a_way_out(
    tmp_path: Path, arguments: list[str], code: int, message: str, ingest: Command
) -> None:
    ended = ingest(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert (ended.returncode, message in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_dry_run_writes_nothing(made: Path, tmp_path: Path, ingest: Command) -> None:
    before = tree(made, work=True)
    new = ingest("--manifest", made / "made.toml", "--out", tmp_path / "new", "--dry-run")
    assert (new.returncode, (tmp_path / "new").exists()) == (0, False)
    assert "3 of 3 buckets (6 recordings) would be prepared" in new.stdout
    old = ingest("--manifest", made / "made.toml", "--out", made / "out", "--dry-run")
    assert "0 of 3 buckets (0 recordings) would be prepared" in old.stdout
    assert tree(made, work=True) == before


def test_limit_takes_the_first_of_each_source(made: Path, tmp_path: Path, ingest: Command) -> None:
    ended = ingest("--manifest", made / "made.toml", "--out", tmp_path / "few", "--limit", "2")
    assert "2  recordings offered" in ended.stdout


def test_accept_terms_without_terms_is_said(made: Path, ingest: Command) -> None:
    ended = ingest("--manifest", made / "made.toml", "--out", made / "out", "--accept-terms")
    assert "no source of made asks for terms" in ended.stderr


def test_a_relative_out_is_relative_to_the_working_directory(
    made: Path, tmp_path: Path, ingest: Command
) -> None:
    ended = ingest("--manifest", made / "made.toml", "--out", "here", cwd=tmp_path)
    assert (ended.returncode, (tmp_path / "here" / "dataset.json").exists()) == (0, True)


def test_verify_status_and_why(made: Path, sao: Command) -> None:
    out = made / "out"
    verified, status = run("-m", "sao_data", "verify", out), sao("status", out)
    assert verified.returncode == 0
    assert verified.stdout.startswith("OK made ")
    assert "4 of 6 recordings" in status.stdout
    assert "2 license_not_allowed" in status.stdout
    why = sao("why", out, "folder:tone-002-wav")
    assert "left out by decide: license_not_allowed" in why.stdout
    unknown = sao("why", out, "folder:nobody")
    assert (unknown.returncode, "was never offered" in unknown.stderr) == (7, True)
    nowhere = sao("verify", made / "in")
    assert (nowhere.returncode, "no dataset here" in nowhere.stderr) == (2, True)


def test_verify_ends_with_1_and_names_the_damage(made: Path, tmp_path: Path, sao: Command) -> None:
    import shutil

    shutil.copytree(made / "out", tmp_path / "out")
    shard = next((tmp_path / "out" / "shards").glob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:-1])
    damaged = sao("verify", tmp_path / "out")
    assert (damaged.returncode, shard.name in damaged.stdout) == (1, True)


def test_report_writes_a_page_and_tables(made: Path, tmp_path: Path, warm: Warm) -> None:
    ended = warm.ran(ROOT / "pipelines" / "report.py", "--data", made / "out", "--out", tmp_path / "report")
    assert ended.returncode == 0, ended.stderr
    assert "4 works by" in ended.stdout
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"index.html", "ATTRIBUTION.md", "attribution.csv", "attribution.json", "dropped.csv"} <= names
    missing = warm.ran(ROOT / "pipelines" / "report.py", "--data", tmp_path / "no", "--out", tmp_path / "x")
    assert (missing.returncode, "no dataset here" in missing.stderr) == (2, True)


def test_doctor_finds_this_machine_able(tmp_path: Path, sao: Command) -> None:
    ended = sao("doctor", "--out", tmp_path)
    for name in ("python", "torch", "decoders", "disk", "ray"):
        assert any(line.split()[1] == name for line in ended.stdout.splitlines() if line[:1] in "✓✗"), name
    failing = [line for line in ended.stdout.splitlines() if line.startswith("✗")]
    assert (ended.returncode == 1) == bool(failing)


def test_every_command_has_help_that_reads_well(sao: Command, warm: Warm) -> None:
    overview = sao("--help")
    for verb in ("demo", "doctor", "licence", "probe", "status", "verify", "why"):
        assert verb in overview.stdout
        text = sao(verb, "--help")
        assert text.returncode == 0
        assert len(text.stdout.splitlines()) >= 5
    assert "--dry-run" in warm.ran(ROOT / "pipelines" / "ingest.py", "--help").stdout


def test_terminal_escapes_in_titles_do_not_reach_the_terminal(
    tmp_path: Path, ingest: Command, sao: Command
) -> None:
    from tests.datasets_made import read_rows, write_rows

    folder = write_folder(tmp_path / "in", 1)
    write_rows(folder, [[row[0], "\x1b[31mred\x1b[0m", *row[2:]] for row in read_rows(folder)])
    (tmp_path / "made.toml").write_text(manifest_text(folder))
    assert ingest("--manifest", tmp_path / "made.toml", "--out", tmp_path / "out").returncode == 0
    shown = sao("why", tmp_path / "out", "folder:tone-000-wav").stdout
    assert "\x1b" not in shown
    assert "\\x1b[31mred" in shown


@pytest.mark.skipif(
    not (SHARED / "freesound").exists(), reason="needs ../shared/data/freesound, which is not here"
)
def test_189_of_the_190_real_recordings_are_allowed(tmp_path: Path, ingest: Command, sao: Command) -> None:
    out = tmp_path / "out"
    ended = ingest("--manifest", ROOT / "manifests" / "freesound_excerpts.toml", "--out", out)
    assert ended.returncode == 0, ended.stderr
    facts = json.loads((out / "dataset.json").read_text())
    assert (facts["counts"]["offered"], facts["counts"]["kept"]) == (190, 189)
    assert facts["rejected_by_reason"] == {"license_not_allowed": 1}
    assert "189 recordings whose uploader's wish about generative AI is not known" in ended.stdout
    assert sao("verify", out).returncode == 0


@pytest.mark.skipif(not (SHARED / "folder").exists(), reason="needs ../shared/data/folder, which is not here")
def test_the_example_folder_has_one_of_each_verdict(tmp_path: Path, ingest: Command) -> None:
    ended = ingest("--manifest", ROOT / "manifests" / "folder_example.toml", "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    facts = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert facts["rejected_by_reason"] == {"license_needs_review": 1, "license_not_allowed": 1}
    assert facts["counts"]["kept"] == 1
