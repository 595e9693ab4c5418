"""Which tiles are marked by outlines, points and painted areas."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.types import Geometry, Labels
from workbench.slide.annotations.types import Annotation, Annotations, Shape
from workbench.slide.marked import joined, marked_by, marked_on

SIDE = 100.0
CORNERS = np.stack(np.meshgrid(np.arange(5) * SIDE, np.arange(4) * SIDE), -1).reshape(-1, 2)


def area(name, *rings):
    return Annotation(Shape("areas", (tuple(np.array(r, float) for r in rings),)), class_name=name)


def square(left, top, right, bottom):
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def points(name, *places):
    return Annotation(Shape("points", ((np.array(places, float),),)), class_name=name)


def of(*items):
    return Annotations(items)


def on_grid(marked):
    return marked.values.reshape(4, 5)


def test_an_outline_marks_the_tiles_of_which_it_covers_enough():
    marked = marked_by(CORNERS, SIDE, of(area("a", square(0, 0, 260, 140))))
    right = np.zeros((4, 5), int)
    right[0, :3] = 1  # of the third 60 %; of the second row 40 %
    np.testing.assert_array_equal(on_grid(marked), right)
    stricter = marked_by(CORNERS, SIDE, of(area("a", square(0, 0, 260, 140))), least=0.7)
    assert on_grid(stricter).sum() == 2
    assert set(marked.regions[marked.values > 0].tolist()) == {0}
    assert (marked.regions[marked.values == 0] == -1).all()


def test_holes_are_holes_and_parts_of_one_class_add_up():
    ring = area("a", square(0, 0, 300, 300), square(100, 100, 200, 200))
    marked = on_grid(marked_by(CORNERS, SIDE, of(ring)))
    assert marked[1, 1] == 0
    assert marked[:3, :3].sum() == 8
    halves = of(area("a", square(0, 0, 40, 100)), area("a", square(40, 0, 90, 100)))
    marked = marked_by(CORNERS, SIDE, halves)
    assert marked.values[0] == 1
    assert marked.regions[0] == 0, "both are one region, as they share a tile"
    twice = marked_by(CORNERS, SIDE, of(area("a", square(0, 0, 30, 100)), area("a", square(0, 0, 30, 100))))
    assert not twice.values.any(), "the same place counts once"
    small = [area("a", square(x, 0, x + 18, 95)) for x in range(0, 200, 20)]
    patchy = marked_by(CORNERS, SIDE, of(*small, area("a", square(400, 300, 500, 400))))
    assert on_grid(patchy)[0].tolist() == [1, 1, 0, 0, 0]
    assert not any("mark nothing" in n for n in patchy.notes)
    assert len(np.unique(patchy.regions[patchy.values > 0])) == 3, "a tile of small outlines, another, and one alone"


def test_points_mark_the_tile_that_holds_them():
    marked = marked_by(
        CORNERS, SIDE, of(points("a", (150, 50), (499, 399)), points("b", (0, 0)), points("b", (900, 0)))
    )
    assert marked.values[1] == 1
    assert marked.values[-1] == 1
    assert marked.values[0] == 2
    assert (marked.values > 0).sum() == 3
    assert any("1 annotation(s) on no tile that is marked so" in n for n in marked.notes)


def test_two_classes_on_a_tile_and_what_has_no_class_teach_nothing_and_it_is_said():
    line = Annotation(Shape("lines", ((np.array([(0, 0), (9, 9)], float),),)), class_name="a")
    both = of(area("a", square(0, 0, 100, 100)), points("b", (50, 50)), area("", square(200, 0, 300, 100)), line)
    marked = marked_by(CORNERS, SIDE, both)
    assert not marked.values.any()
    said = " ".join(marked.notes)
    for what in (
        "1 tile(s) are marked as two classes",
        "1 annotation(s) without a class",
        "1 annotation(s) that are lines",
    ):
        assert what in said


@pytest.mark.parametrize(("corner", "step"), [((0.0, 0.0), 20.0), ((-7.0, 11.0), 13.0)])
def test_painted_patches_are_regions(corner, step):
    shape = (int(420 / step) + 2, int(520 / step) + 2)
    centres = [(np.arange(n) + 0.5) * step + c for n, c in zip(shape, corner[::-1], strict=True)]
    data = np.zeros(shape, np.int32)
    y, x = np.meshgrid(*centres, indexing="ij")
    data[(x < 200) & (y < 100)] = 4
    data[(x > 300) & (y > 200)] = 4
    data[(x > 300) & (y < 100)] = 9
    classes = ClassTable(tuple(ClassInfo(v, n, (9 * v, 0, 0)) for v, n in ((4, "a"), (9, "b"), (11, "nowhere"))))
    labels = Labels(data, Geometry(shape, None, ("y", "x"), None), classes)
    marked = marked_on(CORNERS, SIDE, labels, (np.array(corner), np.array([step, step])))
    assert marked.classes.names == ("a", "b")
    right = np.zeros((4, 5), int)
    right[0, :2], right[2:, 3:], right[0, 3:] = 1, 1, 2
    np.testing.assert_array_equal(on_grid(marked), right)
    regions = marked.regions.reshape(4, 5)
    assert len({int(regions[0, 0]), int(regions[2, 3]), int(regions[0, 3])}) == 3


def test_outlines_and_paint_together():
    one = marked_by(CORNERS, SIDE, of(area("a", square(0, 0, 200, 100)), area("b", square(400, 0, 500, 100))))
    other = marked_by(CORNERS, SIDE, of(area("c", square(100, 0, 300, 100)), area("b", square(0, 300, 100, 400))))
    both = joined(one, other)
    assert both.classes.names == ("a", "b", "c")
    assert on_grid(both)[0].tolist() == [1, 0, 3, 0, 2]
    assert on_grid(both)[3, 0] == 2
    assert len(np.unique(both.regions[both.values > 0])) == 4
    assert any("two classes" in n for n in both.notes)


def test_names_that_are_nearly_alike_and_classes_that_mark_nothing_are_said():
    names = [area("Stroma", square(0, 0, 100, 100)), area("stroma ", square(100, 0, 200, 100))]
    marked = marked_by(CORNERS, SIDE, of(*names, area("tiny", square(300, 300, 310, 310))))
    assert any("'Stroma', 'stroma ' differ by case or spaces only, and count as 2" in n for n in marked.notes)
    assert any("no tile is marked as tiny" in n for n in marked.notes)
    ignored = marked_by(CORNERS, SIDE, of(names[0], area("Ignore*", square(200, 0, 300, 100))))
    assert ignored.classes.names == ("Stroma",)
    assert any("1 annotation(s) of a class to be ignored" in n for n in ignored.notes)


def test_patches_that_touch_at_a_corner_are_one_region():
    data = np.zeros((4, 5), np.int32)
    data[0, 0] = data[1, 1] = data[3, 3] = 1
    labels = Labels(data, Geometry((4, 5), None, ("y", "x"), None), ClassTable.from_names(["a"]))
    marked = marked_on(CORNERS, SIDE, labels, (np.zeros(2), np.full(2, SIDE)))
    regions = marked.regions.reshape(4, 5)
    assert regions[0, 0] == regions[1, 1] != regions[3, 3]
