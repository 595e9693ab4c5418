"""What tells that files are still those that were opened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class FileStamp(NamedTuple):
    """What tells that a file is still the one that was opened; all -1 for one that is not there."""

    path: Path
    size: int
    changed_ns: int
    number: int


def stamps(files: Iterable[Path]) -> tuple[FileStamp, ...]:
    """The stamps of files; of a folder its own, which does not tell whether files in it were changed."""
    found = []
    for path in files:
        try:
            at = path.stat()
            found.append(FileStamp(path, at.st_size, at.st_mtime_ns, at.st_ino))
        except OSError:
            found.append(FileStamp(path, -1, -1, -1))
    return tuple(found)


def mark(found: Iterable[FileStamp] | None) -> str | None:
    """Stamps as a short text that a record can hold; ``None`` where there are no files."""
    told = [(stamp.path.name, stamp.size, stamp.changed_ns) for stamp in found or ()]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16] if told else None
