"""Headers are checked here before a C library believes them: numbers, counts, names, patterns of names."""

import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from tests.header_maker import HOSTILE, metaimage, nrrd, outcome, refused
from workbench.data import formats


def test_what_crashed_or_never_ended_is_one_line(tmp_path):
    for name, changed, match in (
        ("a.mhd", {"ElementDataFile": "x%s%s%n%n.raw 1 4 1"}, "names its files 'x%s%s%n%n.raw'"),
        ("b.mha", {"NDims": "-3"}, "NDims is '-3', expected a whole number from 1 to 10"),
        ("c.mha", {"NDims": "1000000000"}, "NDims is '1000000000'"),
        ("d.mhd", {"ElementDataFile": "x%d.raw 1 4 0"}, "ElementDataFile is '0'"),
    ):
        said = outcome(metaimage(tmp_path / name, **changed))
        assert match in said
        assert "\n" not in said
    said = outcome(nrrd(tmp_path / "e.nhdr", b"", data_file="y%99999d.raw 1 4 1"))
    assert "data file names its files 'y%99999d.raw'" in said


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"NDims": "3.5"}, "NDims is '3.5'"),
        ({"NDims": "9" * 5000}, r"NDims is '9{60}'\.\.\. \(5000 characters\)"),
        ({"DimSize": "4 -4 4"}, "DimSize is '-4'"),
        ({"DimSize": "4 4 " + "9" * 5000}, "DimSize is '999"),
        ({"DimSize": "4 4"}, "DimSize holds 2 numbers, NDims promises 3"),
        ({"ElementNumberOfChannels": "1000000000"}, "ElementNumberOfChannels is '1000000000'"),
        ({"HeaderSize": "-5"}, "HeaderSize is '-5'"),
        ({"CompressedData": "True", "CompressedDataSize": "-5"}, "CompressedDataSize is '-5'"),
        ({"Offset": "0"}, "Offset is '0', expected 3 finite numbers"),
        ({"TransformMatrix": "a b c"}, "TransformMatrix is 'a b c', expected 9 finite numbers"),
        ({"ElementSpacing": "inf 1 1"}, "ElementSpacing is 'inf 1 1'"),
        ({"B\x01d": "True"}, r"the header has a field 'B\\x01d'"),
        ({"Origin": "0 0 9"}, "Offset is '0 0 0' and Origin, another name of it, is '0 0 9'"),
        ({"Rotation": "-1 0 0 0 1 0 0 0 1"}, "TransformMatrix is .* and Rotation, another name of it"),
        ({"ElementByteOrderMSB": "True"}, "BinaryDataByteOrderMSB is 'False' and ElementByteOrderMSB"),
        ({"DistanceUnits": "inch"}, "DistanceUnits is 'inch', expected um, mm, cm or m"),
        ({"ElementDataFile": "LIST\na.raw\nb.raw\na.raw\nc.raw"}, "ElementDataFile lists 'a.raw' twice"),
        ({"ElementDataFile": "LIST\na.raw\nb.raw"}, "ElementDataFile names 2 files, DimSize promises 4"),
        ({"ElementDataFile": "a%d.raw 1 8 1"}, "ElementDataFile names 8 files, DimSize promises 4"),
        ({"ElementDataFile": "a%d.raw 1 4"}, "counts its files from 1 to 4 in steps of 0"),
        ({"ElementDataFile": "a%d.raw 1 2000000000 1"}, "counts its files from 1 to 2000000000"),
        ({"ElementDataFile": "a%d%d.raw 1 4 1"}, "expected one number such as %03d in it"),
    ],
)
def test_metaimage_headers_that_lie(tmp_path, changed, match):
    refused(metaimage(tmp_path / "a.mha", **changed), match)


@pytest.mark.parametrize(("unit", "mm"), [("um", 1e-3), ("mm", 1), ("cm", 10), ("m", 1000)])
def test_units_of_length_of_metaimage_become_millimetres(tmp_path, unit, mm):
    path = metaimage(tmp_path / "a.mha", DistanceUnits=unit, Offset="0 0 3", Origin="0.0 0 3", ElementSpacing="1 1 2")
    image = formats.read(path)
    np.testing.assert_allclose(image.geometry.affine[2], [0, 0, 2 * mm, 3 * mm])
    said = f"DistanceUnits are {unit}: positions were converted to mm"
    assert image.notes == (() if unit == "mm" else (said,))


@pytest.mark.parametrize("units", ['"um" "cm" "m"', '"mm" "mm" "mm"', '"micron" "nm" "m"'])
def test_units_of_length_of_nrrd_become_millimetres(tmp_path, units):
    place = {"space": "RAS", "space_directions": "(1,0,0) (0,2,0) (0,0,3)", "space_origin": "(0,0,5)"}
    image = formats.read(nrrd(tmp_path / "a.nrrd", **place, space_units=units))
    mm = {'"um"': 1e-3, '"cm"': 10, '"m"': 1000, '"micron"': 1e-3, '"nm"': 1e-6}
    by_axis = [mm.get(u, 1) for u in units.split()]
    np.testing.assert_allclose(image.geometry.affine[:3, :3], np.diag([1, 2, 3] * np.array(by_axis)))
    assert image.geometry.affine[2, 3] == 5 * by_axis[2]
    assert ["converted to mm" in n for n in image.notes] == ([] if "mm" in units else [True])


def test_units_of_nrrd_that_nobody_knows_are_said(tmp_path):
    place = {"space": "RAS", "space_directions": "(1,0,0) (0,2,0) (0,0,3)", "space_origin": "(0,0,0)"}
    (note,) = formats.read(nrrd(tmp_path / "a.nrrd", **place, space_units='"mm" "ell" "mm"')).notes
    assert note == "space units are 'ell', which is no unit of length: numbers were taken as mm"


def test_axes_of_volumes_of_nrrd_need_no_step(tmp_path):
    steps = {"space": "LPS", "space_directions": "none (1,0,0) (0,2,0) (0,0,3)"}
    steps["kinds"] = "list domain domain domain"
    image = formats.read(nrrd(tmp_path / "a.nrrd", bytes(128), dimension="4", sizes="2 4 4 4", **steps))
    assert image.geometry.spacing == (1, 2, 3)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"dimension": "-3"}, "dimension is '-3', expected a whole number from 1 to 16"),
        ({"dimension": "4"}, "sizes holds 3 numbers, dimension promises 4"),
        ({"sizes": "4 4 " + "9" * 5000}, "sizes is '999"),
        ({"sizes": "4 -4 4"}, "sizes is '-4'"),
        ({"byte_skip": "-2"}, "byte skip is '-2'"),
        ({"lineskip": "many"}, "line skip is 'many'"),
        ({"data_file": "LIST\na.raw\na.raw"}, "data file lists 'a.raw' twice"),
        ({"space": "LPS", "space_directions": "none (0,2,0) (0,0,3)"}, "without a step along axis 0"),
        ({"space_dimension": "3", "space_directions": "(1,0,0) (0,2,0) (0,nan,0)"}, "without a step along axis 2"),
        ({"spacings": "nan nan nan"}, "spacings is 'nan nan nan', without a step along axis 0"),
        ({"spacings": "1 0 1", "kinds": "domain domain domain"}, "without a step along axis 1"),
        ({"data_file": "a%d%s.raw 1 4 1"}, "expected one number such as %03d in it"),
        ({"data_file": "a%d.raw 1"}, r"data file is 'a%d\.raw 1', expected a plain name, or a pattern"),
        ({"pairs": f"Segment{'9' * 5000}_Name:=liver\n"}, "expected a name in plain letters"),
        ({"pairs": "Seg\x02ment0_Name:=liver\n"}, r"the header has a field 'Seg\\x02ment0_Name'"),
        (
            {"pairs": "Segment0_Name:=a\nSegment0_Color:=1 0 0\nSegment0_Layer:=7\n"},
            "lie in layers 7 to 7",
        ),
    ],
)
def test_nrrd_headers_that_lie(tmp_path, changed, match):
    refused(nrrd(tmp_path / "a.nrrd", **changed), match)


def test_voxel_offsets_of_nifti_that_lie(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((4, 5, 6), "i2"))
    sitk.WriteImage(image, str(tmp_path / "a.nii"))
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    for number in (-np.inf, np.inf, np.nan, -1.0, 1e30):
        raw[108:112] = np.array(number, "<f4").tobytes()
        (tmp_path / "b.nii").write_bytes(bytes(raw))
        (tmp_path / "b.nii.gz").write_bytes(gzip.compress(bytes(raw)))
        for name in ("b.nii", "b.nii.gz"):
            refused(tmp_path / name, "vox_offset is ")
    second = (540).to_bytes(4, "little") + b"n+2\0\r\n\x1a\n"
    (tmp_path / "c.nii").write_bytes(second.ljust(365, b"\0"))
    refused(tmp_path / "c.nii", "it ends after 365 bytes, a NIfTI-2 header has 540")


@pytest.mark.parametrize("end", ["s%d.raw", "s%02d.raw 1 4 1", "LIST\n{}", "LIST 2D\n{}", "s%d.raw 1 4 1"])
def test_voxels_of_metaimage_in_several_files_are_read_as_before(tmp_path, end):
    several(tmp_path, end)
    path = metaimage(tmp_path / "a.mhd", ElementDataFile=end.format("s1.raw\ns2.raw\ns3.raw\ns4.raw"))
    assert formats.read(path).data.ravel(order="F").tolist() == list(range(64))


@pytest.mark.parametrize("end", ["s%02d.raw 1 4 1", "LIST\n{}", "LIST 2\n{}", "s%d.raw 1 4 1 2"])
def test_voxels_of_nrrd_in_several_files_are_read_as_before(tmp_path, end):
    several(tmp_path, end)
    path = nrrd(tmp_path / "a.nhdr", b"", data_file=end.format("s1.raw\ns2.raw\ns3.raw\ns4.raw"))
    path.write_bytes(path.read_bytes().rstrip() + b"\n")
    assert formats.read(path).data.ravel(order="F").tolist() == list(range(64))


def several(folder, pattern):
    for n in range(4):
        name = f"s{n + 1:02d}.raw" if "%02d" in pattern else f"s{n + 1}.raw"
        (folder / name).write_bytes(bytes(range(n * 16, n * 16 + 16)))


def test_a_percent_sign_in_a_plain_name_is_only_a_name(tmp_path):
    (tmp_path / "a%20b.raw").write_bytes(bytes(range(64)))
    path = nrrd(tmp_path / "a.nhdr", b"", data_file="a%20b.raw")
    assert formats.read(path).data.ravel(order="F").tolist() == list(range(64))


@pytest.mark.parametrize(
    "name", ["mhd-format-string.mhd", "mha-ndims-negative.mha", "sn.seg.nrrd", "mharaw-53-TypeError/a.mha",
             "segnrrd-1-TypeError/a.seg.nrrd", "niigz4d-161-OverflowError/d.nii.gz", "nii2-29-KeyError/c.nii",
             "nii2-46-WrapStructError/c.nii"]
)  # fmt: skip
def test_hostile_headers_are_one_line(name):
    path = HOSTILE / name
    if not path.exists():
        pytest.skip(f"hostile files not here: {path}")
    said = outcome(path)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
