"""Pages and records as both networks take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.core.seen import content_key
from workbench.core.signals import Signals
from workbench.core.types import Case, Image, Result
from workbench.data.cases import open_case
from workbench.page.diagnose.leads import lead_array
from workbench.page.diagnose.opinions import seen_of, too_little
from workbench.page.diagnose.picture import picture_of
from workbench.page.leads import STANDARD
from workbench.page.predict.model import Model
from workbench.page.predict.read_page import read_page
from workbench.page.settings import Config


@dataclass(frozen=True, eq=False)
class Inputs:
    """What is known of one page.

    Parameters
    ----------
    picture
        ``(height, width, 3)`` uint8, ``None`` for records and drawn pages.
    leads
        ``(12, samples)`` as `workbench.page.diagnose.leads.lead_array` makes them, ``None`` where too few were read.
    layout
        Name of the arrangement, "" for records.
    key
        What the page is known again by.
    """

    picture: npt.NDArray[np.uint8] | None
    leads: npt.NDArray[np.float32] | None
    layout: str
    key: str


def inputs_of(model: Model, case: Case, config: Config, size: tuple[int, int] | None) -> Inputs:
    """Open a case, read it, and make ready what networks take.

    Parameters
    ----------
    config
        How it is read; nothing is measured, and the page is made.
    size
        Height and width of the picture; ``None`` for none.
    """
    image = open_case(case)
    result = read_page(model, image, config)
    return of_result(result, image, size)


def of_result(result: Result, image: Image, size: tuple[int, int] | None) -> Inputs:
    """The same of what was read."""
    leads = result.parts["leads"]
    assert isinstance(leads, Signals)
    array = lead_array(leads)
    seen = None if size is None else picture_of(result, size)
    return Inputs(
        None if seen is None else seen[0],
        None if too_little(array, STANDARD, seen_of(result)) else array,
        str(result.provenance.details.get("layout", "")),
        content_key(np.asarray(image.samples())),
    )


def reading(weights: str, device: str) -> Config:
    """How pages are read to be learnt from."""
    return Config(weights=weights, device=device, measure=False, page=True)
