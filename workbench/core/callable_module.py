"""Lets a module be called like the verb it is named after.

``workbench.weights`` is both a part of the house and a verb of the public interface.
Importing a submodule binds its name in the parent, so a function of that name would vanish after the first import.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def make_callable(module: str, function: Callable[..., Any]) -> None:
    """Make ``module(...)`` call `function`."""

    class CallableModule(ModuleType):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

    sys.modules[module].__class__ = CallableModule
