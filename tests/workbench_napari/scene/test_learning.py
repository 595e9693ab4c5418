"""Learning and mapping with the Spectra tool in a real napari window: learn, cancel, save, reopen, refuse."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared.saving import stored_provenance

import workbench as wb
from tests.scene_maker import save_envi
from tests.workbench_napari.scene.window import BANDS, COLUMNS, ROWS, WAVELENGTHS, finish, paint, row, truth
from workbench.core.classes import ClassTable
from workbench.core.layers import KEY
from workbench.core.types import Labels, Result
from workbench.training.lesson import MapBoard, Outcome

pytestmark = pytest.mark.gui


def test_learn_map_save_reopen(opened, wait, window, tmp_path):
    viewer, tool = opened
    painted = paint(tool)
    tool.looking.pin_at((100.0, 100.0))
    wait(lambda: len(tool.looking.plot.classes) == 3)
    versions = []
    tool.runner.progressed.connect(
        lambda *_: versions.append(tool.learning.board.version if tool.learning.board else 0)
    )
    assert tool.learning.learn()
    finish(tool, wait)
    shown = tool.maps.get("labels")
    assert shown is not None, tool.status.text()
    assert shown.visible
    assert viewer.layers.selection.active is painted
    assert (shown.data == truth()).mean() > 0.95, tool.status.text()
    reference = tool.maps.get("reference_labels")
    assert (reference.data == truth()).mean() > 0.95
    confidence, disagreement = tool.maps.get("confidence"), tool.maps.get("disagreement")
    assert np.array_equal(disagreement.data > 0, shown.data != reference.data)
    assert 0 <= confidence.data.min() <= confidence.data.max() <= 1
    assert "Learnt 3 classes from 24 pixels" in tool.status.text()
    count = int((shown.data == 3).sum())
    assert row(tool, "soil")[1] == f"{count * 400 / 1e4:,.2f}\u00a0ha"
    assert not tool.journal.is_unsaved(shown), "what a method wrote is no edit by hand"

    tool.results.show_buttons["confidence"].click()
    assert confidence.visible
    assert not shown.visible
    spot = tool.results.go_to_doubt()
    assert spot is not None
    assert tool.results.go_to_doubt() != spot

    shown.visible = True  # nobody corrects a map that is not seen
    shown.data_setitem((np.array([0, 0]), np.array([0, 1])), 2)
    corrected = shown.data.copy()
    assert tool.save()
    finish(tool, wait, 60)
    folder = tool.last_folder
    assert folder is not None, tool.status.text()
    assert folder.name == "meadow"
    assert {p.name for p in folder.iterdir()} >= {
        "labels.dat", "labels.hdr", "painted.dat", "reference_labels.dat", "confidence.dat", "areas.csv",
        "spectra.csv", "spectra.sli", "model.safetensors", "provenance.json",
    }  # fmt: skip
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert record["backend"] == "lola_specvit"
    assert record["edited_by_hand"] is True
    assert record["settings"]["training"]["steps"] == 4
    assert not tool.journal.is_unsaved(painted)
    table = (folder / "areas.csv").read_text(encoding="utf-8").splitlines()
    assert float(table[3].split(",")[-1]) == 400.0 * (corrected == 3).sum()

    written = wb.read(folder / "labels.hdr")
    assert written.classes.names == ("wood", "water", "soil")
    assert np.array_equal(written.data[0], corrected)
    assert np.array_equal(written.geometry.affine, tool.looking.scene.image.geometry.affine)
    again = window()
    other = open_files(again, [tool.looking.scene.image.source, folder / "labels.hdr", folder / "painted.hdr"])
    assert [layer._type_string for layer in again.layers] == ["image", "labels", "labels"]
    assert np.array_equal(again.layers["painted"].data, painted.data)
    assert other.painting.layer is again.layers["painted"]
    assert other.painting.classes.names == ("wood", "water", "soil")
    other.learning.weights.choose_file(folder / "model.safetensors")
    other.device.setCurrentText("cpu")
    assert other.learning.map_button.isEnabled()
    other.learning.map_button.click()
    finish(other, wait)
    unedited = corrected.copy()
    unedited[0, :2] = other.maps.get("labels").data[0, :2]
    assert np.array_equal(other.maps.get("labels").data, unedited)


@pytest.mark.slow
def test_the_second_lesson_renews_the_same_layers_and_spares_hand_work(opened, wait):
    viewer, tool = opened
    paint(tool)
    for _ in range(2):
        assert tool.learning.learn()
        finish(tool, wait)
    assert sorted(layer.name for layer in viewer.layers) == sorted(
        ["meadow", "meadow map", "meadow SVM map", "meadow confidence", "meadow disagreement", "meadow painted"]
    )
    first = tool.maps.get("labels")
    first.data_setitem((np.array([0]), np.array([0])), 3)
    by_hand = first.data.copy()
    assert tool.learning.learn()
    finish(tool, wait)
    assert tool.maps.get("labels") is not first
    assert np.array_equal(first.data, by_hand)


def test_cancel_leaves_the_last_whole_map(opened, wait, monkeypatch):
    _, tool = opened
    paint(tool)
    tool.learning.form.set_values({"steps": 100_000, "patience": 0, "validate_every": 50_000})
    assert tool.learning.learn()
    wait(lambda: tool.learning.board is not None and "step" in tool.learning.board.phase, 120)
    assert tool.learning.learn_button.text() == "Cancel"
    # The worker names its step before the window has drawn what is on the board.
    wait(lambda: tool.maps.get("labels") is not None, 30)
    wait(lambda: not tool._guard.isActive())
    tool.learning.learn_button.click()
    finish(tool, wait, 30)
    assert "cancelled" in tool.status.text()
    assert tool.learning.learn_button.text() == "Learn"
    assert (tool.maps.get("labels").data == truth()).mean() > 0.95
    assert tool.maps.get("confidence") is None
    assert tool.progress.isHidden()


@pytest.mark.parametrize("how", ["cancelled", "done"])
def test_a_job_that_ends_while_another_scene_is_looked_at_leaves_no_half_map(opened, wait, tmp_path, how):
    viewer, tool = opened
    scene = tool.looking.scene
    board = MapBoard(scene.shape, ClassTable.from_names(["wood", "water"]))
    go_on = threading.Event()

    def work(progress):
        board.put((slice(0, ROWS // 2), slice(0, COLUMNS)), np.full((ROWS // 2, COLUMNS), 1))
        while not go_on.is_set():
            progress(0, 0)
            time.sleep(0.005)
        board.put((slice(ROWS // 2, ROWS), slice(0, COLUMNS)), np.full((ROWS // 2, COLUMNS), 2))
        board.keep()
        labels = Labels(board.whole, scene.geometry, board.classes, "map")
        return Outcome(Result({"labels": labels}, scene.image, stored_provenance({}, None)), None, "mapped.")

    assert tool.learning._begin(scene, "Mapping meadow", board, work)
    wait(lambda: tool.maps.get("labels") is not None)
    half = tool.maps.get("labels")
    assert 0 < (half.data > 0).mean() < 1
    data = np.random.default_rng(1).random((BANDS, 12, 14), dtype=np.float32)
    open_files(viewer, [save_envi(tmp_path / "other", data, name="other")])
    tool.looking.scenes.setCurrentText("other")
    assert tool.maps.get("labels") is None
    if how == "done":
        go_on.set()
    else:
        wait(lambda: not tool._guard.isActive())
        tool.learning.learn_button.click()
    finish(tool, wait, 30)
    if how == "done":
        assert np.array_equal(half.data, board.whole)
        assert tool.status.text() == (
            "mapped. Its scene is not shown now: the map is in the list of layers as 'meadow map'."
        )
    else:
        assert half not in viewer.layers
    assert "other map" not in viewer.layers
    assert tool.learning.model is None


def test_a_scene_deleted_while_it_is_learnt_keeps_its_map_and_says_what_happened(opened, wait):
    viewer, tool = opened
    painted = paint(tool)
    assert tool.learning.learn()
    wait(lambda: tool.runner.job.steps[1] > 0, 60)
    viewer.layers.remove("meadow")
    assert not tool.learning.row.isHidden(), "the way to cancel stays"
    finish(tool, wait)
    shown = viewer.layers["meadow map"]
    assert shown.visible
    assert (shown.data == truth()).mean() > 0.95
    assert "meadow confidence" in viewer.layers
    assert "Learnt 3 classes from 24 pixels" in tool.status.text()
    assert tool.status.text().endswith(
        "Its scene was closed meanwhile: the map is in the list of layers as 'meadow map'."
    )
    assert painted in viewer.layers
    assert shown.metadata[KEY]["provenance"]["backend"] == "lola_specvit"
    viewer.open_sample("napari-workbench", "spectral_scene")
    weights = tool.learning.weights.combo
    assert weights.itemText(weights.count() - 1).startswith("lesson of"), "what was learnt can be used"


def test_a_dock_closed_while_a_scene_is_learnt_leaves_no_half_map_and_offers_the_whole_one(opened, wait):
    viewer, tool = opened
    paint(tool)
    assert tool.learning.learn()
    wait(lambda: tool.runner.job.steps[1] > 0, 60)
    runner, scene = tool.runner, tool.looking.scene.image.source
    dock = tool.parentWidget()
    while not hasattr(dock, "destroyOnClose"):
        dock = dock.parentWidget()
    dock.destroyOnClose()
    assert "meadow map" not in viewer.layers or (viewer.layers["meadow map"].data > 0).all(), "half a map"
    again = open_files(viewer, [])
    if type(again) is not type(tool):
        again = open_files(viewer, [], tool="scene")
    assert again.looking.scene.image.source == scene
    wait(lambda: not runner.is_busy, 120)
    (row_,) = again.jobs.rows
    assert row_.text == "A result waits: Learning 3 classes of meadow"
    row_.buttons["Show"].click()
    assert (again.maps.get("labels").data == truth()).mean() > 0.95
    assert "Learnt 3 classes from 24 pixels" in again.status.text()
    assert again.learning.model is not None
    assert again.learning.model.model.is_file(), "the model went with the dock"
    assert again.jobs.isHidden()


def test_nothing_to_learn_from_is_said_in_one_line(opened, wait):
    viewer, tool = opened
    assert not tool.learning.learn()
    assert "at least two classes" in tool.status.text()
    paint(tool, names=("wood",))
    assert not tool.learning.learn()
    assert len(viewer.layers) == 2


def test_weights_of_another_sensor_are_refused_and_nothing_changes(opened, wait, tmp_path):
    viewer, tool = opened
    paint(tool)
    assert tool.learning.learn()
    finish(tool, wait)
    data = np.random.default_rng(1).random((BANDS - 1, 12, 14), dtype=np.float32)
    other = save_envi(tmp_path / "other", data, name="other")
    open_files(viewer, [other])
    tool.looking.scenes.setCurrentText("other")
    tool.learning.weights.combo.setCurrentIndex(tool.learning.weights.combo.count() - 1)
    count = len(viewer.layers)
    assert tool.learning.map_scene()
    finish(tool, wait)
    assert "23 bands" in tool.status.text()
    assert "24" in tool.status.text()
    assert len(viewer.layers) == count


@pytest.mark.slow
def test_map_only_turns_bands_round_refuses_what_cannot_be_right_and_can_be_forced(
    opened, wait, window, scene_file, tmp_path
):
    """What the shell refuses and converts, the window does too, and says it."""
    _, tool = opened
    paint(tool)
    tool.learning.learn_button.click()
    finish(tool, wait)
    model, right = str(tool.learning.model.model), tool.maps.array("labels").copy()
    cube = np.array(wb.read(scene_file).data)
    bad = [int(not 10 <= b < 13) for b in range(BANDS)]

    def mapped(name, order, shift=0.0, force=False):
        waves = (WAVELENGTHS + shift)[order]
        marks = ", ".join(str(bad[b]) for b in np.arange(BANDS)[order])
        listed = {"wavelength": "{" + ", ".join(f"{w:.1f}" for w in waves) + "}", "bbl": "{" + marks + "}"}
        path = save_envi(
            tmp_path / name, np.ascontiguousarray(cube[order]), name=name, wavelength_units="Nanometers", **listed
        )
        viewer = window()
        other = open_files(viewer, [path])
        other.device.setCurrentText("cpu")
        other.learning.weights.choose_file(model)
        assert other.learning.map_scene()
        finish(other, wait)
        if force:
            other.agreement.anyway.click()
            assert other.learning.map_scene()
            finish(other, wait)
        return other

    turned = mapped("turned", slice(None, None, -1))
    assert np.array_equal(turned.maps.array("labels"), right)
    assert "reverse order" in turned.status.text()
    shifted = mapped("shifted", slice(None), 300.0)
    assert "half a band width" in shifted.status.text()
    assert shifted.maps.get("labels") is None
    forced = mapped("forced", slice(None), 300.0, force=True)
    assert np.array_equal(forced.maps.array("labels"), right)
    assert "Forced although wavelengths" in forced.status.text()
    assert "half a band width" in forced.status.text()
