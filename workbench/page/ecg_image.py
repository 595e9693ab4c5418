"""Paper electrocardiograms: from a photo, a scan or a PDF page to leads in mV and measurements.

The classifiers of Kilimci et al. (arXiv:2310.12630) are for another day; what is here is the digitiser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.core.types import Image, Progress, Result
from workbench.page.predict.model import NAME, Model
from workbench.page.settings import Config

if TYPE_CHECKING:
    import torch

__all__ = ["Config", "load", "predict"]


def weights_hash(config: Config) -> str:
    """Hash of the weights that `load` would take, without loading them."""
    from workbench import weights

    return weights.find(config.weights, NAME).sha256


def load(config: Config, device: torch.device) -> Model:
    """Find, check and load the weights.

    Raises
    ------
    WeightsError
        Not found, made for another backend, not plain data, or of no form that is known.
    """
    from workbench.core import device as devices
    from workbench.page.predict.model import load_model

    _, reason = devices.choose(config.device)
    return load_model(config.weights, device, reason)


def predict(model: Model, image: Image, config: Config, progress: Progress | None = None) -> Result:
    """Read a page, or measure a digital electrocardiogram; see `workbench.page.predict.read_page.read_page`."""
    from workbench.page.predict.read_page import read_page

    return read_page(model, image, config, progress)
