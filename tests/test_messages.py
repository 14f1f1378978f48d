"""What messages tell people to run can be run: verbs, options, targets and packages are there."""

from __future__ import annotations

import argparse
import dataclasses
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sao_data.commands import main
from sao_data.commands.arguments import Parser
from sao_data.dataset import summary
from sao_model import generation
from tests import processes
from tests.test_docs import ROOT, messages, read
from tests.warm import Warm

COMMAND = re.compile(r"(?:`|'|\brun |\bwith |\bgive |^ *)((?:sao|make|pip install) [^`;\n]*)", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
Ran = Callable[[str], tuple[int, str]]
PACKAGE = re.compile(r"^'?([a-z][a-z0-9_-]*)(?:\[([a-z0-9-]+)\])?(?:==[0-9.]+)?'?$")
# Options of other people's commands that our messages name.
THEIRS = {
    "pip": {"--force-reinstall"},
    "ray": {"--head", "--working-dir", "--runtime-env"},
    "hf": {"--local-dir", "--repo-type", "--revision"},
    "accelerate": {
        "--cpu",
        "--machine",
        "--main",
        "--mixed",
        "--multi",
        "--num",
    },  # as far as a name goes without "_"
}


@pytest.fixture(scope="module")
def verbs() -> dict[str, argparse.ArgumentParser]:
    """Every verb's parser."""
    found = {}
    for name, module in main._verbs().items():
        found[name] = Parser(prog=name)
        module.add_arguments(found[name])
    return found


def options(parsers: dict[str, argparse.ArgumentParser]) -> Iterator[str]:
    """Every option of ours."""
    for parser in parsers.values():
        yield from parser._option_string_actions
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                yield from options(action.choices)
    for path in (*(ROOT / "pipelines").glob("*.py"), ROOT / "sao_data" / "commands" / "training.py"):
        yield from OPTION.findall(path.read_text())
    yield from (f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(generation.Config))


def test_every_option_that_a_message_names_is_there(verbs: dict[str, argparse.ArgumentParser]) -> None:
    named = set(OPTION.findall(messages()))
    assert len(named) > 30
    assert named - {*options(verbs), "--version"} - set().union(*THEIRS.values()) == set()


COMMANDS = sorted(set(COMMAND.findall(messages())))


def test_commands_are_found() -> None:
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_a_message_gives_is_there(
    command: str, verbs: dict[str, argparse.ArgumentParser]
) -> None:
    program, *words = command.replace("(", " ").split()
    if program == "sao":
        verb = words[0].rstrip(":,") if words else "…"
        prose = verb in ("…", "author", "dataset")  # "sao author …" is what a report calls its makers
        assert prose or verb in verbs, command
    elif program == "make":
        targets = [word for word in words if word in ("clean", "install", "demo", "test", "docs")]
        assert targets, command
        assert [target for target in targets if f"\n{target}:" not in read("Makefile")] == []
    else:
        assert packages(words[1:]) - declared() == set(), command


def packages(words: list[str]) -> set[str]:
    """The packages of a `pip install`, up to where prose goes on; `name[extra]` where one is."""
    found = set()
    for word in words:
        plain = word.rstrip(",:")
        if match := PACKAGE.match(plain):
            found.add(f"{match[1]}[{match[2]}]" if match[2] else match[1])
        elif not plain.startswith("-"):
            break
        if word != plain:
            break
    return found


def declared() -> set[str]:
    """Packages of pyproject.toml as one may write them, and our own extras."""
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(text for more in extras.values() for text in more)]
    names = {re.split(r"[<>=]", text, maxsplit=1)[0] for text in lines}
    return names | {name.split("[")[0] for name in names} | {f"sao[{extra}]" for extra in extras}


CHEAP = {
    "sao verify {demo}": 0,
    "sao status {demo}": 0,
    "sao why {demo} synthetic:0007": 0,
    "sao licence 'CC BY 4.0'": 0,
    "sao probe {demo}/README.md": 0,
    "sao login freesound --status": 7,
    "sao credit {demo} --author 'Okoro Drums' --as withhold": 0,
    "sao takedown {demo} --author 'Juno Pascal' --reason 'request'": 0,
    "sao takedown {demo} --id synthetic:0020 --reason 'request' --credit-only": 0,
}


@pytest.mark.parametrize("command", CHEAP)
def test_cheap_ones_run_on_the_demo(command: str, demo_dataset: Path, ran: Ran) -> None:
    status, said = ran(command.format(demo=demo_dataset))
    assert (status, "Traceback" in said) == (CHEAP[command], False), said


def test_the_commands_below_the_box_run(demo_dataset: Path, tmp_path: Path) -> None:
    """In a shell, as a person copies them."""
    lines = summary.next_lines(str(demo_dataset))
    assert len(lines) == 3
    for line in lines:
        line = re.sub(r"\bID$", "synthetic:0007", line)
        status, said = processes.ran(
            "bash", "-c", line, env=processes.environment(HOME=str(tmp_path), PYTHONPATH=str(ROOT))
        )
        assert status == 0, said


def test_the_command_for_copies_that_a_take_down_gives_runs(
    demo_dataset: Path, tmp_path: Path, ran: Ran
) -> None:
    copy = shutil.copytree(demo_dataset, tmp_path / "a folder" / "demo")
    where = shlex.quote(str(copy))
    _, said = ran(f"sao takedown {where} --author 'Juno Pascal' --reason \"author's request\"")
    (line,) = [line for line in said.splitlines() if line.startswith("  sao takedown ")]
    status, said = ran(line)
    assert status == 0, said
    assert "taken down   1 work" in said


@pytest.fixture
def ran(warm: Warm, tmp_path: Path) -> Ran:
    """Run a line of the shell, without anything that is remembered of this user."""

    def run(line: str) -> tuple[int, str]:
        program, *words = shlex.split(line, comments=True)
        command = ["-m", "sao_data"] if program == "sao" else [ROOT / program]
        answer = warm.ran(*command, *words, HOME=str(tmp_path))
        return answer.returncode, answer.stdout + answer.stderr

    return run
