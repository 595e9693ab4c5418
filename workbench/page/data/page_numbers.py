"""Which page of a file with several is read: the one that somebody says, and none by itself."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from workbench.core.errors import InputError


def chosen(path: Path, series: str | int | None, pages: int) -> int:
    """The number of the page to read, from 1.

    Raises
    ------
    InputError
        There is none of that number, or there are several and none was said.
    """
    if pages == 0:
        raise InputError(f"{path}: has no pages.")
    if series is None:
        if pages > 1:
            raise InputError(
                f"{path}: has {pages} pages. Say which: --series 1 to {pages} (in Python series=1), or --series all for"
                " each."
            )
        return 1
    with suppress(ValueError):
        number = int(series)
        if 1 <= number <= pages:
            return number
    raise InputError(f"{path}: has no page '{series}': its pages are 1 to {pages}.")


def notes_of(number: int, pages: int) -> tuple[str, ...]:
    """What is said of a page of several."""
    return () if pages == 1 else (f"page {number} of {pages}",)
