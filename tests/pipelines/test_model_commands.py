"""The commands around models as a person calls them: exit codes, messages, what is left behind."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from sao_data.storage import checksums
from sao_data.storage.backend import LocalStorage
from tests import processes
from tests.datasets_made import BY, SAMPLING, build, load, tone_wav, write_folder
from tests.paths import ROOT
from tests.training.test_training import TINY
from tests.warm import Warm

LAUNCH = [
    "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1", "--num_machines", "1",
    "--num_cpu_threads_per_process", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
]  # fmt: skip
OFFLINE = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
VAE_STEPS, SAVE_EVERY = 6, 3
VAE = """
model = "{model}"
batch_size = 2
[stream]
window_frames = 2048
[losses]
fft_sizes = [256, 64]
adversarial = 0.0
feature_matching = 0.0
[pace]
steps = {steps}
log_every = 1
save_every = {save_every}
"""
DIT = """
model = "{model}"
batch_size = 2
[pace]
steps = 2
log_every = 1
save_every = 2
"""

# A training that is killed as soon as its first checkpoint is there: no race against how fast it is.
KILLED = """
import os, runpy, signal, sys
from sao_model import checkpoint
save = checkpoint.save
def save_and_die(*args, **kwargs):
    save(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
checkpoint.save = save_and_die
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

Answer = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the tests share: a dataset, two presets, a trained codec and a trained model."""

    tmp: Path
    data: Path
    vae: Path  # runs
    dit: Path

    def train_vae(self, out: Path | str) -> list[str]:
        config = self.tmp / "vae.toml"
        return [_script("train_vae"), "--config", str(config), "--data", str(self.data), "--out", str(out)]

    def train_dit(self, out: Path | str) -> list[str]:
        preset = ["--config", str(self.tmp / "dit.toml"), "--data", str(self.data)]
        return [_script("train_dit"), *preset, "--vae", str(self.vae), "--out", str(out)]

    def generate(self, out: Path | str) -> list[str]:
        asked = ["--prompt", "a tone", "--seconds", "0.02", "--steps", "2", "--seed", "7", "--device", "cpu"]
        return [_script("generate"), "--model", str(self.dit), "--out", str(out), *asked]


def run(*arguments: str | Path) -> Answer:
    """A command from scratch, as a person calls it."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=processes.environment(**OFFLINE),
        check=False,
        timeout=600,
    )


def latest(folder: Path) -> Path:
    """The newest checkpoint of a run."""
    return max((folder / "checkpoints").glob("step-*"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Codec and transformer are trained under `accelerate launch`."""
    tmp = tmp_path_factory.mktemp("model-commands")
    folder = write_folder(tmp / "in", 8)
    for n in range(8):
        (folder / f"tone-{n:03d}.wav").write_bytes(tone_wav(200 + 50 * n))
    build(load(tmp, folder), tmp / "data")
    (tmp / "mini.toml").write_text(TINY.replace("num_layers = 1\nnum_heads = 1\ncross", "num_layers = 2\n"
                                                "num_heads = 1\ncross"))  # fmt: skip
    facts = {"model": tmp / "mini.toml", "steps": VAE_STEPS, "save_every": SAVE_EVERY}
    (tmp / "vae.toml").write_text(VAE.format(**facts))
    (tmp / "dit.toml").write_text(DIT.format(**facts))
    made = Made(tmp=tmp, data=tmp / "data", vae=tmp / "vae", dit=tmp / "dit")
    for command in (made.train_vae(made.vae), made.train_dit(made.dit)):
        ended = run(*LAUNCH, *command)
        assert ended.returncode == 0, ended.stderr
    return made


# ---------------------------------------------------------------------------------------------- what works


def test_training_leaves_a_log_and_checkpoints(made: Made) -> None:
    lines = [json.loads(line) for line in (made.vae / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, VAE_STEPS + 1))
    assert {path.name for path in latest(made.vae).iterdir()} == {
        "model.json", "vae.safetensors", "training.safetensors", "loop.json", "training_data.json",
        "SHA256SUMS", "README.md",
    }  # fmt: skip
    assert {path.name for path in latest(made.dit).iterdir()} >= {
        "dit.safetensors", "conditioners.safetensors", "text_encoder.safetensors", "vae.safetensors",
    }  # fmt: skip


def test_generate_writes_a_sound_of_the_length_asked_for_and_how_it_was_made(
    made: Made, tmp_path: Path, warm_torch: Warm
) -> None:
    ended = warm_torch.ran(*made.generate(tmp_path / "a" / "tone.wav"), "--set", "sampler=v-ddim", **OFFLINE)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == str(tmp_path / "a" / "tone.wav")
    audio, rate = soundfile.read(tmp_path / "a" / "tone.wav")
    assert (audio.shape, rate) == ((882, 2), 44_100)  # 0.02 s
    facts = json.loads((tmp_path / "a" / "tone.json").read_text())
    wanted = {
        "prompt": "a tone",
        "seconds": 0.02,
        "steps": 2,
        "seed": 7,
        "sampler": "v-ddim",
        "model": "mini",
        "release_checked": True,
    }
    assert wanted.items() <= facts.items()
    assert facts["release"] == json.loads((latest(made.dit) / "training_data.json").read_text())["release"]
    stored = hashlib.sha256((latest(made.dit) / "dit.safetensors").read_bytes()).hexdigest()
    assert facts["model_digest"]["dit"] == stored


def test_without_a_seed_a_random_one_is_said_and_makes_the_same_sound_again(
    made: Made, tmp_path: Path, warm_torch: Warm
) -> None:
    command = [word for word in made.generate(tmp_path / "a.wav") if word not in ("--seed", "7")]
    ended = warm_torch.ran(*command, **OFFLINE)
    assert ended.returncode == 0, ended.stderr
    match = re.search(r"^seed (\d+)$", ended.stderr, re.MULTILINE)
    assert match
    assert json.loads((tmp_path / "a.json").read_text())["seed"] == int(match[1])
    again = [word.replace("a.wav", "b.wav") for word in command]
    ended = warm_torch.ran(*again, "--seed", match[1], **OFFLINE)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes(), ended.stderr
    ended = warm_torch.ran(*(word.replace("a.wav", "c.wav") for word in command), **OFFLINE)
    assert f"seed {match[1]}\n" not in ended.stderr


def test_a_report_credits_what_the_model_and_its_codec_have_seen(
    made: Made, tmp_path: Path, warm: Warm
) -> None:
    data = json.loads((latest(made.dit) / "training_data.json").read_text())
    assert sum(shard["draws"] for shard in data["shards"]) == 4  # two steps of two
    codec = json.loads((latest(made.vae) / "training_data.json").read_text())
    assert data["pretrained"][0]["training_data"] == codec
    report = ["--data", made.data, "--out", tmp_path / "report", "--checkpoint", made.dit]
    ended = warm.ran(_script("report"), *report)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("8 works by")


@pytest.mark.slow  # counted in process by tests/parity too
def test_sao_model_counts_the_published_model_exactly() -> None:
    ended = run("-m", "sao_data", "model", "stable_audio_open", "--json")
    assert ended.returncode == 0, ended.stderr
    table = json.loads(ended.stdout)
    assert {name: part["parameters"] for name, part in table["parts"].items()} == {
        "vae": 156_112_514, "dit": 1_056_828_544, "conditioners": 396_544, "text_encoder": 109_628_544,
    }  # fmt: skip
    assert table["total"] == 1_322_966_146


def test_a_killed_training_continues_to_the_same_bits(made: Made, tmp_path: Path, warm_torch: Warm) -> None:
    command = made.train_vae(tmp_path / "run")
    (tmp_path / "killed.py").write_text(KILLED)
    ended = warm_torch.ran(tmp_path / "killed.py", *command, **OFFLINE)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert latest(tmp_path / "run").name == f"step-{SAVE_EVERY:08d}"
    ended = warm_torch.ran(*command, **OFFLINE)
    assert ended.returncode == 0, ended.stderr
    assert f"checkpoint {latest(tmp_path / 'run')}" in ended.stderr
    whole, continued = (
        load_file(latest(out) / "training.safetensors") for out in (made.vae, tmp_path / "run")
    )
    assert whole.keys() == continued.keys()
    assert [name for name in whole if not torch.equal(whole[name], continued[name])] == []
    assert _losses(tmp_path / "run") == _losses(made.vae)


# ------------------------------------------------------------------------------------------------- mistakes


MISTAKES: dict[str, tuple[str, list[str], int, str]] = {
    "no such preset": ("train_vae", ["--config", "nope.toml"], 2, "nope.toml: no such"),
    "unknown key": ("train_vae", ["--set", "pace.step=3"], 2, "unknown key 'step'; did you mean 'steps'?"),
    "half precision": ("train_vae", ["--set", "precision=fp16"], 2, "precision: 'fp16'; want no (float32)"),
    "somebody's folder": ("train_vae", ["--out", "{tmp}/in"], 2, "not empty, and no training's (found "),
    "two in one folder": ("train_vae", ["--out", "{taken}"], 6, "in use by process"),
    "no dataset": ("train_vae", ["--data", "{tmp}/nowhere"], 2, "no dataset here"),
    "no series": (
        "train_vae", ["--set", 'stream.series=["validation"]'], 2,
        "no samples in the series validation (there are: train)",
    ),
    "large batch": ("train_vae", ["--set", "batch_size=9"], 2, "cannot fill a global batch of 9; lower"),
    "no codec": ("train_dit", ["--vae", "{tmp}/nowhere"], 2, "neither a checkpoint (no model.json)"),
    "no model": ("generate", ["--model", "{tmp}/nowhere"], 2, "nowhere: no such folder; give a checkpoint"),
    "half a model": ("generate", ["--model", "{vae}"], 2, "holds no dit and no conditioners"),
    "no prompt": ("generate", ["--prompt", " "], 2, "prompt: empty; say what to generate"),
    "long": ("generate", ["--seconds", "0.03"], 2, "seconds: 0.03 is longer than the model's window"),
    "no GPU": ("generate", ["--device", "cuda"], 2, "PyTorch sees 0 GPUs here; use --device cpu"),
    "no wav": ("generate", ["--out", "{tmp}/x.mp3"], 2, "want a name that ends in .wav, .flac, .ogg"),
    "damaged": ("generate", ["--model", "{damaged}"], 5, "dit.safetensors: not the bytes that"),
    "wide training": (
        "train_vae", ["--data", "{sampling}", "--set", "release.commercial_use=true"], 2,
        "4 of its works do not allow that: 4 under SAMPLING+ (non-commercial): folder:",
    ),
    "wide sound": (
        "generate", ["--model", "{bound}", "--set", "release.commercial_use=true"], 2,
        "12 of the works it was trained on do not allow that: 12 under SAMPLING+ (non-commercial)",
    ),
    "torn out": ("generate", ["--model", "{torn}"], 2, "missing: blocks.*.ff.out.weight (2)"),
}  # fmt: skip


@pytest.fixture(scope="module")
def mistakes(made: Made) -> dict[str, Answer]:
    """Every mistake made, two at a time: most of each is importing PyTorch."""
    places = {"tmp": made.tmp, "vae": made.vae, "dit": made.dit}
    places |= {"damaged": _damaged(made), "torn": _torn(made), "bound": _bound(made)}
    places["sampling"] = made.tmp / "sampling"
    folder = write_folder(made.tmp / "sampling-in", 8, licenses=(BY, SAMPLING))
    build(load(made.tmp, folder), places["sampling"])

    def make(name: str) -> Answer:
        command, wrong, _, _ = MISTAKES[name]
        right = getattr(made, command)(made.tmp / "mistakes" / f"{name}.wav")
        wrong = [word.format(**places) for word in wrong]
        if wrong[0] in right:  # no option is given twice
            at = right.index(wrong[0])
            right[at : at + 2] = []
        return run(*right, *wrong)

    places["taken"] = made.tmp / "taken"
    with ThreadPoolExecutor(2) as pool, LocalStorage(places["taken"]).lock():
        return dict(zip(MISTAKES, pool.map(make, MISTAKES), strict=True))


@pytest.mark.slow  # the same errors are tested in process by tests/training; here, as a person meets them
@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_end_with_their_code_and_a_way_out(mistakes: dict[str, Answer], name: str) -> None:
    _, _, code, message = MISTAKES[name]
    ended = mistakes[name]
    assert (ended.returncode, message in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow  # with the mistakes above
def test_mistakes_train_and_generate_nothing(made: Made, mistakes: dict[str, Answer]) -> None:
    assert len(mistakes) == len(MISTAKES)
    left = [path for path in (made.tmp / "mistakes").rglob("*") if path.is_file()]
    assert [path for path in left if path.name != "config.json"] == []
    assert not (made.tmp / "taken" / "config.json").exists()


@pytest.mark.parametrize("name", ["train_vae", "train_dit", "generate"])
def test_a_wrong_option_is_answered_without_torch(name: str) -> None:
    shown = run("-X", "importtime", _script(name), "--no-such-option")
    assert shown.returncode == 2
    imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert ("argparse" in imported, "torch" in imported) == (True, False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--prompt", "x"], "given twice"),
        (["--set", "seed=-1"], "seed: -1; give a number from 0"),
        (["--set", "step=3"], "did you mean 'steps'?"),
        (["--set", "prompt="], "prompt: empty"),
        (["--model", "nowhere"], "no such folder"),
        (["--out", "{tmp}/x.mp3"], "want a name that ends in .wav"),
        (["--out", "{tmp}/there.wav"], "there.wav: is there already and is not overwritten"),
        (["--out", "{tmp}/facts.wav"], "facts.json: is there already and is not overwritten"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_loaded(
    wrong: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "there.wav").touch()
    (tmp_path / "facts.json").touch()
    words = {"--model": str(tmp_path), "--out": str(tmp_path / "new.wav")}
    asked = ["--prompt", "x"] if wrong[-1] != "prompt=" else []
    if wrong[0] in words:
        words[wrong[0]] = wrong[1].format(tmp=tmp_path)
        wrong = []
    given = [word for pair in words.items() for word in pair]
    ended = run("-X", "importtime", _script("generate"), *given, *asked, *wrong)
    assert (ended.returncode, message in ended.stderr) == (2, True), ended.stderr[-500:]
    assert not [line for line in ended.stderr.splitlines() if line.endswith(" torch")]


def _script(name: str) -> str:
    return str(ROOT / "pipelines" / f"{name}.py")


def _losses(out: Path) -> list[tuple[int, float]]:
    lines = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [(line["step"], line["loss"]) for line in lines]


def _damaged(made: Made) -> Path:
    """A copy of the model with one bit turned over."""
    copy = shutil.copytree(latest(made.dit), made.tmp / "damaged")
    path = copy / "dit.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    return copy


def _bound(made: Made) -> Path:
    """A copy of the model that says it was trained on Sampling+ works."""
    copy = shutil.copytree(latest(made.dit), made.tmp / "bound")
    path = copy / "training_data.json"
    asks = {"license_family": "SAMPLING+", "ai_preference": "", "reviewed": False, "works": 12}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"conditions": [asks]}))
    checksums.write(copy)
    return copy


def _torn(made: Made) -> Path:
    """A copy of the model without some weights, as another program might have written it."""
    copy = shutil.copytree(latest(made.dit), made.tmp / "torn")
    path, model = copy / "dit.safetensors", copy / "model.json"
    tensors = load_file(path)
    save_file({name: t for name, t in tensors.items() if not name.endswith("ff.out.weight")}, path)
    facts = json.loads(model.read_text())
    facts["parts"]["dit"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    model.write_text(json.dumps(facts))
    checksums.write(copy)
    return copy
