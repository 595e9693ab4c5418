"""Names beside the curves of a drawn page: one for all of them tells nothing."""

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.page.data.pdf_pages import Path2D, PdfText
from workbench.page.errors import NotAPage
from workbench.page.predict.drawn import read_drawing

BLACK, PINK = (0, 0, 0), (255, 200, 200)


def sheet(*names):
    """A grid of 250 x 120 mm with a curve of 8 s for each name, below each other."""
    grid = [Path2D(np.array([[x, 0.0], [x, 120.0]]), PINK, 0.1) for x in np.arange(0.0, 250.0)]
    grid += [Path2D(np.array([[0.0, y], [250.0, y]]), PINK, 0.1) for y in np.arange(0.0, 120.0)]
    x = np.linspace(20, 220, 1000)
    rows = [25.0 + 28 * n for n in range(len(names))]
    curves = [Path2D(np.column_stack([x, y + 3 * np.sin(x + y)]), BLACK, 0.3) for y in rows]
    words = [PdfText(name, (10.0, y - 2, 16.0, y + 2)) for name, y in zip(names, rows, strict=True)]
    return [*grid, *curves], words


def test_curves_of_different_names_are_read():
    assert read_drawing(*sheet("I", "II", "V1")).signals.channels == ("I", "II", "V1")


def test_some_leads_drawn_twice_have_names_of_their_own():
    assert read_drawing(*sheet("II", "II", "V1", "II")).signals.channels == ("II", "II 2", "II 3", "V1")


def test_one_name_for_all_curves_is_refused_and_no_picture_is_tried():
    with pytest.raises(InputError, match="page.pdf: all 4 curves have the name II beside them") as caught:
        read_drawing(*sheet("II", "II", "II", "II"), source="page.pdf")
    assert not isinstance(caught.value, NotAPage)
