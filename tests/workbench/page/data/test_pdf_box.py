"""Of a cropped PDF page only what is shown is read."""

import numpy as np
import pytest

import workbench as wb
from workbench.page.data.pdf_box import shown

BOX = (0.0, 0.0, 10.0, 10.0)


def parts(*points):
    return [part.round(2).tolist() for part in shown(np.array(points, float), BOX)]


def test_what_lies_within_stays_and_what_lies_outside_goes():
    inside = np.array([[1.0, 1.0], [9.0, 9.0], [0.0, 10.0]])
    assert shown(inside, BOX)[0] is inside
    assert parts((11, 1), (20, 5)) == []
    assert parts((12, 9), (9, 12.5)) == []
    assert parts((5, 5)) == [[[5, 5]]]
    assert parts((np.nan, 5), (5, 5)) == []


def test_what_leaves_ends_at_the_edge_and_begins_anew():
    assert parts((5, 5), (15, 5)) == [[[5, 5], [10.01, 5]]]
    assert parts((-5, 5), (15, 5)) == [[[-0.01, 5], [10.01, 5]]]
    assert parts((5, 5), (15, 5), (15, 6), (5, 6)) == [[[5, 5], [10.01, 5]], [[10.01, 6], [5, 6]]]
    assert parts((-5, 5), (5, 5), (6, 6), (6, 20)) == [[[-0.01, 5], [5, 5], [6, 6], [6, 10.01]]]


@pytest.mark.parametrize("seed", range(5))
def test_parts_are_the_points_of_the_path_that_lie_within(seed):
    path = np.cumsum(np.random.default_rng(seed).normal(0, 2, (400, 2)), axis=0)
    whole = [p for part in shown(path, BOX) for p in part]
    kept = {tuple(np.round(p, 6)) for p in whole}
    within = ((path > 0) & (path < 10)).all(axis=1)
    assert {tuple(np.round(p, 6)) for p in path[within]} <= kept
    assert all((np.abs(p - 5) <= 5.011).all() for p in whole)


@pytest.mark.parametrize("which", ["CropBox", "MediaBox"])
def test_a_cropped_page_has_its_own_corner(tmp_path, which):
    from tests.workbench.page.data.test_pdf_trial import page, stream, written

    objects = page(stream(b"0 0 0 RG 50 100 m 800 100 l S 300 200 m 300 580 l S 10 10 m 90 10 l S"))
    old = b"/MediaBox[0 0 842 595]"
    new = old + b"/CropBox[200 50 700 450]" if which == "CropBox" else b"/MediaBox[200 50 700 450]"
    objects[3] = objects[3].replace(old, new)
    image = wb.read(written(tmp_path / "a.pdf", objects))
    lines = [path.points / (25.4 / 72) for path in image.native.paths()]
    np.testing.assert_allclose(lines, [[[0, 350], [500, 350]], [[100, 250], [100, 0]]], atol=0.02)
    dark = (image.data < 128).all(axis=0)
    rows, columns = (np.flatnonzero(dark.any(axis=axis)) for axis in (1, 0))
    assert rows.max() == pytest.approx(350 * 300 / 72, abs=4)
    assert columns.min() <= 2
