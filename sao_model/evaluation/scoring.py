"""Every score of a protocol by every embedder that can give it; what others got, where it is the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, cast

from sao_data import plugins
from sao_data.errors import UsageError
from sao_model.evaluation.embedding import MissingEmbedder, check_same
from sao_model.evaluation.protocol import EvaluationProtocol, PublishedNumber
from sao_model.evaluation.settings import Config
from sao_model.metrics.embedded import Better, EmbeddedSet, Score, ScoreRow

_WITHIN = "sao_model.metrics"
_TAGGED = "a tagger (ast_audioset), and recordings to hold the sounds against"
_NEEDED = {
    "reference": "a reference",
    "logits": _TAGGED,
    "texts": "an embedder that knows texts (clap), and prompts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One line of the table."""

    embedder: str
    score: str
    value: float
    low: float | None  # 95 % interval; None = there is none
    high: float | None
    num: int
    num_reference: int
    better: Better
    unit: str
    notes: tuple[str, ...] = ()
    published: tuple[PublishedNumber, ...] = ()  # of the same, by others


@dataclass(slots=True, kw_only=True)
class Scored:
    """All lines, the values of each clip, and what is not there."""

    rows: list[ResultRow] = field(default_factory=list)
    by_clip: dict[str, Mapping[str, float]] = field(default_factory=dict)  # "clap/clap" -> key -> value
    not_measured: list[str] = field(default_factory=list)
    not_comparable: list[str] = field(default_factory=list)


def scores(protocol: EvaluationProtocol, config: Config) -> dict[str, Score]:
    """The protocol's scores by name."""
    found = {}
    for name in protocol.scores:
        module = plugins.load("scores", name, where=f"{protocol.name}: scores", within=_WITHIN)
        found[name.rpartition(".")[2]] = cast("Score", module.build(_settings(module, protocol, config)))
    return found


def score(
    measured: Mapping[str, EmbeddedSet],
    reference: Mapping[str, EmbeddedSet],
    missing: Iterable[MissingEmbedder],
    protocol: EvaluationProtocol,
    config: Config,
    *,
    is_whole: bool,
) -> Scored:
    """`is_whole`: are these all the prompts of the protocol? Else nothing that is published compares."""
    found, without = Scored(), [f"embedder {each.name}: {each.why}" for each in missing]
    for name, each in scores(protocol, config).items():
        rows = 0
        for embedder, clips in measured.items():
            other = reference.get(embedder)
            if other is not None:
                check_same(clips.identity, other.identity, f"{name} of {embedder}")
            if not can(each, clips, other):
                continue
            for row in each.measure(clips, other):
                rows += 1
                found.rows.append(_row(row, clips, other, protocol, is_whole=is_whole))
                if row.by_key:
                    found.by_clip[f"{embedder}/{row.name}"] = row.by_key
        if not rows:
            found.not_measured.append(f"{name}: {_why(each, measured, reference)}")
    found.not_measured += without
    found.not_comparable = _not_comparable(found.rows, protocol, is_whole=is_whole)
    return found


def can(each: Score, measured: EmbeddedSet, reference: EmbeddedSet | None) -> bool:
    """Is there what a score needs?"""
    needs = each.needs
    if "reference" in needs and reference is None:
        return False
    if "logits" in needs and not (measured.logits and reference is not None and reference.logits):
        return False
    return "texts" not in needs or any(len(text) for text in measured.texts)


def _settings(module: ModuleType, protocol: EvaluationProtocol, config: Config) -> Any:
    """Those of a score's settings that the protocol and the evaluation decide."""
    known, name = module.Config.__dataclass_fields__, module.__name__.rpartition(".")[2]
    given: dict[str, object] = {"over": protocol.over} if "over" in known else {}
    if name in ("fd", "kad"):
        given["num_resamples"] = config.num_resamples
    return module.Config(**given)


def _row(
    row: ScoreRow,
    clips: EmbeddedSet,
    reference: EmbeddedSet | None,
    protocol: EvaluationProtocol,
    *,
    is_whole: bool,
) -> ResultRow:
    same = [n for n in protocol.published if (n.score, n.embedder) == (row.name, clips.identity.model)]
    return ResultRow(
        embedder=clips.identity.name,
        score=row.name,
        value=row.estimate.value,
        low=_bound(row.estimate.low),
        high=_bound(row.estimate.high),
        num=row.estimate.num,
        num_reference=len(reference.keys) if reference is not None and row.name != "clap" else 0,
        better=row.better,
        unit=row.unit,
        notes=row.notes,
        published=tuple(same) if is_whole else (),
    )


def _bound(value: float) -> float | None:
    return None if math.isnan(value) else value


def _why(each: Score, measured: Mapping[str, EmbeddedSet], reference: Mapping[str, EmbeddedSet]) -> str:
    """Why a score has no line."""
    if "reference" in each.needs and not reference:
        return "needs a reference: give --reference FOLDER, or --data DIR"
    if any(can(each, clips, reference.get(name)) for name, clips in measured.items()):
        return "too few clips (fd needs 2, kad 3, prdc 6 on each side), or all of them are the same"
    unmet = sorted(each.needs - {"reference"}) or sorted(each.needs)
    return "needs " + " and ".join(_NEEDED[need] for need in unmet)


def _not_comparable(rows: Sequence[ResultRow], protocol: EvaluationProtocol, *, is_whole: bool) -> list[str]:
    """Once for each score why the numbers that are published do not stand beside ours."""
    said = []
    for name in dict.fromkeys(each.score for each in protocol.published):
        if any(row.score == name and row.published for row in rows):
            continue
        used = sorted({each.embedder for each in protocol.published if each.score == name})
        if not is_whole:
            said.append(
                f"{name}: the published numbers are of the whole protocol (prompts, seconds), these of a part"
            )
        else:
            said.append(
                f"{name}: the published numbers are of {', '.join(used)}, with which nothing is measured here"
            )
    return said


def with_precomputed(
    sets: dict[str, EmbeddedSet], given: Sequence[EmbeddedSet], clips: Mapping[str, str], what: str
) -> None:
    """Put embeddings made elsewhere beside ours, those of the clips that count; `clips`: key -> group."""
    for each in given:
        if each.identity.name in sets:
            raise UsageError(
                f"embedded_{what}: {each.identity.name} is there already; give it another name in its "
                "identity"
            )
        keys = [key for key in each.keys if key in clips] if clips else list(each.keys)
        if not keys:
            raise UsageError(
                f"embedded_{what}: none of its {len(each.keys)} keys is a sound's here, first "
                f"{each.keys[0]!r}; keys are file names without suffix"
            )
        chosen = each.only(keys)
        groups = tuple(clips.get(key, group) for key, group in zip(chosen.keys, chosen.groups, strict=True))
        sets[each.identity.name] = replace(chosen, groups=groups)
