"""Annotations of several sources as one list, in order of time."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.core.types import Mark, Marks

PEAK_LABEL = "surprising"
"""What the peaks of surprisal are called that a run marks."""


def in_order(marks: Iterable[Mark]) -> list[Mark]:
    """Annotations in order of onset, then duration, label and channels: one order, whoever made them."""
    return sorted(marks, key=lambda m: (m.onset, m.duration, m.label, m.channels))


def merge_marks(*sources: Iterable[Mark], name: str = "annotations") -> Marks:
    """The annotations of several sources in order of time; what is equal in all respects is kept once.

    Parameters
    ----------
    sources
        Annotations of files, layers or backends, on one clock [s].
    name
        Name of the part; files are named after it.

    Examples
    --------
    >>> by_hand = Marks((Mark(4.0, 0.5, "blink"),))
    >>> of_the_file = Marks((Mark(4.0, 0.5, "blink"), Mark(1.0, 0.0, "press")))
    >>> [m.label for m in merge_marks(by_hand, of_the_file)]
    ['press', 'blink']
    """
    return Marks(tuple(in_order({mark for marks in sources for mark in marks})), name)
