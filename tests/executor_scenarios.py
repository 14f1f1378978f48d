"""What every executor must do, as functions of one. Run as a program they are played on Ray, answers as JSON.

Ray takes over signals and leaves threads behind, so it gets a process of its own.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sao_data.errors import IntegrityError, SaoError, UsageError
from sao_data.execution.executor import Executor, make
from tests.processes import wait_for


def results_come_in_any_order(executor: Executor, tmp: Path) -> Any:
    return sorted(executor.map(_late_square, range(8)))


def nothing_to_do(executor: Executor, tmp: Path) -> Any:
    return list(executor.map(_late_square, []))


def gpus_there_are(executor: Executor, tmp: Path) -> Any:
    return executor.num_gpus(), sorted(executor.map(_late_square, range(2), num_gpus=0))


def a_failure_that_passes(executor: Executor, tmp: Path) -> Any:
    values = list(executor.map(partial(_fail, tmp / "passes", 2, OSError(5, "disk on fire")), [7]))
    return values, _num_lines(tmp / "passes")


def a_failure_that_stays(executor: Executor, tmp: Path) -> Any:
    error = _error_of(executor, partial(_fail, tmp / "stays", 99, OSError(5, "disk on fire")))
    return error, _num_lines(tmp / "stays")


def a_verdict(executor: Executor, tmp: Path) -> Any:
    error = _error_of(executor, partial(_fail, tmp / "verdict", 99, IntegrityError("shard 3 is damaged")))
    return error, _num_lines(tmp / "verdict")


def a_bug(executor: Executor, tmp: Path) -> Any:
    try:
        list(executor.map(partial(_fail, tmp / "bug", 99, KeyError("ours")), [1]))
    except KeyError as error:
        return isinstance(error, SaoError), "ours" in str(error), _num_lines(tmp / "bug")
    return "no error"


def a_service_is_shared(executor: Executor, tmp: Path) -> Any:
    counter = executor.service("counter", _Counter)
    same = executor.service("counter", _Counter)
    drawn = sorted(executor.map(partial(_draw, counter), range(12)))
    return drawn, same.next(100)


def a_service_may_say_no(executor: Executor, tmp: Path) -> Any:
    counter = executor.service("strict", _Counter)
    return _error_of(executor, partial(_overdraw, counter))


def a_worker_killed_once(executor: Executor, tmp: Path) -> Any:
    values = list(executor.map(partial(_die, tmp / "once", 1), [3]))
    return values, _num_lines(tmp / "once")


def a_worker_killed_always(executor: Executor, tmp: Path) -> Any:
    error = _error_of(executor, partial(_die, tmp / "always", 99))
    return error[0], "lost a worker" in error[1], _num_lines(tmp / "always")


def abandoned_units_are_interrupted(executor: Executor, tmp: Path) -> Any:
    running = executor.map(partial(_linger, tmp / "lingers"), [0.0, 600.0])
    next(iter(running))
    wait_for((tmp / "lingers").exists, "the unit to begin")
    running.close()  # type: ignore[attr-defined]
    # on a busy machine the interrupt comes after the executor's own wait for it
    wait_for((tmp / "lingers.interrupted").exists, "the unit to be interrupted")
    return "interrupted"


def a_node_that_cannot_see(executor: Executor, tmp: Path) -> Any:
    executor.on_every_node(_sees)
    try:
        executor.on_every_node(_sees_nothing)
    except UsageError as error:
        return str(error)
    return "no error"


COMMON = (
    results_come_in_any_order,
    nothing_to_do,
    gpus_there_are,
    a_failure_that_passes,
    a_failure_that_stays,
    a_verdict,
    a_bug,
    a_service_is_shared,
    a_service_may_say_no,
)
RAY_ONLY = (
    a_worker_killed_once,
    a_worker_killed_always,
    abandoned_units_are_interrupted,
    a_node_that_cannot_see,
)


class _Counter:
    def __init__(self) -> None:
        self._value = 0

    def next(self, step: int) -> int:
        self._value += step
        return self._value

    def refuse(self, reason: str) -> None:
        raise UsageError(reason)


def _late_square(number: int) -> int:
    time.sleep(0.02 * (number % 3))
    return number * number


def _fail(log: Path, times: int, error: Exception, number: int) -> int:
    if _attempt(log) <= times:
        raise error
    return number


def _die(log: Path, times: int, number: int) -> int:
    if _attempt(log) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def _draw(counter: Any, number: int) -> int:
    value: int = counter.next(1)
    return value


def _overdraw(counter: Any, number: int) -> None:
    counter.refuse("no permits left")


def _linger(log: Path, seconds: float) -> float:
    if seconds:
        try:
            log.touch()
            for _ in range(int(seconds / 0.05)):
                time.sleep(0.05)  # Ray interrupts between two bytecodes, not within a system call
        except KeyboardInterrupt:
            log.with_suffix(".interrupted").touch()
            raise
    return seconds


def _sees() -> None:
    return


def _sees_nothing() -> None:
    raise UsageError("cannot see /out")


def _attempt(log: Path) -> int:
    with log.open("a") as file:
        file.write("x\n")
    return _num_lines(log)


def _num_lines(log: Path) -> int:
    return len(log.read_text().splitlines())


def _error_of(executor: Executor, unit: Callable[[int], object]) -> tuple[str, str]:
    try:
        list(executor.map(unit, [1]))
    except SaoError as error:
        return type(error).__name__, str(error)
    return "no error", ""


def main() -> int:
    executor, answers = make("ray"), {}
    stop = signal.getsignal(signal.SIGTERM)
    for scenario in (*COMMON, *RAY_ONLY):
        answers[scenario.__name__] = scenario(executor, Path(sys.argv[1]))
    answers["sigterm is still ours"] = signal.getsignal(signal.SIGTERM) is stop
    executor.close()
    sys.stdout.write(json.dumps(answers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
