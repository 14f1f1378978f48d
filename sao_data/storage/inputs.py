"""What a source reads: files and folders by path, or by the URL of an object store, through one set of words.

Paths keep all that paths can (links, permissions); an object store has only names that share a beginning.
"""

from __future__ import annotations

import hashlib
import io
import os
from typing import BinaryIO, cast

from sao_data.storage.object_store import file_system, told


def is_url(location: str) -> bool:
    """Does it name something in an object store?"""
    return "://" in location


def is_file(location: str) -> bool:
    """Is there a file or an object?"""
    if not is_url(location):
        return os.path.isfile(location)
    with told(location):
        return bool(file_system(location).isfile(location))


def is_folder(location: str) -> bool:
    """Is there a folder, or anything below that prefix?"""
    if not is_url(location):
        return os.path.isdir(location)
    with told(location):
        return bool(file_system(location).isdir(location))


def open_file(location: str) -> BinaryIO:
    """The bytes of a file, seekable; FileNotFoundError."""
    if not is_url(location):
        return open(location, "rb")
    with told(location):
        return cast("BinaryIO", file_system(location).open(location, "rb"))


def sha256(location: str) -> str:
    """Of a file's bytes, in hexadecimal digits; FileNotFoundError."""
    with open_file(location) as file:
        return hashlib.file_digest(cast("io.BufferedReader", file), "sha256").hexdigest()


def num_bytes(location: str) -> int:
    """Size of a file; FileNotFoundError."""
    if not is_url(location):
        return os.path.getsize(location)
    with told(location):
        return int(file_system(location).size(location))


def state(location: str) -> tuple[int, int]:
    """Size and time of change (ns since 1970) of a file, which tell whether it is still the same."""
    if not is_url(location):
        status = os.stat(location)
        return status.st_size, status.st_mtime_ns
    with told(location):
        files = file_system(location)
        return int(files.size(location)), int(files.modified(location).timestamp() * 1e9)


def files_below(location: str) -> list[str]:
    """Relative POSIX paths of all files below a folder, sorted; linked folders are not entered."""
    if is_url(location):
        with told(location):
            files = file_system(location)
            root = str(files._strip_protocol(location)).rstrip("/") + "/"
            return sorted(str(name).removeprefix(root) for name in files.find(location))
    found = []
    for folder, _, names in os.walk(location, onerror=_raise):
        below = os.path.relpath(folder, location)
        found += names if below == "." else [f"{below}/{name}" for name in names]
    return sorted(found)


def _raise(error: OSError) -> None:
    """Report a folder that cannot be read, which os.walk would take for an empty one."""
    raise error
