"""Hyperspectral scenes for anybody's MONAI pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.core.types import Image
from workbench.data.monai_reader import KindReader


class SceneReader(KindReader):
    """Reads spectral scenes (ENVI, MATLAB, NumPy, TIFF) for ``monai.transforms.LoadImage``, channel first.

    Arrays are ``(bands, rows, columns)``, scaled as the header says; class maps ``(1, rows, columns)``. The affine is
    (3, 3): (row, column) -> map coordinates. Besides what `KindReader` gives, the metadata hold ``wavelengths_nm``
    (NaN where unknown), ``good_bands`` and ``crs``. ``scene.mat:key`` names one array of a file.

    >>> load = LoadImaged(keys=["image", "label"], reader=SceneReader(), dtype=None)
    """

    KIND = "scene"

    def get_data(self, img: Image | list[Image]) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        """Samples ``(bands, rows, columns)`` and metadata."""
        array, meta = super().get_data(img)
        images = list(img) if isinstance(img, (list, tuple)) else [img]
        meta["wavelengths_nm"] = np.concatenate([_per_band(i, "wavelengths_nm", np.nan) for i in images])
        meta["good_bands"] = np.concatenate([_per_band(i, "good_bands", 1.0) for i in images]) != 0
        meta["crs"] = images[0].header.get("crs") or ""
        return array, meta


def _per_band(image: Image, key: str, missing: float) -> np.ndarray[Any, Any]:
    values = image.header.get(key)
    return np.full(len(image.channels), missing) if values is None else np.asarray(values, dtype=np.float64)
