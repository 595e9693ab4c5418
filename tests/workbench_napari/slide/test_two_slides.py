"""Two slides in one window: what is drawn on one is never saved with the other."""

from __future__ import annotations

import os

import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared.opening import open_path

from tests.tiny import make_tiny_slide
from tests.workbench_napari.contract_window import press, until
from tests.workbench_napari.slide.hands import BOX, click, features, new_outline, ready, saved
from workbench.core.layers import KEY

pytestmark = pytest.mark.gui


@pytest.fixture
def both(window, slide_file, slide_weights, tmp_path):
    viewer = window(show=True)
    other = make_tiny_slide(tmp_path / "other" / "other.ome.tif", seed=1)
    tool = open_files(viewer, [slide_file, other])
    tool.input.model.weights.choose_file(slide_weights)
    tool.input.model.device.setCurrentText("cpu")
    tool.folder.setText(str(tmp_path / "out"))
    return viewer, tool, viewer.layers["section"], viewer.layers["other"]


def choose(viewer, layer):
    viewer.layers.selection.active = layer


def files_in(tmp_path, name):
    return sorted(p.name for p in (tmp_path / "out").glob(f"{name}/*"))


def test_a_layer_of_a_result_chooses_its_slide_and_saves_nothing_of_the_other(both, tmp_path):
    viewer, tool, one, other = both
    choose(viewer, one)
    click(tool, tool.run_button)
    choose(viewer, other)
    drawn = new_outline(viewer, tool)
    assert drawn.metadata[KEY]["source"].endswith("other.ome.tif")
    choose(viewer, viewer.layers["section structure"])
    assert tool.layer is one
    assert tool.result.isVisibleTo(tool)
    folder = saved(tool)
    assert folder.name == "section"
    assert "annotations.geojson" not in files_in(tmp_path, "section")
    assert tool.unsaved.layers() == [drawn]
    assert "Not saved: 'other annotations' of another slide" in tool.status.text()
    # The other one is saved with its own slide, once that is chosen.
    choose(viewer, drawn)
    assert tool.layer is other
    assert not tool.shown.token
    assert saved(tool).name == "other"
    assert tool.unsaved.layers() == []


def test_a_run_that_ends_while_another_slide_is_drawn_on_does_not_take_its_outlines(both, tmp_path):
    viewer, tool, one, other = both
    choose(viewer, one)
    ready(tool)
    press(tool.run_button)
    choose(viewer, other)
    drawn = new_outline(viewer, tool)
    until(lambda: not tool.runner.is_busy)
    assert "section structure" in [x.name for x in viewer.layers]
    assert tool.status.text().startswith("section: Done in")
    assert tool.layer is other
    assert viewer.layers.selection.active is drawn
    assert not tool.shown.token
    assert saved(tool).name == "other"
    assert "section" not in [p.name for p in (tmp_path / "out").iterdir()]
    choose(viewer, one)
    assert tool.shown.token
    saved(tool)
    assert "annotations.geojson" not in files_in(tmp_path, "section")


def test_the_result_of_a_slide_that_was_closed_is_saved_without_the_work_on_another(both, tmp_path):
    viewer, tool, one, other = both
    choose(viewer, one)
    own = new_outline(viewer, tool, BOX + 20)
    ready(tool)
    press(tool.run_button)
    viewer.layers.remove(one)
    choose(viewer, other)
    drawn = new_outline(viewer, tool)
    until(lambda: not tool.runner.is_busy)
    choose(viewer, viewer.layers["section tissue"])
    assert saved(tool).name == "section"
    (written,) = features(tmp_path / "out" / "section" / "annotations.geojson")
    assert written["geometry"]["coordinates"][0][0] == [320.5, 320.5]
    assert tool.unsaved.layers() == [drawn]
    assert own in viewer.layers
    choose(viewer, other)
    assert not tool.shown.token
    assert saved(tool).name == "other"


def test_outlines_that_are_left_of_a_closed_slide_are_saved_for_it(both, tmp_path):
    viewer, tool, one, other = both
    choose(viewer, one)
    left = new_outline(viewer, tool)
    viewer.layers.remove(one)
    choose(viewer, other)
    drawn = new_outline(viewer, tool, BOX + 20)
    choose(viewer, left)
    assert saved(tool).name == "section"
    assert tool.unsaved.layers() == [drawn]
    tool.take_up(drawn)
    assert saved(tool).name == "other"
    (written,) = features(tmp_path / "out" / "other" / "annotations.geojson")
    assert written["geometry"]["coordinates"][0][0] == [320.5, 320.5]


def test_what_was_said_of_a_slide_goes_with_it(both):
    viewer, tool, *_ = both
    click(tool, tool.area_group.find)
    assert tool.status.text().startswith("Tissue of")
    viewer.layers.clear()
    assert tool.status.text() == ""


def test_the_mask_that_a_run_took_its_tiles_in_is_hidden_whichever_is_chosen_meanwhile(both):
    viewer, tool, one, _ = both
    choose(viewer, one)
    click(tool, tool.area_group.find)
    first = viewer.layers[-1]
    click(tool, tool.area_group.find)
    second = viewer.layers[-1]
    assert tool.where.layer is second
    ready(tool)
    press(tool.run_button)
    tool.where.choose(first)
    until(lambda: not tool.runner.is_busy)
    assert first.visible
    assert not second.visible


def test_the_same_slide_opened_twice_is_one_slide(both, slide_file):
    viewer, tool, one, _ = both
    choose(viewer, one)
    drawn = new_outline(viewer, tool)
    open_path(viewer, slide_file, tool, "slide")
    assert tool.layer is not one
    choose(viewer, drawn)
    assert tool.layer is not one
    assert saved(tool).name == "section"
    assert tool.unsaved.layers() == []


def test_another_slide_that_was_put_under_the_path_of_the_first_is_another_one(both, slide_file, tmp_path):
    viewer, tool, *_ = both
    viewer.layers.clear()
    path = make_tiny_slide(tmp_path / "swapped" / "case.ome.tif")
    open_path(viewer, path, tool, "slide")
    drawn = new_outline(viewer, tool)
    viewer.layers.remove("case")
    make_tiny_slide(path, seed=3)
    os.utime(path, ns=(1, 1))
    open_path(viewer, path, tool, "slide")
    click(tool, tool.run_button)
    folder = saved(tool)
    assert not (folder / "annotations.geojson").exists()
    assert tool.unsaved.layers() == [drawn]
