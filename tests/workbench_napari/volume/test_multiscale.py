"""Multiscale images and labels: volumes in mL and places in mm are those of the same data as one array."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from workbench_napari.launch import open_files
from workbench_napari.volume.level_choice import finest_that_fits
from workbench_napari.volume.writer import write_labels

import workbench as wb
from tests.workbench_napari.shared import threshold
from workbench.core import registry
from workbench.core.errors import InputError

pytestmark = pytest.mark.gui

TRANSFORM = {"scale": (2.0, 1.5, 1.5), "translate": (-100.0, 40.0, 7.0), "units": "mm"}
SHAPE, CENTRE, RADII = (40, 48, 56), (17.0, 26.0, 33.0), (9.0, 12.0, 14.0)


def organ(shape=SHAPE):
    """A bright ellipsoid off the centre: its volume and its middle are known without counting."""
    grid = np.indices(shape, dtype=float)
    inside = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, CENTRE, RADII, strict=True)) <= 1
    return np.where(inside, 200.0, 0.0).astype(np.float32)


def pyramid(data, levels=3):
    """Block means of 2 x 2 x 2, as OME-Zarr writers make them."""
    made = [data]
    for _ in range(levels - 1):
        last = made[-1]
        a, b, c = (n // 2 for n in last.shape)
        made.append(last[: a * 2, : b * 2, : c * 2].reshape(a, 2, b, 2, c, 2).mean(axis=(1, 3, 5)))
    return made


ROUGH = (0.01, 0.06, 0.12)
"""What the edge of an ellipsoid costs on each level: a voxel that is half inside does not count."""
TRUE_ML = 4 / 3 * np.pi * np.prod(np.array(RADII) * TRANSFORM["scale"]) / 1000
TRUE_MIDDLE = np.array(CENTRE) * TRANSFORM["scale"] + TRANSFORM["translate"]


@pytest.fixture
def threshold_tool(window, monkeypatch, tmp_path):
    """A viewer with the tool docked and a method that keeps what is brighter than 100."""
    rows = {**registry.backends(), "threshold": threshold.ROW}
    monkeypatch.setattr(registry, "backends", lambda: rows)
    viewer = window()

    def start(layer):
        tool = open_files(viewer, [], tool="volume")
        tool.model.choose("threshold")
        tool.model.form.set_values({"level": 100.0})
        tool.panel.image.combos[0].setCurrentText(layer.name)
        tool.folder.setText(str(tmp_path / "out"))
        return tool

    return viewer, start


def run(tool, wait):
    assert tool.segmenting.run(), tool.status.text()
    wait(lambda: not tool.runner.is_busy, 60)
    labels = tool.labels_layer
    wait(lambda: labels.features["voxels"].sum() == labels.data.size)
    return labels


def edges(layer):
    """Where a layer begins and ends; napari's own extent is that of the middles of its voxels."""
    return layer.extent.world + np.array([[-0.5], [0.5]]) * layer.extent.step


def middle_of(labels):
    """Middle of a labels layer in the world, by napari's own transform of every voxel."""
    inside = np.argwhere(np.asarray(labels.data) > 0)
    return np.array([labels.data_to_world(i) for i in inside]).mean(axis=0)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_volume_and_place_on_every_level_are_those_of_the_single_image(threshold_tool, wait, level):
    viewer, start = threshold_tool
    image = viewer.add_image(pyramid(organ()), name="ct", multiscale=True, **TRANSFORM)
    tool = start(image)
    assert not tool.panel.image.level_row.isHidden()
    assert tool.panel.image.level.currentText() == "0, the finest: 40 × 48 × 56"
    assert tool.panel.image.level.itemText(2) == "2: 10 × 12 × 14 (÷ 4)"
    tool.panel.image.level.setCurrentIndex(level)
    size = " × ".join(str(n >> level) for n in SHAPE)
    assert tool.panel.image.info.text().startswith(f"{size} voxels, ")
    labels = run(tool, wait)
    assert not labels.multiscale
    assert labels.data.shape == tuple(n >> level for n in SHAPE)
    # The coarser the grid, the rougher the edge; 86 % were missing when a level had the spacing of another.
    assert labels.features["volume [mL]"][1] == pytest.approx(TRUE_ML, rel=ROUGH[level])
    assert np.allclose(middle_of(labels), TRUE_MIDDLE, atol=0.25 * 2**level)
    assert np.allclose(edges(labels), edges(image)), "the labels end where the image ends"
    each = " × ".join([str(2**level)] * 3)
    note = f"computed at level {level}: {size}, each for {each} of the finest" if level else ""
    assert tool.panel.labels.notes.text.lower() == (f"• {note}." if note else "")
    assert tool.save()
    wait(lambda: not tool.runner.is_busy, 60)
    record = json.loads((tool.last_folder / "provenance.json").read_text(encoding="utf-8"))
    assert (note in record["notes"]) == bool(note)
    written = nib.load(tool.last_folder / "labels.nii.gz")
    data = np.asarray(written.dataobj)
    ras = nib.affines.apply_affine(written.affine, np.argwhere(data > 0)).mean(axis=0)
    assert np.allclose((ras[2], -ras[1], -ras[0]), TRUE_MIDDLE, atol=0.25 * 2**level)
    ml = abs(np.linalg.det(written.affine[:3, :3])) * np.count_nonzero(data) / 1000
    assert ml == pytest.approx(TRUE_ML, rel=ROUGH[level])


def test_the_finest_level_gives_bit_for_bit_what_the_single_image_gives(threshold_tool, wait):
    viewer, start = threshold_tool
    many = viewer.add_image(pyramid(organ()), name="many", multiscale=True, **TRANSFORM)
    one = viewer.add_image(organ(), name="one", **TRANSFORM)
    a = run(start(many), wait)
    tool = start(one)
    assert tool.panel.image.level_row.isHidden()
    b = run(tool, wait)
    assert a is not b
    assert np.array_equal(a.data, b.data)
    assert np.array_equal(a.data_to_world((3, 4, 5)), b.data_to_world((3, 4, 5)))
    assert a.features.equals(b.features)


def test_what_cannot_be_placed_is_refused_in_one_line(threshold_tool):
    viewer, start = threshold_tool
    data = organ()
    odd = viewer.add_image([data, data[:27, :32, :38]], name="odd", multiscale=True, **TRANSFORM)
    tool = start(odd)
    assert tool.image_choice.level == 0, "the finest is placed whatever the others are"
    tool.panel.image.level.setCurrentIndex(1)
    assert "cannot be placed" in tool.panel.image.level.currentText()
    assert not tool.segmenting.run()
    line = "level 1 of layer 'odd' cannot be placed: along axis 0 40 samples became 27, by no whole factor; use level 0"
    assert tool.status.text() == tool.panel.image.info.text() == line
    rgb = viewer.add_image(
        [np.zeros((40, 40, 40, 3), np.uint8), np.zeros((20, 20, 20, 3), np.uint8)],
        name="rgb", multiscale=True, rgb=True,
    )  # fmt: skip
    moments = [np.zeros((5, *SHAPE), np.float32), np.zeros((5, 20, 24, 28), np.float32)]
    series = viewer.add_image(moments, name="beating", multiscale=True, axis_labels=("t", "z", "y", "x"))
    names = [tool.panel.image.combos[0].itemText(i) for i in range(tool.panel.image.combos[0].count())]
    assert rgb.name not in names
    tool.panel.image.combos[0].setCurrentText(series.name)
    assert "5 moments in time" in tool.panel.image.info.text()
    assert not tool.segmenting.run()
    assert "5 moments in time" in tool.status.text()
    assert "\n" not in tool.status.text()


def test_the_finest_that_fits():
    shapes = [(1000, 1000, 1000), (500, 500, 500), (250, 250, 250)]
    assert [finest_that_fits(shapes, room) for room in (10**12, 5 * 10**9, 10**9, 10)] == [0, 1, 2, 0]
    assert finest_that_fits([shapes[0], (333, 334, 400), shapes[2]], 10**10) == 2, (
        "one that cannot be placed is left out"
    )


def test_nothing_is_read_to_say_what_a_layer_is(threshold_tool):
    da = pytest.importorskip("dask.array")
    viewer, start = threshold_tool
    read = []

    def block(block_id=None):
        read.append(block_id)
        return np.zeros((40, 48, 56), np.float32)

    fine = da.map_blocks(block, chunks=((40,), (48,), (56,)), dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))
    coarse = da.zeros((20, 24, 28), dtype=np.float32)
    layer = viewer.add_image([fine, coarse], name="lazy", multiscale=True, contrast_limits=(0, 1), **TRANSFORM)
    tool = start(layer)
    read.clear()
    tool.image_choice.describe()
    image = tool.image_choice.image()
    assert read == [], "not on the window's thread"
    assert image.geometry.shape == SHAPE


def test_multiscale_labels_are_measured_and_saved_at_their_finest_level(window, wait, tmp_path, qtbot):
    viewer = window(show=True)
    data = (organ() > 0).astype(np.uint8) * 3
    labels = viewer.add_labels([data, data[::2, ::2, ::2]], name="liver", multiscale=True, **TRANSFORM)
    tool = open_files(viewer, [], tool="volume")
    assert tool.labels_layer is labels
    table = tool.keeping.table
    wait(lambda: table.label_values() == [3])
    wait(lambda: labels.features["voxels"].sum() == data.size)
    assert labels.features["volume [mL]"][1] == pytest.approx(np.count_nonzero(data) * 4.5 / 1000)
    # The same way as File > Save Selected Layers.
    for name in ("saved.nii.gz", "saved.nrrd"):
        (path,) = viewer.layers.save(str(tmp_path / name), selected=False, plugin="napari-workbench")
        again = wb.read(path)
        file = again.data[0]
        world = nib.affines.apply_affine(again.geometry.affine, np.argwhere(file == 3)).mean(axis=0)
        assert np.count_nonzero(file) == np.count_nonzero(data)
        assert np.allclose((world[2], -world[1], -world[0]), TRUE_MIDDLE, atol=0.05)
    tool.folder.setText(str(tmp_path / "out"))
    QTest.mouseClick(tool.save_button, Qt.MouseButton.LeftButton)
    wait(lambda: not tool.runner.is_busy, 60)
    written = nib.load(next((tmp_path / "out").rglob("labels.nii.gz")))
    assert np.count_nonzero(np.asarray(written.dataobj)) == np.count_nonzero(data)
    moments = np.zeros((2, 4, 5, 6), np.uint8)
    with pytest.raises(InputError, match="2 moments in time"):
        write_labels(str(tmp_path / "t.nii.gz"), moments, {"name": "t", "axis_labels": ("t", "z", "y", "x")})


def test_what_does_not_fit_is_said_of_the_level_that_is_computed(window, wait):
    """MR under CT weights, NaN and odd units: of a pyramid too, and read in the background."""
    viewer = window()
    air = np.full((40, 48, 56), -1000.0, np.float32)
    air[8:30, 8:40, 8:48] = organ()[8:30, 8:40, 8:48] / 4 + 20
    odd = air.copy()
    odd[:5] = np.nan
    tool = open_files(viewer, [], tool="volume")
    label = tool.panel.image.beforehand
    bright = [np.abs(level) * 3 + 900 for level in pyramid(air)]
    for levels, own, said in (
        (bright, TRANSFORM, "values"),
        ([odd, *pyramid(air)[1:]], TRANSFORM, "NaN"),
        (pyramid(air), {**TRANSFORM, "scale": (0.002, 0.0015, 0.0015)}, "voxel size"),
    ):
        viewer.layers.clear()
        layer = viewer.add_image(levels, name="ct", multiscale=True, contrast_limits=(-1000, 1000), **own)
        assert tool.image_layer is layer
        wait(lambda said=said: "Run would refuse this" in label.text() and said.lower() in label.text().lower(), 60)
        assert "Use anyway" in label.text()
        if said == "NaN":
            tool.panel.image.level.setCurrentIndex(1)
            wait(lambda: "NaN" not in label.text())
