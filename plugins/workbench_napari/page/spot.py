"""What is only pointed at over a page: the place of a moment of a lead, and the page laid flat beside the picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.core.layers import KEY
from workbench_napari.page.hints import Hints
from workbench_napari.shared.layer_record import HINT


class Spot:
    """Layers that are nobody's work and are never saved."""

    def __init__(self, viewer: Any) -> None:
        self._hints = Hints(viewer)

    def mark(self, row: float, column: float) -> None:
        """Mark a pixel."""
        from napari.layers import Points

        made = Points(
            np.array([[row, column]]), size=16, symbol="cross", face_color="#e53935", border_color="#e53935",
            border_width=0.0, name="place", canvas_size_limits=(16, 30), metadata={KEY: {"role": HINT}},
        )  # fmt: skip
        self._hints.put("place", made)

    def show_flat(self, picture: Any, page: Any) -> None:
        """Show a page that was laid flat to the right of its picture, as wide as that; ``None`` takes it away."""
        from napari.layers import Image

        self._hints.remove("flat")
        if picture is None or page is None:
            return
        width = np.asarray(page.data).shape[1]
        scale = width / picture.pixels.shape[1]
        made = Image(
            picture.pixels, rgb=True, name=f"{page.name} laid flat", scale=(scale, scale),
            translate=(0.0, 1.03 * width), metadata={KEY: {"role": HINT}}, axis_labels=page.axis_labels,
        )  # fmt: skip
        self._hints.put("flat", made)

    def clear(self) -> None:
        """Take everything away."""
        self._hints.clear()
