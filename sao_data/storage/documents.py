"""The only reader of stored JSON: bytes in, checked values out.

A file may be cut, foreign, hostile, or of another version. Whatever is not what its reader expects (bytes
that are no JSON, another type, a missing or unknown key, NaN, half a surrogate, nesting without end) is one
error that names the file, the place in it and what to do.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Hashable
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from sao_data import config
from sao_data.errors import IntegrityError, SaoError

MAX_DEPTH = 32  # levels of nesting; ours have at most seven, foreign model configs about twelve
_MAX_SHOWN = 60  # characters of a wrong value in a message
T = TypeVar("T")


def read(cls: type[T], data: bytes, *, where: str, fix: str, error: type[SaoError] = IntegrityError) -> T:
    """The frozen dataclass that a JSON object holds, every key known and of its type."""
    checked = _validated(_exact(cast("Hashable", cls)), data, where, fix, error)
    return cls(**{name: getattr(checked, name) for name in checked.model_fields_set})


def checked(
    cls: type, data: bytes, *, where: str, fix: str, error: type[SaoError] = IntegrityError
) -> dict[str, Any]:
    """A JSON object with at least the keys of the dataclass `cls`, each of its type; others pass."""
    _validated(_open(cls), data, where, fix, error)
    return plain(data, where=where, fix=fix, error=error)


def plain(data: bytes, *, where: str, fix: str, error: type[SaoError] = IntegrityError) -> dict[str, Any]:
    """A JSON object of which only the form is known."""
    try:
        value = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as cause:
        raise error(f"{where}: not valid JSON ({_short(cause)}); {fix}") from cause
    if not isinstance(value, dict):
        raise error(f"{where}: not a JSON object; {fix}")
    if problem := _unusable(value):
        raise error(f"{where}: {problem}; {fix}")
    return cast("dict[str, Any]", value)


def line(problem: ValidationError) -> str:
    """What pydantic found first, in one line: the place, what is wrong there, and what stands there."""
    first = problem.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    shown = "" if first["type"] in ("missing", "json_invalid") else f" (got {_short(repr(first['input']))})"
    return f"{place}: {first['msg']}{shown}" if place else f"{first['msg']}{shown}"


def _validated(model: type[BaseModel], data: bytes, where: str, fix: str, error: type[SaoError]) -> BaseModel:
    try:
        return model.model_validate_json(data)
    except ValidationError as problem:
        raise error(f"{where}: {line(problem)}; {fix}") from problem


@functools.cache
def _exact(cls: type) -> type[BaseModel]:
    return config.model(cls)


@functools.cache
def _open(cls: type) -> type[BaseModel]:
    return config.model(cls, extra="ignore")


def _unusable(value: object) -> str:
    """What could not be walked or written again: nesting without end, no number, text that is no text."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        inner: list[object] = []
        for item in level:
            if isinstance(item, float) and not math.isfinite(item):
                return "holds a number that is none (1e999 reads as infinity)"
            if isinstance(item, str) and not _is_text(item):
                return "holds half a surrogate, which is no text"
            if isinstance(item, dict):
                inner += [*item, *item.values()]
            elif isinstance(item, list):
                inner += item
        if not inner:
            return ""
        level = inner
    return f"nested more than {MAX_DEPTH} levels deep"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
