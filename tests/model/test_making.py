"""Generation as a whole: requests, files, facts, folders; on the tiny model, in this process."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from sao_data.errors import UsageError
from sao_model import checkpoint, generation, making
from sao_model.generation import Config
from sao_model.model import build
from sao_model.preset import Config as Shape
from tests.model.test_sounds import RATE, tone


@pytest.fixture(scope="module")
def stored(tiny_config: Shape, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model that listens, with a window of 0.37 s."""
    torch.set_num_threads(1)
    model = build(dataclasses.replace(tiny_config, num_latents=32), seed=3)
    with torch.no_grad():
        for parameter in model.dit.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    folder = tmp_path_factory.mktemp("model") / "ckpt"
    checkpoint.save(model, folder)
    return str(folder)


def config(**fields: Any) -> Config:
    table = {"steps": 2, "seed": 5, "device": "cpu"} | fields
    return generation.read("", [], {key: value for key, value in table.items() if key != "edit"} | (
        {"edit": fields["edit"]} if "edit" in fields else {}
    ))  # fmt: skip


def facts(path: Path) -> dict[str, Any]:
    return json.loads(path.with_suffix(".json").read_text())


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0].T


def test_a_sound_says_how_it_was_made_and_by_what(stored: str, tmp_path: Path) -> None:
    (job,) = making.generate(
        stored, config(prompt="rain", seconds=0.1, credit="https://x.test/r"), tmp_path / "a.flac"
    )
    said = facts(job.path)
    assert (said["prompt"], said["seed"], said["seconds"], said["steps"]) == ("rain", 5, 0.1, 2)
    assert said["guidance"]["interval"] == [0.0, 1.0]
    assert len(said["sha256"]) == 64
    with soundfile.SoundFile(job.path) as file:
        tags = file.copy_metadata()
        assert file.frames == 4410
    assert tags["title"] == "rain"
    assert "AI-generated; model tiny (dit sha256 " + said["model_digest"]["dit"][:16] in tags["comment"]
    assert "seed 5, 2 steps, cfg_scale 7; credits: https://x.test/r" in tags["comment"]


def test_prompts_of_a_file_become_a_folder_that_goes_on(stored: str, tmp_path: Path) -> None:
    """Lines say what is their own; what is there with the same facts is not made again."""
    (tmp_path / "p.csv").write_text("prompt,seconds,seed\nrain,0.05,\ndrums,,40\n")
    asked = config(prompts=str(tmp_path / "p.csv"), seconds=0.1, variations=2)
    first = making.generate(stored, asked, tmp_path / "out")
    assert [(job.path.name, job.config.seed, job.config.seconds) for job in first] == [
        ("001-rain.wav", 5, 0.05), ("002-rain.wav", 6, 0.05),
        ("003-drums.wav", 40, 0.1), ("004-drums.wav", 41, 0.1),
    ]  # fmt: skip
    assert [soundfile.info(job.path).frames for job in first] == [2205, 2205, 4410, 4410]
    assert (tmp_path / "out" / "index.html").read_text().count("<audio") == 4
    (alone,) = making.generate(stored, config(prompt="drums", seed=41, seconds=0.1), tmp_path / "one.wav")
    assert alone.path.read_bytes() == first[3].path.read_bytes()

    first[1].path.unlink()
    again = making.generate(stored, asked, tmp_path / "out")
    assert [job.was_there for job in again] == [True, False, True, True]
    with pytest.raises(UsageError, match="is there already and is not overwritten"):
        making.generate(stored, dataclasses.replace(asked, cfg_scale=3.0), tmp_path / "out")


def test_another_version_of_a_sound(stored: str, tmp_path: Path) -> None:
    """As long as it is; of little strength it is what the codec makes of it, of all strength another one."""
    soundfile.write(tmp_path / "in.wav", tone(0.3).T, RATE, subtype="FLOAT")
    made = {}
    for strength in (0.01, 0.3, 1.0):
        asked = config(prompt="rain", edit={"audio": str(tmp_path / "in.wav"), "strength": strength})
        (job,) = making.generate(stored, asked, tmp_path / f"{strength}.wav")
        made[strength] = read(job.path)
        assert facts(job.path)["edit"]["strength"] == strength
        assert "in.wav" not in json.dumps(facts(job.path))  # where it lay is nobody's business
        assert len(facts(job.path)["edit_audio_sha256"]) == 64
    model = checkpoint.load(stored)
    padded = np.pad(tone(0.3), ((0, 0), (0, model.config.num_frames - 13_230)))
    with torch.no_grad():
        mean = model.codec.encode(torch.from_numpy(padded)[None]).mean_BDL
        reconstructed = model.codec.decode(mean)[0, :, :13_230].numpy()
    reconstructed /= max(1, np.abs(reconstructed).max())
    away = [float(np.abs(audio - reconstructed).mean()) for audio in made.values()]
    assert away == sorted(away)
    assert away[0] < 0.1 * away[2]


def test_regions_are_made_anew_and_all_else_stays(stored: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", tone(0.3).T, RATE, subtype="PCM_24")
    edit = {"audio": str(tmp_path / "in.wav"), "regions": ((0.05, 0.1), (0.2, 0.25))}
    (job,) = making.generate(stored, config(prompt="rain", edit=edit, bits="float"), tmp_path / "x.wav")
    original, made = read(tmp_path / "in.wav"), read(job.path)
    assert made.shape == original.shape
    inside = np.zeros(made.shape[1], dtype=bool)
    inside[2205:4410], inside[8820:11_025] = True, True
    assert np.array_equal(made[:, ~inside], original[:, ~inside])
    assert not np.allclose(made[:, inside], original[:, inside], atol=0.01)


def test_a_sound_goes_on_behind_its_end(stored: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", tone(0.2).T, RATE, subtype="FLOAT")
    edit = {"audio": str(tmp_path / "in.wav"), "extend": True}
    asked = config(prompt="rain", edit=edit, seconds=0.35, bits="float")
    (job,) = making.generate(stored, asked, tmp_path / "x.wav")
    made = read(job.path)
    assert made.shape == (2, 15_435)
    assert np.array_equal(made[:, : 8820 - 882], tone(0.2)[:, : 8820 - 882])
    assert np.abs(made[:, 8820:]).max() > 1e-3


def test_a_sound_longer_than_the_window(stored: str, tmp_path: Path) -> None:
    asked = config(prompt="rain", seconds=0.9, beyond_window=True)
    (job,) = making.generate(stored, asked, tmp_path / "x.wav")
    assert soundfile.info(job.path).frames == 39_690


def _written(tmp_path: Path, seconds: float = 0.2) -> dict[str, Any]:
    soundfile.write(tmp_path / "in.wav", tone(seconds).T, RATE)
    return {"audio": str(tmp_path / "in.wav")}


WRONG: dict[str, tuple[Callable[[Path], dict[str, Any]], str, str]] = {
    "empty prompt": (lambda _: {"prompt": "  "}, "x.wav", "prompt: empty"),
    "longer than the window": (lambda _: {"seconds": 9.0}, "x.wav", "than the model's window; give at most"),
    "mask outside": (
        lambda tmp: {"edit": _written(tmp) | {"regions": ((0.1, 0.3),)}}, "x.wav", "lies outside of the",
    ),
    "regions of nothing": (lambda _: {"edit": {"regions": ((0.1, 0.2),)}}, "x.wav", "regions of which sound"),
    "no strength": (lambda tmp: {"edit": _written(tmp) | {"strength": 0.0}}, "x.wav", "edit.strength: 0.0"),
    "no such sound": (lambda tmp: {"edit": {"audio": str(tmp / "no.wav")}}, "x.wav", "no such file"),
    "sound beyond the window": (lambda tmp: {"edit": _written(tmp, 9.0)}, "x.wav", "give --seconds of at"),
    "several into a file": (lambda _: {"variations": 2}, "x.wav", "several sounds are asked for"),
    "no variations": (lambda _: {"variations": 0}, "x", "variations 0"),
    "both": (lambda tmp: {"prompts": str(tmp / "p.txt")}, "x", "prompt and prompts: give one of them"),
    "no such format": (lambda _: {}, "x.mp3", "want a name that ends in"),
    "too many bits": (lambda _: {"bits": "24"}, "x.ogg", "has no 24"),
    "no GPU": (lambda _: {"device": "cuda:9"}, "x.wav", "use --device cpu"),
    "both long": (lambda tmp: {"edit": _written(tmp), "beyond_window": True}, "x.wav", "do not go together"),
    "nothing behind": (lambda tmp: {"edit": _written(tmp) | {"extend": True}}, "x.wav", "give more"),
    "no steps": (lambda _: {"steps": 0}, "x.wav", "steps: 0; give at least 1"),
    "a lone byte": (lambda _: {"prompt": "a\x00b"}, "x.wav", "holds a character that is none of a text"),
    "another device": (lambda _: {"device": "meta"}, "x.wav", "only cpu and cuda"),
    "sampler": (lambda _: {"sampler": "euler"}, "x.wav", "sampler: no 'euler'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_made_is_said_before_anything_is(name: str, stored: str, tmp_path: Path) -> None:
    fields, out, told = WRONG[name]
    with pytest.raises(UsageError, match=told):
        making.generate(
            stored, config(**{"prompt": "rain", "seconds": None} | fields(tmp_path)), tmp_path / out
        )
    assert {path.name for path in tmp_path.iterdir()} <= {"in.wav"}


def test_a_stop_half_way_leaves_what_is_done_and_no_halves(stored: str, tmp_path: Path) -> None:
    class Stops:
        num = 0

        def start(self, step: str, total: int | None, unit: str = "") -> None:
            assert (step, total) == ("generate", 6)

        def advance(self, num: int) -> None:
            self.num += num
            if self.num == 3:
                raise KeyboardInterrupt

        def finish(self) -> None: ...

    asked = config(prompt="rain", seconds=0.05, variations=3)
    with pytest.raises(KeyboardInterrupt):
        making.generate(stored, asked, tmp_path / "out", Stops())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["001-rain.json", "001-rain.wav"]
    assert [job.was_there for job in making.generate(stored, asked, tmp_path / "out")] == [True, False, False]


def test_places_in_a_file_are_relative_to_it_and_options_win(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('prompt = "a"\nsteps = 3\n[edit]\naudio = "in.wav"\nstrength = 0.2\n')
    made = generation.read(str(tmp_path / "x.toml"), ["edit.strength=0.4"], {"prompt": "b", "seed": None})
    assert (made.prompt, made.steps, made.edit.strength) == ("b", 3, 0.4)
    assert made.edit.audio == str(tmp_path / "in.wav")
    assert made.seed is not None


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize("harm", [Path.unlink, _cut, lambda path: path.write_bytes(b"")])
def test_a_damaged_sound_of_a_folder_is_made_again(
    harm: Callable[[Path], object], stored: str, tmp_path: Path
) -> None:
    """Also one of a run that was killed between facts and sound."""
    asked = config(prompt="rain", seconds=0.05, variations=2)
    first, _ = making.generate(stored, asked, tmp_path / "out")
    whole = first.path.read_bytes()
    harm(first.path)
    again = making.generate(stored, asked, tmp_path / "out")
    assert [job.was_there for job in again] == [False, True]
    assert first.path.read_bytes() == whole


def test_somebody_else_s_page_is_not_overwritten(stored: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("my page")
    asked = config(prompt="rain", seconds=0.05, variations=2)
    with pytest.raises(UsageError, match="is no contact sheet, and is not overwritten"):
        making.generate(stored, asked, tmp_path)
    making.generate(stored, asked, tmp_path, overwrite=True)
    assert [job.was_there for job in making.generate(stored, asked, tmp_path)] == [True, True]


PLACES: dict[str, tuple[str, str]] = {
    "a folder": ("dir.wav", "is a folder; give another --out"),
    "facts are a folder": ("facts.wav", "facts.json: is a folder"),
    "below a file": ("file/sub/x.wav", "is a file, not a folder"),
    "a long name": (f"{'x' * 240}.wav", "give a shorter one"),
    "its own beginning": ("in.wav", "is edit.audio, which would be lost"),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_place_where_no_file_can_be_is_refused_first(name: str, stored: str, tmp_path: Path) -> None:
    (tmp_path / "dir.wav").mkdir()
    (tmp_path / "facts.json").mkdir()
    (tmp_path / "file").write_text("x")
    out, told = PLACES[name]
    edit = _written(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UsageError, match=told):
        making.generate(stored, config(prompt="rain", edit=edit), tmp_path / out, overwrite=True)
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_known_of_the_works_travels_with_a_copy(stored: str, tmp_path: Path) -> None:
    """A release that the checkpoint's works do not allow is refused of a copy too."""
    from sao_model import StableAudio

    facts = {"dataset": "x", "version": "y", "root_digest": "0" * 64, "step": 1, "shards": []}
    folder, said = tmp_path / "ckpt", json.dumps(facts).encode()
    checkpoint.save(checkpoint.load(stored), folder, files={"training_data.json": said})
    StableAudio.from_pretrained(folder, device="cpu").save_pretrained(tmp_path / "copy")
    assert (tmp_path / "copy" / "training_data.json").read_bytes() == said
