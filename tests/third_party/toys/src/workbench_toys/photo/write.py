"""Photos to PNG; what was found in them is written alike for all kinds (GeoJSON, CSV)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from workbench import Image, UsageError


def family(format: str, source: Image | None) -> str:
    """There is one format."""
    if format not in ("auto", "png"):
        raise UsageError(f"format {format} holds no photos, and this is one: choose png.")
    return "png"


def jobs(part, target: Path, family: str, source: Image | None):
    """A photo becomes one PNG file; ``None`` leaves every other part to the common writer."""
    if not isinstance(part, Image):
        return None
    return [(target.with_name(f"{target.name}.png"), lambda path: _save(part, path))]


def _save(image: Image, path: Path) -> None:
    Pillow.fromarray(np.moveaxis(image.data, 0, 2)).save(path, format="PNG")
