"""Files that a header names: in its own folder, and regular."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path, PureWindowsPath

from workbench.core.errors import InputError
from workbench.data.header_text import shortened

_LONGEST = 255  # bytes, of all file systems in use


def beside(header: Path, field: str, name: str) -> Path:
    """The file of that name in the folder of the header, or below it.

    Links are followed, as data sets under DataLad or git-annex are made of them; what they end at must be a regular
    file. A file that is missing is left to the one who opens it: a header answers without its voxels.

    Raises
    ------
    InputError
        If the name is absolute or leaves the folder, or it is a device, a pipe, a folder or the like.
    """
    if max(len(os.fsencode(part)) for part in name.split("/")) > _LONGEST:
        raise InputError(
            f"{header}: {field} is {shortened(name)}, no file has so long a name. Correct this field, or export it"
            " again."
        )
    leaves = ".." in re.split(r"[/\\]", name) or name.startswith(("/", "\\")) or PureWindowsPath(name).drive
    if leaves or re.search(r"[\x00-\x1f\x7f]", name):
        raise InputError(
            f"{header}: {field} is {shortened(name)}, expected the name of a file in the folder of the header. Move the"
            " file there, and correct this field."
        )
    require_regular(header.parent / name, f"{header}: {field} is {shortened(name)}, which")
    return header.parent / name


def require_regular(path: Path, subject: str | None = None) -> None:
    """Refuse to open what is there and is no regular file: a device gives bytes for ever, a pipe none."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # missing, or no name at all
    if not stat.S_ISREG(mode):
        raise InputError(
            f"{subject or f'{path}: it'} is {_kind(mode)}, expected a regular file. Give the file that holds the data."
        )


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "a socket"
