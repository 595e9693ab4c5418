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
    "backends": "workbench.core.registry",
    "to_layers": "workbench.core.layers",
    "Image": "workbench.core.types",
    "Geometry": "workbench.core.types",
    "ClassInfo": "workbench.core.types",
    "ClassTable": "workbench.core.types",
    "Labels": "workbench.core.types",
    "Heatmap": "workbench.core.types",
    "Scores": "workbench.core.types",
    "Result": "workbench.core.types",
    "Provenance": "workbench.core.types",
    "Case": "workbench.core.types",
    "VolumeReader": "workbench.volume.data.monai_reader",
    "SceneReader": "workbench.scene.data.monai_reader",
    "RecordingReader": "workbench.recording.data.monai_reader",
    "WorkbenchError": "workbench.core.errors",
}

__all__ = ["__version__", "weights", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name == "weights":  # a verb and a part of the house: the package can be called
        return importlib.import_module("workbench.weights")
    raise AttributeError(f"module 'workbench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
