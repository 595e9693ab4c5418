"""Whether annotations lie on their slide: columns bound x, rows bound y."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.slide.annotations.place import outside_note


@pytest.mark.parametrize(
    ("box", "is_beyond"),
    [
        ((10, 10, 40, 80), False),
        ((10, 10, 80, 40), True),
        ((10, 10, 40, 110), True),
        ((-1, -1, 51, 101), False),
        ((10, 10, 51.5, 40), True),
        ((-1.5, 10, 40, 40), True),
        ((10, -1.5, 40, 40), True),
    ],
)
def test_what_reaches_beyond_a_slide_is_said(box, is_beyond):
    """A slide of 100 rows and 50 columns, with a pixel to spare."""
    found = outside_note(np.array([(1, 1, 2, 2), box], float), (100, 50))
    said = ("1 of 2 annotation(s) reach beyond the slide of 50 x 100 pixels; are they of this slide?",)
    assert found == (said if is_beyond else ())


def test_nothing_is_said_of_no_annotation_or_a_slide_of_no_known_size():
    assert outside_note(np.zeros((0, 4)), (100, 50)) == ()
    assert outside_note(np.array([(1.0, 1.0, 900.0, 900.0)]), None) == ()
