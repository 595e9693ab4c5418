"""What follows from nuclei that a person corrected, on slides whose pixels are not square."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.frame import Frame
from workbench.core.objects import Objects
from workbench.core.types import Geometry, Heatmap
from workbench.slide.nuclei_edits import NucleiEdits
from workbench.slide.nuclei_now import nuclei_now, squares_mm2

SLIDE = Geometry((100, 400), np.diag([0.5, 0.25, 1.0]), ("y", "x"), "um")
"""50 um high, 100 um wide."""
SQUARE = 40.0
"""Side of a square of the map [um]: 80 rows, 160 columns of the slide; the last ones reach beyond it."""
SIZES = np.outer([40, 10], [40, 40, 20]) * 1e-6
"""What of each lies on the slide [mm2]."""


def nuclei(*places, first=1, name="nuclei"):
    corners = np.array([(-4, -4), (4, -4), (4, 4), (-4, 4)], float)
    return Objects.from_polygons(
        [corners + p for p in places], ids=np.arange(first, first + len(places)), name=name,
        frame=Frame.of(SLIDE.affine, SLIDE.unit),
    )  # fmt: skip


def test_squares_of_a_map_are_as_large_as_what_of_them_lies_on_the_slide():
    np.testing.assert_allclose(squares_mm2((2, 3), (80, 160), SLIDE), SIZES)
    even = Geometry((96, 128), np.diag([0.5, 0.5, 1.0]), ("y", "x"), "um")
    np.testing.assert_allclose(squares_mm2((2, 2), 64, even), np.outer([32, 16], [32, 32]) * 1e-6)
    assert squares_mm2((2, 2), 64, even).sum() == pytest.approx(48 * 64 * 1e-6)


def test_the_density_is_that_of_the_square_in_which_a_nucleus_lies():
    before = np.zeros((2, 3), np.float32)
    before[1, 1] = np.nan
    density = Heatmap(before, Geometry((2, 3), np.diag([SQUARE, SQUARE, 1.0]), ("y", "x"), "um"), "density", "1/mm2")
    edits = NucleiEdits(nuclei((20, 20), (100, 90), (170, 10), (350, 20), (390, 70)))
    edits.reject([0])
    found = nuclei_now({"density": density}, "nuclei", edits, SLIDE)["density"].data
    counts = np.array([[0, 1, 2], [1, np.nan, 0]])
    np.testing.assert_allclose(found, counts / SIZES, rtol=1e-6)


def test_the_rejected_of_before_are_none_once_they_are_taken_back():
    some, away = nuclei((20, 20), (60, 20)), nuclei((100, 60), first=3, name="rejected")
    edits = NucleiEdits(some, away)
    parts = {"nuclei": some, "rejected": away}
    assert nuclei_now(parts, "nuclei", edits, SLIDE)["rejected"].ids.tolist() == [3]
    edits.back([2])
    found = nuclei_now(parts, "nuclei", edits, SLIDE)
    assert found["nuclei"].ids.tolist() == [1, 2, 3]
    assert found["rejected"].ids.tolist() == []
    assert "rejected" not in nuclei_now({"nuclei": some}, "nuclei", NucleiEdits(some), SLIDE)
