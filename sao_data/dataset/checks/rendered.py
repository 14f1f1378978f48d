"""Checking what is rendered: report, card, Croissant and statistics follow from the tables and dataset.json,
and are made again. So an edited or missing one is told although no root digest covers it.
"""

from __future__ import annotations

from collections.abc import Iterator

from sao_data import __version__
from sao_data.attribution.figures.tally import statistics_of
from sao_data.dataset.commit import info_of, report_files
from sao_data.dataset.reader import Dataset


def findings(dataset: Dataset) -> Iterator[str]:
    """Files that are not what the tables give."""
    facts, rows, shards = dataset.facts, list(dataset.catalogue()), dataset.shards()
    warnings = tuple(facts.get("warnings", ()))
    info = info_of(facts["manifest"], rows, shards, facts["root_digest"], warnings)
    found = statistics_of(rows, list(dataset.measures()) if dataset.has_measures else None)
    try:
        pages = list(report_files(info, rows, found))
    except ValueError as error:  # a number that no JSON holds
        yield f"report and card cannot be made of these tables: {error}"
        return
    for name, data in pages:
        if not dataset.storage.exists(name):
            yield f"{name}: missing; the tables give it"
        elif dataset.storage.read(name) != data:
            yield f"{name}: not what the tables give: edited since, or made by another sao"


def notes(dataset: Dataset) -> Iterator[str]:
    """Why files may differ that nobody has edited."""
    tool = str(dataset.facts.get("tool", ""))
    if tool != f"sao {__version__}":
        made = tool or "a version that is not stated"
        yield f"made by {made}: report and card cannot be made again by sao {__version__}"


def is_ours(dataset: Dataset) -> bool:
    """Was it rendered by this version, whose words these files have?"""
    return str(dataset.facts.get("tool", "")) == f"sao {__version__}"
