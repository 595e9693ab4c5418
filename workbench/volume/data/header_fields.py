"""Numbers and numbered names in text headers, checked before a C library or a loop believes them."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.core.errors import InputError

_MAX_DIGITS = 18  # fits 64 bits, and is read in no time
_MAX_FILES = 65535


def whole_number(path: Path, field: str, text: str, low: int, high: int) -> int:
    """A whole number of a header field within its bounds, or what is wrong with it."""
    if re.fullmatch(rf"[+-]?\d{{1,{_MAX_DIGITS}}}", text, flags=re.ASCII) and low <= int(text) <= high:
        return int(text)
    raise InputError(
        f"{path}: {field} is {shortened(text)}, expected a whole number from {low} to {high}. The header is damaged:"
        " copy or export it again."
    )


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


def shortened(text: str, longest: int = 60) -> str:
    """A text as it would be typed in Python, its end left out where it is long."""
    return repr(text) if len(text) <= longest else f"{text[:longest]!r}... ({len(text)} characters)"
