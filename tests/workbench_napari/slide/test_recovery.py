"""After a crash, work on slides comes back over its own slide, or waits for it."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared.opening import open_path

from tests.tiny import make_tiny_slide
from tests.workbench_napari.contract_window import until
from tests.workbench_napari.slide.hands import BOX, click, features, new_outline, saved

pytestmark = pytest.mark.gui


@pytest.fixture
def desk(window, tmp_path):
    """A window with one slide on which something is drawn and lost, and another slide open now."""
    viewer = window(show=True)
    one = make_tiny_slide(tmp_path / "a" / "one.ome.tif")
    other = make_tiny_slide(tmp_path / "b" / "other.ome.tif", seed=1)
    tool = open_files(viewer, [one], tool="slide")
    tool.folder.setText(str(tmp_path / "out"))

    def lose():
        viewer.layers.clear()
        tool.journal.flush()
        until(lambda: tool.recovery.list.count() > 0)
        open_path(viewer, other, tool, "slide")

    return viewer, tool, one, lose


def test_the_slide_is_opened_again_and_nothing_laid_over_another_one(desk):
    viewer, tool, _, lose = desk
    new_outline(viewer, tool)
    lose()
    (back,) = tool.recovery.restore_chosen()
    assert [x.name for x in viewer.layers] == ["other", "one", "one annotations"]
    assert tool.layer.name == "one"
    assert saved(tool).name == "one"
    assert np.allclose(back.data[0], BOX)


def test_where_the_slide_is_gone_the_work_waits_for_it(desk, tmp_path):
    viewer, tool, one, lose = desk
    new_outline(viewer, tool)
    lose()
    moved = tmp_path / "elsewhere" / one.name
    moved.parent.mkdir()
    shutil.move(one, moved)
    assert tool.recovery.restore_chosen() == []
    assert tool.status.text() == "'one annotations' is kept: open one.ome.tif to restore."
    assert tool.recovery.list.count() == 1
    assert [x.name for x in viewer.layers] == ["other"]
    # The very file in another place is its slide.
    open_path(viewer, moved, tool, "slide")
    (back,) = tool.recovery.restore_chosen()
    assert tool.layer.name == "one"
    assert len(features(saved(tool) / "annotations.geojson")) == 1
    assert not tool.unsaved.layers()
    assert back in viewer.layers


def test_another_slide_of_that_name_is_not_the_right_one(desk, tmp_path):
    viewer, tool, one, lose = desk
    new_outline(viewer, tool)
    lose()
    one.unlink()
    stranger = make_tiny_slide(tmp_path / "c" / one.name, seed=5)
    open_path(viewer, stranger, tool, "slide")
    assert tool.recovery.restore_chosen() == []
    assert tool.recovery.list.count() == 1


def test_a_file_that_was_changed_since_is_asked_about(desk):
    viewer, tool, one, lose = desk
    new_outline(viewer, tool)
    lose()
    os.utime(one, ns=(1, 1))
    tool.recovery.restore_chosen()
    assert tool.status.text().startswith("The file of one was changed since 'one annotations' was drawn")
    assert saved(tool).name == "one"


def test_a_mask_on_pixels_of_a_given_size_comes_back_in_place(desk):
    viewer, tool, _, lose = desk
    tool.input.model.form.set_values({"mpp": 0.25})
    click(tool, tool.area_group.find)
    mask = viewer.layers["one mask"]
    mask.data_setitem((np.array([1]), np.array([1])), 1)
    scale = mask.scale.copy()
    lose()
    (back,) = tool.recovery.restore_chosen()
    slide = viewer.layers["one"]
    assert tool.layer is slide
    assert np.allclose(slide.scale, 0.25)
    assert np.allclose(back.scale, scale)
    assert tool.input.model.form.widgets["mpp"].value == "0.25"
    assert (saved(tool) / "mask.ome.tif").is_file()
