"""What a run made, in numbers that add up to the number offered, and the box that shows it at the end."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
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
    later: str = ""  # why some of it is not done yet, and when to run again; '' = all is done

    @property
    def reject_share(self) -> float:
        """Share of what was offered that was rejected for its audio or metadata, not for its rights."""
        technical = sum(count for stage, _, count in self.rejected if stage not in _JUDGED)
        return technical / self.offered if self.offered else 0.0


def box(summary: Summary, next_commands: Iterable[str], *, title: str) -> RenderableType:
    """The closing box: offered, kept, dropped by reason, where it is, what to do next."""
    from rich.console import Group
    from rich.markup import escape
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    numbers = Table.grid(padding=(0, 2))
    numbers.add_column(justify="right", style="bold")
    numbers.add_column()
    numbers.add_row(f"{summary.offered:,}", "recordings offered")
    audio = f"{summary.seconds / 3600:.2f} h" if summary.seconds >= 3600 else f"{summary.seconds:.1f} s"
    numbers.add_row(f"{summary.kept:,}", f"kept: {audio} of audio in {summary.num_shards} shards "
                    f"({summary.num_bytes / 1e6:.1f} MB)")  # fmt: skip
    for stage, reason, count in summary.rejected:
        numbers.add_row(f"{count:,}", f"[dim]left out:[/dim] {escape(reason)} [dim]({stage})[/dim]")
    parts: list[RenderableType] = [numbers]
    warnings = (*summary.warnings, *([summary.later] if summary.later else []))
    parts += [Text(f"! {warning}", style="yellow") for warning in warnings]
    parts.append(Text())
    parts += [Text.from_markup(line) for line in next_commands]
    heading = escape(title)
    return Panel(Group(*parts), title=heading, title_align="left", border_style="green", expand=False)


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
    """Print the closing box to standard output."""
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
    if not console.is_terminal:  # a log has no width; paths must stay in one piece
        console.width = max(100, max(len(line) for line in (*lines, *summary.warnings)) + 8)
    console.print(box(summary, lines, title=title))


def next_lines(url: str) -> list[str]:
    """Commands that make sense now."""
    sao = "sao" if shutil.which("sao") else shlex.quote(str(Path(sys.executable).parent / "sao"))
    where = shlex.quote(url)
    return [f"  {sao} verify {where}", f"  {sao} status {where}", f"  {sao} why {where} ID"]
