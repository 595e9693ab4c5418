"""What a folder turns out to be: its cases, and everything in it that is none, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.types import Case

SHOWN = 10
"""How many lines of what was skipped a screen gets; reports hold all."""


@dataclass(frozen=True)
class Skipped:
    """Something in a folder that is no case of it.

    Parameters
    ----------
    path
        The file or the folder.
    reason
        Why, in words.
    count
        How many files this stands for.
    """

    path: Path
    reason: str
    count: int = 1

    def line(self) -> str:
        """For people."""
        many = f" ({self.count} files)" if self.count > 1 else ""
        return f"{self.path}{many}: {self.reason}"

    def to_json(self) -> dict[str, Any]:
        return {"path": str(self.path), "reason": self.reason, "files": self.count}


@dataclass(frozen=True)
class Study:
    """The cases of a folder, in the order of their ids, and what was skipped.

    Parameters
    ----------
    cases
        Each with an id of its own. One that cannot be opened says why in `Case.problem`.
    skipped
        What is no case, and why.
    notes
        What a person should know of the whole.
    faults
        What makes it unfit to learn from or to be scored on, a line each (images without labels).
    """

    cases: tuple[Case, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    def skipped_lines(self, most: int | None = SHOWN) -> list[str]:
        """A line for each of the first `most` (all: ``None``), and how many more there are."""
        shown = self.skipped if most is None else self.skipped[:most]
        lines = [f"skipped: {s.line()}" for s in shown]
        more = len(self.skipped) - len(shown)
        return (
            [*lines, f"skipped: {more} more; all of them in a --report, or by predict --dry-run"] if more > 0 else lines
        )


@dataclass(frozen=True)
class Place:
    """What a kind needs to know to make cases of files of a tree that belong together across folders.

    Parameters
    ----------
    root
        The top of the tree.
    names
        Folder -> the parts of the ids of cases in it; none for the top.
    series
        The rule by which one of several images is taken, as the user typed it.
    maps
        Label maps are looked for, not images.
    """

    root: Path
    names: Mapping[Path, tuple[str, ...]]
    series: str | None = None
    maps: bool = False


def joined(parts: Iterable[Study]) -> Study:
    """Several as one."""
    found = list(parts)
    return Study(
        tuple(c for s in found for c in s.cases),
        tuple(x for s in found for x in s.skipped),
        tuple(dict.fromkeys(n for s in found for n in s.notes)),
        tuple(f for s in found for f in s.faults),
    )
