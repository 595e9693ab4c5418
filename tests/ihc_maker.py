"""Immunohistochemistry that is drawn: nuclei of known stain on pale tissue, so that the right index is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

HAEMATOXYLIN, DAB = np.array((0.650, 0.704, 0.286)), np.array((0.268, 0.570, 0.776))


@dataclass(frozen=True)
class Field:
    """A picture and what was drawn: ``(H, W, 3)`` uint8, centres ``(N, 2)`` as (x, y), density of DAB ``(N,)``."""

    pixels: np.ndarray
    centres: np.ndarray
    dab: np.ndarray

    @property
    def index(self) -> float:
        return float((self.dab > 0).mean())


def draw(
    seed: int, side: int = 512, *, mpp: float = 0.5, share: float | None = None, spacing: float = 10.0,
    haze: float = 0.08, weakest: float = 0.3,
    glass: tuple[float, float, float] = (243.0, 242.0, 244.0), stains: np.ndarray | None = None,
) -> Field:  # fmt: skip
    """Ellipses of 5 to 8 um across on a jittered grid, some of which touch; a positive one is also blue.

    Parameters
    ----------
    share
        Of positive ones; by default one by chance.
    spacing
        From one nucleus to the next [um].
    haze
        Density of DAB between nuclei, where there is most.
    weakest
        Density of DAB in the palest positive nucleus.
    stains
        ``(2, 3)`` densities of red, green, blue; by default those of haematoxylin and DAB.
    """
    rng = np.random.default_rng(seed)
    share = rng.uniform(0.05, 0.9) if share is None else share
    step = spacing / mpp
    count = int(side / step)
    rows, columns = np.mgrid[:side, :side]
    waves = np.sin(rows / 23 + rng.uniform(0, 6)) * np.sin(columns / 31 + rng.uniform(0, 6))
    blue, brown = 0.05 + 0.03 * waves, haze * (1 + waves) / 2
    centres, densities = [], []
    for i in range(count):
        for j in range(count):
            if rng.random() < 0.15:
                continue
            y, x = (np.array((i, j)) + 0.5) * step + rng.uniform(-0.15, 0.15, 2) * step
            a, b = rng.uniform(0.32, 0.44, 2) * 8 / mpp
            turn = rng.uniform(0, np.pi)
            r, c = (slice(max(0, int(at - 9 / mpp)), int(at + 9 / mpp)) for at in (y, x))
            dy, dx = rows[r, c] - y, columns[r, c] - x
            u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
            inside = np.clip(1.6 * (1.3 - np.hypot(u / a, v / b)), 0, 1)
            is_positive = rng.random() < share
            dab = rng.uniform(weakest, 1.0) if is_positive else 0.0
            amount = rng.uniform(0.15, 0.35) if is_positive else rng.uniform(0.25, 0.6)
            grain = ndimage.gaussian_filter(rng.standard_normal(inside.shape), 1.5)
            grain = 1 + 0.15 * grain / max(grain.std(), 1e-6)
            blue[r, c] = np.maximum(blue[r, c], amount * inside * grain)
            brown[r, c] = np.maximum(brown[r, c], dab * inside * grain)
            centres.append((x + 0.5, y + 0.5))
            densities.append(dab)
    colours = np.stack([HAEMATOXYLIN, DAB]) if stains is None else np.asarray(stains, float)
    colours = colours / np.linalg.norm(colours, axis=1, keepdims=True)
    density = blue[..., None] * colours[0] + brown[..., None] * colours[1]
    density = ndimage.gaussian_filter(density, (0.7, 0.7, 0))
    pixels = np.asarray(glass) * 10**-density + rng.normal(0, 2.0, (side, side, 3))
    return Field(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), np.array(centres), np.array(densities))


def write(path: Path, pixels: np.ndarray, mpp: float = 0.5) -> Path:
    """As tiled TIFF that says how large its pixels are; as OME-TIFF, which can be nothing but a slide, by its name."""
    import tifffile

    more = {"metadata": None, "resolution": (10_000 / mpp, 10_000 / mpp), "resolutionunit": "CENTIMETER"}
    if path.name.endswith(".ome.tif"):
        size = {"PhysicalSizeX": mpp, "PhysicalSizeY": mpp, "PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
        more = {"ome": True, "metadata": {"axes": "YXS", **size}}
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb", compression="deflate", **more)
    return path
