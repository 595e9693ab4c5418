"""Contours: written and filled again to the same map, and held against polygons of Matplotlib."""

import json

import numpy as np
import pydicom
import pytest
from matplotlib.path import Path as Polygon
from pydicom.dataset import Dataset

import workbench as wb
from tests.dicom_maker import OBLIQUE, write_enhanced, write_series
from tests.tiny import make_tiny_weights
from workbench.cli import run
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError
from workbench.core.types import Labels
from workbench.data import formats
from workbench.data.write import write

AXIAL = (1, 0, 0, 0, 1, 0)


def labels_on(image):
    """Two shapes: one with a hole and an island in it that touches a corner, one of two parts."""
    data = np.zeros(image.geometry.shape, np.uint8)
    data[2:16, 3:17, 2:6] = 1
    data[5:12, 6:14, 2:6] = 0
    data[8, 9, 2:6] = data[12, 14, 3] = 1
    data[17:19, 1:4, 1], data[18, 17:20, 7] = 2, 2
    data[16, 17, 4] = 1  # meets the first only at a corner
    return Labels(data, image.geometry, ClassTable.from_names(["liver", "spleen"]), origin="automatic", algorithm="x")


def series(folder, **fields):
    write_series(folder, n=9, rows=20, columns=21, spacing=(0.9, 0.7), **fields)
    return wb.read(folder)


TILT = {"orientation": AXIAL, "step": (0.0, -0.8, 2.4)}


@pytest.mark.parametrize("how", [{"orientation": AXIAL}, {"orientation": OBLIQUE}, TILT, {"reverse": True}])
def test_a_map_written_as_contours_is_filled_to_the_same_map(tmp_path, how):
    image = series(tmp_path / "ct", **how)
    labels = labels_on(image)
    (path,) = write(labels, tmp_path / "out", format="rtstruct", source=image)
    found = formats.read_labels(path, reference=image.geometry)
    assert np.array_equal(found.data, labels.data)
    assert found.classes.names == ("liver", "spleen")
    assert [c.color for c in found.classes] == [c.color for c in labels.classes]
    ds = pydicom.dcmread(path)
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.481.3"
    assert {r.ROIGenerationAlgorithm for r in ds.StructureSetROISequence} == {"AUTOMATIC"}
    sources = {d.SOPInstanceUID: d for d in map(pydicom.dcmread, sorted((tmp_path / "ct").iterdir()))}
    assert ds.StudyInstanceUID == next(iter(sources.values())).StudyInstanceUID
    for item in ds.ROIContourSequence:
        for contour in item.ContourSequence:
            slice_ = sources[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            normal = np.cross(slice_.ImageOrientationPatient[:3], slice_.ImageOrientationPatient[3:])
            assert np.abs((points - slice_.ImagePositionPatient) @ normal).max() < 1e-4


def test_a_map_stored_otherwise_takes_contours_too(tmp_path):
    """The same image as NIfTI with other axes: the contours are flat across another one."""
    import nibabel as nib

    image = series(tmp_path / "ct", orientation=AXIAL)
    labels = labels_on(image)
    (path,) = write(labels, tmp_path / "out", format="rtstruct", source=image)
    turned = nib.Nifti1Image(labels.data, image.geometry.affine).as_reoriented(np.array([[2, 1], [0, -1], [1, 1]]))
    nib.save(turned, tmp_path / "turned.nii.gz")
    found = formats.read_labels(path, reference=wb.read(tmp_path / "turned.nii.gz").geometry)
    # Centres lie strictly inside or outside of contours along voxel edges, so no rule of edges is needed.
    assert np.array_equal(found.data, np.asarray(turned.dataobj))


def test_multi_frame_files_are_referred_to_by_frame(tmp_path):
    write_enhanced(tmp_path / "e.dcm")
    image = wb.read(tmp_path / "e.dcm")
    data = np.zeros(image.geometry.shape, np.uint8)
    data[1:4, 1:3, 1:3] = 1
    labels = Labels(data, image.geometry, ClassTable.from_names(["a"]))
    (path,) = write(labels, tmp_path / "out", format="rtstruct", source=image)
    assert np.array_equal(formats.read_labels(path, reference=image.geometry).data, data)
    ds = pydicom.dcmread(path)
    frames = {c.ContourImageSequence[0].ReferencedFrameNumber for c in ds.ROIContourSequence[0].ContourSequence}
    assert frames == {2, 3}


def drawn(path, image, structures):
    """An RTSTRUCT of polygons {name: [(k, points in pixels)]} on an axial image, made from one of ours."""
    labels = labels_on(image)
    (made,) = write(labels, path.parent, format="rtstruct", source=image, name=path.stem)
    ds = pydicom.dcmread(made)
    for number, (name, contours) in enumerate(structures.items(), 1):
        ds.StructureSetROISequence[number - 1].ROIName = name
        items = []
        for k, points in contours:
            index = np.c_[points, np.full(len(points), k)]
            at = (index @ image.geometry.affine[:3, :3].T + image.geometry.affine[:3, 3]) * (-1, -1, 1)
            item = Dataset()
            item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            item.ContourData = [f"{v:.6f}" for v in at.ravel()]
            items.append(item)
        ds.ROIContourSequence[number - 1].ContourSequence = items
    for name in ("StructureSetROISequence", "ROIContourSequence", "RTROIObservationsSequence"):
        setattr(ds, name, getattr(ds, name)[: len(structures)])
    ds.save_as(made)
    return made


def circle(x, y, radius, n=60):
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.c_[x + radius * np.cos(angle), y + radius * np.sin(angle)]


def test_polygons_are_filled_as_matplotlib_fills_them(tmp_path):
    image = series(tmp_path / "ct", orientation=AXIAL)
    outer, inner, other = circle(9.3, 9.1, 7.2), circle(9.4, 9.7, 3.1), circle(5.13, 15.21, 2.2)
    path = drawn(tmp_path / "out" / "a.dcm", image, {"ring": [(3, outer), (3, inner)], "disc": [(6, other)]})
    found = formats.read_labels(path, reference=image.geometry)
    pixels = np.indices((21, 20)).reshape(2, -1).T
    inside = [Polygon(p).contains_points(pixels).reshape(21, 20) for p in (outer, inner, other)]
    assert np.array_equal(found.data[..., 3] == 1, inside[0] & ~inside[1])
    assert np.array_equal(found.data[..., 6] == 2, inside[2])
    assert np.count_nonzero(found.data) == np.count_nonzero(inside[0] & ~inside[1]) + np.count_nonzero(inside[2])


def test_structures_that_overlap_are_refused_but_the_outline_of_the_body_is_left_out(tmp_path):
    image = series(tmp_path / "ct", orientation=AXIAL)
    shapes = {"body": [(3, circle(10, 10, 9))], "organ": [(3, circle(10.2, 10.1, 4))]}
    path = drawn(tmp_path / "out" / "a.dcm", image, shapes)
    with pytest.raises(InputError, match="'body' and 'organ' in \\d+ voxels"):
        formats.read_labels(path, reference=image.geometry)
    ds = pydicom.dcmread(path)
    ds.RTROIObservationsSequence[0].RTROIInterpretedType = "EXTERNAL"
    ds.save_as(path)
    found = formats.read_labels(path, reference=image.geometry)
    assert found.classes.names == ("organ",)
    assert any("'body' is left out" in n for n in found.notes)
    assert set(np.unique(found.data)) == {0, 2}


def test_contours_of_another_image_are_refused_unless_asked(tmp_path):
    image = series(tmp_path / "ct", orientation=AXIAL)
    between = drawn(tmp_path / "out" / "a.dcm", image, {"a": [(3.4, circle(10, 10, 5))]})
    with pytest.raises(GeometryError, match="1 lie between its slices.*--resample-labels"):
        formats.read_labels(between, reference=image.geometry)
    found = formats.read_labels(between, reference=image.geometry, resample=True)
    assert found.data[..., 3].any()
    assert any("nearest slice" in n for n in found.notes)
    outside = drawn(tmp_path / "out" / "b.dcm", image, {"a": [(3, circle(19, 10, 8))]})
    with pytest.raises(GeometryError, match="1 reach outside of it"):
        formats.read_labels(outside, reference=image.geometry)
    other = series(tmp_path / "oblique", orientation=OBLIQUE)
    with pytest.raises(GeometryError, match="no planes of the image"):
        formats.read_labels(outside, reference=other.geometry)


def test_what_contours_are_not(tmp_path):
    image = series(tmp_path / "ct", orientation=AXIAL)
    path = drawn(tmp_path / "out" / "a.dcm", image, {"a": [(3, circle(10, 10, 5))]})
    with pytest.raises(GeometryError, match="no grid of their own"):
        formats.read_labels(path)
    with pytest.raises(InputError, match=r"contours \(RTSTRUCT\), not an image"):
        wb.read(path)
    ds = pydicom.dcmread(path)
    ds.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = 7
    ds.save_as(tmp_path / "bad.dcm")
    with pytest.raises(InputError, match=r"bad\.dcm: ContourData"):
        formats.read_labels(tmp_path / "bad.dcm", reference=image.geometry)


def test_predict_evaluate_and_train_with_contours(tmp_path, capsys):
    write_series(tmp_path / "in" / "ct", n=24, rows=24, columns=24, spacing=(4.0, 4.0), orientation=AXIAL)
    weights = make_tiny_weights(tmp_path / "w.safetensors", seed=4)
    common = ["--weights", str(weights), "--device", "cpu", "--force"]
    given = ["-i", str(tmp_path / "in" / "ct")]
    assert run(["predict", "segformer3d", *given, "-o", str(tmp_path / "p"), *common, "--format", "rtstruct"]) == 0
    path = tmp_path / "p" / "ct" / "labels.dcm"
    labelled = [*given, "--labels", str(path)]
    assert run(["evaluate", "segformer3d", *labelled, "-o", str(tmp_path / "e"), *common]) == 0
    rows = json.loads((tmp_path / "e" / "scores.json").read_text(encoding="utf-8"))
    assert [r["dice"] for r in rows["rows"]] == [1.0, 1.0]
    assert any("contours of 2 structure(s) were filled" in n for n in rows["notes"])
    train = ["train", "segformer3d", *labelled, "-o", str(tmp_path / "t.safetensors"), "--steps", "1"]
    train += ["--weights", "none", "--device", "cpu", "--force", "--spacing", "4", "4", "4", "--roi", "32", "32", "32"]
    assert run(train) == 0, capsys.readouterr().err


BOX = [(2.5, 3.5), (12.5, 3.5), (12.5, 13.5), (2.5, 13.5)]  # 10 x 10 pixel centres
HOLE = [(5.5, 6.5), (8.5, 6.5), (8.5, 10.5), (5.5, 10.5)]  # 3 x 4


def filled(tmp_path, contours):
    image = series(tmp_path / "ct", orientation=AXIAL)
    drawn(tmp_path / "d.dcm", image, {"a": contours})
    found = formats.read_labels(tmp_path / "d.dcm", reference=image.geometry)
    return found.data, " ".join(found.notes)


def test_a_contour_stored_twice_counts_once(tmp_path):
    turned = BOX[2:] + BOX[:2]
    data, said = filled(tmp_path, [(3, BOX), (3, turned[::-1]), (4, BOX), (4, HOLE), (4, HOLE)])
    assert (data[:, :, 3].sum(), data[:, :, 4].sum()) == (100, 88)
    assert "structure 'a': 2 contour(s) are stored twice, and count once" in said


def test_contours_that_cross_are_joined(tmp_path):
    moved = [(x + 3, y + 2) for x, y in BOX]
    data, said = filled(tmp_path, [(3, BOX), (3, moved)])
    assert data.sum() == 100 + 100 - 7 * 8
    assert "1 contour(s) cross another one on their slice: they were joined" in said


def test_holes_and_parts_that_touch_are_no_crossing(tmp_path):
    beside = [(12.5, 3.5), (15.5, 3.5), (15.5, 13.5), (12.5, 13.5)]
    data, said = filled(tmp_path, [(3, BOX), (3, HOLE), (3, beside)])
    assert data.sum() == 100 - 12 + 30
    assert "cross" not in said
    assert "twice" not in said


def test_slices_between_contours_that_have_none_are_said(tmp_path):
    data, said = filled(tmp_path, [(k, BOX) for k in (1, 3, 5)])
    assert data.sum() == 300
    assert "structure 'a': 2 slices between its contours have none" in said
    far = [(x + 4, y) for x, y in HOLE]
    _, said = filled(tmp_path / "parts", [(1, HOLE), (5, [(x + 8, y) for x, y in far])])
    assert "have none" not in said
