"""The table of annotations: many rows, what stays marked when rows come and go, the keyboard."""

from __future__ import annotations

from dataclasses import replace

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QAbstractItemModelTester
from qtpy.QtWidgets import QLineEdit
from workbench_napari.recording import marks_model
from workbench_napari.recording.marks_table import MarksTable
from workbench_napari.recording.whose import MarkRow

from workbench.core.types import Mark


def rows(count):
    return [MarkRow(Mark(float(n), 0.5, f"label {n % 7}", ("MEG 001",) * (n % 2))) for n in range(count)]


@pytest.fixture
def table(qtbot):
    made = MarksTable()
    qtbot.addWidget(made)
    made.resize(400, 168)
    made.show()
    tester = QAbstractItemModelTester(made.model(), QAbstractItemModelTester.FailureReportingMode.Fatal)
    made.tester = tester  # lives as long as the table
    return made


def asked(table, monkeypatch):
    """How often the model makes a text from now on."""
    count, original = [0], marks_model._text

    def counted(row, column):
        count[0] += 1
        return original(row, column)

    monkeypatch.setattr(marks_model, "_text", counted)
    return count


def test_only_what_is_in_sight_is_made(qtbot, monkeypatch):
    table = MarksTable()  # the tester of models would ask for everything
    qtbot.addWidget(table)
    table.resize(400, 168)
    table.show()
    qtbot.waitExposed(table)
    count = asked(table, monkeypatch)
    shown = rows(20_000)
    table.show_rows(shown)
    qtbot.waitUntil(lambda: count[0] > 0)
    assert table.row_count() == 20_000
    assert count[0] < 500  # 6 rows of 5 cells, painted a few times; an item for each would be 100,000
    changed = [*shown[:9000], replace(shown[9000], mark=replace(shown[9000].mark, label="blink")), *shown[9001:]]
    told = []
    table.model().dataChanged.connect(lambda first, last: told.append((first.row(), last.row())))
    table.show_rows(changed)
    assert told == [(9000, 9000)]


def test_rows_that_stay_keep_their_mark(table):
    shown = rows(20)
    table.show_rows(shown)
    table.selectRow(12)
    table.show_rows([*shown[:3], *shown[5:]])
    assert table.rows_chosen == [10]
    table.show_rows([MarkRow(Mark(-1.0, 0.1, "first")), *shown])
    assert (table.rows_chosen, table.text_at(13, 0)) == ([13], "12.000")
    table.show_rows([*shown[:12], *shown[13:]])
    assert table.row_count() == 19
    table.show_rows([])
    assert (table.row_count(), table.rows_chosen) == (0, [])


def test_random_changes_show_what_was_given(table):
    import random

    dice, shown = random.Random(0), rows(6)
    for _ in range(300):
        kind = dice.randrange(4)
        at = dice.randrange(len(shown) + 1)
        if kind == 0:
            shown = [*shown[:at], MarkRow(Mark(dice.random(), 0.1, "new"), (), dice.random() < 0.5), *shown[at:]]
        elif kind == 1:
            shown = [*shown[:at], *shown[at + dice.randrange(3) :]]
        elif kind == 2:
            shown = sorted(shown, key=lambda row: row.mark.onset)
        elif at < len(shown):
            shown = [*shown[:at], replace(shown[at], is_machines=not shown[at].is_machines), *shown[at + 1 :]]
        table.show_rows(shown)
        assert [(table.text_at(n, 2), table.text_at(n, 4)) for n in range(table.row_count())] == [
            (row.mark.label, row.by) for row in shown
        ]


def test_renamed_by_the_keyboard_and_not_where_the_model_marked(table, qtbot):
    table.show_rows([*rows(2), MarkRow(Mark(3.0, 0.1, "peak"), (), True)])
    told, gone_to = [], []
    table.renamed.connect(lambda row, text: told.append((row, text)))
    table.chosen.connect(gone_to.append)
    table.setFocus()
    table.setCurrentIndex(table.model().index(1, 2))
    table.edit(table.currentIndex())
    editor = table.findChild(QLineEdit)
    editor.setText("swallowing")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(told))
    assert told == [(1, "swallowing")]
    assert table.text_at(1, 2) == "label 1"  # until it is given new rows
    assert not table.type_label(2, "mine")
    where = table.visualRect(table.model().index(2, 0)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert (gone_to, table.rows_chosen) == ([2], [2])
    assert table.model().index(2, 1).data(Qt.ItemDataRole.FontRole).italic()
