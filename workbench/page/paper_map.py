"""Where on paper the pixels of a picture lie: a smooth map, kept as numbers that survive JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

_FARTHEST = 20_000.0
"""Millimetres and pixels that paper and its picture can have."""
_EXACT = 0.003
"""Millimetres that a coarser lattice may be wrong by where it is stored."""


@dataclass(frozen=True, eq=False)
class PaperMap:
    """Millimetres of paper at a lattice of pixels; between its places cubic, beyond them straight on.

    Parameters
    ----------
    paper
        ``(2, rows, columns)``: x and y on paper [mm] of the pixels ``first + step * (column, row)``.
    step, first
        Pixels between those places, and the place of the first along x and y, from the centre of the first pixel.
    quality
        ``(rows, columns)``, 0 to 1: how much of a grid is seen there.
    """

    paper: Floats
    step: float
    first: float
    quality: Floats

    @property
    def pixels_per_mm(self) -> tuple[float, float]:
        """Along x and y, where the grid is seen best (median)."""
        good = self.quality > 0.5 * float(self.quality.max())
        out = []
        for axis in (0, 1):
            steps = np.hypot(*np.gradient(self.paper[axis], self.step))
            out.append(float(1 / np.median(steps[good])))
        return out[0], out[1]

    def to_paper(self, places: Floats) -> Floats:
        """Millimetres of paper, ``(n, 2)``, of pixels (x, y) counted from the centre of the first."""
        at = (np.asarray(places, float)[:, ::-1].T - self.first) / self.step
        return np.column_stack([self._extended(k, at) for k in (0, 1)])

    def to_pixels(self, places: Floats) -> Floats:
        """Pixels (x, y), ``(n, 2)``, of millimetres of paper; Newton's method from the best plane."""
        mm = np.asarray(places, float)
        plane = self._plane
        inverse = np.linalg.inv(plane[:, :2])
        found = (mm - plane[:, 2]) @ inverse.T
        for _ in range(12):
            miss = mm - self.to_paper(found)
            found = found + miss @ inverse.T
            if np.abs(miss).max(initial=0) < 1e-4:
                break
        return found

    @cached_property
    def _plane(self) -> Floats:
        """The affine map from pixels to paper that fits best, ``(2, 3)``."""
        rows, columns = self.paper.shape[1:]
        y, x = np.mgrid[0:rows, 0:columns] * self.step + self.first
        weight = (self.quality + 1e-3).ravel()
        system = np.column_stack([x.ravel(), y.ravel(), np.ones(x.size)]) * weight[:, None]
        return np.array([np.linalg.lstsq(system, self.paper[k].ravel() * weight, rcond=None)[0] for k in (0, 1)])

    @cached_property
    def _splines(self) -> tuple[Floats, Floats]:
        """Cubic splines through the lattice, which goes straight on around it: paper does not end with the picture."""
        from scipy import ndimage

        def of(values: Floats) -> Floats:
            wide = np.pad(values, self._around, mode="reflect", reflect_type="odd")
            return np.asarray(ndimage.spline_filter(wide, order=3, output=np.float64, mode="mirror"))

        return of(self.paper[0]), of(self.paper[1])

    @property
    def _around(self) -> int:
        return int(min(8, self.paper.shape[1] - 1, self.paper.shape[2] - 1))

    def _extended(self, axis: int, at: Floats) -> Floats:
        """Millimetres at places of the lattice (row, column): cubic within, straight on beyond its edges."""
        limits = np.array(self.paper.shape[1:])[:, None] - 1.0
        inside = np.clip(at, 0, limits)
        out = self._cubic(axis, inside)
        beyond = at - inside
        for k in (0, 1):
            far = beyond[k] != 0
            if far.any():
                back = inside[:, far].copy()
                back[k] = np.clip(back[k] - np.sign(beyond[k][far]) * 4, 0, limits[k])
                reached = np.maximum(np.abs(inside[k][far] - back[k]), 1e-9)
                slope = (self._cubic(axis, inside[:, far]) - self._cubic(axis, back)) / reached
                out[far] += np.abs(beyond[k][far]) * slope
        return out

    def _cubic(self, axis: int, at: Floats) -> Floats:
        from scipy import ndimage

        places = at + self._around
        return np.asarray(
            ndimage.map_coordinates(self._splines[axis], places, order=3, prefilter=False, mode="nearest")
        )

    # --- as plain values

    def to_json(self) -> dict[str, Any]:
        """Plain values, on the coarsest lattice that is as exact; `from_json` makes a `PaperMap` of them."""
        found = next((c for by in (8, 6, 4, 3, 2) if (c := self._coarser(by)) is not None), self)
        return {
            "step": found.step,
            "first": found.first,
            "x [mm]": np.round(found.paper[0], 4).tolist(),
            "y [mm]": np.round(found.paper[1], 4).tolist(),
            "quality": np.round(found.quality, 2).tolist(),
        }

    def _coarser(self, by: int) -> PaperMap | None:
        """The same with every so many places, over the same picture; ``None`` where that is not as exact."""
        rows, columns = self.paper.shape[1:]
        down, across = (-(-(n - 1) // by) + 1 for n in (rows, columns))
        if min(down, across) < 6:
            return None
        y, x = (v.ravel() * by for v in np.mgrid[0:down, 0:across])
        paper = self.to_paper(np.column_stack([x, y]) * self.step + self.first).T.reshape(2, down, across)
        quality = self.quality[np.minimum(y, rows - 1), np.minimum(x, columns - 1)].reshape(down, across)
        coarse = PaperMap(paper, self.step * by, self.first, quality)
        y, x = np.nonzero(self.quality > 0.25)
        away = coarse.to_paper(np.column_stack([x, y]) * self.step + self.first) - self.paper[:, y, x].T
        return coarse if np.abs(away).max(initial=0) < _EXACT else None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PaperMap:
        """Inverse of `to_json`.

        Raises
        ------
        ValueError, KeyError, TypeError
            The values are none of these.
        """
        paper = np.array([values["x [mm]"], values["y [mm]"]], np.float64)
        quality = np.array(values["quality"], np.float64)
        step, first = float(values["step"]), float(values["first"])
        if paper.ndim != 3 or quality.shape != paper.shape[1:] or min(quality.shape) < 2 or not step > 0:
            raise ValueError(f"a lattice of the shapes {paper.shape} and {quality.shape}")
        if not (np.isfinite(paper).all() and np.isfinite(quality).all() and np.isfinite(first)):
            raise ValueError("a lattice with numbers that are not finite")
        if max(np.abs(paper).max(), step, abs(first)) > _FARTHEST or np.ptp(paper[0]) <= 0 or np.ptp(paper[1]) <= 0:
            raise ValueError("a lattice that is no paper")
        return cls(paper, step, first, quality)
