"""The Spectra tool in a real napari window: look, paint, undo, save, recover."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit
from workbench_napari.launch import open_files
from workbench_napari.scene.bands_panel import OWN, PCA
from workbench_napari.shared.saving import state_of

import workbench as wb
from tests.workbench_napari.scene.window import COLUMNS, ROWS, WAVELENGTHS, click, finish, move, paint, row
from workbench.core.layers import KEY

pytestmark = pytest.mark.gui


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
    layer.paint((3, 3), 1)
    viewer.layers.remove("meadow")
    again = open_files(viewer, [], tool="scene")
    assert again is not tool
    assert again.learning.versions.folder == models, "what was learnt is that of the window"
    assert models.exists()
    viewer.close()
    wait(lambda: not models.exists())


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
