"""A training, a resume and a generation declare a release each; none gets one wider than the works allow."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from sao_data import config
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.dataset.release import Release
from sao_data.errors import IntegrityError, UsageError
from sao_data.storage import checksums
from sao_model import declared, generation, making, run, train_dit, train_vae
from tests.datasets_made import BY, SAMPLING, build, load, write_folder
from tests.training.test_training import TINY, Silent, dit_config, vae_config

PAPER = {"open_source": True, "freely_available": True, "commercial_use": False, "commercial_training": False}
SAMPLING_ONLY = [{"license_family": "SAMPLING+", "ai_preference": "", "reviewed": False, "works": 4}]
COMMERCIAL = {"commercial_use": True}
PACE = {"steps": 1, "save_every": 1}
NO_SAMPLING = {"window_frames": 2048, "series": ["train"]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Four works under CC BY in the series `train`, four under Sampling+ in their own; not commercial."""
    tmp = tmp_path_factory.mktemp("declared")
    build(load(tmp, write_folder(tmp / "in", 8, licenses=(BY, SAMPLING))), tmp / "out")
    return open_dataset(str(tmp / "out"))


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("preset") / "mini.toml"
    path.write_text(TINY)
    return str(path)


@pytest.fixture(scope="module")
def vae(dataset: Dataset, mini: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec trained on everything, as the paper releases it."""
    out = tmp_path_factory.mktemp("vae") / "run"
    return trained_vae(dataset, mini, out)


@pytest.fixture(scope="module")
def dit(dataset: Dataset, mini: str, vae: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of that codec; its own training drew no Sampling+ works."""
    return trained_dit(dataset, mini, vae, tmp_path_factory.mktemp("dit") / "run")


def trained_vae(dataset: Dataset, mini: str, out: Path, **changes: object) -> Path:
    asked = vae_config(mini, **{"pace": PACE} | changes)
    return train_vae.train(asked, dataset, out, resume="auto", progress=Silent())


def trained_dit(dataset: Dataset, mini: str, vae: Path, out: Path, **changes: object) -> Path:
    asked = dit_config(mini, **{"pace": PACE, "stream": {"series": ["train"]}} | changes)
    return train_dit.train(asked, dataset, str(vae), out, resume="auto", progress=Silent())


def record(checkpoint: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((checkpoint / "training_data.json").read_text())
    return data


def asked(**release: bool) -> generation.Config:
    table: config.Table = {"prompt": "x", "seconds": 0.01, "steps": 1, "device": "cpu", "release": release}
    return config.parse(generation.Config, table, where="test")


def test_a_checkpoint_says_its_release_and_what_its_works_ask(vae: Path, dit: Path) -> None:
    said = record(vae)
    assert (said["release"], said["dataset_release"], said["conditions"]) == (PAPER, PAPER, SAMPLING_ONLY)
    assert record(dit)["conditions"] == []  # it drew from `train` alone
    assert record(dit)["pretrained"][0]["training_data"]["conditions"] == SAMPLING_ONLY


def test_a_wider_training_is_refused_before_anything_is_made(
    dataset: Dataset, mini: str, vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sao_model.codec.Codec", None)  # no model may be built
    said = r"the training declares commercial_use = true .* 4 of its works .*: 4 under SAMPLING\+ .*folder:"
    with pytest.raises(UsageError, match=said):
        trained_vae(dataset, mini, tmp_path / "run", release=COMMERCIAL)
    with pytest.raises(UsageError, match=said):
        trained_dit(dataset, mini, vae, tmp_path / "run", stream={}, release=COMMERCIAL)
    assert not (tmp_path / "run").exists()


def test_a_wider_training_on_works_that_allow_it_is_recorded(
    dataset: Dataset, mini: str, tmp_path: Path
) -> None:
    made = trained_vae(dataset, mini, tmp_path / "run", release=COMMERCIAL, stream=NO_SAMPLING)
    assert record(made)["release"] == PAPER | COMMERCIAL
    assert record(made)["dataset_release"] == PAPER
    assert json.loads((tmp_path / "run" / "config.json").read_text())["release"] == PAPER | COMMERCIAL
    trained_dit(dataset, mini, made, tmp_path / "dit", release=COMMERCIAL)


def test_a_dit_is_held_to_the_works_of_its_codec_and_of_the_codec_before_it(
    dataset: Dataset, mini: str, vae: Path, tmp_path: Path
) -> None:
    said = r"the vae that it starts with \(made \w{12}\): the training declares commercial_use .*; 4 of"
    with pytest.raises(UsageError, match=said):
        trained_dit(dataset, mini, vae, tmp_path / "run", release=COMMERCIAL)
    second = {"start_from": str(vae), "freeze_encoder": True, "stream": NO_SAMPLING}
    stage_2 = trained_vae(dataset, mini, tmp_path / "stage-2", **second)
    with pytest.raises(UsageError, match=r"the vae that it starts with, its vae \(made \w+\): the training"):
        trained_dit(dataset, mini, stage_2, tmp_path / "run", release=COMMERCIAL)
    with pytest.raises(UsageError, match=r"the vae that it starts with \(made \w+\): the training"):
        trained_vae(dataset, mini, tmp_path / "run", **second, release=COMMERCIAL)
    assert not (tmp_path / "run").exists()


def test_a_run_continues_with_a_narrower_release_and_not_with_a_wider_one(
    dataset: Dataset, mini: str, tmp_path: Path
) -> None:
    first = trained_vae(dataset, mini, tmp_path / "run", release=COMMERCIAL, stream=NO_SAMPLING)
    more = {"stream": NO_SAMPLING, "pace": {"steps": 2, "save_every": 1}}
    narrower = trained_vae(dataset, mini, tmp_path / "run", **more)
    assert (record(first)["release"], record(narrower)["release"]) == (PAPER | COMMERCIAL, PAPER)
    with pytest.raises(
        UsageError, match=r"made for release\.commercial_use = false, now true: a run's release"
    ):
        trained_vae(dataset, mini, tmp_path / "run", **more, release=COMMERCIAL)


def test_a_codec_without_a_record_is_used_and_the_log_says_that_it_cannot_be_checked(
    dataset: Dataset, mini: str, vae: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = shutil.copytree(vae, tmp_path / "foreign")
    (foreign / "training_data.json").unlink()
    checksums.write(foreign)
    trained_dit(dataset, mini, foreign, tmp_path / "run", release=COMMERCIAL)
    said = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert said == [
        "the vae that it starts with: does not say what its works ask of a release; it cannot be checked"
    ]


def test_a_sound_keeps_the_release_of_its_model(dit: Path, tmp_path: Path) -> None:
    out = making.generate(str(dit), asked(), tmp_path / "x.wav")[0].path
    facts = json.loads(out.with_suffix(".json").read_text())
    assert (facts["release"], facts["release_checked"]) == (PAPER, True)
    assert making.is_made(str(dit), asked(), out)
    assert making.is_made(str(dit), asked(commercial_use=False), out)
    assert not making.is_made(str(dit), asked(open_source=False), out)
    making.generate(
        str(dit), asked(open_source=False), out, overwrite=True
    )  # no work behind it asks for that
    assert json.loads(out.with_suffix(".json").read_text())["release"] == PAPER | {"open_source": False}


def test_a_wider_sound_is_refused_from_the_record_alone(dit: Path, vae: Path, tmp_path: Path) -> None:
    said = r"step-00000001, its vae \(made \w+\): the generation declares commercial_use = true .*; 4 of"
    with pytest.raises(UsageError, match=said):
        making.generate(str(dit), asked(commercial_use=True), tmp_path / "x.wav")
    with pytest.raises(
        UsageError, match="commercial_training = true where the dataset was made for false; 4 of"
    ):
        declared.check_use(vae, declared.Use(commercial_training=True))
    assert not list(tmp_path.iterdir())


def test_weights_without_a_record_generate_and_it_is_said_that_nothing_was_checked(
    dit: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = shutil.copytree(dit, tmp_path / "foreign")
    (foreign / "training_data.json").unlink()
    checksums.write(foreign)
    out = making.generate(str(foreign), asked(commercial_use=True), tmp_path / "x.wav")[0].path
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["release"] == dict.fromkeys(PAPER) | COMMERCIAL
    assert facts["release_checked"] is False
    assert [r.message for r in caplog.records if "cannot be checked" in r.message] == [
        f"{foreign}: does not say what it was trained on; its release cannot be checked"
    ]


@pytest.mark.parametrize("key", ["conditions", "dataset_release"])
def test_a_record_without_the_works_conditions_is_not_called_checked(
    dit: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    older = shutil.copytree(dit, tmp_path / "older")
    said = record(older)
    del said[key]
    (older / "training_data.json").write_text(json.dumps(said))
    checksums.write(older)
    facts = declared.check_use(older, declared.Use())
    assert (facts["release"], facts["release_checked"]) == (PAPER, False)
    assert "does not say what its works ask of a release; it cannot be checked" in caplog.text


def test_a_part_without_a_record_leaves_a_sound_unchecked_and_the_rest_is_held_to_it(
    dit: Path, tmp_path: Path
) -> None:
    foreign = shutil.copytree(dit, tmp_path / "foreign")
    said = record(foreign)
    said["pretrained"].append({"part": "encoder", "training_data": None})
    (foreign / "training_data.json").write_text(json.dumps(said))
    checksums.write(foreign)
    assert declared.check_use(foreign, declared.Use())["release_checked"] is False
    with pytest.raises(UsageError, match="the generation declares commercial_training"):
        declared.check_use(foreign, declared.Use(commercial_training=True))


def test_a_damaged_record_is_no_missing_one(dit: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(dit, tmp_path / "damaged")
    (damaged / "training_data.json").write_text('{"release": ')
    with pytest.raises(IntegrityError, match=r"training_data\.json: not the bytes that SHA256SUMS names"):
        making.generate(str(damaged), asked(), tmp_path / "x.wav")
    checksums.write(damaged)
    with pytest.raises(IntegrityError, match=r"training_data\.json: Invalid JSON"):
        making.generate(str(damaged), asked(), tmp_path / "x.wav")
    (damaged / "training_data.json").unlink()
    with pytest.raises(IntegrityError, match=r"training_data\.json: missing, though SHA256SUMS names it"):
        making.generate(str(damaged), asked(), tmp_path / "x.wav")


def test_the_defaults_are_the_papers() -> None:
    assert train_vae.Config().release == train_dit.Config().release == Release() == Release(**PAPER)
    assert run.DATA == declared.DATA
