"""Against nibabel and MONAI's NibabelReader, and with files broken on purpose."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import GeometryError, InputError
from workbench.core.types import Geometry, Labels
from workbench.data import formats, write
from workbench.volume.data import nifti
from workbench.volume.data.checks import require_volume

REAL = (
    "ct_torso_3mm", "ct_abdomen_3mm", "ct_abdomen_3mm_organs", "ct_dicom_organs", "mr_abdomen_3mm",
    "mr_abdomen_3mm_organs", "mni152_t1", "mni152_gm", "mni152_wm",
)  # fmt: skip
OBLIQUE = np.array([[-0.7, 0.3, 0.1, 10.5], [0.2, 0.9, -0.4, -20.25], [0.1, 0.2, 2.5, 30], [0, 0, 0, 1]])


def save(path, data, affine=OBLIQUE, **header):
    image = nib.Nifti1Image(data, affine)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


def patch(path, offset, content):
    """Overwrite bytes of an uncompressed file."""
    raw = bytearray(path.read_bytes())
    raw[offset : offset + len(content)] = content
    path.write_bytes(bytes(raw))
    return path


@pytest.mark.parametrize("name", REAL)
def test_real_files_agree_with_nibabel(shared_data, name):
    path = shared_data / "volume" / f"{name}.nii.gz"
    image, truth = formats.read(path), nib.load(path)
    values = np.asanyarray(truth.dataobj)
    assert image.data.dtype == image.dtype == values.dtype
    np.testing.assert_array_equal(image.data[0], values)
    np.testing.assert_array_equal(image.geometry.affine, truth.affine)
    require_volume(image)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", ">f4", "<f8"])
def test_types_survive(tmp_path, dtype):
    rng = np.random.default_rng(0)
    data = (rng.random((4, 5, 6)) * 100).astype(dtype)
    header = nib.Nifti1Header(endianness=">" if dtype.startswith(">") else "<")
    header.set_data_dtype(np.dtype(dtype))
    nib.save(nib.Nifti1Image(data, OBLIQUE, header, dtype=np.dtype(dtype)), tmp_path / "a.nii")
    image = formats.read(tmp_path / "a.nii")
    assert image.data.dtype == image.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(image.data[0], data)


def test_scaling_gives_floats_like_nibabel(tmp_path):
    data = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
    path = save(tmp_path / "a.nii", data)
    patch(path, 112, np.array([0.5, -1024], dtype="<f4").tobytes())  # scl_slope, scl_inter
    image = formats.read(path)
    assert image.data.dtype == image.dtype == np.float32
    np.testing.assert_allclose(image.data[0], nib.load(path).get_fdata(), rtol=1e-6)


def test_four_and_five_dimensions_become_channels(tmp_path):
    four = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype("f4")
    image = formats.read(save(tmp_path / "four.nii.gz", four))
    assert image.channels == ("0", "1", "2")
    np.testing.assert_array_equal(image.data, np.moveaxis(four, -1, 0))
    vector = four[:, :, :, None, :]
    image = formats.read(save(tmp_path / "five.nii.gz", vector, intent_code=1007))
    np.testing.assert_array_equal(image.data, np.moveaxis(four, -1, 0))
    both = np.random.default_rng(0).normal(size=(4, 5, 6, 2, 3)).astype("f4")
    image = formats.read(save(tmp_path / "both.nii.gz", both))
    assert image.channels == ("0.0", "0.1", "0.2", "1.0", "1.1", "1.2")
    np.testing.assert_array_equal(image.data[5], both[..., 1, 2])


def test_colour_becomes_three_channels(tmp_path):
    rgb = np.zeros((4, 5, 6), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    rgb["G"] = 7
    image = formats.read(save(tmp_path / "rgb.nii.gz", rgb))
    assert image.channels == ("R", "G", "B")
    assert image.data[:, 1, 1, 1].tolist() == [0, 7, 0]


def test_qform_only_and_no_form(tmp_path):
    header = nib.Nifti1Header()
    rigid = np.diag([-1.0, 1.5, 2.0, 1.0])
    header.set_qform(rigid, 1)
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), "i2"), None, header), tmp_path / "q.nii")
    np.testing.assert_allclose(formats.read(tmp_path / "q.nii").geometry.affine, rigid, atol=1e-6)
    header.set_qform(rigid, 0)
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), "i2"), None, header), tmp_path / "n.nii")
    image = formats.read(tmp_path / "n.nii")
    np.testing.assert_array_equal(image.geometry.affine, nib.load(tmp_path / "n.nii").affine)
    assert "orientation is a guess" in image.notes[0]


def test_metres_and_microns_become_millimetres(tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 5, 6), "i2"), np.diag([250.0, 250, 500, 1]))
    image.header.set_xyzt_units("micron")
    nib.save(image, tmp_path / "a.nii")
    found = formats.read(tmp_path / "a.nii")
    assert found.geometry.spacing == pytest.approx((0.25, 0.25, 0.5))
    assert found.notes == ("xyzt_units is micron: positions were converted to mm",)


@pytest.mark.parametrize("version", [1, 2])
def test_label_map_keeps_forms_codes_and_units_bit_for_bit(tmp_path, version):
    kind = nib.Nifti1Image if version == 1 else nib.Nifti2Image
    source = kind(np.zeros((4, 5, 6, 2), "f4"), None)
    source.header.set_sform(OBLIQUE, 3)
    source.header.set_qform(np.diag([0.7, -0.9, 2.5, 1.0]), 1)  # another place than the sform: both must stay
    source.header.set_xyzt_units("mm", "sec")
    source.header["descrip"] = b"Jane Doe"
    nib.save(source, tmp_path / "a.nii.gz")
    image = formats.read(tmp_path / "a.nii.gz")
    labels = Labels(
        np.arange(120).reshape(4, 5, 6) % 3, image.geometry, ClassTable.from_names(["liver", "tumour & rim"])
    )
    (path,) = write.write(labels, tmp_path / "out", source=image)
    before, after = nib.load(tmp_path / "a.nii.gz").header, nib.load(path).header
    assert isinstance(nib.load(path), kind)
    for field in (
        "sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d", "qoffset_x",
        "qoffset_y", "qoffset_z", "xyzt_units",
    ):  # fmt: skip
        assert before[field].tobytes() == after[field].tobytes(), field
    assert before["pixdim"][:4].tobytes() == after["pixdim"][:4].tobytes()
    assert b"Doe" not in after.binaryblock
    assert after.get_data_dtype() == np.uint8
    back = formats.read_labels(path, reference=image.geometry)
    assert back.classes == labels.classes
    np.testing.assert_array_equal(back.data, labels.data)


def test_shear_is_left_to_the_sform(tmp_path):
    sheared = np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]])
    nifti.write(tmp_path / "a.nii", np.zeros((3, 4, 5), "u1"), Geometry((3, 4, 5), sheared))
    header = nib.load(tmp_path / "a.nii").header
    assert int(header["qform_code"]) == 0
    np.testing.assert_allclose(header.get_sform(), sheared, atol=1e-6)
    nifti.write(
        tmp_path / "b.nii", np.zeros((3, 4, 5), "u1"), Geometry((3, 4, 5), np.diag([-1.0, 2, 3, 1])), scanner=True
    )
    assert int(nib.load(tmp_path / "b.nii").header["qform_code"]) == 1


def test_total_segmentator_names_are_read(shared_data):
    classes = formats.read(shared_data / "volume" / "ct_dicom_organs.nii.gz").classes
    named = {c.value: (c.name, c.color) for c in classes}
    assert len(named) == 117
    assert named[5] == ("liver", (0, 255, 255))
    assert named[6] == ("stomach", (255, 128, 0))


# --- bad input ---


def one_line(caught):
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_text_file_named_nii(tmp_path):
    for name in ("a.nii", "a.nii.gz"):
        (tmp_path / name).write_text("This is a text file, and long enough to look at. " * 20)
        with pytest.raises(InputError, match=r"not a readable NIfTI file") as caught:
            formats.read(tmp_path / name)
        assert name in one_line(caught)
    (tmp_path / "empty.nii").touch()
    with pytest.raises(InputError, match="the file is empty"):
        formats.read(tmp_path / "empty.nii")


def test_cut_off_file_answers_info_and_refuses_pixels(tmp_path):
    path = save(tmp_path / "a.nii", np.zeros((10, 11, 12), "i2"))
    path.write_bytes(path.read_bytes()[:1000])
    assert formats.info(path)[0]["shape"] == [10, 11, 12]
    image = formats.read(path)
    with pytest.raises(
        InputError, match=r"truncated: .* 352 \+ 10 x 11 x 12 x 2 = 2992 bytes, the file has 1000"
    ) as caught:
        _ = image.data
    one_line(caught)


def test_truncated_gzip(tmp_path):
    data = np.random.default_rng(0).integers(0, 1000, (20, 20, 20)).astype("i2")
    path = save(tmp_path / "a.nii.gz", data)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert formats.info(path)[0]["shape"] == [20, 20, 20]
    with pytest.raises(InputError, match=r"a.nii.gz: damaged: the packed voxels end too early") as caught:
        _ = formats.read(path).data
    one_line(caught)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="not a readable NIfTI file"):
        formats.read(path)


def test_singular_nan_and_zero_affines_name_their_field(tmp_path):
    flat = OBLIQUE.copy()
    flat[:3, 1] = 2 * flat[:3, 0]
    for name, affine, message in (
        ("singular", flat, r"sform \(srow_x, srow_y, srow_z\) is singular"),
        ("zero", np.diag([1.0, 0, 1, 1]), "sform .* zero spacing along axis j"),
        ("nan", np.diag([1.0, np.nan, 1, 1]), "sform .* NaN"),
    ):
        path = save(tmp_path / f"{name}.nii", np.zeros((3, 4, 5), "i2"))
        # sform_code at 254, the three rows from 280
        patch(patch(path, 254, b"\1\0"), 280, affine[:3].astype("<f4").tobytes())
        with pytest.raises(GeometryError, match=message) as caught:
            formats.read(path)
        assert str(path) in one_line(caught)


def test_absurd_sizes_are_refused_with_the_arithmetic(tmp_path):
    path = save(tmp_path / "a.nii", np.zeros((3, 4, 5), "i2"))
    patch(path, 42, np.array([30000, 30000, 30000], dtype="<i2").tobytes())
    with pytest.raises(InputError, match=r"30000 x 30000 x 30000 x 1 voxels x 2 bytes = 5.029e\+04 GiB"):
        formats.read(path)
    patch(path, 42, np.array([1000, 1000, 1000], dtype="<i2").tobytes())
    with gzip.open(tmp_path / "bomb.nii.gz", "wb") as f:
        f.write(path.read_bytes())
    with pytest.raises(InputError, match=r"bytes of gzip can hold at most \d+ bytes, the header promises 2000000352"):
        _ = formats.read(tmp_path / "bomb.nii.gz").data
    patch(path, 42, np.array([-5], dtype="<i2").tobytes())
    with pytest.raises(InputError):
        formats.read(path)


def test_complex_voxels_are_refused(tmp_path):
    with pytest.raises(InputError, match="complex"):
        formats.read(save(tmp_path / "c.nii", np.zeros((3, 4, 5), "c8")))


def test_classes_with_gaps_and_odd_names_round_trip(tmp_path):
    classes = ClassTable((ClassInfo(3, "a ]]> b <c> &", (1, 2, 3)), ClassInfo(300, "Läsion", (255, 128, 7))))
    data = np.full((3, 4, 5), 300)
    (path,) = write.write(Labels(data, Geometry((3, 4, 5), OBLIQUE), classes, "x"), tmp_path)
    back = formats.read_labels(path)
    assert back.classes == classes
    assert back.data.dtype == np.uint16
