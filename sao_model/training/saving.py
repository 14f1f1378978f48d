"""Checkpoints written in the background, while the next steps go on: one at a time, on the main process.

What is written was copied before, so no step waits for a disk. The newest checkpoint and the ones to keep
stay until a newer one stands. A disk that is full does not end a training: it goes on, says so at every
attempt, and keeps what it has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

log = logging.getLogger(__name__)


class Saver:
    """Runs one writing at a time in a thread."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "sao-save")
        self._writing: Future[None] | None = None
        self.failure = ""  # why the latest one could not be written; '' = it was

    def start(self, folder: Path, write: Callable[[], None]) -> None:
        """Begin to write a checkpoint, after the one before it; raises what that one raised."""
        self.wait()
        self._writing = self._pool.submit(self._run, folder, write)

    def wait(self) -> None:
        """Return when nothing is being written; raises what the writing raised."""
        if writing := self._writing:
            self._writing = None
            writing.result()

    def _run(self, folder: Path, write: Callable[[], None]) -> None:
        self.failure = f"{folder}: not saved"
        try:
            write()
        except OSError as error:  # weather: a full disk, a file system that went away
            self.failure = f"{folder}: not saved ({error.strerror or error})"
            log.warning("%s; the training goes on: free some space before the next checkpoint", self.failure)
        else:
            self.failure = ""
