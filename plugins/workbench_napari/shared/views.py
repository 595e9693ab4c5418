"""What every tool that moves the picture needs of the viewer."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QWidget

from workbench_napari.shared.napari_versions import camera_of
from workbench_napari.shared.window import main_window

__all__ = ["camera_of", "canvas_of"]


def canvas_of(viewer: Any) -> QWidget:
    """The widget that napari draws on."""
    from qtpy.QtOpenGLWidgets import QOpenGLWidget

    window = main_window(viewer)
    found = [] if window is None else window.centralWidget().findChildren(QOpenGLWidget)
    if not found:
        raise RuntimeError("this window has no canvas")
    return found[0]
