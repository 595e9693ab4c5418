"""A real backend for volumes, as small as one can be: a threshold, without weights and without a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workbench import Backend, ClassInfo, ClassTable, Image, Labels, Recorder, Result, setting
from workbench.volume.display import volume_scores, volume_table

ROW = Backend(
    name="threshold",
    title="Threshold",
    task="tell bright voxels from dark ones",
    kind="volume",
    reads=("NIfTI",),
    gives=("label map", "class volumes [mL]"),
    axes="C, X, Y, Z",
    module=__name__,
)


@dataclass(frozen=True)
class Config:
    """Settings of `predict`."""

    level: float = setting(50.0, "What is brighter counts.", low=-1000.0, high=1000.0)
    inverse: bool = setting(False, "What is darker counts.", advanced=True)


def load(config: Config, device: None) -> Config:
    """There is nothing to load."""
    return config


def predict(model: Config, image: Image, config: Config, progress: Callable[[int, int], None] | None = None) -> Result:
    """One class, whose number is not 1."""
    recorder = Recorder("threshold", config, None, image)
    data = np.where((image.data[0] > config.level) != config.inverse, 3, 0).astype(np.uint8)
    if progress is not None:
        progress(1, 1)
    classes = ClassTable((ClassInfo(3, "bright", (230, 200, 40)),))
    volumes = volume_scores(volume_table(data, classes, image.geometry))
    return Result({"labels": Labels(data, image.geometry, classes), "volumes": volumes}, image, recorder.finish())
