"""Clusters of tiles in the Slides tool: found, coloured on the slide, and the same tiles as dots, linked both ways."""

from __future__ import annotations

import time

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from workbench_napari.shared.napari_versions import camera_of
from workbench_napari.shared.theme import colors_of, contrast, hex_of
from workbench_napari.slide.scatter import TileScatter
from workbench_napari.slide.scatter_image import drawn, inside, nearest

from tests.workbench_napari.contract_window import press, until
from tests.workbench_napari.slide.hands import click
from tests.workbench_napari.slide.test_search import click_at, embedded, middle_of  # noqa: F401
from workbench.core.layers import KEY

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def tiled(opened):
    """A slide that StainNet has described in small tiles."""
    viewer, tool = opened
    tool.input.model.form.widgets["tile"].value = 64
    click(tool, tool.run_button)
    assert len(tool.search.index) > 30, tool.status.text()
    return viewer, tool


def grouped(tool, count=3):
    """Ask for clusters, and wait for them."""
    page = tool.clusters
    tool.bring_into_sight(page.group)
    page.group.count.setValue(count)
    click(tool, page.group.find)
    assert page.found is not None, tool.status.text()
    QTest.qWait(50)
    return page


def place_of(scatter, number):
    return QPoint(*(int(v) for v in scatter.places()[number]))


def lonely(scatter):
    """A dot that no other is near to."""
    places = scatter.places()
    away = np.abs(places[:, None] - places).max(2) + 1e6 * np.eye(len(places))
    return int(away.min(1).argmax())


def box(scatter, first, last, modifier=NONE):
    """Drag over dots with the mouse."""
    QTest.mousePress(scatter, LEFT, modifier, first)
    for share in (0.3, 0.6, 1.0):
        QTest.mouseMove(scatter, first + (last - first) * share)
    QTest.mouseRelease(scatter, LEFT, modifier, last)


def framed(page):
    """Middles of the frames on the slide, in pixels of the slide (y, x), in order."""
    from scipy import ndimage

    layer = page._frames
    lines, number = ndimage.label(np.asarray(layer.data) > 0)
    middles = [(r.start + r.stop - 1, c.start + c.stop - 1) for r, c in ndimage.find_objects(lines)]
    assert number == len(middles)
    slide = page._tool.layer
    return np.array([slide.world_to_data(layer.data_to_world(np.array(m) / 2)) for m in middles])


@pytest.mark.gui
def test_without_a_run_there_is_nothing_to_group(opened):
    _, tool = opened
    assert not tool.clusters.group.find.isEnabled()
    assert "Run StainNet" in tool.clusters.group.hint.text()
    assert tool.clusters.group.scatter.isHidden()


@pytest.mark.gui
def test_clusters_lie_over_the_slide_in_the_colours_of_the_dots(tiled):
    viewer, tool = tiled
    page = grouped(tool, 0)
    clusters, layer = page.found.clusters, viewer.layers["section clusters"]
    assert page.group.scatter.isVisible()
    assert page.group.list.count() == len(clusters)
    assert "silhouette" in page.group.hint.text()
    assert "PCA" in page.group.hint.text()
    assert not layer.editable
    slide = tool.layer
    for number, label in enumerate(clusters.labels.tolist()):
        at = layer.world_to_data(slide.data_to_world(np.array(middle_of(tool, number)) - 0.5))
        assert np.asarray(layer.data)[tuple(np.rint(at).astype(int))] == label
        color = np.array(layer.colormap.map(label)).reshape(-1)[:3] * 255
        np.testing.assert_allclose(color, page.group.scatter._dots[number], atol=1)
    assert layer not in tool.unsaved.layers()
    assert viewer.layers.selection.active is not layer


@pytest.mark.gui
def test_a_dot_leads_to_its_tile_and_a_tile_to_its_dot(tiled):
    viewer, tool = tiled
    page = grouped(tool)
    scatter, slide = page.group.scatter, tool.layer
    number = lonely(scatter)
    QTest.mouseClick(scatter, LEFT, NONE, place_of(scatter, number))
    assert scatter.chosen.tolist() == [number]
    want = np.array(middle_of(tool, number)) - 0.5
    np.testing.assert_allclose(framed(page), [want], atol=0.6)
    np.testing.assert_allclose(camera_of(viewer).center[-2:], slide.data_to_world(want), atol=0.6)
    assert f"cluster {page.found.clusters.labels[number]}" in tool.status.text()

    viewer.reset_view()
    before = camera_of(viewer).center
    click_at(viewer, slide, middle_of(tool, 3))
    assert scatter.chosen.tolist() == [3]
    np.testing.assert_allclose(framed(page), [np.array(middle_of(tool, 3)) - 0.5], atol=0.6)
    assert camera_of(viewer).center == pytest.approx(before), "who clicks the slide is there already"
    click_at(viewer, slide, (2.0, 2.0))
    assert scatter.chosen.tolist() == [3], "where no tile is, nothing changes"
    press(tool.search.group.pick)
    click_at(viewer, slide, middle_of(tool, 1))
    assert tool.search.picked == [1]
    assert scatter.chosen.tolist() == [3], "who picks tiles for a search means that"


@pytest.mark.gui
def test_a_box_and_a_lasso_choose_dots_and_escape_none(tiled):
    _, tool = tiled
    page = grouped(tool)
    scatter = page.group.scatter
    places = scatter.places()
    middle = float(np.median(places[:, 0]))
    first, last = QPoint(2, 2), QPoint(int(middle), scatter.height() - 2)
    box(scatter, first, last)
    left = np.flatnonzero(places[:, 0] < int(middle))
    assert 0 < len(left) < len(places)
    assert scatter.chosen.tolist() == left.tolist()
    assert len(framed(page)) <= len(left)
    data = np.asarray(page._frames.data)
    assert np.count_nonzero(data) > 0
    assert "are marked on the slide" in tool.status.text()
    number = int(np.argmax(places[:, 0]))
    QTest.mouseClick(scatter, LEFT, Qt.KeyboardModifier.ControlModifier, place_of(scatter, number))
    assert len(scatter.chosen) >= len(left) + 1
    corner = QPoint(scatter.width() - 2, 2)
    QTest.mousePress(scatter, LEFT, Qt.KeyboardModifier.ShiftModifier, first)
    for at in (corner, QPoint(2, scatter.height() - 2)):
        QTest.mouseMove(scatter, at)
    QTest.mouseRelease(scatter, LEFT, Qt.KeyboardModifier.ShiftModifier, QPoint(2, scatter.height() - 2))
    triangle = np.array([(2, 2), (corner.x(), 2), (2, scatter.height() - 2)], float)
    assert scatter.chosen.tolist() == np.flatnonzero(inside(places, triangle)).tolist()
    QTest.keyClick(scatter, Qt.Key.Key_Escape)
    assert scatter.chosen.tolist() == []
    assert not np.asarray(page._frames.data).any()


@pytest.mark.gui
def test_a_cluster_can_be_hidden_and_chosen_as_a_whole(tiled):
    viewer, tool = tiled
    page = grouped(tool)
    scatter, labels = page.group.scatter, page.found.clusters.labels
    layer = viewer.layers["section clusters"]
    page.group.list.itemDoubleClicked.emit(page.group.list.item(0))
    assert scatter.chosen.tolist() == np.flatnonzero(labels == 1).tolist()
    page.group.list.item(0).setCheckState(Qt.CheckState.Unchecked)
    assert scatter.chosen.size == 0
    assert np.asarray(layer.colormap.color_dict[1])[3] == 0
    assert np.asarray(layer.colormap.color_dict[2])[3] == 1
    number = int(np.flatnonzero(labels == 1)[0])
    scatter.choose([number])
    assert scatter.chosen.size == 0, "what is hidden cannot be chosen"
    page.group.list.item(0).setCheckState(Qt.CheckState.Checked)
    assert np.asarray(layer.colormap.color_dict[1])[3] == 1


@pytest.mark.gui
def test_other_clusters_take_the_place_of_those_before(tiled):
    viewer, tool = tiled
    page = grouped(tool, 3)
    page.group.list.item(1).setCheckState(Qt.CheckState.Unchecked)
    page.group.list.itemDoubleClicked.emit(page.group.list.item(0))
    layers = list(viewer.layers)
    page = grouped(tool, 2)
    assert list(viewer.layers) == layers, "the layers of before show what was found now"
    layer = viewer.layers["section clusters"]
    assert set(np.unique(layer.data)) == {0, 1, 2}
    assert np.asarray(layer.colormap.color_dict[2])[3] == 1
    assert not np.asarray(viewer.layers["section chosen tiles"].data).any()
    assert page.group.scatter.chosen.size == 0
    assert page.group.list.count() == 2
    press(page.group.clear)
    assert len(viewer.layers) == len(layers) - 2


@pytest.mark.gui
def test_it_goes_with_its_result_and_lets_go_of_the_canvas(tiled):
    viewer, tool = tiled
    before = len(viewer.mouse_drag_callbacks)
    page = grouped(tool)
    page.group.scatter.choose([0])
    page.show_chosen(page.group.scatter.chosen)
    assert len(viewer.mouse_drag_callbacks) == before + 1
    assert {"section clusters", "section chosen tiles"} <= {x.name for x in viewer.layers}
    viewer.layers.remove("section clusters")
    page.group.scatter.picked.emit(np.array([1]))  # the map was deleted by hand: nothing breaks
    click(tool, tool.run_button)
    assert page.found is None
    assert page.group.scatter.isHidden()
    assert not {"section clusters", "section chosen tiles"} & {x.name for x in viewer.layers}
    assert len(viewer.mouse_drag_callbacks) == before
    page = grouped(tool)
    viewer.layers.remove(tool.layer)
    until(lambda: len(viewer.mouse_drag_callbacks) == before)


@pytest.mark.gui
def test_more_clusters_than_tiles_are_refused_in_a_line(embedded):  # noqa: F811
    _, tool = embedded
    page = tool.clusters
    assert len(page._index) < 20
    page.group.count.setValue(20)
    click(tool, page.group.find)
    assert "Ask for fewer" in tool.status.text()
    assert page.found is None


# --- the picture


def test_dots_lie_where_they_should_and_chosen_ones_on_top():
    places = np.array([(10.5, 20.5), (40.5, 20.5), (41.5, 20.5), (90.0, 90.0)])
    colors = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9)], np.uint8)
    every = np.ones(4, bool)
    shown = {"back": (1, 2, 3), "ring": (255, 255, 255), "radius": 2.0}
    plain = drawn(places, colors, (50, 60), **shown, seen=every, chosen=~every)
    assert plain[20, 10] == 0xFFFF0000
    assert plain[0, 0] == 0xFF010203
    assert plain.shape == (50, 60), "a dot beyond the edge is not drawn"
    hidden = drawn(places, colors, (50, 60), **shown, seen=np.array([0, 1, 1, 1], bool), chosen=~every)
    assert hidden[20, 10] == 0xFF010203
    for number, color in ((1, 0xFF00FF00), (2, 0xFF0000FF)):
        chosen = drawn(places, colors, (50, 60), **shown, seen=every, chosen=np.arange(4) == number)
        assert chosen[20, 40 + number - 1] == color
        assert chosen[20, 10] != 0xFFFF0000, "the others are fainter"
        assert (chosen == 0xFFFFFFFF).any(), "with a ring"


def test_what_is_near_and_what_is_inside():
    places = np.random.default_rng(0).uniform(0, 100, (500, 2))
    every = np.ones(500, bool)
    away = np.linalg.norm(places - (50, 50), axis=1)
    assert nearest(places, every, (50, 50), 100) == away.argmin()
    assert nearest(places, every, (50, 50), away.min() / 2) is None
    assert nearest(places, away > away.min(), (50, 50), 100) == np.argsort(away)[1]
    square = np.array([(20.0, 30.0), (60.0, 30.0), (60.0, 80.0), (20.0, 80.0)])
    want = ((places > (20, 30)) & (places < (60, 80))).all(1)
    np.testing.assert_array_equal(inside(places, square), want)
    from matplotlib.path import Path

    star = np.array(
        [(50 + r * np.cos(a), 50 + r * np.sin(a)) for r, a in zip([45, 15] * 5, np.arange(10), strict=True)]
    )
    np.testing.assert_array_equal(inside(places, star), Path(star).contains_points(places))
    assert not inside(places, square[:2]).any()


@pytest.mark.gui
def test_a_hundred_thousand_dots_take_no_tenth_of_a_second(qtbot, display):
    scatter = TileScatter()
    qtbot.addWidget(scatter)
    scatter.resize(640, 230)
    rng = np.random.default_rng(0)
    labels = rng.integers(1, 8, 100_000)
    scatter.show_tiles(rng.normal(size=(100_000, 2)), labels, rng.integers(0, 255, (7, 3)), ("a", "b"))
    seconds = []
    for number in range(5):
        scatter.choose(np.arange(10_000) + number)
        start = time.perf_counter()
        scatter.grab()
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1, seconds


@pytest.mark.gui
def test_it_can_be_read_in_both_themes(tiled):
    viewer, tool = tiled
    page = grouped(tool)
    scatter = page.group.scatter
    for theme in ("dark", "light"):
        viewer.theme = theme
        QTest.qWait(50)
        assert scatter.colors == colors_of(theme)
        back = scatter.colors.panel
        assert all(contrast(hex_of(c), back) > 2 for c in np.unique(scatter._dots, axis=0).tolist())
        picture = scatter.grab().toImage()
        number = lonely(scatter)
        at = place_of(scatter, number)
        assert picture.pixelColor(at).getRgb()[:3] == tuple(scatter._dots[number].tolist())
        assert picture.pixelColor(3, scatter.height() // 2).name() == back
    assert viewer.layers["section clusters"].metadata[KEY]["part"] == "clusters"


@pytest.mark.gui
def test_the_wheel_zooms_around_the_mouse_and_home_shows_all(qtbot, display):
    from qtpy.QtCore import QPointF
    from qtpy.QtGui import QWheelEvent

    scatter = TileScatter()
    qtbot.addWidget(scatter)
    scatter.resize(400, 230)
    scatter.show_tiles(np.random.default_rng(0).normal(size=(50, 2)), np.ones(50), [(9, 9, 9)], ("", ""))
    scatter.show()
    before = scatter.places()
    at = before[7]
    wheel = QWheelEvent(
        QPointF(*at), scatter.mapToGlobal(QPointF(*at)), QPoint(), QPoint(0, 240), Qt.MouseButton.NoButton, NONE,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    scatter.wheelEvent(wheel)
    np.testing.assert_allclose(scatter.places()[7], at, atol=1e-6)
    np.testing.assert_allclose(scatter.places() - at, (before - at) * 1.25**2, atol=1e-6)
    QTest.keyClick(scatter, Qt.Key.Key_Home)
    np.testing.assert_allclose(scatter.places(), before, atol=1e-6)
