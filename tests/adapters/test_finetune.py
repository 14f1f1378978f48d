"""A folder of sounds to an adapter in one command: what it leaves, what it asks for, and that it learns."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pytest

from sao_data.config import parse
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import UsageError
from sao_data.loading.heard import works
from sao_model import checkpoint, generation, preset, run, train_dit
from sao_model.adapters import folders
from sao_model.model import build
from sao_model.verbs import finetune
from tests.datasets_made import build as build_dataset
from tests.datasets_made import load, tone_wav
from tests.paths import ROOT
from tests.training.made_runs import Silent, log

QUICK = ("preflight.check=false", "pace.steps=2", "pace.save_every=1", "batch_size=4", "accumulate=1")
DECLARED = ("source.0.license=CC0-1.0", "filter.0.seconds=0.1")
TINY = ROOT / "manifests" / "training" / "dit_lora_tiny.toml"


def folder_of(path: Path, num: int, *, seconds: float = 0.3, captions: bool = True) -> Path:
    path.mkdir(parents=True)
    for n in range(num):
        (path / f"tone-{n:02d}.wav").write_bytes(tone_wav(200 + 40 * n, seconds))
        if captions:
            (path / f"tone-{n:02d}.txt").write_text(f"a tone of {200 + 40 * n} hertz\n")
    return path


def tune(folder: Path, model: Path, out: Path, *more: str, licence: str = "CC0-1.0") -> int:
    parser = argparse.ArgumentParser()
    finetune.add_arguments(parser)
    sets = [word for each in QUICK for word in ("--set", each)]
    words = [str(folder), "--model", str(model), "--out", str(out), *sets, *more]
    return finetune.run(parser.parse_args([*words, *(("--licence", licence) if licence else ())]))


@pytest.fixture(scope="module")
def tuned(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp = tmp_path_factory.mktemp("finetune")
    folder = folder_of(tmp / "in", 6)
    (folder / "short.wav").write_bytes(tone_wav(300, 0.001))  # a latent of this model has 64 samples
    (folder / "short.txt").write_text("a click")
    assert tune(folder, base, tmp / "out", "--author", "A. Person") == 0
    return tmp


def test_it_leaves_a_dataset_an_adapter_and_sounds(tuned: Path, base: Path) -> None:
    out = tuned / "out"
    dataset, last = open_dataset(str(out / "dataset")), run.resolve(out / "run")
    rows = {row.id: row for row in dataset.catalogue()}
    assert sum(row.kept for row in rows.values()) == 6
    (left,) = [row for row in rows.values() if not row.kept]
    assert (left.id, left.reason) == ("folder:short-wav", "too_short")
    assert {row.author for row in rows.values() if row.kept} == {"A. Person"}
    assert folders.describe(last).model == checkpoint.describe(base).config.name
    assert len(works.seen_samples(dataset, out / "run").samples) == 6
    assert json.loads((last / run.DATA).read_text())["latents"]["encoding"]  # encoded once, not at every step
    sounds = out / "sounds" / "step-00000002"
    assert (sounds / "index.html").is_file()
    made = [json.loads(path.read_text()) for path in sorted(sounds.glob("*.json"))]
    assert {each["prompt"] for each in made} < {f"a tone of {200 + 40 * n} hertz" for n in range(6)}
    assert len(made) == 4
    assert {each["loras"][0]["sha256"] for each in made} == {folders.describe(last).sha256}


def test_the_same_command_does_nothing_twice_and_goes_on_to_more_steps(tuned: Path, base: Path) -> None:
    out = tuned / "out"
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    before |= {path: path.stat().st_mtime_ns for path in (out / "sounds").rglob("*.wav")}
    assert tune(tuned / "in", base, out, "--author", "A. Person") == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert tune(tuned / "in", base, out, "--author", "A. Person", "--set", "pace.steps=3") == 0
    assert [line["step"] for line in log(out / "run")] == [1, 2, 3]
    assert (out / "sounds" / "step-00000003" / "index.html").is_file()


def test_a_batch_is_no_larger_than_the_folder_unless_it_was_asked_for(tuned: Path) -> None:
    dataset = open_dataset(str(tuned / "out" / "dataset"))
    config = parse(train_dit.Config, {"batch_size": 8, "accumulate": 8}, where="test")
    asked = argparse.Namespace(set=["batch_size=8"])
    found = finetune._fitting(config, argparse.Namespace(set=[]), dataset)
    assert (found.batch_size, found.accumulate) == (6, 6)
    assert finetune._fitting(config, asked, dataset) == config


@pytest.mark.parametrize(
    ("num", "made", "more", "licence", "told"),
    [
        (6, {"captions": False}, (), "CC0-1.0",
         r"6 of 6 sounds have no caption: tone-00\.wav, .*the first: .*in/tone-00\.txt\), or in the col"),
        (6, {}, (), "", r"under which licence are these\? 6 of 6 sounds do not say: tone-00.*--licence CC0"),
        (6, {}, (), "own", r"--licence own: no licence that is known \(words not understood: own\)"),
        (2, {}, (), "CC0-1.0", r"2 sounds; want at least 4 \(50 are good\)"),
        (6, {"seconds": 0.001}, (), "CC0-1.0", r"0 sounds; want at least 4 .*\(6 too_short\)|keeps nothing"),
        (6, {}, ("--config", str(ROOT / "manifests/training/dit_tiny.toml")), "CC0-1.0", "learns no adapter"),
        (6, {}, ("--set", "adapter.rank=0"), "CC0-1.0", r"adapter\.rank: 0; want at least 1"),
        (6, {}, ("--set", "pace.save_every=0"), "CC0-1.0", "the adapter would not be kept"),
        (6, {}, ("--out", "{in}/out"), "CC0-1.0", "lies in the folder of the sounds"),
        (6, {}, ("--model", "{in}"), "CC0-1.0", r"neither a checkpoint \(no model\.json\) nor a run"),
        (6, {}, ("--model", "{tuned}"), "CC0-1.0", "an adapter, which changes a model and is none"),
        (6, {}, ("--model", "tiny"), "CC0-1.0", "--model tiny: no such folder"),
    ],
)  # fmt: skip
def test_what_it_cannot_begin_with_is_said(
    num: int, made: dict[str, object], more: tuple[str, ...], licence: str, told: str,
    base: Path, tuned: Path, tmp_path: Path,
) -> None:  # fmt: skip
    folder = folder_of(tmp_path / "in", num, **made)  # type: ignore[arg-type]
    places = {"{in}": str(folder), "{tuned}": str(tuned / "out" / "run")}
    words = [each.replace("{in}", places["{in}"]).replace("{tuned}", places["{tuned}"]) for each in more]
    with pytest.raises(UsageError, match=told):
        tune(folder, base, tmp_path / "out", *words, licence=licence)
    assert not (tmp_path / "out" / "run").exists()


def test_the_presets_that_ship_are_read(mini: str) -> None:
    for name in ("dit_lora", "dit_lora_tiny"):
        from sao_data.config import read_toml

        made = parse(train_dit.Config, read_toml(TINY.with_stem(name)), where=name)
        assert made.adapter.kind == "lora"
    assert generation.Config(loras=("A:1",)).loras == ("A:1",)


@pytest.mark.slow  # a minute and a half of a core
def test_the_tiny_model_overfits_twenty_sounds(tones: Dataset, tmp_path: Path) -> None:
    """An adapter halves the loss of all of them, at the same noise, within two CPU minutes. Its model has
    learned from other sounds, for some steps."""
    short = tmp_path / "short.toml"  # the same model, at windows of 0.74 s
    tiny = ROOT / "manifests" / "models" / "tiny.toml"
    short.write_text(tiny.read_text().replace("num_latents = 384", "num_latents = 64"))
    common = {"model": str(short), "dropout": 0.0, "checkpointing": False, "preflight": {"check": False}}
    checkpoint.save(build(preset.read("tiny"), seed=0), tmp_path / "new")
    table = common | {
        "batch_size": 4, "optimiser": {"lr": 1e-3, "warmup": 0.9, "clip": 1.0},
        "pace": {"steps": 80, "log_every": 10, "save_every": 80},
    }  # fmt: skip
    base = train(table, tones, tmp_path / "new", tmp_path / "base")
    build_dataset(load(tmp_path, folder_of(tmp_path / "in", 20), sets=DECLARED), tmp_path / "data")
    dataset, begun = open_dataset(str(tmp_path / "data")), time.process_time()
    table = common | {
        "start_from": str(base), "batch_size": 20, "adapter": {"kind": "lora", "rank": 16},
        "optimiser": {"lr": 5e-3, "warmup": 0.9, "clip": 1.0},
        "pace": {"steps": 60, "log_every": 1, "save_every": 0, "overfit": True},
    }  # fmt: skip
    train(table, dataset, base, tmp_path / "run")
    seconds = time.process_time() - begun
    losses = [float(str(line["loss"])) for line in log(tmp_path / "run")]
    assert losses[-1] <= 0.5 * losses[0], (losses[0], losses[-1])
    assert seconds <= 120


def train(table: dict[str, object], dataset: Dataset, vae: Path, out: Path) -> Path:
    config = parse(train_dit.Config, table, where="test")
    return train_dit.train(config, dataset, str(vae), out, resume="auto", progress=Silent())
