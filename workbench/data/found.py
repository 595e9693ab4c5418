"""What is there against what was promised, for every reader: regular files, and lengths to the byte."""

from __future__ import annotations

import stat
from pathlib import Path

from workbench.core.errors import InputError

FEW = 7
"""Bytes after the last promised sample that are tolerated with a note: too few to be a header or a line."""


def require_regular(path: Path) -> None:
    """Refuse to open what is there and is no regular file: a device gives bytes for ever, a pipe none.

    Links are followed. What is missing is left to the one who opens it.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: it is {_kind(mode)}, expected a regular file. Give the file that holds the data.")


def spare_note(name: str, spare: int) -> str:
    """The note on bytes after the last promised sample."""
    return f"{name} has {spare} more byte{'s' if spare > 1 else ''} than its header promises; the rest was left unread"


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "a socket"
