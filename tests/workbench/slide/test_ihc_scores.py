"""Index, H-score and Allred score by hand."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.classes import ClassTable
from workbench.core.objects import Objects
from workbench.slide.ihc_scores import BINS, INDEX_COLUMNS, index_row, index_table


@pytest.mark.parametrize(
    ("counts", "right"),
    [
        ((50, 5, 4, 2), (61, 18.03, 31.1, 3, 2, 5)),  # (5 + 8 + 6) / 61
        ((100, 0, 0, 0), (100, 0.0, 0.0, 0, 0, 0)),
        ((0, 0, 0, 7), (7, 100.0, 300.0, 5, 3, 8)),
        ((199, 1, 0, 0), (200, 0.5, 0.5, 1, 1, 2)),
        ((99, 0, 1, 0), (100, 1.0, 2.0, 2, 2, 4)),
        ((90, 10, 0, 0), (100, 10.0, 10.0, 2, 1, 3)),
        ((60, 0, 40, 0), (100, 40.0, 80.0, 4, 2, 6)),
        ((30, 30, 20, 20), (100, 70.0, 130.0, 5, 2, 7)),
    ],
)
def test_scores_of_counts(counts, right):
    row = index_row("all", np.array(counts))
    assert row[0] == "all"
    assert row[2:6] == counts
    assert (row[1], *row[6:]) == right


def test_no_nuclei_have_no_index():
    assert index_row("all", np.zeros(4, np.int64)) == ("all", 0, 0, 0, 0, 0, "", "", "", "", "")


def test_other_classes_are_left_out_and_names_count_not_numbers():
    boxes = [np.array([[x, 0], [x + 4, 0], [x + 4, 4], [x, 4]], float) for x in range(0, 60, 10)]
    nuclei = Objects.from_polygons(
        boxes, class_values=[1, 2, 3, 4, 5, 0], classes=ClassTable.from_names(["3+", "negative", "1+", "2+", "Debris"])
    )
    table = index_table(nuclei)
    assert table.columns == INDEX_COLUMNS
    assert table.rows[0][:7] == ("all nuclei", 4, 1, 1, 1, 1, 75.0)
    assert table.columns[2:6] == BINS
