"""The MEG tool in a real napari window: run, generate, decode, cancel, errors, live and let go."""

from __future__ import annotations

import csv
import json
import weakref

import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.recording.marks import marks_of
from workbench_napari.recording.overlay import BOTTOM
from workbench_napari.shared.views import camera_of

import workbench as wb
from tests.tiny import make_tiny_recording
from tests.workbench_napari.recording.window import draw, finish, pixel_of
from workbench import weights

pytestmark = pytest.mark.gui


def test_run_gives_aligned_layers_variance_and_peaks(opened, wait, weights_file, parcel_file):
    viewer, tool = opened
    tool.panel.model.model.form.set_values({"threshold": 2.0})
    assert tool.modelling.run()
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
    kept = [float(tool.panel.variance.table.item(r, 1).text()) for r in range(5)]
    assert kept == pytest.approx([row[1] for row in expected["variance"].rows], rel=5e-3)
    assert "% of the variance" in tool.panel.variance.info.text()
    tool.stack.set_cursor(3.2)
    tool.panel.channels.mapped.setCurrentText("Surprisal")
    wait(lambda: tool.panel.channels.topomap.drawn == ("Surprisal", 3.2))
    tool.panel.channels.traced.setCurrentText("Reconstruction")
    wait(lambda: bool(tool.traces.traces))
    # Switched off in the layer list, a block leaves its room to the others.
    tokens.visible = False
    assert len(tool.stack.overlay.bands) == 2
    before = len(viewer.layers)
    assert tool.modelling.run()
    finish(tool, wait)
    assert len(viewer.layers) == before, "the second run renews the layers of the first"


def test_generate_is_a_layer_a_spectrum_and_a_table(opened, wait):
    viewer, tool = opened
    tool.panel.generation.seconds.setValue(3.0)
    tool.panel.generation.seed.setValue(7)
    tool.stack.set_range(5.0, 9.0)
    assert tool.modelling.generate()
    finish(tool, wait)
    layer = viewer.layers["rest_raw generated"]
    made = tool.opened.signals["generated"]
    assert made.data.shape == (5, 750)
    assert made.start == 0.0, "its seconds are its own"
    assert layer.translate[1] == pytest.approx(5.0), "but it is put beside what is in sight"
    assert set(tool.panel.generation.psd.spectra) == {"real", "generated"}
    frequencies, density = tool.panel.generation.psd.spectra["real"]
    assert 8.5 < frequencies[density.mean(axis=0).argmax()] < 11.5
    assert not tool.panel.generation.psd.isHidden()
    assert tool.panel.generation.comparison.rowCount() > 0, tool.status.text()
    first = made.data.copy()
    assert tool.modelling.generate()
    finish(tool, wait)
    assert np.array_equal(tool.opened.signals["generated"].data, first), "the same seed gives the same signals"
    tool.panel.generation.seed.setValue(8)
    assert tool.modelling.generate()
    finish(tool, wait)
    assert not np.array_equal(tool.opened.signals["generated"].data, first)


def test_results_stay_with_their_recording(opened, wait, sensor_file):
    viewer, tool = opened
    table, info = tool.panel.variance.table, tool.panel.variance.info
    before = weakref.ref(tool.opened)
    tool.panel.model.model.form.set_values({"threshold": 2.0})  # without a peak there is no layer of peaks
    assert tool.modelling.run()
    open_files(viewer, [sensor_file])
    assert tool.opened.name == "sensors_raw"
    tool.head_map.reader.arrived.emit((before, 3.0), {"late": np.zeros(5)})
    assert "late" not in tool.head_map.values, "an answer about another recording comes too late"
    finish(tool, wait)
    assert "rest_raw tokens" in viewer.layers, tool.status.text()
    assert not viewer.layers["rest_raw tokens"].visible, "what is in sight are the sensors"
    assert table.isHidden()
    assert info.text() == "Run to see how much of each channel the tokens keep."
    assert [layer.name for layer in tool.annotating.layers] == ["sensors_raw annotations"]
    tool.panel.recording.recordings.setCurrentText("rest_raw")
    assert tool.opened.name == "rest_raw"
    assert not table.isHidden()
    assert table.rowCount() == 5
    assert "% of the variance" in info.text()
    assert [b.key for b in tool.stack.blocks] == ["recording", "surprisal", "tokens", "reconstruction"]
    assert {layer.name for layer in tool.annotating.layers} == {"rest_raw annotations", "rest_raw surprisal peaks"}
    viewer.layers.remove("rest_raw")
    assert tool.opened.name == "sensors_raw"
    viewer.layers.remove("sensors_raw")
    assert tool.opened is None
    assert not tool.empty.isHidden()
    assert tool.body.isHidden()
    assert not tool.save()
    assert "no recording" in tool.status.text()


def test_a_recording_closed_during_a_run_keeps_its_result_for_when_it_is_open_again(opened, wait, parcel_file):
    viewer, tool = opened
    assert tool.modelling.run()
    viewer.layers.clear()
    assert not tool.run_button.isHidden(), "the way to cancel stays"
    finish(tool, wait)
    assert len(viewer.layers) == 0
    assert tool.status.text() == (
        "rest_raw was closed while it was worked on: the result waits. Open it again to see it."
    )
    (row,) = tool.jobs.rows
    row.buttons["Show"].click()
    assert len(tool.jobs.rows) == 1, "it goes on waiting as long as there is nothing to show it with"
    open_files(viewer, [parcel_file])
    tool.jobs.rows[0].buttons["Show"].click()
    assert {"rest_raw tokens", "rest_raw surprisal"} <= {layer.name for layer in viewer.layers}
    assert [b.key for b in tool.stack.blocks] == ["recording", "surprisal", "tokens", "reconstruction"]
    assert tool.jobs.isHidden()


def test_a_dock_closed_during_a_run_shows_its_result_once_it_is_docked_again(opened, wait):
    viewer, tool = opened
    runner = tool.runner
    assert tool.modelling.run()
    dock = tool.parentWidget()
    while not hasattr(dock, "destroyOnClose"):
        dock = dock.parentWidget()
    dock.destroyOnClose()
    wait(lambda: not runner.is_busy, 120)
    again = open_files(viewer, [], tool="recording")
    assert again is not tool
    again.jobs.rows[0].buttons["Show"].click()
    assert [b.key for b in again.stack.blocks] == ["recording", "surprisal", "tokens", "reconstruction"]
    assert again.panel.variance.table.rowCount() == 5
    assert again.status.text().startswith("Done in ")


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
    assert tool.modelling.run()
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
    assert tool.modelling.run()
    finish(tool, wait)
    assert "parcel" in tool.status.text() or "channels" in tool.status.text()
    assert "\n" not in tool.status.text()
    viewer.layers.remove("sensors_raw")
    tool.panel.model.model.weights.choose_file(tmp_path / "none.safetensors")
    assert "none.safetensors" in tool.panel.model.model.weights_info.text()
    short = tmp_path / "short_raw.fif"
    short.write_bytes(parcel_file.read_bytes()[:4000])
    other = open_files(viewer, [short])
    assert "short_raw.fif" in other.status.text()
    assert "\n" not in other.status.text()
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    tool.panel.recording.recordings.setCurrentText("rest_raw")
    draw(tool, wait, 3.0, 4.5)
    tool.folder.setText(str(blocked))
    assert tool.save()
    finish(tool, wait, 60)
    assert "cannot write" in tool.status.text()
    assert "kept" in tool.status.text()
    assert count


def test_the_window_refuses_as_the_shell_does_and_can_be_told_to_go_on(opened, wait, weights_file, tmp_path):
    """Weights of EEG meet parcels; the box is there, and the line says so."""
    viewer, tool = opened
    found = weights.find(weights_file, "meg_gpt")
    recipe = {**found.meta["recipe"], "channels": ["Fz", "Cz", "Pz", "C3", "C4"]}
    taught = {"sampling_rate": 250.0, "kinds": {"eeg": 5}}
    record = {**found.meta, "recipe": recipe, "taught": taught, "seen": []}
    of_eeg = weights.save(tmp_path / "eeg.safetensors", weights.load_tensors(found), record)
    tool.panel.model.model.weights.choose_file(of_eeg)
    tool.panel.model.model.form.set_values({"kinds": "misc"})
    before = [layer.name for layer in viewer.layers]
    assert tool.modelling.run()
    finish(tool, wait)
    assert "channel kinds: 5 misc (parcels), the weights learnt 5 eeg" in tool.status.text()
    assert "tick 'Use anyway'" in tool.status.text()
    assert "\n" not in tool.status.text()
    assert [layer.name for layer in viewer.layers] == before
    tool.agreement.anyway.click()
    assert tool.modelling.run()
    finish(tool, wait)
    assert "rest_raw tokens" in viewer.layers, tool.status.text()
    assert any(n.startswith("forced although channel kinds") for n in tool.opened.provenance.notes)


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
    assert tool.decoding.decode(table)
    finish(tool, wait)
    scores = tool.panel.decoding.table
    assert scores.rowCount() > 0, tool.status.text()
    header = [scores.horizontalHeaderItem(c).text() for c in range(scores.columnCount())]
    assert "accuracy" in header
    texts = " ".join(scores.item(r, 1).text() for r in range(scores.rowCount()))
    assert "chance" in texts
    assert tool.panel.decoding.report_button.isEnabled()
    assert tool.decoding.report_file.is_file()


def test_the_browser_of_mne_needs_its_package(opened):
    _, tool = opened
    there = tool.mne_browser.is_there
    assert tool.panel.browser_button.isEnabled() == there
    if not there:
        assert "pip install mne-qt-browser" in tool.panel.browser_button.toolTip()


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
    assert not any(getattr(c, "__self__", None) in (tool, tool.pointing) for c in callbacks)
    wait(lambda: sorted(gone) == ["overlay", "traces"])
    assert not any("MEG traces" in d.windowTitle() for d in viewer.window._wrapped_dock_widgets.values())
    canvas.resize(canvas.size())
    camera_of(viewer).zoom = 3.0
    viewer.layers.remove("rest_raw")
    again = open_files(viewer, [], tool="meg")
    assert again is not tool
