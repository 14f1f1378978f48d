"""A file as C libraries may see it: no name, and no error lost in a callback."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from typing import BinaryIO

_WINDOW = 1 << 20  # bytes held at once while scanning


class Guarded:
    """A file whose read and write errors are kept until `check`, since callbacks from C cannot raise.

    Without a name nothing can be guessed from an extension; a disk error cannot pass for a damaged file.
    It may be made to begin at a `start`, and to end `num_hidden` bytes early: what stands around a container
    (tags) cannot shift its offsets then, or be taken for audio.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.start = 0
        self.num_hidden = 0
        self._file = file
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the first OSError that happened on the way."""
        if self._error:
            raise self._error

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes; b'' after an error."""
        try:
            if self.num_hidden:
                left = max(0, self.size() - self.tell())
                size = min(size, left) if size >= 0 else left
            return self._file.read(size)
        except OSError as error:
            self._error = self._error or error
            return b""

    def readinto(self, place: bytearray, /) -> int:
        """Read into a buffer as much as it takes; 0 after an error."""
        data = self.read(len(place))
        place[: len(data)] = data
        return len(data)

    def write(self, data: bytes, /) -> int:
        """Write bytes; 0 after an error."""
        try:
            return self._file.write(data)
        except OSError as error:
            self._error = self._error or error
            return 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move; -1 where damaged offsets point before the start."""
        if whence == 0:
            offset = offset + self.start if offset >= 0 else -1
        if whence == 2:
            offset -= self.num_hidden
        try:
            return max(-1, self._file.seek(offset, whence) - self.start)
        except ValueError:
            return -1
        except OSError as error:
            if error.errno != errno.EINVAL:
                self._error = self._error or error
            return -1

    def tell(self) -> int:
        """Where the file stands."""
        return self._file.tell() - self.start

    def size(self) -> int:
        """Bytes in the file; it stays where it stands, for a decoder that reads it."""
        place = self._file.tell()
        end = self._file.seek(0, 2)
        self._file.seek(place)
        return end - self.start - self.num_hidden

    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes from a place."""
        self.seek(offset)
        return self.read(size)

    def find(
        self, pattern: re.Pattern[bytes], start: int = 0, *, context: int = 32
    ) -> Iterator[tuple[int, bytes]]:
        """Offset of each match from `start` on, with `context` bytes from there; one window in memory at a
        time. A pattern that begins with bytes, not with a choice, is found ten times as fast."""
        offset, held = start, self.read_at(start, _WINDOW)
        while held:
            # The last `context` bytes are looked at with the next window, where what follows them is known.
            rest = self.read_at(offset + len(held), _WINDOW)
            end = len(held)
            window = held + rest[:context]
            for match in pattern.finditer(window):
                if match.start() >= end:
                    break
                yield offset + match.start(), window[match.start() : match.start() + context]
            offset, held = offset + end, rest


class Written(Guarded):
    """A file being written; it knows where it stands and where writes began without asking the system."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.places: list[int] = []
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes; b'' after an error."""
        data = super().read(size)
        self._at += len(data)
        return data

    def write(self, data: bytes, /) -> int:
        """Write bytes; 0 after an error."""
        self.places.append(self._at)
        num_written = super().write(data)
        self._at += num_written
        return num_written

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move; -1 where damaged offsets point before the start."""
        self._at = super().seek(offset, whence)
        return self._at

    def tell(self) -> int:
        """Where the file stands."""
        return self._at
