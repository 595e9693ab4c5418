"""Small spectral scenes for tests: materials with different spectra in blocks, lit unevenly, with noise."""

from pathlib import Path

import numpy as np

from workbench.core.classes import ClassTable
from workbench.core.types import Geometry, Image, Labels

NAMES = ("grass", "soil", "water")


def scene_arrays(rows=30, columns=26, bands=20, *, seed=0, noise=0.01, light=0.3):
    """(bands, rows, columns) float32 and labels (rows, columns) of three materials in stripes and patches."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, bands)
    spectra = np.stack([0.1 + 0.5 * (x > 0.5), 0.1 + 0.4 * x, 0.25 * np.exp(-3 * x) + 0.02])
    r, c = np.mgrid[:rows, :columns]
    labels = 1 + ((r // 5 + c // 6) % 3)
    lit = 1 + light * rng.standard_normal((rows, columns)).clip(-2, 2)
    cube = np.moveaxis(spectra[labels - 1], -1, 0) * lit + noise * rng.standard_normal((bands, rows, columns))
    return cube.astype(np.float32), labels.astype(np.uint8)


def cube_image(cube, *, affine=True, **header) -> Image:
    """An image in memory; 2 m pixels on a map unless `affine` is false."""
    place = np.array([[0.0, 2, 500], [-2, 0, 900], [0, 0, 1]]) if affine else None
    geometry = Geometry(cube.shape[1:], place, ("row", "column"), "m" if affine else None)
    names = tuple(f"band {i + 1}" for i in range(len(cube)))
    return Image(geometry, cube.dtype, names, lambda: cube, kind="scene", header=header)


def labels_of(array, image) -> Labels:
    return Labels(array, image.geometry, ClassTable.from_names(NAMES))


def write_npy(folder: Path, cube, labels) -> tuple[Path, Path]:
    """The scene and its labels as files, bands last as usual in .npy."""
    folder.mkdir(parents=True, exist_ok=True)
    image, reference = folder / "scene.npy", folder / "scene_labels.npy"
    np.save(image, np.moveaxis(cube, 0, -1))
    np.save(reference, labels)
    return image, reference


__all__ = ["NAMES", "cube_image", "labels_of", "scene_arrays", "write_npy"]
