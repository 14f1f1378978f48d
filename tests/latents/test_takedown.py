"""A take-down reaches the latents, and so does another credit; `sao verify` says where they do not agree."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from sao_data.commands import main
from sao_data.dataset.reader import open_dataset
from sao_data.latents import registry, update
from sao_data.latents.reader import open_latents
from sao_data.storage.backend import LocalStorage
from tests.datasets_made import tree
from tests.latents.conftest import LatentWorld, encode, made_dataset, sounds
from tests.revision.test_forgetting import said

LENGTHS = (0.2, 0.4, 0.1, 0.3, 0.25, 0.5)
GONE = "folder:tone-001-wav"
Ran = tuple[int, str]


def sao(*words: str | Path) -> Ran:
    """A command; its status, and what it said."""
    out = io.StringIO()
    with redirect_stdout(out):
        status = main.main([str(word) for word in words])
    return status, out.getvalue()


@pytest.fixture
def world(latent_world: LatentWorld, tmp_path: Path) -> LatentWorld:
    data = made_dataset(tmp_path, sounds(tmp_path / "in", LENGTHS), tmp_path / "data")
    encode(data, latent_world.vae, tmp_path / "latents")
    return LatentWorld(folder=tmp_path, model=latent_world.model, vae=latent_world.vae)


def take_down(world: LatentWorld) -> Ran:
    return sao("takedown", world.folder / "data", "--id", GONE, "--reason", "request", "--apply")


def test_a_takedown_leaves_what_a_fresh_encode_of_the_new_version_gives(world: LatentWorld) -> None:
    status, told = sao("takedown", world.folder / "data", "--id", GONE, "--reason", "request")
    assert (status, f"latents      1: {world.folder / 'latents'}" in told) == (0, True), told
    before = tree(world.folder / "latents")
    assert sao("verify", world.folder / "data")[0] == 0
    assert tree(world.folder / "latents") == before

    status, told = take_down(world)

    version = world.data.facts["version"]
    brought = f"latents      {world.folder / 'latents'}: brought to version {version}, 1 samples taken out"
    assert (status, brought in told) == (0, True), told
    encode(world.data, world.vae, world.folder / "fresh")
    assert tree(world.folder / "latents") == tree(world.folder / "fresh")
    assert not [name for name, text in said(world.folder / "latents") if GONE in text or "Tone 1" in text]
    status, told = sao("verify", world.folder / "data")
    assert (status, "2 folders of latents, 0 findings" in told) == (0, True), told
    assert "already done" in take_down(world)[1]
    assert tree(world.folder / "latents") == tree(world.folder / "fresh")


def test_a_folder_that_is_behind_loses_the_work_and_is_unfinished(world: LatentWorld) -> None:
    sounds(world.folder / "in", (0.3,), first=len(LENGTHS))
    made_dataset(world.folder, world.folder / "in", world.folder / "data")
    status, told = take_down(world)
    assert (status, "1 samples taken out; unfinished: encode again" in told) == (0, True), told
    assert not (world.folder / "latents" / "latents.json").exists()
    assert not [name for name, text in said(world.folder / "latents") if GONE in text]
    assert encode(world.data, world.vae, world.folder / "latents").num_encoded == 1
    encode(world.data, world.vae, world.folder / "fresh")
    assert tree(world.folder / "latents") == tree(world.folder / "fresh")


def test_folders_that_cannot_be_reached_are_named_and_reached_later(world: LatentWorld) -> None:
    away = shutil.move(world.folder / "latents", world.folder / "away")
    encode(world.data, world.vae, world.folder / "second")
    with LocalStorage(world.folder / "second").lock():
        status, told = take_down(world)
    assert f"{world.folder / 'latents'}: not there any more; if it was moved, it may hold them yet" in told
    assert f"{world.folder / 'second'}: NOT REACHED, and may hold them yet:" in told
    assert "in use by process" in told
    shutil.move(away, world.folder / "latents")
    status, told = sao("verify", world.folder / "data")
    for name in ("latents", "second"):
        assert (
            f"{world.folder / name}: {GONE}: taken down, and still in the latents; run the take-down" in told
        )
    assert status == 1
    status, told = take_down(world)
    assert told.count("brought to version") == 2
    assert sao("verify", world.folder / "data")[0] == 0
    assert tree(world.folder / "latents") == tree(world.folder / "second")


def test_a_folder_of_another_dataset_is_left_alone(world: LatentWorld, latent_world: LatentWorld) -> None:
    (noted,) = (world.folder / "data" / "encodings").iterdir()
    noted.write_text(json.dumps({"folder": str(world.folder / "other")}))
    shutil.copytree(world.folder / "latents", world.folder / "other")
    owner = world.folder / "other" / "owner.json"
    owner.write_text(owner.read_text().replace('"name": "made"', '"name": "theirs"'))
    before = tree(world.folder / "other")
    status, told = take_down(world)
    assert (status, "NOT REACHED" in told, "latents of 'theirs', not of 'made'" in told) == (0, True, True)
    assert tree(world.folder / "other") == before


def test_a_copy_of_the_dataset_leaves_the_latents_of_the_first_alone(
    world: LatentWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(world.folder / "data", world.folder / "copy")
    before = tree(world.folder / "latents")
    status, told = sao("takedown", world.folder / "copy", "--id", GONE, "--reason", "request", "--apply")
    assert (status, "NOT REACHED" in told) == (0, True), told
    assert f"it is of the dataset in {world.folder / 'data'}: take the same down there" in told
    assert tree(world.folder / "latents") == before
    assert sao("verify", world.folder / "copy")[0] == 0
    note = f"it is of the dataset in {world.folder / 'data'}, and was not checked"
    assert note in capsys.readouterr().err


def test_a_withheld_name_is_withheld_in_the_latents_too(world: LatentWorld) -> None:
    author = next(row.author for row in world.data.catalogue() if row.id == GONE)
    assert [name for name, text in said(world.folder / "latents") if author in text]
    status, told = sao("credit", world.folder / "data", "--author", author, "--as", "withhold", "--apply")
    assert (status, "brought to version" in told) == (0, True), told
    assert not [name for name, text in said(world.folder / "latents") if author in text]
    encode(world.data, world.vae, world.folder / "fresh")
    assert tree(world.folder / "latents") == tree(world.folder / "fresh")


def test_places_are_relative_so_that_both_folders_may_move(world: LatentWorld, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("data", "latents"):
        shutil.move(world.folder / name, moved / name)
    (found,) = registry.known(LocalStorage(moved / "data"))
    assert found.url == str(moved / "latents")
    assert open_latents(str(moved / "latents")).data.url == str(moved / "data")
    (followed,) = update.follow_all(LocalStorage(moved / "data"), open_dataset(str(moved / "data")))
    assert followed.state == "same"


def flipped(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def largest(world: LatentWorld) -> Path:
    return max((world.folder / "latents" / "shards").glob("*.tar"), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda w: flipped(largest(w), 700), ".npy is damaged: not the sha256 of samples.parquet"),
        (lambda w: flipped(largest(w), -1), "something lies behind its last sample"),
        (lambda w: largest(w).unlink(), ": missing; run the same encode again"),
        (lambda w: flipped(w.folder / "latents" / "silence.npy", -1), "silence.npy: damaged"),
        (lambda w: flipped(w.folder / "latents" / "samples.parquet", 50), "samples.parquet: damaged"),
        (lambda w: flipped(w.folder / "latents" / "latents.json", -3), "latents.json"),
        (
            lambda w: (w.folder / "latents" / "shards" / "x.tar").write_text(""),
            "shards/x.tar: not in latents",
        ),
    ],
)
def test_damage_is_found(world: LatentWorld, damage: Callable[[LatentWorld], object], message: str) -> None:
    assert sao("verify", world.folder / "latents")[0] == 0
    damage(world)
    status, told = sao("verify", world.folder / "latents")
    assert (status, message in told) == (1, True), told
    assert sao("verify", world.folder / "data")[0] == 1


def test_latents_of_an_earlier_version_are_a_finding(world: LatentWorld) -> None:
    sounds(world.folder / "in", (0.3,), first=len(LENGTHS))
    made_dataset(world.folder, world.folder / "in", world.folder / "data")
    status, told = sao("verify", world.folder / "latents")
    assert status == 1
    assert f"the dataset is {world.data.facts['version']}; run encode again" in told
    shutil.rmtree(world.folder / "data")
    assert sao("verify", world.folder / "latents")[0] == 0  # its dataset is not at hand: a note
