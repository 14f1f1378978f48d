"""Two evaluations side by side: every score of both, and the second less the first with an interval.

Only prompts that both have count, pair by pair: what a prompt does to both falls out. Distances between sets
are resampled together, the same clips drawn from both (intervals.of_statistic). Evaluations by other
protocols, embedders or references are refused: their numbers do not compare.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sao_data.errors import UsageError
from sao_model.evaluation import page, protocol, results, scoring
from sao_model.evaluation.embedding import check_same
from sao_model.evaluation.results import EvaluationFacts
from sao_model.evaluation.settings import Config
from sao_model.metrics.embedded import Better, EmbeddedSet, Score, ScoreRow
from sao_model.monitoring.charts import shown

PAGE = "compare.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedScore:
    """One score of both."""

    embedder: str
    score: str
    first: float
    second: float
    difference: float  # second less first
    low: float | None  # 95 % interval; None = there is none
    high: float | None
    num: int  # clips that both have
    better: Better
    unit: str
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Which is better, where the interval says so."""
        if self.low is None or self.high is None:
            return "no interval"
        if self.low <= 0 <= self.high:
            return "no difference seen"
        return "second is better" if (self.difference < 0) == (self.better == "lower") else "first is better"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two evaluations."""

    first: EvaluationFacts
    second: EvaluationFacts
    num_shared: int
    scores: tuple[ComparedScore, ...]


def compare(first: Path, second: Path, num_resamples: int = 100) -> Comparison:
    """UsageError where they do not compare."""
    one, other = results.read(first), results.read(second)
    _check(one, other, first, second)
    rows: list[ComparedScore] = []
    num_shared = 0
    for identity in one.embedders:
        if identity.name not in {each.name for each in other.embedders}:
            continue
        sets = [results.read_set(folder, identity.name, "measured") for folder in (first, second)]
        there = set(sets[1].keys)
        keys = [key for key in sets[0].keys if key in there]
        if not keys:
            raise UsageError(
                f"{first} and {second}: no sound of either answers a prompt of the other; "
                "want the same prompts"
            )
        num_shared = max(num_shared, len(keys))
        reference = results.read_set(first, identity.name, "reference") if one.reference else None
        rows += _rows(sets[0].only(keys), sets[1].only(keys), reference, one, num_resamples)
    return Comparison(first=one, second=other, num_shared=num_shared, scores=tuple(rows))


def lines(found: Comparison) -> list[str]:
    """The comparison as text."""
    head = f"first: {found.first.measured.what}; second: {found.second.measured.what}; "
    said = [f"{head}{found.num_shared} sounds of the same prompts"]
    for row in found.scores:
        interval = "" if row.low is None or row.high is None else f"[{shown(row.low)}, {shown(row.high)}]"
        values = f"{shown(row.first):>9} {shown(row.second):>9} {shown(row.difference):>10} {interval:24}"
        said.append(f"{row.embedder:14} {row.score:10} {values} {row.verdict}")
        said += [f"{'':14} note: {note}" for note in row.notes]
    return said


def as_json(found: Comparison) -> str:
    """The numbers as one JSON object."""
    table = {
        "first": found.first.measured.what,
        "second": found.second.measured.what,
        "protocol": asdict(found.first.protocol),
        "num_shared": found.num_shared,
        "scores": [asdict(row) | {"verdict": row.verdict} for row in found.scores],
    }
    return json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False)


def write(found: Comparison, path: Path) -> None:
    """The comparison as a page."""
    template = page.templates().get_template("compare.html.j2")
    results.publish(path, template.render(found=found, meanings=page.MEANINGS))


def _check(one: EvaluationFacts, other: EvaluationFacts, first: Path, second: Path) -> None:
    both = f"{first} and {second}"
    if one.protocol != other.protocol:
        names = f"{one.protocol.name} ({one.protocol.digest[:8]}, {one.protocol.seconds:g} s)"
        theirs = f"{other.protocol.name} ({other.protocol.digest[:8]}, {other.protocol.seconds:g} s)"
        raise UsageError(
            f"{both}: measured by two protocols, {names} and {theirs}, or other lists of prompts"
        )
    mine, his = ({each.name: each for each in facts.embedders} for facts in (one, other))
    shared = sorted(mine.keys() & his.keys())
    if not shared:
        raise UsageError(f"{both}: no embedder measured both ({', '.join(mine)}; {', '.join(his)})")
    for name in shared:
        check_same(mine[name], his[name], both)
    references = [facts.reference.digest if facts.reference else "" for facts in (one, other)]
    if references[0] != references[1]:
        raise UsageError(f"{both}: measured against two references; evaluate both against the same one")


def _rows(
    first: EmbeddedSet,
    second: EmbeddedSet,
    reference: EmbeddedSet | None,
    facts: EvaluationFacts,
    num_resamples: int,
) -> list[ComparedScore]:
    """Every score that both have."""
    rule = protocol.EvaluationProtocol(
        name=facts.protocol.name,
        title=facts.protocol.title,
        over="windows" if facts.protocol.over == "windows" else "clips",
        scores=tuple(facts.protocol.scores),
    )
    found = []
    for each in scoring.scores(rule, Config(num_resamples=num_resamples)).values():
        if scoring.can(each, first, reference) and scoring.can(each, second, reference):
            found += _of_score(each, first, second, reference)
    return found


def _of_score(
    each: Score, first: EmbeddedSet, second: EmbeddedSet, reference: EmbeddedSet | None
) -> list[ComparedScore]:
    values = [{row.name: row for row in each.measure(clips, reference)} for clips in (first, second)]
    return [
        _compared(row, values[0][row.name], values[1][row.name], first.identity.name)
        for row in each.difference(first, second, reference)
        if row.name in values[0] and row.name in values[1]
    ]


def _compared(row: ScoreRow, one: ScoreRow, other: ScoreRow, embedder: str) -> ComparedScore:
    estimate = row.estimate
    return ComparedScore(
        embedder=embedder,
        score=row.name,
        first=one.estimate.value,
        second=other.estimate.value,
        difference=estimate.value,
        low=_bound(estimate.low),
        high=_bound(estimate.high),
        num=estimate.num,
        better=row.better,
        unit=row.unit,
        notes=_notes((row, one, other)),
    )


def _bound(value: float) -> float | None:
    return None if math.isnan(value) else value


def _notes(rows: Sequence[ScoreRow]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for row in rows for note in row.notes))
