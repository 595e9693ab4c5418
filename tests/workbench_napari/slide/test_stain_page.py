"""Stains in the Slides tool: a layer for each over the slide, no second ones, and none of them taken for a slide."""

from __future__ import annotations

import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared.session import save_session
from workbench_napari.shared.session_file import read_session
from workbench_napari.slide.on_slide import record_of, same_slide
from workbench_napari.slide.view import cache_of

from tests.workbench.slide.predict.test_stain_slide import ONE, make
from tests.workbench_napari.contract_window import until
from tests.workbench_napari.slide.hands import click

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def stained(tmp_path_factory):
    return make(tmp_path_factory.mktemp("slide") / "stained.ome.tif", ONE, side=2304)


@pytest.fixture
def looking(window, stained):
    viewer = window(show=True)
    return viewer, open_files(viewer, [stained])


def stains_of(viewer):
    return [x for x in viewer.layers if record_of(x).get("role") == "stain"]


def test_stains_are_shown_over_the_slide_and_taken_away(looking):
    viewer, tool = looking
    slide, button = tool.layer, tool.stain_group.show_button
    before = viewer.layers.selection.active
    click(tool, button)
    shown = stains_of(viewer)
    assert sorted(x.name for x in shown) == [f"{slide.name} eosin", f"{slide.name} haematoxylin"], tool.status.text()
    assert viewer.layers.selection.active is before
    for layer in shown:
        assert layer.multiscale
        assert tuple(layer.contrast_limits) == (0.0, 1.5)
        assert layer.units == slide.units
        np.testing.assert_array_equal(layer.scale, slide.scale)
        np.testing.assert_array_equal(layer.translate, slide.translate)
        assert same_slide(layer, slide)
        assert cache_of(layer) is cache_of(slide), "no tile is read twice"
        until(lambda: not cache_of(slide).is_reading)
        seen = np.asarray(layer._data_view if hasattr(layer, "_data_view") else layer._slice.image.view)
        assert seen.max() > 0.3
    assert button.text() == "Hide stains"
    assert tool.input.layer.count() == 1, "they are no slides"
    click(tool, button)
    assert stains_of(viewer) == []
    assert button.text() == "Show stains"


@pytest.mark.slow
def test_other_stains_take_the_place_of_those_that_are_shown(looking):
    viewer, tool = looking
    click(tool, tool.stain_group.show_button)
    tool.stain_group.which.setCurrentText("Haematoxylin and DAB")
    assert tool.stain_group.show_button.text() == "Show stains"
    click(tool, tool.stain_group.show_button)
    assert sorted(record_of(x)["stain"] for x in stains_of(viewer)) == ["DAB", "haematoxylin"]
    assert len(viewer.layers) == 3


def test_they_follow_the_size_of_a_pixel(looking):
    viewer, tool = looking
    click(tool, tool.stain_group.show_button)
    tool.input.model.form.widgets["mpp"].value = 0.25
    tool.pixel_size.apply()
    for layer in stains_of(viewer):
        np.testing.assert_allclose(layer.scale, tool.layer.scale)
        np.testing.assert_allclose(layer.scale, 0.25)


def test_choosing_one_means_its_slide_and_closing_leaves_no_trace(looking, tmp_path):
    viewer, tool = looking
    slide = tool.layer
    click(tool, tool.stain_group.show_button)
    viewer.layers.selection.active = stains_of(viewer)[0]
    assert tool.meant.layer is slide
    assert "without a file" not in tool.status.text()
    path = tmp_path / "desk.session"
    assert save_session(viewer, path)
    until(path.is_file)
    assert [row["name"] for row in read_session(path)["layers"]] == [slide.name], "stains are made anew"
    viewer.layers.remove(slide)
    assert not tool.stain_group.show_button.isEnabled()
    for layer in stains_of(viewer):
        viewer.layers.remove(layer)
    assert len(viewer.layers) == 0


def test_what_cannot_be_parted_is_said(window, tmp_path):
    from tests.ihc_maker import write

    viewer = window(show=True)
    pixels = np.random.default_rng(0).integers(0, 200, (600, 600, 1)).astype(np.uint8).repeat(3, axis=2)
    tool = open_files(viewer, [write(tmp_path / "grey.ome.tif", pixels)])
    click(tool, tool.stain_group.show_button)
    assert "grey" in tool.status.text()
    assert stains_of(viewer) == []
