"""Sounds from a checkpoint: FILE.wav, and FILE.json that says how it was made; of many prompts or variations
a folder of them, with a sheet to hear and see them side by side.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sao_data.config import canonical
from sao_data.errors import UsageError
from sao_data.storage import checksums
from sao_model import declared, devices, edits, generation, longer, opened, samplers
from sao_model.adapters import attached
from sao_model.adapters.attached import AttachedAdapter
from sao_model.checkpoint import Description
from sao_model.edits import Edit
from sao_model.generation import Config
from sao_model.model import StableAudioModel
from sao_model.preset import Config as Shape
from sao_model.request import USUAL_SECONDS
from sao_model.request import check as check_sound
from sao_model.sounds import reading, sheet, writing
from sao_model.sounds.reading import AudioIn
from sao_model.sounds.remarks import remarks
from sao_model.training.loop import RunProgress

log = logging.getLogger(__name__)

SHEET = sheet.FILE
_MOST_TITLE = 500  # characters: readers of WAV find no tags at all where they are longer than some 2,000
_LESS_MEMORY = "give --set precision=bf16, --set batch_size=1, or --device cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundJob:
    """One sound: where it goes, what it is, and what its FILE.json will say of it."""

    path: Path
    config: Config  # prompt, seconds and seed are its own
    facts: dict[str, Any]
    remarks: tuple[str, ...] = ()  # what is wrong with it, once it is made
    was_there: bool = False


def generate(
    folder: str,
    config: Config,
    out: Path,
    progress: RunProgress | None = None,
    *,
    overwrite: bool = False,
    model: StableAudioModel | None = None,
    with_sheet: bool = True,
) -> list[SoundJob]:
    """Write the sounds, each with its facts; UsageError for what the model cannot do, before it is loaded.

    Of a folder, sounds that are there with the same facts stay: the same command goes on after a stop.
    `model`: that of `folder`, loaded and placed before. `with_sheet`: write the page of a folder.
    """
    config = generation.with_seed(config)
    generation.check(folder, config, out, overwrite=overwrite)
    if config.is_folder and with_sheet and not overwrite:
        sheet.check_free(out)
    where = devices.device(config.device)
    devices.check_precision(config.precision, where)
    samplers.named(config.sampling.sampler)
    found = opened.find(folder)
    described = found.describe()
    original = _original(config, described.config)
    adapters = attached.find(config.loras, found)
    use = declared.check_use(found.folder, config.release, _folders(adapters)) | attached.facts(adapters)
    jobs = [
        job if overwrite else _as_it_is(job, config.is_folder)
        for job in _jobs(config, described, original, use, out)
    ]
    todo = [job for job in jobs if not job.was_there]
    made = [job for job in jobs if job.was_there]
    if todo:
        with devices.memory_for(_LESS_MEMORY):
            ready = model or placed(attached.load(found, adapters), where, config.precision)
            for job, audio_CT in _audio(ready, todo, original, progress):
                made.append(_write(job, audio_CT, described, ran_on=str(where)))
    order = [job.path for job in jobs]
    made.sort(key=lambda job: order.index(job.path))
    if config.is_folder and with_sheet:
        sheet.write(out, [_shown(job) for job in made], title=described.config.name)
    return made


def is_made(folder: str, config: Config, out: Path) -> bool:
    """Was this one sound made already, by this model and these settings?"""
    found = opened.find(folder)
    described = found.describe()
    adapters = attached.find(config.loras, found)
    use = declared.facts_of_use(found.folder, config.release, _folders(adapters)) | attached.facts(adapters)
    seed = _read_facts(out).get("seed", 0) if config.seed is None else config.seed  # any will do
    return _is_whole(out) and _is_said(_jobs(replace(config, seed=seed), described, None, use, out)[0])


def _jobs(
    config: Config, described: Description, original: AudioIn | None, use: dict[str, Any], out: Path
) -> list[SoundJob]:
    """All that is asked for, checked."""
    each = [_with_length(one, described.config, original) for one in generation.one_by_one(config)]
    for one in each:
        check_sound(described.config, one.sound, beyond_window=one.beyond_window)
        edits.check_regions(one.edit.regions, one.sound.seconds)
        _check_extension(one, original, described.config)
    facts = [_facts(one, described, original) | use for one in each]
    return [
        SoundJob(path=path, config=one, facts=said)
        for path, one, said in zip(generation.paths(config, each, out), each, facts, strict=True)
    ]


def _check_extension(config: Config, original: AudioIn | None, shape: Shape) -> None:
    """UsageError where nothing lies behind the end of the sound that is to go on."""
    if config.edit.extend and original is not None:
        end = original.samples_CT.shape[1] / shape.sample_rate
        if config.sound.seconds <= end:
            raise UsageError(f"edit.extend: the sound ends at {end:.2f} s; give more --seconds than that")


def _with_length(config: Config, shape: Shape, original: AudioIn | None) -> Config:
    """The config with the length that is meant where none is given."""
    if config.seconds is not None:
        return config
    if original is not None:
        seconds, window = (
            original.samples_CT.shape[1] / shape.sample_rate,
            shape.num_frames / shape.sample_rate,
        )
        if seconds > window:
            raise UsageError(
                f"{config.edit.audio}: {seconds:.2f} s, longer than the model's window; give --seconds of at "
                f"most {window:.2f} for its beginning"
            )
        return replace(config, seconds=seconds)
    return replace(config, seconds=min(USUAL_SECONDS, shape.num_frames / shape.sample_rate))


def _original(config: Config, shape: Shape) -> AudioIn | None:
    """The sound to begin with."""
    if not config.edit.audio:
        return None
    found = reading.read(config.edit.audio, shape.sample_rate, shape.codec.num_channels)
    for remark in found.remarks:
        log.warning(remark)
    return found


def _facts(config: Config, described: Description, original: AudioIn | None) -> dict[str, Any]:
    """What decides how the sound is: equal facts, equal sound."""
    facts = canonical(config)
    assert isinstance(facts, dict)
    del facts["batch_size"]
    facts |= {"model": described.config.name, "model_digest": digests(described)}
    return facts | ({"edit_audio_sha256": original.sha256} if original else {})


def _folders(adapters: Sequence[AttachedAdapter]) -> list[Path]:
    return [each.folder for each in adapters]


def digests(described: Description) -> dict[str, str]:
    """The sha256 of every part that is stored."""
    return {name: part.sha256 for name, part in described.parts.items() if part.sha256}


def _as_it_is(job: SoundJob, in_folder: bool) -> SoundJob:
    """The job as done if its sound is there; UsageError if another one is."""
    if in_folder and _is_said(job):
        there = _is_whole(job.path)
        return replace(job, was_there=there, remarks=tuple(_read_facts(job.path)["remarks"]))
    generation.check_free(job.path, overwrite=False)
    return job


def _is_whole(path: Path) -> bool:
    """Is the sound there that its facts speak of? Not so where a run was killed between the two."""
    return path.is_file() and _read_facts(path).get("sha256") == checksums.sha256(path)


def _is_said(job: SoundJob) -> bool:
    """Do the facts beside its place say this sound?"""
    said = _read_facts(job.path)
    return bool(said) and all(said.get(key) == job.facts[key] for key in job.facts)


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(generation.facts_path(path).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _audio(
    model: StableAudioModel, jobs: Sequence[SoundJob], original: AudioIn | None, progress: RunProgress | None
) -> Iterator[tuple[SoundJob, Tensor]]:
    """Each job with its audio, in order, as soon as it is there."""
    config = jobs[0].config
    alone = model.device.type == "cpu" or config.beyond_window or config.step_cache
    together = 1 if alone else config.batch_size
    groups = [jobs[at : at + together] for at in range(0, len(jobs), together)]
    steps = sum(_num_windows(model.config, group[0].config) * config.steps for group in groups)
    if progress:
        progress.start("generate", steps, "steps")

    def advance(_done: int, _total: int) -> None:
        if progress:
            progress.advance(1)

    for group in groups:
        sounds, how = [job.config.sound for job in group], config.sampling
        if config.beyond_window:
            audio = [longer.generate(model, sounds[0], how, progress=advance)]
        else:
            edit = None if original is None else _edit(model, group[0].config, original)
            audio = model.generate(sounds, how, edit=edit, progress=advance)
        for job, audio_CT in zip(group, audio, strict=True):
            yield job, _restored(job.config, audio_CT, original, model.config.sample_rate)
    if progress:
        progress.finish()


def placed(model: StableAudioModel, where: torch.device, precision: str) -> StableAudioModel:
    """The model ready to generate; only the transformer runs in half precision: it takes the time."""
    if precision == "bf16":  # before it goes to a device that may not hold more
        frequencies = model.dit.features.weight.detach().clone()
        model.dit.to(torch.bfloat16)
        model.dit.features.weight.data = frequencies  # rounded ones would be other times
    return model.to(where).eval()


def _num_windows(shape: Shape, config: Config) -> int:
    latents = -(-round(config.sound.seconds * shape.sample_rate) // shape.codec.hop)
    return longer.num_windows(shape.num_latents, latents)


def _edit(model: StableAudioModel, config: Config, original: AudioIn) -> Edit:
    regions = _regions(config, original, model.config.sample_rate)
    samples_CT = torch.from_numpy(original.samples_CT).to(model.device)
    return edits.prepare(
        model.codec, model.config, samples_CT, strength=config.edit.strength, regions=regions
    )


def _regions(config: Config, original: AudioIn, sample_rate: int) -> edits.Regions:
    """What is made anew of the original; nothing said: all of it, by its strength."""
    end = original.samples_CT.shape[1] / sample_rate
    behind = [(end, config.sound.seconds)] if config.edit.extend and config.sound.seconds > end else []
    return [*config.edit.regions, *behind]


def _restored(config: Config, audio_CT: Tensor, original: AudioIn | None, sample_rate: int) -> Tensor:
    regions = [] if original is None else _regions(config, original, sample_rate)
    if original is None or not regions:
        return audio_CT
    return edits.restored(audio_CT, torch.from_numpy(original.samples_CT), regions, sample_rate)


def _write(job: SoundJob, audio_CT: Tensor, described: Description, *, ran_on: str) -> SoundJob:
    """The sound with its tags; its facts come first: facts without a sound mean an unfinished one."""
    samples_CT, shape, config = audio_CT.numpy(), described.config, job.config
    part = job.path.with_name(f".part-{job.path.name}")
    scale = writing.write(part, samples_CT, shape.sample_rate, bits=config.bits, tags=_tags(job, described))
    wrong = remarks(samples_CT)
    facts = job.facts | {
        "ran_on": ran_on,
        "peak": float(abs(samples_CT).max()),
        "scaled_by": round(scale, 6),
        "sha256": checksums.sha256(part),
        "remarks": list(wrong),
    }
    target = generation.facts_path(job.path)
    temporary = target.with_name(f".tmp-{target.name}")
    temporary.write_text(json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    os.replace(temporary, target)
    os.replace(part, job.path)
    return replace(job, remarks=wrong)


def _tags(job: SoundJob, described: Description) -> dict[str, str]:
    """What the file says of itself wherever it goes."""
    digest, loras = digests(described).get("dit", ""), job.facts.get("loras", [])
    comment = [
        "AI-generated",
        f"model {described.config.name}" + (f" (dit sha256 {digest[:16]})" if digest else ""),
        *(f"adapter {a['name']} (sha256 {a['sha256'][:16]}) at {a['strength']:g}" for a in loras),
        f"seed {job.config.seed}, {job.config.steps} steps, cfg_scale {job.config.cfg_scale:g}",
        f"credits: {job.config.credit or 'sao, pipelines/report.py --checkpoint'}",
    ]
    title = "".join(c if c.isprintable() else " " for c in job.config.prompt[:_MOST_TITLE])
    return {"comment": "; ".join(comment), "software": "sao", "title": title}


def _shown(job: SoundJob) -> sheet.Entry:
    config = job.config
    return sheet.Entry(
        path=job.path,
        prompt=config.prompt,
        negative_prompt=config.negative_prompt,
        seed=config.seed or 0,
        seconds=config.sound.seconds,
        remarks=job.remarks,
    )
