"""Where a run took its tiles is saved as it was then, whatever is drawn afterwards; the shell takes the same tiles."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import workbench as wb
from tests.workbench_napari.slide.hands import BOX, click, features, new_outline, record, saved
from workbench.core.layers import KEY
from workbench.slide.data.heat_maps import read_labels

pytestmark = pytest.mark.gui


def again(tool, folder):
    """The same run by the shell's settings, in the file that the provenance names."""
    settings = record(folder)["settings"]
    return wb.predict(
        "stainnet", tool.layer.metadata[KEY]["source"], weights=tool.input.model.weights.value, device="cpu",
        roi=str(folder / settings["roi"]), frame=settings["frame"],
    )  # fmt: skip


def places(folder):
    with open(folder / "tiles.csv", encoding="utf-8", newline="") as file:
        return [row["tile"] for row in csv.DictReader(file)]


def run_in(tool, layer):
    tool.where.choose(layer)
    click(tool, tool.run_button)
    assert tool.runner.error is None, tool.status.text()


def test_outlines_that_are_moved_after_the_run_are_saved_beside_those_that_it_used(opened):
    viewer, tool = opened
    layer = new_outline(viewer, tool)
    run_in(tool, layer)
    layer.data = [BOX + 150]
    folder = saved(tool)
    assert record(folder)["settings"]["roi"] == "region.geojson"
    (used,), (now,) = (features(folder / name) for name in ("region.geojson", "annotations.geojson"))
    assert used["geometry"]["coordinates"][0][0] == [300.5, 300.5]
    assert now["geometry"]["coordinates"][0][0] == [450.5, 450.5]
    tiles = again(tool, folder).parts["tiles"]
    assert [row[0] for row in tiles.rows] == places(folder)


def test_outlines_of_other_layers_are_not_taken_for_those_of_the_run(opened):
    viewer, tool = opened
    layer = new_outline(viewer, tool)
    run_in(tool, layer)
    new_outline(viewer, tool, BOX + 150)
    folder = saved(tool)
    assert record(folder)["settings"]["roi"] == "region.geojson"
    assert len(features(folder / "region.geojson")) == 1
    assert len(features(folder / "annotations.geojson")) == 2


def test_as_long_as_nothing_was_changed_there_is_one_file(opened):
    viewer, tool = opened
    run_in(tool, new_outline(viewer, tool))
    folder = saved(tool)
    assert record(folder)["settings"]["roi"] == "annotations.geojson"
    assert not (folder / "region.geojson").exists()


def test_a_mask_that_is_emptied_after_the_run_is_saved_beside_the_one_it_used(opened):
    viewer, tool = opened
    click(tool, tool.area_group.find)
    mask = viewer.layers["section mask"]
    used = mask.data.copy()
    run_in(tool, mask)
    mask.data_setitem(np.nonzero(mask.data), 0)
    folder = saved(tool)
    assert record(folder)["settings"]["roi"] == "region.ome.tif"
    assert np.array_equal(read_labels(folder / "region.ome.tif").data, used)
    assert not read_labels(folder / "mask.ome.tif").data.any()
    assert len(again(tool, folder).parts["tiles"].rows) == len(places(folder))


def test_the_second_of_two_masks_is_named_where_it_was_used(opened):
    viewer, tool = opened
    click(tool, tool.area_group.find)
    first = viewer.layers["section mask"]
    click(tool, tool.area_group.find)
    first.data_setitem(np.nonzero(first.data), 0)
    run_in(tool, viewer.layers[-1])
    folder = saved(tool)
    assert record(folder)["settings"]["roi"] == "mask_2.ome.tif"
