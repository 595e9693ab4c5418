"""What an encoder found in the tiles of a slide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.slide.data.stream import Damaged


@dataclass(eq=False)
class Found:
    """What was found for some tiles.

    Parameters
    ----------
    numbers
        ``(N,)`` int64, places in the lattice.
    features
        ``(N, D)`` float32.
    sharpness
        ``(N,)`` float32.
    damaged
        Tiles that were read from another level, or left out.
    """

    numbers: npt.NDArray[np.int64]
    features: npt.NDArray[np.float32]
    sharpness: npt.NDArray[np.float32]
    damaged: list[Damaged]
