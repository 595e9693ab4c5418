"""What libraries say when memory runs out while they read: nothing is wrong with the file then."""

from __future__ import annotations

import errno

_WORDS = ("allocate memory", "bad_alloc", "bad allocation", "out of memory", "insufficient memory", "not enough memory")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of a library means that it got no memory (files that map themselves say it as `OSError`)."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(words in str(error).lower() for words in _WORDS)
