"""One member of a zip file as a stream: stored, deflated or bzip2, size and crc32 checked while it is read.

Written out here because zipfile reads the whole directory of an archive each time it is opened (100,000 names
take a second), and lets errors of the decompressor look like errors of the disk.
"""

from __future__ import annotations

import bz2
import contextlib
import io
import os
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from sao_data.plugins import DamagedFile
from sao_data.storage import inputs

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MOST_BYTES = 16 << 30  # no member that declares more is opened; what it declares is enforced while reading

_BLOCK = 1 << 18
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # PKWARE APPNOTE 4.3.7: signature, length of name and extra field
_ENCRYPTED = 0x1


class ZipEntry(NamedTuple):
    """What a zip's directory says of a member."""

    offset: int  # of its local header
    packed_bytes: int
    num_bytes: int
    crc32: int
    method: int
    flags: int
    is_link: bool


def open_member(path: str, name: str, member: ZipEntry) -> BinaryIO:
    """The member's bytes from its beginning; DamagedFile if it cannot be or must not be read."""
    problem = _problem(member)
    if problem:
        raise DamagedFile(f"{name}: {problem}")
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(inputs.open_file(path))
        _seek_data(file, name, member)
        stack.pop_all()
        return io.BufferedReader(_Member(file, name, member), buffer_size=_BLOCK)


def _problem(member: ZipEntry) -> str:
    """Why a member is not opened; '' if it is."""
    if member.is_link:
        return "is a link"
    if member.flags & _ENCRYPTED:
        return "is encrypted"
    if member.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        return f"is compressed by method {member.method}; stored, deflated and bzip2 are read"
    if member.num_bytes > MOST_BYTES:
        return f"declares {member.num_bytes} bytes > {MOST_BYTES}"
    return ""


def _seek_data(file: BinaryIO, name: str, member: ZipEntry) -> None:
    file.seek(max(0, member.offset))
    header = file.read(_LOCAL_HEADER.size)
    if member.offset < 0 or len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
        raise DamagedFile(f"{name}: nothing of it where the zip's directory points")
    _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
    file.seek(name_bytes + extra_bytes, os.SEEK_CUR)


class _Decompressor(Protocol):
    """bz2.BZ2Decompressor, and what looks like it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Inflate:
    """zlib's raw deflate with the interface of bz2's decompressor."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


class _Member(io.RawIOBase):
    """Streams one member from an open file that stands at its data."""

    def __init__(self, file: BinaryIO, name: str, member: ZipEntry) -> None:
        self._file = file
        self._name = name
        self._member = member
        self._left = member.packed_bytes
        self._num_bytes = 0
        self._crc32 = 0
        makers: dict[int, type[_Decompressor]]
        makers = {zipfile.ZIP_DEFLATED: _Inflate, zipfile.ZIP_BZIP2: bz2.BZ2Decompressor}
        maker = makers.get(member.method)
        self._unpacker = maker() if maker else None

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = (
            self._stored(len(view)) if self._unpacker is None else self._unpacked(self._unpacker, len(view))
        )
        self._num_bytes += len(data)
        self._crc32 = zlib.crc32(data, self._crc32)
        declared = self._member.num_bytes
        if self._num_bytes > declared:
            raise DamagedFile(f"{self._name}: holds more than the {declared} bytes it declares")
        if not data and self._num_bytes < declared:
            raise DamagedFile(f"{self._name}: ends after {self._num_bytes} of {declared} bytes")
        if self._num_bytes == declared and self._crc32 != self._member.crc32:
            raise DamagedFile(f"{self._name}: crc32 {self._crc32:08x}, declared {self._member.crc32:08x}")
        view[: len(data)] = data
        return len(data)

    def _stored(self, most: int) -> bytes:
        data = self._file.read(min(most, self._left))
        self._left -= len(data)
        return data

    def _unpacked(self, unpacker: _Decompressor, most: int) -> bytes:
        """The next bytes; b'' at the end, be it the true one or not."""
        while not unpacker.eof:
            packed = self._stored(_BLOCK) if unpacker.needs_input else b""
            try:
                data = unpacker.decompress(packed, most)
            except (zlib.error, OSError, ValueError) as error:  # no file is read here
                raise DamagedFile(f"{self._name}: {error}") from error
            if data:
                return data
            if unpacker.needs_input and not packed:
                return b""
        return b""
