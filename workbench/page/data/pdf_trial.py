"""Lay out one page of a PDF file in a process of its own, which is ended where that takes too much.

A file of 3 KB can hold drawings within drawings that unfold to gigabytes, and PDFium ends the process when memory does
not suffice. What it takes is not seen in the file; so the page is tried here first, watched from outside.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from workbench.core.errors import InputError
from workbench.core.memory import size

MOST_BYTES = 10**9
"""Memory that a page may take; 200,000 paths take a tenth."""
MOST_SECONDS = 30.0
"""Of computing; 200,000 paths take one."""
_LONGEST = 300.0
"""Seconds by the clock, after which a trial is ended on a machine that does not get to it."""
_EVERY = 0.02
_fine: set[tuple[tuple[str, int, int], int]] = set()
"""Files (path, size, time of the last change) and their pages that came to their end."""
_CODE = """
import os, sys, pypdfium2
for number in map(int, sys.argv[2:]):
    try:  # what fails is said where the file is read
        document = pypdfium2.PdfDocument(sys.argv[1])
        if number:
            document[number - 1].close()
    except Exception:
        pass
os._exit(0)
"""


def require_bounded(path: Path, *numbers: int) -> None:
    """Refuse a file whose pages of these numbers take more than `MOST_BYTES` or `MOST_SECONDS`, or end the process.

    Without numbers only the file is opened. Where no process can be started (a program without a Python of its own),
    nothing is tried.
    """
    try:
        stat = path.stat()
    except OSError:
        return  # said where the file is read
    file = (str(path.absolute()), stat.st_size, stat.st_mtime_ns)
    new = [n for n in numbers or (0,) if (file, n) not in _fine]
    found = _trial(file[0], new) if new else ""
    if found:
        what = f"page {new[0]}" if numbers else "the file"
        raise InputError(
            f"{path}: {what if len(new) == 1 else 'one of its pages'} {found}, expected an electrocardiogram. "
            "Print it to a new PDF file, or export it as a picture."
        )
    _fine.update((file, n) for n in new)


def _trial(path: str, numbers: Sequence[int]) -> str:
    """What is wrong with pages, in words; "" where nothing is."""
    if not sys.executable or getattr(sys, "frozen", False):
        return ""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-P", "-c", _CODE, path, *map(str, numbers)]
    no, hidden = subprocess.DEVNULL, getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        process = subprocess.Popen(command, stdin=no, stdout=no, stderr=no, env=environment, creationflags=hidden)
    except OSError:
        return ""
    try:
        return _watched(process)
    finally:
        process.kill()
        process.wait()


def _watched(process: subprocess.Popen[bytes]) -> str:
    """What a process took too much of, in words, or how it ended; "" where it came to its end."""
    begun = time.monotonic()
    while process.poll() is None:
        taken, seconds = _taken(process.pid)
        if taken > MOST_BYTES:
            return f"unfolds to more than {size(MOST_BYTES)}"
        if seconds > MOST_SECONDS or time.monotonic() - begun > _LONGEST:
            return f"is not laid out within {MOST_SECONDS:.0f} s"
        time.sleep(_EVERY)
    crashed = process.returncode < 0 or process.returncode > 255  # by a signal; on Windows by an exception
    return "cannot be laid out (PDFium crashes on it)" if crashed else ""


def _taken(pid: int) -> tuple[int, float]:
    """Bytes and seconds of computing that a process has taken; nothing of one that has ended."""
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            return int(process.memory_info().rss), float(times.user + times.system)
    except psutil.Error:
        return 0, 0.0
