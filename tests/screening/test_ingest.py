"""Screening as part of an ingest: what is music, who is asked, what becomes of hits, what is written down."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sao_data import manifest
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.verify import verify
from sao_data.errors import UsageError
from sao_data.execution.executor import LocalExecutor
from sao_data.ingest import run
from sao_data.records import CatalogueRow
from sao_data.screening import AuditRow
from sao_data.storage import layout, tables
from sao_data.storage.backend import LocalStorage
from tests.datasets_made import BY, Quiet, build, load, tone_wav, write_rows

KNOWN = "Blue Morning"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A song of 31 s, and two short sounds, one of them named like a known work."""
    path = tmp_path_factory.mktemp("screened")
    time = np.arange(31 * 8000) / 8000
    wave = 0.3 * np.sin(2 * np.pi * (220 + 30 * np.sin(2 * np.pi * 0.5 * time)) * time)
    soundfile.write(path / "song.wav", wave, 8000)
    (path / "bell.wav").write_bytes(tone_wav(880))
    (path / "known.wav").write_bytes(tone_wav(440))
    write_rows(
        path,
        [
            ["song.wav", "My long song", "Ana", BY, "", ""],
            ["bell.wav", "A small bell", "Bo", BY, "", ""],
            ["known.wav", f"{KNOWN} (Remastered 2011)", "The Larks", BY, "", ""],
        ],
    )
    return path


@pytest.fixture
def known_music(tmp_path: Path) -> Path:
    path = tmp_path / "known.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["track_name", "artists"], [KNOWN, "The Larks"], ["Other", "Nobody"]])
    return path


def catalogue(out: Path) -> dict[str, CatalogueRow]:
    return {row.id: row for row in open_dataset(str(out)).catalogue()}


def audit(out: Path) -> list[AuditRow]:
    return tables.read(LocalStorage(out), layout.SCREENING, AuditRow)


def screened(tmp: Path, folder: Path, *sets: str, out: str = "out") -> Path:
    build(load(tmp, folder, sets=sets), tmp / out)
    return tmp / out


def test_without_weights_nothing_is_pretended(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match='screening = "off"'):
        screened(tmp_path, folder, f"screening.folder={tmp_path}", "screening.provider=dry-run")
    assert not (tmp_path / "out").exists()


def test_screening_must_be_chosen(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    path = tmp_path / "m.toml"
    path.write_text(f'name = "made"\n[[source]]\nplugin = "folder"\npath = "{folder}"\n')
    with pytest.raises(UsageError, match="ast_audioset"):
        run.ingest(manifest.load(path), str(tmp_path / "out"), LocalExecutor(), Quiet())


def test_off_is_said_in_report_and_card(tmp_path: Path, folder: Path) -> None:
    out = screened(tmp_path, folder)
    assert "Copyright screening: none." in (out / "README.md").read_text()
    assert "Copyright screening: none." in (out / "attribution" / "index.html").read_text()
    assert not (out / layout.SCREENING).exists()


def test_a_dry_run_lists_music_and_asks_nobody(tmp_path: Path, folder: Path, weights: Path) -> None:
    out = screened(tmp_path, folder, "screening.provider=dry-run", f"screening.folder={weights}")
    (row,) = audit(out)
    assert (row.recording_id, row.status, row.num_hits) == ("folder:song-wav", "would_be_sent", 0)
    assert "fingerprint=" in row.what
    assert catalogue(out)["folder:song-wav"].kept
    assert "nobody was asked" in (out / "README.md").read_text()
    assert verify(open_dataset(str(out))) == []


def test_a_hit_waits_for_a_person_and_an_answer_lets_it_in(
    tmp_path: Path, folder: Path, known_music: Path
) -> None:
    sets = ("screening.provider=catalogue", f"screening.catalogue={known_music}")
    out = screened(tmp_path, folder, *sets)
    row = catalogue(out)["folder:known-wav"]
    assert (row.kept, row.stage, row.verdict, row.rule) == (False, "screen", "review", "screening_hit")
    assert "The Larks" in row.detail
    queue = (out / "reviews.csv").read_text()
    assert "folder:known-wav" in queue
    assert {sent.recording_id: sent.num_hits for sent in audit(out)}["folder:bell-wav"] == 0
    (out / "reviews.csv").write_text(
        queue.replace("folder:known-wav,,,,", "folder:known-wav,allow,Ana,today,")
    )
    screened(tmp_path, folder, *sets)
    row = catalogue(out)["folder:known-wav"]
    assert (row.kept, row.verdict, row.rule) == (True, "allow", "allowed_by_review")
    assert verify(open_dataset(str(out))) == []


def test_a_hit_may_be_dropped(tmp_path: Path, folder: Path, known_music: Path) -> None:
    out = screened(
        tmp_path,
        folder,
        "screening.provider=catalogue",
        f"screening.catalogue={known_music}",
        "screening.on_hit=drop",
    )
    row = catalogue(out)["folder:known-wav"]
    assert (row.kept, row.verdict, row.rule) == (False, "deny", "screening_hit")
    assert "folder:known-wav" not in (out / "reviews.csv").read_text()


def test_screening_a_finished_dataset_decodes_nothing_again(
    tmp_path: Path,
    folder: Path,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = screened(tmp_path, folder)
    monkeypatch.setattr("sao_data.audio.sandbox.Sandbox.normalise", None)
    screened(tmp_path, folder, "screening.provider=dry-run", f"screening.folder={weights}")
    assert [row.recording_id for row in audit(out)] == ["folder:song-wav"]
