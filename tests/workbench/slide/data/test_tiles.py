"""The lattice of tiles: the same micrometres whatever the base of the slide is."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError, UsageError
from workbench.core.pyramid import Level, Pyramid
from workbench.slide.data.resample import ratio
from workbench.slide.data.tiles import lattice


@pytest.mark.parametrize("mpp", [0.25, 0.3, 0.4, 0.5, 0.2282, 0.5026])
def test_places_in_micrometres_do_not_depend_on_the_base(mpp):
    height, width = 1500.0, 2000.0  # micrometres
    found = lattice((0, 0, height / mpp, width / mpp), 0.5 / mpp, 256, 200)
    assert found.count == (int((3000 - 256) / 200) + 1, int((4000 - 256) / 200) + 1)
    places = found.places() * mpp
    assert places.shape == (len(found), 2)
    assert np.allclose(places[1], (100.0, 0.0))
    assert np.allclose(places[found.count[1]], (0.0, 100.0))
    assert (places + found.side * mpp <= (width + 1e-6, height + 1e-6)).all()


def test_tiles_that_just_fit_are_tiles():
    assert lattice((0, 0, 512, 512), 2.0, 256).count == (1, 1)
    assert lattice((0, 0, 512 / 0.3, 512 / 0.3), 1 / 0.3, 256).count == (2, 2)
    assert lattice((0, 0, 767, 768), 1.0, 256).count == (2, 3)


def test_what_binary_numbers_lack_costs_no_tile():
    assert lattice((0, 0, 31 * 16 * 0.3, 30 * 16 * 0.3), 0.3, 16).count == (31, 30)  # 148.8 / 0.3 = 495.99999999999994
    slide = Pyramid((Level((528, 1056)),), None, np.dtype(np.uint8), ("red", "green", "blue"), (0.3, 0.3))
    factor = ratio(slide, 0.66)  # 2.2, of which 528 pixels hold 239.99999999999997
    assert lattice((0, 0, *slide.levels[0].shape), factor, 16).count == (15, 30)
    assert lattice((0, 0, *slide.levels[0].shape), factor, 240).count == (1, 2)


def test_they_begin_at_the_corner_of_the_area():
    found = lattice((10.5, 20.25, 600, 600), 1.0, 256)
    assert tuple(found.places()[0]) == (20.25, 10.5)


def test_none_fits():
    with pytest.raises(InputError, match=r"small.svs: no tile of 224 x 224 pixels fits: .* 16 x 16 pixels"):
        lattice((0, 0, 16, 16), 1.0, 224, name="small.svs")
    with pytest.raises(UsageError, match="every 0 pixels"):
        lattice((0, 0, 999, 999), 1.0, 224, 0)
