"""What the command lines share: an option given twice is an error, and help lists the fields behind --set."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import functools
import inspect
import io
import json
import textwrap
import tokenize
import tomllib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sao_data.shipped import ROOT

_WIDTH = 96  # of the lines of the help
_LEADING = {"of", "with", "where", "the", "in", "are"}  # words that a comment goes on from


class Parser(argparse.ArgumentParser):
    """Help as it is written; no option that takes one value is given twice; below the help the fields of
    `config`, a function that makes one (called for --help only, since it may import much)."""

    def __init__(self, *args: Any, config: Callable[[], object] | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)
        self.register("action", None, _Once)
        self.register("action", "store", _Once)
        self._config = config

    def format_help(self) -> str:
        if self._config is None:
            return super().format_help()
        fields = "\n".join(f"  {line}" for line in field_lines(self._config()))
        return f"{super().format_help()}\nfields, for --set KEY=VALUE, with their defaults:\n{fields}\n"


class _Once(argparse._StoreAction):
    """Keeps a value; a second one would silently take the place of the first."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest, self.default)
        if option_string and before is not self.default:
            raise argparse.ArgumentError(
                self,
                f"given twice ({before!r}, then {values!r}); run the command once for each",
            )
        setattr(namespace, self.dest, values)


def field_lines(value: Any, prefix: str = "") -> Iterator[str]:
    """Every field of a config as `key = default`, with its meaning; tables by dotted keys."""
    for field in dataclasses.fields(value):
        default = getattr(value, field.name)
        if dataclasses.is_dataclass(default):
            yield from field_lines(default, f"{prefix}{field.name}.")
            continue
        shown = "not given" if default is None else json.dumps(default, ensure_ascii=False)
        yield f"{prefix}{field.name} = {shown}"
        words = meaning(type(value), field.name).replace("`", "")
        yield from textwrap.wrap(words, _WIDTH, initial_indent="    ", subsequent_indent="    ")


def meaning(cls: type, field: str) -> str:
    """What docs/meanings.toml says of a field, then the comment beside it; '' where neither says anything."""
    said, comment = written().get(key(cls), {}).get(field, ""), comments(cls).get(field, "")
    return f"{said}{_joint(said)}{comment}" if said and comment else said or comment


def key(cls: type) -> str:
    """Plugins' classes are all called Config: they go by their module."""
    return cls.__module__.rpartition(".")[2] if cls.__name__ == "Config" else cls.__name__


@functools.cache
def written() -> dict[str, dict[str, str]]:
    """The words of docs/meanings.toml; none where the package is installed without the repository."""
    path = ROOT / "docs" / "meanings.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


@functools.cache
def comments(cls: type) -> dict[str, str]:
    """The comments beside, within or above each field of a dataclass."""
    source = textwrap.dedent(inspect.getsource(cls))
    by_line = dict(_comment_lines(source))
    found, last = {}, 0
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef), cls
    for node in body.body:
        end = node.end_lineno or node.lineno
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            near = (by_line[line] for line in range(last + 1, end + 1) if line in by_line)
            found[node.target.id] = " ".join(near)
        last = end
    return found


def _comment_lines(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and "fmt:" not in token.string:
            yield token.start[0], token.string.lstrip("#:").strip()


def _joint(said: str) -> str:
    """What stands between the words and the comment: nothing but a blank where the words lead over to it."""
    return " " if said.endswith((",", ":")) or said.split()[-1] in _LEADING else "; "
