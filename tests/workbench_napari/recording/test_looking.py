"""The MEG tool in a real napari window: rows, zoom, one cursor, traces, sensors, long recordings."""

from __future__ import annotations

from types import SimpleNamespace

import mne
import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.recording import blocks as meg_blocks
from workbench_napari.recording.marks import marks_of
from workbench_napari.recording.overlay import BOTTOM, GUTTER, RIGHT
from workbench_napari.shared.views import camera_of

import workbench as wb
from tests.tiny import make_tiny_recording
from tests.workbench_napari.recording.window import PARCELS, RATE, SECONDS, click, pixel_of
from workbench.core.layers import KEY
from workbench.core.types import Mark

pytestmark = pytest.mark.gui


def test_a_recording_opens_with_time_in_seconds_names_and_its_annotations(opened, wait):
    viewer, tool = opened
    layer, marks = viewer.layers["rest_raw"], viewer.layers["rest_raw annotations"]
    assert type(tool).__name__ == "RecordingTool"
    assert layer.data.shape == (5, 3000)
    assert layer.scale[1] == 1 / RATE
    assert [str(u) for u in layer.units] == ["pixel", "second"]
    assert layer.axis_labels == ("channel", "time")
    assert "5 time courses; 12 s at 250 Hz" in tool.panel.recording.info.text()
    assert tool.stack.overlay.bands[0].names == PARCELS
    assert marks_of(marks) == [Mark(2.0, 0.0, "press"), Mark(pytest.approx(5.123456), 0.75, "blink")]
    assert tool.panel.annotations.table.row_count() == 2
    assert not tool.journal.is_unsaved(marks), "what a file says is no edit by hand"
    wait(lambda: len(tool.traces.traces) == 5)
    assert [t.name for t in tool.traces.traces] == list(PARCELS)
    raw = wb.read(tool.opened.image.source).data
    shown = tool.traces.traces[1]
    at = int(np.argmax(shown.values))
    assert shown.values.max() == pytest.approx(raw[1].max(), rel=1e-5)
    assert shown.times[at] == pytest.approx(raw[1].argmax() / RATE, abs=shown.times[2] - shown.times[0])


def test_rows_fill_the_canvas_at_every_zoom_and_overlay_and_layers_agree(opened, wait):
    viewer, tool = opened
    layer, stack = viewer.layers["rest_raw"], tool.stack
    for seconds in (None, 10.0, 2.0, 0.1):
        stack.show_all() if seconds is None else stack.show_window(seconds)
        start, stop = stack.span
        assert stop - start == pytest.approx(seconds or SECONDS)
        for time in (start, (start + stop) / 2, stop):
            x, _ = pixel_of(tool, layer, 0, time)
            assert x == pytest.approx(stack.overlay.x_of(time), abs=0.6)
            assert stack.time_at(x) == pytest.approx(time, abs=2 * (stop - start) / stack.canvas.width())
        assert pixel_of(tool, layer, 0, start)[0] == pytest.approx(GUTTER, abs=0.6)
        assert pixel_of(tool, layer, 0, stop)[0] == pytest.approx(stack.canvas.width() - RIGHT, abs=0.6)
        bottom = pixel_of(tool, layer, 4.5, start)[1]
        assert bottom == pytest.approx(stack.canvas.height() - BOTTOM, abs=1.0)
        # The annotations lie on the rows.
        marks = viewer.layers["rest_raw annotations"]
        assert marks.data_to_world((2.0, 5.0)) == pytest.approx(layer.data_to_world((2.0, 5.0 * RATE)))
    # A drag or the home button moves the camera; the rows stay where they are.
    camera_of(viewer).center = (0, 99.0, 6.0)
    assert pixel_of(tool, layer, 4.5, 6.0)[1] == pytest.approx(stack.canvas.height() - BOTTOM, abs=1.0)
    assert stack.span[0] < 6.0 < stack.span[1]


def test_the_wheel_zooms_time_around_the_mouse(opened, qtbot):
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication

    _, tool = opened
    canvas, stack = tool.stack.canvas, tool.stack

    def turn(keys):
        event = QWheelEvent(
            QPointF(300, 100), QPointF(canvas.mapToGlobal(QPoint(300, 100))), QPoint(0, 0), QPoint(0, 120),
            Qt.MouseButton.NoButton, keys, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(canvas, event)

    around, (start, stop) = stack.time_at(300), stack.span
    turn(Qt.KeyboardModifier.NoModifier)
    assert stack.time_at(300) == pytest.approx(around)
    assert stack.span[1] - stack.span[0] == pytest.approx(0.8 * (stop - start))
    before = stack.span
    turn(Qt.KeyboardModifier.ShiftModifier)
    assert stack.span[1] - stack.span[0] == pytest.approx(before[1] - before[0])
    assert stack.span[0] < before[0]


def test_one_time_cursor_for_canvas_traces_field_and_map(opened, wait):
    viewer, tool = opened
    wait(lambda: len(tool.traces.traces) == 5)
    raw = wb.read(tool.opened.image.source).data
    click(tool, tool.stack.overlay.x_of(4.0), 120)
    assert tool.stack.cursor == pytest.approx(4.0, abs=0.02)
    for seconds in (tool.stack.cursor, 7.3):
        tool.traces.cursor_moved.emit(seconds)
        assert tool.stack.cursor == tool.stack.overlay.cursor_time == pytest.approx(seconds)
        assert tool.traces.line.value() == pytest.approx(seconds)
        assert tool.panel.recording.time.value() == pytest.approx(seconds, abs=1e-3)
        wait(lambda at=seconds: tool.panel.channels.topomap.drawn == ("Time courses", at))
        assert np.allclose(tool.head_map.values["recording"], raw[:, round(seconds * RATE)], atol=1e-5)
    tool.panel.recording.forth_button.click()
    assert tool.stack.cursor == pytest.approx(7.304, abs=1e-6)
    tool.panel.recording.time.setValue(1.5)
    assert tool.stack.cursor == 1.5
    tool.stack.show_window(2.0)
    tool.pointing.step(600)
    assert tool.stack.span[0] <= tool.stack.cursor <= tool.stack.span[1], "the view goes along"
    tool.panel.recording.follow.setChecked(True)
    for callback in viewer.mouse_move_callbacks:
        callback(viewer, SimpleNamespace(pos=np.array([GUTTER + 50, 100]), position=(0, 0)))
    assert tool.stack.cursor == pytest.approx(tool.stack.time_at(GUTTER + 50))
    wait(lambda: tool.panel.recording.place.text().startswith("Recording, parcel"))


def test_the_plot_shares_the_seconds_of_the_canvas(window, parcel_file, wait):
    viewer = window(show=True)
    tool = open_files(viewer, [parcel_file])
    wait(lambda: tool.traces.isVisible() and len(tool.traces.traces) == 5)
    tool.stack.set_range(3.0, 7.0)
    wait(lambda: abs(tool.tracing.origin + tool.traces.pixels()[0] - GUTTER) < 2)
    left, _ = tool.traces.pixels()
    box = tool.traces.plot.getPlotItem().getViewBox()
    first, last = box.viewRange()[0]
    assert first == pytest.approx(tool.stack.time_at(tool.tracing.origin + left), abs=0.05)
    tool.traces.range_changed.emit(first + 1.0, last + 1.0)
    assert tool.stack.span[0] == pytest.approx(4.0, abs=0.1)
    assert tool.stack.span[1] == pytest.approx(8.0, abs=0.1)


def test_names_choose_traces(opened, wait):
    _, tool = opened
    band = tool.stack.overlay.bands[0]
    click(tool, 20, band.top + 1.5 * band.row, keys=("Shift",))
    assert tool.tracing.chosen == ["parcel 1", "parcel 3", "parcel 4", "parcel 5"]
    wait(lambda: [t.name for t in tool.traces.traces] == tool.tracing.chosen)
    assert 1 not in tool.stack.overlay.bands[0].colors
    tool.panel.channels.filter.setText("5")
    assert [n for n in range(5) if not tool.panel.channels.names.item(n).isHidden()] == [4]
    tool.panel.channels.none_button.click()
    wait(lambda: tool.traces.traces == [])
    height = tool.tracing.gain
    tool.traces.gain_changed.emit(2.0)
    assert tool.tracing.gain == 2 * height


def test_sensors_have_units_kinds_bads_and_a_map(window, wait, sensor_file):
    viewer = window()
    tool = open_files(viewer, [sensor_file])
    raw = mne.io.read_raw_fif(sensor_file, verbose="ERROR")
    assert tool.stack.overlay.bands[0].names == tuple(f"MEG {i:04d}" for i in range(1, 9))
    assert "8 magnetometers, 4 EEG" in tool.panel.recording.info.text()
    assert "bad: MEG 0002" in tool.panel.recording.info.text()
    items = [tool.panel.channels.names.item(n) for n in range(tool.panel.channels.names.count())]
    assert [i.text() for i in items if i.font().strikeOut()] == ["MEG 0002"]
    wait(lambda: len(tool.traces.traces) == 8)
    assert [t.channel for t in tool.traces.traces if t.is_bad] == ["MEG 0002"]
    assert {t.unit for t in tool.traces.traces} == {"fT"}
    assert tool.traces.info.text().endswith(" fT")
    tool.tracing.choose([n for n, i in enumerate(items) if i.text() in ("MEG 0001", "Cz", "MEG 0002")])
    wait(lambda: {t.unit for t in tool.traces.traces} == {"fT", "µV"})
    tool.stack.set_cursor(3.0)
    wait(lambda: tool.panel.channels.topomap.drawn == ("Magnetometers", 3.0))
    data = raw.get_data(picks="mag")[:, 1500] * 1e15
    assert np.allclose(tool.head_map.values["recording"][:8], data, rtol=1e-4, atol=1e-3)
    tool.panel.channels.mapped.setCurrentText("EEG")
    assert "on a line" in tool.panel.channels.topomap.message, "Fz, Cz, Pz and Oz span no map"


def test_without_positions_the_map_says_so(window, wait, tmp_path):
    path = make_tiny_recording(tmp_path / "plain.npy")
    viewer = window()
    tool = open_files(viewer, [path])
    assert type(tool).__name__ == "RecordingTool"
    tool.stack.set_cursor(1.0)
    wait(lambda: "recording" in tool.head_map.values)
    assert "No sensor positions" in tool.panel.channels.topomap.message
    assert tool.panel.channels.topomap.drawn is None


def test_a_file_of_evoked_responses_asks_which_one(window, wait, shared_data, monkeypatch):
    from qtpy.QtWidgets import QInputDialog

    asked = []

    def choose(_parent, _title, _text, names, *_):
        asked.append(names)
        return names[2], True

    monkeypatch.setattr(QInputDialog, "getItem", choose)
    viewer = window()
    tool = open_files(viewer, [shared_data / "meg" / "neuromag_evoked-ave.fif.gz"])
    assert len(asked[0]) == 4
    assert "evoked response 'Left visual'" in tool.panel.recording.info.text()
    tool.stack.set_cursor(0.1)
    tool.panel.channels.mapped.setCurrentText("Gradiometers")
    wait(lambda: tool.panel.channels.topomap.drawn == ("Gradiometers", 0.1))


def test_long_recordings_show_an_overview_and_single_samples_when_zoomed(window, wait, monkeypatch, sensor_file):
    from workbench.recording import layers as recording_layers

    monkeypatch.setattr(recording_layers, "MANY", 10_000)
    monkeypatch.setattr(meg_blocks, "MOST_VALUES", 10_000)
    monkeypatch.setattr(meg_blocks, "MOST_COLUMNS", 500)
    viewer = window()
    tool = open_files(viewer, [sensor_file])
    layer = viewer.layers["sensors_raw"]
    assert layer.metadata[KEY]["step"] > 1
    assert "zoom in" in tool.panel.recording.info.text()
    tool.stack.set_range(4.0, 5.0)
    wait(lambda: layer.scale[1] == pytest.approx(1 / 500))
    raw = mne.io.read_raw_fif(sensor_file, verbose="ERROR").get_data(picks=tool.opened.main.rows)
    first = round(layer.translate[1] * 500)
    shown = layer.data * tool.opened.main.spread()[1] + tool.opened.main.spread()[0]
    assert first <= 2000
    assert np.allclose(shown, raw[:, first : first + shown.shape[1]] * 1e15, rtol=1e-3, atol=1e-2)
    assert pixel_of(tool, layer, 0, 4.5)[0] == pytest.approx(tool.stack.overlay.x_of(4.5), abs=0.6)
    tool.stack.show_all()
    wait(lambda: layer.scale[1] > 1 / 500)
    assert not tool.journal.layers() or all(not tool.journal.is_unsaved(la) for la in tool.journal.layers())
