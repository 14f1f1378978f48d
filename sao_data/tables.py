"""Records as Parquet: the schema is the dataclass, '' is null, the bytes depend on the rows alone.

zstd level 3, row groups of 8,192, no pandas metadata, no schema blob; the caller gives rows in their final
order.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import types
import typing
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sao_data.errors import IntegrityError
from sao_data.storage import Storage

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 8192
_HINTS: dict[type, dict[str, Any]] = {}
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
    """Rows of a table, one row group in memory at a time.

    Without pyarrow's own threads: a process that ends soon after may die of them (22 of 70, torch loaded).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with storage.open(name) as file:
            parquet = pq.ParquetFile(file, pre_buffer=False)
            for group in range(parquet.num_row_groups):
                for row in parquet.read_row_group(group, use_threads=False).to_pylist():
                    yield _record(cls, row)
    except (pa.ArrowException, KeyError) as error:
        fix = "delete work/ there and run the same command again"
        raise IntegrityError(f"{storage.url}/{name}: damaged ({error}); {fix}") from error


def schema(cls: type) -> pa.Schema:
    """Arrow schema of a record type."""
    import pyarrow as pa

    return pa.schema([(name, _arrow(hint)) for name, hint in _hints(cls).items()])


def _hints(cls: type) -> dict[str, Any]:
    if cls not in _HINTS:
        hints = typing.get_type_hints(cls)
        _HINTS[cls] = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    return _HINTS[cls]


def _arrow(hint: Any) -> pa.DataType:
    import pyarrow as pa

    simple = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    if hint in simple:
        return simple[hint]
    if dataclasses.is_dataclass(hint):
        return pa.struct([(name, _arrow(inner)) for name, inner in _hints(typing.cast("type", hint)).items()])
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return pa.string()
    if origin in (types.UnionType, typing.Union):
        return _arrow(next(part for part in arguments if part is not type(None)))
    assert origin in (tuple, list), hint
    return pa.list_(_arrow(arguments[0]))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in _hints(typing.cast("type", type(value)))}
    if isinstance(value, tuple | list):
        return [item if isinstance(item, str) else _plain(item) for item in value]
    return None if value == "" else value


def _record(cls: type[T], row: dict[str, Any]) -> T:
    return cls(**{name: _value(hint, row[name]) for name, hint in _hints(cls).items()})


def _value(hint: Any, value: Any) -> Any:
    if hint is str or typing.get_origin(hint) is Literal:
        return "" if value is None else value
    if dataclasses.is_dataclass(hint):
        return _record(typing.cast("type[Any]", hint), value)
    if typing.get_origin(hint) in (tuple, list):
        inner = typing.get_args(hint)[0]
        items = value or []
        return tuple(item if inner is str else _value(inner, item) for item in items)
    return value
