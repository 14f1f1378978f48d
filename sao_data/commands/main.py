"""The `sao` command: verbs found through the entry-point group `sao.verbs`, one file each."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from types import ModuleType

from sao_data import __version__
from sao_data.commands import common
from sao_data.commands.arguments import Parser

GROUP = "sao.verbs"
_DESCRIPTION = "Openly licensed sound into honest training sets, and Stable Audio Open trained on them."
_EPILOG = """exit codes: 0 complete · 1 a finding · 2 usage, config, other owner · 3 rejects over the limit ·
4 stopped cleanly, run again · 5 integrity · 6 locked · 7 matched nothing
The pipelines are scripts: pipelines/ingest.py --help, pipelines/report.py --help."""


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; return its exit code."""
    verbs = _verbs()
    parser = Parser(prog="sao", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"sao {__version__}")
    commands = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, module in verbs.items():
        verb = commands.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(verb)
    parsed = parser.parse_args(arguments)
    return common.guard(lambda: int(verbs[parsed.verb].run(parsed)))


def _verbs() -> dict[str, ModuleType]:
    """Verb modules by name. They import what is heavy only when they run."""
    return {point.name: point.load() for point in sorted(entry_points(group=GROUP), key=lambda p: p.name)}


if __name__ == "__main__":
    sys.exit(main())
