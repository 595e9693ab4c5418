"""The results of the general tool, with a stranger's kind: numbers follow edits, nothing is lost or replaced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from qtpy.QtCore import Qt
from workbench_napari.general import shown
from workbench_napari.launch import open_files
from workbench_napari.shared.case import choose_case
from workbench_napari.shared.opening import open_path
from workbench_napari.shared.recovery_store import Store

import workbench as wb
from tests.workbench_napari.general.plates import make_plate
from workbench.core.identity import identity_of
from workbench.core.layers import KEY
from workbench.data.objects import read_objects

pytestmark = pytest.mark.gui

BOX = np.array([(30.0, 30.0), (30.0, 34.0), (34.0, 34.0), (34.0, 30.0)])


@pytest.fixture
def tool(plates, window, tmp_path):
    """The tool with a plate opened, and its folder for results."""
    viewer = window()
    tool = open_files(viewer, [make_plate(tmp_path / "p.plate")])
    tool.folder.setText(str(tmp_path / "out"))
    return tool


@pytest.fixture
def run(tool, qtbot):
    def start(action=None, **values):
        tool.input.model.form.set_values(values)
        with qtbot.waitSignal(tool.runner.finished, timeout=30_000) as ended:
            assert (action or tool.run)()
        assert ended.args[0] == "done", ended.args

    return start


def outlines(tool):
    return [x for x in tool.viewer.layers if x.metadata.get(KEY, {}).get("role") == "objects"]


def remove(layer, row):
    layer.selected_data = {row}
    layer.remove_selected()


# --- numbers


def test_numbers_follow_every_edit(tool, run, wait):
    assert tool.result.isHidden()
    run()
    text = tool.result.summary.text
    assert text().startswith("p, Brightspot")
    assert "colonies: 3" in text()
    assert "area [pixels] 13, 2" in text()
    (layer,) = outlines(tool)
    remove(layer, 0)
    wait(lambda: "colonies: 2" in text(), 5)
    assert "area [pixels] 9, 1" in text()
    layer.add_polygons(BOX)
    wait(lambda: "colonies: 3" in text(), 5)
    layer.features.loc[2, "class"] = "<i>large</i>"
    layer.events.features()
    wait(lambda: "area [pixels] 80, 2" in text(), 5)
    run(tool.save)
    assert "colonies: 3" in text()
    remove(layer, 0)
    wait(lambda: "colonies: 2" in text(), 5)
    tool.viewer.layers.remove(layer)
    tool.viewer.layers.remove("p map")
    assert tool.result.isHidden()
    assert not tool.save_button.isEnabled()


def test_numbers_of_very_many_objects_follow_when_saved(tool, run, wait, monkeypatch):
    monkeypatch.setattr(shown, "LIVE_OBJECTS", 1)
    run()
    text = tool.result.summary.text
    assert "colonies: 3" in text()
    remove(outlines(tool)[0], 0)
    wait(lambda: "when you save" in text(), 5)
    run(tool.save)
    assert "colonies: 2" in text()
    assert "when you save" not in text()


def test_the_numbers_of_another_image_or_run_are_never_shown(tool, run, tmp_path):
    run()
    first = tool.result.summary.text()
    open_path(tool.viewer, make_plate(tmp_path / "q.plate", [(1, 1, 4)]), tool)
    tool.input.layer.setCurrentIndex(tool.input.layer.findText("q"))
    assert tool.result.isHidden()
    hidden = []
    tool.runner.started.connect(lambda _: hidden.append(tool.result.isHidden()))
    run()
    assert hidden == [True]
    assert tool.result.summary.text().startswith("q, Brightspot\ncolonies: 1")
    tool.input.layer.setCurrentIndex(tool.input.layer.findText("p"))
    assert not tool.result.isHidden()
    assert tool.result.summary.text() == first
    tool.viewer.layers.selection.active = tool.viewer.layers["p colonies"]
    tool.viewer.layers.selection.active = tool.viewer.layers["q colonies"]
    assert tool.result.summary.text().startswith("q, Brightspot")


def test_a_table_that_the_kind_does_not_make_anew_is_said_to_be_old(tool, run, wait, tmp_path, monkeypatch):
    from tests.workbench_napari.general import plates

    monkeypatch.delattr(plates, "updated")
    run()
    remove(outlines(tool)[0], 0)
    wait(lambda: "colonies: 2" in tool.result.summary.text(), 5)
    assert "sizes, as they were before your edits:" in tool.result.summary.text()
    run(tool.save)
    record = json.loads((tmp_path / "out" / "p" / "provenance.json").read_text(encoding="utf-8"))
    assert "table 'sizes' is from before the edits by hand" in record["notes"]


def test_an_outline_drawn_in_the_window_takes_nothing_from_a_removed_one(tool, run):
    run()
    (layer,) = outlines(tool)
    layer.features = layer.features.copy()  # napari takes the last row for new outlines from now on
    remove(layer, 2)
    layer.add_polygons(BOX)
    found = tool.shown.now()[0].parts["colonies"]
    assert found.class_values.tolist() == [1, 1, 0]
    assert np.isnan(found.probabilities).tolist() == [False, False, True]
    assert np.isnan(found.measurements["area [pixels]"]).tolist() == [False, False, True]


# --- words


def test_names_of_strangers_are_shown_as_they_are(tool, run):
    run()
    summary = tool.result.summary
    assert "\n<1 mm, 1, " in summary.text()
    assert "\n<i>large</i>, 2, " in summary.text()
    for label in (summary, tool.status, tool.input.about, tool.input.model.weights_info):
        assert label.textFormat() == Qt.TextFormat.PlainText
    row = tool.input.model.choice.findData("bright")
    assert "&lt;b&gt;colonies" in tool.input.model.choice.itemData(row, Qt.ItemDataRole.ToolTipRole)


def test_notes_of_layers_are_said_and_no_brackets_are_empty(tool, run):
    run(limit=2)
    assert "Done in" in tool.status.text()
    assert "()" not in tool.status.text()
    assert "The lamp was dim." in tool.status.text()
    assert "3 objects, more than 2: shown as points" in tool.status.text()


def test_only_formats_of_the_kind_are_offered(tool):
    def offered():
        return [tool.format.itemText(i) for i in range(tool.format.count())]

    assert offered() == ["As the image", "plate"]
    tool.input.model.choose("segformer3d")
    assert offered() == ["As the image", "nifti", "nrrd", "mha", "dicom-seg", "rtstruct"]
    tool.input.model.choose("bright")
    assert offered() == ["As the image", "plate"]


# --- what lies in the folder


def areas(folder):
    return read_objects(folder / "colonies.geojson").areas().tolist()


def test_other_work_in_the_folder_is_never_replaced(tool, run, tmp_path):
    out = tmp_path / "out"
    run()
    run(tool.save)
    run(level=0.4)
    run(tool.save)
    assert [p.name for p in out.iterdir()] == ["p"], "an unedited result of the same backend can be had again"
    remove(outlines(tool)[-1], 0)
    run(tool.save)
    run(tool.save)
    assert [p.name for p in out.iterdir()] == ["p"], "the same result goes where it went"
    assert areas(out / "p") == [9, 64]
    run(level=0.3)
    run(tool.save)
    assert areas(out / "p") == [4, 9, 64]
    (kept,) = (out / "p" / "versions").iterdir()
    assert areas(kept) == [9, 64]
    assert json.loads((kept / "provenance.json").read_text(encoding="utf-8"))["edited_by_hand"] is True
    assert f"is kept in p/versions/{kept.name}" in tool.status.text()
    tool.input.model.choose("dark")
    run()
    run(tool.save)
    assert json.loads((out / "p-2" / "provenance.json").read_text(encoding="utf-8"))["backend"] == "dark"
    assert areas(out / "p") == [4, 9, 64]
    assert "in " + str(out / "p-2") in tool.status.text()
    run(tool.save)
    assert sorted(p.name for p in out.iterdir()) == ["p", "p-2"]
    # The edited result, chosen again, goes back to its own folder.
    tool.viewer.layers.selection.active = outlines(tool)[1]
    remove(outlines(tool)[1], 0)
    run(tool.save)
    assert areas(out / "p") == [64]
    assert [areas(v) for v in (out / "p" / "versions").iterdir()] == [[9, 64]]


def test_a_result_of_another_backend_and_files_of_unknown_origin_are_kept(tool, run, tmp_path):
    out = tmp_path / "out"
    image = wb.read(tmp_path / "p.plate")
    wb.write(wb.predict("dark", image), out)
    run()
    run(tool.save)
    assert json.loads((out / "p" / "provenance.json").read_text(encoding="utf-8"))["backend"] == "dark"
    assert "p holds a result of dark and was kept" in tool.status.text()
    result = wb.predict("bright", image)
    identity = identity_of(result.image)
    for name in ("empty", "mine"):
        (tmp_path / name).mkdir()
        assert choose_case(tmp_path / name, identity, "bright") == ("p", "")
    (tmp_path / "mine" / "p").mkdir(parents=True)
    assert choose_case(tmp_path / "mine", identity, "bright") == ("p", "")
    (tmp_path / "mine" / "p" / "colonies.geojson").write_text("{}")
    assert choose_case(tmp_path / "mine", identity, "bright") == ("p-2", "p holds other files and was kept")


def test_of_a_duplicated_layer_the_model_is_saved_and_the_copy_stays_unsaved(tool, run, tmp_path):
    from napari.layers import Layer

    run()
    (layer,) = outlines(tool)
    data, attributes, kind = layer.as_layer_data_tuple()
    copy = tool.viewer.add_layer(Layer.create(data, {**attributes, "name": "copy"}, kind))
    remove(copy, 0)
    remove(layer, 2)
    run(tool.save)
    assert areas(tmp_path / "out" / "p") == [4, 9]
    assert tool.journal.is_unsaved(copy)
    assert not tool.journal.is_unsaved(layer)


# --- after a crash

CHILD = """
import sys, time
from pathlib import Path
import napari, numpy as np
from napari.qt import get_qapp
import workbench as wb
from workbench_napari.launch import open_files

plate, truth = sys.argv[1:3]
viewer = napari.Viewer(show=True)
tool = open_files(viewer, [plate])
tool.input.model.form.set_values({"level": 0.25})
assert tool.run()
stop = time.monotonic() + 60
while tool.runner.is_busy and time.monotonic() < stop:
    get_qapp().processEvents()
    time.sleep(0.01)
outlines = viewer.layers["p colonies"]
outlines.selected_data = {0}
outlines.remove_selected()
outlines.add_polygons(np.array([(30.0, 30.0), (30.0, 34.0), (34.0, 34.0), (34.0, 30.0)]))
viewer.layers["p map"].data_setitem((np.array([1]), np.array([2])), 3)
wb.write(tool.shown.now()[0], truth)
tool.journal.flush()
print("edited", flush=True)
time.sleep(120)
"""


def crashed(tmp_path):
    """Runs and edits in another process, which is killed."""
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(CHILD))
    plate = make_plate(tmp_path / "p.plate")
    command = [sys.executable, str(script), str(plate), str(tmp_path / "truth")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = process.stdout.readline().strip()
    os.kill(process.pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    assert said == "edited", errors


@pytest.mark.slow
def test_what_was_restored_after_a_crash_can_be_saved(plates, window, qtbot, tmp_path):
    crashed(tmp_path)
    assert len(Store().entries()) == 2
    viewer = window()
    tool = open_files(viewer, [], tool="plate")
    assert tool.result.isHidden()
    tool.recovery.restore_chosen()
    assert {x.name for x in viewer.layers} == {"p", "p colonies", "p map"}
    assert tool.layer.name == "p"
    tool.shown.count()
    assert not tool.result.isHidden()
    qtbot.waitUntil(lambda: "colonies: 3" in tool.result.summary.text())
    assert tool.save_button.isEnabled()
    tool.folder.setText(str(tmp_path / "out"))
    with qtbot.waitSignal(tool.runner.finished, timeout=30_000) as ended:
        tool.save_button.click()
    assert ended.args[0] == "done", ended.args
    saved, truth = tmp_path / "out" / "p", tmp_path / "truth" / "p"
    assert sorted(p.name for p in saved.iterdir()) == sorted(p.name for p in truth.iterdir())
    for name in ("colonies.geojson", "map.npy", "sizes.csv"):
        assert (saved / name).read_bytes() == (truth / name).read_bytes(), name
    now, then = (json.loads((f / "provenance.json").read_text(encoding="utf-8")) for f in (saved, truth))
    assert now["edited_by_hand"] is True
    assert now["settings"]["level"] == 0.25
    for key in ("backend", "source", "settings", "input_sha256", "started", "seconds", "notes", "classes"):
        assert now[key] == then[key], key
    assert not any(tool.journal.is_unsaved(x) for x in viewer.layers)


@pytest.mark.slow
def test_what_was_not_edited_is_named_and_an_image_that_is_gone_too(plates, window, qtbot, tmp_path):
    crashed(tmp_path)
    viewer = window()
    tool = open_files(viewer, [], tool="plate")
    entry = next(e for e in tool.journal.offers() if e.name == "p colonies")
    tool.journal.restore(entry)
    tool.shown.count()
    qtbot.waitUntil(lambda: "Restored without map" in tool.result.summary.text())
    (tmp_path / "p.plate").rename(tmp_path / "gone.plate")
    tool.shown._images.clear()
    assert not tool.save()
    assert "p.plate" in tool.status.text()


def test_a_volume_comes_back_too(window, qtbot, tmp_path, ct_file, tiny_weights):
    """The same of a built-in kind, whose label maps lie turned in their layers: from what the journal keeps."""
    from napari.layers import Layer
    from workbench_napari.launch import GENERAL
    from workbench_napari.shared.layer_record import layer_tuple, record_of
    from workbench_napari.shared.opening import PLUGIN

    viewer = window()
    _, tool = viewer.window.add_plugin_dock_widget(PLUGIN, GENERAL, tabify=False)
    viewer.open(str(ct_file), plugin=PLUGIN)
    tool.input.model.choose("segformer3d")
    tool.input.model.weights.choose_file(tiny_weights)
    tool.input.model.device.setCurrentText("cpu")
    with qtbot.waitSignal(tool.runner.finished, timeout=120_000):
        assert tool.run()
    labels = next(x for x in viewer.layers if type(x).__name__ == "Labels")
    labels.data_setitem((np.array([3]), np.array([4]), np.array([5])), 7)
    expected = tool.shown.now()[0]
    kept = json.loads(json.dumps(record_of(labels)))
    viewer.layers.clear()
    tool.shown._results.clear()
    viewer.add_layer(Layer.create(*layer_tuple(kept, {"data": np.array(labels.data)})))
    now, _, missing = tool.shown.now()
    assert np.array_equal(now.labels.data, expected.labels.data)
    assert now.parts["volumes"].as_dicts() == expected.parts["volumes"].as_dicts()
    assert now.provenance == expected.provenance
    assert set(missing) == set(expected.parts) - {"labels", "volumes"}
