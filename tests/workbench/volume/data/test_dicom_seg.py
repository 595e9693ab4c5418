"""DICOM-SEG out and back, checked by highdicom's own reader, on the real series and on made ones."""

import sys

import numpy as np
import pydicom
import pytest

from tests.dicom_maker import write_enhanced, write_series
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError, MissingExtra
from workbench.core.types import Labels
from workbench.data import formats, write
from workbench.volume.data import cielab

hd = pytest.importorskip("highdicom", reason="extra 'dicom' is not installed")

CLASSES = ClassTable(
    (ClassInfo(2, "liver", (213, 94, 0)), ClassInfo(7, "odd thing", (0, 255, 255)), ClassInfo(200, "spleen", (1, 2, 3)))
)


def highdicom_labels(path, image):
    """What highdicom reads, put onto the grid of `image` by its own affine: (i, j, k) segment numbers."""
    volume = hd.seg.segread(str(path)).get_volume(combine_segments=True)
    out = np.zeros(image.geometry.shape, volume.array.dtype)
    index = np.argwhere(volume.array)
    world = (volume.affine @ np.c_[index, np.ones(len(index))].T)[:3].T * [-1, -1, 1]
    inverse = np.linalg.inv(image.geometry.affine)
    ours = np.rint(world @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    out[tuple(ours.T)] = volume.array[tuple(index.T)]
    return out


@pytest.mark.parametrize("shear", [False, True])
def test_round_trip_on_an_oblique_series(tmp_path, shear):
    # highdicom refuses a tilted gantry for volumes, not for planes
    step = (0.0, -0.8, 2.4) if shear else None
    orientation = {"orientation": (1, 0, 0, 0, 1, 0)} if shear else {}
    write_series(tmp_path / "d", reverse=True, step=step, **orientation)
    image = formats.read(tmp_path / "d")
    data = np.zeros(image.geometry.shape, "i4")
    data[1:3, 1:4, 2:4] = 7  # slices 0, 1 and 5 stay empty
    data[4, 2, 3] = 200
    (path,) = write.write(Labels(data, image.geometry, CLASSES), tmp_path / "out", format="dicom-seg", source=image)
    back = formats.read_labels(path, reference=image.geometry)
    np.testing.assert_array_equal(back.data, data)
    np.testing.assert_array_equal(back.geometry.affine, image.geometry.affine)
    assert back.classes == CLASSES
    if not shear:
        theirs = highdicom_labels(path, image)
        np.testing.assert_array_equal(np.array([0, 2, 7, 200])[theirs], data)


def test_round_trip_on_the_real_series(tmp_path, shared_data):
    image = formats.read(shared_data / "volume" / "ct_dicom")
    organs = formats.read_labels(shared_data / "volume" / "ct_dicom_organs.nii.gz")
    wanted = [c for c in organs.classes if c.name in ("liver", "spleen", "aorta", "vertebrae_T12")]
    data = np.where(np.isin(organs.data, [c.value for c in wanted]), organs.data, 0)[:, ::-1]  # their j runs backwards
    labels = Labels(data, image.geometry, ClassTable(tuple(wanted)), "seg")
    (path,) = write.write(labels, tmp_path, format="dicom-seg", source=image)
    back = formats.read(path)
    np.testing.assert_array_equal(back.data[0], data)
    assert back.classes == labels.classes
    assert back.geometry.matches(image.geometry)
    theirs = highdicom_labels(path, image)
    np.testing.assert_array_equal(np.array([0, *(c.value for c in wanted)])[theirs], data)
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    assert [s.SegmentLabel for s in dataset.SegmentSequence] == [c.name for c in wanted]
    assert dataset.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0].CodeValue == "10200004"
    # Every slice is referred to by the UID it has.
    uids = {str(p.uid) for p in image.native.stack.planes}
    referenced = {
        str(r.ReferencedSOPInstanceUID) for s in dataset.ReferencedSeriesSequence for r in s.ReferencedInstanceSequence
    }
    assert referenced == uids


def test_enhanced_source(tmp_path):
    write_enhanced(tmp_path / "e.dcm")
    image = formats.read(tmp_path / "e.dcm")
    data = np.zeros(image.geometry.shape, "u1")
    data[1, 2, 0], data[3, 1, 3] = 2, 7
    (path,) = write.write(Labels(data, image.geometry, CLASSES), tmp_path / "out", format="dicom-seg", source=image)
    np.testing.assert_array_equal(formats.read(path).data[0], data)
    theirs = highdicom_labels(path, image)
    np.testing.assert_array_equal(np.array([0, 2, 7, 200])[theirs], data)


def test_files_of_other_programs_span_their_frames(tmp_path):
    """Without our private block the grid is that of the frames, in the right place."""
    write_series(tmp_path / "d")
    image = formats.read(tmp_path / "d")
    data = np.zeros(image.geometry.shape, "u1")
    data[1, 1, 1], data[2, 2, 4], data[3, 3, 2] = 2, 2, 7
    (path,) = write.write(Labels(data, image.geometry, CLASSES), tmp_path / "out", format="dicom-seg", source=image)
    dataset = pydicom.dcmread(path)
    dataset.remove_private_tags()
    for item in dataset.SegmentSequence:
        del item.SegmentDescription
    dataset.save_as(tmp_path / "other.dcm")
    other = formats.read(tmp_path / "other.dcm")
    assert other.geometry.shape == (7, 5, 4)
    np.testing.assert_allclose(other.geometry.affine[:3, 3], (image.geometry.affine @ [0, 0, 1, 1])[:3], atol=1e-5)
    np.testing.assert_array_equal(other.data[0], np.array([0, 0, 1, 0, 0, 0, 0, 2])[data[:, :, 1:5]])
    assert [(c.value, c.name) for c in other.classes] == [(1, "liver"), (2, "odd thing"), (3, "spleen")]


def test_a_segmentation_beside_its_series_does_not_hide_it(tmp_path):
    write_series(tmp_path / "d")
    image = formats.read(tmp_path / "d")
    labels = Labels(np.full(image.geometry.shape, 2), image.geometry, CLASSES, "seg")
    write.write(labels, tmp_path / "d", format="dicom-seg", source=image)
    assert formats.read(tmp_path / "d").modality == "CT"
    rows = formats.info(tmp_path / "d")
    assert [r["modality"] for r in rows] == ["CT", "SEG"]
    assert formats.read(tmp_path / "d", series=2).classes == CLASSES


def test_a_whole_result_as_dicom_seg(tmp_path):
    from workbench.core.types import Heatmap, Provenance, Result

    write_series(tmp_path / "d")
    image = formats.read(tmp_path / "d")
    shape = image.geometry.shape
    parts = {
        "labels": Labels(np.full(shape, 7), image.geometry, CLASSES),
        "uncertainty": Heatmap(np.zeros(shape, "f4"), image.geometry, "entropy"),
    }
    result = Result(parts, image, Provenance("segformer3d", "demo", None, {}))
    paths = write.write(result, tmp_path / "out", format="dicom-seg", name="p1")
    assert [p.name for p in paths] == ["labels.dcm", "uncertainty.nii.gz", "provenance.json"]
    np.testing.assert_array_equal(formats.read_labels(paths[0], reference=image.geometry).data, 7)


@pytest.mark.parametrize("name", ["StudyInstanceUID", "FrameOfReferenceUID", "PatientID"])
def test_what_only_a_part_of_the_slices_says_is_said_of_the_segmentation(tmp_path, name):
    write_series(tmp_path / "d", PatientID="A", change=lambda k, ds: setattr(ds, name, "") if k % 3 != 1 else None)
    said = {str(pydicom.dcmread(f).get(name) or "") for f in (tmp_path / "d").iterdir()} - {""}
    image = formats.read(tmp_path / "d")
    data = np.full(image.geometry.shape, 7)
    for form in ("dicom-seg", "rtstruct"):
        labels = Labels(data, image.geometry, CLASSES)
        (path,) = write.write(labels, tmp_path / form, format=form, source=image)
        assert {str(pydicom.dcmread(path).get(name))} == said


def test_truncated_segmentation(tmp_path):
    write_series(tmp_path / "d")
    image = formats.read(tmp_path / "d")
    labels = Labels(np.full(image.geometry.shape, 2), image.geometry, CLASSES, "seg")
    (path,) = write.write(labels, tmp_path / "out", format="dicom-seg", source=image)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = dataset.PixelData[:6]
    dataset.save_as(path)
    with pytest.raises(
        InputError, match=r"PixelData .7fe0,0010. has 6 bytes, 5 x 7 x 1 x 6 frame.s. of 1 bits make 27"
    ):
        _ = formats.read(path).data


def test_overlapping_segments_are_refused(tmp_path):
    write_series(tmp_path / "d")
    image = formats.read(tmp_path / "d")
    labels = Labels(np.full(image.geometry.shape, 2), image.geometry, CLASSES, "seg")
    (path,) = write.write(labels, tmp_path / "out", format="dicom-seg", source=image)
    dataset = pydicom.dcmread(path)
    second = dataset.PerFrameFunctionalGroupsSequence[1]
    second.PlanePositionSequence = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence
    dataset.save_as(path)
    with pytest.raises(InputError, match="segments overlap in 35 voxels"):
        _ = formats.read(path).data


def test_values_without_class_and_empty_tables_are_refused(tmp_path):
    write_series(tmp_path / "d")
    image = formats.read(tmp_path / "d")
    for classes, message in ((CLASSES, r"values without a class: \[5\]"), (ClassTable(), "has no classes")):
        labels = Labels(np.full(image.geometry.shape, 5), image.geometry, classes)
        with pytest.raises(InputError, match=message):
            write.write(labels, tmp_path / "out", format="dicom-seg", source=image)
    assert list((tmp_path / "out").glob("*")) == []


def test_an_empty_mask_is_still_a_segmentation(tmp_path):
    write_series(tmp_path / "d")
    image = formats.read(tmp_path / "d")
    labels = Labels(np.zeros(image.geometry.shape, "u1"), image.geometry, CLASSES, "seg")
    (path,) = write.write(labels, tmp_path / "out", format="dicom-seg", source=image)
    back = formats.read_labels(path, reference=image.geometry)
    assert not back.data.any()
    assert back.classes == CLASSES


def test_without_highdicom_the_extra_is_named(tmp_path, monkeypatch):
    write_series(tmp_path / "d")
    image = formats.read(tmp_path / "d")
    labels = Labels(np.full(image.geometry.shape, 2), image.geometry, CLASSES)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(MissingExtra, match=r"pip install 'napari-workbench\[dicom\]'"):
        write.write(labels, tmp_path / "out", format="dicom-seg", source=image)


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 255), (213, 94, 0), (1, 2, 3)])
def test_colours_go_through_cielab_unchanged(color):
    stored = hd.color.CIELabColor(*cielab.from_rgb(color)).value
    assert cielab.to_rgb(stored) == color


def test_red_in_cielab_is_what_the_icc_tables_say():
    """sRGB red in the D50 connection space is L 54.29, a 80.81, b 69.89 (Lindbloom)."""
    np.testing.assert_allclose(cielab.from_rgb((255, 0, 0)), (54.29, 80.81, 69.89), atol=0.05)
