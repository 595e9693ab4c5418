"""A method of the tool for a part that the viewer knows: the viewer must not keep the tool of a closed window."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any


class Weakly:
    """Calls a method as long as its object is there; gives ``None`` then.

    Parameters
    ----------
    method
        A bound method.
    """

    def __init__(self, method: Callable[[], Any]) -> None:
        self._method = weakref.WeakMethod(method)

    def __call__(self) -> Any:
        method = self._method()
        return None if method is None else method()
