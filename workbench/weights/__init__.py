"""Weights are data: found, checked by hash, loaded without executing anything. Calling the package lists them.

``wb.weights()`` is a verb of the public interface and `workbench.weights` is a part of the house: importing a package
binds its name in the parent, so the package itself can be called.
"""

from workbench.core.callable_module import make_callable
from workbench.weights.files import (
    WeightsFile,
    base_record,
    blaming,
    find,
    find_base,
    listing,
    load_tensors,
    read_meta,
    save,
)

__all__ = [
    "WeightsFile", "base_record", "blaming", "find", "find_base", "listing", "load_tensors", "read_meta", "save",
]  # fmt: skip

make_callable(__name__, listing)
