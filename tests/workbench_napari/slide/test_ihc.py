"""Positive nuclei in the Slides tool: the index beside them, corrections that it follows, regions, other backends."""

from __future__ import annotations

import numpy as np
import pytest
from workbench_napari.launch import open_files

from tests.ihc_maker import draw, write
from tests.workbench_napari.contract_window import press, until
from tests.workbench_napari.slide.hands import click, new_outline, saved
from workbench.core.layers import KEY
from workbench.slide import edits_in

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    return write(tmp_path_factory.mktemp("ihc") / "field.ome.tif", draw(4, 700, share=0.3).pixels)


@pytest.fixture
def stained(window, field, tmp_path):
    viewer = window(show=True)
    tool = open_files(viewer, [field])
    choice = tool.input.model.choice
    choice.setCurrentIndex(next(i for i in range(choice.count()) if "Positive nuclei" in choice.itemText(i)))
    assert tool.input.model.backend.name == "ihc"
    tool.folder.setText(str(tmp_path / "out"))
    return viewer, tool


def nuclei_of(viewer):
    layer = next(x for x in viewer.layers[::-1] if edits_in(x.data) is not None)
    return layer, edits_in(layer.data)


def cells_of(tool):
    return {row[0]: row[1] for row in tool.areas.texts()}


def test_the_index_is_shown_and_follows_corrections(stained):
    viewer, tool = stained
    click(tool, tool.run_button)
    layer, edits = nuclei_of(viewer)
    assert layer.metadata[KEY]["role"] == "outlines"
    shown = cells_of(tool)
    total, negative = int(shown["nuclei"]), int(shown["Negative"])
    assert float(shown["positive [%]"]) == pytest.approx(100 * (1 - negative / total), abs=0.1)
    edits.reclass(np.flatnonzero(edits.values == 1)[:20], 4)
    until(lambda: int(cells_of(tool)["Negative"]) == negative - 20)
    folder = saved(tool)
    row = (folder / "index.csv").read_text(encoding="utf-8").splitlines()[1].split(",")
    assert row[:3] == ["all nuclei", str(total), str(negative - 20)]
    for one in list(viewer.layers)[1:]:
        viewer.layers.remove(one)
    tool.nuclei.open(folder / "nuclei.geojson")
    until(lambda: not tool.runner.is_busy)
    assert int(cells_of(tool)["Negative"]) == negative - 20, tool.status.text()
    assert saved(tool).joinpath("index.csv").is_file()


def test_a_region_that_is_drawn_keeps_both_tables(stained):
    viewer, tool = stained
    layer = new_outline(viewer, tool, np.array([[100.0, 100], [100, 600], [600, 600], [600, 100]]))
    tool.where.choose(layer)
    click(tool, tool.run_button)
    folder = saved(tool)
    regions = (folder / "regions.csv").read_text(encoding="utf-8").splitlines()
    assert regions[0].startswith("region,region class,class,nuclei")
    assert regions[-1].split(",")[2] == "all nuclei"
    assert (folder / "annotations.csv").read_text(encoding="utf-8").startswith("class,annotations,area [mm2]")
    assert len((folder / "index.csv").read_text(encoding="utf-8").splitlines()) == 3, "all, and the region"


def test_what_only_cellvta_teaches_is_said(stained, tmp_path):
    viewer, tool = stained
    click(tool, tool.run_button)
    press(tool.nuclei_group.learn)
    assert "CellVTA did not find these" in tool.status.text()
    _, edits = nuclei_of(viewer)
    edits.accept(np.arange(4))
    from workbench_napari.slide import nuclei_work

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nuclei_work, "TEACHING_STEPS", 2)
        assert tool.nuclei.teach(tmp_path / "taught")
        until(lambda: not tool.runner.is_busy, 90)
    assert "which did not find these nuclei, were taught" in tool.status.text(), tool.status.text()
    assert "They are chosen now" not in tool.status.text()
    assert tool.input.model.backend.name == "ihc"
