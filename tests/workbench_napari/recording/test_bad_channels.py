"""Bad channels by a click, with real mouse and keys in a real window: seen, used, kept, saved, and brought back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from workbench_napari.launch import open_files
from workbench_napari.recording.overlay import GUTTER

import workbench as wb
from tests.recording_maker import raw
from tests.tiny import make_tiny_meg_weights
from tests.workbench_napari.contract_window import press
from tests.workbench_napari.mouse import at_rest, canvas_of
from tests.workbench_napari.recording.window import finish
from workbench.core.layers import KEY
from workbench.recording import read_bads

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A tokeniser alone: it takes any number of channels."""
    return make_tiny_meg_weights(tmp_path_factory.mktemp("w") / "t.safetensors", gpt=False)


@pytest.fixture
def seen(window, sensor_file, net, wait, tmp_path):
    """An MEG tool with magnetometers, one of them bad by the file, in a window that is shown."""
    viewer = window(show=True)
    viewer.window.resize(1300, 850)
    tool = open_files(viewer, [sensor_file])
    tool.folder.setText(str(tmp_path / "out"))
    tool.panel.model.model.weights.choose_file(net)
    tool.panel.model.model.device.setCurrentText("cpu")
    tool.panel.model.model.form.set_values({"kinds": "mag"})
    wait(lambda: tool.annotating.editor.layer is not None and tool.traces.isVisible())
    at_rest(viewer)
    wait(lambda: len(tool.traces.traces) == 8)
    return viewer, tool


def click_canvas(viewer, x, y, keys=Qt.KeyboardModifier.NoModifier):
    """A real click; events for the window, as napari gets them."""
    canvas = canvas_of(viewer)
    window = canvas.window().windowHandle()
    at = canvas.mapTo(canvas.window(), QPoint(round(x), round(y)))
    QTest.mouseMove(window, at)
    QTest.mouseClick(window, Qt.MouseButton.LeftButton, keys, at)
    QApplication.processEvents()


def click_name(viewer, tool, name, keys=Qt.KeyboardModifier.NoModifier):
    band = tool.stack.overlay.bands[0]
    row = band.names.index(name)
    click_canvas(viewer, GUTTER - 30, band.top + (row + 0.5) * band.row, keys)


def click_plot(tool, row, *, on_name, keys=Qt.KeyboardModifier.NoModifier):
    """A click on the name of a trace, or on its row."""
    item = tool.traces.plot.getPlotItem()
    box = item.getViewBox()
    from pyqtgraph import Point

    y = box.mapViewToScene(Point(0, -row)).y()
    middle = item.getAxis("left") if on_name else box
    at = tool.traces.plot.mapFromScene(Point(middle.sceneBoundingRect().center().x(), y))
    QTest.mouseClick(tool.traces.plot.viewport(), Qt.MouseButton.LeftButton, keys, at)
    QApplication.processEvents()


def struck_out(tool):
    items = [tool.panel.channels.names.item(n) for n in range(tool.panel.channels.names.count())]
    return [i.text() for i in items if i.font().strikeOut()]


def test_a_click_on_a_name_marks_a_channel_and_a_second_one_takes_it_back(seen, wait, qtbot):
    viewer, tool = seen
    band = tool.stack.overlay.bands[0]
    assert band.names == tuple(f"MEG {i:04d}" for i in range(1, 9)), "bad ones are seen too"
    assert [band.names[r] for r in band.bads] == ["MEG 0002"] == struck_out(tool)
    assert tool.panel.channels.bads.text() == "Bad channels: MEG 0002 (file)."
    assert tool.panel.channels.as_file_button.isHidden()
    layer = tool.annotating.editor.layer
    click_name(viewer, tool, "MEG 0005")
    assert tool.opened.bads == ("MEG 0002", "MEG 0005")
    assert struck_out(tool) == ["MEG 0002", "MEG 0005"]
    assert tool.stack.overlay.bands[0].bads == {1, 4}
    assert tool.panel.channels.bads.text() == "Bad channels: MEG 0002 (file), MEG 0005 (you)."
    assert "bad: MEG 0002, MEG 0005" in tool.panel.recording.info.text()
    assert tool.status.text() == "MEG 0005 marked bad. Undo takes it back."
    assert tool.journal.is_unsaved(layer)
    wait(lambda: [t.channel for t in tool.traces.traces if t.is_bad] == ["MEG 0002", "MEG 0005"])
    click_name(viewer, tool, "MEG 0002")
    assert tool.panel.channels.bads.text() == "Bad channels: MEG 0005 (you). Good by you, bad in the file: MEG 0002."
    click_name(viewer, tool, "MEG 0005")
    click_name(viewer, tool, "MEG 0002")
    assert tool.opened.bads == ("MEG 0002",)
    assert tool.opened.given_bads is None
    # Undo and redo, by their keys, in one order with the annotations.
    for _ in range(3):
        qtbot.keyClick(canvas_of(viewer), Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert tool.opened.bads == ("MEG 0002", "MEG 0005")
    before = list(tool.annotating.editor.marks)
    tool.annotating.editor.remove([0])
    press(tool.panel.annotations.undo_button)
    assert (list(tool.annotating.editor.marks), tool.opened.bads) == (before, ("MEG 0002", "MEG 0005"))
    press(tool.panel.annotations.undo_button)
    assert tool.opened.bads == ("MEG 0002",)
    assert "bads" not in layer.metadata[KEY], "nobody has marked anything"
    press(tool.panel.annotations.redo_button)
    assert tool.opened.bads == ("MEG 0002", "MEG 0005")
    press(tool.panel.channels.as_file_button)
    assert (tool.opened.bads, struck_out(tool)) == (("MEG 0002",), ["MEG 0002"])
    # A bad channel is no trace taken away: that is for Shift.
    assert len(tool.tracing.chosen) == 8
    click_name(viewer, tool, "MEG 0003", Qt.KeyboardModifier.ShiftModifier)
    assert "MEG 0003" not in tool.tracing.chosen
    assert tool.opened.bads == ("MEG 0002",)


def test_names_and_rows_of_the_traces_and_the_list_mark_too(seen, wait):
    _, tool = seen
    click_plot(tool, 2, on_name=True)
    assert tool.opened.bads == ("MEG 0002", "MEG 0003")
    click_plot(tool, 3, on_name=False, keys=Qt.KeyboardModifier.ControlModifier)
    assert tool.opened.bads == ("MEG 0002", "MEG 0003", "MEG 0004")
    assert tool.stack.cursor is None, "the cursor is for clicks without Ctrl"
    click_plot(tool, 3, on_name=False)
    assert tool.opened.bads == ("MEG 0002", "MEG 0003", "MEG 0004")
    assert tool.stack.cursor is not None
    wait(lambda: sum(t.is_bad for t in tool.traces.traces) == 3)
    grey = tool.traces.colors.line
    curves = zip(tool.traces._curves, tool.traces.traces, strict=True)
    assert all((c.opts["pen"].color().name() == grey) == t.is_bad for c, t in curves)
    names = tool.panel.channels.names
    (item,) = names.findItems("Cz", Qt.MatchFlag.MatchExactly)
    names.setCurrentItem(item)
    press(tool.panel.channels.bad_button)
    assert tool.opened.bads[-1] == "Cz"
    tool.stack.set_cursor(3.0)
    wait(lambda: tool.panel.channels.topomap.drawn == ("Magnetometers", 3.0))
    _, rows, _ = tool.head_map._rows()
    assert [tool.opened.sensors.rows[r] for r in rows] == [f"MEG {i:04d}" for i in (1, 5, 6, 7, 8)]


def test_a_run_leaves_out_what_a_file_with_that_header_would(seen, wait, net, tmp_path):
    viewer, tool = seen
    found = raw()
    found.info["bads"] = ["MEG 0005", "MEG 0007"]
    found.save(tmp_path / "theirs_raw.fif", verbose="ERROR")
    theirs = wb.predict("meg_gpt", tmp_path / "theirs_raw.fif", weights=str(net), device="cpu", kinds="mag")
    for name in ("MEG 0005", "MEG 0007", "MEG 0002"):
        click_name(viewer, tool, name)
    press(tool.run_button)
    # What is clicked while it runs is for the next run.
    click_name(viewer, tool, "MEG 0001")
    finish(tool, wait)
    tokens = tool.opened.signals["tokens"]
    assert tokens.channels == theirs["tokens"].channels, tool.status.text()
    assert np.array_equal(tokens.data, theirs["tokens"].data)
    assert np.array_equal(tool.opened.signals["reconstruction"].data, theirs["reconstruction"].data)
    line = "bad channels were given: MEG 0005, MEG 0007 (not by the file); MEG 0002, bad in the file, counted as good"
    assert line in tool.opened.provenance.notes
    assert tool.opened.provenance.settings["bad_channels"] == ["MEG 0005", "MEG 0007"]
    assert not tool.panel.result.box.isHidden(), "and the tool says so"
    click_name(viewer, tool, "MEG 0001")
    assert "run again" in tool.status.text()


def test_they_are_saved_as_bids_has_them_and_come_back(seen, wait, window, sensor_file, tmp_path):
    viewer, tool = seen
    click_name(viewer, tool, "MEG 0005")
    click_name(viewer, tool, "MEG 0002")
    press(tool.save_button)
    finish(tool, wait)
    folder = tool.last_folder
    assert read_bads(folder / "channels.tsv") == ("MEG 0005",), tool.status.text()
    assert not tool.journal.is_unsaved(tool.annotating.editor.layer)
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert record["edited_by_hand"] is True
    assert record["details"]["bad_channels"] == {"bad": ["MEG 0005"], "file": ["MEG 0002"]}
    assert record["notes"][-1] == (
        "by hand in the window, bad channels were given: MEG 0005 (not by the file); MEG 0002, bad in the file, counted"
        " as good"
    )
    again = window()
    other = open_files(again, [sensor_file])
    wait(lambda: other.annotating.editor.layer is not None)
    assert other.opened.bads == ("MEG 0002",)
    assert other.keeping.open_results(folder)
    finish(other, wait)
    assert other.opened.bads == ("MEG 0005",), other.status.text()
    assert struck_out(other) == ["MEG 0005"]
    assert not other.journal.is_unsaved(other.annotating.editor.layer)
    # What was marked since, and is not saved, is not thrown away for what is on the disk.
    other.bad_channels.toggle("MEG 0008")
    assert other.keeping.open_results(folder)
    finish(other, wait)
    assert other.opened.bads == ("MEG 0005", "MEG 0008")
    assert len(viewer.layers) > 0


@pytest.mark.slow
def test_they_survive_a_crash_and_a_closed_recording(seen, wait, sensor_file):
    viewer, tool = seen
    click_name(viewer, tool, "MEG 0006")
    tool.journal.flush()
    (layer,) = tool.annotating.layers
    viewer.layers.remove(layer)
    tool.journal.flush()
    wait(lambda: tool.recovery.list.count() == 1)
    viewer.layers.clear()
    (back,) = tool.recovery.restore_chosen()
    wait(lambda: tool.annotating.editor.layer is back)
    assert tool.opened.bads == ("MEG 0002", "MEG 0006")
    assert struck_out(tool) == ["MEG 0002", "MEG 0006"]
    assert tool.journal.is_unsaved(back)
    # The recording alone is closed and opened again: the layer of the person is still there.
    viewer.layers.remove(tool.opened.main.layer)
    open_files(viewer, [sensor_file])
    wait(lambda: tool.opened is not None)
    assert tool.opened.bads == ("MEG 0002", "MEG 0006")
