"""Outlines by the million: areas, boxes, centres and choices against plain loops, and what is refused."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError
from workbench.core.objects import Objects

SQUARE = np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)])
HOLE = np.array([(1.0, 1.0), (1.0, 2.0), (3.0, 2.0), (3.0, 1.0)])
TRIANGLE = np.array([(10.0, 10.0), (16.0, 10.0), (10.0, 13.0)])


def mixed(**more) -> Objects:
    """A square with a hole, a triangle, and an object of two pieces, one with a hole."""
    return Objects.from_polygons(
        [[SQUARE, HOLE], TRIANGLE, [[SQUARE + 100, HOLE + 100], [TRIANGLE - 50]]],
        class_values=[2, 0, 1],
        probabilities=[0.5, 0.25, 1.0],
        measurements={"perimeter [um]": np.array([1.0, 2.0, 3.0])},
        ids=["a", "b", "c"],
        classes=ClassTable.from_names(["tumour", "stroma"]),
        name="nuclei",
        **more,
    )


def stars(n: int, vertices: int = 24, *, dtype=np.float32, seed: int = 0, far: float = 60_000.0) -> Objects:
    """Round outlines with rough edges, as nuclei in the pixels of a slide."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    radius = rng.uniform(5, 12, (n, vertices)).astype(np.float32)
    points = np.empty((n, vertices, 2), np.float32)
    points[..., 0] = radius * np.cos(angle)
    points[..., 1] = radius * np.sin(angle)
    points += rng.uniform(100, far, (n, 1, 2)).astype(np.float32)
    return Objects.from_polygons(
        points.astype(dtype),
        class_values=rng.integers(1, 4, n),
        probabilities=rng.random(n),
        measurements={"stain [OD]": rng.random(n).astype(np.float32)},
        classes=ClassTable.from_names(["one", "two", "three"]),
        name="cells",
    )


def area_of(ring) -> float:
    """The shoelace formula as in a textbook."""
    x, y = np.asarray(ring, np.float64).T
    return abs(sum(x[i] * y[(i + 1) % len(x)] - x[(i + 1) % len(x)] * y[i] for i in range(len(x)))) / 2


def loop_areas(objects: Objects) -> list[float]:
    return [
        sum(area_of(rings[0]) - sum(area_of(hole) for hole in rings[1:]) for rings in objects.polygon(i))
        for i in range(len(objects))
    ]


def test_areas_take_off_holes_and_add_up_pieces():
    assert mixed().areas().tolist() == [16 - 2, 9, 16 - 2 + 9]


def test_bounds_and_centroids():
    objects = mixed()
    assert objects.bounds().tolist() == [[0, 0, 4, 4], [10, 10, 16, 13], [-40, -40, 104, 104]]
    hole, square = np.array([2.0, 1.5]), np.array([2.0, 2.0])
    own = (16 * square - 2 * hole) / 14
    triangle = np.array([12.0, 11.0])
    third = (14 * (own + 100) + 9 * (triangle - 50)) / 23
    np.testing.assert_allclose(objects.centroids(), [own, triangle, third], rtol=1e-12)


def test_an_object_without_area_has_the_mean_of_its_points_as_centre():
    line = [(0.0, 0.0), (2.0, 0.0), (7.0, 0.0)]
    objects = Objects.from_polygons([SQUARE, line])
    assert objects.areas()[1] == 0
    assert objects.centroids().tolist() == [[2, 2], [3, 0]]


def test_directions_of_rings_mean_nothing():
    turned = Objects.from_polygons([[SQUARE[::-1], HOLE], [SQUARE, HOLE[::-1]], [SQUARE[::-1], HOLE[::-1]]])
    assert turned.areas().tolist() == [14, 14, 14]
    assert np.ptp(turned.centroids(), axis=0).max() < 1e-12


def test_a_repeated_last_point_is_dropped():
    closed = np.concatenate([SQUARE, SQUARE[:1]])
    assert len(Objects.from_polygons([closed, TRIANGLE]).polygon(0)[0][0]) == 4
    assert Objects.from_polygons(np.stack([closed, closed])).coordinates.shape == (8, 2)


def test_float32_far_from_the_origin_keeps_its_area():
    small = np.array([(0, 0), (0.5, 0), (0.5, 0.25), (0, 0.25)], np.float32) + np.float32(65_536)
    assert Objects.from_polygons(small[None]).areas().tolist() == [0.125]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_everything_is_as_a_loop_over_objects_says(seed):
    rng = np.random.default_rng(seed)
    items = []
    for _ in range(rng.integers(1, 9)):
        place = rng.uniform(-500, 500, 2)
        rings = [rng.normal(0, 9, (rng.integers(3, 9), 2)) + place for _ in range(rng.integers(1, 4))]
        items.append([rings, [rings[0] + 5]] if rng.random() < 0.3 else rings)
    objects = Objects.from_polygons(items, measurements={"n": np.arange(len(items))})
    np.testing.assert_allclose(objects.areas(), loop_areas(objects), rtol=1e-9, atol=1e-7)
    for i, box in enumerate(objects.bounds()):
        points = np.concatenate([ring for rings in objects.polygon(i) for ring in rings])
        assert box.tolist() == [*points.min(0), *points.max(0)]
    chosen = rng.permutation(len(items))[: rng.integers(1, len(items) + 1)]
    some = objects.select(chosen)
    assert some.ids.tolist() == (chosen + 1).tolist()
    assert some.measurements["n"].tolist() == chosen.tolist()
    for k, i in enumerate(chosen):
        for ours, theirs in zip(some.polygon(k), objects.polygon(i), strict=True):
            for a, b in zip(ours, theirs, strict=True):
                assert np.array_equal(a, b)


def test_masks_numbers_and_slices_choose_the_same():
    objects = mixed()
    for which in ([False, True, True], [1, 2], [-2, -1], slice(1, 3), slice(1, None)):
        some = objects.select(which)
        assert some.ids.tolist() == ["b", "c"]
        assert some.class_values.tolist() == [0, 1]
        assert some.probabilities.tolist() == [0.25, 1.0]
        assert some.areas().tolist() == [9, 23]
        assert some.classes is objects.classes
        assert some.frame is objects.frame
    assert objects.select(slice(None, None, -1)).areas().tolist() == [23, 9, 14]
    assert len(objects.select([])) == 0
    assert len(objects.select(np.zeros(3, bool))) == 0


def test_neighbours_are_views_and_nothing_can_be_changed():
    objects = stars(100)
    assert np.shares_memory(objects.select(slice(10, 20)).coordinates, objects.coordinates)
    for array in (objects.coordinates, objects.class_values, objects.measurements["stain [OD]"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_no_objects_are_fine():
    none = Objects.from_polygons([])
    none.validate()
    assert len(none) == 0
    assert none.areas().shape == (0,)
    assert none.bounds().shape == (0, 4)
    assert none.centroids().shape == (0, 2)


def raised(make) -> str:
    with pytest.raises(GeometryError) as error:
        make()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_arrays_that_do_not_fit_are_refused():
    points = np.zeros((6, 2))
    assert "ring 2 has 2 points, expected 3 or more" in raised(lambda: Objects.from_rings(points, [0, 4, 6]))
    assert "ring 2 has -1 points" in raised(lambda: Objects.from_rings(points, [0, 4, 3, 6]))
    assert "from 0 to 6, the points there are" in raised(lambda: Objects.from_rings(points, [0, 3]))
    assert "coordinates of shape (6, 3)" in raised(lambda: Objects.from_rings(np.zeros((6, 3)), [0, 6]))
    assert "polygon 2 has 0 rings" in raised(lambda: Objects.from_rings(points, [0, 6], [0, 1, 1]))
    assert "object 1 has 0 polygons" in raised(lambda: Objects.from_rings(points, [0, 6], [0, 1], [0, 0, 1]))
    assert "ids has shape (2,), (1,)" in raised(lambda: Objects.from_rings(points, [0, 6], ids=[1, 2]))
    assert len(Objects.from_polygons([], ids=[])) == 0
    assert "ids of type float64" in raised(lambda: Objects.from_rings(points, [0, 6], ids=[0.5]))
    assert "a [um2] has shape (2,)" in raised(
        lambda: Objects.from_rings(points, [0, 6], measurements={"a [um2]": np.zeros(2)})
    )
    assert "mask of shape (2,)" in raised(lambda: mixed().select([True, False]))
    with pytest.raises(IndexError):
        mixed().select([3])
    with pytest.raises(IndexError):
        mixed().polygon(3)


def test_values_without_sense_are_found_with_the_number_of_the_object():
    bad = SQUARE.copy()
    bad[2, 1] = np.nan
    assert "object 2 of 3: a coordinate" in raised(Objects.from_polygons([SQUARE, bad, SQUARE]).validate)
    doubt = Objects.from_polygons([SQUARE, SQUARE], probabilities=[np.nan, 1.5])
    assert "object 2 of 2: probability 1.5" in raised(doubt.validate)
    classes = Objects.from_polygons([SQUARE], class_values=[3], classes=ClassTable.from_names(["a", "b"]))
    assert "object 1 of 1: class 3" in raised(classes.validate)
    assert "ids occur more than once" in raised(Objects.from_polygons([SQUARE, SQUARE], ids=[7, 7]).validate)


def measure(objects: Objects) -> dict[str, float]:
    """Seconds of each step; the results are compared with a loop over a few of the objects."""
    clock = {}
    mask = np.random.default_rng(1).random(len(objects)) < 0.5
    steps = {"areas": objects.areas, "bounds": objects.bounds, "centroids": objects.centroids,
             "select": lambda: objects.select(mask), "validate": objects.validate}  # fmt: skip
    found = {}
    for name, step in steps.items():
        began = time.perf_counter()
        found[name] = step()
        clock[name] = time.perf_counter() - began
    few = objects.select(slice(len(objects) - 50, None))
    np.testing.assert_allclose(found["areas"][-50:], loop_areas(few), rtol=1e-9)
    assert len(found["select"]) == mask.sum()
    np.testing.assert_array_equal(found["select"].areas(), found["areas"][mask])
    return clock


def test_twenty_thousand_objects_take_moments():
    clock = measure(stars(20_000))
    assert sum(clock.values()) < 2, clock


@pytest.mark.slow
def test_a_million_objects_take_seconds_and_some_hundred_megabytes():
    tracemalloc.start()
    began = time.perf_counter()
    objects = stars(1_000_000)
    built = time.perf_counter() - began
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    clock = {"build": built, **measure(objects)}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print({k: f"{v:.2f} s" for k, v in clock.items()}, f"held {held >> 20} MiB, at most {peak >> 20} MiB")
    assert held < 400 << 20
    assert peak < 900 << 20
    assert all(seconds < 20 for seconds in clock.values()), clock
