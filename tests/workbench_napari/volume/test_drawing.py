"""What a person draws over an open volume is saved on the grid of that volume, with its classes."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from workbench_napari.launch import open_files
from workbench_napari.volume.class_editing import classes_of

import workbench as wb
from tests.tiny import make_volume
from workbench.core.layers import KEY

pytestmark = pytest.mark.gui

OBLIQUE = np.array([[2.9, -0.5, 0.3, -31.3], [0.6, 2.8, -0.4, 12.7], [-0.2, 0.5, 3.9, 5.5], [0, 0, 0, 1]])
SAGITTAL = np.array([[0, 0, -4.0, 31.3], [3.0, 0, 0, -12.7], [0, -3.0, 0, 5.5], [0, 0, 0, 1]])
GRIDS = {"plain": None, "sagittal": SAGITTAL, "oblique": OBLIQUE}
BOX = (slice(4, 9), slice(6, 14), slice(3, 11))


def press_new_labels(viewer):
    buttons = viewer.window._qt_viewer.layerButtons
    QTest.mouseClick(buttons.newLabelsButton, Qt.MouseButton.LeftButton)
    return viewer.layers[-1]


def meets(path, image_path, labels, image):
    """The file has the grid of the image, and every marked voxel lies at the place where it was drawn."""
    written, source = nib.load(path), nib.load(image_path)
    assert written.shape == source.shape
    assert np.allclose(written.affine, source.affine, atol=1e-5)
    marked = np.argwhere(np.asarray(written.dataobj) == 1)
    ras = nib.affines.apply_affine(written.affine, marked)
    world = np.stack([ras[:, 2], -ras[:, 1], -ras[:, 0]], axis=1)
    at = np.rint([image.world_to_data(w) for w in world]).astype(int)
    expected = np.zeros(image.data.shape, bool)
    expected[BOX] = True
    assert len(marked) == expected.sum()
    assert expected[tuple(at.T)].all()


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")
def test_labels_of_napari_are_saved_on_the_grid_of_the_image(window, wait, tmp_path, grid):
    path = make_volume(tmp_path / "ct.nii.gz", affine=GRIDS[grid])
    viewer = window()
    tool = open_files(viewer, [path])
    tool.folder.setText(str(tmp_path / "out"))
    image = viewer.layers["ct"]
    labels = press_new_labels(viewer)
    assert labels.data.shape == image.data.shape
    labels.data_setitem(tuple(i.ravel() for i in np.indices(labels.data.shape)[(slice(None), *BOX)]), 1)
    assert tool.labels_layer is labels
    assert "drawn over 'ct'" in tool.panel.labels.notes.text.lower()
    shown = labels.get_color(1)
    assert tool.save()
    wait(lambda: not tool.runner.is_busy, 60)
    saved = tool.last_folder / "labels.nii.gz"
    meets(saved, path, labels, image)
    assert np.allclose(np.array(wb.read(saved).classes.classes[0].color) / 255, shown[:3], atol=0.01)
    viewer.layers.selection.active = labels
    assert viewer.layers.save(str(tmp_path / "mine.nii.gz"), selected=True)
    meets(tmp_path / "mine.nii.gz", path, labels, image)
    sitk = pytest.importorskip("SimpleITK")
    if grid != "oblique":  # ITK refuses sheared NIfTI files, those of the image too
        a, b = sitk.ReadImage(str(tmp_path / "mine.nii.gz")), sitk.ReadImage(str(path))
        assert a.GetSize() == b.GetSize()
        assert np.allclose(a.GetOrigin(), b.GetOrigin(), atol=1e-4)
        assert np.allclose(a.GetDirection(), b.GetDirection(), atol=1e-5)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")
def test_without_the_tool_the_writer_finds_the_grid(window, tmp_path, grid):
    path = make_volume(tmp_path / "ct.nii.gz", affine=GRIDS[grid])
    viewer = window()
    (image,) = viewer.open(str(path), plugin="napari-workbench")
    viewer.layers.selection.active = image
    labels = press_new_labels(viewer)
    labels.data[BOX] = 1
    assert viewer.layers.save(str(tmp_path / "mine.nii.gz"), selected=True)
    meets(tmp_path / "mine.nii.gz", path, labels, image)


def test_shapes_and_points_become_labels_on_the_grid(window, tmp_path):
    path = make_volume(tmp_path / "ct.nii.gz", affine=SAGITTAL)
    viewer = window()
    tool = open_files(viewer, [path])
    image = viewer.layers["ct"]
    place = {k: getattr(image, k) for k in ("scale", "translate", "affine", "units")}
    corners = [[5, 6, 3], [5, 6, 10], [5, 13, 10], [5, 13, 3]]
    shapes = viewer.add_shapes([corners], shape_type="polygon", name="lesion", **place)
    labels = tool.drawing.labels_of(shapes, image)
    assert set(np.argwhere(labels.data)[:, 0]) == {5}
    assert labels.data[5, 10, 6] == 1
    assert [c.name for c in classes_of(labels)] == ["lesion"]
    coronal = viewer.add_shapes([[[c[1], 5, c[2]] for c in corners]], shape_type="polygon", **place)
    assert set(np.argwhere(tool.drawing.labels_of(coronal, image).data)[:, 1]) == {5}
    viewer.layers.selection.active = shapes
    assert viewer.layers.save(str(tmp_path / "lesion.nii.gz"), selected=True)
    again = wb.read(tmp_path / "lesion.nii.gz")
    assert again.geometry.matches(wb.read(path).geometry)
    assert (again.data[0] > 0).sum() == (labels.data > 0).sum()
    points = viewer.add_points([[5, 10, 6], [9, 20, 20]], size=1, name="seeds", **place)
    marked = tool.drawing.labels_of(points, image)
    assert marked.data[5, 10, 6] == marked.data[9, 20, 20] == 1
    viewer.layers.selection.active = points
    assert viewer.layers.save(str(tmp_path / "seeds.nii.gz"), selected=True)
    assert wb.read(tmp_path / "seeds.nii.gz").geometry.matches(wb.read(path).geometry)


def test_images_of_different_orders_at_one_place_are_asked_about(window, tmp_path):
    first = nib.load(make_volume(tmp_path / "a.nii.gz", shape=(24, 24, 24), affine=np.diag([3.0, 3, 3, 1])))
    nib.save(nib.as_closest_canonical(first), tmp_path / "a.nii.gz")
    turned = first.as_reoriented(np.array([[0, -1], [1, 1], [2, 1]]))
    nib.save(turned, tmp_path / "b.nii.gz")
    viewer = window()
    for name in "ab":
        viewer.open(str(tmp_path / f"{name}.nii.gz"), plugin="napari-workbench")
    viewer.layers.selection.active = viewer.layers["a"]
    press_new_labels(viewer).data[4, 5, 6] = 1
    from workbench.core.errors import WorkbenchError

    with pytest.raises(WorkbenchError, match="'a' or 'b'"):
        viewer.layers.save(str(tmp_path / "x.nii.gz"), selected=True)
    assert not (tmp_path / "x.nii.gz").exists()
    tool = open_files(viewer, [])
    assert tool.labels_layer.metadata[KEY]["drawn_over"] in ("a", "b"), "the chosen image is meant"


def test_classes_are_edited_by_hand_and_undone(window, wait, qtbot, ct_file, tmp_path):
    viewer = window(show=True)
    tool = open_files(viewer, [ct_file])
    tool.folder.setText(str(tmp_path / "out"))
    labels = tool.drawing.new_labels(viewer.layers["ct"])
    assert labels.data.shape == viewer.layers["ct"].data.shape
    labels.paint((5, 10, 10), 1)
    tool.journal.flush()
    assert len(tool.journal.store.entries()) == 1, "from the first stroke"
    row = tool.class_row
    row.name.setFocus()
    row.name.selectAll()
    QTest.keyClicks(row.name, "liver")
    QTest.keyClick(row.name, Qt.Key.Key_Return)
    QTest.mouseClick(row.add, Qt.MouseButton.LeftButton)
    QTest.keyClicks(row.name, "spleen")
    QTest.keyClick(row.name, Qt.Key.Key_Return)
    assert [c.name for c in classes_of(labels)] == ["liver", "spleen"]
    assert labels.selected_label == 2
    labels.paint((5, 20, 20), 2)
    painted = labels.data.copy()
    row.editing.recolor(labels, 2, (10, 200, 30))
    assert np.allclose(labels.get_color(2)[:3], np.array([10, 200, 30]) / 255, atol=0.01)
    QTest.mouseClick(row.delete, Qt.MouseButton.LeftButton)
    assert [c.name for c in classes_of(labels)] == ["liver"]
    assert not (labels.data == 2).any()
    labels.undo()
    assert np.array_equal(labels.data, painted)
    assert [(c.name, c.color) for c in classes_of(labels)][1] == ("spleen", (10, 200, 30))
    labels.redo()
    assert [c.name for c in classes_of(labels)] == ["liver"]
    labels.undo()
    labels.selected_label = 2
    row._fill_menu()
    row.merge.menu().actions()[0].trigger()
    assert (labels.data > 0).sum() == (labels.data == 1).sum() == (painted > 0).sum()
    labels.undo()
    assert np.array_equal(labels.data, painted)
    assert tool.save()
    wait(lambda: not tool.runner.is_busy, 60)
    saved = wb.read(tool.last_folder / "labels.nii.gz").classes
    assert [(c.value, c.name) for c in saved] == [(1, "liver"), (2, "spleen")]
    assert saved.classes[1].color == (10, 200, 30)
