"""Records as Parquet: the schema is the dataclass, '' is null, the bytes depend on the rows alone.

zstd level 3, row groups of 8,192, no pandas metadata, no schema blob; the caller gives rows in their final
order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from sao_data.config import WHEN_SET
from sao_data.errors import IntegrityError
from sao_data.storage import layout
from sao_data.storage.backend import Storage

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 8192
_MAX_SHOWN = 60  # characters of a wrong value in a message
_MAX_LINE = 200  # characters of what pyarrow says
_HINTS: dict[type, dict[str, Any]] = {}
_SCHEMAS: dict[type, pa.Schema] = {}
_VALUES: dict[type, tuple[tuple[str, Callable[[Any], Any] | None], ...]] = {}
T = TypeVar("T")


def to_bytes(cls: type[T], rows: Iterable[T]) -> bytes:
    """The Parquet file of these rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = [_plain(row) for row in rows]
    table = pa.Table.from_pylist(plain, schema=schema(cls))
    buffer = io.BytesIO()
    pq.write_table(
        table, buffer, compression="zstd", compression_level=3, row_group_size=ROW_GROUP, store_schema=False
    )
    return buffer.getvalue()


def write(storage: Storage, name: str, cls: type[T], rows: Iterable[T]) -> str:
    """Publish rows as a table; return the sha256 (hex) of the file."""
    data = to_bytes(cls, rows)
    storage.write(name, data)
    return hashlib.sha256(data).hexdigest()


def read(storage: Storage, name: str, cls: type[T]) -> list[T]:
    """All rows of a table."""
    return list(iterate(storage, name, cls))


def iterate(storage: Storage, name: str, cls: type[T]) -> Iterator[T]:
    """Rows of a table, one row group in memory at a time; IntegrityError where it is not such a table.

    Without pyarrow's own threads: a process that ends soon after may crash in them (22 of 70, torch loaded).
    """
    import pyarrow.parquet as pq

    with storage.open(name) as file:
        with damage(storage.url, name):
            parquet = pq.ParquetFile(file, pre_buffer=False)
            _check_schema(cls, parquet.schema_arrow)
        for group in range(parquet.num_row_groups):
            with damage(storage.url, name):
                table = parquet.read_row_group(group, use_threads=False)
                check(cls, table)
                rows = table.to_pylist()
            yield from (_record(cls, row) for row in rows)


def columns(storage: Storage, name: str, cls: type, names: Sequence[str]) -> pa.Table:
    """Some columns of a table, whole; IntegrityError where they hold what no record has."""
    import pyarrow.parquet as pq

    with storage.open(name) as file, damage(storage.url, name):
        parquet = pq.ParquetFile(file)
        _check_schema(cls, parquet.schema_arrow)
        table = parquet.read(columns=list(names))
        check(cls, table)
        return table


@contextlib.contextmanager
def damage(url: str, name: str) -> Iterator[None]:
    """Turn what pyarrow says of bytes that are no such table into one line. (Some of it is an OSError without
    a number; those of a disk or a network have one, and may pass.)"""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise IntegrityError(f"{url}/{name}: damaged ({_line(error)}); {_fix(name)}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise IntegrityError(f"{url}/{name}: damaged ({_line(error)}); {_fix(name)}") from error


def _fix(name: str) -> str:
    """What repairs a table: those in work/ are made anew where they are missing, published ones in any
    case."""
    if name.startswith(f"{layout.WORK}/"):
        return "delete work/ there and run the same command again"
    return "run the ingest again, which writes it anew"


def check(cls: type, table: pa.Table) -> None:
    """ValueError for the first column that holds what no record of this class has: a null, a number out of
    range, text of another form."""
    hints = _hints(cls)
    for name in table.column_names:
        _check_column(hints[name], table[name], name)


def schema(cls: type) -> pa.Schema:
    """Arrow schema of a record type."""
    import pyarrow as pa

    if cls not in _SCHEMAS:
        _SCHEMAS[cls] = pa.schema([(name, _arrow(hint)) for name, hint in _hints(cls).items()])
    return _SCHEMAS[cls]


def _hints(cls: type) -> dict[str, Any]:
    if cls not in _HINTS:
        hints = typing.get_type_hints(cls, include_extras=True)
        _HINTS[cls] = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    return _HINTS[cls]


def _check_schema(cls: type, found: pa.Schema) -> None:
    wanted, later = schema(cls), _added_later(cls)
    for column in wanted:
        if column.name in later and column.name not in found.names:
            continue
        if column.name not in found.names:
            raise ValueError(f"no column {column.name}")
        there = found.field(column.name).type
        if there != column.type:
            raise ValueError(f"column {column.name} holds {there}, want {column.type}")
    if others := sorted(set(found.names) - set(wanted.names)):
        raise ValueError(f"column {others[0]} is not known here")
    if len(found.names) > len(wanted.names):
        raise ValueError("a column stands in it twice")


def _added_later(cls: type) -> frozenset[str]:
    """Texts, and what may be None, that tables written by earlier versions do not have: '' and None there."""
    marked = (field for field in dataclasses.fields(cls) if WHEN_SET.items() <= field.metadata.items())
    return frozenset(field.name for field in marked if field.default in ("", None))


def _check_column(hint: Any, column: pa.ChunkedArray, place: str) -> None:
    import pyarrow.compute as pc

    hint, rules, optional = _unwrapped(hint)
    if column.null_count and not (optional or _is_text(hint) or _is_list(hint)):
        raise ValueError(f"{place} is empty in {column.null_count} rows")
    if _is_list(hint):
        items = pc.list_flatten(column)
        if items.null_count:
            raise ValueError(f"a list in {place} has an empty item")
        _check_column(typing.get_args(hint)[0], items, place)
    elif dataclasses.is_dataclass(hint):
        inner = column.filter(pc.is_valid(column)).flatten()
        for (name, inner_hint), values in zip(_hints(typing.cast("type", hint)).items(), inner, strict=True):
            _check_column(inner_hint, values, f"{place}.{name}")
    elif hint is float:
        _check_all(pc.invert(pc.is_nan(column)), column, f"{place} is no number")
    elif typing.get_origin(hint) is Literal:
        _check_all(
            pc.is_in(column, _array(typing.get_args(hint))), column, f"{place} is a word not known here"
        )
    for rule in rules:
        if getattr(rule, "ge", None) is not None:
            _check_all(pc.greater_equal(column, rule.ge), column, f"{place} is below {rule.ge}")
        if getattr(rule, "pattern", None):
            _check_all(pc.match_substring_regex(column, rule.pattern), column, f"{place} is not of its form")


def _check_all(holds: pa.ChunkedArray, column: pa.ChunkedArray, problem: str) -> None:
    """Nulls hold: whether they may stand is asked before."""
    import pyarrow.compute as pc

    place = pc.index(pc.fill_null(pc.or_(holds, pc.is_null(column)), True), False).as_py()
    if place >= 0:
        raise ValueError(f"{problem}: {str(column[place].as_py())[:_MAX_SHOWN]!r}")


def _array(values: tuple[str, ...]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, pa.string())


def _unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...], bool]:
    """(the type itself, the rules annotated to it, may it be None)"""
    rules: tuple[Any, ...] = ()
    optional = False
    while True:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            hint, rules = arguments[0], (*rules, *arguments[1:])
        elif origin in (types.UnionType, typing.Union):
            hint, optional = next(part for part in arguments if part is not type(None)), True
        else:
            return hint, rules, optional


def _is_text(hint: Any) -> bool:
    return hint is str or typing.get_origin(hint) is Literal


def _is_list(hint: Any) -> bool:
    return typing.get_origin(hint) in (tuple, list)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:_MAX_LINE]


def _arrow(hint: Any) -> pa.DataType:
    import pyarrow as pa

    hint, _, _ = _unwrapped(hint)
    simple = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    if hint in simple:
        return simple[hint]
    if dataclasses.is_dataclass(hint):
        return pa.struct([(name, _arrow(inner)) for name, inner in _hints(typing.cast("type", hint)).items()])
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return pa.string()
    assert origin in (tuple, list), hint
    return pa.list_(_arrow(arguments[0]))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in _hints(typing.cast("type", type(value)))}
    if isinstance(value, tuple | list):
        return [item if isinstance(item, str) else _plain(item) for item in value]
    return None if value == "" else value


def _record(cls: type[T], row: dict[str, Any]) -> T:
    return cls(
        **{name: row.get(name) if value is None else value(row.get(name)) for name, value in _values(cls)}
    )


def _values(cls: type) -> tuple[tuple[str, Callable[[Any], Any] | None], ...]:
    """Fields of a record, and what makes of a cell's value the field's; None: it is the same."""
    if cls not in _VALUES:
        _VALUES[cls] = tuple((name, _value(hint)) for name, hint in _hints(cls).items())
    return _VALUES[cls]


def _value(hint: Any) -> Callable[[Any], Any] | None:
    hint = _unwrapped(hint)[0]
    if _is_text(hint):
        return lambda value: "" if value is None else value
    if dataclasses.is_dataclass(hint):
        cls = typing.cast("type[Any]", hint)
        return lambda value: None if value is None else _record(cls, value)
    if _is_list(hint):
        inner = _value(typing.get_args(hint)[0])
        return (lambda items: tuple(map(inner, items or ()))) if inner else (lambda items: tuple(items or ()))
    return None
