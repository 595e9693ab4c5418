"""Lines, dots and letters with exact places: a thin layer over Matplotlib's Agg, in pixels from the upper left.

Places count from the centre of the first pixel: (0, 0) is that centre, x to the right, y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Colour = tuple[float, float, float]


class Canvas:
    """A picture that is drawn on, ``(height, width)`` pixels, white or of one colour; nothing is snapped to pixels."""

    def __init__(self, width: int, height: int, paper: Colour = (1.0, 1.0, 1.0)) -> None:
        from matplotlib.backends.backend_agg import RendererAgg

        self.width, self.height = width, height
        make: Any = RendererAgg
        self._renderer = make(width, height, 72.0)
        self._rectangle(-1, -1, width + 1, height + 1, paper)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """A copy, ``(height, width, 3)``."""
        return np.array(np.asarray(self._renderer.buffer_rgba())[..., :3])

    def lines(
        self, lines: Sequence[npt.NDArray[np.floating]], width: float, colour: Colour, alpha: float = 1.0
    ) -> None:
        """Polylines, each ``(points, 2)`` of (x, y), with round ends, `width` pixels wide."""
        from matplotlib.path import Path
        from matplotlib.transforms import IdentityTransform

        context = self._context(width, colour, alpha)
        for line in lines:
            if len(line) > 1:
                self._renderer.draw_path(context, Path(self._agg(line)), IdentityTransform())

    def area(self, corners: npt.NDArray[np.floating], colour: Colour, alpha: float = 1.0) -> None:
        """A filled polygon, ``(corners, 2)``."""
        from matplotlib.path import Path
        from matplotlib.transforms import IdentityTransform

        context = self._context(0.0, colour, alpha)
        path = Path(self._agg(np.vstack([corners, corners[:1]])), closed=True)
        self._renderer.draw_path(context, path, IdentityTransform(), (*colour, alpha))

    def dots(self, places: npt.NDArray[np.floating], diameter: float, colour: Colour) -> None:
        """Round dots, ``(dots, 2)``."""
        from matplotlib.path import Path
        from matplotlib.transforms import Affine2D, IdentityTransform

        context = self._context(0.0, colour, 1.0)
        round_one = Path.unit_circle()
        size = Affine2D().scale(diameter / 2)
        self._renderer.draw_markers(
            context, round_one, size, Path(self._agg(places)), IdentityTransform(), (*colour, 1.0)
        )

    def text(
        self, x: float, y: float, words: str, size: float, colour: Colour, font: str = "DejaVu Sans", bold: bool = False
    ) -> tuple[float, float, float, float]:
        """Words whose lower left corner is at (x, y), `size` pixels high (cap height over 0.72); their box.

        The box is (left, top, right, bottom) of what was drawn.
        """
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import TextPath

        look = FontProperties(family=font, weight="bold" if bold else "normal")
        path = TextPath((0, 0), words, size=size, prop=look)
        if len(path.vertices) == 0:
            return x, y, x, y
        from matplotlib.transforms import Affine2D

        place = Affine2D().translate(x + 0.5, self.height - (y + 0.5))
        self._renderer.draw_path(self._context(0.0, colour, 1.0), path, place, (*colour, 1.0))
        low, high = path.vertices.min(axis=0), path.vertices.max(axis=0)
        return float(x + low[0]), float(y - high[1]), float(x + high[0]), float(y - low[1])

    def _rectangle(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self.area(np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float), colour)

    def _agg(self, places: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """From pixel centres, y down, to Agg: outer corners, y up."""
        return np.column_stack([places[:, 0] + 0.5, self.height - (places[:, 1] + 0.5)])

    def _context(self, width: float, colour: Colour, alpha: float) -> Any:
        context = self._renderer.new_gc()
        context.set_linewidth(width)
        context.set_foreground((*colour, alpha), isRGBA=True)
        context.set_snap(False)
        context.set_antialiased(True)
        context.set_capstyle("round")
        context.set_joinstyle("round")
        return context
