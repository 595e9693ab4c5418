"""Classes of tissue in the Slides tool: marked, learnt, looked at, corrected, saved, and applied by the file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from workbench_napari.launch import open_files
from workbench_napari.shared.napari_versions import camera_of
from workbench_napari.shared.opening import PLUGIN
from workbench_napari.shared.reader import get_reader

from tests.workbench_napari.contract_window import press, until
from tests.workbench_napari.slide.hands import click, record, saved
from workbench import weights
from workbench.core.layers import KEY
from workbench.slide import read_labels, read_map

pytestmark = pytest.mark.gui
SIDE, ACROSS = 256, 8


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """A slide whose left half has few large nuclei and whose right half has many small ones."""
    rng = np.random.default_rng(0)
    size = SIDE * ACROSS
    pixels = np.full((size, size, 3), (225, 170, 205), np.float32)
    rows, columns = np.mgrid[:size, :size]
    for left, right, count, radius in ((0, size // 2, 300, 12), (size // 2, size, 2600, 5)):
        for y, x in rng.uniform((0, left), (size, right), (count, 2)):
            box = (
                slice(max(0, int(y - radius)), int(y + radius) + 1),
                slice(max(left, int(x - radius)), int(x + radius)),
            )
            inside = np.hypot(rows[box] - y, columns[box] - x) < radius
            pixels[box][inside] = (80, 50, 130)
    pixels += rng.normal(0, 6, pixels.shape)
    path = tmp_path_factory.mktemp("halves") / "halves.ome.tif"
    about = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5,
             "PhysicalSizeYUnit": "µm"}  # fmt: skip
    tifffile.imwrite(path, np.clip(pixels, 0, 255).astype(np.uint8), ome=True, photometric="rgb", tile=(256, 256),
                     metadata=about)  # fmt: skip
    return path


@pytest.fixture
def embedded(window, halves, tmp_path):
    viewer = window(show=True)
    tool = open_files(viewer, [halves])
    tool.folder.setText(str(tmp_path / "out"))
    click(tool, tool.run_button)
    assert tool.tissue_group.learn.isEnabled(), tool.status.text()
    return viewer, tool


def box(row, column, tall=2, wide=2):
    """An outline around whole tiles, a little larger."""
    top, left, low, right = (SIDE * n for n in (row, column, row + tall, column + wide))
    return np.array([[top - 8, left - 8], [top - 8, right + 8], [low + 8, right + 8], [low + 8, left - 8]], float)


def mark(viewer, tool, places):
    """Outlines in a new layer, each with its class, given in the box of classes."""
    press(tool.annotation_group.new)
    layer = viewer.layers.selection.active
    for outline, name in places:
        layer.add_polygons([outline])
        layer.mode = "select"
        layer.selected_data = {len(layer.data) - 1}
        tool.annotation_group.classes.setCurrentText(name)
        tool.annotating.take_class()
    return layer


MARKS = [(box(0, 0), "few"), (box(3, 0), "few"), (box(6, 1), "few"), (box(0, 5), "many"), (box(3, 6), "many"),
         (box(6, 5), "many")]  # fmt: skip


def classes_of(viewer):
    (layer,) = [x for x in viewer.layers if (x.metadata.get(KEY) or {}).get("part") == "classes"]
    return layer


def test_marked_regions_name_the_slide(embedded):
    viewer, tool = embedded
    mark(viewer, tool, MARKS)
    before = [x.name for x in viewer.layers]
    click(tool, tool.tissue_group.learn)
    layer = classes_of(viewer)
    assert layer.visible
    assert not any(x.visible for x in viewer.layers if x.name.endswith(("structure", "tissue"))), "nothing lies over it"
    assert [x.name for x in viewer.layers if x.name in before] == before, "what was there stays as it was"
    truth = np.repeat(np.where(np.arange(ACROSS) < ACROSS // 2, 1, 2)[None], ACROSS, 0)
    found = np.asarray(layer.data)
    assert found.shape == (ACROSS, ACROSS)
    assert (found == truth).mean() > 0.9
    heat = next(x for x in viewer.layers if x.name.endswith("probability many"))
    assert np.asarray(heat.data)[:, ACROSS // 2 :].mean() > np.asarray(heat.data)[:, : ACROSS // 2].mean() + 0.4
    assert tool.tissue_group.table.texts()[0][:3] == ["few", "3", "12"]
    assert "cross-validated over 6 regions in 3 folds" in tool.tissue_group.hint.text()
    assert "balanced accuracy" in tool.status.text()
    assert tool.areas.texts()[0][0] == "few", "areas of the classes are shown"
    corner = layer.data_to_world((0, 0))
    slide = tool.layer.data_to_world((SIDE / 2 - 0.5, SIDE / 2 - 0.5))
    np.testing.assert_allclose(corner[-2:], slide[-2:], atol=0.5)


def test_a_doubtful_tile_is_gone_to_and_a_second_learning_replaces_the_first(embedded):
    viewer, tool = embedded
    mark(viewer, tool, MARKS[:1] + MARKS[3:4])
    click(tool, tool.tissue_group.learn)
    assert "Not validated" in tool.tissue_group.hint.text()
    count = len(viewer.layers)
    press(tool.tissue_group.doubtful)
    assert "doubtful number 1" in tool.status.text()
    number = int(tool.tissue.learnt.doubtful[0])
    part = tool.shown.made.parts["embeddings"]
    middle = tool.layer.data_to_world(tuple((part.places[number] + SIDE / 2 - 0.5)[::-1]))
    np.testing.assert_allclose(camera_of(viewer).center[-2:], middle[-2:], atol=0.01)
    classes_of(viewer).visible = False
    mark(viewer, tool, MARKS[1:3] + MARKS[4:])
    click(tool, tool.tissue_group.learn)
    assert len(viewer.layers) == count + 1, "one more layer of annotations, none more of classes"
    assert not classes_of(viewer).visible, "hidden ones stay hidden"
    assert "6 regions" in tool.tissue_group.hint.text()


def test_what_was_learnt_is_saved_and_names_other_slides(embedded, tmp_path):
    viewer, tool = embedded
    mark(viewer, tool, MARKS)
    click(tool, tool.tissue_group.learn)
    found = np.asarray(classes_of(viewer).data).copy()
    folder = saved(tool)
    stored = read_labels(folder / "classes.ome.tif")
    np.testing.assert_array_equal(stored.data, found)
    assert stored.classes.names == ("few", "many")
    assert (folder / "probability_many.ome.tif").is_file()
    assert (folder / "embeddings.h5").is_file()
    reader = get_reader(str(folder / "classes.ome.tif"))
    ((data, attributes, kind),) = reader(str(folder / "classes.ome.tif"))
    assert kind == "labels"
    np.testing.assert_array_equal(data, found)
    own = attributes["metadata"][KEY]
    assert [c["name"] for c in own["classes"]] == ["few", "many"]
    assert own["source"] == tool.layer.metadata[KEY]["source"]
    assert own["stamp"] == tool.layer.metadata[KEY]["stamp"], "a mask of this very slide"
    assert get_reader(str(tool.layer.metadata[KEY]["source"])) is not None
    areas = (folder / "areas.csv").read_text(encoding="utf-8").splitlines()
    assert [row.partition(",")[0] for row in areas][-3:] == ["tiles", "few", "many"]
    assert "class,tiles" in (folder / "class_areas.csv").read_text(encoding="utf-8")
    assert any("were learnt from marked regions: 3 of 'few'" in n for n in record(folder)["notes"])
    file = tmp_path / "tissue.safetensors"
    assert tool.tissue.keep(file)
    assert weights.read_meta(file)["training"]["regions"] == {"few": 3, "many": 3}
    tool.input.model.weights.choose_file(file)
    click(tool, tool.run_button)
    again = [x for x in viewer.layers if (x.metadata.get(KEY) or {}).get("part") == "classes"]
    assert len(again) == 2
    np.testing.assert_array_equal(np.asarray(again[-1].data), found)
    assert not tool.tissue_group.keep.isEnabled(), "another result: nothing was learnt on it"


def test_what_was_learnt_does_not_teach_and_changed_marks_are_said(embedded):
    viewer, tool = embedded
    layer = mark(viewer, tool, MARKS)
    click(tool, tool.tissue_group.learn)
    scored = tool.tissue_group.hint.text()
    folder = saved(tool)
    assert not any("marks have changed" in n for n in record(folder)["notes"])
    viewer.layers.selection.active = layer
    layer.selected_data = {0}
    layer.remove_selected()
    folder = saved(tool)
    assert "marks have changed since the classes of tissue were learnt from them" in record(folder)["notes"]
    viewer.open(str(folder / "classes.ome.tif"), plugin=PLUGIN)
    again = viewer.layers[-1]
    assert type(again).__name__ == "Labels"
    viewer.layers.selection.active = tool.shown.layers()[0]
    click(tool, tool.tissue_group.learn)
    assert f"'{again.name}' is what was learnt before, and does not teach" in tool.tissue_group.hint.text()
    assert "over 5 regions" in tool.tissue_group.hint.text(), "its tiles are none of the marks"
    assert tool.tissue_group.hint.text() != scored
    viewer.layers.remove(layer)
    viewer.layers.selection.active = tool.shown.layers()[0]
    click(tool, tool.tissue_group.learn)
    assert "Nothing is marked" in tool.status.text()
    assert "does not teach" in tool.status.text()


def test_classes_go_into_no_file_that_nobody_was_asked_about(embedded, tmp_path):
    viewer, tool = embedded
    mark(viewer, tool, MARKS)
    click(tool, tool.tissue_group.learn)
    (tmp_path / "mine.safetensors").write_bytes(b"mine")
    assert not tool.tissue.keep(tmp_path / "mine")
    assert "is there already" in tool.status.text()
    assert (tmp_path / "mine.safetensors").read_bytes() == b"mine"
    (tmp_path / "file").write_bytes(b"")
    assert not tool.tissue.keep(tmp_path / "file" / "x.safetensors")
    assert "cannot write" in tool.status.text()
    if os.path.isdir("/proc/self"):
        assert not tool.tissue.keep(Path("/proc/x.safetensors"))
        assert "cannot write" in tool.status.text()
    assert tool.tissue.keep(tmp_path / "new" / "mine")
    assert (tmp_path / "new" / "mine.safetensors").is_file()


def test_what_was_learnt_is_there_again_after_another_slide(embedded, slide_file):
    viewer, tool = embedded
    mark(viewer, tool, MARKS)
    click(tool, tool.tissue_group.learn)
    said, learnt, shown = tool.tissue_group.hint.text(), tool.tissue.learnt, tool.shown.layers()[0]
    viewer.open(str(slide_file), plugin=PLUGIN)
    viewer.layers.selection.active = viewer.layers["section"]
    click(tool, tool.run_button)
    assert tool.tissue.learnt is None
    assert tool.tissue_group.table.isHidden()
    viewer.layers.selection.active = shown
    until(lambda: tool.tissue.learnt is learnt)
    assert tool.tissue_group.hint.text() == said
    assert tool.tissue_group.table.texts()[0][:3] == ["few", "3", "12"]
    assert tool.tissue_group.keep.isEnabled()


def test_nothing_marked_and_one_class_are_said(embedded):
    viewer, tool = embedded
    press(tool.tissue_group.learn)
    until(lambda: not tool.runner.is_busy)
    assert "Nothing is marked" in tool.status.text()
    mark(viewer, tool, MARKS[:2])
    click(tool, tool.tissue_group.learn)
    assert "only 'few' is marked" in tool.status.text()
    assert not tool.tissue_group.keep.isEnabled()


@pytest.fixture(scope="module")
def slide_label(tmp_path_factory):
    """Weights that label slides by what the demo encoder sees; they learnt nothing."""
    import torch

    from workbench.core.classes import ClassTable
    from workbench.slide.net.attention import GatedAttention
    from workbench.slide.predict.heads import SLIDE

    demo = weights.find("demo", "stainnet")
    torch.manual_seed(0)
    net = GatedAttention(192, 2, 16, 8)
    classes = ClassTable.from_names(["calm", "crowded"])
    path = tmp_path_factory.mktemp("label") / "label.safetensors"
    about = {"features": 192, "classes": 2, "hidden": 16, "attention": 8, "temperature": 1.5}
    meta = {
        "backend": "stainnet", "kind": SLIDE, **weights.base_record(demo, path), "classes": classes.to_json(),
        "recipe": {"mpp": 0.5, "tile": 256, "pooling": "mean"}, "net": about,
    }  # fmt: skip
    return weights.save(path, net.state_dict(), meta)


def test_a_label_of_the_slide_and_its_map_of_attention(window, halves, slide_label, tmp_path):
    viewer = window(show=True)
    tool = open_files(viewer, [halves])
    tool.folder.setText(str(tmp_path / "out"))
    tool.input.model.weights.choose_file(slide_label)
    click(tool, tool.run_button)
    names = [x.name for x in viewer.layers if x.visible]
    assert any(n.endswith("attention") for n in names), tool.status.text()
    assert not any(n.endswith(("structure", "tissue", "evidence calm")) for n in names)
    table = tool.areas.texts()
    assert [row[0] for row in table] == ["calm", "crowded"]
    assert sum(float(row[1]) for row in table) == pytest.approx(1, abs=1e-3)
    heat = next(x for x in viewer.layers if x.name.endswith("attention"))
    assert np.nanmean(np.asarray(heat.data)) == pytest.approx(1, rel=1e-4)
    mark(viewer, tool, MARKS)
    click(tool, tool.tissue_group.learn)
    names = [x.name for x in viewer.layers]
    for kept in ("evidence calm", "evidence crowded", "attention", "probability few", "classes"):
        assert sum(n.endswith(kept) for n in names) == 1, kept
    folder = saved(tool)
    assert (folder / "slide_class.csv").is_file()
    again, _ = read_map(folder / "attention.ome.tif")
    np.testing.assert_array_equal(again, np.asarray(heat.data))
    viewer.layers.remove(heat)
    (back,) = viewer.open(folder / "attention.ome.tif", plugin="napari-workbench")
    np.testing.assert_array_equal(np.asarray(back.data), again)
    assert back.name == "halves attention"
    assert back.units == tool.layer.units
    slide = tool.layer.data_to_world((SIDE / 2 - 0.5, SIDE / 2 - 0.5))
    np.testing.assert_allclose(back.data_to_world((0, 0)), slide[-2:], atol=0.5)
