"""Where things lie in the Volume tool: voxels, results and files in the world, and the four views of the patient."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared.saving import state_of
from workbench_napari.shared.views import camera_of

import workbench as wb
from tests.tiny import make_volume
from tests.workbench_napari.volume.window import row, run, save, show
from workbench.core.layers import KEY
from workbench.volume.placement import layer_world, place

pytestmark = pytest.mark.gui

OBLIQUE = np.array([[2.9, -0.5, 0.3, -31.3], [0.6, 2.8, -0.4, 12.7], [-0.2, 0.5, 3.9, 5.5], [0, 0, 0, 1]])


def test_opens_at_the_right_place(opened, ct_file):
    viewer, tool = opened
    layer = viewer.layers["ct"]
    file = nib.load(ct_file)
    data = np.asarray(file.dataobj)
    for index in [(0, 0, 0), (39, 35, 29), (7, 20, 11)]:
        x, y, z = nib.affines.apply_affine(file.affine, index)
        inside = np.array(layer.world_to_data((z, -y, -x)))
        assert np.allclose(inside, np.rint(inside), atol=1e-6)
        assert layer.data[tuple(np.rint(inside).astype(int))] == data[index]
    assert [str(u) for u in layer.units] == ["millimeter"] * 3
    assert layer.axis_labels == ("z", "y", "x")
    assert tuple(layer.contrast_limits) == (-160, 240)
    assert layer.contrast_limits_range[0] < -1000
    assert "40 × 36 × 30 voxels, 3 × 3 × 4\u00a0mm" in tool.panel.image.info.text()


def test_result_lies_over_the_image_with_names_and_volumes(opened, wait, ct_file, tiny_weights):
    viewer, tool = opened
    labels = run(tool, wait)
    image = viewer.layers["ct"]
    assert labels.data.shape == image.data.shape
    assert np.array_equal(labels.affine.affine_matrix, image.affine.affine_matrix)
    assert np.array_equal(labels.scale, image.scale)
    assert np.array_equal(labels.translate, image.translate)
    assert labels.units == image.units
    expected = wb.predict("segformer3d", ct_file, weights=str(tiny_weights), device="cpu")
    spot = place(expected.image.geometry)
    assert np.array_equal(spot.to_layer(expected.labels.data), labels.data)
    assert list(labels.features["class"]) == ["background", "liver", "spleen"]
    for value, name in ((1, "liver"), (2, "spleen")):
        count = int((labels.data == value).sum())
        assert row(tool, name) == (pytest.approx(count * 36 / 1000, abs=0.01), count)
    assert np.allclose(labels.get_color(1), (200 / 255, 90 / 255, 60 / 255, 1), atol=1e-3)
    assert tool.progress.isHidden()


def test_oblique_volume(window, wait, tiny_weights, tmp_path):
    path = make_volume(tmp_path / "oblique.nii.gz", affine=OBLIQUE)
    viewer = window()
    tool = open_files(viewer, [path])
    tool.model.weights.choose_file(tiny_weights)
    tool.model.device.setCurrentText("cpu")
    tool.folder.setText(str(tmp_path / "out"))
    assert "Oblique" in tool.panel.image.info.text()
    labels = run(tool, wait)
    stored = nib.load(path).affine
    expected = abs(np.linalg.det(stored[:3, :3])) * (labels.data == 1).sum() / 1000
    assert row(tool, "liver")[0] == pytest.approx(expected, abs=0.01)
    folder = save(tool, wait)
    assert nib.load(folder / "labels.nii.gz").affine.tobytes() == stored.tobytes()


@pytest.mark.parametrize(
    "transform",
    [
        {"scale": (4, 3, 3), "units": "mm"},
        {"scale": (4000, 3000, 3000), "units": "um", "translate": (100, 0, 50)},
        {"affine": [[4, 0.2, 0, 5], [0, 3, 0.1, 6], [0.1, 0, 3, 7], [0, 0, 0, 1]], "units": "mm"},
        {"scale": (0.4, 0.3, 0.3), "rotate": [[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]], "units": "cm"},
        {"scale": (4, 3, 3)},
    ],
    ids=["scale", "micrometres", "affine", "rotate-cm", "no-unit"],
)
@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")
def test_layers_of_others_are_honoured_both_ways(window, wait, ct_file, tiny_weights, tmp_path, transform):
    data = np.asarray(nib.load(ct_file).dataobj).transpose(2, 1, 0)
    viewer = window()
    image = viewer.add_image(data, name="foreign", **transform)
    tool = open_files(viewer, [])
    tool.model.weights.choose_file(tiny_weights)
    tool.model.device.setCurrentText("cpu")
    tool.folder.setText(str(tmp_path / "out"))
    labels = run(tool, wait)
    assert labels.units == image.units
    corners = np.array([[0, 0, 0], [29, 35, 39]])
    for corner in corners:
        assert np.allclose(labels.data_to_world(corner), image.data_to_world(corner))
    folder = save(tool, wait)
    written = nib.load(folder / "labels.nii.gz")
    factor = {"micrometer": 1e-3, "centimeter": 10.0}.get(str(image.units[0]), 1.0)
    for corner in corners:
        z, y, x = np.array(image.data_to_world(corner)) * factor
        assert np.allclose(nib.affines.apply_affine(written.affine, corner), (-x, -y, z), atol=1e-3)
    assert np.array_equal(np.asarray(written.dataobj), labels.data)


def test_pixels_need_a_word(window, wait, tiny_weights, ct_file):
    viewer = window()
    viewer.add_image(np.asarray(nib.load(ct_file).dataobj))
    tool = open_files(viewer, [])
    tool.model.weights.choose_file(tiny_weights)
    assert not tool.panel.image.pixel_is_mm.isHidden()
    assert not tool.segmenting.run()
    assert "no spacing" in tool.status.text()
    tool.panel.image.pixel_is_mm.setChecked(True)
    labels = run(tool, wait)
    assert row(tool, "liver")[0] == pytest.approx((labels.data == 1).sum() / 1000, abs=0.01)


def test_empty_state_and_views(window, ct_file, qtbot):
    viewer = window(show=True)
    tool = open_files(viewer, [])
    qtbot.waitUntil(tool.empty.isVisible)
    assert not tool.body.isVisible()
    tool = open_files(viewer, [ct_file])
    qtbot.waitUntil(tool.body.isVisible)
    assert not tool.empty.isVisible()
    seen = {}
    for name in ("Axial", "Coronal", "Sagittal", "3-D"):
        show(tool, name)
        seen[name] = (viewer.dims.ndisplay, tuple(viewer.dims.order), str(camera_of(viewer).orientation[1]))
        assert [b.text() for b in tool.panel.views.group.buttons() if b.isChecked()] == [name]
    assert seen == {
        "Axial": (2, (0, 1, 2), "down"),
        "Coronal": (2, (1, 0, 2), "up"),
        "Sagittal": (2, (2, 0, 1), "up"),
        "3-D": (3, (0, 1, 2), "down"),
    }
    # Seen from the front with the head up.
    assert camera_of(viewer).view_direction[1] > 0.8
    assert camera_of(viewer).up_direction[0] > 0.8


def test_view_buttons_follow_what_napari_itself_turns(opened):
    viewer, tool = opened

    def shown():
        return [b.text() for b in tool.panel.views.group.buttons() if b.isChecked()]

    assert shown() == ["Axial"]
    viewer.dims.order = (1, 0, 2)
    assert (shown(), str(camera_of(viewer).orientation[1])) == (["Coronal"], "up")
    viewer.dims.order = (2, 1, 0)
    assert shown() == [], "none of ours"
    viewer.dims.order = (0, 1, 2)
    assert (shown(), str(camera_of(viewer).orientation[1])) == (["Axial"], "down")
    viewer.dims.ndisplay = 3
    assert shown() == ["3-D"]
    viewer.dims.ndisplay = 2
    assert shown() == ["Axial"]


def test_the_patient_is_not_mirrored(window, tmp_path, qtbot):
    """Balls at known anatomical places appear where a radiologist expects them, in all four views, as drawn."""
    from workbench.core.classes import ClassInfo, ClassTable
    from workbench.core.types import Labels

    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = (30, -30, -30)
    data = np.zeros((60, 60, 60), np.uint8)
    grid = np.moveaxis(np.indices(data.shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    for value, ras in ((1, (18, 0, 0)), (2, (0, 0, 18)), (3, (0, 18, 0)), (4, (0, -18, 0))):
        data[((grid - ras) ** 2).sum(-1) < (8**2 if value < 4 else 12**2)] = value
    colors = {1: (255, 0, 0), 2: (0, 255, 0), 3: (0, 0, 255), 4: (255, 255, 0)}
    classes = ClassTable(tuple(ClassInfo(v, str(v), c) for v, c in colors.items()))
    image = wb.read(make_volume(tmp_path / "a.nii.gz", shape=data.shape, affine=affine))
    (path,) = wb.write(Labels(data, image.geometry, classes), tmp_path, name="balls_labels")
    viewer = window(show=True)
    tool = open_files(viewer, [path])
    viewer.layers[0].opacity = 1.0

    def place(value):
        pixels = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
        wanted = np.array(colors[value])
        # Shading darkens a colour but keeps its channels.
        bright = pixels.max(axis=-1) > 60
        same = bright & (np.abs(pixels / np.maximum(pixels.max(axis=-1, keepdims=True), 1) - wanted / 255) < 0.35).all(
            -1
        )
        if not same.any():
            return None
        y, x = np.argwhere(same).mean(axis=0) / pixels.shape[:2]
        return "".join(
            ("up " if y < 0.4 else "down " if y > 0.6 else "", "left" if x < 0.4 else "right" if x > 0.6 else "")
        )

    right, head, front, back = 1, 2, 3, 4
    show(tool, "Axial")
    viewer.dims.set_point(0, 0)
    qtbot.wait(100)
    assert (place(right), place(front), place(back)) == ("left", "up ", "down ")
    show(tool, "Coronal")
    viewer.dims.set_point(1, 0)
    qtbot.wait(100)
    assert (place(right), place(head)) == ("left", "up ")
    show(tool, "Sagittal")
    viewer.dims.set_point(2, 0)
    qtbot.wait(100)
    assert (place(head), place(front), place(back)) == ("up ", "left", "right")
    show(tool, "3-D")
    camera_of(viewer).set_view_direction(view_direction=(0, 1, 0), up_direction=(1, 0, 0))
    qtbot.wait(100)
    # From the front the small ball hides the middle of the large one behind it: the middle of the canvas is blue.
    canvas = viewer.screenshot(canvas_only=True, flash=False)
    middle = canvas[canvas.shape[0] // 2, canvas.shape[1] // 2, :3].astype(int)
    assert middle[2] > 2 * max(middle[0], middle[1])
    assert (place(right), place(head)) == ("left", "up ")


def test_dicom_in_dicom_seg_out(window, wait, tiny_weights, tmp_path):
    pytest.importorskip("highdicom", reason="the extra 'dicom' is not installed")
    from tests.dicom_maker import write_series

    write_series(tmp_path / "series", n=20, rows=24, columns=28, spacing=(3.0, 3.0), Modality="CT")
    viewer = window()
    tool = open_files(viewer, [tmp_path / "series"])
    tool.model.weights.choose_file(tiny_weights)
    tool.model.device.setCurrentText("cpu")
    tool.folder.setText(str(tmp_path / "out"))
    labels = run(tool, wait)
    labels.brush_size = 5
    labels.paint((10, 12, 12), 2)
    tool.format.setCurrentText("DICOM SEG (.dcm)")
    folder = save(tool, wait)
    assert (folder / "labels.dcm").is_file(), tool.status.text()
    (again,) = viewer.open(str(folder / "labels.dcm"), plugin="napari-workbench")
    assert np.array_equal(again.data, labels.data)
    assert np.allclose(layer_world(state_of(again)[1]), layer_world(state_of(labels)[1]), atol=1e-4)
    assert list(again.features["class"]) == ["background", "liver", "spleen"]


def test_samples_open_in_place(window):
    viewer = window()
    tool = open_files(viewer, [])
    tool.open_sample()
    (image,) = viewer.layers
    labels = viewer.open_sample("napari-workbench", "torso_ct_labels")[1]
    file = nib.load(image.metadata[KEY]["source"])
    index = (10, 20, 30)
    x, y, z = nib.affines.apply_affine(file.affine, index)
    inside = tuple(np.rint(image.world_to_data((z, -y, -x))).astype(int))
    assert image.data[inside] == np.asarray(file.dataobj)[index]
    assert np.allclose(layer_world(state_of(labels)[1]), layer_world(state_of(image)[1]))
    assert labels._type_string == "labels"
    # Liver on the patient's right, seen from the front on the left of the screen; x runs to the patient's left.
    liver = list(labels.features["class"]).index("liver")
    centre = np.argwhere(labels.data == labels.features["index"][liver]).mean(axis=0)
    assert centre[2] < labels.data.shape[2] / 2
