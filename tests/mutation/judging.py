"""What became of a mutant, and whether that is a fault."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from tests.mutation.mutants import Mutant
from tests.mutation.seed import Region, Seed
from workbench.core.types import Image

FAULTS = ("other", "short", "signal", "slow", "unexpected", "memory", "unclear")
"""Other samples, or fewer (or more) of them, without a word; a crash; over 5 s of processor time; any error but ours;
no memory; an error of ours of several lines, or that does not name the file."""


def digest(value: Any) -> dict[str, Any]:
    """Numbers in all arrays of what a verb gave, and a hash of it: of arrays the numbers, of anything else the text.

    Of an image its samples count, and what its reader noted is there beside them.
    """
    if isinstance(value, Image):
        return {**digest(value.data), "notes": list(value.notes)}
    sizes, hashed = [0], hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, dict):
            for key, item in part.items():
                hashed.update(repr(key).encode())
                add(item)
        elif isinstance(part, list | tuple):
            hashed.update(f"{len(part)}".encode())
            for item in part:
                add(item)
        elif hasattr(part, "__array__"):
            array = np.asarray(part)
            sizes[0] += array.size
            hashed.update(f"{array.shape} {array.dtype.kind}".encode())
            if array.dtype.kind in "OUS":
                hashed.update(repr(array.tolist()).encode())
            else:
                # The same numbers in other bytes are the same numbers.
                plain = array.astype("f8") if array.dtype.kind in "iufb" else array
                hashed.update(np.ascontiguousarray(plain).tobytes())
        else:
            hashed.update(repr(part).encode())

    add(value)
    return {"size": sizes[0], "hash": hashed.hexdigest()}


def fault_of(
    seed: Seed, mutant: Mutant, old: bytes, verb: str, found: dict[str, Any], truth: dict[str, Any]
) -> tuple[str, str] | None:
    """The fault in what one verb did, as (one of `FAULTS`, a line), or ``None``."""
    if "fault" in found:
        return found["fault"], found["line"]
    if "refused" in found or verb == "info" or found["hash"] == truth["hash"]:
        return None
    size = f"{found['size']} values, {truth['size']} were promised"
    if not mutant.inside and _within(mutant.touched, seed.sealed(Path(mutant.file), old)):
        return ("other", "other values in spite of the checksum") if found["size"] == truth["size"] else ("short", size)
    if not mutant.inside and _within(mutant.touched, seed.alone(Path(mutant.file), old)):
        return None
    if not seed.counted or not any(fnmatch(Path(mutant.file).name, pattern) for pattern in seed.body):
        return None
    if found["size"] != truth["size"]:
        said = set(found.get("notes", ())) - set(truth.get("notes", ()))
        return None if said else ("short", size)
    return ("other", "filled up where the file is cut off") if mutant.cut and seed.ends else None


def _within(touched: tuple[Region, ...], sealed: list[Region]) -> bool:
    # What is put in at the very end of a sealed stretch lies behind it.
    return bool(touched) and all(
        any(a <= start and stop <= b and start < b for a, b in sealed) for start, stop in touched
    )
