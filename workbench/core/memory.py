"""Whether an error means that memory ran out."""

from __future__ import annotations

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """True for Python's and CUDA's own errors and for what the CPU allocator of torch says."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return any(s in text for s in ("out of memory", "can't allocate", "not enough memory", "cannot allocate"))
