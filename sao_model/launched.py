"""Who trains: the processes there are, what they run on, and what whoever started them was asked for.

`accelerate launch` starts one process where it was asked for several, without a word, unless it is told
`--multi_gpu` (which starts processes on CPUs as well) or finds more than one GPU. Its own command line says
what was asked: on Linux it is read from /proc, elsewhere nothing is said.
"""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate.commands.config.config_args import default_config_file, load_config_from_file
from accelerate.commands.launch import launch_command_parser

_LAUNCHERS = ("accelerate", "accelerate-launch", "accelerate.commands.launch")
_FORM = "accelerate launch --multi_gpu --num_processes {num} …"


def device(used: torch.device) -> str:
    """What this process computes on."""
    if used.type != "cuda":
        return f"CPU ({_cpu()}), threads: {torch.get_num_threads()}"
    return torch.cuda.get_device_name(used)


def crew(every: Sequence[tuple[str, str]]) -> str:
    """All processes in words, given the machine and the device of each."""
    num, machines = len(every), sorted({machine for machine, _ in every})
    on = Counter(used for _, used in every)
    each = ", ".join(f"{count} on {used}" if len(on) > 1 else used for used, count in on.items())
    many = f"{len(machines)} machines ({', '.join(machines[:8])}{', …' if len(machines) > 8 else ''})"
    where = many if len(machines) > 1 else f"1 machine ({machines[0]})"
    return f"{num} {'process' if num == 1 else 'processes'} on {where}: {each}"


def instead(num_processes: int) -> str:
    """What to say where fewer processes train than were asked for; '' = nothing."""
    asked, source = _asked(_parent())
    if asked <= num_processes:
        return ""
    said = f"accelerate launch was asked for {asked} processes ({source}), and {num_processes} trains"
    return f"{said}: on CPUs and on one GPU, several are started by: {_FORM.format(num=asked)}"


def _asked(command: Sequence[str]) -> tuple[int, str]:
    """Processes that a launcher's command line asks for, and where it says so; 0 = none, or no launcher."""
    words = list(command)
    at = next((n for n, word in enumerate(words[:3]) if Path(word).name in _LAUNCHERS), None)
    if at is None:
        return 0, ""
    words = words[at + 1 :]
    if words[:1] == ["launch"]:
        words = words[1:]
    given, _ = launch_command_parser().parse_known_args(words)
    if given.num_processes:
        return int(given.num_processes), f"--num_processes {given.num_processes}"
    is_default = not given.config_file and not given.cpu and os.path.isfile(default_config_file)
    if not given.config_file and not is_default:
        return 0, ""
    path = given.config_file or default_config_file
    return max(int(load_config_from_file(path).num_processes), 0), f"num_processes in {path}"


def _parent() -> list[str]:
    """The command line of the process that started this one; [] where the system does not tell."""
    try:
        line = Path(f"/proc/{os.getppid()}/cmdline").read_bytes()
    except OSError:
        return []
    return [word.decode(errors="replace") for word in line.split(b"\0")[:-1]]


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
