"""The tree of the sources, as the walls look at it: files, what they import, which room they stand in."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    p for folder in ("sao_data", "sao_model", "pipelines") for p in (ROOT / folder).rglob("*.py")
)


@functools.cache
def parsed(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text())


def named(path: Path) -> str:
    """Dotted name of a file's module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def below(package: str) -> list[Path]:
    """All files of a package."""
    return [path for path in SOURCES if path.relative_to(ROOT).parts[0] == package]


def shown(path: Path) -> str:
    """A path as the messages have it."""
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Every module name that a file imports, and every name out of one, with the statement."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module), node
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


@functools.cache
def arrows(package: str) -> dict[str, set[str]]:
    """Module → the modules of the same package that it imports, anywhere in the file."""
    modules = {named(path) for path in below(package)}
    found: dict[str, set[str]] = {module: set() for module in modules}
    for path in below(package):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Import):
                found[named(path)] |= {alias.name for alias in node.names} & modules
            elif isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == package:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                found[named(path)] |= names & modules
                if names - modules:
                    found[named(path)].add(str(node.module))
    return found


def room(module: str) -> str:
    """ "sao_data.stages.pack" stands in the room "stages"; a module at the root is a room of its own."""
    return module.split(".")[1] if "." in module else "__init__"
