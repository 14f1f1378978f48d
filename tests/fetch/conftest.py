"""No test here sees the real home directory, the real environment, or the real time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sao_data.fetch import credentials
from tests.fakes.freesound import FakeFreesound, SimulatedClock, World


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home directory of its own, and nothing known from the environment."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("FREESOUND_TOKEN", "FREESOUND_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    credentials.forget()
    yield tmp_path / "home"
    credentials.forget()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def fake(clock: SimulatedClock) -> Iterator[FakeFreesound]:
    """Forty sounds behind real sockets, level 1, on the simulated clock."""
    world = World.synthetic(40, seconds=(0.1,))
    with FakeFreesound(world, clock=clock, sleep=clock.sleep, key="SECRET-canary-0001") as running:
        yield running
