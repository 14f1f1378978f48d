"""What happens to the world while it is being read: edits before a certain request, or at a certain time."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from tests.fakes.freesound.faults import ENDPOINTS
from tests.fakes.freesound.world import Edit, World


@dataclass(slots=True)
class _Entry:
    edit: Edit
    endpoint: str = ""
    first: int = 0  # request number within the endpoint
    every: int = 0  # 0: once
    at: float | None = None
    left: int = 1


class Timeline:
    """Scheduled edits. An edit is a function of the World; it is run under the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._entries: list[_Entry] = []
        self._lock = threading.Lock()

    def before(self, endpoint: str, number: int, edit: Edit) -> None:
        """Edit just before the number-th request (from 1) to an endpoint is answered."""
        assert endpoint in ENDPOINTS, endpoint
        self._entries.append(_Entry(edit, endpoint, number))

    def every(self, endpoint: str, period: int, edit: Edit, *, times: int = 10**9, first: int = 2) -> None:
        """Edit before request `first`, `first + period`, … to an endpoint, at most `times` times."""
        assert endpoint in ENDPOINTS, endpoint
        self._entries.append(_Entry(edit, endpoint, first, period, left=times))

    def at(self, time: float, edit: Edit) -> None:
        """Edit before the first request at or after a time of the fake's clock."""
        self._entries.append(_Entry(edit, at=time))

    def run(self, endpoint: str, number: int, now: float) -> None:
        """Do what is due."""
        for edit in self._due(endpoint, number, now):
            with self._world.lock:
                edit(self._world)

    def _due(self, endpoint: str, number: int, now: float) -> list[Edit]:
        due = []
        with self._lock:
            for entry in self._entries:
                if entry.left and _is_due(entry, endpoint, number, now):
                    entry.left -= 1
                    due.append(entry.edit)
        return due


def _is_due(entry: _Entry, endpoint: str, number: int, now: float) -> bool:
    if entry.at is not None:
        return now >= entry.at
    past = number - entry.first
    return entry.endpoint == endpoint and (
        past % entry.every == 0 and past >= 0 if entry.every else past == 0
    )
