"""Writing: all or nothing, on the source's grid, and bit for bit the same geometry after reading again."""

import csv
import hashlib
import json
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dicom_maker import write_series
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError, UsageError
from workbench.core.types import Geometry, Heatmap, Image, Labels, Provenance, Result, Scores
from workbench.data import formats, write

AFFINE = np.array([[-0.7, 0.3, 0.1, 10.5], [0.2, 0.9, -0.4, -20.25], [0.1, 0.2, 2.5, 30], [0, 0, 0, 1]])
CLASSES = ClassTable.from_names(["liver", "spleen"])


@st.composite
def affines(draw):
    """Oblique, left-handed, permuted and anisotropic grids, some sheared, with awkward decimals."""
    angles = [draw(st.floats(-np.pi, np.pi)) for _ in range(3)]
    m = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = [a for a in range(3) if a != axis]
        r = np.eye(3)
        r[i, i] = r[j, j] = np.cos(angle)
        r[i, j], r[j, i] = -np.sin(angle), np.sin(angle)
        m = m @ r
    if draw(st.booleans()):
        m = np.eye(3)  # permuted and flipped only
    m = m[:, draw(st.permutations(range(3)))] * draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    m = m * [draw(st.floats(0.05, 20)) for _ in range(3)]
    if draw(st.booleans()):
        m[:, 2] += draw(st.floats(-0.3, 0.3)) * m[:, 1] * np.linalg.norm(m[:, 2]) / np.linalg.norm(m[:, 1])
    affine = np.eye(4)
    affine[:3, :3] = m
    affine[:3, 3] = [draw(st.floats(-1e4, 1e4)) for _ in range(3)]
    return affine


def make_source(fmt, folder, data, affine):
    """A file of each family, made by the family's own library."""
    if fmt == "nifti":
        path = folder / "source.nii"
        image = nib.Nifti1Image(data, affine)
        image.header.set_sform(affine, 1)
        nib.save(image, path)
        return path
    path = folder / f"source.{fmt}"
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(data.T.copy())
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("fmt", ["nifti", "nrrd", "mha"])
@settings(max_examples=40, deadline=None)
@given(affine=affines(), dtype=st.sampled_from(["u1", "i2", "u2", "i4", "f4", "f8"]), seed=st.integers(0, 1000))
def test_read_label_write_read_is_bit_exact(fmt, affine, dtype, seed):
    rng = np.random.default_rng(seed)
    data = (rng.random((3, 4, 5)) * 200).astype(dtype)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = formats.read(make_source(fmt, folder, data, affine))
        np.testing.assert_array_equal(source.data[0], data)
        np.testing.assert_allclose(source.geometry.affine, affine, rtol=1e-5, atol=1e-3)
        values = rng.integers(0, 3, data.shape)
        (path,) = write.write(Labels(values, source.geometry, CLASSES), folder / "out", source=source)
        back = formats.read_labels(path)
        assert back.geometry.affine.tobytes() == source.geometry.affine.tobytes()
        np.testing.assert_array_equal(back.data, values)
        assert back.data.dtype == np.uint8
        assert back.classes == CLASSES


@settings(max_examples=25, deadline=None)
@given(affine=affines())
def test_nrrd_holds_any_affine_exactly_and_others_to_their_precision(affine):
    labels = Labels(np.ones((3, 4, 5), "i4"), Geometry((3, 4, 5), affine), CLASSES)
    with tempfile.TemporaryDirectory() as folder:
        for fmt, tolerance in (("nrrd", 0.0), ("mha", 1e-14), ("nifti", 1e-7)):
            (path,) = write.write(labels, folder, format=fmt)
            back = formats.read(path).geometry.affine
            np.testing.assert_allclose(back, affine, rtol=0, atol=tolerance * np.abs(affine).max())


@pytest.fixture
def source(tmp_path) -> Image:
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), "i2"), AFFINE), tmp_path / "scan.nii.gz")
    return formats.read(tmp_path / "scan.nii.gz")


def result_for(image, geometry=None):
    geometry = geometry or image.geometry
    data = np.zeros(geometry.shape, np.int64)
    data[1] = 2
    return Result(
        {
            "labels": Labels(data, geometry, CLASSES),
            "uncertainty": Heatmap(np.full(geometry.shape, 0.5), geometry, "entropy"),
            "volumes": Scores(("class", "volume [mL]"), (("liver", 0.0), ('spl"een, x', 0.03))),
        },
        image,
        Provenance("segformer3d", "demo", "abc", {"overlap": 0.5}, source=str(image.source)),
    )


def test_a_result_becomes_a_folder_with_its_record_last(tmp_path, source):
    paths = write.write(result_for(source), tmp_path / "out")
    case = tmp_path / "out" / "scan"
    assert [p.relative_to(case).name for p in paths] == [
        "labels.nii.gz",
        "uncertainty.nii.gz",
        "volumes.csv",
        "provenance.json",
    ]
    assert sorted(p.name for p in case.iterdir()) == sorted(p.name for p in paths)  # no temporary file is left
    record = json.loads((case / "provenance.json").read_text(encoding="utf-8"))
    for file in paths[:-1]:
        content = file.read_bytes()
        assert record["files"][file.name] == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert record["settings"] == {"overlap": 0.5}
    assert record["classes"] == CLASSES.to_json()
    assert record["geometry"]["affine"] == source.geometry.affine.tolist()
    rows = list(csv.reader((case / "volumes.csv").read_text(encoding="utf-8").splitlines()))
    assert rows == [["class", "volume [mL]"], ["liver", "0.0"], ['spl"een, x', "0.03"]]
    np.testing.assert_array_equal(nib.load(case / "labels.nii.gz").affine, nib.load(source.source).affine)
    assert nib.load(case / "uncertainty.nii.gz").get_data_dtype() == np.float32


def test_geometry_that_does_not_match_is_refused_and_nothing_written(tmp_path, source):
    moved = AFFINE.copy()
    moved[0, 3] += 1
    for geometry in (Geometry((4, 5, 6), moved), Geometry((4, 5, 7), AFFINE), Geometry((4, 5, 6), None)):
        with pytest.raises(
            GeometryError, match=r"does not lie on the grid of .*scan.nii.gz.*Nothing was written"
        ) as caught:
            write.write(result_for(source, geometry), tmp_path / "out")
        assert "\n" not in str(caught.value)
        with pytest.raises(GeometryError):
            write.write(result_for(source, geometry).labels, tmp_path / "out", source=source)
    with pytest.raises(GeometryError, match=r"has shape \(4, 5, 7\), its geometry says \(4, 5, 6\)"):
        write.write(Labels(np.zeros((4, 5, 7), "u1"), source.geometry, CLASSES), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "/abs", "..", ".", "a\\b", "~root", "a\0b", "a\nb"])
def test_names_that_leave_the_folder_are_refused(tmp_path, source, name):
    with pytest.raises(UsageError, match="cannot be a file name"):
        write.write(result_for(source), tmp_path / "out", name=name)
    parts = result_for(source)
    with pytest.raises(UsageError, match="cannot be a file name"):
        write.write(Result({name: parts.labels}, source, parts.provenance), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_label_types_are_the_smallest_that_fit_and_never_narrower(tmp_path, source):
    for highest, dtype in ((255, "u1"), (256, "u2"), (65535, "u2"), (65536, "u4"), (2**32 - 1, "u4")):
        data = np.zeros((4, 5, 6), np.int64)
        data[0, 0, 0] = highest
        for fmt in ("nifti", "nrrd", "mha"):
            (path,) = write.write(Labels(data, source.geometry, CLASSES), tmp_path / "out", format=fmt)
            back = formats.read(path)
            assert back.dtype == np.dtype(dtype)
            assert int(back.data.max()) == highest
    for bad in (np.full((4, 5, 6), 2**32), np.full((4, 5, 6), -1), np.zeros((4, 5, 6), "f4")):
        with pytest.raises(InputError, match="Nothing was written"):
            write.write(Labels(bad, source.geometry, CLASSES), tmp_path / "out")


def test_the_source_is_never_overwritten(tmp_path, source):
    before = source.source.read_bytes()
    with pytest.raises(UsageError, match="source file itself"):
        write.write(source, tmp_path, name="scan")
    with pytest.raises(UsageError, match="source file itself"):
        write.write(result_for(source).labels, tmp_path, name="scan", source=source)
    assert source.source.read_bytes() == before


def test_a_failing_write_leaves_the_state_before_and_no_half_file(tmp_path, source, monkeypatch):
    paths = write.write(result_for(source), tmp_path / "out")
    before = {p.name: p.read_bytes() for p in paths}
    from workbench.volume.data import nifti

    original = nifti.write

    def fail(path, data, *args, **kwargs):
        if data.dtype.kind == "f":
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        original(path, data, *args, **kwargs)

    monkeypatch.setattr(nifti, "write", fail)
    with pytest.raises(UsageError, match=r"cannot write .*uncertainty.nii.gz: No space left on device"):
        write.write(result_for(source), tmp_path / "out")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out" / "scan").iterdir()} == before
    with pytest.raises(UsageError, match=r"cannot write .*uncertainty.nii.gz"):
        write.write(result_for(source), tmp_path / "new")
    assert not (tmp_path / "new" / "scan").exists()


def test_output_that_is_a_file_is_a_usage_error(tmp_path, source):
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        write.write(result_for(source), tmp_path / "out")
    with pytest.raises(UsageError, match="cannot write"):
        write.write(result_for(source).labels, tmp_path / "out")


def test_dicom_to_nifti_is_placed_to_float32(tmp_path):
    _, affine = write_series(tmp_path / "series")
    image = formats.read(tmp_path / "series")
    paths = write.write(result_for(image), tmp_path / "out")
    assert paths[0] == tmp_path / "out" / "series" / "labels.nii.gz"
    written = nib.load(paths[0])
    np.testing.assert_array_equal(written.affine[:3].astype("f4"), image.geometry.affine[:3].astype("f4"))
    np.testing.assert_allclose(written.affine, affine, atol=1e-4)
    assert int(written.header["sform_code"]) == int(written.header["qform_code"]) == 1
    (copy,) = write.write(image, tmp_path / "out")
    np.testing.assert_array_equal(np.asanyarray(nib.load(copy).dataobj), image.data[0])


def test_unknown_formats_name_the_nearest(tmp_path, source):
    with pytest.raises(UsageError, match=r"no output format 'nift'. Did you mean 'nifti'"):
        write.write(result_for(source), tmp_path, format="nift")
    with pytest.raises(UsageError, match="needs the DICOM series"):
        write.write(result_for(source), tmp_path, format="dicom-seg")
    with pytest.raises(UsageError, match="label maps only"):
        write.write(source, tmp_path / "x", format="dicom-seg")


def test_image_without_position_is_not_written(tmp_path):
    image = Image(Geometry((3, 4, 5), None), np.dtype("u1"), ("0",), lambda: np.zeros((1, 3, 4, 5), "u1"))
    with pytest.raises(GeometryError, match="nothing says where it belongs"):
        write.write(image, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_result_never_overwrites_its_own_source(tmp_path, source):
    """A label map of an earlier run, opened as an image and run again into the same folder."""
    folder = tmp_path / "out" / "case"
    folder.mkdir(parents=True)
    path = folder / "labels.nii.gz"
    path.write_bytes(source.source.read_bytes())
    image = formats.read(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="source file itself"):
        write.write(result_for(image), tmp_path / "out", name="case", format="nifti")
    assert path.read_bytes() == before
    assert [p.name for p in folder.iterdir()] == ["labels.nii.gz"]
