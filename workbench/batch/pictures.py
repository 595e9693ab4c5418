"""The small pictures of an overview: one file per case beside it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from workbench.batch.lease import file_name
from workbench.core import leftovers
from workbench.core.output import require_inside
from workbench.data.own_files import PICTURES

_LONGEST = 200
"""Names of cases may be as long as the system allows, and a suffix is still to come [bytes]."""


def path_of(output: Path, case: str) -> Path:
    """Where the picture of a case lies."""
    name = case if len(os.fsencode(case)) <= _LONGEST else file_name(case).removesuffix(".json")
    return output / PICTURES / f"{name}.png"


def keep(output: Path, case: str, png: bytes) -> None:
    """Write a picture; where there is no room it is left out."""
    path = path_of(output, case)
    part = path.with_name(f"{leftovers.PART}-{leftovers.tag()}.png")
    with suppress(OSError):
        require_inside(path, output)
        path.parent.mkdir(exist_ok=True)
        try:
            part.write_bytes(png)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
