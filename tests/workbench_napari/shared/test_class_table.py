"""The table that tools share: 20,000 rows, sorted, marked and painted in the time of a few; newest work wins."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from workbench_napari.shared.class_model import ClassModel, ClassRows, Numbers
from workbench_napari.shared.class_view import ClassView
from workbench_napari.shared.label_search import find_label
from workbench_napari.shared.latest_work import LatestWork

from tests.display import display  # noqa: F401

pytestmark = pytest.mark.gui


def rows_of(values, volumes, prefix="class"):
    values = np.asarray(values, np.int64)
    return ClassRows(values, [f"{prefix} {v}" for v in values], (Numbers(np.asarray(volumes, float), "{:.1f}".format),))


@pytest.fixture
def view(display, qtbot):  # noqa: F811
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    model = ClassModel(("Class", "Volume"), lambda v: f"#{v % 256:02x}0000", lambda v, c: f"label {v}", editable=False)
    made = ClassView(model)
    qtbot.addWidget(made)
    made.resize(300, 200)
    made.show()
    return made


def middle(view, row, column):
    return view.visualRect(view.model().index(row, column)).center()


def test_a_click_tells_and_a_mark_of_the_tool_does_not(view, qtbot):
    told, opened = [], []
    view.chosen.connect(told.append)
    view.opened.connect(lambda *where: opened.append(where))
    view.show_rows(rows_of([4, 9, 2], [1, 3, 2]), 9)
    assert (view.marked_value, told) == (9, [])
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=middle(view, 2, 0))
    assert (view.marked_value, told) == (2, [2])
    view.select(4)
    view.select(77)
    assert (view.marked_value, told) == (None, [2])
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=middle(view, 1, 1))
    QTest.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=middle(view, 1, 1))
    assert opened == [(9, 1)]


def test_titles_sort_and_the_mark_stays_with_its_label(view):
    view.show_rows(rows_of([4, 9, 2], [1, 3, np.nan]), 4)
    header = view.horizontalHeader()

    def press(section):
        x = header.sectionViewportPosition(section) + 10
        QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(x, 8))

    press(1)
    assert view.label_values() == [9, 4, 2], "the largest first, what is not known last"
    assert view.marked_value == 4
    press(1)
    assert view.label_values() == [4, 9, 2]
    view.show_rows(rows_of([4, 9, 2], [5, 3, 1]), 4)
    assert view.label_values() == [2, 9, 4], "it stays sorted while the numbers change"
    assert view.marked_value == 4
    press(1)
    assert view.label_values() == [4, 9, 2], "as the classes came"
    press(0)
    assert view.label_values() == [2, 4, 9]


def test_only_rows_in_sight_are_drawn(view, qtbot):
    drawn, many = [], rows_of(range(1, 20_001), np.arange(20_000))
    view.model()._color_of = lambda v: drawn.append(v) or "#010203"
    began = time.thread_time()
    view.show_rows(many, 19_999)
    qtbot.waitUntil(lambda: 19_999 in drawn)
    assert len(set(drawn)) < 40
    drawn.clear()
    view.select(3)
    qtbot.waitUntil(lambda: 3 in drawn)
    assert len(set(drawn)) < 40
    view.show_rows(rows_of(range(1, 20_001), np.arange(20_000) + 1), 3)
    # All three together; a single one may take 100 ms.
    assert time.thread_time() - began < 0.3
    reset = []
    view.model().modelReset.connect(lambda: reset.append(1))
    view.show_rows(rows_of(range(1, 20_001), np.arange(20_000) + 2), 3)
    assert reset == [], "what is looked at stays where it is"


def test_newest_work_wins_and_no_one_starves(display, qtbot):  # noqa: F811
    work, seen, stopped, started = LatestWork(), [], [], []
    gate = threading.Event()

    def count(number, stop):
        started.append(number)
        while not gate.is_set():
            if stop():
                stopped.append(number)
                return None
            time.sleep(0.002)
        return number * 10

    work.arrived.connect(lambda token, answer: seen.append((token, answer)))
    for number in (1, 2, 3):
        work.ask(number, lambda stop, number=number: count(number, stop))
    qtbot.waitUntil(lambda: started == [1, 3])
    work.ask(4, lambda stop: count(4, stop))
    assert stopped == [1], "3 follows on work that was stopped: it may end"
    gate.set()
    qtbot.waitUntil(lambda: not work.is_busy)
    assert seen == [(3, 30), (4, 40)]
    failed = []
    work.failed.connect(failed.append)
    work.ask(5, lambda stop: 1 / 0)
    qtbot.waitUntil(lambda: bool(failed))
    assert isinstance(failed[0], ZeroDivisionError)
    work.close()


def test_where_a_label_is_largest():
    data = np.zeros((12, 14, 16), np.int32)
    data[2, 3:6, 4:7] = 70_000
    data[7:10, 8, 9] = 70_000
    for axis in range(3):
        counts = [(np.take(data, i, axis) == 70_000).sum() for i in range(data.shape[axis])]
        best = int(np.argmax(counts))
        inside = np.argwhere(np.take(data, best, axis) == 70_000).mean(axis=0)
        found = find_label(data, 70_000, axis)
        assert found.largest.tolist() == np.insert(inside, axis, best).tolist()
        assert np.allclose(found.middle, np.argwhere(data == 70_000).mean(axis=0))
    assert find_label(data, 5, 0) is None
    assert find_label(data, 70_000, 0, lambda: True) is None
