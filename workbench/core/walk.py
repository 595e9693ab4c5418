"""A tree of folders, one folder at a time: sorted, each once whatever links lead to it, and nothing lost in silence."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from workbench.core.study import Skipped

_DEEPEST = 64


@dataclass(frozen=True)
class Folder:
    """What lies in one folder, sorted by name; hidden entries are left out."""

    path: Path
    files: tuple[Path, ...]
    folders: tuple[Path, ...]


@dataclass
class Walk:
    """Opens folders, and remembers which it has been in. Links are followed: studies are often made of them.

    Attributes
    ----------
    skipped
        Entries that are neither files nor folders, or cannot be looked into.
    """

    skipped: list[Skipped] = field(default_factory=list)
    _been: dict[tuple[int, int], Path] = field(default_factory=dict)

    def enter(self, path: Path) -> Folder | None:
        """The entries of a folder; ``None`` where it cannot be opened, or was entered before."""
        try:
            at = path.stat()
            before = self._been.setdefault((at.st_dev, at.st_ino), path)
            if before is not path:
                self.skip(path, f"the same folder as {before}")
                return None
            if len(path.parts) > _DEEPEST + 32:
                self.skip(path, "too deep in folders")
                return None
            entries = sorted(os.scandir(path), key=lambda e: e.name)
        except OSError as error:
            self.skip(path, f"cannot be opened ({error.strerror or error})")
            return None
        files, folders = [], []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            place = path / entry.name
            try:
                mode = entry.stat().st_mode
            except FileNotFoundError:
                self.skip(place, "a link to nothing: its content is not here (git annex get, datalad get)")
                continue
            except OSError as error:
                self.skip(place, f"cannot be looked at ({error.strerror or error})")
                continue
            if stat.S_ISDIR(mode):
                folders.append(place)
            elif stat.S_ISREG(mode):
                files.append(place)
            else:
                self.skip(place, "neither a file nor a folder (a device, a pipe or a socket)")
        return Folder(path, tuple(files), tuple(folders))

    def skip(self, path: Path, reason: str) -> None:
        self.skipped.append(Skipped(path, reason))


def files_below(path: Path) -> Iterator[Path]:
    """All regular files of a tree, folder by folder; hidden ones are left out."""
    walk = Walk()
    waiting = [path]
    while waiting:
        folder = walk.enter(waiting.pop())
        if folder is not None:
            yield from folder.files
            waiting += reversed(folder.folders)
