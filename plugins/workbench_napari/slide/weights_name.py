"""The file that what was learnt in the window goes into: never another one unasked, and never its encoder."""

from __future__ import annotations

from pathlib import Path

from workbench.core.errors import UsageError
from workbench.core.output import require_file


def named_weights(path: Path, base: Path | None = None) -> Path:
    """The path that a dialog gave, with the suffix of weights.

    Parameters
    ----------
    base
        The weights that what was learnt builds on.

    Raises
    ------
    UsageError
        With the suffix it is a file that nobody was asked about, or it is the base; or no file can be written there.
    """
    if path.suffix != ".safetensors":
        path = path.with_name(f"{path.name}.safetensors")
        if path.exists():
            raise UsageError(f"{path}: is there already; choose it to replace it, or another name")
    if base is not None and path.exists() and path.samefile(base):
        raise UsageError(f"{path}: these are the weights that it builds on; choose another name")
    require_file(path)
    return path
