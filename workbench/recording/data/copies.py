"""Copies of recordings that MNE opens in their place: on disk for as long as something reads them, and no longer.

A batch opens many recordings one after the other, whose copies together would fill the disk.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from workbench.recording.data import fif_file


class Copy:
    """A folder of its own; it vanishes with the last object that holds this one.

    Attributes
    ----------
    value
        What `kept` was told of it.
    """

    def __init__(self) -> None:
        self.folder = fif_file.own_folder()
        self.value: Any = None
        weakref.finalize(self, shutil.rmtree, self.folder, True)

    def __deepcopy__(self, memo: dict[int, Any]) -> Copy:
        return self  # the copy of an MNE object reads the same file


_kept: weakref.WeakValueDictionary[Hashable, Copy] = weakref.WeakValueDictionary()


def kept(path: Path, how: Hashable, make: Callable[[Path], Any]) -> Copy:
    """The copy of a file as it is now, made if nobody holds one.

    Parameters
    ----------
    how
        What else decides how it is made.
    make
        Writes it into the folder that it gets; what it gives back is the `value`.
    """
    about = path.stat()
    key = (path.absolute(), about.st_mtime_ns, about.st_size, how)
    found = _kept.get(key)
    if found is None:
        found = Copy()
        found.value = make(found.folder)
        _kept[key] = found
    return found
