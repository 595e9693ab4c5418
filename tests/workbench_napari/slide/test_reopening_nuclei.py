"""Nuclei of a save that are opened again over their slide: all of it comes back, and nothing of another."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.workbench_napari.contract_window import until
from tests.workbench_napari.slide.hands import click, saved
from tests.workbench_napari.slide.test_correcting_nuclei import first
from workbench.core.objects import REJECTED
from workbench.data.objects import read_objects

pytestmark = pytest.mark.gui


def test_what_was_corrected_is_saved_and_opened_again(found):
    viewer, tool, layer, edits = found
    number = first(layer, edits)
    edits.accept([number])
    edits.reject([number + 1])
    edits.add([[200, 200], [230, 200], [230, 230], [200, 230]], 1)
    count = len(edits)
    folder = saved(tool)
    assert not tool.unsaved.layers()
    nuclei, rejected = (read_objects(folder / f"{name}.geojson") for name in ("nuclei", "rejected"))
    assert len(nuclei) == count
    assert len(rejected) == 1
    assert json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["edited_by_hand"] is True
    table = (folder / "counts.csv").read_text(encoding="utf-8").splitlines()
    assert table[-1].startswith(f"all nuclei,{count},")
    viewer.layers.remove(layer)
    until(lambda: tool.nuclei.editing.layer is None)
    assert not tool.nuclei_group.none.isHidden()
    tool.nuclei.open(folder / "nuclei.geojson")
    until(lambda: not tool.runner.is_busy)
    again = tool.nuclei.editing.edits
    assert again is not None, tool.status.text()
    assert len(again) == count
    assert again.rejected().ids.tolist() == rejected.ids.tolist()
    assert again.objects().review.tolist() == nuclei.review.tolist()
    again.back(np.flatnonzero(again.review == REJECTED))
    again_folder = saved(tool)
    assert len(read_objects(again_folder / "nuclei.geojson")) == count + 1


def test_all_of_a_save_comes_back_with_its_nuclei(found):
    viewer, tool, _layer, _edits = found
    folder = saved(tool)
    before = {p.name: p.stat().st_size for p in folder.iterdir() if p.is_file()}
    table = (folder / "counts.csv").read_text(encoding="utf-8")
    for one in list(viewer.layers)[1:]:
        viewer.layers.remove(one)
    tool.nuclei.open(folder / "nuclei.geojson")
    until(lambda: not tool.runner.is_busy)
    again = tool.nuclei.editing.edits
    assert again is not None, tool.status.text()
    again.accept([0])
    folder = saved(tool)
    after = {p.name for p in folder.iterdir() if p.is_file()}
    assert set(before) <= after
    assert (folder / "counts.csv").read_text(encoding="utf-8") == table
    assert "embeddings.h5" not in " ".join(tool.shown.notes), "nothing was left out"
    for name, few in (("large", range(5)), ("small", range(5, 10))):
        again.reclass(list(few), again.new_class(name))
    click(tool, tool.nuclei_group.learn)
    assert "were given a class by 10 examples" in tool.status.text(), "what the encoder saw came back too"


def test_a_file_of_rejected_ones_alone_stays_one(found):
    _viewer, tool, _, edits = found
    edits.reject(np.arange(4))
    folder = saved(tool)
    tool.nuclei.open(folder / "rejected.geojson")
    until(lambda: not tool.runner.is_busy)
    again = tool.nuclei.editing.edits
    assert len(again) == 0
    assert "0 nuclei" in tool.status.text()
    assert "opens both" in " ".join(tool.shown.notes)
    table = tool.shown.made.parts["counts"]
    assert table.rows[-1][1] == 0


def test_nuclei_of_another_place_are_refused(found, tmp_path):
    _, tool, _, edits = found
    folder = saved(tool)
    text = json.loads((folder / "nuclei.geojson").read_text(encoding="utf-8"))
    del text["workbench"]
    ring = text["features"][0]["geometry"]["coordinates"][0]
    text["features"][0]["geometry"]["coordinates"][0] = [[x + 1e6, y] for x, y in ring]
    (tmp_path / "far.geojson").write_text(json.dumps(text), encoding="utf-8")
    tool.nuclei.open(tmp_path / "far.geojson")
    until(lambda: not tool.runner.is_busy)
    assert "1 of" in tool.status.text()
    assert "beyond the slide" in tool.status.text()
    assert tool.nuclei.editing.edits is edits
