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

_BY_MODULE = {
    "workbench.api": ("read", "info", "predict", "train", "evaluate", "write", "cases", "study"),
    "workbench.core.registry": ("Backend", "backends"),
    "workbench.core.kinds": ("Kind", "kinds"),
    "workbench.core.settings": ("setting",),
    "workbench.core.types": (
        "Image", "Geometry", "Labels", "Heatmap", "Scores", "Signals", "Mark", "Marks", "Embeddings", "Part", "Result",
        "Provenance", "Case", "Progress", "time_base",
    ),
    "workbench.core.study": ("Study", "Skipped"),
    "workbench.core.classes": ("ClassInfo", "ClassTable"),
    "workbench.core.objects": ("Objects",),
    "workbench.core.lines": ("Lines", "Picture"),
    "workbench.core.frame": ("Frame",),
    "workbench.core.pyramid": ("Level", "Pyramid"),
    "workbench.core.reports": ("TrainReport", "EvaluationReport"),
    "workbench.core.layers": ("LAYER_KEY", "LayerTuple", "source_record", "to_layers", "pyramid_levels"),
    "workbench.core.object_layers": ("objects_layer", "objects_from_layer"),
    "workbench.core.line_layers": ("lines_layer", "lines_from_layer"),
    "workbench.core.provenance": ("Recorder",),
    "workbench.data.formats": ("is_readable", "kind_of", "read_labels", "split_address"),
    "workbench.data.objects": ("read_objects",),
    "workbench.data.lines": ("read_lines",),
    "workbench.data.parts": ("read_embeddings",),
    "workbench.volume.data.monai_reader": ("VolumeReader",),
    "workbench.scene.data.monai_reader": ("SceneReader",),
    "workbench.recording.data.monai_reader": ("RecordingReader",),
    "workbench.slide.data.monai_reader": ("SlideReader",),
    "workbench.core.errors": (
        "WorkbenchError", "UsageError", "InputError", "GeometryError", "MismatchError", "NothingFound", "WeightsError",
        "OutOfMemory", "MissingExtra", "FaultyExtension", "Cancelled", "WorkbenchWarning",
    ),
}  # fmt: skip
_PUBLIC = {name: module for module, names in _BY_MODULE.items() for name in names}

__all__ = ["__version__", "weights", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name == "weights":  # a verb and a part of the house: the package can be called
        return importlib.import_module("workbench.weights")
    raise AttributeError(f"module 'workbench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
