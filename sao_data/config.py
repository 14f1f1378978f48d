"""TOML into frozen dataclasses: unknown keys and wrong types are errors that say where and what was meant.

A Config is a frozen dataclass beside the thing it configures. A `Location` field is a path or URL: a relative
one in a manifest is resolved against the manifest's folder, one given by --set against the working directory;
locations are left out of digests and of dataset.json, because where data lie is not what they are.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import json
import tomllib
import types
import typing
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from sao_data.errors import UsageError

Location = Annotated[str, "location"]
Table = dict[str, Any]  # parsed TOML before it is checked
T = TypeVar("T")

WHEN_SET = {
    "when_set": True
}  # metadata of a field added later: left out of digests where it is empty or as by default
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def read_toml(path: Path) -> Table:
    """Parse a TOML file; UsageError with the line if it is missing or malformed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such manifest; --manifest takes a TOML file") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path}: a directory; --manifest takes a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error


def parse(cls: type[T], table: Table, *, where: str) -> T:
    """Make the dataclass `cls` from a parsed table; UsageError names the key, what was meant, or the type
    wanted."""
    check_keys(cls, table, where=where)
    values = dict(table)
    for key, hint in typing.get_type_hints(cls).items():
        inner = _dataclass_in(hint)
        if inner and isinstance(values.get(key), dict):
            values[key] = _over_default(cls, key, inner, values[key], f"{where}: [{key}]")
    try:
        checked = _cached_model(cast("Hashable", cls)).model_validate(_tuples(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        value = "" if first["type"] == "missing" else f" (got {first['input']!r})"
        raise UsageError(f"{where}: {key or 'value'}: {first['msg']}{value}") from error
    return cls(**{key: getattr(checked, key) for key in values})


def check_keys(cls: type, table: Table, *, where: str) -> None:
    """Raise UsageError for the first key that `cls` (or a nested dataclass) does not have, with the nearest
    one."""
    hints = typing.get_type_hints(cls, include_extras=True)
    for key, value in table.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f" (there are: {', '.join(sorted(hints))})"
            raise UsageError(f"{where}: unknown key {key!r}{hint}")
        inner = _dataclass_in(hints[key])
        if inner and isinstance(value, dict):
            check_keys(inner, value, where=f"{where}: [{key}]")


def apply_set(table: Table, assignments: list[str]) -> list[str]:
    """Apply `dotted.key=value` overrides in place; list items by index ("source.0.path=/data").

    Values are TOML, or plain text where they are not. Returns the dotted keys that were set.
    """
    keys = []
    for assignment in assignments:
        dotted, equals, text = assignment.partition("=")
        if not equals or not dotted.strip():
            raise UsageError(f"--set {assignment!r}: want dotted.key=value, e.g. --set work.keep=true")
        _assign(table, dotted.strip().split("."), _toml_value(text.strip()), where=f"--set {dotted}")
        keys.append(dotted.strip())
    return keys


def resolve_locations(cls: type, table: Table, base: Path) -> None:
    """Make every relative `Location` of `cls` in `table` absolute against `base`, in place."""
    for key, hint in typing.get_type_hints(cls, include_extras=True).items():
        value = table.get(key)
        if not is_location(hint):
            continue
        if isinstance(value, list):
            table[key] = [_against(base, each) if isinstance(each, str) else each for each in value]
        elif isinstance(value, str):
            table[key] = _against(base, value)


def _against(base: Path, location: str) -> str:
    if not location or "://" in location:
        return location
    return str((base / Path(location).expanduser()).resolve())


def is_location(hint: object) -> bool:
    """Is this type hint `Location` (or an optional one)?"""
    if typing.get_origin(hint) is Annotated:
        return "location" in getattr(hint, "__metadata__", ())
    return any(is_location(part) for part in typing.get_args(hint))


@functools.cache
def _locations(cls: type) -> frozenset[str]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return frozenset(field.name for field in dataclasses.fields(cls) if is_location(hints[field.name]))


def canonical(value: object, *, locations: bool = False) -> object:
    """Plain JSON-able form of a config, records or containers; locations left out unless asked for."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        left_out = frozenset() if locations else _locations(type(value))
        return {
            field.name: canonical(getattr(value, field.name), locations=locations)
            for field in dataclasses.fields(value)
            if field.name not in left_out and not _is_unset(value, field)
        }
    if isinstance(value, dict):
        return {str(key): canonical(item, locations=locations) for key, item in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [canonical(item, locations=locations) for item in value]
    return value


def _is_unset(value: object, field: dataclasses.Field[Any]) -> bool:
    said = getattr(value, field.name)
    return WHEN_SET.items() <= field.metadata.items() and (not said or said == field.default)


def digest(*parts: object) -> str:
    """sha256 (hex) of the canonical JSON of the parts: equal settings, equal digest, on any machine."""
    text = json.dumps(
        [canonical(part) for part in parts], sort_keys=True, ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _over_default(cls: type, key: str, inner: type[T], table: Table, where: str) -> T:
    """An inner table changes what it names; the rest stays as the outer class has it."""
    given = parse(inner, table, where=where)
    factory = next(f.default_factory for f in dataclasses.fields(cls) if f.name == key)
    if factory is dataclasses.MISSING:
        return given
    default: Any = factory()
    return cast("T", dataclasses.replace(default, **{name: getattr(given, name) for name in table}))


def model(cls: type, extra: Literal["forbid", "ignore"] = "forbid") -> type[BaseModel]:
    """The dataclass as a pydantic model: fields by their types, strictly ("2" is no integer)."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields: Any = {field.name: (hints[field.name], _default(field)) for field in dataclasses.fields(cls)}
    return create_model(cls.__name__, __config__=_STRICT | ConfigDict(extra=extra), **fields)


@functools.cache
def _cached_model(cls: type) -> type[BaseModel]:
    return model(cls)


def _default(field: dataclasses.Field[Any]) -> Any:
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return ... if required else None


def _dataclass_in(hint: object) -> type | None:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return next((found for part in typing.get_args(hint) if (found := _dataclass_in(part))), None)
    return None


def _tuples(value: object) -> Any:
    """TOML arrays become tuples, which is what frozen configs hold (and strict validation asks for)."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _toml_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _assign(table: Table, path: list[str], value: object, *, where: str) -> None:
    here: Any = table
    for depth, key in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(here, list):
            if not key.isdigit() or int(key) >= len(here):
                raise UsageError(f"{where}: {key!r} is no index into the {len(here)} items there")
            if last:
                here[int(key)] = value
            else:
                here = here[int(key)]
        elif isinstance(here, dict):
            if last:
                here[key] = value
            else:
                here = here.setdefault(key, {})
        else:
            raise UsageError(f"{where}: {'.'.join(path[:depth])!r} is a value, not a table")
