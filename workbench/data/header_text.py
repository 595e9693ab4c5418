"""Fields of text headers, checked before a library or a loop believes them."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.core.errors import InputError

_MAX_DIGITS = 18  # fits 64 bits, and is read in no time


def whole_number(path: Path, field: str, text: str, low: int, high: int) -> int:
    """A whole number of a header field within its bounds, or what is wrong with it."""
    if re.fullmatch(rf"[+-]?\d{{1,{_MAX_DIGITS}}}", text, flags=re.ASCII) and low <= int(text) <= high:
        return int(text)
    raise InputError(
        f"{path}: {field} is {shortened(text)}, expected a whole number from {low} to {high}. The header is damaged:"
        " copy or export it again."
    )


def shortened(text: str, longest: int = 60) -> str:
    """A text as it would be typed in Python, its end left out where it is long."""
    return repr(text) if len(text) <= longest else f"{text[:longest]!r}... ({len(text)} characters)"
