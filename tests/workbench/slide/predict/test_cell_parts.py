"""What is measured of nuclei, again by other means."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely

from tests.workbench.slide.odd_slide import MPP, odd_image
from tests.workbench.slide.train.test_cell_examples import cells
from workbench.slide.predict.area import REGION, Area
from workbench.slide.predict.cell_parts import _to_border
from workbench.slide.region_counts import Region

FACTOR = 2.0
"""Pixels of the slide along one of the tiles."""
RING = shapely.box(200, 100, 900, 800).difference(shapely.box(400, 300, 600, 500))
APART = shapely.box(100, 100, 300, 400), shapely.box(700, 500, 1000, 800)


@pytest.mark.parametrize("outlines", [(RING,), APART], ids=["a hole", "two apart"])
@pytest.mark.parametrize("one_by_one", [True, False], ids=["regions", "as one"])
def test_the_distance_is_to_the_nearest_border_and_in_micrometres(outlines, one_by_one):
    """Everywhere around: there is no border between rings, nor between regions."""
    places = np.stack(np.meshgrid(np.arange(25, 500, 25), np.arange(25, 450, 25)), -1).reshape(-1, 2)
    none = np.zeros((1, 1), bool)
    regions = tuple(Region("", "", o) for o in outlines) if one_by_one else ()
    area = Area(~none, none, (1.0, 1.0), 0, REGION, outline=shapely.union_all(outlines), regions=regions)
    some = cells(places, np.zeros((len(places), 0)))
    (away,) = _to_border(some, area, FACTOR, odd_image()).values()
    border = shapely.union_all([o.boundary for o in outlines])
    right = shapely.distance(border, shapely.points(places * FACTOR)) * math.sqrt(MPP[0] * MPP[1])
    np.testing.assert_allclose(away, right, rtol=1e-5, atol=1e-4)
