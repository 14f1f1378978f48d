"""The bytes of one member of a shard, on a disk or fetched, and as a file that decoders read."""

from __future__ import annotations

import os
from typing import Protocol

from sao_data.loading.checked_members import Marks


class MemberBytes(Protocol):
    """The bytes of a member, or those of them that are here."""

    size: int  # of the whole member
    failure: OSError | None  # of the last `readinto`: raised in a callback from C it would only be printed

    def read_at(self, at: int, num: int) -> bytes: ...
    def readinto(self, at: int, view: memoryview) -> int: ...


class ShardHandle:
    """An open shard that is closed when the last reader lets go of it."""

    def __init__(self, path: str) -> None:
        self.marks: Marks = bytearray()  # which of its members were found right
        self.number = -1
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


class OnDisk:
    """A member's bytes in an open shard, without a copy."""

    def __init__(self, handle: ShardHandle, offset: int, size: int) -> None:
        self.size = size
        self.failure: OSError | None = None
        self._handle, self._offset = handle, offset

    def read_at(self, at: int, num: int) -> bytes:
        return os.pread(self._handle.number, max(0, min(num, self.size - at)), self._offset + at)

    def readinto(self, at: int, view: memoryview) -> int:
        try:
            return os.preadv(self._handle.number, [view[: max(0, self.size - at)]], self._offset + at)
        except OSError as error:
            self.failure = error
            return 0


class FetchedBytes:
    """Those of a member's bytes that were fetched."""

    def __init__(self, data: bytes, start: int, size: int) -> None:
        self.size = size
        self.failure: OSError | None = None
        self._data, self._start = data, start

    def read_at(self, at: int, num: int) -> bytes:
        assert at >= self._start, (at, self._start)
        return self._data[at - self._start : at - self._start + num]

    def readinto(self, at: int, view: memoryview) -> int:
        part = self.read_at(at, len(view))
        view[: len(part)] = part
        return len(part)


class Joined:
    """A head, and behind it a member's bytes from an offset on: what soundfile asks of a file."""

    def __init__(self, head: bytes, data: MemberBytes, start: int) -> None:
        self._head, self._data, self._start, self._at = head, data, start, 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = len(self._head) + self._data.size - self._start
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray) -> int:
        view, behind = memoryview(buffer), self._at - len(self._head)
        if behind < 0:
            part = self._head[self._at :][: len(view)]
            view[: len(part)] = part
            num = len(part) + self._data.readinto(self._start, view[len(part) :])
        else:
            num = self._data.readinto(self._start + behind, view)
        self._at += num
        return num
