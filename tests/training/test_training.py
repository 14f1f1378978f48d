"""Training continues after a kill as if there had been none, and says what is wrong before it begins."""

import dataclasses
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from sao_data.config import Table, parse
from sao_data.dataset.reader import Dataset, open_dataset
from sao_data.errors import IntegrityError, Locked, UsageError
from sao_data.storage.backend import LocalStorage
from sao_model import checkpoint, generation, making, run, train_dit, train_vae
from sao_model.training import optimiser, processes
from tests.datasets_made import build, load, tone_wav, write_folder
from tests.paths import ROOT
from tests.training.made_runs import MINI, Silent

TINY = MINI.replace("num_latents = 32", "num_latents = 16").replace("num_layers = 2", "num_layers = 1")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    tmp = tmp_path_factory.mktemp("training")
    folder = write_folder(tmp / "in", 8)
    for n in range(8):
        (folder / f"tone-{n:03d}.wav").write_bytes(tone_wav(200 + 50 * n))
    build(load(tmp, folder), tmp / "out")
    return open_dataset(str(tmp / "out"))


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("preset") / "mini.toml"
    path.write_text(TINY)
    return str(path)


def vae_config(mini: str, **changes: object) -> train_vae.Config:
    table: Table = {
        "model": mini,
        "batch_size": 2,
        "stream": {"window_frames": 2048},
        "losses": {"fft_sizes": [256, 64], "adversarial": 0.0, "feature_matching": 0.0},
        "pace": {"steps": 8, "log_every": 1, "save_every": 4},
    }
    return parse(train_vae.Config, table | changes, where="test")


def dit_config(mini: str, **changes: object) -> train_dit.Config:
    table: Table = {
        "model": mini,
        "batch_size": 2,
        "pace": {"steps": 8, "log_every": 1, "save_every": 4},
    }
    return parse(train_dit.Config, table | changes, where="test")


@pytest.fixture(scope="module")
def vae(dataset: Dataset, mini: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("vae") / "run"
    train_vae.train(vae_config(mini), dataset, out, resume="auto", progress=Silent())
    return out


def losses(out: Path) -> list[tuple[int, float]]:
    return [
        (line["step"], line["loss"]) for line in map(json.loads, (out / "log.jsonl").read_text().splitlines())
    ]


def tensors(out: Path) -> dict[str, torch.Tensor]:
    return load_file(run.resolve(out) / "training.safetensors")


def test_a_vae_run_stopped_half_way_continues_bit_for_bit(
    vae: Path, dataset: Dataset, mini: str, tmp_path: Path
) -> None:
    half = vae_config(mini, pace={"steps": 5, "log_every": 1, "save_every": 5})
    train_vae.train(half, dataset, tmp_path / "run", resume="auto", progress=Silent())
    train_vae.train(vae_config(mini), dataset, tmp_path / "run", resume="auto", progress=Silent())
    assert losses(tmp_path / "run") == losses(vae)
    whole, continued = tensors(vae), tensors(tmp_path / "run")
    weights = [name for name in whole if name.startswith("weight|")]
    assert not all(torch.equal(whole[name], whole[name.replace("weight|", "ema|")]) for name in weights)
    assert whole.keys() == continued.keys()
    assert all(torch.equal(whole[name], continued[name]) for name in whole)


def test_a_dit_run_stopped_half_way_continues_bit_for_bit(
    vae: Path, dataset: Dataset, mini: str, tmp_path: Path
) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train_dit.train(dit_config(mini), dataset, str(vae), whole, resume="auto", progress=Silent())
    half = dit_config(mini, pace={"steps": 5, "log_every": 1, "save_every": 5})
    train_dit.train(half, dataset, str(vae), halves, resume="auto", progress=Silent())
    train_dit.train(dit_config(mini), dataset, str(vae), halves, resume="auto", progress=Silent())
    assert losses(whole) == losses(halves)
    ours, theirs = tensors(whole), tensors(halves)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    facts = json.loads((run.resolve(whole) / "training_data.json").read_text())
    assert (facts["dataset"], facts["step"]) == ("made", 8)
    assert sum(shard["draws"] for shard in facts["shards"]) == 8 * 2


def test_a_checkpoint_is_a_model_that_generates(
    vae: Path, dataset: Dataset, mini: str, tmp_path: Path
) -> None:
    train_dit.train(dit_config(mini), dataset, str(vae), tmp_path / "run", resume="auto", progress=Silent())
    asked = generation.Config(prompt="a tone", seconds=0.02, steps=2, seed=0, device="cpu")
    out = making.generate(str(tmp_path / "run"), asked, tmp_path / "a" / "x.wav")[0].path
    import soundfile

    audio, rate = soundfile.read(out)
    assert (audio.shape, rate) == ((882, 2), 44_100)
    facts = json.loads(out.with_suffix(".json").read_text())
    assert (facts["prompt"], facts["seed"], facts["model"]) == ("a tone", 0, "mini")
    assert set(facts["model_digest"]) == {"vae", "dit", "conditioners", "text_encoder"}
    assert making.is_made(str(tmp_path / "run"), asked, out)
    again = making.generate(str(tmp_path / "run"), asked, tmp_path / "y.wav")[0].path
    assert again.read_bytes() == out.read_bytes()
    other = generation.Config(prompt="a tone", seconds=0.02, steps=2, seed=1, device="cpu")
    assert not making.is_made(str(tmp_path / "run"), other, out)
    with pytest.raises(UsageError, match=r"x\.wav: is there already"):
        making.generate(str(tmp_path / "run"), other, out)
    assert again.read_bytes() == out.read_bytes()
    window = checkpoint.describe(run.resolve(tmp_path / "run")).config
    unsaid = dataclasses.replace(asked, seconds=None)
    making.generate(str(tmp_path / "run"), unsaid, out, overwrite=True)
    assert soundfile.info(out).frames == window.num_frames  # of a model whose window is below ten seconds
    assert making.is_made(str(tmp_path / "run"), unsaid, out)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seconds": 99.0}, "longer than the model's window"),
        ({"prompt": " "}, "prompt: empty"),
        ({"sampler": "ddim"}, "no 'ddim'"),
        ({"seed": -1}, "seed: -1"),
        ({"device": "cuda:7"}, "GPUs here; use --device cpu|none that PyTorch knows"),
    ],
)
def test_what_cannot_be_generated_is_said(
    dit: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    table: Table = {"prompt": "x", "seconds": 0.01, "steps": 1, "device": "cpu"}
    asked = parse(generation.Config, table | changes, where="test")
    with pytest.raises(UsageError, match=message):
        making.generate(str(dit), asked, tmp_path / "x.wav")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def dit(vae: Path, dataset: Dataset, mini: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dit") / "run"
    short = dit_config(mini, pace={"steps": 1, "save_every": 1})
    train_dit.train(short, dataset, str(vae), out, resume="auto", progress=Silent())
    return out


def test_a_codec_checkpoint_is_no_whole_model(vae: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no dit and no conditioners.*; give a checkpoint"):
        checkpoint.load(run.resolve(vae))


def test_resume_refuses_other_settings_and_an_unwanted_start(
    vae: Path, dataset: Dataset, mini: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="made with another batch_size: was 2, now 4"):
        train_vae.train(vae_config(mini, batch_size=4), dataset, vae, resume="auto", progress=Silent())
    with pytest.raises(UsageError, match="has step-00000008 already; --resume auto continues"):
        train_vae.train(vae_config(mini), dataset, vae, resume="never", progress=Silent())
    with pytest.raises(UsageError, match="neither a checkpoint"):
        train_vae.train(vae_config(mini), dataset, tmp_path, resume=str(tmp_path), progress=Silent())


def test_bad_settings_are_named_before_anything_is_made(dataset: Dataset, mini: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(UsageError, match="8 chunks of samples cannot fill a global batch of 64"):
        train_vae.train(vae_config(mini, batch_size=64), dataset, out, resume="auto", progress=Silent())
    odd = vae_config(mini, stream={"window_frames": 1000})
    with pytest.raises(UsageError, match="window_frames 1000 is no multiple of 64"):
        train_vae.train(odd, dataset, out, resume="auto", progress=Silent())
    with pytest.raises(UsageError, match="no such model"):
        train_vae.train(vae_config("nosuch"), dataset, out, resume="auto", progress=Silent())
    assert not out.exists()


def test_a_loss_that_is_not_finite_ends_the_run_with_advice_that_works(
    dataset: Dataset, mini: str, tmp_path: Path
) -> None:
    pace = {"steps": 12, "save_every": 1, "log_every": 1, "most_skipped": 2, "most_rollbacks": 1}
    wild = {"lr": 1.0, "warmup": 0.0}
    out, config = tmp_path / "run", vae_config(mini, pace=pace, optimiser=wild)
    with pytest.raises(IntegrityError, match="train into another --out with a smaller step") as error:
        train_vae.train(config, dataset, out, resume="auto", progress=Silent())
    for folder in run.checkpoints(out):
        checkpoint.load_tensors(folder, "training")  # all finite, else this is an error
    advice = re.findall(r"--set optimiser\.(\w+)=([\d.e-]+)", str(error.value))
    assert [name for name, _ in advice] == ["lr", "clip"]
    mended = wild | {name: float(value) for name, value in advice}
    calm = vae_config(mini, pace=pace, optimiser=mended)
    train_vae.train(calm, dataset, tmp_path / "other", resume="auto", progress=Silent())
    assert len(losses(tmp_path / "other")) == 12


def test_a_folder_has_one_training_at_a_time(dataset: Dataset, mini: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with LocalStorage(out).lock(), pytest.raises(Locked, match="in use by process"):
        train_vae.train(vae_config(mini), dataset, out, resume="auto", progress=Silent())
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"not empty, and no training's \(found thesis.txt\)"):
        train_vae.train(vae_config(mini), dataset, out, resume="auto", progress=Silent())
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("precision", "name", "value", "told"),
    [
        ("fp16", "", "", "want no .float32. or bf16 .float16 overflows"),
        ("no", "ACCELERATE_MIXED_PRECISION", "bf16", "ACCELERATE_MIXED_PRECISION=bf16 has no effect here"),
        ("no", "ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4", "give --set accumulate=… to the script"),
        ("no", "ACCELERATE_USE_FSDP", "true", "the codec trains on copies of the whole model"),
        (
            "no",
            "ACCELERATE_USE_DEEPSPEED",
            "true",
            "training runs on copies of the whole model .DDP. or on parts of it",
        ),
    ],
)
def test_a_setting_without_effect_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, precision: str, name: str, value: str, told: str
) -> None:
    if name:
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=told):
        processes.make_accelerator(train_vae.Config(precision=precision), tmp_path)


def test_half_precision_on_the_cpu_is_not_float32(dataset: Dataset, mini: str, tmp_path: Path) -> None:
    for precision in ("no", "bf16"):
        config = vae_config(mini, precision=precision)
        AcceleratorState._reset_state(
            reset_partial_state=True
        )  # one of a process, and this process has several
        train_vae.train(config, dataset, tmp_path / precision, resume="auto", progress=Silent())
    AcceleratorState._reset_state(reset_partial_state=True)
    assert losses(tmp_path / "no") != losses(tmp_path / "bf16")


def test_only_the_newest_checkpoints_are_kept(dataset: Dataset, mini: str, tmp_path: Path) -> None:
    pace = {"steps": 5, "save_every": 1, "keep_last": 2}
    train_vae.train(vae_config(mini, pace=pace), dataset, tmp_path / "run", resume="auto", progress=Silent())
    assert [p.name for p in run.checkpoints(tmp_path / "run")] == ["step-00000004", "step-00000005"]


def test_the_rate_is_the_published_curve() -> None:
    config = optimiser.Config(lr=1.0, inv_gamma=100.0, power=0.5, warmup=0.9)
    assert optimiser.rate(config, 0) == pytest.approx(0.1)
    assert optimiser.rate(config, 300) == pytest.approx(0.5, rel=1e-6)


def test_two_machines_train_together(dataset: Dataset, mini: str, tmp_path: Path) -> None:
    """Two machines on loopback under `accelerate launch`, every step a line; each sample is drawn once."""
    preset = tmp_path / "vae.toml"
    text = (
        f'model = "{mini}"\nbatch_size = 4\n[stream]\nwindow_frames = 2048\n[losses]\nfft_sizes = [256, 64]\n'
    )
    preset.write_text(text + "adversarial = 0.0\nfeature_matching = 0.0\n")
    script = [ROOT / "pipelines" / "train_vae.py", "--config", preset, "--data", dataset.storage.url]
    sets = ["--set", "pace.steps=2", "--set", "pace.log_every=1", "--set", "pace.save_every=2"]
    ended = _with_a_port(_launch_two, [*script, "--out", tmp_path / "run", *sets])
    assert [code for code, _ in ended] == [0, 0], ended
    assert [step for step, _ in losses(tmp_path / "run")] == [1, 2]
    facts = json.loads((run.resolve(tmp_path / "run") / "training_data.json").read_text())
    assert sum(shard["draws"] for shard in facts["shards"]) == 2 * 4


Ended = list[tuple[int, str]]


def _with_a_port(together: Callable[[list[object], int], Ended], script: list[object]) -> Ended:
    """Both machines' exit codes and last words; anew where somebody took the free port before they did."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        ended = together(script, port)
        if not any("address already in use" in said.lower() for _, said in ended):
            return ended


def _launch_two(script: list[object], port: int) -> Ended:
    accelerate = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "2"]
    common = ["--num_processes", "2", "--main_process_ip", "127.0.0.1", "--main_process_port", str(port)]
    launched = [
        subprocess.Popen(
            [*accelerate, *common, "--machine_rank", str(rank), *map(str, script)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for rank in (0, 1)
    ]  # fmt: skip
    ended = []
    for process in launched:
        output, _ = process.communicate(timeout=600)
        ended.append((process.returncode, output[-20_000:]))
    return ended


def test_a_model_that_gives_no_numbers_publishes_nothing(dit: Path, tmp_path: Path) -> None:
    asked = generation.Config(prompt="x", seconds=0.01, steps=2, cfg_scale=1e38, device="cpu")
    with pytest.raises(IntegrityError, match="not finite"):
        making.generate(str(dit), asked, tmp_path / "x.wav")
    assert not list(tmp_path.iterdir())


def test_an_older_checkpoint_of_the_same_run_is_refused_before_any_work(
    dataset: Dataset, mini: str, vae: Path
) -> None:
    older = run.checkpoints(vae)[0]
    with pytest.raises(UsageError, match="step-00000008 already, in the way"):
        train_vae.train(vae_config(mini), dataset, vae, resume=str(older), progress=Silent())


def test_a_dit_run_keeps_its_codec_and_names_what_that_has_seen(
    vae: Path, dit: Path, dataset: Dataset, mini: str, tmp_path: Path
) -> None:
    facts = json.loads((run.resolve(dit) / "training_data.json").read_text())
    (origin,) = facts["pretrained"]
    assert (origin["part"], origin["training_data"]["dataset"]) == ("vae", "made")
    train_vae.train(vae_config(mini, seed=5), dataset, tmp_path / "other", resume="auto", progress=Silent())
    longer = dit_config(mini, pace={"steps": 2, "save_every": 1})
    with pytest.raises(UsageError, match="not the codec that"):
        train_dit.train(longer, dataset, str(tmp_path / "other"), dit, resume="auto", progress=Silent())
