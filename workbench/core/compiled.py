"""Loops that numpy has no words for, compiled at their first use; numba is not loaded before."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def compiled(function: Callable[..., Any], any_order: bool = False) -> Callable[..., Any]:
    """`function` compiled by numba (nopython), without the lock of the interpreter, kept for later processes.

    Where numba finds no folder to keep it (an installation that cannot be written, no home), it is compiled anew in
    every process. With `any_order` sums may be taken in any order: several at a time, and rounded otherwise.
    """
    import numba

    how: dict[str, Any] = {"nogil": True, "fastmath": {"reassoc", "nsz", "contract"} if any_order else False}
    try:
        return numba.njit(function, cache=True, **how)  # type: ignore[no-any-return]
    except RuntimeError:
        return numba.njit(function, **how)  # type: ignore[no-any-return]
