"""The Volume tool in a real napari window: open, run, cancel, edit, save, reopen."""

from __future__ import annotations

import json
import weakref

import nibabel as nib
import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared.saving import state_of

from tests.tiny import make_volume
from tests.workbench_napari.volume.window import row, run, save
from workbench.core.layers import KEY
from workbench.volume.placement import layer_world

pytestmark = pytest.mark.gui


def test_cancel_stops_within_one_window(opened, wait, monkeypatch, tmp_path):
    viewer, tool = opened
    viewer.open(str(make_volume(tmp_path / "large.nii.gz", shape=(110, 100, 80))), plugin="napari-workbench")
    tool.panel.image.combos[0].setCurrentText("large")
    from workbench import api

    calls = []
    real = api.predict

    def watched(backend, image, *, progress, **values):
        def counting(done, total):
            calls.append((done, total))
            if done == 1:
                tool.runner.cancel()
            progress(done, total)

        return real(backend, image, progress=counting, **values)

    # The real backend runs; only its progress is watched, so that the click comes at a known window.
    monkeypatch.setattr(api, "predict", watched)
    before = list(viewer.layers)
    assert tool.segmenting.run()
    wait(lambda: not tool.runner.is_busy, 60)
    assert max(done for done, _ in calls) <= 2 < calls[-1][1]
    assert list(viewer.layers) == before
    assert "cancelled" in tool.status.text()
    assert tool.run_button.text() == "Run"


def test_one_job_at_a_time(opened, wait):
    _, tool = opened
    assert tool.segmenting.run()
    assert not tool.segmenting.run()
    assert "still running" in tool.status.text()
    wait(lambda: not tool.runner.is_busy, 60)


def test_buttons_follow_what_is_there_and_what_runs(opened, wait):
    viewer, tool = opened
    group, fold = tool.panel.labels, tool.model.form.settings_fold
    assert (tool.run_button.isEnabled(), group.box.isHidden(), fold.isExpanded()) == (True, True, True)
    assert tool.segmenting.run()
    assert (tool.run_button.text(), tool.save_button.isEnabled()) == ("Cancel", False)
    wait(lambda: not tool.runner.is_busy, 120)
    labels = tool.labels_layer
    assert (tool.run_button.text(), tool.save_button.isEnabled()) == ("Run", True)
    assert (group.box.isHidden(), fold.isExpanded()) == (False, False), "the table needs the room of the settings"
    assert viewer.layers.selection.active is labels
    assert labels.selected_label == tool.keeping.table.label_values()[0] == 1
    drawn = viewer.add_labels(np.zeros_like(labels.data), name="drawn")
    assert tool.labels_layer is tool.keeping.table.layer is drawn, "the layer that is active is meant"
    group.layers.setCurrentText(labels.name)
    assert tool.labels_layer is tool.keeping.table.layer is labels
    viewer.layers.remove("ct")
    assert (tool.run_button.isEnabled(), tool.save_button.isEnabled()) == (False, True)
    assert tool.panel.image.info.text() == "Choose an image layer of 3 axes"
    viewer.layers.clear()
    assert not tool.save_button.isEnabled()
    assert tool.keeping.table.layer is None
    assert not tool.save()
    assert not tool.segmenting.run()
    assert tool.status.text() == "Choose an image layer first."


def test_another_layer_is_told_at_once(opened, wait):
    viewer, tool = opened
    group = tool.panel.image
    other = viewer.add_image(np.zeros((10, 12, 14), np.float32), name="bare")
    assert tool.image_layer is viewer.layers["ct"], "what was chosen stays"
    group.combos[0].setCurrentText("bare")
    assert group.info.text().startswith("10 × 12 × 14 voxels")
    assert not group.pixel_is_mm.isHidden()
    before = group.info.text()
    group.pixel_is_mm.setChecked(True)
    assert group.info.text() != before
    # Nobody tells of a new scale; the next job looks.
    other.scale, other.units = (2, 2, 2), "mm"
    assert tool.segmenting.run()
    assert "2 × 2 × 2\u00a0mm" in group.info.text()
    assert group.pixel_is_mm.isHidden()
    wait(lambda: not tool.runner.is_busy, 120)


def test_edit_save_reopen_same_array_same_affine(opened, wait, window, ct_file):
    viewer, tool = opened
    labels = run(tool, wait)
    labels.mode = "paint"
    labels.selected_label = 2
    labels.brush_size = 9
    viewer.dims.set_current_step(0, 10)
    labels.paint((10, 12, 14), 2)
    labels.paint((11, 20, 20), 1)
    wait(lambda: row(tool, "spleen")[1] == int((labels.data == 2).sum()))
    edited = labels.data.copy()
    volumes = [row(tool, n)[0] for n in ("liver", "spleen")]
    folder = save(tool, wait)
    assert folder.name == "ct"
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert record["edited_by_hand"] is True
    assert record["backend"] == "segformer3d"
    assert str(folder) in tool.status.text()
    assert tool.journal.offers() == []
    assert not tool.journal.is_unsaved(labels)
    written = nib.load(folder / "labels.nii.gz")
    assert written.affine.tobytes() == nib.load(ct_file).affine.tobytes()
    table = (folder / "volumes.csv").read_text(encoding="utf-8").splitlines()
    assert [float(line.split(",")[2]) for line in table[1:]] == pytest.approx(volumes, abs=0.01)
    (again,) = viewer.open(str(folder / "labels.nii.gz"), plugin="napari-workbench")
    assert again._type_string == "labels"
    assert np.array_equal(again.data, edited)
    assert np.array_equal(layer_world(state_of(again)[1]), layer_world(state_of(labels)[1]))
    assert list(again.features["class"]) == ["background", "liver", "spleen"]


def test_unedited_result_is_not_called_edited(opened, wait):
    _, tool = opened
    run(tool, wait)
    record = json.loads((save(tool, wait) / "provenance.json").read_text(encoding="utf-8"))
    assert record["edited_by_hand"] is False


def test_undo_and_redo_reach_the_table(opened, wait):
    _, tool = opened
    labels = run(tool, wait)
    before = row(tool, "liver")[1]
    labels.brush_size = 7
    labels.paint((5, 5, 5), 1)
    wait(lambda: row(tool, "liver")[1] > before)
    after = row(tool, "liver")[1]
    labels.undo()
    wait(lambda: row(tool, "liver")[1] == before)
    labels.redo()
    wait(lambda: row(tool, "liver")[1] == after)


def test_row_click_chooses_the_label(opened, wait):
    _, tool = opened
    labels = run(tool, wait)
    tool.keeping.table.selectRow(1)
    assert labels.selected_label == 2
    labels.selected_label = 1
    assert [i.row() for i in tool.keeping.table.selectionModel().selectedRows()] == [0]


def test_failed_save_keeps_the_edits_and_says_so(opened, wait, tmp_path):
    _, tool = opened
    labels = run(tool, wait)
    labels.paint((10, 12, 14), 2)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")  # root may write into any folder
    tool.folder.setText(str(blocked))
    assert tool.save()
    wait(lambda: not tool.runner.is_busy, 60)
    assert "cannot write" in tool.status.text()
    assert "kept" in tool.status.text()
    assert tool.journal.is_unsaved(labels)
    tool.journal.flush()
    assert [e.name for e in tool.journal.store.entries()] == [labels.name]


def test_bad_weights_give_one_clear_line(opened, wait, tmp_path):
    viewer, tool = opened
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no weights at all")
    tool.model.weights.choose_file(bad)
    assert tool.segmenting.run()
    wait(lambda: not tool.runner.is_busy, 60)
    assert str(bad) in tool.status.text()
    assert "\n" not in tool.status.text()
    assert len(viewer.layers) == 1


def test_four_channels_ask_for_four_layers(window, wait, tmp_path):
    from tests.tiny import make_tiny_weights

    weights = make_tiny_weights(tmp_path / "four.safetensors", channels=4)
    viewer = window()
    paths = [make_volume(tmp_path / f"{n}.nii.gz", seed=i) for i, n in enumerate(("flair", "t1", "t1c", "t2"))]
    tool = open_files(viewer, paths)
    tool.model.weights.choose_file(weights)
    tool.model.device.setCurrentText("cpu")
    assert [c.objectName() for c in tool.panel.image.combos] == [f"channel {i}" for i in range(4)]
    assert [c.currentText() for c in tool.panel.image.combos] == ["flair", "t1", "t1c", "t2"]
    labels = run(tool, wait)
    expected_shape = viewer.layers["flair"].data.shape
    assert labels.data.shape == expected_shape


def test_a_backend_without_weights_takes_the_place_of_one_with_four_channels(window, wait, tmp_path, monkeypatch):
    from tests.tiny import make_tiny_weights
    from tests.workbench_napari.shared import threshold
    from workbench.core import registry

    rows = {**registry.backends(), "threshold": threshold.ROW}
    monkeypatch.setattr(registry, "backends", lambda: rows)
    viewer = window()
    tool = open_files(viewer, [make_volume(tmp_path / "ct.nii.gz")])
    tool.model.weights.choose_file(make_tiny_weights(tmp_path / "four.safetensors", channels=4))
    assert len(tool.panel.image.combos) == 4
    tool.model.choose("threshold")
    assert [c.objectName() for c in tool.panel.image.combos] == ["Layer"]
    assert tool.image_layer is viewer.layers["ct"]
    tool.model.form.set_values({"level": 100.0})
    labels = run(tool, wait)
    assert np.array_equal(labels.data == 3, viewer.layers["ct"].data > 100)
    assert row(tool, "bright")[1] == np.count_nonzero(labels.data) > 0
    assert labels.selected_label == 3, "the brush has the first class, whatever its number"
    assert tool.status.text().startswith("Done in")
    tool.folder.setText(str(tmp_path / "out"))
    record = json.loads((save(tool, wait) / "provenance.json").read_text(encoding="utf-8"))
    assert (record["backend"], record["weights"]) == ("threshold", "none")
    assert record["settings"] == {"level": 100.0, "inverse": False}
    viewer.add_image(np.zeros((10, 12, 14), np.float32), name="bare")
    tool.panel.image.combos[0].setCurrentText("bare")
    assert tool.panel.image.info.text().startswith("10 × 12 × 14 voxels"), "the new choice is listened to"


def test_tool_lets_go_of_the_viewer_when_its_dock_is_closed(opened, wait, qtbot):
    viewer, tool = opened
    labels = run(tool, wait)
    journal, gone = tool.journal, weakref.ref(tool)
    (dock,) = viewer.window._wrapped_dock_widgets.values()
    dock.destroyOnClose()  # what the x in its title does
    assert tool.keeping.table.layer is None
    viewer.layers.remove("ct")
    labels.paint((3, 3, 3), 1)
    # The journal belongs to the window: edits are still kept.
    assert journal.is_unsaved(labels)
    del opened, tool, dock
    again = open_files(viewer, [])
    assert again is not gone()
    assert again.labels_layer is labels


def test_closing_the_window_stops_a_running_job(opened, wait, tmp_path):
    from workbench_napari.shared import worker

    viewer, tool = opened
    viewer.open(str(make_volume(tmp_path / "large.nii.gz", shape=(110, 100, 80))), plugin="napari-workbench")
    tool.panel.image.combos[0].setCurrentText("large")
    assert tool.segmenting.run()
    job = tool.runner.job
    wait(lambda: job.steps[0] >= 1, 60)
    viewer.close()
    wait(lambda: not job.is_alive)
    assert job.outcome[0] == "cancelled"
    wait(lambda: not worker._runners)


def test_uncertainty_is_shown_and_saved_with_the_labels(opened, wait, ct_file):
    viewer, tool = opened
    tool.model.form.set_values({"uncertainty": True})
    labels = run(tool, wait)
    (heat,) = [layer for layer in viewer.layers if (layer.metadata.get(KEY) or {}).get("role") == "heatmap"]
    assert not heat.visible
    assert heat.name not in [tool.panel.image.combos[0].itemText(i) for i in range(tool.panel.image.combos[0].count())]
    folder = save(tool, wait)
    assert sorted(p.name for p in folder.iterdir()) == [
        "labels.nii.gz", "provenance.json", "uncertainty.nii.gz", "volumes.csv",
    ]  # fmt: skip
    written = nib.load(folder / "uncertainty.nii.gz")
    assert written.affine.tobytes() == nib.load(ct_file).affine.tobytes()
    assert written.shape == nib.load(ct_file).shape
    assert labels.data.shape == heat.data.shape


def test_metadata_is_small_and_plain(opened, wait):
    viewer, tool = opened
    run(tool, wait)
    for layer in viewer.layers:
        assert len(json.dumps(layer.metadata[KEY])) < 10_000


def test_unknown_tool_is_a_usage_error(window):
    from workbench.core.errors import UsageError

    with pytest.raises(UsageError, match="Did you mean 'volume'"):
        open_files(window(), [], tool="volumes")


def test_choice_of_a_name_for_the_case_folder(tmp_path):
    from workbench_napari.shared.case import choose_case

    from workbench.core.identity import Identity

    def put(name, **record):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "provenance.json").write_text(json.dumps(record))

    scan = Identity("scan", "file", None, "/a/scan.nii")
    assert choose_case(tmp_path, scan) == ("scan", "")
    put("scan", source="/a/scan.nii")
    assert choose_case(tmp_path, scan) == ("scan", "")
    put("scan", source="/b/scan.nii")
    assert choose_case(tmp_path, scan) == ("scan-2", "scan holds a result of another image and was kept")
    put("scan-2", source="/c/scan.nii")
    put("scan-7", source="/a/scan.nii")
    assert choose_case(tmp_path, scan)[0] == "scan-7", "the folder that is its own, wherever it stands"
    hashed = Identity("scan", "file", "1" * 64, "/new/place/scan.nii")
    assert choose_case(tmp_path, hashed)[0] == "scan-3"
    put("scan-2", source="/old/place/scan.nii", input_sha256="1" * 64)
    assert choose_case(tmp_path, hashed)[0] == "scan-2", "the file was moved"
    put("scan", source="/new/place/scan.nii", input_sha256="2" * 64)
    assert choose_case(tmp_path, hashed)[0] == "scan-2", "another file is in its place"
