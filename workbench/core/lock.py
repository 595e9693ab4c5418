"""One at a time: a lock that ends with its process, however that ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.core.errors import UsageError

_POLL_SECONDS = 0.05


@contextmanager
def locked(path: Path, seconds: float = 60.0) -> Iterator[None]:
    """Hold the lock file `path`, which is made and goes again; a process that was killed holds nothing any more.

    Where the file system knows no locks (some network shares) nothing is held, and nobody is kept from working.

    Raises
    ------
    UsageError
        Somebody else held it for so many `seconds`.
    """
    end = time.monotonic() + seconds
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        if _take(handle) and _is_still(handle, path):
            break
        os.close(handle)
        if time.monotonic() >= end:
            raise UsageError(f"{path.parent}: another program is writing into it. Try again when it has ended.")
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        with suppress(OSError):  # an open file cannot be removed on Windows: it stays, and means nothing
            path.unlink()
        os.close(handle)


def _take(handle: int) -> bool:
    """Whether the lock could be had at once."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no locks here
    return True


def _is_still(handle: int, path: Path) -> bool:
    """Whether the file that was locked still is the one of that name: who held it before has removed it since."""
    try:
        mine, there = os.fstat(handle), path.stat()
    except OSError:
        return False
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)
