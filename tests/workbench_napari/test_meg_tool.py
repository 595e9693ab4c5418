"""The MEG tool in a real napari window: look, run, annotate, generate, decode, save, reopen, cancel, let go."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import mne
import numpy as np
import pytest
from workbench_napari import meg_blocks
from workbench_napari.launch import open_files
from workbench_napari.meg_marks import marks_of
from workbench_napari.meg_overlay import BOTTOM, GUTTER, RIGHT
from workbench_napari.views import camera_of

import workbench as wb
from tests.recording_maker import save_raw
from tests.tiny import make_tiny_meg_weights, make_tiny_recording
from workbench.layers import KEY
from workbench.types import Mark

pytestmark = pytest.mark.gui

PARCELS = ("parcel 1", "parcel 2", "parcel 3", "parcel 4", "parcel 5")
RATE, SECONDS = 250.0, 12.0


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    return make_tiny_meg_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors", channels=5)


@pytest.fixture(scope="module")
def parcel_file(tmp_path_factory):
    """Five parcels with positions, 12 s at 250 Hz, two annotations."""
    rng = np.random.default_rng(0)
    t = np.arange(round(SECONDS * RATE)) / RATE
    data = np.cumsum(rng.normal(0, 0.1, (5, t.size)), 1) * 0.2 + np.sin(2 * np.pi * 10 * t)
    info = mne.create_info(list(PARCELS), RATE, "misc", verbose="ERROR")
    places = [(0.07, 0, 0.04), (-0.07, 0, 0.04), (0, 0.08, 0.04), (0, -0.08, 0.04), (0, 0, 0.1)]
    for channel, place in zip(info["chs"], places, strict=True):
        channel["loc"][:3] = place
    raw = mne.io.RawArray(data, info, verbose="ERROR")
    raw.set_annotations(mne.Annotations([2.0, 5.123456], [0.0, 0.75], ["press", "blink"]))
    path = tmp_path_factory.mktemp("recording") / "rest_raw.fif"
    raw.save(path, verbose="ERROR")
    return path


@pytest.fixture(scope="module")
def sensor_file(tmp_path_factory):
    """Magnetometers, EEG, eye, heart and trigger; a bad channel; annotations."""
    return save_raw(tmp_path_factory.mktemp("sensors") / "sensors_raw.fif")


@pytest.fixture
def opened(window, parcel_file, weights_file, tmp_path, wait):
    viewer = window()
    viewer.window.resize(1300, 850)
    tool = open_files(viewer, [parcel_file])
    tool.weights.choose_file(weights_file)
    tool.device.setCurrentText("cpu")
    tool.form.set_values({"precision": "float32"})
    tool.folder.setText(str(tmp_path / "out"))
    wait(lambda: viewer.layers.selection.active is viewer.layers["rest_raw"])
    return viewer, tool


def finish(tool, wait, seconds=120):
    wait(lambda: not tool.runner.is_busy, seconds)


def pixel_of(tool, layer, row, seconds):
    """Where napari's own camera shows a place of a layer."""
    camera, canvas = camera_of(tool.viewer), tool.stack.canvas
    column = (seconds - layer.translate[1]) / layer.scale[1]
    y, x = layer.data_to_world((row, column))
    centre_y, centre_x = camera.center[-2:]
    return (x - centre_x) * camera.zoom + canvas.width() / 2, (y - centre_y) * camera.zoom + canvas.height() / 2


def click(tool, x, y):
    """A press and release of the mouse on the canvas, as napari sends them."""
    viewer = tool.viewer
    event = SimpleNamespace(type="mouse_press", pos=np.array([x, y]), position=(0, 0), button=1, modifiers=())
    generators = [g for c in viewer.mouse_drag_callbacks if (g := c(viewer, event)) is not None]
    for g in generators:
        next(g, None)
    event.type = "mouse_release"
    for g in generators:
        next(g, None)


def draw(tool, wait, start, stop, rows=(0.2, 3.0)):
    """A rectangle as the mouse draws it: somewhere in the rows, from start to stop [s]."""
    before = len(tool.editor.marks)
    tool.editor.layer.add_rectangles([[rows[0], start], [rows[1], stop]])
    wait(lambda: len(tool.editor.marks) == before + 1)


def test_a_recording_opens_with_time_in_seconds_names_and_its_annotations(opened, wait):
    viewer, tool = opened
    layer, marks = viewer.layers["rest_raw"], viewer.layers["rest_raw annotations"]
    assert type(tool).__name__ == "MegTool"
    assert layer.data.shape == (5, 3000)
    assert layer.scale[1] == 1 / RATE
    assert [str(u) for u in layer.units] == ["pixel", "second"]
    assert layer.axis_labels == ("channel", "time")
    assert "5 time courses; 12 s at 250 Hz" in tool.info.text()
    assert tool.stack.overlay.bands[0].names == PARCELS
    assert marks_of(marks) == [Mark(2.0, 0.0, "press"), Mark(pytest.approx(5.123456), 0.75, "blink")]
    assert tool.marks_table.rowCount() == 2
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
        assert tool.time.value() == pytest.approx(seconds, abs=1e-3)
        wait(lambda at=seconds: tool.topomap.drawn == ("Time courses", at))
        assert np.allclose(tool.values["recording"], raw[:, round(seconds * RATE)], atol=1e-5)
    tool.forth_button.click()
    assert tool.stack.cursor == pytest.approx(7.304, abs=1e-6)
    tool.time.setValue(1.5)
    assert tool.stack.cursor == 1.5
    tool.stack.show_window(2.0)
    tool.step(600)
    assert tool.stack.span[0] <= tool.stack.cursor <= tool.stack.span[1], "the view goes along"
    tool.follow.setChecked(True)
    for callback in viewer.mouse_move_callbacks:
        callback(viewer, SimpleNamespace(pos=np.array([GUTTER + 50, 100]), position=(0, 0)))
    assert tool.stack.cursor == pytest.approx(tool.stack.time_at(GUTTER + 50))
    wait(lambda: tool.place.text().startswith("Recording, parcel"))


def test_the_plot_shares_the_seconds_of_the_canvas(window, parcel_file, wait):
    viewer = window(show=True)
    tool = open_files(viewer, [parcel_file])
    wait(lambda: tool.traces.isVisible() and len(tool.traces.traces) == 5)
    tool.stack.set_range(3.0, 7.0)
    wait(lambda: abs(tool._traces_origin() + tool.traces.pixels()[0] - GUTTER) < 2)
    left, _ = tool.traces.pixels()
    box = tool.traces.plot.getPlotItem().getViewBox()
    first, last = box.viewRange()[0]
    assert first == pytest.approx(tool.stack.time_at(tool._traces_origin() + left), abs=0.05)
    tool.traces.range_changed.emit(first + 1.0, last + 1.0)
    assert tool.stack.span[0] == pytest.approx(4.0, abs=0.1)
    assert tool.stack.span[1] == pytest.approx(8.0, abs=0.1)


def test_names_choose_traces(opened, wait):
    _, tool = opened
    band = tool.stack.overlay.bands[0]
    click(tool, 20, band.top + 1.5 * band.row)
    assert tool.chosen_names == ["parcel 1", "parcel 3", "parcel 4", "parcel 5"]
    wait(lambda: [t.name for t in tool.traces.traces] == tool.chosen_names)
    assert 1 not in tool.stack.overlay.bands[0].colors
    tool.filter.setText("5")
    assert [n for n in range(5) if not tool.channels.item(n).isHidden()] == [4]
    tool.none_button.click()
    wait(lambda: tool.traces.traces == [])
    height = tool._gain
    tool.traces.gain_changed.emit(2.0)
    assert tool._gain == 2 * height


def test_run_gives_aligned_layers_variance_and_peaks(opened, wait, weights_file, parcel_file):
    viewer, tool = opened
    tool.form.set_values({"threshold": 2.0})
    assert tool.run()
    assert tool.run_button.text() == "Cancel"
    finish(tool, wait)
    assert tool.run_button.text() == "Run"
    expected = wb.predict(
        "meg_gpt", parcel_file, weights=str(weights_file), device="cpu", precision="float32", threshold=2.0
    )
    names = [layer.name for layer in viewer.layers]
    assert {f"rest_raw {part}" for part in ("tokens", "surprisal", "reconstruction")} <= set(names), tool.status.text()
    tokens, surprisal = viewer.layers["rest_raw tokens"], viewer.layers["rest_raw surprisal"]
    assert np.array_equal(tokens.data, expected["tokens"].data)
    assert np.allclose(surprisal.data, expected["surprisal"].data, equal_nan=True)
    assert not tokens.editable
    assert not viewer.layers["rest_raw reconstruction"].visible
    xs = [pixel_of(tool, layer, 0, 3.2)[0] for layer in (viewer.layers["rest_raw"], tokens, surprisal)]
    assert np.ptp(xs) < 0.1, "one second lies at one place"
    assert [b.title.split(" [")[0] for b in tool.stack.overlay.bands] == ["Recording", "Surprisal", "Tokens"]
    tops = [pixel_of(tool, b.layer, len(b.rows) - 0.5, 0)[1] for b in tool.stack.visible]
    assert tops == sorted(tops)
    assert tops[-1] == pytest.approx(tool.stack.canvas.height() - BOTTOM, abs=1.0)
    peaks = viewer.layers["rest_raw surprisal peaks"]
    assert marks_of(peaks) == sorted(expected["annotations"], key=lambda m: (m.onset, m.duration, m.label))
    assert len(peaks.data) > 0
    assert not tool.journal.is_unsaved(peaks), "what a method wrote is no edit by hand"
    kept = [float(tool.variance.item(r, 1).text()) for r in range(5)]
    assert kept == pytest.approx([row[1] for row in expected["variance"].rows], rel=5e-3)
    assert "% of the variance" in tool.variance_info.text()
    tool.stack.set_cursor(3.2)
    tool.mapped.setCurrentText("Surprisal")
    wait(lambda: tool.topomap.drawn == ("Surprisal", 3.2))
    tool.traced.setCurrentText("Reconstruction")
    wait(lambda: bool(tool.traces.traces))
    # Switched off in the layer list, a block leaves its room to the others.
    tokens.visible = False
    assert len(tool.stack.overlay.bands) == 2
    before = len(viewer.layers)
    assert tool.run()
    finish(tool, wait)
    assert len(viewer.layers) == before, "the second run renews the layers of the first"


def test_annotations_are_drawn_named_taken_back_and_kept(opened, wait):
    viewer, tool = opened
    layer = tool.editor.layer
    tool.label.setCurrentText("BAD_artefact")
    tool.draw_button.click()
    assert str(layer.mode) == "add_rectangle"
    assert viewer.layers.selection.active is layer
    draw(tool, wait, 3.0, 4.5)
    tool.draw_button.click()
    assert str(layer.mode) == "pan_zoom"
    drawn = Mark(3.0, 1.5, "BAD_artefact")
    assert drawn in tool.editor.marks.marks
    box = layer.data[1]
    assert (box[:, 0].min(), box[:, 0].max()) == (-0.5, 4.5), "it concerns all channels, so it spans them"
    texts = [tool.marks_table.item(1, c).text() for c in range(4)]
    assert texts == ["3.000", "1.500", "BAD_artefact", "all"]
    assert tool.journal.is_unsaved(layer)
    assert [m.label for m in tool.stack.overlay.marks] == ["press", "BAD_artefact", "blink"]

    tool.covered.setCurrentIndex(1)
    tool.label.setCurrentText("spike")
    draw(tool, wait, 8.0, 8.2, rows=(0.6, 1.9))
    assert tool.editor.marks.marks[-1] == Mark(8.0, pytest.approx(0.2, abs=1e-5), "spike", ("parcel 2", "parcel 3"))

    tool.marks_table.item(1, 2).setText("swallowing")
    assert [m.label for m in tool.editor.marks] == ["press", "swallowing", "blink", "spike"]
    assert "swallowing" in [tool.label.itemText(n) for n in range(tool.label.count())]
    tool.marks_table.selectRow(0)
    tool.delete_button.click()
    assert [m.label for m in tool.editor.marks] == ["swallowing", "blink", "spike"]
    for expected in (["press", "swallowing", "blink", "spike"], ["press", "BAD_artefact", "blink", "spike"]):
        tool.undo_button.click()
        assert [m.label for m in tool.editor.marks] == [m.label for m in marks_of(layer)] == expected
    tool.redo_button.click()
    assert [m.label for m in tool.editor.marks][1] == "swallowing"
    keys = {str(k): work for k, work in layer.keymap.items()}
    keys["Ctrl+Z"](layer)
    assert [m.label for m in tool.editor.marks][1] == "BAD_artefact", "the keys work on the canvas too"
    keys["Ctrl+Shift+Z"](layer)
    # Moved with the mouse: new times, the same name.
    layer.data = [*layer.data[:3], layer.data[3] + np.array([0.0, 1.0])]
    wait(lambda: tool.editor.marks.marks[-1].onset == pytest.approx(9.0, abs=1e-5))
    assert tool.editor.marks.marks[-1].label == "spike"
    tool.marks_table.chosen.emit(3)
    assert tool.stack.cursor == pytest.approx(9.0, abs=1e-5)
    # A click that slipped is no annotation.
    layer.add_rectangles([[0, 1.0], [1, 1.00001]])
    wait(lambda: len(layer.data) == 4)


def test_annotations_survive_a_crash(opened, wait, window, parcel_file):
    viewer, tool = opened
    layer = tool.editor.layer
    draw(tool, wait, 3.0, 4.5)
    tool.journal.flush()
    before = marks_of(layer)
    viewer.layers.remove(layer)
    tool.journal.flush()
    wait(lambda: tool.recovery.list.count() == 1)
    viewer.layers.clear()
    assert not tool.empty.isHidden()
    (back,) = tool.recovery.restore_chosen()
    assert marks_of(back) == before
    assert "rest_raw" in viewer.layers, "the recording is opened first"
    assert back in tool.mark_layers


def test_generate_is_a_layer_a_spectrum_and_a_table(opened, wait):
    viewer, tool = opened
    tool.seconds.setValue(3.0)
    tool.seed.setValue(7)
    tool.stack.set_range(5.0, 9.0)
    assert tool.generate()
    finish(tool, wait)
    layer = viewer.layers["rest_raw generated"]
    made = tool.opened.signals["generated"]
    assert made.data.shape == (5, 750)
    assert made.start == 0.0, "its seconds are its own"
    assert layer.translate[1] == pytest.approx(5.0), "but it is put beside what is in sight"
    assert set(tool.psd.spectra) == {"real", "generated"}
    frequencies, density = tool.psd.spectra["real"]
    assert 8.5 < frequencies[density.mean(axis=0).argmax()] < 11.5
    assert not tool.psd.isHidden()
    assert tool.comparison.rowCount() > 0, tool.status.text()
    first = made.data.copy()
    assert tool.generate()
    finish(tool, wait)
    assert np.array_equal(tool.opened.signals["generated"].data, first), "the same seed gives the same signals"
    tool.seed.setValue(8)
    assert tool.generate()
    finish(tool, wait)
    assert not np.array_equal(tool.opened.signals["generated"].data, first)


def test_save_and_reopen_equal(opened, wait, window, parcel_file):
    viewer, tool = opened
    assert tool.run()
    finish(tool, wait)
    tool.seconds.setValue(3.0)
    assert tool.generate()
    finish(tool, wait)
    tool.marks_choice.setCurrentText("annotations")
    tool.label.setCurrentText("BAD_artefact")
    layer = tool.editor.layer
    draw(tool, wait, 3.0, 4.5)
    marks = tool.all_marks()
    assert tool.save()
    finish(tool, wait, 60)
    folder = tool.last_folder
    assert folder is not None, tool.status.text()
    assert folder.name == "rest_raw"
    assert not tool.journal.is_unsaved(layer)
    names = {p.name for p in folder.iterdir()}
    assert names >= {
        "annotations.csv", "annotations-annot.fif", "tokens.npy", "surprisal.npy", "variance.csv", "comparison.csv",
        "provenance.json",
    }  # fmt: skip
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert (record["backend"], record["edited_by_hand"]) == ("meg_gpt", True)
    read = mne.read_annotations(folder / "annotations-annot.fif")
    found = [(a["onset"], a["duration"], a["description"]) for a in read]
    assert [row[2] for row in found] == [m.label for m in marks]
    assert np.allclose([row[:2] for row in found], [(m.onset, m.duration) for m in marks], atol=1e-6)

    again = window()
    other = open_files(again, [parcel_file])
    wait(lambda: other.editor.layer is not None)
    assert other.open_results(folder)
    finish(other, wait, 60)
    assert other.all_marks() == marks
    for key, part in tool.opened.signals.items():
        assert np.allclose(other.opened.signals[key].data, part.data, equal_nan=True, rtol=1e-6), key
        assert other.opened.signals[key].channels == part.channels
    assert np.array_equal(again.layers["rest_raw tokens"].data, viewer.layers["rest_raw tokens"].data)
    assert other.variance.rowCount() == 5
    # The file of annotations alone, dropped into the window.
    third = window()
    last = open_files(third, [parcel_file, folder / "annotations-annot.fif"])
    dropped = third.layers["annotations-annot"]
    assert dropped in last.mark_layers
    assert [m.label for m in marks_of(dropped)] == [m.label for m in marks]


def test_cancel_leaves_everything_as_it_was(opened, wait, monkeypatch):
    viewer, tool = opened
    from workbench import api

    real, calls = api.predict, []

    def watched(backend, image, *, progress, **values):
        def counting(done, total):
            calls.append(done)
            if len(calls) == 2:
                tool.runner.cancel()
            progress(done, total)

        return real(backend, image, progress=counting, **values)

    # The real backend runs; only its progress is watched, so that the click comes at a known step.
    monkeypatch.setattr(api, "predict", watched)
    before = [layer.name for layer in viewer.layers]
    assert tool.run()
    finish(tool, wait, 60)
    assert "cancelled" in tool.status.text()
    assert len(calls) == 2
    assert [layer.name for layer in viewer.layers] == before
    assert tool.run_button.text() == "Run"
    assert tool.progress.isHidden()


def test_errors_are_said_in_one_line(opened, wait, window, tmp_path, sensor_file, parcel_file):
    viewer, tool = opened
    count = len(viewer.layers)
    open_files(viewer, [sensor_file])
    assert tool.opened.name == "sensors_raw"
    assert not viewer.layers["rest_raw"].visible, "one recording at a time"
    assert tool.run()
    finish(tool, wait)
    assert "parcel" in tool.status.text() or "channels" in tool.status.text()
    assert "\n" not in tool.status.text()
    viewer.layers.remove("sensors_raw")
    tool.weights.choose_file(tmp_path / "none.safetensors")
    assert "none.safetensors" in tool.weights_info.text()
    short = tmp_path / "short_raw.fif"
    short.write_bytes(parcel_file.read_bytes()[:4000])
    other = open_files(viewer, [short])
    assert "short_raw.fif" in other.status.text()
    assert "\n" not in other.status.text()
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    tool.recordings.setCurrentText("rest_raw")
    draw(tool, wait, 3.0, 4.5)
    tool.folder.setText(str(blocked))
    assert tool.save()
    finish(tool, wait, 60)
    assert "cannot write" in tool.status.text()
    assert "kept" in tool.status.text()
    assert count


def test_sensors_have_units_kinds_bads_and_a_map(window, wait, sensor_file):
    viewer = window()
    tool = open_files(viewer, [sensor_file])
    raw = mne.io.read_raw_fif(sensor_file, verbose="ERROR")
    assert tool.stack.overlay.bands[0].names == tuple(f"MEG {i:04d}" for i in (1, 3, 4, 5, 6, 7, 8))
    assert "8 magnetometers, 4 EEG" in tool.info.text()
    assert "bad: MEG 0002" in tool.info.text()
    items = [tool.channels.item(n) for n in range(tool.channels.count())]
    assert [i.text() for i in items if i.font().strikeOut()] == ["MEG 0002"]
    wait(lambda: len(tool.traces.traces) == 7)
    assert {t.unit for t in tool.traces.traces} == {"fT"}
    assert tool.traces.info.text().endswith(" fT")
    tool.choose_channels([n for n, i in enumerate(items) if i.text() in ("MEG 0001", "Cz", "MEG 0002")])
    wait(lambda: {t.unit for t in tool.traces.traces} == {"fT", "µV"})
    tool.stack.set_cursor(3.0)
    wait(lambda: tool.topomap.drawn == ("Magnetometers", 3.0))
    data = raw.get_data(picks="mag")[:, 1500] * 1e15
    assert np.allclose(tool.values["recording"][:8], data, rtol=1e-4, atol=1e-3)
    tool.mapped.setCurrentText("EEG")
    assert "on a line" in tool.topomap.message, "Fz, Cz, Pz and Oz span no map"


def test_without_positions_the_map_says_so(window, wait, tmp_path):
    path = make_tiny_recording(tmp_path / "plain.npy")
    viewer = window()
    tool = open_files(viewer, [path])
    assert type(tool).__name__ == "MegTool"
    tool.stack.set_cursor(1.0)
    wait(lambda: "recording" in tool.values)
    assert "No sensor positions" in tool.topomap.message
    assert tool.topomap.drawn is None


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
    assert "evoked response 'Left visual'" in tool.info.text()
    tool.stack.set_cursor(0.1)
    tool.mapped.setCurrentText("Gradiometers")
    wait(lambda: tool.topomap.drawn == ("Gradiometers", 0.1))


def test_long_recordings_show_an_overview_and_single_samples_when_zoomed(window, wait, monkeypatch, sensor_file):
    from workbench import recording_layers

    monkeypatch.setattr(recording_layers, "MANY", 10_000)
    monkeypatch.setattr(meg_blocks, "MOST_VALUES", 10_000)
    monkeypatch.setattr(meg_blocks, "MOST_COLUMNS", 500)
    viewer = window()
    tool = open_files(viewer, [sensor_file])
    layer = viewer.layers["sensors_raw"]
    assert layer.metadata[KEY]["step"] > 1
    assert "zoom in" in tool.info.text()
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


def test_decode_shows_the_table_and_the_report(opened, wait, tmp_path):
    _, tool = opened
    rows = []
    for subject in (1, 2):
        for session in (1, 2):
            path = make_tiny_recording(
                tmp_path / f"sub-{subject}_ses-{session}.npy", seconds=12.0, channels=5, seed=10 * subject + session
            )
            side = path.with_suffix(".json")
            record = json.loads(side.read_text(encoding="utf-8"))
            record["events"] = [[0.5 + 0.4 * i, "visual" if i % 2 else "button"] for i in range(27)]
            side.write_text(json.dumps(record), encoding="utf-8")
            rows.append({"id": path.stem, "image": str(path), "group": f"sub-{subject}"})
    table = tmp_path / "cases.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert tool.decode(table)
    finish(tool, wait)
    assert tool.decoded.rowCount() > 0, tool.status.text()
    header = [tool.decoded.horizontalHeaderItem(c).text() for c in range(tool.decoded.columnCount())]
    assert "accuracy" in header
    texts = " ".join(tool.decoded.item(r, 1).text() for r in range(tool.decoded.rowCount()))
    assert "chance" in texts
    assert tool.report_button.isEnabled()
    assert tool.report_file.is_file()


def test_the_browser_of_mne_needs_its_package(opened):
    _, tool = opened
    there = tool._has_browser
    assert tool.browser_button.isEnabled() == there
    if not there:
        assert "pip install mne-qt-browser" in tool.browser_button.toolTip()


def test_all_tools_live_in_one_window(window, parcel_file, ct_file):
    viewer = window()
    meg = open_files(viewer, [parcel_file])
    volume = open_files(viewer, [ct_file])
    assert type(volume).__name__ == "VolumeTool"
    assert volume.image_layer is viewer.layers["ct"]
    assert meg.opened.name == "rest_raw"
    assert not meg.stack.is_active, "with a volume in sight the camera is not ours"
    assert meg.stack.overlay.isHidden()
    viewer.layers["ct"].visible = False
    viewer.layers["rest_raw"].visible = True
    meg.stack.layout()
    assert meg.stack.is_active


def test_closing_the_dock_lets_go_of_the_viewer(opened, wait):
    viewer, tool = opened
    canvas, traces = tool.stack.canvas, tool.traces
    overlay = tool.stack.overlay
    gone = []
    traces.destroyed.connect(lambda: gone.append("traces"))
    overlay.destroyed.connect(lambda: gone.append("overlay"))
    docks = viewer.window._wrapped_dock_widgets
    (dock,) = [d for d in docks.values() if "MEG tool" in d.windowTitle()]
    dock.destroyOnClose()  # what the x in its title does
    assert tool._wires == []
    callbacks = [*viewer.mouse_move_callbacks, *viewer.mouse_drag_callbacks]
    assert not any(getattr(c, "__self__", None) is tool for c in callbacks)
    wait(lambda: sorted(gone) == ["overlay", "traces"])
    assert not any("MEG traces" in d.windowTitle() for d in viewer.window._wrapped_dock_widgets.values())
    canvas.resize(canvas.size())
    camera_of(viewer).zoom = 3.0
    viewer.layers.remove("rest_raw")
    again = open_files(viewer, [], tool="meg")
    assert again is not tool
