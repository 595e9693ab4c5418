"""Otsu's threshold on a volume: a method without weights and without a device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench import ClassTable, Image, Labels, Recorder, Result, Scores, setting


@dataclass(frozen=True)
class Config:
    """Settings of `predict`."""

    bins: int = setting(256, "Bins of the histogram.", low=2, high=65536)
    smooth: float = setting(0.0, "Standard deviation of a Gaussian before the threshold.", unit="voxels", low=0.0)


@dataclass(frozen=True)
class Model:
    """Nothing to load: the settings are the model."""

    bins: int


def load(config: Config, device: None) -> Model:
    """A method without a setting ``device`` is given none."""
    return Model(config.bins)


def threshold(values: np.ndarray, bins: int) -> float:
    """Level that splits `values` into two groups with the largest variance between them."""
    counts, edges = np.histogram(values, bins)
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.cumsum(counts * middle) / below
        high = (np.sum(counts * middle) - np.cumsum(counts * middle)) / above
        between = below * above * (low - high) ** 2
    return float(edges[1 + int(np.nanargmax(between))])


def predict(model: Model, image: Image, config: Config, progress=None) -> Result:
    """The brighter part of the first channel as one class."""
    recorder = Recorder("otsu", config, None, image)
    if progress:
        progress(0, 1)
    values = image.data[0].astype(np.float64)
    if config.smooth:
        from scipy.ndimage import gaussian_filter

        values = gaussian_filter(values, config.smooth)
    level = threshold(values, model.bins)
    recorder.note(f"threshold {level:.6g} {image.value_unit or ''}".rstrip())
    labels = Labels((values >= level).astype(np.uint8), image.geometry, ClassTable.from_names(["bright"]))
    voxels = int(labels.data.sum())
    size = image.geometry.sample_volume
    row = ("bright", 1, None if size is None else round(voxels * size / 1000, 4), voxels)
    volumes = Scores(("class", "value", "volume [mL]", "voxels"), (row,), "volumes")
    if progress:
        progress(1, 1)
    return Result({"labels": labels, "volumes": volumes}, image, recorder.finish())
