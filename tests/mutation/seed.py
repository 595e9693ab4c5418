"""What a seed of the mutation test is: a small valid file, how it is read, and what its format promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Region = tuple[int, int]


def images(path: Path) -> Mapping[str, Callable[[], Any]]:
    """What a person does with an image: look at its header, and load it."""
    import workbench as wb

    return {"info": lambda: wb.info(path), "data": lambda: wb.read(path)}


def maps(path: Path) -> Mapping[str, Callable[[], Any]]:
    """The same of an image that can also be a map of labels."""
    from workbench.data import formats

    return {**images(path), "labels": lambda: formats.read_labels(path).data}


@dataclass(frozen=True)
class Seed:
    """One small file, or a few that belong together.

    Parameters
    ----------
    make
        Writes it into an empty folder, returns the path to open.
    verbs
        What is done with that path, by name; what comes back is compared with that of the file as it was made.
    protection
        In words, for the table: what in the container says that samples are missing or others.
    sealed
        The stretches of a file that a checksum covers: no other samples may come of a change within.
    alone
        The stretches of a file that say how many samples there are, and that nothing else in the container repeats.
    counted
        Whether the container says how many samples there are: fewer or more are then an error, and a file that is cut
        off is never filled up.
    ends
        Whether the container says where it ends; of numbers in text the last one may be cut and still be a number.
    body
        Names of the files that hold samples; of the others (a list of events beside them) a part may be missing.
    """

    name: str
    group: str
    make: Callable[[Path], Path]
    verbs: Callable[[Path], Mapping[str, Callable[[], Any]]] = images
    protection: str = "length"
    sealed: Callable[[Path, bytes], list[Region]] = lambda path, content: []
    alone: Callable[[Path, bytes], list[Region]] = lambda path, content: []
    counted: bool = True
    ends: bool = True
    body: tuple[str, ...] = ("*",)


def whole(path: Path, content: bytes) -> list[Region]:
    """A checksum over all of it; the time and the name in a gzip header say nothing of the samples, but stay sealed."""
    return [(0, len(content))]


def after(mark: bytes) -> Callable[[Path, bytes], list[Region]]:
    """Everything behind a header that ends with these bytes."""

    def sealed(path: Path, content: bytes) -> list[Region]:
        at = content.find(mark)
        return [] if at < 0 else [(at + len(mark), len(content))]

    return sealed


def named(suffix: str) -> Callable[[Path, bytes], list[Region]]:
    """All of the files with this ending, nothing of the others."""
    return lambda path, content: [(0, len(content))] if path.name.endswith(suffix) else []
