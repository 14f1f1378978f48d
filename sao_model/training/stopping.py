"""A stop that is asked for by signal: the step is finished, all is saved, the run ends with exit code 4.

A batch system sends SIGTERM or SIGUSR1 to one process, or to all of them at moments that differ, and a
launcher that gets one passes it on: it may come twice. So a signal only leaves a note; whether a run stops is
decided by all of its processes together, once a step.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Iterator
from types import FrameType

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Stop:
    """Has this process been asked to stop?"""

    def __init__(self) -> None:
        self.asked = ""  # the signal's name

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take signals meanwhile; behind the first, Ctrl-C ends the process as it would have without us."""
        before = {number: signal.getsignal(number) for number in SIGNALS}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        def take(number: int, frame: FrameType | None) -> None:
            if not self.asked:
                log.warning("%s: this step is finished, then all is saved", signal.Signals(number).name)
                signal.signal(signal.SIGINT, before[signal.SIGINT])
            self.asked = self.asked or signal.Signals(number).name

        for number in SIGNALS:
            signal.signal(number, take)
        try:
            yield
        finally:
            restore()
