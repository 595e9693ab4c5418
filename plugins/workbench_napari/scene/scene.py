"""A cube that is open in the window: its image, its blocks, and the way between the screen and its pixels."""

from __future__ import annotations

import threading
import weakref
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.layers import KEY
from workbench.core.types import Geometry, Image
from workbench.scene import Components, component_picture, composite, principal_components, sample_spectra

_LIMIT_PIXELS = 400


class Scene:
    """One cube and the RGB layer that shows it."""

    def __init__(self, image: Image, layer: Any) -> None:
        self.image = image
        self._layer = weakref.ref(layer)
        record = layer.metadata.get(KEY) or {}
        self.step = int(record.get("step", 1))
        self.preset = str(record.get("preset", "Bands"))
        self.bands = tuple(int(b) for b in record.get("bands", (0, 0, 0)))
        self._components: Components | None = None
        # Readers of GeoTIFF and HDF5 must not be asked by two threads at once.
        self._lock = threading.Lock()

    @property
    def layer(self) -> Any:
        return self._layer()

    @property
    def geometry(self) -> Geometry:
        return self.image.geometry

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.image.geometry.shape
        return rows, columns

    @property
    def n_bands(self) -> int:
        return len(self.image.channels)

    @property
    def wavelengths(self) -> list[float] | None:
        return self.image.header.get("wavelengths_nm")

    @property
    def good(self) -> list[bool] | None:
        return self.image.header.get("good_bands")

    @property
    def ignore(self) -> float | None:
        return self.image.header.get("ignore_value")

    @cached_property
    def blocks(self) -> Any:
        """The cube opened for reading; nothing is loaded beyond what is asked for."""
        from workbench.scene import open_blocks

        return open_blocks(self.image)

    def spectrum(self, row: int, column: int) -> npt.NDArray[Any]:
        """Spectrum ``(bands,)`` of one pixel."""
        with self._lock:
            found: npt.NDArray[Any] = self.blocks.read(slice(row, row + 1), slice(column, column + 1))[:, 0, 0]
        return found

    def spectra(self, rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Spectra ``(n, bands)`` of several pixels."""
        with self._lock:
            found: npt.NDArray[Any] = self.blocks.spectra(rows, columns)
        return found

    def value_range(self) -> tuple[float, float]:
        """Values that most pixels have in good bands: the first limits of the plot."""
        with self._lock:
            sample = sample_spectra(self.blocks, ignore=self.ignore, pixels=_LIMIT_PIXELS)
        if self.good is not None and any(self.good):
            sample = sample[:, np.asarray(self.good)]
        if not sample.size:
            return 0.0, 1.0
        return min(0.0, float(sample.min())), float(np.percentile(sample, 99.5))

    def picture(self, bands: tuple[int, ...], clip: float) -> npt.NDArray[np.uint8]:
        """RGB of three bands."""
        with self._lock:
            return composite(self.blocks, bands, clip=clip, ignore=self.ignore, step=self.step)

    def component_picture(self, clip: float) -> npt.NDArray[np.uint8]:
        """RGB of three principal components."""
        with self._lock:
            if self._components is None:
                self._components = principal_components(self.blocks, good=self.good, ignore=self.ignore)
            return component_picture(self.blocks, self._components, clip=clip, ignore=self.ignore, step=self.step)

    def pixel_at(self, world: Any) -> tuple[int, int] | None:
        """Row and column under a position of the viewer, or ``None`` outside the scene."""
        layer = self.layer
        if layer is None:
            return None
        at = np.asarray(layer.world_to_data(tuple(world)[-2:]), dtype=float) * self.step + (self.step - 1) / 2
        row, column = (int(v) for v in np.rint(at))
        inside = 0 <= row < self.shape[0] and 0 <= column < self.shape[1]
        return (row, column) if inside else None

    def world_of(self, row: float, column: float) -> tuple[float, float]:
        """Position in the viewer of a pixel."""
        at = (np.array([row, column]) - (self.step - 1) / 2) / self.step
        y, x = self.layer.data_to_world(at)
        return float(y), float(x)

    def place_text(self, row: int, column: int) -> str:
        """Row, column and, where the file knows it, the map position."""
        text = f"row {row}, column {column}"
        affine = self.geometry.affine
        if affine is None:
            return text
        x, y = (np.asarray(affine) @ (row, column, 1.0))[:2]
        digits = 6 if self.geometry.unit == "degree" else 1
        return f"{text}; x {x:.{digits}f}, y {y:.{digits}f}"

    def describe(self) -> str:
        """Size, bands, range and pixel size in a line or two."""
        rows, columns = self.shape
        parts = [f"{rows} × {columns} pixels, {self.n_bands} bands"]
        if self.wavelengths is not None:
            known = [w for w in self.wavelengths if np.isfinite(w)]
            parts.append(f"{min(known):.0f} to {max(known):.0f}\u00a0nm" if known else "no wavelengths")
        else:
            parts.append("no wavelengths in the file: bands go by number")
        if self.good is not None and not all(self.good):
            parts.append(f"{self.n_bands - sum(self.good)} bad bands left out")
        spacing = self.geometry.spacing
        if spacing is not None:
            unit = self.geometry.unit or "units"
            parts.append(f"pixel {spacing[0]:.4g} × {spacing[1]:.4g}\u00a0{unit}")
        if self.image.header.get("crs"):
            parts.append(str(self.image.header["crs"]))
        if self.step > 1:
            parts.append(f"shown every {self.step} pixels")
        return ", ".join(parts)
