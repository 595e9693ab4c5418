"""Areas as masks: as shapely says for every centre, whatever the bands, and in seconds for a large grid."""

from __future__ import annotations

import time

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import UsageError
from workbench.data.outlines import area_of
from workbench.slide.annotations import region
from workbench.slide.annotations.region import mask_of
from workbench.slide.annotations.types import Annotation, Shape

SQUARE = np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)])


def area(*polygons, **more) -> Annotation:
    return Annotation(Shape("areas", tuple(tuple(np.asarray(r, float) for r in rings) for rings in polygons)), **more)


def star(rng, centre, radius, vertices) -> np.ndarray:
    angle = np.sort(rng.uniform(0, 2 * np.pi, vertices)) + np.arange(vertices) * 1e-12
    return centre + radius * rng.uniform(0.3, 1, (vertices, 1)) * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def by_shapely(items, shape, step) -> np.ndarray:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    found = np.zeros(shape, bool)
    for item in items:
        found |= shapely.contains_xy(area_of(item.shape.parts), (x + 0.5) * step, (y + 0.5) * step)
    return found


@given(seed=st.integers(0, 10_000), step=st.sampled_from([1, 2.5, 16, 0.3]), band=st.sampled_from([1, 50, 1 << 20]))
def test_masks_are_those_of_shapely(seed, step, band):
    rng = np.random.default_rng(seed)
    size, shape = 40 * step, (43, 37)
    items = []
    for _ in range(3):
        centre = rng.uniform(-0.2, 1.2, 2) * size
        outline = shapely.buffer(shapely.Polygon(star(rng, centre, size / 2, 30)), 0)
        hole = shapely.Polygon(star(rng, centre, size / 8, 9))
        whole = shapely.difference(shapely.make_valid(outline), shapely.make_valid(hole))
        for part in shapely.get_parts(whole):
            if part.geom_type == "Polygon":
                items.append(area([r.coords[:-1] for r in (part.exterior, *part.interiors)]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(region, "_CELLS", band)
        assert np.array_equal(mask_of(items, shape, step), by_shapely(items, shape, step))


def test_holes_pieces_classes_and_what_covers_nothing():
    ring = area([SQUARE * 2, SQUARE / 2 + 3], [SQUARE + 10], class_name="Tumor")
    line = Annotation(Shape("lines", ((SQUARE,),)))
    mask = mask_of([ring, line], (20, 20), 1)
    assert mask.sum() == 64 - 4 + 16
    assert not mask[3:5, 3:5].any()
    assert mask[10:14, 10:14].all()
    assert not mask_of([ring], (20, 20), 1, classes=["Stroma"]).any()
    assert mask_of([ring], (20, 20), 1, classes=["Tumor"]).sum() == 76
    assert mask_of([ring], (5, 5), 4).astype(int)[:3, :3].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert not mask_of([area([SQUARE - 100])], (5, 5), 1).any()


def test_neighbours_share_no_cell_and_leave_none_out():
    """Edges through centres: a diagonal, and sides on half pixels."""
    square = SQUARE + 0.5
    one, other = area([square[[0, 1, 2]]]), area([square[[0, 2, 3]]])
    masks = [mask_of([a], (6, 6), 1).astype(int) for a in (one, other)]
    assert (masks[0] + masks[1]).tolist() == mask_of([area([square])], (6, 6), 1).astype(int).tolist()
    assert (masks[0] + masks[1]).sum() == 16


def test_an_outline_that_goes_around_twice_is_filled():
    lasso = area([[(0, 0), (10, 0), (10, 10), (3, 10), (3, 3), (6, 3), (6, 6), (0, 6)]])
    assert mask_of([lasso], (10, 10), 1).sum() == 88
    assert not mask_of([area([[(0, 0), (4, 0), (2, 0)]])], (5, 5), 1).any()


@pytest.mark.parametrize(("shape", "step"), [((-1, 3), 1), ((3, 3), 0), ((3, 3), np.nan)])
def test_grids_that_are_none(shape, step):
    with pytest.raises(UsageError, match="a grid of"):
        mask_of([], shape, step)


@pytest.mark.slow
def test_a_large_grid_takes_seconds():
    rng = np.random.default_rng(0)
    outline = star(rng, (80_000.0, 80_000.0), 79_000.0, 20_000)
    items = [area([outline]), *(area([star(rng, rng.uniform(0, 160_000, 2), 2000, 50)]) for _ in range(500))]
    began = time.perf_counter()
    mask = mask_of(items, (10_000, 10_000), 16)
    seconds = time.perf_counter() - began
    print(f"{seconds:.1f} s")
    assert seconds < 60
    exact = shapely.Polygon(outline).area / 256
    assert mask_of(items[:1], (10_000, 10_000), 16).sum() == pytest.approx(exact, rel=1e-3)
    assert mask.sum() >= exact * 0.99
