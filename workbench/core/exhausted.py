"""Whether an error means that memory ran out. Imports nothing, so that everybody can ask."""

from __future__ import annotations

import errno
import sys

_SAID = (
    "out of memory",
    "can't allocate",
    "cannot allocate",
    "not enough memory",
    "unable to allocate",
    "failed to allocate",
    "could not allocate",
    "bad_alloc",
    "bad allocation",
    "memory allocation failed",
)


def is_out_of_memory(error: BaseException) -> bool:
    """True for Python's, NumPy's and CUDA's own errors, and for what torch, ITK, HDF5 and the system say.

    A `MemoryError` of a library about a number in a file's header is one too: nobody can tell it from the other.
    """
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    try:
        text = str(error).lower()
    except Exception:  # an error of a stranger that cannot even be shown
        return False
    return any(said in text for said in _SAID)
