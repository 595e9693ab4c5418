"""A taught network for scenes, with everything that mapping, saving and reporting need of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from workbench import weights
from workbench.core.classes import ClassTable
from workbench.core.types import Image, Labels
from workbench.scene.data.agreed import Agreed, agree
from workbench.scene.data.seen_pixels import read_seen
from workbench.scene.data.spectra import FittedSpectra
from workbench.scene.data.taught import Taught
from workbench.scene.net.lola_specvit import LolaSpecViT
from workbench.scene.train.settings import SceneTrainConfig
from workbench.scene.train.split import PixelSplit
from workbench.training.loop import FitResult


@dataclass(frozen=True, eq=False)
class Learnt:
    """A taught network with everything that mapping needs; `save` and `record_of` make a file of it.

    ``spectra`` (n, channels) and ``values`` (n,) are the prepared spectra and classes of (some of) the pixels that were
    learnt from: what a reference method needs, wherever the file goes. ``agreed`` is the scene as the network saw it,
    ``taught`` and ``seen`` are what the weight file says of all that taught it, ``labels`` are those of the pixels
    that taught it or test it, ``label_notes`` what a person should know of them and of its classes.
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
    agreed: Agreed
    taught: Taught
    seen: list[dict[str, Any]]
    labels: Labels
    label_notes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the scene and its classes beside those that taught the starting weights."""
        return (*self.agreed.notes, *self.label_notes)

    def view(self, image: Image) -> Agreed:
        """A scene as this network must see it: the one of the training, or another that agrees with it."""
        if image is self.agreed.stated:
            return self.agreed
        return agree(self.taught, self.fitted, image, weights="learnt", force=self.config.force)

    @property
    def validation(self) -> str:
        """In words: on what the score was computed."""
        if not self.split.val.size:
            return "not computed (val_fraction=0)"
        return f"on {self.split.val.size} held-out pixels of {self.split.learning.size} (mean over classes)"


def seen_before(start: weights.WeightsFile | None) -> list[dict[str, Any]]:
    """What taught the weights that a training goes on from; an entry ``untold`` where they do not say it."""
    if start is None:
        return []
    with weights.blaming(start.path):
        known = read_seen(start.meta)
    if known is None:
        return [{"id": start.name, "group": "", "role": "learnt", "keys": [], "untold": True}]
    return [*(e for e in start.meta["seen"] if e.get("untold")), *(s.to_json() for s in known)]
