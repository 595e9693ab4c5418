"""A hash of what a weight file says, whatever container it is in: names, types, shapes and numbers.

Two files with the same tensors have the same content hash, even if one is a ``.pt`` and the other a ``.safetensors``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import WeightsError


def content_hash(arrays: Mapping[str, Any]) -> str:
    """sha256 over key, type, shape and little-endian bytes of each entry, in the order of the keys.

    Parameters
    ----------
    arrays
        Tensors or numpy arrays.
    """
    digest = hashlib.sha256()
    for key in sorted(arrays):
        name, array = _numpy(arrays[key])
        digest.update(f"{key}|{name}|{','.join(map(str, array.shape))}|".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _numpy(value: Any) -> tuple[str, npt.NDArray[Any]]:
    """The name of the type, and an array; numpy has no bfloat16, so of that it gets the bits."""
    if hasattr(value, "detach"):
        import torch

        name = str(value.dtype).removeprefix("torch.")
        plain = value.detach().cpu().contiguous()
        return name, (plain.view(torch.int16) if plain.dtype == torch.bfloat16 else plain).numpy()
    if not isinstance(value, np.ndarray | np.generic | bool | int | float):
        # A list may hold a few parts that are shared until, written out, no memory holds them.
        raise WeightsError(f"expected arrays of numbers, found a {type(value).__name__}")
    array = np.asarray(value)
    return array.dtype.newbyteorder("=").name, array
