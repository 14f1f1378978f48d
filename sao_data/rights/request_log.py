"""What people asked for, a JSON object a line (takedowns.jsonl, credits.jsonl): appended, never rewritten."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sao_data.errors import UsageError
from sao_data.storage import documents
from sao_data.storage.backend import Storage

T = TypeVar("T")

_NAMED = ("id", "author", "as")


def read(storage: Storage, name: str, line_of: Callable[[str, dict[str, Any]], T]) -> list[T]:
    """Every line, made by `line_of(where, object)`; none where there is no file. UsageError names a line that
    is none."""
    if not storage.exists(name):
        return []
    found = []
    for number, line in enumerate(storage.read(name).split(b"\n"), 1):
        if line.strip():
            where = f"{storage.url}/{name}:{number}"
            plain = documents.plain(line, where=where, fix="mend the line", error=UsageError)
            found.append(line_of(where, plain))
    return found


def append(
    storage: Storage, name: str, lines: Iterable[dict[str, Any]], *, ensure_ascii: bool = False
) -> None:
    """Add lines; the file appears whole. Nothing is written where there are none."""
    text = "".join(json.dumps(line, sort_keys=True, ensure_ascii=ensure_ascii) + "\n" for line in lines)
    if text:
        old = storage.read(name) if storage.exists(name) else b""
        end = b"" if not old or old.endswith(b"\n") else b"\n"
        storage.write(name, old + end + text.encode())


def seal(storage: Storage, name: str, num: int = -1) -> dict[str, int | str]:
    """How many lines stand in a file, and the sha256 of whom they name, in order; of the first `num` of them,
    if that is given."""
    named = read(storage, name, lambda _, plain: [str(plain.get(key, "")) for key in _NAMED])
    first = named if num < 0 else named[:num]
    return {"lines": len(first), "sha256": hashlib.sha256(json.dumps(first).encode()).hexdigest()}
