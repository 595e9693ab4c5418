"""A taught network for scenes, with everything that mapping, saving and reporting need of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from workbench import weights
from workbench.core.classes import ClassTable
from workbench.scene.data.spectra import FittedSpectra
from workbench.scene.net.lola_specvit import LolaSpecViT
from workbench.scene.train.settings import SceneTrainConfig
from workbench.scene.train.split import PixelSplit
from workbench.training.loop import FitResult


@dataclass(frozen=True, eq=False)
class Learnt:
    """A taught network with everything that mapping needs; `save` and `record_of` make a file of it.

    ``spectra`` (n, channels) and ``values`` (n,) are the prepared spectra and classes of (some of) the pixels that were
    learnt from: what a reference method needs, wherever the file goes.
    """

    net: LolaSpecViT
    fitted: FittedSpectra
    classes: ClassTable
    split: PixelSplit
    result: FitResult
    config: SceneTrainConfig
    start: weights.WeightsFile | None
    device: torch.device
    spectra: npt.NDArray[np.float32]
    values: npt.NDArray[np.int64]

    @property
    def validation(self) -> str:
        """In words: on what the score was computed."""
        if not self.split.val.size:
            return "not computed (val_fraction=0)"
        return f"on {self.split.val.size} held-out pixels of {self.split.learning.size} (mean over classes)"
