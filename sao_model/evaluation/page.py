"""OUT/index.html: an evaluation on one page that opens by double click: numbers, what was measured with what,
plots, and sounds to hear. It needs no network and has no script; sounds are named relative to the page.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from sao_model.evaluation import plots, results
from sao_model.evaluation.embed import EmbeddedSounds, EvaluatedClip
from sao_model.evaluation.results import EvaluationFacts
from sao_model.evaluation.scoring import ResultRow
from sao_model.monitoring.charts import shown

MEANINGS = {
    "fd": "Fréchet distance to the reference: mean and covariance",
    "kad": "kernel distance to the reference, unbiased, valid for few clips; may be below 0",
    "kl": "what a tagger hears in a clip, against its recording",
    "clap": "does the sound fit its prompt? Cosine, −1 to 1",
    "precision": "share of the sounds that lie among the reference",
    "recall": "share of the reference that lies among the sounds",
    "density": "how densely the reference lies around the sounds; about 1 where alike",
    "coverage": "share of the reference with a sound near it",
}


@functools.cache
def templates() -> Environment:
    loader = PackageLoader("sao_model.evaluation")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    pages.filters["shown"] = lambda value: "–" if value is None else shown(value)
    return pages


def write(
    out: Path,
    facts: EvaluationFacts,
    measured: EmbeddedSounds,
    reference: EmbeddedSounds,
    by_clip: Mapping[str, Mapping[str, float]],
    num_players: int,
) -> Path:
    """Write the page of an evaluation whose files are there."""
    text = (
        templates()
        .get_template("page.html.j2")
        .render(
            facts=facts,
            meanings=MEANINGS,
            groups=_groups(facts),
            histograms=[plots.histogram(name, list(each.values())) for name, each in by_clip.items()],
            scatters=_scatters(measured, reference),
            box=(plots.WIDTH, plots.HEIGHT),
            players=_players(out, measured.clips, reference.clips, by_clip, num_players),
            ranked_by=next(iter(by_clip), ""),
            num_listed=50,
        )
    )
    results.publish(out / results.PAGE, text)
    return out / results.PAGE


def _groups(facts: EvaluationFacts) -> list[dict[str, Any]]:
    """Lines of the table by embedder."""
    return [
        {"identity": each, "rows": [row for row in facts.scores if row.embedder == each.name]}
        for each in facts.embedders
    ]


def _scatters(measured: EmbeddedSounds, reference: EmbeddedSounds) -> list[plots.Scatter]:
    both = ((name, clips, reference.sets.get(name)) for name, clips in measured.sets.items())
    drawn = (plots.scatter(name, clips, other) for name, clips, other in both if other is not None)
    return [each for each in drawn if each is not None]


def _players(
    out: Path,
    clips: Sequence[EvaluatedClip],
    reference: Sequence[EvaluatedClip],
    by_clip: Mapping[str, Mapping[str, float]],
    num: int,
) -> list[dict[str, Any]]:
    """Sounds from the best to the worst by the first score that clips have, evenly over the ranks."""
    ranked = next(iter(by_clip.items()), None)
    order = [clip for clip in clips if clip.path is not None]
    if ranked is not None:
        higher = 1 if ranked[0].endswith("/clap") else -1
        order.sort(key=lambda clip: -higher * ranked[1].get(clip.key, -higher * float("inf")))
    step = max(1, len(order) / num) if num else 1
    chosen = [order[int(n * step)] for n in range(min(num, len(order)))]
    theirs = {clip.key: clip for clip in reference if clip.path is not None}
    return [
        {
            "key": clip.key,
            "prompt": clip.prompt,
            "seconds": f"{clip.seconds:.2f}",
            "file": _link(out, clip.path),
            "reference": _link(out, theirs[clip.group].path) if clip.group in theirs else "",
            "values": [(name, values[clip.key]) for name, values in by_clip.items() if clip.key in values],
        }
        for clip in chosen
    ]


def _link(out: Path, path: Path | None) -> str:
    assert path is not None
    return quote(Path(os.path.relpath(path.resolve(), out.resolve())).as_posix())


def table(rows: Sequence[ResultRow]) -> list[str]:
    """The numbers as lines of text."""
    found = []
    order = list(dict.fromkeys(row.embedder for row in rows))
    for row in sorted(rows, key=lambda row: order.index(row.embedder)):
        interval = "" if row.low is None or row.high is None else f"  [{shown(row.low)}, {shown(row.high)}]"
        against = f" against {row.num_reference}" if row.num_reference else ""
        arrow = "↓" if row.better == "lower" else "↑"
        head = f"{row.embedder:14} {row.score:10} {arrow} {shown(row.value):>9}{interval:26}"
        found.append(f"{head} n {row.num}{against}".rstrip())
        found += [f"{'':14} {each.of}: {shown(each.value)} ({each.source})" for each in row.published]
        found += [f"{'':14} note: {note}" for note in row.notes]
    return found
