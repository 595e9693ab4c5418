"""The content hash of a file: of weights, or of a pickle of arrays, which is read without executing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench.core.errors import WeightsError
from workbench.weights.content import content_hash
from workbench.weights.files import load_tensors


def content_of(path: Path, keys: Sequence[str] = ()) -> str:
    """Content hash of a weight file, or of a pickle of arrays (read without executing it).

    Parameters
    ----------
    path
        ``.safetensors``, ``.pt``, ``.pth``, ``.bin`` or ``.pkl``.
    keys
        Only these entries; all by default.

    Raises
    ------
    WeightsError
        The file is damaged, holds more than data, or lacks an entry.
    """
    if path.suffix == ".pkl":
        from workbench.weights.inert_pickle import read

        content = read(path)
    else:
        from workbench.nets.checkpoints import unwrap_checkpoint

        content = unwrap_checkpoint(load_tensors(path))
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: expected named arrays, found {type(content).__name__}")
    missing = [k for k in keys if k not in content]
    if missing:
        raise WeightsError(f"{path}: has no {', '.join(missing)}")
    return content_hash({k: content[k] for k in keys} if keys else content)
