"""What a training loop does besides learning: steps, skips, when what is due, checkpoints, the end."""

from __future__ import annotations

import contextlib
import logging
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from sao_data.errors import IntegrityError, Stopped, UsageError
from sao_data.loading.samples import Window
from sao_data.loading.stream import Stream, StreamBatch, StreamedSample
from sao_model import run, weights
from sao_model.monitoring import journal, logs, page, trackers
from sao_model.monitoring.journal import Journal
from sao_model.training import processes, sharding, state
from sao_model.training.saving import Saver
from sao_model.training.state import Learner, LoopState
from sao_model.training.stopping import Stop

log = logging.getLogger(__name__)

_FORGOTTEN = 100  # times most_skipped good steps, after which returns do not count any more
Write = Callable[[Path, dict[str, Tensor]], None]  # a checkpoint, from copied tensors


class RunProgress(Protocol):
    """Shows how far a run is."""

    def start(self, step: str, total: int | None, unit: str = ...) -> None: ...
    def advance(self, num: int) -> None: ...
    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long, and how often what; 0 = never."""

    steps: int = 1000
    log_every: int = 10
    save_every: int = 500
    sample_every: int = 0
    validate_every: int = 0
    keep_last: int = 3  # checkpoints; older ones go once a newer one stands
    keep_best: int = 1  # … but for the best by the validation loss of the averaged weights
    overfit: bool = False  # the first batch at every step, with the same noise: its loss must fall
    most_skipped: int = 10  # steps in a row that are not finite, before weights go back to a checkpoint
    most_rollbacks: int = 2  # times that weights go back, before the run ends

    def __post_init__(self) -> None:
        least = {"steps": 1, "keep_last": 1, "keep_best": 0, "most_skipped": 1, "most_rollbacks": 0}
        for name, wanted in least.items():
            if getattr(self, name) < wanted:
                raise UsageError(f"pace.{name}: {getattr(self, name)}; want at least {wanted}")
        if self.overfit and self.save_every:
            raise UsageError("pace.overfit is a check and cannot be continued: it needs pace.save_every = 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """What a process has in memory at a time, of its part of a batch."""

    samples: tuple[StreamedSample, ...]
    audio: Window
    is_last: bool


class Loop:
    """One run, seen from one of its processes; only the main one writes."""

    def __init__(
        self,
        out: Path,
        accelerator: Accelerator,
        config: Any,
        pace: Pace,
        progress: RunProgress,
        begun: LoopState | None = None,
    ) -> None:
        self.out = out.absolute()
        self.pace = pace
        self.state = begun or LoopState()
        self.accelerator = accelerator
        self.journal = Journal(self.out, accelerator, pace.steps)
        self.timed = self.journal.timed
        self._config = config
        self._progress = progress
        self._first: StreamBatch | None = None
        self._stop, self._saver = Stop(), Saver()
        self._is_stopping = False

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Make the folder, keep the log up to the state, listen for signals, show the progress."""
        alone = processes.locked_run(self.out, self.accelerator)
        with processes.ending_together(), alone, self._stop.listening():
            processes.from_main(self.accelerator, self._check_alone)
            if self.accelerator.is_main_process:
                self.out.mkdir(parents=True, exist_ok=True)
                run.clear_unfinished(self.out)
                run.write(self.out / run.CONFIG, state.as_json(state.table(self._config)))
                self._progress.start("train", self.pace.steps, "steps")
                self._progress.advance(self.state.step)
            processes.check_shared(self.accelerator, self.out)
            self.journal.start(self.state.step, state.table(self._config))
            try:
                yield
            finally:
                self._saver.wait()

    def steps(self) -> Iterator[int]:
        """Numbers of the steps to do; behind a step in which a stop was asked for there is none."""
        for step in range(self.state.step + 1, self.pace.steps + 1):
            if self._is_stopping:
                return
            yield step
            if self.accelerator.is_main_process:
                self._progress.advance(1)

    def draw(self, stream: Stream) -> StreamBatch:
        """This process's part of the next batch; the first one again and again where that is asked for."""
        with self.timed("data"):
            batch = self._first or next(stream)
        if self.pace.overfit:
            self._first = batch
        self.journal.num_samples += len(batch.samples) * self.accelerator.num_processes
        return batch

    def parts(self, batch: StreamBatch, num: int) -> Iterator[Portion]:
        """A batch in `num` equal parts, one in memory after the other."""
        size = len(batch.samples) // num
        for at in range(0, len(batch.samples), size):
            end = at + size
            is_last = end == len(batch.samples)
            yield Portion(samples=batch.samples[at:end], audio=batch.audio[at:end], is_last=is_last)

    def gathering(self, wrapped: nn.Module, is_last: bool) -> contextlib.AbstractContextManager[Any]:
        """Gradients go around the processes behind the last part only."""
        return contextlib.nullcontext() if is_last else self.accelerator.no_sync(wrapped)

    def apply(
        self, learner: Learner, terms: Mapping[str, Tensor], batch: StreamBatch, *, clip: float
    ) -> bool:
        """Let the optimiser step, its gradient's norm clipped; True if it did. Where a term or a gradient is
        not finite, on whichever process, none of them steps, and the samples are named."""
        norm = torch.nn.utils.clip_grad_norm_(list(learner.named.values()), clip or math.inf)
        norm = sharding.whole_copy(norm)
        # One look at the device a step: steps that must not be taken are known before.
        is_finite = all(bool(term.detach().isfinite().all()) for term in terms.values())
        asked = bool(self._stop.asked) or self._is_stopping
        is_bad, self._is_stopping = self._any(not (is_finite and bool(norm.isfinite())), asked)
        if not is_bad:
            learner.optim.step()
            self.journal.note({**terms, f"{learner.name or 'model'}_gradient": norm})
        learner.optim.zero_grad()
        self.state = self.state.counted(learner.name, is_bad, _FORGOTTEN * self.pace.most_skipped)
        if is_bad:
            self._tell_of(batch, not is_finite)
        return not is_bad

    def advance(self, step: int, batch: StreamBatch) -> None:
        """A step is done, and its batch behind us."""
        self.state = replace(self.state, step=step, stream=batch.state)

    def must_roll_back(self) -> Path | None:
        """The checkpoint that weights are to go back to, after too many steps in a row that were not finite;
        None = none. The data goes on: the same samples would lead there again. IntegrityError if that did not
        help before, or if there is none."""
        if self.state.worst < self.pace.most_skipped:
            return None
        self._saver.wait()
        newest: Path | None = processes.from_main(self.accelerator, self.newest)
        if newest is None or self.state.rollbacks >= self.pace.most_rollbacks:
            raise IntegrityError(self._not_finite(newest))
        self.state = replace(self.state, in_a_row=(), rollbacks=self.state.rollbacks + 1)
        log.warning("step %d: weights go back to %s", self.state.step, newest.name)
        self.journal.append(run.LOG, {"step": self.state.step, logs.BACK: newest.name})
        return newest

    def validates_first(self) -> bool:
        """Are the weights to be validated before the first step?"""
        return not self.state.step and self.pace.validate_every > 0

    def due(self, step: int, every: int) -> bool:
        """Is something due behind `step` steps? The last step is always due for what is done at all."""
        return every > 0 and (step % every == 0 or step == self.pace.steps)

    def logs(self, step: int) -> bool:
        """Is a line of the log due? Also beside every checkpoint."""
        return self.due(step, self.pace.log_every) or self.saves(step)

    def log(self, step: int, **values: float) -> None:
        """A line of the log."""
        self.journal.write(step, self.state.skipped, values)

    def saves(self, step: int) -> bool:
        """Is a checkpoint due? Also when a stop was asked for."""
        return self.due(step, self.pace.save_every) or (self._is_stopping and self.pace.save_every > 0)

    def save(self, step: int, learners: Sequence[Learner], write: Write) -> None:
        """Copy what is learned, and have `write` put it into a folder while the next steps go on. Nothing is
        saved behind a step that was not finite: it may be the weights' fault, and they would be gone back to.
        Weights that are not finite go back at the next step; if there is none, IntegrityError."""
        bad = [weights.not_finite({n: sharding.local(p) for n, p in each.named.items()}) for each in learners]
        (is_bad,) = self._any(any(bad))
        if is_bad or self.state.worst:
            what = max(bad) or ("a weight elsewhere" if is_bad else "what it learned from")
            log.warning("step %d: %s is not finite: not saved", step, what)
            if step == self.pace.steps:
                raise IntegrityError(self._not_finite(processes.from_main(self.accelerator, self.newest)))
            if is_bad:
                self.state = replace(self.state, in_a_row=(("", self.pace.most_skipped),))
            return
        with self.timed("save"):
            self._saver.wait()  # or two copies of everything would be held
            tensors = state.tensors(learners, keep=self.accelerator.is_main_process)
            folder = run.checkpoint_folder(self.out, step)
            if self.accelerator.is_main_process:
                self._saver.start(folder, lambda: self._publish(folder, write, tensors))

    def show(self, step: int) -> None:
        """The run's page, where there is something new on it; new sounds to the trackers, too."""
        if not self.accelerator.is_main_process:
            return
        has_sounds = self.due(step, self.pace.sample_every)
        if has_sounds and (found := logs.sound_sets(self.out)) and found[-1].step == step:
            trackers.tell_sounds(self.accelerator, found[-1])
        if has_sounds or self.due(step, self.pace.validate_every):
            page.refresh(self.out)

    def newest(self) -> Path | None:
        """The last whole checkpoint so far."""
        return next(reversed(run.checkpoints(self.out)), None)

    def finish(self) -> Path:
        """The last checkpoint, once it is written. Stopped if it could not be, or if a stop was asked for."""
        self._saver.wait()
        if self.accelerator.is_main_process:
            page.refresh(self.out)
            self._progress.finish()
        failure, newest = processes.from_main(self.accelerator, lambda: (self._ended(), self.newest()))
        self.accelerator.end_training()
        again = "run the same command again to continue"
        if failure:
            raise Stopped(f"{failure}; free some space and {again}")
        if self._is_stopping and self.state.step < self.pace.steps:
            name = self._stop.asked or "a signal to another process"
            saved = f"{newest.name} is saved" if newest else "nothing is saved"
            raise Stopped(f"{name}: step {self.state.step} is done, {saved} in {self.out}; {again}")
        return run.resolve(self.out) if self.pace.save_every else self.out

    def _ended(self) -> str:
        """On the main process, before others end and a launcher ends it with them. Why it is not saved."""
        while self.accelerator.trackers:
            self.accelerator.trackers.pop().finish()
        return self._saver.failure

    def _publish(self, folder: Path, write: Write, tensors: dict[str, Tensor]) -> None:
        """In the background: the checkpoint, then the pointer to it, then older ones go."""
        write(folder, tensors)
        run.point(folder)
        found = run.checkpoints(self.out)
        losses = journal.losses(self.out / run.VALIDATION)
        known = [path for path in found if run.step_of(path) in losses]
        best = sorted(known, key=lambda path: losses[run.step_of(path)])[: self.pace.keep_best]
        for old in (path for path in found[: -self.pace.keep_last] if path not in best):
            try:
                shutil.rmtree(old)
            except OSError as error:  # the new one stands all the same
                log.warning("%s: cannot be deleted (%s); it stays", old, error.strerror or error)
        page.refresh(self.out)

    def _check_alone(self) -> None:
        """UsageError if a training that held the folder before has gone on meanwhile."""
        newest = self.newest()
        if newest and run.step_of(newest) > self.state.step:
            written = f"{self.out}: another training has written {newest.name} meanwhile"
            raise UsageError(f"{written}; run the same command again")

    def _not_finite(self, newest: Path | None) -> str:
        num, step, back = max(self.state.worst, 1), self.state.step, self.state.rollbacks
        last = f"{newest.name} is finite, but leads here again" if newest else "nothing was saved"
        times = f", after {back} returns (pace.most_rollbacks)" if back else ""
        what = f"weights or gradients of {num} steps in a row are not finite, up to step {step}{times}"
        return f"{self.out}: {what}; {last}: {weights.ADVICE}"

    def _tell_of(self, batch: StreamBatch, is_here: bool) -> None:
        """Name the samples behind a loss that is not finite; all, where only the gradients are not."""
        every = gather_object([(is_here, [sample.key for sample in batch.samples])])
        blamed = [key for is_bad, keys in every if is_bad for key in keys]
        what, keys = ("loss", blamed) if blamed else ("gradient", [key for _, keys in every for key in keys])
        step, num = self.state.step + 1, self.state.skipped
        said = "step %d: the %s is not finite; skipped (%d so far); samples: %s"
        log.warning(said, step, what, num, ", ".join(keys))
        self.journal.append(run.LOG, {"step": step, "skipped": num, "samples": keys})

    def _any(self, *flags: bool) -> tuple[bool, ...]:
        """Each flag, set if it is on any process."""
        if self.accelerator.num_processes == 1:
            return flags
        numbers = torch.tensor(flags, dtype=torch.float32, device=self.accelerator.device)
        torch.distributed.all_reduce(numbers, op=torch.distributed.ReduceOp.MAX)
        return tuple(bool(number) for number in numbers.tolist())


def mean(found: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Each term, mean over portions of the same size."""
    return {name: torch.stack([each[name] for each in found]).mean() for name in found[0]}
