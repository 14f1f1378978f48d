"""A training as several processes: forked from a warm one with the environment that launchers give, or by
`accelerate launch` itself."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env

from tests import processes
from tests.paths import ROOT
from tests.warm import Answer, Warm

LAUNCH = (sys.executable, "-m", "accelerate.commands.launch")
CONFIGS = ROOT / "manifests" / "accelerate"
Script = Sequence[str | Path]


def divided() -> dict[str, str]:
    """What `accelerate launch --config_file manifests/accelerate/fsdp2.yaml` adds to the environment."""
    asked = launch_command_parser().parse_args(["--config_file", str(CONFIGS / "fsdp2.yaml"), "x.py"])
    given = prepare_multi_gpu_env(_validate_launch_command(asked)[0])
    return {name: value for name, value in given.items() if name.startswith(("FSDP_", "ACCELERATE_"))}


def environments(num: int, port: int, more: Mapping[str, str] | None = None) -> list[dict[str, str]]:
    """What launchers give each of `num` processes; nothing to one that is alone."""
    if num == 1:
        return [dict(more or {})]
    common = {"WORLD_SIZE": str(num), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"LOCAL_WORLD_SIZE": str(num)} | dict(more or {})
    return [common | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(num)]


def forked(
    warm: Warm, script: Script | Sequence[Script], num: int = 1, more: Mapping[str, str] | None = None
) -> list[Answer]:
    """`num` processes side by side to their ends, each with the same command or one of its own."""
    commands = [tuple(each) for each in script] if _is_many(script) else [tuple(script)] * num
    return with_a_port(lambda port: warm.all_ran(commands, environments(num, port, more)))  # type: ignore[arg-type]


@contextmanager
def running(warm: Warm, script: Script, num: int) -> Iterator[tuple[list[int], list[Answer]]]:
    """The same while they run: process ids by rank; on leaving they have ended, and the answers are there."""
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.extend(forked(warm, script, num)))
    thread.start()
    try:
        processes.wait_for(lambda: len(warm.children()) == num, f"{num} processes")
        yield warm.children(), answers
    finally:
        thread.join()


def launched(*words: str | Path, cwd: Path = ROOT, **extra: str) -> tuple[int, str]:
    """`accelerate launch` with these words to its end: exit status, and all it said."""
    env = processes.environment(OMP_NUM_THREADS="1", **extra)
    return processes.ran(*LAUNCH, *map(str, words), env=env, cwd=cwd)


def with_a_port(together: Callable[[int], list[Answer]]) -> list[Answer]:
    """Anew where somebody took the free port before they did."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        ended = together(port)
        if not any("address already in use" in each.stderr.lower() for each in ended):
            return ended


def _is_many(script: Script | Sequence[Script]) -> bool:
    return not isinstance(script[0], str | os.PathLike)
