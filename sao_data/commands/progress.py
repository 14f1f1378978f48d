"""How far a run is: a bar with an estimate on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

log = logging.getLogger(__name__)

_WORDS = {
    "list": "listing what is offered",
    "judge": "judging licences and wishes",
    "prepare": "deciding, decoding, measuring",
    "compare": "comparing works with each other",
    "screen": "asking whose music it is",
    "pack": "writing shards",
    "publish": "writing tables and report",
    "train": "training",
    "encode": "encoding",
    "generate": "generating",
    "measure": "measuring",
}
_SECONDS_BETWEEN_LINES = 5.0


def make() -> TerminalProgress | LogProgress:
    """Bars on stderr where a person is looking, log lines where not."""
    console = Console(stderr=True)
    level = logging.WARNING if console.is_terminal else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    return TerminalProgress(console) if console.is_terminal else LogProgress()


class TerminalProgress:
    """A bar per step."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(*_columns(console.width), console=console)
        self._task: TaskID | None = None

    def start(self, step: str, total: int | None, unit: str = "recordings") -> None:
        self._bars.start()
        self._task = self._bars.add_task(_WORDS.get(step, step), total=total)

    def advance(self, num: int) -> None:
        if self._task is not None:
            self._bars.advance(self._task, num)

    def finish(self) -> None:
        if self._task is not None:
            done = self._bars.tasks[self._task].completed
            self._bars.update(self._task, total=max(done, 1), completed=max(done, 1))
            self._task = None

    def close(self) -> None:
        self._bars.stop()


def _columns(width: int) -> list[ProgressColumn]:
    """What a bar's line shows in a terminal of so many columns: what does not fit is left out."""
    name: list[ProgressColumn] = [
        SpinnerColumn(finished_text="[green]✓[/green]"),
        TextColumn("{task.description}"),
    ]
    if width < 80:
        return [*name, TaskProgressColumn()]
    return [
        *name,
        *([BarColumn(bar_width=28)] if width >= 110 else []),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]so far,[/dim]"),
        TimeRemainingColumn(),
        TextColumn("[dim]left[/dim]"),
    ]


class LogProgress:
    """A log line when a step begins, every few seconds, and when it ends."""

    def __init__(self) -> None:
        self._step = self._unit = ""
        self._total: int | None = None
        self._done = self._before = 0
        self._began = self._spoke = 0.0

    def start(self, step: str, total: int | None, unit: str = "recordings") -> None:
        self._step, self._total, self._done, self._before = _WORDS.get(step, step), total, 0, 0
        self._unit = unit
        self._began = self._spoke = time.monotonic()
        log.info("%s …", self._step)

    def advance(self, num: int) -> None:
        if self._done == 0 and time.monotonic() - self._began < 0.5 and self._total:
            self._before = num  # what was done before this run says nothing about its speed
        self._done += num
        if time.monotonic() - self._spoke >= _SECONDS_BETWEEN_LINES:
            self._spoke = time.monotonic()
            log.info("%s: %s%s", self._step, self._fraction(), self._left())

    def finish(self) -> None:
        log.info("%s: %s in %.1f s", self._step, self._fraction() or "done", time.monotonic() - self._began)

    def close(self) -> None:
        """Nothing is open."""

    def _fraction(self) -> str:
        return (
            f"{self._done:,} of {self._total:,} {self._unit}"
            if self._total
            else f"{self._done:,}" * bool(self._done)
        )

    def _left(self) -> str:
        now_done = self._done - self._before
        if not self._total or now_done <= 0:
            return ""
        seconds = (time.monotonic() - self._began) / now_done * (self._total - self._done)
        return f", about {seconds:.0f} s left" if seconds < 120 else f", about {seconds / 60:.0f} min left"
