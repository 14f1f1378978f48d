"""What changed between two versions of a dataset, as one page: no script, no network, all text escaped."""

from __future__ import annotations

from dataclasses import dataclass

from sao_data import __version__
from sao_data.attribution.page import BAR, render
from sao_data.attribution.plain import count, length, one_line
from sao_data.dataset.diff import KINDS, Difference, Example

_MOST_GROUPS = 200
_GAINED = ("added", "regained")
_LOST = ("dropped", "opted_out", "removed")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindView:
    """A kind of change as the page shows it."""

    name: str
    words: str
    recordings: int
    length: str
    width: float  # of its bar, in units of a BAR
    tone: str  # CSS class
    examples: list[Example]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Foot:
    """What the foot of a page says."""

    tool_version: str
    version: str


def page(found: Difference, by: str | None) -> bytes:
    """The page."""
    most = max((tally.recordings for tally in found.kinds.values()), default=0)
    kinds = [
        KindView(
            name=kind.replace("_", " "),
            words=KINDS[kind],
            recordings=tally.recordings,
            length=length(tally.seconds) if tally.milliseconds else "",
            width=round(BAR * tally.recordings / most, 2),
            tone="kept" if kind in _GAINED else "taken" if kind in _LOST else "by",
            examples=tally.examples,
        )
        for kind, tally in found.kinds.items()
        if tally.recordings
    ]
    return render(
        "difference.html.j2",
        info=_Foot(tool_version=__version__, version=found.b.version),
        title=f"{one_line(found.b.name)}: {found.a.version} to {found.b.version}",
        found=found,
        kinds=kinds,
        groups=found.groups[:_MOST_GROUPS],
        by=by or "",
        statement=statement(found),
    )


def statement(found: Difference) -> str:
    """The difference in a sentence or two."""
    if found.is_same_version:
        return "Nothing: both are the same version."
    num = {kind: tally.recordings for kind, tally in found.kinds.items()}
    gained, lost = sum(num[kind] for kind in _GAINED), num["dropped"] + num["removed"]
    said = f"{count(gained, 'recording')} came in, {count(lost, 'recording')} went out."
    if num["opted_out"]:
        said += f" {num['opted_out']:,} of those went out because their uploaders' wishes became stricter."
    if num["relicensed"]:
        said += f" {count(num['relicensed'], 'recording')} stood under another licence than before."
    return said
