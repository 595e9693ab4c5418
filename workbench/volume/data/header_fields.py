"""Numbered names in text headers, checked before a C library or a loop believes them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from workbench.core.errors import InputError
from workbench.data.header_text import shortened

_MAX_FILES = 65535


def numbered_names(path: Path, field: str, pattern: str, numbers: tuple[int, int, int]) -> list[str]:
    """File names from a pattern such as ``slice%03d.raw`` and its first number, last number and step.

    C libraries give such a pattern to ``printf``: anything but one whole number in it reads or writes their memory.
    """
    if not re.fullmatch(r"[^%]*%(0?\d)?[di][^%]*", pattern, flags=re.ASCII):
        raise InputError(
            f"{path}: {field} names its files {shortened(pattern)}, expected one number such as %03d in it. Rename the"
            " files, and correct this field."
        )
    first, last, step = numbers
    found = range(first, last + (1 if step > 0 else -1), step) if step else range(0)
    if not 1 <= len(found) <= _MAX_FILES:
        raise InputError(
            f"{path}: {field} counts its files from {first} to {last} in steps of {step}, expected 1 to {_MAX_FILES}"
            " files. Correct this field."
        )
    return [pattern % n for n in found]


def unlike_names(path: Path, field: str, names: list[str]) -> list[str]:
    """The names of a list of files, each of which holds voxels of its own; refused where one is given twice."""
    doubled = next((n for n, times in Counter(names).items() if times > 1), None)
    if doubled is not None:
        raise InputError(
            f"{path}: {field} lists {shortened(doubled)} twice, so that its slices would be there twice. Correct this"
            " field."
        )
    return names
