"""Writes that either happen completely or not at all, and hashes to tell whether they did."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from workbench.core import leftovers
from workbench.core.errors import UsageError
from workbench.core.output import require_inside


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is flushed to disk and renamed, on error removed.

    The temporary file has the name of `path`, because many writers choose the format by it, and lies in a hidden folder
    beside it (`workbench.core.leftovers`): whatever happens, no pattern such as ``*.nii.gz`` finds half a file.
    """
    hidden: Path | None = None
    if path.is_symlink():
        require_inside(path, path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clean_once(path.parent)
        hidden = Path(tempfile.mkdtemp(prefix=f"{leftovers.PART}-{leftovers.tag()}-", dir=path.parent))
        part = hidden / path.name
        yield part
        with part.open("rb+") as f:
            os.fsync(f.fileno())
        os.replace(part, path)
    except (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}. Choose an output folder that you may write to."
        ) from error
    finally:
        if hidden is not None:
            shutil.rmtree(hidden, ignore_errors=True)


@cache
def _clean_once(folder: Path) -> None:
    """What killed runs left there goes with the first file that this process writes."""
    leftovers.clean(folder)


def write_text(path: Path, text: str) -> Path:
    """Write a text file atomically; bytes of names that are no UTF-8 become escapes, as `errors.visible` has them."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def write_json(path: Path, value: Any) -> Path:
    """Write JSON atomically, indented, with numbers and text only."""
    return write_text(path, json.dumps(value, indent=2, default=str) + "\n")


def sha256_of(*paths: Path) -> str:
    """Hash of a file; of several files or a folder: names and contents in sorted order."""
    digest = hashlib.sha256()
    files = sorted(f for p in paths for f in (p.rglob("*") if p.is_dir() else [p]) if f.is_file() or f == p)
    single = len(paths) == 1 and not paths[0].is_dir()
    for file in files:
        if not single:
            digest.update(str(file.relative_to(paths[0]) if paths[0].is_dir() else file.name).encode())
        with file.open("rb") as f:
            while chunk := f.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
