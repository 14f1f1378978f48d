"""Ways in which stored files come to harm: cut, overwritten, replaced, forged; each a function of a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>403</body></html>\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1234567\n"
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1 << 70, 1.5, "", "x", "../../etc/passwd", "\ud800", [], ["x"], {}, {"x": 1}, [[[]]],
)  # fmt: skip


def bytes_of(data: bytes, dice: random.Random) -> bytes:
    """The bytes after an accident that knows nothing of their meaning."""
    at, end = sorted(dice.randrange(len(data) + 1) for _ in range(2))
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: _flipped(data, dice),
        lambda: data[:at],
        lambda: data[at:],
        lambda: data[:at] + data[end:],
        lambda: data[:at] + bytes(end - at) + data[end:],
        lambda: data[:at] + dice.randbytes(1 + dice.randrange(64)) + data[at:],
        lambda: data + dice.randbytes(1 + dice.randrange(64)),
        lambda: dice.choice((b"", b"\0" * len(data), HTML, POINTER, b"[" * 100_000, b"\xff\xfe" + data)),
    )
    return dice.choice(ways)()


def json_of(data: bytes, dice: random.Random) -> bytes:
    """The JSON object with one value of another kind, one key gone, one more, or one spelt otherwise."""
    table = json.loads(data)
    holder, key = dice.choice(list(_places(table)))
    way = dice.randrange(4)
    if way == 0 and isinstance(holder, dict):
        del holder[key]
    elif way == 1 and isinstance(holder, dict):
        holder[f"{key}x"] = holder.pop(key)
    else:
        holder[key] = dice.choice([odd for odd in ODD if odd != holder[key]])
    text = json.dumps(table)
    return text.replace(": 1.5", f": {dice.choice(('NaN', 'Infinity', '1e999', '1.5'))}").encode()


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from _places(item)


def _flipped(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(1 + dice.randrange(3)):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)
