"""Promised samples are found samples in every format of volumes: otherwise one line, or a note."""

import struct
import zlib

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from tests.dicom_maker import header as dicom_header
from tests.dicom_maker import write_enhanced, write_series
from tests.header_maker import HOSTILE, metaimage, nrrd
from workbench.core.errors import InputError, OutOfMemory
from workbench.data import formats
from workbench.volume.data import codestream, itk_formats
from workbench.volume.data import dicom_header as headers

DICOM = ("dicom-112-TypeError/s", "dicom-138-ValueError/s", "dicom-202-short/s", "dicom-57-NotImplementedError/s",
         "dicom-68-TypeError/s", "dicom-83-mem/s", "dicomenh-59-error/e.dcm")  # fmt: skip


def refused(path, match, read=formats.read):
    with pytest.raises(InputError, match=match) as caught:
        _ = read(path).data
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500 + len(str(path))


def notes(path):
    image = formats.read(path)
    _ = image.data
    return " | ".join(image.notes)


def nifti(path, shape=(6, 5, 4), kind=nib.Nifti1Image):
    nib.save(kind(np.arange(np.prod(shape), dtype="i2").reshape(shape), np.diag([2.0, 2, 3, 1])), path)
    return path


def patched(path, at, form, *values):
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, at, *values)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", DICOM)
def test_hostile_dicom_is_one_line(name):
    path = HOSTILE / name
    if not path.exists():
        pytest.skip(f"hostile files not here: {path}")
    refused(path, r"\.dcm: ")


# --- NIfTI ---


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_bytes_after_the_voxels_of_nifti_are_said_and_a_further_volume_is_refused(tmp_path, name):
    plain = nifti(tmp_path / "plain.nii").read_bytes()
    pack = (lambda b: b) if name == "a.nii" else __import__("gzip").compress
    path = tmp_path / name
    path.write_bytes(pack(plain + bytes(7)))
    assert "7 bytes follow the voxels" in notes(path)
    path.write_bytes(pack(plain + bytes(240)))
    refused(path, "at least one more slice" if name == "a.nii" else "more than the 240 bytes of voxels")
    path.write_bytes(pack(plain))
    assert notes(path) == ""


@pytest.mark.parametrize(
    ("at", "form", "values", "match"),
    [
        (108, "<f", (0.0,), "vox_offset is 0, expected the byte"),
        (108, "<f", (348.0,), "vox_offset is 348"),
        (108, "<f", (1e9,), "vox_offset is 1e"),
        (40, "<h", (9,), r"dim\[0\] is 9"),
        (42, "<h", (-6,), r"dim\[1\] is -6"),
        (112, "<f", (float("inf"),), "scl_slope is inf"),
        (344, "4s", (b"ni1\0",), "its voxels are in an .img file"),
    ],
)
def test_nifti_headers_that_cannot_be(tmp_path, at, form, values, match):
    refused(patched(nifti(tmp_path / "a.nii"), at, form, *values), match)


def test_extensions_of_nifti_that_overlap_or_never_end(tmp_path):
    image = nib.Nifti1Image(np.zeros((3, 4, 5), "i2"), np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"a comment"))
    nib.save(image, tmp_path / "a.nii")
    assert notes(tmp_path / "a.nii") == ""
    for size in (0, -8, 10**6):
        refused(patched(tmp_path / "a.nii", 352, "<i", size), f"an extension has a size of {size} bytes")


def test_what_a_nifti_header_says_twice_is_compared(tmp_path):
    assert "bitpix is 64" in notes(patched(nifti(tmp_path / "a.nii"), 72, "<h", 64))
    assert "pixdim of 1.3 x 1.3 x 10: the sform was believed" in notes(
        patched(nifti(tmp_path / "b.nii"), 80, "<3f", 1.3, 1.3, 10)
    )
    assert "scl_slope is 0" in notes(patched(nifti(tmp_path / "c.nii"), 112, "<ff", 0, -1024))
    refused(patched(nifti(tmp_path / "d.nii"), 252, "<hh3f", 1, 0, 2.0, 0, 0), r"w2 should be positive|not a rotation")


def _only_qform(path):
    return patched(path, 252, "<hh", 1, 0)


def test_nifti_forms_that_disagree_and_codes_and_sizes_that_cannot_be(tmp_path):
    both = nifti(tmp_path / "a.nii")
    image = nib.load(both)
    image.set_qform(image.affine, 1)
    image.to_filename(both)
    assert notes(both) == ""
    assert "place the corners of the volume up to 500 mm apart: the sform" in notes(patched(both, 268, "<f", 500.0))
    apart = [n for n in formats.read(patched(both, 123, "<B", 3)).notes if "up to 0.5 mm apart" in n]
    assert len(apart) == 1  # in microns
    assert "sform_code is 99, expected 0 to 5" in notes(patched(nifti(tmp_path / "b.nii"), 254, "<h", 99))
    assert "pixdim[2] is -2: taken without" in notes(_only_qform(patched(nifti(tmp_path / "c.nii"), 84, "<f", -2.0)))
    refused(_only_qform(patched(nifti(tmp_path / "d.nii"), 84, "<f", 0.0)), r"pixdim\[2\] is 0")
    unfilled = patched(patched(nifti(tmp_path / "e.nii"), 252, "<hh", 1, 1), 280, "<12f", *[0.0] * 12)
    refused(patched(unfilled, 84, "<f", 0.0), r"pixdim\[2\] is 0")


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair, nib.AnalyzeImage])
def test_the_header_of_a_pair_is_held_against_its_voxels(tmp_path, kind):
    double = kind is nib.Nifti2Pair
    path = nifti(tmp_path / "a.img", kind=kind).with_suffix(".hdr")
    if kind is not nib.AnalyzeImage:
        path = patched(path, 344 if double else 252, "<ii" if double else "<hh", 1, 0)  # the qform alone
    content = path.read_bytes()
    refused(patched(path, 120 if double else 84, "<d" if double else "<f", 0.0), r"pixdim\[2\] is 0")
    path.write_bytes(content)
    voxels = path.with_suffix(".img")
    assert "follow the voxels" not in notes(path)
    voxels.write_bytes(voxels.read_bytes() + bytes(4))
    assert "4 bytes follow the voxels" in notes(path)
    voxels.write_bytes(voxels.read_bytes() + bytes(60))
    refused(path, "at least one more slice")


@pytest.mark.parametrize(
    ("slope", "inter", "match"),
    [(3e38, 0, "become infinite"), (1, 1e30, "no value of int16 can be told"), (-1e37, -3e38, "become infinite")],
)
def test_scaling_that_destroys_the_values_of_nifti(tmp_path, slope, inter, match):
    refused(patched(nifti(tmp_path / "a.nii"), 112, "<ff", slope, inter), match)
    assert notes(patched(nifti(tmp_path / "b.nii"), 112, "<ff", 0.5, -1024)) == ""


# --- NRRD and MetaImage ---


def test_bytes_after_packed_voxels_of_metaimage(tmp_path):
    packed = zlib.compress(bytes(range(64)))
    for more in ({}, {"CompressedDataSize": str(len(packed))}):
        made = {"CompressedData": "True", **more}
        assert notes(metaimage(tmp_path / "a.mha", packed + bytes(9), **made)) == ""
        refused(
            metaimage(tmp_path / "b.mha", packed + b"junk", **made), "after the packed voxels it goes on with b'ju'"
        )


@pytest.mark.parametrize("made", [metaimage, nrrd])
def test_raw_voxels_are_as_long_as_promised(tmp_path, made):
    path = tmp_path / ("a.mha" if made is metaimage else "a.nrrd")
    assert "follow the voxels" not in notes(made(path))
    assert "3 bytes follow the voxels" in notes(made(path, bytes(67)))
    refused(made(path, bytes(128)), "at least one more slice is in it")
    refused(made(path, bytes(60)), "truncated: the header promises 64 bytes of voxels, the file has 60")


@pytest.mark.parametrize(("made", "as_text"), [(metaimage, {"BinaryData": "False"}), (nrrd, {"encoding": "ascii"})])
def test_voxels_written_as_text_are_counted_and_are_numbers(tmp_path, made, as_text):
    path = tmp_path / ("a.mha" if made is metaimage else "a.nrrd")
    numbers = [str(v) for v in range(64)]
    end = b"\n"
    np.testing.assert_array_equal(
        formats.read(made(path, " ".join(numbers).encode() + end, **as_text)).data.ravel(order="F"), range(64)
    )
    for bad, match in ((numbers[:-1], "63 numbers"), ([*numbers, "1"], "65 numbers"), ([*numbers[:-1], "x"], "b'x'"),
                       ([*numbers[:-1], "256"], "expected whole ones"), ([*numbers[:-1], "1.5"], "whole")):  # fmt: skip
        refused(made(path, " ".join(bad).encode(), **as_text), match)


def test_what_a_header_leaves_out_is_said(tmp_path):
    text = metaimage(tmp_path / "a.mha").read_bytes()
    (tmp_path / "a.mha").write_bytes(text.replace(b"ElementSpacing = 1 1 1\n", b"").replace(b"Offset = 0 0 0\n", b""))
    assert "no ElementSpacing: 1 mm" in notes(tmp_path / "a.mha")
    assert "no space directions" in notes(nrrd(tmp_path / "a.nrrd"))


@pytest.mark.parametrize("made", [metaimage, nrrd])
def test_fields_given_twice_are_refused(tmp_path, made):
    path = made(tmp_path / ("a.mha" if made is metaimage else "a.nrrd"))
    old, new = (b"DimSize", b"DimSize = 2 4 8\nDimSize") if made is metaimage else (b"sizes", b"sizes: 2 4 8\nsizes")
    path.write_bytes(path.read_bytes().replace(old, new))
    refused(path, "twice")


def test_segments_of_one_name_are_said(tmp_path):
    pairs = "".join(f"Segment{n}_Name:=liver\nSegment{n}_LabelValue:={n + 1}\n" for n in range(2))
    assert "values 1, 2 have one name, 'liver'" in notes(nrrd(tmp_path / "a.seg.nrrd", pairs=pairs))


def test_segments_with_broken_fields(tmp_path):
    fields = "Segment0_Name:=liver\nSegment0_Color:={}\nSegment0_LabelValue:={}\nSegment0_Layer:=0\n"
    path = nrrd(tmp_path / "a.seg.nrrd", pairs=fields.format("1 0 x", "1"))
    assert "Segment0_Color is '1 0 x'" in notes(path)
    for value in ("x", "9" * 5000, "1e3"):
        refused(nrrd(path, pairs=fields.format("1 0 0", value)), "Segment0_LabelValue is")


def test_memory_that_runs_out_is_no_damaged_file(tmp_path, monkeypatch):
    class NoMemory:
        def ReadImage(self, path):
            raise RuntimeError("Failed to allocate memory for image.")

    path = metaimage(tmp_path / "a.mha")
    image = formats.read(path)
    monkeypatch.setattr(itk_formats, "_sitk", NoMemory)
    with pytest.raises(OutOfMemory, match="64 bytes of voxels"):
        _ = image.data


# --- DICOM ---


def test_lost_end_slices_are_said(tmp_path):
    write_series(tmp_path / "whole", ImagesInAcquisition=6)
    assert notes(tmp_path / "whole") == ""
    write_series(tmp_path / "first", skip=(0,))
    assert "InstanceNumber runs from 2 to 6, and 1 of the numbers" in notes(tmp_path / "first")
    write_series(tmp_path / "last", skip=(5,), ImagesInAcquisition=6)
    assert "ImagesInAcquisition promises 6 images of acquisition, 5 are here" in notes(tmp_path / "last")
    write_series(tmp_path / "bare", suffix="")
    (tmp_path / "bare" / "s005").write_bytes(b"")
    assert "left out, as no DICOM picture: s005" in notes(tmp_path / "bare")
    write_series(tmp_path / "parts", ConcatenationUID="1.2.3.9", InConcatenationTotalNumber=7)
    refused(tmp_path / "parts", "one image in 7 files")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda ds: setattr(ds, "PixelData", ds.PixelData[:-4]), "has 66 bytes, .* make 70"),
        (lambda ds: setattr(ds, "PixelData", ds.PixelData * 2), "at least one more frame is in it"),
        (lambda ds: setattr(ds, "HighBit", 15), "HighBit .* is 15, expected 11"),
        (lambda ds: ds.__delitem__("RescaleIntercept"), "has no RescaleIntercept"),
        (lambda ds: setattr(ds, "RescaleSlope", 0), "RescaleSlope .* is 0"),
        (lambda ds: ds.__delitem__("BitsAllocated"), r"BitsAllocated \(0028,0100\) is missing"),
    ],
)
def test_pixel_data_and_header_of_a_slice_agree(tmp_path, change, match):
    write_series(tmp_path, change=lambda k, ds: change(ds) if k == 3 else None)
    refused(tmp_path, match)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PatientID", "SECRET-2"), ("StudyInstanceUID", "1.2.3.9"), ("FrameOfReferenceUID", "1.2.3.8"),
        ("Modality", "MR"), ("RescaleType", "US"), ("Units", "BQML"), ("PhotometricInterpretation", "MONOCHROME1"),
    ],
)  # fmt: skip
def test_a_slice_of_something_else_is_no_slice_of_the_series(tmp_path, name, value):
    write_series(tmp_path, Units="CNTS", change=lambda k, ds: setattr(ds, name, value) if k == 3 else None)
    apart = name in ("PatientID", "StudyInstanceUID")  # these make a series of their own
    refused(tmp_path, "holds 2 series" if apart else rf"s003\.dcm: has another {name} than s000\.dcm")
    with pytest.raises(InputError) as caught:
        formats.read(tmp_path)
    assert "SECRET" not in str(caught.value)


def test_colours_are_no_measured_values(tmp_path):
    write_series(tmp_path / "a", PhotometricInterpretation="PALETTE COLOR")
    refused(tmp_path / "a", "has palette colours and a RescaleSlope")
    write_series(tmp_path / "b", PhotometricInterpretation="RGB")
    refused(tmp_path / "b", "which has 3 sample.* per pixel, and SamplesPerPixel .* is 1")
    write_series(tmp_path / "c", PhotometricInterpretation="MONOCHROME1")
    assert "MONOCHROME1: low values are bright; they are taken as stored" in notes(tmp_path / "c")
    write_series(tmp_path / "d", PhotometricInterpretation="RGB", SamplesPerPixel=3,
                 change=lambda k, ds: setattr(ds, "PixelData", ds.PixelData * 3))  # fmt: skip
    refused(tmp_path / "d", "colours are no measured values")
    write_series(tmp_path / "e", RescaleSlope=1e38)
    refused(tmp_path / "e", "values of 12 bits become infinite")


def test_a_lost_preamble_is_said(tmp_path):
    write_series(tmp_path)
    path = tmp_path / "s002.dcm"
    path.write_bytes(path.read_bytes()[128:])
    refused(tmp_path, "s002.dcm: begins with 'DICM'")


def test_bytes_after_the_pixels(tmp_path):
    write_series(tmp_path)
    file = tmp_path / "s002.dcm"
    whole = file.read_bytes()
    file.write_bytes(whole + bytes(512))
    assert "s002.dcm: 512 zero bytes follow its pixels" in notes(tmp_path)
    file.write_bytes(whole + b"rubbish that is no element")
    refused(tmp_path, "no element of DICOM")


def damaged_text(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (b"\x28\x00\x53\x10DS", b"\x28\x00\x53\x10LS", r"RescaleSlope \(0028,1053\) is .*Unknown Value Repr"),
        (b"-1024", b"-10x4", r"RescaleIntercept \(0028,1052\) is '-10x4"),
        (b"\x28\x00\x00\x01US\x02\x00", b"\x28\x00\x00\x01US\xff\x00", "s001.dcm: "),
    ],
)
def test_broken_attributes_are_named_with_their_value(tmp_path, old, new, match):
    write_series(tmp_path)
    damaged_text(tmp_path / "s001.dcm", old, new)
    refused(tmp_path, match)


def test_a_length_of_gigabytes_takes_no_memory(tmp_path):
    write_series(tmp_path)
    file = tmp_path / "s001.dcm"
    damaged_text(file, b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00", b"\x02\x00\x01\x00OB\x00\x00\xf0\xff\xff\xff")
    with headers.BoundedFile(file) as f:
        assert len(f.read(1 << 40)) == file.stat().st_size
    refused(tmp_path, r"s001.dcm: ")


def test_more_frames_than_described(tmp_path):
    write_enhanced(tmp_path / "e.dcm")
    dataset = pydicom.dcmread(tmp_path / "e.dcm")
    dataset.NumberOfFrames = 3
    dataset.save_as(tmp_path / "e.dcm")
    refused(tmp_path / "e.dcm", "3 frames but 4 descriptions")


def test_compressed_pictures_have_the_size_and_number_of_the_header(tmp_path):
    write_series(tmp_path / "a", n=3)
    for file in (tmp_path / "a").iterdir():
        dataset = pydicom.dcmread(file)
        dataset.compress(pydicom.uid.RLELossless)
        dataset.save_as(file)
    assert formats.read(tmp_path / "a").data.shape == (1, 7, 5, 3)
    dataset.PixelData = pydicom.encaps.encapsulate([bytes(64), bytes(64)])
    dataset.save_as(file)
    refused(tmp_path / "a", "2 offsets of frames are in its pixels, NumberOfFrames promises 1")
    picture = bytes.fromhex("ffd8ffe00004abcdffc0000b080010001201011100")
    made = tmp_path / "j"
    made.write_bytes(b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0" + len(picture).to_bytes(4, "little") + picture)
    assert codestream.size(made, 0) == (16, 18)


def test_a_parametric_map_is_called_one(tmp_path):
    dataset = dicom_header("1.2.3.8")
    dataset.Rows = dataset.Columns = 4
    dataset.PixelSpacing, dataset.SliceThickness = [1, 1], 2
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 0]
    dataset.FloatPixelData = bytes(64)
    dataset.save_as(tmp_path / "p.dcm", enforce_file_format=True)
    refused(tmp_path / "p.dcm", "a parametric map")


def test_itk_reads_the_same_of_what_we_accept(tmp_path):
    data = np.arange(120, dtype="i2").reshape(4, 5, 6)
    for suffix in (".nrrd", ".mha", ".mhd", ".nhdr"):
        sitk.WriteImage(sitk.GetImageFromArray(data), str(tmp_path / f"a{suffix}"), False)
        image = formats.read(tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(image.data[0].T, data)
        assert image.notes == ()


def test_words_that_would_overflow_the_memory_of_itk(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", space="left-posterior-superior", space_origin=f"({'9' * 5000},0,0)")
    refused(path, "expected words of at most 100 characters")
    refused(nrrd(tmp_path / "b.nrrd", pairs=f"{'9' * 5000}: 1\n"), "expected a name in plain letters")
    refused(metaimage(tmp_path / "a.mha", ElementDataFile="9" * 5000), "no file has so long a name")
    refused(metaimage(tmp_path / "b.mha", ElementDataFile=""), "ElementDataFile is empty")
    refused(metaimage(tmp_path / "d.mha", BinaryDataByteOrderMSB="x"), "expected True or False")
    refused(metaimage(tmp_path / "c.mha", DimSize="4 4 3"), "at least one more slice")


def test_what_is_left_of_a_picture_of_no_known_class_is_no_bystander(tmp_path):
    """Neither rows nor pixels are found in it, and it is still a slice that would be missing."""
    write_series(tmp_path, n=4)
    path = sorted(tmp_path.iterdir())[-1]
    slice_ = pydicom.dcmread(path)
    slice_.SOPClassUID = slice_.file_meta.MediaStorageSOPClassUID = "1.2.3.4.5"
    del slice_.Rows, slice_.PixelData
    slice_.save_as(path)
    refused(tmp_path, "cut off before its picture")
    for name in ("Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
                 "PhotometricInterpretation", "ImageOrientationPatient", "ImagePositionPatient",
                 "PixelSpacing"):  # fmt: skip
        if name in slice_:
            delattr(slice_, name)
    slice_.save_as(path)
    assert f"left out, as no DICOM picture: {path.name}" in notes(tmp_path)
