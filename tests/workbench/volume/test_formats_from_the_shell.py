"""`workbench predict --format`: every format of volumes, read back by the libraries of their fields."""

import json

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

import workbench as wb
from tests.dicom_maker import write_series
from tests.tiny import make_tiny_weights
from workbench.cli import run
from workbench.core.classes import ClassTable
from workbench.core.types import Labels
from workbench.data.write import write

hd = pytest.importorskip("highdicom")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Random weights that find both classes in noise."""
    return make_tiny_weights(tmp_path_factory.mktemp("weights") / "both.safetensors", seed=4)


@pytest.fixture
def series(tmp_path):
    write_series(tmp_path / "in" / "ct", n=24, rows=24, columns=24, spacing=(4.0, 4.0), orientation=(1, 0, 0, 0, 1, 0))
    return tmp_path / "in" / "ct"


def predict(source, weights, out, *more):
    given = ["predict", "segformer3d", "-i", str(source), "-o", str(out), "--weights", str(weights), "--force"]
    return run([*given, "--device", "cpu", *more])


def test_every_format_holds_the_same_map(series, both, tmp_path):
    truth = wb.predict("segformer3d", series, weights=str(both), device="cpu", force=True).labels.data
    assert set(np.unique(truth)) == {0, 1, 2}
    for name, suffix in (("nifti", ".nii.gz"), ("nrrd", ".seg.nrrd"), ("mha", ".mha"), ("dicom-seg", ".dcm")):
        out = tmp_path / name
        assert predict(series, both, out, "--format", name) == 0
        path = out / "ct" / f"labels{suffix}"
        if suffix == ".nii.gz":
            found = np.asarray(nib.load(path).dataobj)
        elif suffix != ".dcm":
            found = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).transpose(2, 1, 0)
        else:
            found = from_highdicom(path, truth.shape)
        assert np.array_equal(found, truth), name
        assert json.loads((out / "ct" / "provenance.json").read_text(encoding="utf-8"))["format"] == name


def from_highdicom(path, shape):
    seg = hd.seg.segread(str(path))
    assert {d.SegmentAlgorithmType for d in seg.SegmentSequence} == {"AUTOMATIC"}
    assert all("SegFormer3D" in d.SegmentAlgorithmName for d in seg.SegmentSequence)
    out = np.zeros(shape, np.uint8)
    for frame, pixels in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True):
        k = round((float(frame.PlanePositionSequence[0].ImagePositionPatient[2]) - 12.0) / 2.5)
        out[..., k][pixels.T > 0] = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    return out


def test_another_format_is_another_result(series, both, tmp_path, capsys):
    assert predict(series, both, tmp_path / "out") == 0
    assert predict(series, both, tmp_path / "out") == 0
    assert "already complete" in capsys.readouterr().err
    assert predict(series, both, tmp_path / "out", "--format", "nrrd") != 0
    assert "format differ" in capsys.readouterr().err
    assert predict(series, both, tmp_path / "out", "--format", "nrrd", "--overwrite") == 0
    assert sorted(p.name for p in (tmp_path / "out" / "ct").glob("labels*")) == ["labels.seg.nrrd"]


def test_a_format_of_another_kind_is_refused(series, both, tmp_path, capsys):
    assert predict(series, both, tmp_path / "out", "--format", "geotiff") == 2
    assert "dicom-seg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("origin", "kind"),
    [
        ("automatic", "AUTOMATIC"), ("corrected", "SEMIAUTOMATIC"), ("manual", "MANUAL"), ("unknown", "SEMIAUTOMATIC"),
    ],
)  # fmt: skip
def test_the_type_of_algorithm_is_who_drew_it(series, tmp_path, origin, kind):
    image = wb.read(series)
    data = np.zeros(image.geometry.shape, np.uint8)
    data[4:9, 5:9, 3:7] = 1
    labels = Labels(data, image.geometry, ClassTable.from_names(["liver"]), origin=origin, algorithm="a method")
    (path,) = write(labels, tmp_path / "out", format="dicom-seg", source=image)
    (segment,) = pydicom.dcmread(path).SegmentSequence
    assert segment.SegmentAlgorithmType == kind
    assert ("SegmentAlgorithmName" in segment) == (kind != "MANUAL")


def test_a_corrected_result_is_semiautomatic(series, both, tmp_path):
    from dataclasses import replace

    result = wb.predict("segformer3d", series, weights=str(both), device="cpu", force=True)
    edited = replace(result, provenance=replace(result.provenance, edited_by_hand=True))
    write(edited, tmp_path, format="dicom-seg", name="a")
    segments = pydicom.dcmread(tmp_path / "a" / "labels.dcm").SegmentSequence
    assert {s.SegmentAlgorithmType for s in segments} == {"SEMIAUTOMATIC"}


def test_a_sheared_volume_is_told_to_be_no_nifti_for_itk(tmp_path, both, capsys):
    """SimpleITK refuses the NIfTI file, as the note says, and opens the NRRD file."""
    at = np.diag([4.0, 4, 4, 1])
    at[1, 2] = 1.5
    data = np.random.default_rng(0).normal(0, 300, (24, 24, 24)).astype(np.int16)
    image = nib.Nifti1Image(data, at)
    image.header["qform_code"] = 0
    (tmp_path / "in").mkdir()
    nib.save(image, tmp_path / "in" / "tilted.nii.gz")
    assert predict(tmp_path / "in" / "tilted.nii.gz", both, tmp_path / "out") == 0
    assert "write NRRD for them: --format nrrd" in capsys.readouterr().err
    record = json.loads((tmp_path / "out" / "tilted" / "provenance.json").read_text(encoding="utf-8"))
    assert any("not at right angles" in n for n in record["notes"])
    with pytest.raises(RuntimeError, match="orthonormal|orthogonal"):
        sitk.ReadImage(str(tmp_path / "out" / "tilted" / "labels.nii.gz"))
    arguments = (tmp_path / "in" / "tilted.nii.gz", both, tmp_path / "nrrd", "--format", "nrrd")
    assert predict(*arguments) == 0
    assert "right angles" not in capsys.readouterr().err
    sitk.ReadImage(str(tmp_path / "nrrd" / "tilted" / "labels.seg.nrrd"))
