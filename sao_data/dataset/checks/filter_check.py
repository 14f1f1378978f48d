"""Checking what filters decided: from the measured values, and from the filters as the manifest has them.

What a filter says of a clip follows from its row in measures.parquet. A clip that is kept and would be
rejected, or the other way round, or rejected for another reason or value, is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sao_data import config, plugins
from sao_data.dataset.reader import Dataset
from sao_data.dataset.tuning.restored import caption_of, clip_of, recording_of_row, with_works
from sao_data.measures import MeasuredClip
from sao_data.records import CatalogueRow
from sao_data.storage import layout

CURATE = "curate"
Verdict = tuple[str, str] | None  # reason and detail of a rejection
Judge = Callable[[MeasuredClip, CatalogueRow], Verdict]


def findings(dataset: Dataset) -> Iterator[str]:
    """Clips that ended otherwise than their filters say."""
    judges = [judge for item in dataset.facts["manifest"].get("filter", ()) if (judge := _judge(item))]
    if len(judges) < len(dataset.facts["manifest"].get("filter", ())):
        return  # filters that are not ours: their code is not run unasked
    for row, work in with_works(dataset):
        verdict = next((found for judge in judges if (found := judge(row, work))), None)
        ended = (row.reason, row.detail) if row.stage == CURATE else None
        if verdict != ended:
            said = f"left out as {ended[0]} ({ended[1]})" if ended else "kept by the filters"
            gives = f"{verdict[0]} ({verdict[1]})" if verdict else "that none of them rejects it"
            yield f"{layout.MEASURES}: {row.id}: {said}, and what was measured gives {gives}"


def _judge(item: dict[str, Any]) -> Judge | None:
    name = str(item["plugin"])
    if name not in plugins.names("filters"):
        return None
    module = plugins.load("filters", name)
    check = module.build(config.parse(module.Config, dict(item["config"]), where=f"filter {name}")).check
    if getattr(module, "READS_CAPTION", False):
        return lambda row, work: check(clip_of(row), recording_of_row(work, row), caption_of(row))
    return lambda row, work: check(clip_of(row), recording_of_row(work, row))
