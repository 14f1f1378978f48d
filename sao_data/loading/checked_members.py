"""Which members of the shards were found right on this machine, so that each is hashed by one process only.

One small file a shard, a byte a member, mapped into memory by every process that reads the shard: a byte
that is written is seen by the others at once, and two that check the same member at the same time merely
do it twice.

The file's name is a hash of the dataset's root digest, the shard's sha256, and what the kernel says of the
open shard (device, inode, size, times of its last change) since this machine was started. A shard that was
changed or replaced, by whomever, thus has another record, and everything in it is checked again; so it is
after a restart. Times are only as fine as the kernel's clock: a shard that changed within the last two
seconds (or, by another machine's clock, later than now) is checked by each process for itself.

What is trusted: this user's own processes, and the kernel's times. Others cannot write there: the folder
and the files are the owner's alone, and a folder that is not is not used. A disk that returns other bytes
without a change to the file is noticed by the CRC-16 of the FLAC frames that are decoded, and by `verify =
"always"`.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import mmap
import os
import stat
import tempfile
import time
from pathlib import Path

from sao_data.records import Shard

log = logging.getLogger(__name__)

_SECONDS_UNSURE = 2.0  # after a change, in which another might leave the times as they are
_ALONE = "%s: %s; each process checks for itself what it reads"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
Marks = bytearray | mmap.mmap  # 1 at 2 * i (+ 1): the audio (the JSON) of a shard's i-th sample was right


class CheckedMembers:
    """Gives the marks of a shard: this machine's, or this process's own where those cannot be shared."""

    def __init__(self, root_digest: str) -> None:
        self._root_digest = root_digest
        self._folder = _own_folder()
        self._private: dict[str, bytearray] = {}

    def marks(self, shard: Shard, handle: int) -> Marks:
        """The marks for a shard as it is open here."""
        found = os.fstat(handle)
        changed = max(found.st_mtime_ns, found.st_ctime_ns)
        facts = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        text = "\n".join(map(str, (self._root_digest, shard.name, shard.sha256, *facts, _boot())))
        name = hashlib.sha256(text.encode()).hexdigest()
        num = 2 * shard.num_samples
        folder = self._folder  # another thread may give it up meanwhile
        if folder is not None and time.time_ns() - changed >= _SECONDS_UNSURE * 1e9:
            try:
                return _mapped(folder / name, num)
            except OSError as error:  # a full disk, or a folder that was cleaned up: nothing to stop for
                log.warning(_ALONE, folder, error.strerror)
                self._folder = None
        return self._private.setdefault(name, bytearray(num))


def _own_folder() -> Path | None:
    """A folder in the machine's temporary folder that nobody else can write to; None where there is none."""
    folder = Path(tempfile.gettempdir()) / f"sao-checked-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        log.warning(_ALONE, folder, error.strerror)
        return None
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    if not is_ours:
        log.warning(_ALONE, folder, "not this user's alone, so not used")
    return folder if is_ours else None


def _mapped(path: Path, num: int) -> Marks:
    """The file's bytes, shared; it is made of zeros where there is none."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        # written, not only made longer: a full disk is an error now, and not a signal later. Marks that
        # another process set meanwhile may be lost by it, and their members are checked once more.
        if os.fstat(handle).st_size < num and os.pwrite(handle, bytes(num), 0) < num:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return mmap.mmap(handle, num)
    finally:
        os.close(handle)


def _boot() -> str:
    return _BOOT.read_text().strip() if _BOOT.exists() else ""
