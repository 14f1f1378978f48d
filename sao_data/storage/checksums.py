"""SHA256SUMS: the digests of all files of a checkpoint, in the form that `sha256sum -c` checks.

The sha256 of the file itself is the checkpoint's digest: it stands for the weights, the config, what was seen
and where training goes on.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from sao_data.errors import IntegrityError

FILE = "SHA256SUMS"
_LINE = re.compile(r"[0-9a-f]{64}  [A-Za-z0-9][A-Za-z0-9._-]*")
_RESTORE = "restore it from a copy"
_MEANT = f"or, if the change is meant, run `sha256sum *.json *.safetensors > {FILE}` there"


def write(folder: Path) -> None:
    """Write the digests of all that lies in the folder by now."""
    files = sorted(path for path in folder.iterdir() if path.name != FILE)
    lines = [f"{sha256(path)}  {path.name}\n" for path in files]
    (folder / FILE).write_text("".join(lines))


def read(folder: str | Path) -> dict[str, str]:
    """The sha256 of every file of a checkpoint, by name."""
    path = Path(folder) / FILE
    if not path.is_file():
        raise IntegrityError(f"{path}: missing; {_RESTORE}, {_MEANT}")
    found: dict[str, str] = {}
    for line in path.read_bytes().decode(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        if not _LINE.fullmatch(line) or name in found:
            raise IntegrityError(f"{path}: a line is not as `sha256sum` writes it; {_RESTORE}, {_MEANT}")
        found[name] = digest
    return found


def read_file(folder: str | Path, name: str) -> bytes:
    """A file of a checkpoint; IntegrityError if it was changed since it was written."""
    path, wanted = Path(folder) / name, read(folder).get(name)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != wanted:
        raise IntegrityError(f"{path}: not the bytes that {FILE} names; {_RESTORE}, {_MEANT}")
    return data


def digest(folder: str | Path) -> str:
    """The checkpoint's digest (hex)."""
    return sha256(Path(folder) / FILE)


def sha256(path: Path) -> str:
    """Digest of a file (hex)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
