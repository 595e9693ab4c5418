"""What every tool that moves the picture needs of the viewer."""

from __future__ import annotations

from typing import Any


def camera_of(viewer: Any) -> Any:
    """The camera; napari 0.9 moved it."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera
