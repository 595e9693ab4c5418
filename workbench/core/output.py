"""Whether a place can be written to, asked before hours of work and not after."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryFile

from workbench.core.errors import UsageError, visible


def require_folder(path: Path, what: str = "output folder") -> None:
    """Refuse a `path` that is not, and cannot become, a folder that we may write into. Makes nothing.

    Raises
    ------
    UsageError
        A file is in the way, or permission is missing; the message names what is in the way.
    """
    nearest = path.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise UsageError(f"cannot write to {path}: {nearest} is a file. Choose another {what}.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write to {path}: no permission for {nearest}. Choose another {what}.")
    try:  # permissions do not say all: some places take no files from anybody
        with TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise UsageError(f"cannot write to {path}: {nearest} takes no files ({why}). Choose another {what}.") from error


def require_file(path: Path) -> None:
    """Refuse a `path` that cannot become a file, or whose folder cannot be made or written into. Makes nothing.

    Raises
    ------
    UsageError
        A folder has this name, a file stands where a folder is needed, or permission is missing.
    """
    if path.is_dir():
        raise UsageError(f"cannot write {path}: there is a folder of this name. Choose another name.")
    if path.is_symlink():
        require_inside(path, path.parent)
    require_folder(path.parent)


def require_inside(path: Path, folder: Path) -> None:
    """Refuse a `path` that a link leads out of `folder`; the folder itself may be a link. Makes nothing.

    Raises
    ------
    UsageError
        With where the link leads.
    """
    try:
        target = path.resolve()
        inside = target.is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:
        raise UsageError(f"cannot write to {path}: a link that leads nowhere. Remove it.") from error
    if not inside:
        raise UsageError(
            f"cannot write to {path}: a link in it leads to {target}, outside of {folder}. Remove the link, or choose "
            "another output folder."
        )


def require_name(name: str) -> str:
    """The name, if it is one path component on every system; control characters in it become escapes (``_x1b``).

    Raises
    ------
    UsageError
        It has separators or other characters that file systems or shells give a meaning.
    """
    if not name or name in (".", "..") or any(c in name for c in '/\\\0:*?"<>|\n\r') or name.startswith("~"):
        raise UsageError(f"'{name}' cannot be a file name here: it must be one plain name without separators.")
    return visible(name, mark="_")
