"""MONAI transforms for spectral cubes, for anybody's MONAI pipeline; they call the functions that mapping uses."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform

from workbench.core.types import Image
from workbench.scene.data.spectra import FittedSpectra, SpectralRecipe, fit, parse_bands


class DropBandsd(MapTransform):
    """Leave bands out of (bands, rows, columns): those named (``"1-5,104"``) and those that ``good_bands`` denies."""

    def __init__(self, keys: Sequence[str], drop: str = "", good_bands: Sequence[bool] | None = None) -> None:
        super().__init__(keys)
        self.drop, self.good_bands = drop, good_bands

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            cube = out[key]
            kept = np.ones(cube.shape[0], bool) if self.good_bands is None else np.asarray(self.good_bands, bool).copy()
            kept[parse_bands(self.drop, cube.shape[0])] = False
            out[key] = cube[np.flatnonzero(kept).tolist()]
        return out


class ScaleSpectrad(MapTransform):
    """Multiply and shift samples: ``x * gain + offset`` (digital numbers to reflectance), float32."""

    def __init__(self, keys: Sequence[str], gain: float = 1.0, offset: float = 0.0) -> None:
        super().__init__(keys)
        self.gain, self.offset = gain, offset

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = torch.as_tensor(out[key]).to(torch.float32) * self.gain + self.offset
        return out


class SpectralComponentsd(MapTransform):
    """(bands, rows, columns) -> (channels, rows, columns) float32, as fitted on a scene or brought by weights."""

    def __init__(self, keys: Sequence[str], fitted: FittedSpectra) -> None:
        super().__init__(keys)
        self.fitted = fitted

    @classmethod
    def on_scene(cls, keys: Sequence[str], image: Image, recipe: SpectralRecipe | None = None) -> SpectralComponentsd:
        """Fit the components on a scene first."""
        return cls(keys, fit(image, recipe or SpectralRecipe()))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            cube = out[key]
            found = torch.from_numpy(self.fitted.apply(np.asarray(cube)))
            out[key] = MetaTensor(found, meta=cube.meta) if isinstance(cube, MetaTensor) else found
        return out


class StandardisePatchd(MapTransform):
    """The published preparation of a patch (C, p, p): every component to mean 0 and deviation 1."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            deviation, mean = torch.std_mean(torch.as_tensor(out[key]), dim=(-2, -1), keepdim=True)
            out[key] = (out[key] - mean) / (deviation + 1e-8)
        return out
