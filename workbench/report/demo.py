"""What ``workbench demo`` hands to each kind of data: where to write, how to show progress, how to speak."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from workbench.core.types import Progress
from workbench.report.html import Links, Section


class Bar(Protocol):
    """Opens a progress bar for the time of a ``with`` block."""

    def __call__(self, label: str, *, unit: str) -> AbstractContextManager[Progress]: ...


@dataclass
class Demo:
    """One run of the demo.

    Parameters
    ----------
    output
        Folder of the page; what a kind writes goes under it, results into ``predictions``.
    device
        Where to compute, as in the settings of the backends.
    bar, say
        Show progress; print a line.
    failures
        What did not work; the demo goes on and ends with the exit code for it.
    """

    output: Path
    device: str
    bar: Bar
    say: Callable[[str], None]
    failures: list[str] = field(default_factory=list)

    @property
    def predictions(self) -> Path:
        return self.output / "predictions"

    def links(self, title: str, files: Iterable[Path]) -> Links:
        """Files under `output`, to be opened from the page, by their names."""
        return Links({path.name: path.relative_to(self.output).as_posix() for path in files}, title)


class KindDemo(Protocol):
    """The function that a kind's row names: its part of the demo, or ``None`` where its samples are not installed."""

    def __call__(self, run: Demo) -> Section | None: ...
