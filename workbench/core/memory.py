"""How much memory work needs, how much there is, and a refusal in one line before any of it is done.

What a kind needs is estimated beside its engine, from shapes and settings alone, and by named part (`Need`). What is
there is the least of what the machine has free, what the control groups of the process leave (containers, batch
systems), and what the limits of the process allow: `available` says which of them it was. `require` compares both.

Nothing that could change a byte of the result is made smaller here: the line names the settings that would.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.core.errors import OutOfMemory, UsageError, WorkbenchError, one_line
from workbench.core.exhausted import is_out_of_memory

__all__ = [
    "Available", "Need", "array_bytes", "available", "exhausting", "guarding", "is_out_of_memory", "parse_size",
    "ran_out", "require", "resident", "size",
]  # fmt: skip

VARIABLE = "WORKBENCH_MEMORY_LIMIT"
"""Environment variable: the most that the workbench may take ("8GB"), or "none" to compare nothing beforehand."""

SMALL = 32 * 2**20
"""Needs below this many bytes are not compared: asking would take longer than to try."""

_UNLIMITED = 1 << 60  # what control groups of version 1 say where there is no limit is a little below 2**63
_UNITS = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30}


@dataclass(frozen=True)
class Available:
    """Bytes that this process can still take, and what limits them, in words."""

    bytes: int
    limit: str


@dataclass(frozen=True)
class Need:
    """Bytes that work takes at its peak, beyond what the process has now, by what takes them.

    >>> Need({"voxels": 2_000_000_000, "network": 500_000_000}).text()
    '2.50 GB (voxels 2.00 GB, network 0.50 GB)'
    """

    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    def text(self) -> str:
        """The sum, and the parts that matter, largest first."""
        large = sorted(((v, k) for k, v in self.parts.items() if v >= 0.02 * self.total), reverse=True)
        return f"{size(self.total)} ({', '.join(f'{name} {size(v)}' for v, name in large)})"

    @classmethod
    def highest(cls, *moments: Mapping[str, int]) -> Need:
        """The need of the moment that takes most: what is there one after the other is not added up."""
        return max((cls(dict(m)) for m in moments), key=lambda n: n.total)


def size(n: float) -> str:
    """Bytes for people, in GB of 10^9."""
    return f"{n / 1e9:.2f} GB"


def require(
    need: Need, subject: object, advice: str = "", *, ways: Mapping[str, Callable[[], Need]] | None = None
) -> None:
    """Refuse work that needs more memory than there is, before it begins.

    Parameters
    ----------
    need
        What it takes.
    subject
        File or case that the line is about.
    advice
        What else to do than what `ways` offers.
    ways
        By flag (``"--batch 1"``), what the work would need with it; those that would do are named, or the one that
        comes nearest.

    Raises
    ------
    OutOfMemory
        One line: what is needed and for what, what is there and what limits it, and the flag to give.
    """
    if need.total < SMALL or not _compares():
        return
    there = available()
    if need.total <= there.bytes:
        return
    words = [w for w in (_ways_out(need, there, ways or {}), advice) if w]
    raise OutOfMemory(
        f"{subject}: needs about {need.text()} of memory beyond the {size(resident())} in use, {size(there.bytes)} is "
        f"there ({there.limit}). {' '.join(words) or 'Free memory, or use a machine with more.'}"
    )


def _ways_out(need: Need, there: Available, ways: Mapping[str, Callable[[], Need]]) -> str:
    needs = {flag: estimate().total for flag, estimate in ways.items()}
    enough = [f"{flag} (about {size(n)})" for flag, n in needs.items() if n <= there.bytes]
    if enough:
        return f"What would fit: {'; '.join(enough)}."
    smaller = {flag: n for flag, n in needs.items() if n < 0.98 * need.total}
    if not smaller:
        return ""
    flag = min(smaller, key=lambda f: smaller[f])
    return f"Even with {flag} it needs about {size(smaller[flag])}."


@contextlib.contextmanager
def guarding(subject: object, need: Need | None = None, advice: str = "") -> Iterator[None]:
    """Around work: memory that runs out all the same becomes one line with what was needed and what is there."""
    try:
        yield
    except OutOfMemory:
        raise
    except Exception as error:
        cause = exhausting(error)
        if cause is None:
            raise
        raise OutOfMemory(ran_out(subject, cause, need, advice)) from error


def exhausting(error: BaseException) -> BaseException | None:
    """The error itself, or what one of ours was made from, if that means that memory ran out.

    What our own lines say is not looked at: they name files, and a file may be called "out of memory".
    """
    cause: BaseException | None = error
    while isinstance(cause, WorkbenchError) and not isinstance(cause, OutOfMemory):
        cause = cause.__cause__
    return cause if cause is not None and (isinstance(cause, OutOfMemory) or is_out_of_memory(cause)) else None


def ran_out(subject: object, error: BaseException, need: Need | None = None, advice: str = "") -> str:
    """The line for memory that ran out in the middle of the work."""
    there = available()
    said = one_line(str(error).split("\n")[0])[:160]
    wanted = "" if need is None else f", about {need.text()} were expected to be needed"
    return (
        f"{subject}: memory ran out{f' ({said})' if said else ''}{wanted}; {size(resident())} is in use and "
        f"{size(there.bytes)} there ({there.limit}). {advice or 'Free memory, or use a machine with more.'}"
    )


def resident() -> int:
    """Bytes of memory that this process holds now."""
    if sys.platform == "linux":
        return int(_text(Path("/proc/self/statm")).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return int(psutil.Process().memory_info().rss)


def available() -> Available:
    """What this process can still take: the least that anything leaves it.

    Swap counts for nothing: work that lives in it takes days. Pages of files that were only read count as free, since
    the system drops them when memory is wanted.
    """
    import psutil

    found = [Available(int(psutil.virtual_memory().available), "free memory of this machine")]
    found += _of_control_groups()
    found += _of_limits()
    if (own := _own_limit()) is not None:
        found.append(Available(own - resident(), f"{VARIABLE}={os.environ[VARIABLE]}"))
    least = min(found, key=lambda a: a.bytes)
    return Available(max(0, least.bytes), least.limit)


def _compares() -> bool:
    return os.environ.get(VARIABLE, "").strip().lower() not in ("none", "off")


def _own_limit() -> int | None:
    text = os.environ.get(VARIABLE, "").strip().lower().replace(" ", "")
    if not text or not _compares():
        return None
    return parse_size(text, VARIABLE, ", or none")


def parse_size(text: str, what: str, others: str = "") -> int:
    """Bytes of a size as people write it, ``"8GB"`` or ``"512MiB"``; `what` it is for is named in the error.

    Raises
    ------
    UsageError
        It is none.
    """
    plain = text.strip().lower().replace(" ", "")
    number = plain.rstrip("bkmgti")
    try:
        found = int(float(number) * _UNITS[plain[len(number) :].removesuffix("b")])
    except (ValueError, KeyError, OverflowError):
        found = 0
    if found <= 0:
        raise UsageError(f"{what}={text}: expected a size such as 8GB or 512MiB{others}")
    return found


def _of_limits() -> Iterator[Available]:
    """Limits of the process itself (``ulimit -v``, ``ulimit -d``)."""
    if sys.platform != "linux":
        return
    import resource

    pages = _text(Path("/proc/self/statm")).split()
    page = os.sysconf("SC_PAGE_SIZE")
    for what, name, used in (
        (resource.RLIMIT_AS, "address space, ulimit -v", int(pages[0]) * page),
        (resource.RLIMIT_DATA, "data, ulimit -d", int(pages[5]) * page),
    ):
        soft = resource.getrlimit(what)[0]
        if soft != resource.RLIM_INFINITY:
            yield Available(soft - used, f"limit of this process: {size(soft)} of {name}")


def _of_control_groups() -> Iterator[Available]:
    """What every control group on the way to ours leaves, of both versions: any of them may be the tightest."""
    for mount, below, version in _groups():
        yield from _of_place(mount, below, version)


def _of_place(mount: Path, below: str, version: int) -> Iterator[Available]:
    place = mount / below
    if not place.is_dir():  # a container that does not see where it hangs: its own group is the mount
        place = mount
    for folder in (place, *place.parents):
        yield from _of_group(folder, version)
        if folder == mount:
            break


def _groups(proc: Path = Path("/proc/self")) -> Iterator[tuple[Path, str, int]]:
    """(mount point, path of our group below it, version) of every hierarchy that can limit memory."""
    mounts = [line.split() for line in _text(proc / "mountinfo").splitlines()]
    for line in _text(proc / "cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        version = 2 if number == "0" and not controllers else 1
        if version == 1 and "memory" not in controllers.split(","):
            continue
        for fields in mounts:
            kind = fields[fields.index("-") + 1]
            options = fields[-1].split(",")
            if kind != ("cgroup2" if version == 2 else "cgroup") or (version == 1 and "memory" not in options):
                continue
            root = fields[3].rstrip("/")
            below = path.removeprefix(root) if path == root or path.startswith(root + "/") else path
            yield Path(fields[4]), below.strip("/"), version


def _of_group(folder: Path, version: int) -> Iterator[Available]:
    names = ("memory.max", "memory.high") if version == 2 else ("memory.limit_in_bytes",)
    limits = {name: _number(folder / name) for name in names}
    tight = {name: n for name, n in limits.items() if n is not None and n < _UNLIMITED}
    if not tight:
        return
    used = _number(folder / ("memory.current" if version == 2 else "memory.usage_in_bytes")) or 0
    stat = dict(line.split()[:2] for line in _text(folder / "memory.stat").splitlines() if len(line.split()) == 2)
    prefix = "" if version == 2 else "total_"
    files = sum(int(stat.get(f"{prefix}{name}", 0)) for name in ("inactive_file", "active_file"))
    mapped = int(stat.get("file_mapped" if version == 2 else "total_mapped_file", 0))
    for name, limit in tight.items():
        left = limit - used + max(0, files - mapped)
        yield Available(min(left, limit), f"control group {folder.name or folder}: {name} {size(limit)}")


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdecimal() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def array_bytes(shape: tuple[int, ...], itemsize: int) -> int:
    """Bytes of an array."""
    return math.prod(shape) * itemsize
