"""Lengths that were found against those that a header promises, for every reader."""

from __future__ import annotations

from workbench.core.errors import InputError

FEW = 7
"""Bytes after the last promised sample that are tolerated with a note: too few to be a header or a line."""


class Damaged(InputError):
    """A file that is not whole, by what its own container says: nobody reads it right, whatever it is a picture of."""


def spare_note(name: str, spare: int) -> str:
    """The note on bytes after the last promised sample."""
    return f"{name} has {spare} more byte{'s' if spare > 1 else ''} than its header promises; the rest was left unread"
