"""The table of volumes in a real window with many labels: quick on the window's thread, right numbers, real clicks."""

from __future__ import annotations

import time

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from workbench_napari.launch import open_files
from workbench_napari.shared.views import camera_of

from workbench.core.classes import ClassTable
from workbench.core.layers import KEY, colormap

pytestmark = pytest.mark.gui

SPACING = (3.0, 2.0, 2.0)
LIMIT = 0.1
"""What one step of the event loop may take of the window's thread [s of processor time]: others may use the machine."""


def blocks(count, edge=4):
    """So many cubes, label 1 at the start; the first planes of each are full, the last is half."""
    side = int(np.ceil(count ** (1 / 3)))
    grid = np.zeros((side,) * 3, np.int32)
    grid.reshape(-1)[:count] = np.arange(1, count + 1)
    data = np.repeat(np.repeat(np.repeat(grid, edge, 0), edge, 1), edge, 2)
    data[edge - 1 :: edge, :, ::2] = 0
    return data


@pytest.fixture
def shown(window, wait, tmp_path):
    """A function that shows so many labels in a window with the tool."""

    def show(count, **attributes):
        viewer = window(show=True)
        viewer.window.resize(1000, 700)
        tool = open_files(viewer, [], tool="volume")
        classes = ClassTable.from_values(list(range(1, count + 1)))
        layer = viewer.add_labels(
            blocks(count), name="parts", scale=SPACING, units="mm", colormap=colormap(classes),
            metadata={KEY: {"classes": classes.to_json()}}, **attributes,
        )  # fmt: skip
        table = tool.keeping.table
        wait(lambda: table.row_count() == count and not table.is_busy)
        return viewer, tool, table, layer

    return show


def longest_step(done, seconds=60):
    """Processor time of the window's thread in the longest step of the event loop until something holds."""
    longest, end = 0.0, time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        began = time.thread_time()
        QApplication.processEvents()
        longest = max(longest, time.thread_time() - began)
        time.sleep(0.001)
    return longest


def click(view, row, column=0, double=False):
    view.scrollTo(view.model().index(row, column))
    at = view.visualRect(view.model().index(row, column)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    if double:
        QTest.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=at)


def millilitres(layer, value):
    """Counted without the table: voxels of that value by their volume."""
    return np.count_nonzero(layer.data == value) * np.prod(SPACING) / 1000


def test_999_labels_are_counted_while_the_window_lives(shown, wait):
    _viewer, _tool, table, layer = shown(999)
    for row in (0, 500, 998):
        value = table.label_values()[row]
        assert table.text_at(row, 1) == f"{millilitres(layer, value):,.2f}"
    before = layer.features
    layer.brush_size = 5
    updates = []
    table.updated.connect(lambda: updates.append(1))
    began = time.thread_time()
    layer.paint((1, 1, 1), 500)
    painting = time.thread_time() - began
    assert painting < LIMIT
    assert longest_step(lambda: bool(updates)) < LIMIT
    assert layer.features is not before
    assert table.text_at(499, 2) == f"{np.count_nonzero(layer.data == 500):,}"
    after = layer.features
    layer.events.set_data()  # a change of the slice: nothing was edited
    layer.events.units()  # a recount that finds the same
    wait(lambda: len(updates) == 2)
    assert layer.features is after, "napari is not told of a table that is the same"
    layer.undo()
    wait(lambda: len(updates) == 3)
    assert table.text_at(499, 2) == f"{np.count_nonzero(layer.data == 500):,}"
    began = time.thread_time()
    for value in (998, 3, 700):
        layer.selected_label = value
        assert table.marked_value == value
    assert time.thread_time() - began < LIMIT


def test_click_double_click_and_a_sorted_table(shown, wait):
    viewer, _tool, table, layer = shown(27)
    click(table, 4)
    assert (layer.selected_label, viewer.layers.selection.active) == (5, layer)
    header = table.horizontalHeader()
    layer.data[:, :, :2][layer.data[:, :, :2] == 1] = 0
    layer.refresh()
    layer.paint((0, 0, 0), 27)
    x = header.sectionViewportPosition(1) + 8
    QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(x, 8))
    wait(lambda: not table.is_busy and table.label_values()[0] == 27 and table.label_values()[-1] == 1)
    assert table.marked_value == 5
    viewer.dims.set_current_step(0, 11)
    click(table, 0, double=True)
    assert layer.selected_label == 27
    wait(lambda: not table.is_busy)
    counts = [(plane == 27).sum() for plane in layer.data]
    assert viewer.dims.current_step[0] == int(np.argmax(counts))


def test_a_double_click_in_3d_looks_at_the_label(shown, wait):
    viewer, _tool, table, layer = shown(27, translate=(100.0, -50.0, 20.0))
    viewer.dims.ndisplay = 3
    camera_of(viewer).center = (0.0, 0.0, 0.0)
    click(table, 22, double=True)
    wait(lambda: not table.is_busy)
    inside = np.argwhere(layer.data == 23)
    middle = np.mean([layer.data_to_world(i) for i in inside], axis=0)
    assert np.allclose(camera_of(viewer).center, middle)
    viewer.dims.ndisplay = 2
    assert abs(viewer.dims.point[0] - middle[0]) <= SPACING[0], "back in slices it is in sight"


def test_colours_names_and_other_layers(shown, wait):
    viewer, tool, table, layer = shown(12)
    before = table.grab().toImage()
    colors = dict(layer.colormap.color_dict)
    layer.opacity = 1.0  # swatches show what is seen through the layer
    layer.colormap = {**colors, 1: (1.0, 0.0, 1.0, 1.0)}
    wait(lambda: table.grab().toImage() != before)
    model = table.model()
    swatch = model.index(0, 0).data(Qt.ItemDataRole.DecorationRole).pixmap(12, 12).toImage().pixelColor(6, 6)
    assert (swatch.red(), swatch.green(), swatch.blue()) == (255, 0, 255)
    layer.visible = False
    layer.name = "renamed"
    layer.paint((0, 0, 0), 12)
    wait(lambda: not table.is_busy)
    assert table.text_at(11, 2) == f"{np.count_nonzero(layer.data == 12):,}"
    drawn = viewer.add_labels(np.zeros((4, 5, 6), np.uint8), name="drawn", units="mm")
    assert table.layer is drawn
    wait(lambda: not table.is_busy)
    assert table.row_count() == 0
    tool.panel.labels.layers.setCurrentText("renamed")
    assert (table.layer, table.row_count()) == (layer, 12)
