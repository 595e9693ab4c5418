"""NRRD and MetaImage against SimpleITK and pynrrd-style headers written by hand."""

import numpy as np
import pytest
import SimpleITK as sitk

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError
from workbench.core.types import Geometry, Image, Labels
from workbench.data import formats, write
from workbench.volume.data import itk_formats
from workbench.volume.data.checks import require_volume

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
DIRECTION = np.array([[0.8, -0.48, 0.36], [0.6, 0.64, -0.48], [0.0, 0.6, 0.8]])


def save(path, data, direction=DIRECTION, spacing=(0.7, 0.9, 2.5), origin=(1 / 7, -20.1, 1e3 / 3), vector=False):
    image = sitk.GetImageFromArray(data, isVector=vector)
    image.SetDirection(np.asarray(direction).ravel().tolist())
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(path), True)
    return path


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd", ".nhdr"])
@pytest.mark.parametrize("left_handed", [False, True])
def test_values_and_world_agree_with_simpleitk(tmp_path, suffix, left_handed):
    data = np.random.default_rng(0).integers(-1000, 2000, (4, 5, 6)).astype("i2")
    direction = DIRECTION * ([-1, 1, 1] if left_handed else [1, 1, 1])
    path = save(tmp_path / f"a{suffix}", data, direction)
    image, truth = formats.read(path), sitk.ReadImage(str(path))
    assert image.dtype == image.data.dtype == np.int16
    np.testing.assert_array_equal(image.data[0], data.T)
    for index in ((0, 0, 0), (5, 4, 3), (2, 1, 3)):
        expected = FLIP[:3, :3] @ truth.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((image.geometry.affine @ [*index, 1])[:3], expected, atol=1e-9)


def test_components_and_four_dimensions_become_channels(tmp_path):
    vector = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype("f4")
    for suffix in (".nrrd", ".mha"):
        image = formats.read(save(tmp_path / f"v{suffix}", vector, vector=True))
        assert len(image.channels) == 3
        np.testing.assert_array_equal(image.data, vector.transpose(3, 2, 1, 0))
    four = sitk.JoinSeries([sitk.GetImageFromArray(vector[..., c].copy()) for c in range(3)])
    sitk.WriteImage(four, str(tmp_path / "four.mha"))
    np.testing.assert_array_equal(formats.read(tmp_path / "four.mha").data, vector.transpose(3, 2, 1, 0))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("space", ["right-anterior-superior-time", "RAST", "LPST"])
def test_spaces_of_nrrd_that_have_time(tmp_path, space, suffix):
    text = (
        f"NRRD0005\ntype: uint8\ndimension: 4\nspace: {space}\nsizes: 2 3 4 2\n"
        "space directions: (0.1,0,0,0) (0,0.3,0,0) (0,0,2.7,0) (0,0,0,5)\nkinds: domain domain domain domain\n"
        'space units: "mm" "mm" "mm" "s"\nencoding: raw\nspace origin: (1,2,3,0)\n\n'
    )
    (tmp_path / "a.nrrd").write_bytes(text.encode() + bytes(range(48)))
    image = formats.read(tmp_path / "a.nrrd")
    signs = np.diag([-1, -1, 1, 1] if space == "LPST" else [1, 1, 1, 1])
    truth = signs @ np.array([[0.1, 0, 0, 1], [0, 0.3, 0, 2], [0, 0, 2.7, 3], [0, 0, 0, 1]])
    assert np.allclose(image.geometry.affine, truth)
    assert image.notes == ()
    itk_formats.write(tmp_path / f"b{suffix}", image.data, image.geometry, native=image.native)
    assert np.allclose(formats.read(tmp_path / f"b{suffix}").geometry.affine, truth)


def test_units_of_a_space_without_anatomy_are_those_of_its_axes(tmp_path):
    """The origin is in these units, too, and an oblique axis of the array has its parts in several of them."""
    text = (
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: 3D-right-handed\nsizes: 2 3 4\n"
        "space directions: (3000,0,4) (0,300,0) (-4000,0,3)\nkinds: domain domain domain\n"
        'space units: "um" "um" "mm"\nencoding: raw\nspace origin: (1000,2000,3)\n\n'
    )
    (tmp_path / "a.nrrd").write_bytes(text.encode() + bytes(24))
    truth = FLIP @ [[3, 0, -4, 1], [0, 0.3, 0, 2], [4, 0, 3, 3], [0, 0, 0, 1]]
    assert np.allclose(formats.read(tmp_path / "a.nrrd").geometry.affine, truth)


@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior", "LAS"])
def test_spaces_of_nrrd(tmp_path, space):
    text = (
        f"NRRD0004\n# by hand\ntype: uint8\ndimension: 3\nspace: {space}\nsizes: 2 3 4\n"
        "space directions: (0.1,0,0.05) (0,0.3,0) (0,0,2.7)\nkinds: domain domain domain\nencoding: raw\n"
        "space origin: (1,2,3)\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(text.encode() + bytes(range(24)))
    image = formats.read(tmp_path / "a.nrrd")
    sign = {"l": [-1, -1, 1], "r": [1, 1, 1], "L": [-1, 1, 1]}[space[0]]
    expected = np.diag([*sign, 1.0]) @ [[0.1, 0, 0, 1], [0, 0.3, 0, 2], [0.05, 0, 2.7, 3], [0, 0, 0, 1]]
    np.testing.assert_array_equal(image.geometry.affine, expected)  # to the last bit
    point = FLIP[:3, :3] @ sitk.ReadImage(str(tmp_path / "a.nrrd")).TransformIndexToPhysicalPoint((1, 2, 3))
    np.testing.assert_allclose((image.geometry.affine @ [1, 2, 3, 1])[:3], point, atol=1e-9)
    np.testing.assert_array_equal(image.data[0], np.arange(24).reshape(4, 3, 2).T)


def test_slicer_segments_in_and_out(tmp_path):
    classes = ClassTable.from_names(["liver", "portal vein, left"])
    data = np.zeros((4, 5, 6), dtype="u1")
    data[1], data[2] = 1, 2
    (path,) = write.write(
        Labels(data, Geometry(data.shape, np.diag([1.0, 2, 3, 1])), classes, "seg"), tmp_path, format="nrrd"
    )
    assert path.name == "seg.seg.nrrd"
    meta = sitk.ReadImage(str(path))
    assert meta.GetMetaData("Segment1_Name") == "portal vein, left"
    assert meta.GetMetaData("Segment1_LabelValue") == "2"
    assert meta.GetMetaData("Segment0_Extent") == "0 3 0 4 0 5"
    back = formats.read_labels(path)
    assert back.classes == classes
    np.testing.assert_array_equal(back.data, data)


def layered(path, overlap):
    """A Slicer segmentation of two layers, each with label value 1."""
    a, b = np.zeros((3, 4, 5), "u1"), np.zeros((3, 4, 5), "u1")
    a[:2], b[1 if overlap else 2 :] = 1, 1
    image = sitk.GetImageFromArray(np.stack([a, b], axis=-1), isVector=True)
    for n in (0, 1):
        image.SetMetaData(f"Segment{n}_Name", "ab"[n])
        image.SetMetaData(f"Segment{n}_Color", "1 0 0")
        image.SetMetaData(f"Segment{n}_LabelValue", "1")
        image.SetMetaData(f"Segment{n}_Layer", str(n))
    sitk.WriteImage(image, str(path))
    return a.T, b.T


def test_layers_of_slicer_are_merged_unless_they_overlap(tmp_path):
    a, b = layered(tmp_path / "a.seg.nrrd", overlap=False)
    labels = formats.read_labels(tmp_path / "a.seg.nrrd")
    assert labels.classes.names == ("a", "b")
    np.testing.assert_array_equal(labels.data, a + 2 * b)
    layered(tmp_path / "b.seg.nrrd", overlap=True)
    with pytest.raises(InputError, match=r"segment 'b' overlaps others in 20 voxels"):
        formats.read_labels(tmp_path / "b.seg.nrrd")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_truncated_files_are_one_clear_line(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", np.random.default_rng(0).integers(0, 999, (20, 20, 20)).astype("i2"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    image = formats.read(path)
    with pytest.raises(InputError, match="damaged: the packed voxels end too early") as caught:
        _ = image.data
    assert "\n" not in str(caught.value)


def test_truncated_raw_files_are_refused(tmp_path):
    data = np.random.default_rng(0).integers(0, 999, (20, 20, 20)).astype("i2")
    for suffix in (".nrrd", ".mha"):
        path = tmp_path / f"a{suffix}"
        sitk.WriteImage(sitk.GetImageFromArray(data), str(path), False)
        path.write_bytes(path.read_bytes()[:-4000])
        image = formats.read(path)
        with pytest.raises(InputError, match="truncated: the header promises 16000 bytes"):
            _ = image.data


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_text_files_are_refused(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_text("hello world\n" * 30)
    with pytest.raises(InputError, match="not a readable") as caught:
        formats.read(tmp_path / f"a{suffix}")
    assert "\n" not in str(caught.value)


def test_absurd_size(tmp_path):
    text = (
        "ObjectType = Image\nNDims = 3\nDimSize = 90000 90000 90000\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    (tmp_path / "a.mha").write_text(text)
    with pytest.raises(InputError, match="90000 x 90000 x 90000 x 1 voxels x 2 bytes"):
        formats.read(tmp_path / "a.mha")


def test_bad_geometry_names_the_field(tmp_path):
    for name, directions in (
        ("flat", "(1,0,0) (2,0,0) (0,0,1)"),
        ("zero", "(1,0,0) (0,0,0) (0,0,1)"),
        ("nan", "(1,0,0) (0,nan,0) (0,0,1)"),
    ):
        text = (
            "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 3 4\n"
            f"space directions: {directions}\nkinds: domain domain domain\nencoding: raw\nspace origin: (1,2,3)\n\n"
        )
        (tmp_path / f"{name}.nrrd").write_bytes(text.encode() + bytes(24))
        with pytest.raises(GeometryError, match=r"space directions .*(singular|without a step)") as caught:
            formats.read(tmp_path / f"{name}.nrrd")
        assert "\n" not in str(caught.value)


def test_two_dimensional_files_are_not_volumes(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5), "u1")), str(tmp_path / "a.mha"))
    with pytest.raises(InputError, match=r"2-D image \(5 x 4 x 1\)"):
        require_volume(formats.read(tmp_path / "a.mha"))


@pytest.mark.parametrize("fmt", ["nrrd", "mha", "nifti"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8", "f2"])
def test_images_keep_their_type_and_channels(tmp_path, fmt, dtype):
    data = (np.random.default_rng(0).random((2, 4, 5, 6)) * 99).astype(dtype)
    image = Image(Geometry((4, 5, 6), np.diag([1.0, 2, 3, 1])), data.dtype, ("a", "b"), lambda: data)
    (path,) = write.write(image, tmp_path, format=fmt)
    back = formats.read(path).data
    assert back.dtype == (np.float32 if dtype == "f2" else data.dtype)
    np.testing.assert_array_equal(back, data)


def test_a_small_file_cannot_promise_gigabytes(tmp_path):
    head = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 3000 3000 3000\nencoding: gzip\n\n"
    (tmp_path / "a.nrrd").write_bytes(head.encode() + b"\x1f\x8b")
    text = "ObjectType = Image\nNDims = 3\nDimSize = 3000 3000 3000\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    (tmp_path / "a.mha").write_text(text)
    for name, size in (("a.nrrd", 27_000_000_000), ("a.mha", 54_000_000_000)):
        image = formats.read(tmp_path / name)
        with pytest.raises(InputError, match=f"can hold at most .* the header promises {size}"):
            _ = image.data


@pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning")
def test_agrees_with_monai_nrrd_reader(tmp_path):
    pytest.importorskip("nrrd", reason="pynrrd, which MONAI's reader needs, is not installed")
    from monai.data import NrrdReader

    data = np.random.default_rng(0).integers(-1000, 2000, (4, 5, 6)).astype("i2")
    path = save(tmp_path / "a.nrrd", data)
    reader = NrrdReader()
    values, meta = reader.get_data(reader.read(str(path)))
    image = formats.read(path)
    np.testing.assert_array_equal(image.data[0], values)
    np.testing.assert_array_equal(image.geometry.affine, meta["affine"])


def test_what_we_write_is_read_alike_by_pynrrd(tmp_path):
    nrrd = pytest.importorskip("nrrd", reason="pynrrd is not installed")
    data = np.random.default_rng(0).integers(0, 3, (4, 5, 6))
    affine = np.array([[-0.7, 0.3, 0.1, 10.5], [0.2, 0.9, -0.4, -20.25], [0.1, 0.2, 2.5, 30], [0, 0, 0, 1]])
    labels = Labels(data, Geometry(data.shape, affine), ClassTable.from_names(["a", "b"]), "x")
    (path,) = write.write(labels, tmp_path, format="nrrd")
    values, header = nrrd.read(str(path))
    np.testing.assert_array_equal(values, data)
    np.testing.assert_array_equal(header["space directions"].T, (FLIP @ affine)[:3, :3])
    np.testing.assert_array_equal(header["space origin"], (FLIP @ affine)[:3, 3])
    assert header["Segment1_Name"] == "b"
