"""The whole evaluation, in its order: prompts, sounds, reference, embeddings, scores, files, page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sao_data.dataset.reader import open_dataset
from sao_data.errors import MatchedNothing, UsageError
from sao_model.evaluation import (
    embed,
    embeddings,
    generated,
    matching,
    page,
    protocol,
    results,
    scoring,
    sounds,
)
from sao_model.evaluation.embed import Cache, EmbeddedSounds
from sao_model.evaluation.embedding import MapUnits, NamedEmbedder, at_hand, in_this_process
from sao_model.evaluation.matching import MatchedSounds
from sao_model.evaluation.memorisation import asking, writing
from sao_model.evaluation.protocol import EvaluationProtocol, Prompt
from sao_model.evaluation.results import EvaluationFacts, ProtocolFacts
from sao_model.evaluation.settings import Config
from sao_model.training.loop import RunProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationJob:
    """What is to be evaluated."""

    protocol: EvaluationProtocol
    config: Config
    out: Path
    model: str = ""  # a checkpoint, or …
    sounds: str = ""  # … a folder
    reference: str = ""  # a folder
    data: str = ""  # a dataset directory or URL


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    measured: EmbeddedSounds
    reference: EmbeddedSounds
    notes: tuple[str, ...]  # of what is measured
    reference_notes: tuple[str, ...]


def evaluate(
    job: EvaluationJob, progress: RunProgress, map_units: MapUnits = in_this_process
) -> EvaluationFacts | None:
    """Publish job.out, sounds embedded by `map_units`; None in a process that only helped to generate."""
    _check(job)
    embedders, missing = at_hand(job.config)
    every = _prompts(job)
    prompts = protocol.chosen(every, job.config.num_prompts)
    seconds = generated.cut(job.protocol, job.model)
    making = job.config.generating
    if job.model and not generated.generate(job.model, prompts, making, job.out, progress, seconds=seconds):
        return None
    sides = _sides(job, prompts, embedders, progress, map_units, seconds=seconds)
    scored = scoring.score(
        sides.measured.sets,
        sides.reference.sets,
        missing,
        job.protocol,
        job.config,
        is_whole=len(prompts) == len(every) == (job.protocol.expected_prompts or len(every))
        and seconds >= job.protocol.seconds,  # a model's window may be shorter
    )
    facts = _facts(job, prompts, sides, scored, seconds)
    if job.config.memorisation.enabled:
        facts = replace(facts, memorisation=_neighbours(job, prompts, embedders, progress))
    results.write(job.out, facts, sides.measured, sides.reference.sets, scored.by_clip)
    page.write(job.out, facts, sides.measured, sides.reference, scored.by_clip, job.config.num_players)
    return facts


def _check(job: EvaluationJob) -> None:
    """UsageError for what is wrong whatever the sounds are."""
    if bool(job.model) == bool(job.sounds):
        raise UsageError("give one of --model CKPT (generate, then score) and --sounds FOLDER (score)")
    asks_whose = job.config.memorisation.enabled
    if asks_whose and not job.data:
        raise UsageError("memorisation: near to whose works? Give --data DIR, the dataset trained on")
    if job.protocol.source == "captions" and job.data and not asks_whose:
        raise UsageError(f"--data: the prompts of {job.protocol.name} are no dataset's; leave it out")
    if job.protocol.source == "dataset" and not (job.data or job.reference):
        raise UsageError(
            f"{job.protocol.name}: against what? Give --data DIR, a dataset with the series "
            f"{job.protocol.series}, or --reference FOLDER"
        )
    if job.model and job.config.prompts:
        raise UsageError("prompts: are those of --sounds; with --model they come from the protocol")
    scoring.scores(job.protocol, job.config)
    results.check_free(job.out)


def _prompts(job: EvaluationJob) -> list[Prompt]:
    """All of the protocol's."""
    if job.protocol.source == "captions":
        return protocol.prompts_of_file(job.protocol, job.config)
    if job.data:
        return sounds.prompts_of(open_dataset(job.data), job.protocol.series)
    items = sounds.of_folder(Path(job.reference))
    found = [Prompt(key=each.key, text=each.prompt, group=each.key) for each in items if each.prompt]
    if job.model and not found:
        raise UsageError(
            f"{job.reference}: no prompts to generate from (no FILE.json beside any sound); give --data DIR"
        )
    return found


def _sides(
    job: EvaluationJob,
    prompts: list[Prompt],
    embedders: Sequence[NamedEmbedder],
    progress: RunProgress,
    map_units: MapUnits,
    *,
    seconds: float,
) -> _Sides:
    """Both sets, read and embedded."""
    ours, theirs = _measured(job, prompts), _reference(job, prompts)
    cache = Cache(Path(job.config.cache) if job.config.cache else job.out / "embeddings")
    found = {
        what: embed.embed(
            matched.items,
            embedders,
            job.protocol,
            cache,
            progress,
            what=what,
            seconds=seconds,
            map_units=map_units,
        )
        for what, matched in (("reference", theirs), ("measured", ours))
    }
    measured, reference = found["measured"], found["reference"]
    if not measured.clips:
        some = measured.left_out[0]
        raise MatchedNothing(
            f"{_what(job)}: none of {len(measured.left_out)} sounds can be used, e.g. {some.key}: "
            f"{some.reason} ({some.detail})"
        )
    for side, given in (
        ("measured", job.config.embedded_measured),
        ("reference", job.config.embedded_reference),
    ):
        clips = {clip.key: clip.group for clip in found[side].clips}
        scoring.with_precomputed(found[side].sets, [embeddings.read(each) for each in given], clips, side)
    return _Sides(measured=measured, reference=reference, notes=ours.notes, reference_notes=theirs.notes)


def _neighbours(
    job: EvaluationJob,
    prompts: list[Prompt],
    embedders: Sequence[NamedEmbedder],
    progress: RunProgress,
) -> str:
    """Publish whose works the sounds are near to; the summary."""
    dataset, wanted = open_dataset(job.data), job.config.memorisation
    cache = Path(job.config.cache) if job.config.cache else job.out / "embeddings"
    found = asking.ask(_measured(job, prompts).items, dataset, embedders, wanted, cache, progress)
    writing.write(job.out, found, dataset, wanted)
    return found.summary


def _measured(job: EvaluationJob, prompts: list[Prompt]) -> MatchedSounds:
    if not job.model:
        items = sounds.of_folder(Path(job.sounds), job.config.prompts)
        return matching.to_prompts(items, prompts)
    names = {generated.name_of(each.key) for each in prompts}  # others are of a run with more prompts
    made = sounds.of_folder(job.out / generated.SOUNDS)
    return matching.to_prompts([each for each in made if each.key in names], prompts)


def _reference(job: EvaluationJob, prompts: list[Prompt]) -> MatchedSounds:
    if job.reference:
        items = sounds.of_folder(Path(job.reference))
        if job.protocol.source == "captions":
            return matching.to_groups(items, prompts, job.protocol)
        return MatchedSounds(items=items, notes=())
    if job.data:
        return MatchedSounds(items=sounds.of_series(open_dataset(job.data), job.protocol.series), notes=())
    return MatchedSounds(items=[], notes=())


def _what(job: EvaluationJob) -> str:
    """What is measured, by its name: no path."""
    return (
        f"model {Path(job.model).resolve().name}"
        if job.model
        else f"folder {Path(job.sounds).resolve().name}"
    )


def _facts(
    job: EvaluationJob, prompts: list[Prompt], sides: _Sides, scored: scoring.Scored, seconds: float
) -> EvaluationFacts:
    rule, theirs = job.protocol, None
    notes = list(sides.notes)
    if rule.expected_prompts and len(prompts) != rule.expected_prompts:
        notes.append(f"{len(prompts)} prompts; the published numbers are of {rule.expected_prompts}")
    if sides.reference.clips:
        name = f"folder {Path(job.reference).resolve().name}" if job.reference else f"series {rule.series}"
        theirs = results.facts_of(sides.reference, name, sides.reference_notes)
    return EvaluationFacts(
        protocol=ProtocolFacts(
            name=rule.name,
            title=rule.title,
            digest=rule.digest,
            seconds=round(seconds, 6),
            over=rule.over,
            scores=rule.scores,
            files=protocol.file_digests(job.config),
        ),
        num_prompts=len(prompts),
        measured=results.facts_of(sides.measured, _what(job), notes),
        reference=theirs,
        embedders=tuple(each.identity for each in sides.measured.sets.values()),
        scores=tuple(scored.rows),
        not_measured=tuple(scored.not_measured),
        not_comparable=tuple(scored.not_comparable),
        sampled=_sampled(job),
    )


def _sampled(job: EvaluationJob) -> dict[str, str | int | float]:
    """How the model made its sounds, and which it is."""
    if not job.model:
        return {}
    given = job.config.generating
    return {
        "steps": given.steps,
        "cfg_scale": given.cfg_scale,
        "sampler": given.sampler,
        "precision": given.precision,
        **generated.model_facts(job.model),
    }
