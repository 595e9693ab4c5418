"""Where a map of tiles lies: each of its pixels is centred on its tile, whatever the stride."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.slide.odd_slide import odd_image
from workbench.slide.data.tiles import Lattice
from workbench.slide.predict.parts import tile_map


@pytest.mark.parametrize(
    ("stride", "factor", "corner", "x", "y", "step"),
    [
        (2, 1.0, (0.0, 0.0), 1.5, 1.5, 2),
        (4, 1.0, (0.0, 0.0), 1.5, 1.5, 4),
        (6, 1.0, (300.0, 700.0), 301.5, 701.5, 6),
        (2, 2.5, (300.0, 700.0), 304.5, 704.5, 5),
    ],
)
def test_pixels_of_a_map_are_centred_on_their_tiles(stride, factor, corner, x, y, step):
    """Tiles of 4 pixels from 0 on are centred at 1.5, counted from the centre of the first pixel."""
    tiles = Lattice(corner, factor, 4, stride, (2, 3))
    found = tile_map(odd_image(), tiles, np.array([1, 3]), np.array([5.0, 6.0], np.float32), "sharpness")
    affine = found.geometry.affine
    assert (affine @ [0, 0, 1])[:2].tolist() == pytest.approx([0.504 * y, 0.5 * x])
    assert (affine @ [1, 2, 1])[:2].tolist() == pytest.approx([0.504 * (y + step), 0.5 * (x + 2 * step)])
    nan = np.nan
    np.testing.assert_array_equal(found.data, [[nan, 5, nan], [6, nan, nan]])
