"""Interactive workbench for medical and scientific images: read, predict, correct, train, evaluate, write.

>>> import workbench as wb
>>> image = wb.read("scan.nii.gz")                                   # doctest: +SKIP
>>> result = wb.predict("segformer3d", image, weights="demo")        # doctest: +SKIP
>>> wb.write(result, "out/")                                         # doctest: +SKIP

Public names are loaded when first used, so importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "read": "workbench.api",
    "info": "workbench.api",
    "predict": "workbench.api",
    "train": "workbench.api",
    "evaluate": "workbench.api",
    "write": "workbench.api",
    "cases": "workbench.api",
    "Image": "workbench.types",
    "Geometry": "workbench.types",
    "ClassInfo": "workbench.types",
    "ClassTable": "workbench.types",
    "Labels": "workbench.types",
    "Heatmap": "workbench.types",
    "Scores": "workbench.types",
    "Result": "workbench.types",
    "Provenance": "workbench.types",
    "Case": "workbench.types",
    "WorkbenchError": "workbench.errors",
}

# Verbs that are also parts of the house: their modules can be called (see `workbench._callable`).
_CALLABLE_MODULES = ("backends", "weights")

__all__ = ["__version__", *_CALLABLE_MODULES, *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _CALLABLE_MODULES:
        return importlib.import_module(f"workbench.{name}")
    raise AttributeError(f"module 'workbench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
