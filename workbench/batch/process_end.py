"""How a process ended, and what it said last."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import IO

_SAID_BYTES = 4096


def how(code: int) -> str:
    """Its exit status, or the signal that ended it, in words."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"{signal.Signals(-code).name}, {signal.strsignal(-code) or ''}".rstrip(", ")
    except ValueError:
        return f"signal {-code}"


def kills_for_memory() -> int:
    """How often the system ended a process because memory ran out, since it was started; 0 where it does not tell."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def empty(said: IO[bytes]) -> None:
    """What it has said until now is of no interest any more."""
    with suppress(OSError):
        os.ftruncate(said.fileno(), 0)
        os.lseek(said.fileno(), 0, os.SEEK_SET)


def last_words(said: IO[bytes]) -> str:
    """The end of what a process printed."""
    with suppress(OSError, ValueError):
        size = os.fstat(said.fileno()).st_size
        os.lseek(said.fileno(), max(0, size - _SAID_BYTES), os.SEEK_SET)
        return os.read(said.fileno(), _SAID_BYTES).decode("utf-8", "replace").strip("\x00")
    return ""
