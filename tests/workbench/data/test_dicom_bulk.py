"""Outlines out of DICOM microscopy bulk simple annotations, made by highdicom."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from workbench.core.errors import InputError, NothingFound, WorkbenchWarning
from workbench.data.objects import read_objects

hd = pytest.importorskip("highdicom", reason="highdicom is not installed (extra dicom)")

SQUARE = np.array([[10.0, 20.0], [30.0, 20.0], [30.0, 44.0], [10.0, 44.0]], np.float32)
MILLIMETRES = np.array([[1.0, 2.0, 0.0], [1.1, 2.0, 0.0], [1.1, 2.1, 0.0]], np.float32)


@pytest.fixture(scope="module")
def slide():
    """The header of a slide that annotations refer to."""
    from pydicom.uid import VLWholeSlideMicroscopyImageStorage, generate_uid

    found = pydicom.Dataset()
    found.SOPClassUID, found.SOPInstanceUID = VLWholeSlideMicroscopyImageStorage, generate_uid()
    found.StudyInstanceUID, found.SeriesInstanceUID, found.FrameOfReferenceUID = (generate_uid() for _ in range(3))
    for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
                 "AccessionNumber", "ReferringPhysicianName", "ContainerIdentifier"):  # fmt: skip
        setattr(found, name, "")
    found.Modality, found.Rows, found.Columns = "SM", 256, 256
    found.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    found.TotalPixelMatrixRows, found.TotalPixelMatrixColumns = 1000, 1200
    found.file_meta = pydicom.dataset.FileMetaDataset()
    found.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    return found


def group(number, label, kind, data, areas=None):
    from pydicom.sr.codedict import codes

    measured = []
    if areas is not None:
        name = codes.SCT.Area
        measured = [hd.ann.Measurements(name, np.array(areas, np.float32), codes.UCUM.SquareMicrometer)]
    return hd.ann.AnnotationGroup(
        number=number, uid=hd.UID(), label=label, annotated_property_category=codes.SCT.AnatomicalStructure,
        annotated_property_type=codes.SCT.Nucleus, graphic_type=kind, graphic_data=data, algorithm_type="MANUAL",
        measurements=measured,
    )  # fmt: skip


def write(slide, path, groups, where="2D", **more):
    made = hd.ann.MicroscopyBulkSimpleAnnotations(
        source_images=[slide], annotation_coordinate_type=where, annotation_groups=groups,
        series_instance_uid=hd.UID(), series_number=1, sop_instance_uid=hd.UID(), instance_number=1,
        manufacturer="m", manufacturer_model_name="m", software_versions="1", device_serial_number="1", **more,
    )  # fmt: skip
    made.save_as(path)
    return path


def test_groups_are_classes_with_places_as_they_stand(slide, tmp_path):
    more = SQUARE + 100
    groups = [
        group(1, "tumour", "POLYGON", [SQUARE, more], areas=[480.0, 481.0]),
        group(2, "other", "ELLIPSE", [np.array([[0, 50], [40, 50], [20, 40], [20, 60]], np.float32)]),
    ]
    found = read_objects(write(slide, tmp_path / "a.dcm", groups))
    assert len(found) == 3
    np.testing.assert_allclose(found.polygon(0)[0][0], SQUARE)
    np.testing.assert_allclose(found.polygon(1)[0][0], more)
    assert [c.name for c in found.classes] == ["tumour", "other"]
    assert found.class_values.tolist() == [1, 1, 2]
    (name,) = found.measurements
    assert name == "Area [um2]"
    np.testing.assert_allclose(found.measurements[name], [480, 481, np.nan])
    assert found.areas()[2] == pytest.approx(np.pi * 20 * 10, rel=0.01)
    assert found.frame.affine is None


def test_points_are_left_out_aloud(slide, tmp_path):
    groups = [group(1, "a", "POLYGON", [SQUARE]), group(2, "b", "POINT", [np.array([[5.0, 6.0]], np.float32)])]
    with pytest.warns(WorkbenchWarning, match="point groups are left out"):
        assert len(read_objects(write(slide, tmp_path / "a.dcm", groups))) == 1
    with pytest.raises(InputError, match=r"holds no areas \(point\)"):
        read_objects(write(slide, tmp_path / "b.dcm", [group(1, *"b", "POINT", [np.array([[5.0, 6.0]], np.float32)])]))


def test_places_on_the_glass_are_refused_with_the_way_out(slide, tmp_path):
    made = write(slide, tmp_path / "a.dcm", [group(1, "a", "POLYGON", [MILLIMETRES])], where="3D")
    with pytest.raises(InputError, match="millimetres on the glass.*total pixel matrix"):
        read_objects(made)


def test_what_is_none_is_said(slide, tmp_path):
    with pytest.raises(NothingFound):
        read_objects(tmp_path / "no.dcm")
    (tmp_path / "text.dcm").write_text("hello")
    with pytest.raises(InputError, match="no DICOM file"):
        read_objects(tmp_path / "text.dcm")
    slide.save_as(tmp_path / "slide.dcm", enforce_file_format=False)
    other = pydicom.dcmread(tmp_path / "slide.dcm", force=True)
    other.file_meta = slide.file_meta
    other.save_as(tmp_path / "other.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match="modality SM, which holds no outlines"):
        read_objects(tmp_path / "other.dcm")
    whole = write(slide, tmp_path / "a.dcm", [group(1, "a", "POLYGON", [SQUARE])]).read_bytes()
    for cut in (len(whole) // 2, len(whole) - 40):
        (tmp_path / "cut.dcm").write_bytes(whole[:cut])
        with pytest.raises(InputError):
            read_objects(tmp_path / "cut.dcm")


@pytest.mark.parametrize(("name", "value", "said"), [
    ("NumberOfAnnotations", 99, "99 annotations are promised, 2 found"),
    ("LongPrimitivePointIndexList", np.array([1, 8], np.uint32).tobytes(), "begin where no point does"),
    ("LongPrimitivePointIndexList", np.array([3, 9], np.uint32).tobytes(), "begin where no point does"),
])  # fmt: skip
def test_what_contradicts_itself_is_refused(slide, tmp_path, name, value, said):
    made = write(slide, tmp_path / "a.dcm", [group(1, "a", "POLYGON", [SQUARE, SQUARE + 50])])
    found = pydicom.dcmread(made)
    setattr(found.AnnotationGroupSequence[0], name, value)
    found.save_as(made)
    with pytest.raises(InputError, match=said):
        read_objects(made)
