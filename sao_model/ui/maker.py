"""One generation at a time: its progress, and a stop that leaves nothing half-written."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from sao_data.errors import Stopped
from sao_model import devices, generation, making, opened
from sao_model.adapters import attached
from sao_model.generation import Config
from sao_model.making import SoundJob
from sao_model.model import StableAudioModel
from sao_model.ui import history

_BETWEEN = 0.3  # s, from one look at the progress to the next
_LESS_MEMORY = "ask for fewer variations at once, or start the page with --device cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """How far a generation is."""

    words: str
    done: int = 0
    total: int = 0  # 0 = not known yet
    jobs: tuple[SoundJob, ...] = ()  # once they are made


@dataclass(slots=True, kw_only=True)
class _Watch:
    """The progress of one generation, read by one thread and written by another."""

    stop: threading.Event = field(default_factory=threading.Event)
    words: str = "waiting for the sound before it"
    done: int = 0
    total: int = 0
    began: float = 0.0

    def start(self, step: str, total: int | None, unit: str = "steps") -> None:
        self.words, self.total, self.began = unit, total or 0, time.monotonic()
        self.check()

    def advance(self, num: int) -> None:
        self.done += num
        self.check()

    def finish(self) -> None:
        self.words = "writing"

    def check(self) -> None:
        """Between two steps nothing is open: here a generation ends."""
        if self.stop.is_set():
            raise Stopped("stopped; what was not finished is not kept")

    def update(self) -> Update:
        words = self.words
        if words == "steps":
            words = f"step {self.done:,} of {self.total:,}{self._left()}"
        return Update(words=words, done=self.done, total=self.total)

    def _left(self) -> str:
        if not self.done:
            return ""
        seconds = (time.monotonic() - self.began) / self.done * (self.total - self.done)
        return f", about {seconds:.0f} s left" if seconds < 120 else f", about {seconds / 60:.0f} min left"


class Maker:
    """Makes sounds of one model into one folder; the model is loaded with the first of them and stays."""

    def __init__(
        self,
        folder: str,
        out: Path,
        *,
        device: str = "",
        precision: Literal["fp32", "bf16"] = "fp32",
        loras: tuple[str, ...] = (),
    ) -> None:
        self.out = out
        self.device = device
        self.precision = precision
        self._folder, self._loras = folder, loras
        self._model: StableAudioModel | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="generate")
        self._watched: dict[str, _Watch] = {}  # by who asked

    def make(self, who: str, config: Config) -> Iterator[Update]:
        """Updates until it is made, the last with the sounds; raises what the generation raises, Stopped
        after a `stop`. Whoever stops listening stops it."""
        watch = self._watched[who] = _Watch()
        made = self._thread.submit(self._make, config, watch)
        try:
            while not wait_for([made], timeout=_BETWEEN).done:
                yield watch.update()
            yield Update(words="done", jobs=tuple(_result(made)))
        finally:
            watch.stop.set()
            made.cancel()
            if self._watched.get(who) is watch:
                del self._watched[who]

    def stop(self, who: str) -> None:
        """Stop what this one asked for, after the step that is under way."""
        watch = self._watched.get(who)
        if watch is not None:
            watch.stop.set()

    def close(self) -> None:
        """Stop everything and wait until it has ended."""
        for watch in list(self._watched.values()):
            watch.stop.set()
        self._thread.shutdown(cancel_futures=True)

    def _make(self, config: Config, watch: _Watch) -> list[SoundJob]:
        watch.check()
        config = replace(config, loras=self._loras)
        with devices.memory_for(_LESS_MEMORY):
            path = history.next_path(self.out, config)
            generation.check(self._folder, config, path)
            if self._model is None:
                watch.words = "loading the model, once"
                where = devices.device(self.device)
                devices.check_precision(self.precision, where)
                found = opened.find(self._folder)
                model = attached.load(found, attached.find(self._loras, found))
                self._model = making.placed(model, where, self.precision)
            watch.words = "preparing"
            return making.generate(self._folder, config, path, watch, model=self._model)


def _result(made: Future[list[SoundJob]]) -> list[SoundJob]:
    try:
        return made.result()
    except CancelledError as error:
        raise Stopped("stopped before it began") from error
