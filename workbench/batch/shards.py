"""Parts of a study for several machines: which case belongs to which part depends on its name alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from workbench.core.errors import UsageError
from workbench.core.types import Case


def shard(cases: Sequence[Case], number: int, index: int) -> list[Case]:
    """The cases of part `index` of `number`, the first is 0.

    A case that is added to the study while others run moves no other one to another part: parts are as large as chance
    makes them.

    Raises
    ------
    UsageError
        There is no such part.
    """
    if number < 1 or not 0 <= index < number:
        raise UsageError(f"--shard-index {index} of --num-shards {number}: expected 0 to {max(0, number - 1)}")
    return [case for case in cases if _part(case.id, number) == index]


def _part(case: str, number: int) -> int:
    digest = hashlib.sha256(case.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % number
