from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from workbench.core.fitting import fits, is_of
from workbench.core.pyramid import Level, Pyramid
from workbench.core.types import Geometry, Image

AFFINE = np.diag([0.5, 0.5, 1.0])


def slide(rows=1000, columns=600, affine=AFFINE, source="a.svs", mpp_source="file"):
    pyramid = Pyramid((Level((rows, columns)),), lambda *_: np.zeros(0), np.dtype(np.uint8), ("r", "g", "b"),
                      None if affine is None else (affine[1, 1], affine[0, 0]), mpp_source)  # fmt: skip
    geometry = Geometry((rows, columns), affine, ("y", "x"), None if affine is None else "um")
    return Image(geometry, np.dtype(np.uint8), ("r", "g", "b"), pyramid.whole, "slide", Path(source), pyramid=pyramid)


def over(rows, columns, step, corner=(0.0, 0.0), unit="um"):
    """A grid of `step` pixels of the slide for each of its own, its outer corner at that pixel of the slide."""
    own = np.diag([step, step, 1.0])
    own[:2, 2] = np.array(corner) + step / 2 - 0.5
    return Geometry((rows, columns), AFFINE @ own, ("y", "x"), unit)


def test_a_coarser_grid_lies_on_a_pyramid():
    image = slide()
    assert fits(over(10, 6, 100), image)
    assert fits(over(3, 2, 256), image)
    assert fits(over(4, 3, 256), image), "over the edge by less than one of its pixels"
    assert fits(image.geometry, image)


@pytest.mark.parametrize(
    "geometry",
    [
        over(10, 8, 100),
        over(10, 6, 100, corner=(0, 250)),
        over(10, 6, 100, corner=(-250, 0)),
        over(10, 6, 100, unit="mm"),
        over(5, 6, 256),
        Geometry((10, 6), None, ("y", "x"), None),
    ],
    ids=["too wide", "too far right", "too far up", "another unit", "too tall", "no place"],
)
def test_what_lies_beyond_does_not(geometry):
    assert not fits(geometry, slide())


def test_an_image_without_levels_wants_its_very_grid():
    image = replace(slide(), pyramid=None)
    assert fits(image.geometry, image)
    assert not fits(over(10, 6, 100), image)


def test_a_result_is_of_its_slide_with_a_scale_that_was_given():
    image = slide()
    assert is_of(slide(), image)
    assert is_of(slide(affine=AFFINE * 2, mpp_source="given"), image)
    assert is_of(slide(mpp_source="given"), slide(affine=None))
    assert not is_of(slide(affine=AFFINE * 2), image), "nobody gave it"
    assert not is_of(slide(affine=AFFINE * 2, mpp_source="given", source="b.svs"), image)
    assert not is_of(slide(rows=999, affine=AFFINE * 2, mpp_source="given"), image)
