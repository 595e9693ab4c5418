"""Cases that are the same files under other names: one scan must not lie on both sides of a split."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from workbench.core.types import Case
from workbench.data import archive

_PROBE = 1 << 16  # bytes that tell most files of one size apart, at the start, in the middle and at the end
_CHUNK = 1 << 22
_NAMED = 3
_WHOLE = (".nii", ".nii.gz", ".mgh", ".mgz")
"""Formats whose files are whole by themselves: others may be told apart only by a second file."""


def one_group(cases: Sequence[Case], *, given: bool = False) -> tuple[list[Case], list[str]]:
    """The cases with those of equal files in one group, and a note that names them.

    Only files of one size are looked into, and only those that agree in a few places are read whole.

    Parameters
    ----------
    given
        Their groups are given by a person (in a list): they stay, and copies in several are said.
    """
    found, notes = list(cases), []
    for numbers in _equal([_files(c) for c in cases]):
        groups = {found[n].group or found[n].id for n in numbers}
        names = ", ".join(found[n].id for n in numbers[:_NAMED])
        more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
        said = f"{names}{more} are the same scan, equal byte for byte"
        if len(groups) == 1:
            notes.append(said)
        elif given:
            notes.append(f"{said}, and are of {len(groups)} groups: a split may have it on both sides")
        else:
            notes.append(f"{said}: they count as one patient")
            group = found[numbers[0]].group or found[numbers[0]].id
            found = [replace(c, group=group) if (c.group or c.id) in groups else c for c in found]
    return found, notes


def _files(case: Case) -> tuple[Path, ...]:
    """The files of its image; none where it is a folder, or one of several images of a file."""
    files = tuple(archive.located(f) for f in case.files or (case.image,))
    if case.options.get("series") or not all(f.name.lower().endswith(_WHOLE) for f in files):
        return ()
    try:
        return files if all(f.is_file() for f in files) else ()
    except OSError:
        return ()


def _equal(cases: Sequence[tuple[Path, ...]]) -> Iterator[list[int]]:
    """Numbers of the cases whose files are equal, in their order."""
    groups = [[n for n, files in enumerate(cases) if files]]
    for told in (_sizes, _probes, _contents):
        split: dict[tuple[object, int], list[int]] = defaultdict(list)
        for number, group in enumerate(groups):
            for n in group:
                try:
                    split[told(cases[n]), number].append(n)
                except OSError:  # whoever opens it says so
                    continue
        groups = [g for g in split.values() if len(g) > 1]
    yield from groups


def _sizes(files: Sequence[Path]) -> object:
    return tuple(f.stat().st_size for f in files)


def _probes(files: Sequence[Path]) -> object:
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        with file.open("rb") as f:
            for start in (0, size // 2, max(size - _PROBE, 0)):
                f.seek(start)
                digest.update(f.read(_PROBE))
    return digest.digest()


def _contents(files: Sequence[Path]) -> object:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as f:
            while chunk := f.read(_CHUNK):
                digest.update(chunk)
    return digest.digest()
