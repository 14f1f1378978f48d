"""What a run made, in numbers that add up to the number offered, and the box that shows it at the end."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

# Stages whose rejections say something about rights, not about the audio.
_JUDGED = ("decide", "match", "tags", "screen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Counts of a finished dataset. offered = kept + the sum over `rejected`."""

    name: str
    url: str
    version: str
    offered: int
    kept: int
    rejected: tuple[tuple[str, str, int], ...]  # (stage, reason, count), most first
    seconds: float
    num_samples: int
    num_shards: int
    num_bytes: int
    warnings: tuple[str, ...]
    changed: bool  # False: everything was there already
    num_unstated: int = 0  # of those a dry run would keep: recordings whose source states no length
    later: str = ""  # why some of it is not done yet, and when to run again; '' = all is done

    @property
    def reject_share(self) -> float:
        """Share of what was offered that was rejected for its audio or metadata, not for its rights."""
        technical = sum(count for stage, _, count in self.rejected if stage not in _JUDGED)
        return technical / self.offered if self.offered else 0.0


def box(summary: Summary, *, title: str, dry_run: bool = False) -> RenderableType:
    """The closing box: offered, kept, dropped by reason, what is to be known of it."""
    from rich.console import Group
    from rich.markup import escape
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    numbers = Table.grid(padding=(0, 2))
    numbers.add_column(justify="right", style="bold")
    numbers.add_column()
    numbers.add_row(f"{summary.offered:,}", "recordings offered")
    numbers.add_row(f"{summary.kept:,}", _would_keep(summary) if dry_run else _kept(summary))
    for stage, reason, count in summary.rejected:
        numbers.add_row(f"{count:,}", f"[dim]left out:[/dim] {escape(reason)} [dim]({stage})[/dim]")
    parts: list[RenderableType] = [numbers]
    warnings = (*summary.warnings, *([summary.later] if summary.later else []))
    remarks = Table.grid(padding=(0, 1))
    for warning in warnings:
        remarks.add_row("!", Text(warning), style="yellow")
    parts += [remarks] if warnings else []
    heading = escape(title)
    return Panel(Group(*parts), title=heading, title_align="left", border_style="green", expand=False)


def _kept(summary: Summary) -> str:
    size = f"{summary.num_shards} shards ({summary.num_bytes / 1e6:.1f} MB)"
    return f"kept: {_audio(summary.seconds)} of audio in {size}"


def _would_keep(summary: Summary) -> str:
    """Lengths are those that sources state, if they do."""
    if not summary.num_unstated:
        return f"would be kept: {_audio(summary.seconds)} of audio, as stated"
    if not summary.seconds:
        return "would be kept (lengths not stated)"
    lacking = f"{summary.num_unstated:,} lengths not stated"
    return f"would be kept: {_audio(summary.seconds)} of audio, as stated ({lacking})"


def _audio(seconds: float) -> str:
    return f"{seconds / 3600:.2f} h" if seconds >= 3600 else f"{seconds:.1f} s"


def where_lines(summary: Summary) -> list[str]:
    """Absolute paths of what a person wants to open."""
    from rich.markup import escape

    url = escape(summary.url)
    return [
        f"[bold]dataset[/bold]      {url}",
        f"[bold]report[/bold]       {url}/attribution/index.html",
        f"[bold]catalogue[/bold]    {url}/catalogue.parquet",
    ]


def show(summary: Summary, *, dry_run: bool = False, more: Sequence[str] = ()) -> None:
    """Print the closing box to standard output, as wide as the terminal; below it, in one piece, what a
    person copies."""
    from rich.console import Console
    from rich.markup import escape

    url = escape(summary.url)
    if dry_run:
        lines, title = [f"nothing was written; {url} is untouched"], f"{summary.name}: dry run"
    else:
        state = "made" if summary.changed else "was complete already"
        title = f"{summary.name} {state}: version {summary.version}"
        lines = [*where_lines(summary), *more, "", "[bold]next[/bold]", *map(escape, next_lines(summary.url))]
    console = Console()
    console.print(box(summary, title=title, dry_run=dry_run))
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def next_lines(url: str) -> list[str]:
    """Commands that make sense now."""
    sao = "sao" if shutil.which("sao") else shlex.quote(str(Path(sys.executable).parent / "sao"))
    where = shlex.quote(url)
    return [f"  {sao} verify {where}", f"  {sao} status {where}", f"  {sao} why {where} ID"]
