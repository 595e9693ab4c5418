"""Load whatever the tools load when they first need it: what is loaded once is no leak, however late it comes."""

from __future__ import annotations

import ast
import importlib
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

_OURS = ("workbench", "workbench_napari")
# What libraries load themselves, once a function of theirs is called.
_OF_LIBRARIES = (
    "mne.io", "mne.preprocessing", "mne.time_frequency", "mne.viz", "monai.inferers", "rasterio.features", "scipy.fft",
    "scipy.interpolate", "scipy.ndimage", "scipy.optimize", "scipy.signal", "scipy.sparse.csgraph", "scipy.stats",
    "skimage.measure", "sklearn.linear_model", "torch._dynamo", "vispy.visuals.mesh", "vispy.visuals.volume",
)  # fmt: skip


def load_all() -> None:
    """Import the modules that any line of our packages or of the monkey names, in functions as well."""
    names = set(_OF_LIBRARIES)
    for package in _OURS:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for path in Path(folder).rglob("*.py"):
                names |= named_in(path.read_text(encoding="utf-8"))
    for path in Path(__file__).parent.glob("monkey*.py"):
        names |= {name for name in named_in(path.read_text(encoding="utf-8")) if not name.startswith("tests.")}
    for name in sorted(names):
        if not name.endswith("__main__"):
            with suppress(Exception):  # an extra that is not installed, or another version of it
                importlib.import_module(name)


def draw_once() -> None:
    """Draw each kind of layer in two and in three dimensions: drivers, fonts and shaders take 100 MB and stay."""
    import napari
    import numpy as np
    from qtpy.QtTest import QTest

    viewer = napari.Viewer()
    volume = np.random.default_rng(0).random((40, 40, 40), np.float32)
    viewer.add_image(volume)
    viewer.add_labels((volume > 0.7).astype(np.uint8))
    viewer.add_points(np.full((3, 3), 20.0))
    viewer.add_shapes([np.array([[20, 5, 5], [20, 5, 15], [20, 15, 15]])], shape_type="polygon")
    for dimensions in (2, 3, 2):
        viewer.dims.ndisplay = dimensions
        QTest.qWait(400)
    viewer.close()
    QTest.qWait(200)


def named_in(source: str) -> set[str]:
    """Modules that a source names: after ``import`` and ``from``, and as text in ``import_module("...")``."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(first.value)
    return found
