from __future__ import annotations

from workbench.core.classes import ClassTable


def test_values_that_the_table_lacks_get_classes_in_order():
    table = ClassTable.from_names(["a", "b"])
    assert [(c.value, c.name) for c in table.unlisted([9, 2, 0, -1, 5, 9])] == [(5, "class 5"), (9, "class 9")]
    assert not len(table.unlisted({1: 4, 2: 1}))
