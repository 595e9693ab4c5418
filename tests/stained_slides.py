"""Small slides for tests: stained stripes and spots on glass, as tiled TIFF, with regions as GeoJSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from workbench.core.types import Case

BLUE, BROWN = np.array((0.65, 0.50, 0.15)), np.array((0.25, 0.55, 0.85))
SIDE = 768


def paint(seed: int, side: int = SIDE) -> np.ndarray:
    """Glass with tissue in the middle: blue spots in its left half, brown stripes in its right half."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side].astype(float)
    spots = 0.5 + 0.5 * np.sin(rows / 7 + rng.uniform(0, 6)) * np.sin(columns / 7)
    stripes = 0.5 + 0.5 * np.sin(columns / 5 + rng.uniform(0, 6))
    left = columns < side / 2
    density = np.where(left[..., None], spots[..., None] * BLUE + 0.1, stripes[..., None] * BROWN + 0.1)
    density = density + 0.05 * rng.standard_normal((side, side, 1))
    edge = side // 8
    inside = (np.minimum(rows, columns) >= edge) & (np.maximum(rows, columns) < side - edge)
    pixels = np.where(inside[..., None], 245 * np.exp(-density), 244.0)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def write_slide(path: Path, seed: int, *, mpp: float | None = 0.5) -> Path:
    """A tiled TIFF without a pyramid; `mpp` ``None`` leaves its scale out."""
    import tifffile

    scale = {} if mpp is None else {"resolution": (10_000 / mpp, 10_000 / mpp), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(
        path, paint(seed), tile=(256, 256), photometric="rgb", metadata=None, compression="deflate", **scale
    )
    return path


def write_regions(path: Path, side: int = SIDE) -> Path:
    """Two rectangles: ``spots`` and ``stripes``."""
    low, middle, high = side // 8, side // 2, side - side // 8
    features = [
        {"type": "Feature", "properties": {"objectType": "annotation", "classification": {"name": name}},
         "geometry": {"type": "Polygon", "coordinates": [[[x0, low], [x1, low], [x1, high], [x0, high], [x0, low]]]}}
        for name, x0, x1 in (("spots", low, middle), ("stripes", middle, high))
    ]  # fmt: skip
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def make_cases(folder: Path, count: int = 3, *, labels: bool = True) -> list[Case]:
    """Slides of different patients."""
    regions = write_regions(folder / "regions.geojson") if labels else None
    return [
        Case(f"slide-{i}", write_slide(folder / f"slide-{i}.tif", i), regions, f"patient-{i}") for i in range(count)
    ]
