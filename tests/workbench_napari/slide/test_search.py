"""Similar tiles in the Slides tool: picked with the mouse, shown as a map and a gallery, and gone to."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from workbench_napari.launch import open_files
from workbench_napari.shared.napari_versions import camera_of
from workbench_napari.shared.views import canvas_of
from workbench_napari.slide.search_panel import STUDY

import workbench as wb
from tests.tiny import make_tiny_slide
from tests.workbench_napari.contract_window import press, until
from tests.workbench_napari.slide.hands import click, saved
from tests.workbench_napari.slide.test_tool import at_rest, canvas_place

pytestmark = pytest.mark.gui


@pytest.fixture
def embedded(opened):
    """A slide whose tiles StainNet has described."""
    viewer, tool = opened
    click(tool, tool.run_button)
    assert tool.search.group.pick.isEnabled(), tool.status.text()
    return viewer, tool


def click_at(viewer, layer, place):
    """A click on a place (y, x) of the slide."""
    at_rest(viewer)
    point = QPoint(*(round(v) for v in canvas_place(viewer, layer, place)))
    QTest.mouseClick(canvas_of(viewer), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, point)
    QTest.qWait(30)


def middle_of(tool, number):
    index = tool.search._index
    x, y = np.asarray(index.corners[number]) + index.slides[0].side / 2
    return y, x


def test_without_a_run_there_is_nothing_to_search(opened):
    _, tool = opened
    assert not tool.search.group.pick.isEnabled()
    assert "Run StainNet" in tool.search.group.hint.text()


def test_tiles_are_picked_searched_and_gone_to(embedded):
    viewer, tool = embedded
    page, slide = tool.search, tool.layer
    press(page.group.pick)
    click_at(viewer, slide, middle_of(tool, 3))
    assert page.picked == [3], tool.status.text()
    click_at(viewer, slide, middle_of(tool, 1))
    click_at(viewer, slide, middle_of(tool, 3))
    assert page.picked == [1], "a second click leaves it out"
    (box,) = viewer.layers["picked tiles"].data
    np.testing.assert_allclose(box.mean(0), np.array(middle_of(tool, 1)) - 0.5, atol=0.51)
    click_at(viewer, slide, (2.0, 2.0))
    assert "in no tile" in tool.status.text()
    press(page.group.pick)
    click_at(viewer, slide, middle_of(tool, 3))
    assert page.picked == [1], "nothing is picked once the button is up"
    click(tool, page.group.find)
    layer = viewer.layers["section similarity"]
    assert layer.visible
    assert tool.input.layer.count() == 1, "it is no slide"
    shown = np.asarray(layer.data)
    assert np.nanmax(shown) == pytest.approx(1, abs=2e-3)
    best = layer.data_to_world(np.argwhere(shown == np.nanmax(shown))[0])
    np.testing.assert_allclose(best, slide.data_to_world(np.array(middle_of(tool, 1)) - 0.5), atol=0.6)
    gallery = page.group.gallery
    assert gallery.count() == min(48, len(page._index) - 1)
    values = [float(gallery.item(i).text()) for i in range(gallery.count())]
    assert values == sorted(values, reverse=True)
    assert not gallery.item(0).icon().isNull()
    gallery.itemDoubleClicked.emit(gallery.item(0))
    tile = gallery.item(0).data(Qt.ItemDataRole.UserRole)
    want = slide.data_to_world(np.array(tile.corner[::-1]) + tile.side / 2 - 0.5)
    assert "similarity" in tool.status.text(), (tool.status.text(), tile)
    np.testing.assert_allclose(camera_of(viewer).center[-2:], want, atol=0.6)
    click(tool, tool.run_button)
    assert page.picked == []
    assert page.group.gallery.isHidden(), "another result was not searched yet"
    assert "picked tiles" not in viewer.layers


def test_the_whole_study_is_searched_and_its_slides_open(embedded, slide_weights, tmp_path):
    viewer, tool = embedded
    other = make_tiny_slide(tmp_path / "another.ome.tif", seed=4)
    saved(tool)
    settings = dict(tool.shown.made.provenance.settings)
    image = wb.read(other, kind="slide")
    same = {k: settings[k] for k in ("tile", "target_mpp", "stride")}
    wb.write(wb.predict("stainnet", image, weights=str(slide_weights), device="cpu", **same), tmp_path / "out")
    page = tool.search
    page.group.where.setCurrentText(STUDY)
    page.pick_at(tool.layer.data_to_world(np.array(middle_of(tool, 2)) - 0.5))
    click(tool, page.group.find)
    assert "of 2 slide(s)" in tool.status.text(), tool.status.text()
    tiles = [page.group.gallery.item(i).data(Qt.ItemDataRole.UserRole) for i in range(page.group.gallery.count())]
    assert {t.slide for t in tiles} == {"section", "another"}
    assert (np.array([t.similarity for t in tiles]) < 0.99999).any()
    away = next(t for t in tiles if t.slide == "another")
    page.go_to(away)
    until(lambda: "another" in [x.name for x in viewer.layers] and tool.layer.name == "another")
    want = tool.layer.data_to_world(np.array(away.corner[::-1]) + away.side / 2 - 0.5)
    until(lambda: np.allclose(camera_of(viewer).center[-2:], want, atol=0.6))
    wb.write(
        wb.predict("stainnet", image, weights=str(slide_weights), device="cpu", tile=64), tmp_path / "out" / "mixed"
    )
    tool.viewer.layers.selection.active = viewer.layers["section"]
    page.pick_at(viewer.layers["section"].data_to_world(np.array((500.0, 500.0))))
    if page.picked:
        click(tool, page.group.find)
        assert "cannot be compared" in tool.status.text()


def test_it_lets_go_of_the_canvas(embedded):
    viewer, tool = embedded
    before = len(viewer.mouse_drag_callbacks)
    press(tool.search.group.pick)
    assert len(viewer.mouse_drag_callbacks) == before + 1
    viewer.layers.remove(tool.layer)
    until(lambda: len(viewer.mouse_drag_callbacks) == before)


def test_nuclei_are_no_tiles(opened, cell_result):
    _, tool = opened
    tool.start("CellVTA", lambda _progress: cell_result, tool.shower(tool.layer))
    until(lambda: not tool.runner.is_busy)
    assert not tool.search.group.pick.isEnabled()


def test_the_sample_slide_too(window):
    tool = open_files(window(show=True), [], tool="slide")
    assert not tool.search.group.find.isEnabled()
