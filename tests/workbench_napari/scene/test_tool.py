"""The Spectra tool in a real napari window: look, paint, learn, cancel, undo, save, reopen."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit
from workbench_napari.launch import open_files
from workbench_napari.scene.bands_panel import OWN, PCA
from workbench_napari.shared.saving import state_of

import workbench as wb
from tests.scene_maker import MAP_INFO, save_envi
from workbench.core.classes import ClassTable
from workbench.core.layers import KEY
from workbench.training.lesson import MapBoard, Outcome

pytestmark = pytest.mark.gui

ROWS, COLUMNS, BANDS = 36, 48, 24
WAVELENGTHS = np.linspace(440, 940, BANDS)
FAST = {"steps": 4, "components": 5, "validate_every": 4, "patch": 7, "head_start": 80, "batch": 12}


def truth() -> np.ndarray:
    """Three materials in stripes."""
    return np.repeat(np.arange(1, 4), COLUMNS // 3)[None].repeat(ROWS, axis=0)


@pytest.fixture(scope="module")
def scene_file(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = (WAVELENGTHS - 440) / 500
    pure = np.stack([0.1 + 0.5 * (x > 0.55), 0.35 - 0.25 * x, 0.15 + 0.4 * x])
    data = pure[truth() - 1].transpose(2, 0, 1) + rng.normal(scale=0.01, size=(BANDS, ROWS, COLUMNS))
    bad = ", ".join("0" if 10 <= b < 13 else "1" for b in range(BANDS))
    return save_envi(
        tmp_path_factory.mktemp("scene"),
        data.astype(np.float32),
        name="meadow",
        wavelength="{" + ", ".join(f"{w:.1f}" for w in WAVELENGTHS) + "}",
        wavelength_units="Nanometers",
        bbl="{" + bad + "}",
        map_info=MAP_INFO,
    )


@pytest.fixture
def opened(window, scene_file, tmp_path):
    viewer = window()
    tool = open_files(viewer, [scene_file])
    tool.device.setCurrentText("cpu")
    tool.learning.form.set_values(FAST)
    tool.folder.setText(str(tmp_path / "out"))
    return viewer, tool


def paint(tool, names=("wood", "water", "soil"), per_class=8, seed=0):
    rng = np.random.default_rng(seed)
    for name in names:
        value = tool.painting.add_class(name)
        layer = tool.painting.layer
        layer.brush_size = 1
        for index in rng.choice(np.flatnonzero(truth() == value), per_class, replace=False):
            layer.paint(np.unravel_index(index, layer.data.shape), value)
    return tool.painting.layer


def finish(tool, wait, seconds=120):
    wait(lambda: not tool.runner.is_busy, seconds)


def row(tool, name):
    table = tool.painting.table
    for r in range(table.row_count()):
        if table.text_at(r, 1) == name:
            return int(table.text_at(r, 2).replace(",", "")), table.text_at(r, 3)
    raise AssertionError(f"no row {name}")


def move(viewer, world):
    for callback in viewer.mouse_move_callbacks:
        callback(viewer, SimpleNamespace(position=world))


def click(viewer, world, drag=0):
    """A press and release as napari sends them."""
    event = SimpleNamespace(type="mouse_press", pos=np.array([5, 5]), position=world, button=1, modifiers=())
    generators = [g for c in viewer.mouse_drag_callbacks if (g := c(viewer, event)) is not None]
    for g in generators:
        next(g, None)
    if drag:
        event.type, event.pos = "mouse_move", np.array([5 + drag, 5])
        for g in generators:
            next(g, None)
    event.type = "mouse_release"
    for g in generators:
        next(g, None)


def test_a_cube_opens_with_the_spectra_tool_in_natural_colours(opened):
    viewer, tool = opened
    layer = viewer.layers["meadow"]
    assert type(tool).__name__ == "SceneTool"
    assert layer.rgb
    assert layer.data.shape == (ROWS, COLUMNS, 3)
    assert np.allclose(layer.scale, 20)
    assert [str(u) for u in layer.units] == ["meter", "meter"]
    assert tool.looking.colours.preset.currentText() == "Natural colour"
    shown = [WAVELENGTHS[b] for b in tool.looking.colours.bands]
    assert np.abs(np.array(shown) - (640, 550, 460)).max() < 12
    assert "36 × 48 pixels, 24 bands" in tool.looking.info.text()
    assert "3 bad bands" in tool.looking.info.text()
    names = [tool.looking.colours.preset.itemText(i) for i in range(tool.looking.colours.preset.count())]
    assert names == ["Natural colour", "Colour-infrared", PCA, OWN]


def test_sliders_and_presets_show_other_bands(opened, wait):
    viewer, tool = opened
    layer = viewer.layers["meadow"]
    before = layer.data.copy()
    tool.looking.colours.sliders[0].setValue(22)
    wait(lambda: not np.array_equal(layer.data, before))
    assert tool.looking.colours.preset.currentText() == OWN
    assert "nm (23)" in tool.looking.colours.texts[0].text()
    red = layer.data[..., 0].astype(float)
    sample = wb.read(tool.looking.scene.image.source).data[22]
    assert np.corrcoef(red.ravel(), sample.ravel())[0, 1] > 0.99
    now = layer.data.copy()
    tool.looking.colours.preset.setCurrentText(PCA)
    wait(lambda: not np.array_equal(layer.data, now))
    assert not tool.looking.colours.sliders[0].isEnabled()
    assert tool.looking.plot.bands == ()


def test_the_plot_follows_the_cursor_and_pins_clicks(opened, wait):
    viewer, tool = opened
    cube = wb.read(tool.looking.scene.image.source).data
    move(viewer, (10 * 20.0, 30 * 20.0))
    wait(lambda: tool.looking.plot.cursor_shown)
    x, y = tool.looking.plot._cursor.get_data()
    good = np.array(tool.looking.scene.good)
    assert np.allclose(x, WAVELENGTHS, atol=0.06)
    assert np.allclose(y[good], cube[good, 10, 30])
    assert np.isnan(y[~good]).all()
    assert tool.looking.place.text().startswith("row 10, column 30; x 565610.0, y 4149790.0")
    move(viewer, (-500.0, 0.0))
    assert not tool.looking.plot.cursor_shown
    click(viewer, (10 * 20.0, 30 * 20.0))
    click(viewer, (12 * 20.0, 3 * 20.0), drag=30)
    assert [(p.row, p.column) for p in tool.looking.plot.pins] == [(10, 30)]
    assert np.allclose(tool.looking.plot.pins[0].spectrum, cube[:, 10, 30])
    tool.painting.add_class("wood")
    click(viewer, (1.0, 1.0))
    assert len(tool.looking.plot.pins) == 1, "the click was a stroke of the brush"
    tool.looking.clear_pins_button.click()
    assert tool.looking.plot.pins == []


def test_painting_counts_pixels_and_averages_spectra(opened, wait):
    _, tool = opened
    layer = paint(tool)
    wait(lambda: len(tool.looking.plot.classes) == 3 and row(tool, "soil")[0] == 8)
    cube = wb.read(tool.looking.scene.image.source).data
    for shown in tool.looking.plot.classes:
        values = cube[:, layer.data == shown.value]
        assert np.allclose(shown.mean, values.mean(axis=1))
        assert np.allclose(shown.deviation, values.std(axis=1, ddof=1))
    tool.painting.undo_button.click()
    assert row(tool, "soil")[0] == 7
    tool.painting.redo_button.click()
    assert row(tool, "soil")[0] == 8


def test_a_large_scene_is_counted_in_a_thread(opened, wait, monkeypatch):
    from workbench_napari.scene import painting

    monkeypatch.setattr(painting, "_COUNTED_AT_ONCE", 0)
    _, tool = opened
    layer = paint(tool)
    wait(lambda: len(tool.looking.plot.classes) == 3 and row(tool, "soil")[0] == 8)
    before = layer.features
    tool.painting.undo_button.click()
    tool.painting.show_table()
    wait(lambda: row(tool, "soil")[0] == 7)
    assert layer.features is not before
    assert list(layer.features["pixels"])[1:] == [8, 8, 7]
    wait(lambda: not tool.painting._counting.is_busy)
    assert len(tool.looking.plot.classes) == 3


def test_classes_are_renamed_recoloured_removed_and_brought_back(opened, wait):
    _, tool = opened
    layer = paint(tool)
    tool.painting.count()
    table = tool.painting.table
    table.edit(table.model().index(0, 1))
    (editor,) = table.findChildren(QLineEdit)
    QTest.keyClicks(editor, "forest")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    wait(lambda: table.text_at(0, 1) == "forest")
    assert tool.painting.classes.names == ("forest", "water", "soil")
    tool.painting.recolor_class(2, (1, 2, 3))
    assert np.allclose(layer.get_color(2)[:3], np.array([1, 2, 3]) / 255, atol=1e-3)
    tool.painting.table.selectRow(1)
    assert layer.selected_label == 2
    tool.painting.remove_button.click()
    assert tool.painting.classes.names == ("forest", "soil")
    assert not (layer.data == 2).any()
    tool.painting.undo_button.click()
    assert set(tool.painting.classes.names) == {"forest", "water", "soil"}
    assert (layer.data == 2).sum() == 8
    assert tool.painting.add_class() == 4
    assert tool.journal.is_unsaved(layer)


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
        return Outcome(None, None, "mapped")

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
        tool.learning.learn_button.click()
    finish(tool, wait, 30)
    if how == "done":
        assert np.array_equal(half.data, board.whole)
    else:
        assert half not in viewer.layers
    assert "other map" not in viewer.layers
    assert tool.learning.model is None


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


def test_failed_save_keeps_the_painted_pixels_and_says_so(opened, wait, tmp_path):
    _, tool = opened
    layer = paint(tool)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    tool.folder.setText(str(blocked))
    assert tool.save()
    finish(tool, wait, 60)
    assert "cannot write" in tool.status.text()
    assert "kept" in tool.status.text()
    assert tool.journal.is_unsaved(layer)


def test_painted_pixels_survive_a_crash(opened, wait, window, scene_file):
    viewer, tool = opened
    layer = paint(tool)
    tool.painting.rename_class(1, "forest")
    drawn, names = layer.data.copy(), tool.painting.classes.names
    tool.journal.flush()
    viewer.layers.remove(layer)
    tool.journal.flush()
    wait(lambda: tool.recovery.list.count() == 1)
    viewer.layers.clear()
    assert not tool.empty.isHidden()
    (back,) = tool.recovery.restore_chosen()
    assert np.array_equal(back.data, drawn)
    assert [layer.name for layer in viewer.layers] == ["meadow", "meadow painted"], "the scene is opened first"
    assert tool.painting.layer is back
    assert tool.painting.classes.names == names == ("forest", "water", "soil")


@pytest.mark.parametrize(("suffix", "format"), [("tif", "GeoTIFF (.tif)"), ("npy", "NumPy (.npy)")])
def test_other_formats(opened, wait, suffix, format):
    _, tool = opened
    layer = paint(tool)
    tool.format.setCurrentText(format)
    assert tool.save()
    finish(tool, wait, 60)
    path = tool.last_folder / f"painted.{suffix}"
    assert np.array_equal(np.squeeze(wb.read(path).data), layer.data)


def test_napari_saves_a_class_map_on_the_grid_of_its_scene(opened, tmp_path):
    viewer, tool = opened
    layer = paint(tool)
    for name in ("mine.dat", "mine.tif", "mine.npy"):
        assert viewer.layers.save(str(tmp_path / name), selected=True, plugin="napari-workbench")
    image = wb.read(tmp_path / "mine.hdr")
    assert np.array_equal(image.data[0], layer.data)
    assert np.array_equal(image.geometry.affine, tool.looking.scene.geometry.affine)
    assert image.classes.names == ("wood", "water", "soil")


def test_a_cube_without_wavelengths_goes_by_band_numbers(window, tmp_path):
    data = np.random.default_rng(0).random((9, 10, 12), dtype=np.float32)
    path = tmp_path / "plain.npy"
    np.save(path, data)
    viewer = window()
    tool = open_files(viewer, [path])
    assert type(tool).__name__ == "SceneTool"
    assert tool.looking.colours.preset.currentText() == OWN
    assert tool.looking.colours.texts[0].text().startswith("band ")
    assert tool.looking.plot._label == "Band number"
    assert "bands go by number" in tool.looking.info.text()


def test_both_tools_live_in_one_window(window, scene_file, ct_file):
    viewer = window()
    spectra = open_files(viewer, [scene_file])
    volume = open_files(viewer, [ct_file])
    assert type(volume).__name__ == "VolumeTool"
    spectra.painting.add_class("wood")
    assert volume.image_layer is viewer.layers["ct"]
    assert volume.labels_layer is None
    assert spectra.looking.scene.layer is viewer.layers["meadow"]


def test_closing_the_dock_lets_go_of_the_viewer(opened, wait):
    viewer, tool = opened
    layer, models = paint(tool), tool.learning.versions.folder
    parts = (tool, tool.looking, tool.painting, tool.learning, tool.results)

    def called():
        callbacks = [*viewer.mouse_move_callbacks, *viewer.mouse_drag_callbacks]
        return [c for c in callbacks if any(getattr(c, "__self__", None) is part for part in parts)]

    assert len(called()) == 2
    (dock,) = viewer.window._wrapped_dock_widgets.values()
    dock.destroyOnClose()  # what the x in its title does
    assert tool._wires == []
    assert called() == []
    wait(lambda: not models.exists())
    layer.paint((3, 3), 1)
    viewer.layers.remove("meadow")
    again = open_files(viewer, [])
    assert again is not tool


def test_damaged_header_is_said_in_the_tool(window, scene_file, tmp_path):
    path = tmp_path / "short.hdr"
    path.write_text(scene_file.read_text(encoding="utf-8"))
    (tmp_path / "short.dat").write_bytes(b"too short")
    viewer = window()
    tool = open_files(viewer, [path])
    assert type(tool).__name__ == "SceneTool"
    assert "short" in tool.status.text()
    assert len(viewer.layers) == 0


def test_the_state_of_a_layer_survives_json(opened):
    _, tool = opened
    layer = paint(tool)
    record = state_of(layer)[1]["metadata"][KEY]
    assert json.loads(json.dumps(record)) == record
