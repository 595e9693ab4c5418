"""What killed processes leave behind: named so that it can be told for sure, and removed by the next one.

A name says on which machine, by which process and since when: ``.part-node7-4711-88123-x8k2/mask.nii.gz``. Only
what this machine made is judged, and only if that very process (not a later one with its number) no longer runs.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

PART = ".part"
"""Folders in which files are written before they get their name: hidden, so that no pattern of a shell finds them."""

_OLD = re.compile(r"^(?P<stem>[^.]*)\.part-(?P<pid>\d+)(?P<rest>\..*)?$")
"""How version 0.1 called a file that it was writing."""


def tag() -> str:
    """Machine, number and start of this process, as part of a file name."""
    return f"{_host()}-{os.getpid()}-{started(os.getpid())}"


@cache
def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", platform.node()) or "here"


def started(pid: int) -> int:
    """When a process began: on Linux in ticks since the machine started, which no change of the clock moves."""
    if sys.platform == "linux":
        # The name of the program, in brackets, may hold anything.
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(text.rpartition(")")[2].split()[19])
    import psutil

    return round(float(psutil.Process(pid).create_time()))


def temporary_folder(name: str) -> Path:
    """A new folder for temporary files; what killed processes left of the same kind goes."""
    place = Path(tempfile.gettempdir())
    clean(place, name)
    return Path(tempfile.mkdtemp(prefix=f"{name}-{tag()}-", dir=place))


def clean(folder: Path, prefix: str = PART) -> list[Path]:
    """Remove what dead processes of this machine left in `folder` under names ``<prefix>-<tag>-...``; gives it."""
    pattern = re.compile(rf"^{re.escape(prefix)}-{re.escape(_host())}-(\d+)-(\d+)-[A-Za-z0-9_]+$")
    found = []
    for path in _entries(folder):
        match = pattern.match(path.name)
        if match and path.is_dir() and not path.is_symlink() and not lives(int(match[1]), int(match[2])):
            shutil.rmtree(path, ignore_errors=True)
            found.append(path)
    return found


def clean_old(folder: Path, names: Iterable[str]) -> list[Path]:
    """Remove what a killed 0.1 left of files of these names (``mask.part-4711.nii.gz``) in a folder of ours; gives it.

    Such a name could be a user's, so this is only for folders that hold results or states and nothing else.
    """
    wanted = set(names)
    found = []
    for path in _entries(folder):
        match = _OLD.match(path.name)
        if match is None or path.is_symlink() or not path.is_file() or _exists(int(match["pid"])):
            continue
        if match["stem"] + (match["rest"] or "") in wanted:
            with suppress(OSError):
                path.unlink()
            found.append(path)
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # not there yet, or not ours to look into
        return []


def _exists(pid: int) -> bool:
    import psutil

    return bool(psutil.pid_exists(pid)) if 0 < pid < 2**31 else False


def lives(pid: int, began: int) -> bool:
    """Whether that process still runs; one that may not be asked counts as living."""
    if not _exists(pid):
        return False
    import psutil

    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(started(pid) - began) <= (0 if sys.platform == "linux" else 2)
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except (psutil.Error, OSError):
        return True
