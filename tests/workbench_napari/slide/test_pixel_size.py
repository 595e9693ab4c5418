"""The size of a pixel that a person gives belongs to one slide, and is seen at once."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtTest import QTest
from workbench_napari.launch import open_files
from workbench_napari.shared.opening import open_path

from tests.tiny import make_tiny_slide
from tests.workbench_napari.contract_window import until
from tests.workbench_napari.slide.hands import click, new_outline, record, saved

pytestmark = pytest.mark.gui


def field(tool):
    return tool.input.model.form.widgets["mpp"]


def type_in(tool, text):
    """As a person does: letters, and out of the field."""
    line = field(tool).native
    line.clear()
    QTest.keyClicks(line, text)
    line.editingFinished.emit()


def test_it_stays_with_its_slide(opened, tmp_path):
    viewer, tool = opened
    one = viewer.layers["section"]
    open_path(viewer, make_tiny_slide(tmp_path / "other.ome.tif", seed=1), tool, "slide")
    other = viewer.layers["other"]
    viewer.layers.selection.active = one
    type_in(tool, "0.25")
    assert np.allclose(one.scale, 0.25)
    assert tool.status.text() == "section is shown with 0.25 um per pixel as given; its file states 0.5."
    assert "of 0.25 um, as given" in tool.input.about.text()
    viewer.layers.selection.active = other
    assert field(tool).value == ""
    click(tool, tool.area_group.find)
    assert np.allclose(other.scale, 0.5)
    viewer.layers.selection.active = one
    assert field(tool).value == "0.25"


def test_what_was_typed_last_stays_with_the_slide_that_was_chosen_then(opened, tmp_path):
    viewer, tool = opened
    one = viewer.layers["section"]
    line = field(tool).native
    line.clear()
    QTest.keyClicks(line, "0.3")
    open_path(viewer, make_tiny_slide(tmp_path / "other.ome.tif", seed=1), tool, "slide")
    assert np.allclose(one.scale, 0.3)
    assert np.allclose(viewer.layers["other"].scale, 0.5)
    assert field(tool).value == ""


def test_finding_tissue_says_that_it_differs_from_the_file(opened):
    _, tool = opened
    tool.input.model.form.set_values({"mpp": 0.25})
    click(tool, tool.area_group.find)
    assert "0.25 um per pixel are used as given; the file states 0.5" in tool.status.text()


def test_a_result_of_before_is_not_left_behind_without_a_word(opened):
    viewer, tool = opened
    click(tool, tool.run_button)
    type_in(tool, "0.25")
    assert "Its result was made with the size of before" in tool.status.text()
    assert np.allclose(viewer.layers["section"].scale, 0.25)


def test_it_is_seen_and_saved_without_a_run_and_cleared_again(window, slide_weights, tmp_path):
    import tifffile

    path = tmp_path / "bare.tif"
    pixels = tifffile.imread(make_tiny_slide(tmp_path / "s.ome.tif"))
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(256, 256))
    viewer = window(show=True)
    tool = open_files(viewer, [path], kind="slide")
    tool.folder.setText(str(tmp_path / "out"))
    layer = viewer.layers["bare"]
    assert "how large they are is not known" in tool.input.about.text()
    drawn = new_outline(viewer, tool)
    type_in(tool, "0,5")
    assert [str(u) for u in layer.units] == ["micrometer", "micrometer"]
    assert np.allclose(layer.scale, 0.5)
    assert np.allclose(drawn.scale, 0.5)
    folder = saved(tool)
    lines = (folder / "annotations.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith("area [mm2]")
    assert float(lines[1].split(",")[2]) == pytest.approx(520**2 * 0.25e-6)
    click(tool, tool.area_group.find)
    mask = viewer.layers["bare mask"]
    type_in(tool, "")
    assert [str(u) for u in layer.units] == ["pixel", "pixel"]
    for shown in (layer, drawn):
        assert np.allclose(shown.scale, 1)
    assert np.allclose(mask.scale, 1024 / mask.data.shape[0])
    click(tool, tool.run_button)
    assert "unknown size: give it as Mpp" in tool.status.text()
    click(tool, tool.save_button)
    assert tool.status.text().startswith("'bare mask' lies on a slide whose pixels are of unknown size")
    viewer.layers.remove(mask)
    assert "area [pixels]" in (saved(tool) / "annotations.csv").read_text(encoding="utf-8")


def test_a_slide_that_is_open_twice_has_pixels_of_one_size(opened, slide_file):
    viewer, tool = opened
    drawn = new_outline(viewer, tool)
    type_in(tool, "0.25")
    open_path(viewer, slide_file, tool, "slide")
    again = viewer.layers[-1]
    assert tool.layer is again
    assert np.allclose(again.scale, 0.25)
    assert field(tool).value == "0.25"
    type_in(tool, "1")
    assert all(np.allclose(x.scale, 1) for x in (viewer.layers["section"], again, drawn))


def test_a_text_that_is_no_size_changes_nothing_and_is_refused_by_the_run(opened):
    viewer, tool = opened
    type_in(tool, "abc")
    assert np.allclose(viewer.layers["section"].scale, 0.5)
    click(tool, tool.run_button)
    assert "abc" in tool.status.text()
    until(lambda: not tool.runner.is_busy)


def test_hand_work_under_a_given_size_is_saved_in_it(opened):
    viewer, tool = opened
    type_in(tool, "0.25")
    new_outline(viewer, tool)
    folder = saved(tool)
    assert any("0.25 um per pixel are used as given" in note for note in record(folder)["notes"])


def test_annotations_saved_in_another_size_than_that_of_the_run_say_so(opened):
    viewer, tool = opened
    click(tool, tool.run_button)
    type_in(tool, "0.25")
    new_outline(viewer, tool)
    notes = record(saved(tool))["notes"]
    assert "the run took 0.5 um per pixel, the annotations were saved with 0.25 um per pixel" in notes


# --- layers that were moved as a whole


def test_outlines_that_were_moved_as_a_layer_are_saved_where_they_are_seen(opened):
    from tests.workbench_napari.slide.hands import features

    viewer, tool = opened
    layer = new_outline(viewer, tool)
    layer.translate = (50, 0)  # micrometres: 100 pixels down
    folder = saved(tool)
    (written,) = features(folder / "annotations.geojson")
    ring = np.array(written["geometry"]["coordinates"][0])
    assert ring.min(0).tolist() == [300.5, 400.5]
    layer.translate, layer.rotate = (0, 0), 90
    ring = np.array(features(saved(tool) / "annotations.geojson")[0]["geometry"]["coordinates"][0])
    corner = viewer.layers["section"].world_to_data(layer.data_to_world(layer.data[0][0]))
    assert np.abs(ring - (np.array(corner)[::-1] + 0.5)).sum(1).min() < 1e-3


def test_a_mask_that_was_moved_is_refused_in_a_line(opened):
    viewer, tool = opened
    click(tool, tool.area_group.find)
    mask = viewer.layers["section mask"]
    mask.data_setitem(np.nonzero(mask.data), 0)
    mask.translate = np.array(mask.translate) + 30
    click(tool, tool.save_button)
    assert tool.status.text().startswith("'section mask' was moved")
    assert tool.unsaved.layers() == [mask]
    click(tool, tool.run_button)
    assert tool.status.text().startswith("'section mask' was moved")


def test_a_slide_moved_with_all_that_lies_on_it_is_saved_as_before(opened):
    from tests.workbench_napari.slide.hands import features

    viewer, tool = opened
    click(tool, tool.area_group.find)
    layer = new_outline(viewer, tool)
    for shown in viewer.layers:
        shown.translate = np.array(shown.translate) + 30
    assert layer in viewer.layers
    ring = features(saved(tool) / "annotations.geojson")[0]["geometry"]["coordinates"][0]
    assert np.allclose(np.min(ring, axis=0), [300.5, 300.5], atol=1e-6)
