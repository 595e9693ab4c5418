"""The table of what was drawn on a slide: the same areas as everywhere else."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from workbench.core.frame import Frame
from workbench.slide.annotations.region import area_on
from workbench.slide.annotations.types import Annotation, Annotations, Shape
from workbench.slide.drawn_layers import regions

FRAME = Frame.of(np.diag([0.5, 0.5, 1.0]), "um")
SLIDE = (1000, 800)


def area(*points, of="Fat"):
    return Annotation(Shape("areas", ((np.array(points, float),),)), class_name=of)


def box(left, top, right, bottom, of="Fat"):
    return area((left, top), (right, top), (right, bottom), (left, bottom), of=of)


def table(*items, shape=SLIDE):
    found = regions(Annotations(items, FRAME), shape)
    assert found.columns == ("class", "annotations", "area [mm2]")
    return {row["class"]: (row["annotations"], row["area [mm2]"]) for row in found.as_dicts()}


def test_an_outline_that_crosses_itself_is_all_that_it_goes_around():
    bow_tie = (100, 100), (500, 300), (500, 100), (100, 300)
    right = shapely.make_valid(shapely.Polygon(bow_tie)).area
    assert table(area(*bow_tie)) == {"Fat": (1, pytest.approx(right * 0.25e-6, abs=1e-6))}
    assert area_on([area(*bow_tie)]) == pytest.approx(40_000)


def test_what_is_drawn_twice_or_beyond_the_slide_counts_once_or_not_at_all():
    assert table(box(0, 0, 200, 400), box(0, 0, 200, 400)) == {"Fat": (2, 0.02)}
    assert table(box(700, 900, 900, 1100)) == {"Fat": (1, pytest.approx(100 * 100 * 0.25e-6))}
    assert table(box(-500, -500, -100, -100)) == {"Fat": (1, 0.0)}
    assert table(box(-500, 0, -100, 400), shape=None) == {"Fat": (1, 0.04)}


def test_classes_do_not_take_from_each_other_and_lines_have_no_area():
    line = Annotation(Shape("lines", ((np.array([[0, 0], [300, 300.0]]),),)), class_name="Nerve")
    found = table(box(0, 0, 200, 400), box(100, 0, 300, 400, of=""), line)
    assert found == {"Fat": (1, 0.02), "unclassified": (1, 0.02), "Nerve": (1, 0.0)}
