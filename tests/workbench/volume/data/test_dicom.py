"""Series made with known geometry, and the same folders read by SimpleITK and MONAI."""

import re
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

import workbench as wb
from tests.dicom_maker import OBLIQUE, normal, write_enhanced, write_series
from workbench.core.errors import GeometryError, InputError, NothingFound
from workbench.data import formats
from workbench.volume.data import dicom
from workbench.volume.data.checks import require_volume


def sitk_series(folder):
    """What SimpleITK makes of a folder: (i, j, k) values and RAS affine."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).T, np.diag([-1.0, -1, 1, 1]) @ lps


@pytest.mark.parametrize("suffix", [".dcm", "", ".IMA"])
@pytest.mark.parametrize("reverse", [False, True])
def test_an_oblique_series_is_sorted_rescaled_and_placed(tmp_path, suffix, reverse):
    pixels, affine = write_series(tmp_path, suffix=suffix, reverse=reverse)
    image = formats.read(tmp_path)
    assert image.dtype == np.int16
    assert image.value_unit == "HU"
    np.testing.assert_allclose(image.geometry.affine, affine, atol=1e-9)
    np.testing.assert_array_equal(image.data[0], pixels.astype(np.int16) - 1024)
    values, placed = sitk_series(tmp_path)
    np.testing.assert_array_equal(image.data[0], values)
    np.testing.assert_allclose(image.geometry.affine, placed, atol=1e-6)


@pytest.mark.parametrize(
    ("orientation", "codes"),
    [
        ((1, 0, 0, 0, 1, 0), "LPS"),
        ((-1, 0, 0, 0, -1, 0), "RAS"),  # prone
        ((-1, 0, 0, 0, 1, 0), "RPI"),  # feet first
        ((0, 1, 0, 0, 0, -1), "PIR"),  # sagittal
        ((1, 0, 0, 0, 0, -1), "LIP"),  # coronal
    ],
)
def test_patient_positions_agree_with_simpleitk(tmp_path, orientation, codes):
    write_series(tmp_path, orientation=orientation, reverse=True)
    image = formats.read(tmp_path)
    values, placed = sitk_series(tmp_path)
    np.testing.assert_array_equal(image.data[0], values)
    np.testing.assert_allclose(image.geometry.affine, placed, atol=1e-6)
    assert formats.info(tmp_path)[0]["orientation"] == codes


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_agrees_with_monai_pydicom_reader(tmp_path):
    from monai.data import PydicomReader

    write_series(tmp_path, reverse=True)
    reader = PydicomReader()
    values, meta = reader.get_data(reader.read(str(tmp_path)))
    image = formats.read(tmp_path)
    np.testing.assert_allclose(image.data[0], values)
    np.testing.assert_allclose(image.geometry.affine, meta["affine"], atol=1e-6)


def test_files_without_preamble_are_read(tmp_path):
    pixels, _ = write_series(tmp_path / "a")
    (tmp_path / "b").mkdir()
    for file in (tmp_path / "a").iterdir():
        (tmp_path / "b" / file.stem).write_bytes(file.read_bytes()[132:])
    np.testing.assert_array_equal(formats.read(tmp_path / "b").data[0], pixels.astype(np.int16) - 1024)


def test_no_name_of_a_person_comes_out(tmp_path):
    write_series(tmp_path)
    image = formats.read(tmp_path)
    shown = str(image.header) + str(formats.info(tmp_path)) + repr(image.native.stack.planes)
    assert "Doe" not in shown
    assert "SECRET" not in shown


def test_two_series_are_listed_and_one_is_chosen(tmp_path):
    first, _ = write_series(tmp_path, uid="1.2.3.10", SeriesDescription="portal venous", prefix="a")
    second, _ = write_series(tmp_path, uid="1.2.3.99", SeriesNumber=2, seed=1, prefix="b", n=4)
    with pytest.raises(InputError, match=r"holds 2 series.*--series.*\[1\] portal venous .*6 images.*\[2\] .*4 images"):
        formats.read(tmp_path)
    for series, pixels in (("1.2.3.10", first), ("1", first), (2, second), ("3.99", second), ("99", second)):
        np.testing.assert_array_equal(formats.read(tmp_path, series=series).data[0], pixels.astype(np.int16) - 1024)
    with pytest.raises(InputError, match=r"no series matches --series 7"):
        formats.read(tmp_path, series="7")
    rows = formats.info(tmp_path)
    assert [(r["series"], r["series_uid"], r["n_files"], r["n_series"]) for r in rows] == [
        (1, "1.2.3.10", 6, 2),
        (2, "1.2.3.99", 4, 2),
    ]


def test_a_localizer_stands_on_its_own(tmp_path):
    pixels, _ = write_series(tmp_path, prefix="a")
    write_series(
        tmp_path, prefix="l", n=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], orientation=(1, 0, 0, 0, 0, -1)
    )
    assert formats.read(tmp_path).data.shape[1:] == pixels.shape
    assert [r["localizer"] for r in formats.info(tmp_path)] == [False, True]


def test_gantry_tilt_stays_as_shear(tmp_path):
    flat, tilted = (1, 0, 0, 0, 1, 0), (0.0, -0.8, 2.4)
    pixels, affine = write_series(tmp_path, orientation=flat, step=tilted, GantryDetectorTilt=-18.4)
    image = formats.read(tmp_path)
    assert image.header["sheared"]
    np.testing.assert_allclose(image.geometry.affine, affine, atol=1e-9)
    np.testing.assert_array_equal(image.data[0], pixels.astype(np.int16) - 1024)
    # The corner of the last slice is where its own header says.
    np.testing.assert_allclose((image.geometry.affine @ [0, 0, 5, 1])[:3], [50, -(30 - 4), 12 + 12], atol=1e-9)


def test_missing_slice_names_the_place(tmp_path):
    write_series(tmp_path, orientation=(1, 0, 0, 0, 1, 0), skip=(2,))
    with pytest.raises(GeometryError, match=r"about 1 slice\(s\) missing between 14.5 to 19.5 mm.*2.5 mm was expected"):
        formats.read(tmp_path)
    assert "missing" in formats.info(tmp_path)[0]["problem"]


def test_doubled_positions_name_the_files(tmp_path):
    write_series(tmp_path, prefix="a")
    write_series(tmp_path, prefix="b")
    with pytest.raises(GeometryError, match=r"6 slice position\(s\) occur twice.*a000.dcm and b000.dcm.*several vol"):
        formats.read(tmp_path)
    shutil.copy(tmp_path / "a000.dcm", tmp_path / "copy.dcm")
    for file in tmp_path.glob("b*"):
        file.unlink()
    with pytest.raises(GeometryError, match=r"a000.dcm and copy.dcm.*one object .*stored twice"):
        formats.read(tmp_path)


def test_uneven_spacing_is_refused_but_rounded_positions_are_not(tmp_path):
    def widen(k, ds):
        ds.ImagePositionPatient = [0, 0, [0, 2.5, 5, 7.5, 10.9, 14.3][k]]

    def rounded(k, ds):
        ds.ImagePositionPatient = [0, 0, round(0.625 * k, 1)]

    axial = (1, 0, 0, 0, 1, 0)
    write_series(tmp_path / "a", orientation=axial, change=widen)
    with pytest.raises(GeometryError, match=r"uneven slice spacing, 2.5 mm .* to 3.4 mm"):
        formats.read(tmp_path / "a")
    write_series(tmp_path / "b", orientation=axial, change=rounded)
    assert formats.read(tmp_path / "b").geometry.spacing[2] == pytest.approx(0.62, abs=0.01)


def test_mixed_orientation_spacing_shape_and_shift_are_refused(tmp_path):
    def turn(k, ds):
        if k == 3:
            ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]

    def respace(k, ds):
        if k == 3:
            ds.PixelSpacing = [0.7, 0.8]

    def resize(k, ds):
        if k == 3:
            ds.Rows, ds.PixelData = 4, b"\0" * 4 * 7 * 2

    def shift(k, ds):
        if k == 3:
            ds.ImagePositionPatient = [v + 1.0 * d for v, d in zip(ds.ImagePositionPatient, OBLIQUE[:3], strict=True)]

    for name, change, message in (
        ("a", turn, "differ in ImageOrientationPatient"),
        ("b", respace, r"differ in PixelSpacing: \[0.7, 0.9\] mm in s000.dcm, \[0.7, 0.8\] mm in s003.dcm"),
        ("c", resize, "differ in size: 7 x 5 in s000.dcm, 7 x 4 in s003.dcm"),
        ("d", shift, "do not lie on one line: s003.dcm"),
    ):
        write_series(tmp_path / name, change=change)
        with pytest.raises(GeometryError, match=message):
            formats.read(tmp_path / name)


def test_missing_and_zero_fields_are_named(tmp_path):
    def no_position(k, ds):
        del ds.ImagePositionPatient

    def zero(k, ds):
        ds.PixelSpacing = [0, 0.9]

    def skewed(k, ds):
        ds.ImageOrientationPatient = [1, 0, 0, 1, 0, 0]

    for name, change, message in (
        ("a", no_position, "has no ImagePositionPatient"),
        ("b", zero, "PixelSpacing .*expected finite numbers and spacing above 0"),
        ("c", skewed, "ImageOrientationPatient of .*right angles"),
    ):
        write_series(tmp_path / name, change=change)
        with pytest.raises(GeometryError, match=message):
            formats.read(tmp_path / name)


def test_rescale_per_slice(tmp_path):
    def scale(k, ds):
        ds.RescaleSlope, ds.RescaleIntercept = 0.25 * (k + 1), -10

    pixels, _ = write_series(tmp_path, change=scale)
    image = formats.read(tmp_path)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image.data[0], pixels * (0.25 * np.arange(1, 7)) - 10, rtol=1e-6)


def test_integers_keep_the_smallest_type_that_holds_them(tmp_path):
    def doubled(k, ds):
        ds.RescaleSlope, ds.RescaleIntercept, ds.BitsStored, ds.HighBit = 2, -1024, 16, 15

    def unscaled(k, ds):
        del ds.RescaleSlope, ds.RescaleIntercept

    pixels, _ = write_series(tmp_path / "a", change=doubled)
    wide = formats.read(tmp_path / "a")
    assert wide.dtype == wide.data.dtype == np.int32
    np.testing.assert_array_equal(wide.data[0], pixels.astype(np.int32) * 2 - 1024)
    write_series(tmp_path / "b", change=unscaled)
    assert formats.read(tmp_path / "b").data.dtype == np.uint16


@pytest.mark.parametrize("slopes", [None, [1.0, 1.0, 0.5, 2.0]])
def test_enhanced_multi_frame(tmp_path, slopes):
    values, affine = write_enhanced(tmp_path / "e.dcm", slopes=slopes)
    image = formats.read(tmp_path / "e.dcm")
    np.testing.assert_allclose(image.geometry.affine, affine)
    np.testing.assert_allclose(image.data[0], values)
    assert image.dtype == (np.int16 if slopes is None else np.float32)


def test_one_slice_is_not_a_volume(tmp_path):
    write_series(tmp_path)
    image = formats.read(tmp_path / "s002.dcm")
    assert image.geometry.shape == (7, 5, 1)
    with pytest.raises(InputError, match=r"2-D image \(7 x 5 x 1\).*folder of the whole DICOM series"):
        require_volume(image)


def test_folders_without_pictures(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(NothingFound, match="no DICOM images found"):
        formats.read(tmp_path)
    assert not formats.is_readable(tmp_path)


def test_nested_folders_and_folders_of_patients(tmp_path):
    write_series(tmp_path / "study" / "ST0" / "SE0", suffix="")
    assert formats.is_readable(tmp_path / "study")
    assert formats.read(tmp_path / "study").geometry.shape == (7, 5, 6)
    write_series(tmp_path / "patients" / "p1")
    write_series(tmp_path / "patients" / "p2")
    assert not formats.is_readable(tmp_path / "patients")


def test_truncated_slice_is_one_clear_line(tmp_path):
    write_series(tmp_path)
    file = tmp_path / "s003.dcm"
    file.write_bytes(file.read_bytes()[:-20])
    image = formats.read(tmp_path)
    with pytest.raises(InputError, match=r"s003.dcm: the pixels cannot be read") as caught:
        _ = image.data
    assert "\n" not in str(caught.value)


def test_absurd_size_is_refused_with_the_arithmetic(tmp_path):
    def huge(k, ds):
        ds.Rows = ds.Columns = 65535

    write_series(tmp_path, n=9, change=huge)
    with pytest.raises(InputError, match=r"65535 x 65535 x 9 x 1 voxels x 2 bytes = 72 GiB"):
        formats.read(tmp_path)


def test_jpeg_lossless_is_decoded_without_further_packages(tmp_path):
    """ITK writes and reads what pydicom alone cannot."""
    values = np.random.default_rng(0).integers(0, 2000, (3, 8, 9), dtype=np.int16)
    names = []
    for k in range(3):
        picture = sitk.GetImageFromArray(values[k])
        picture = sitk.JoinSeries([picture])
        picture.SetOrigin((0, 0, 2.0 * k))
        for tag, value in {
            "0020|000e": "1.2.3.55", "0020|000d": "1.2.3.4", "0008|0060": "CT", "0020|0032": f"0\\0\\{2.0 * k}",
            "0020|0037": "1\\0\\0\\0\\1\\0", "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
        }.items():  # fmt: skip
            picture.SetMetaData(tag, value)
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.KeepOriginalImageUIDOn()
        writer.SetUseCompression(True)
        writer.SetCompressor("JPEG")
        names.append(str(tmp_path / f"{k}.dcm"))
        writer.SetFileName(names[-1])
        writer.Execute(picture)
    image = formats.read(tmp_path)
    assert re.search(r"JPEG Lossless", image.header["transfer_syntax"])
    np.testing.assert_array_equal(image.data[0], values.T)


def test_normal_points_along_ascending_slices(tmp_path):
    write_series(tmp_path)
    stack = formats.read(tmp_path).native.stack
    heights = [np.dot(p.position, normal(OBLIQUE)) for p in stack.planes]
    assert heights == sorted(heights)
    assert dicom.list_series(tmp_path)[0].n_images == 6


def test_damaged_files_are_named_not_skipped(tmp_path):
    """A lost end slice would leave a regular, shorter volume: nothing else would tell."""
    write_series(tmp_path / "a")
    (tmp_path / "a" / "s005.dcm").write_bytes(b"")
    with pytest.raises(InputError, match=r"s005.dcm: not a readable DICOM file. A slice would be missing"):
        formats.read(tmp_path / "a")
    write_series(tmp_path / "b", suffix="")
    file = tmp_path / "b" / "s005"
    file.write_bytes(file.read_bytes()[:420])
    with pytest.raises(InputError, match=r"s005: cut off before its picture"):
        formats.read(tmp_path / "b")


def test_unused_high_bits_do_not_reach_the_values(tmp_path):
    """Old scanners hid overlays above BitsStored."""

    def overlay(k, ds):
        ds.PixelData = np.full(35, 0xF123, "u2").tobytes()

    write_series(tmp_path, change=overlay)
    assert np.unique(formats.read(tmp_path).data).tolist() == [0x123 - 1024]
    assert np.unique(sitk_series(tmp_path)[0]).tolist() == [0x123 - 1024]


def test_values_that_would_wrap_are_refused(tmp_path):
    from workbench.volume.data.dicom_pixels import _fitting

    with pytest.raises(InputError, match=r"values from 0 to 40000, but BitsStored promises -32768 to 32767"):
        _fitting(np.array([0, 40000]), np.dtype(np.int16), tmp_path / "a.dcm")


def test_slices_of_different_sign_share_a_type_that_holds_both(tmp_path):
    def mixed(k, ds):
        del ds.RescaleSlope, ds.RescaleIntercept
        ds.BitsStored, ds.HighBit = 16, 15
        if k % 2:
            ds.PixelRepresentation, ds.PixelData = 1, np.full(35, -5, "i2").tobytes()

    pixels, _ = write_series(tmp_path, change=mixed)
    data = formats.read(tmp_path).data[0]
    assert data.dtype == np.int32
    np.testing.assert_array_equal(data[:, :, ::2], pixels[:, :, ::2])
    assert (data[:, :, 1::2] == -5).all()


def test_enhanced_file_with_one_frame(tmp_path):
    values, _ = write_enhanced(tmp_path / "e.dcm", n=1)
    np.testing.assert_array_equal(formats.read(tmp_path / "e.dcm").data[0], values)


def test_photo_like_dicom_has_no_invented_geometry(tmp_path):
    def screenshot(k, ds):
        del ds.ImagePositionPatient, ds.ImageOrientationPatient

    write_series(tmp_path, n=1, change=screenshot)
    image = formats.read(tmp_path)
    assert image.geometry.affine is None
    with pytest.raises(InputError, match="2-D image"):
        require_volume(image)


def test_slices_farther_apart_than_they_are_thick_are_said(tmp_path):
    def thin(spacing):
        def change(k, ds):
            ds.SliceThickness, ds.InstanceNumber = 3.0, k + 1
            if spacing:
                ds.SpacingBetweenSlices = spacing

        return change

    flat = {"orientation": (1, 0, 0, 0, 1, 0), "step": (0, 0, 6.0)}
    write_series(tmp_path / "half", change=thin(0), **flat)
    write_series(tmp_path / "gaps", change=thin(6.0), **flat)
    write_series(tmp_path / "whole", change=thin(0), **{**flat, "step": (0, 0, 3.0)})
    assert any("slices are 3 mm thick, and 6 mm apart" in n for n in wb.read(tmp_path / "half").notes)
    assert not any("apart" in n for name in ("gaps", "whole") for n in wb.read(tmp_path / name).notes)


def test_a_tube_voltage_that_differs_within_a_volume_is_said(tmp_path):
    def second(k, ds):
        ds.KVP, ds.AcquisitionNumber = (120, 1) if k < 4 else (80, 2)

    def shuttle(k, ds):
        ds.KVP, ds.AcquisitionNumber = 120, 1 + k % 2

    flat = {"orientation": (1, 0, 0, 0, 1, 0)}
    write_series(tmp_path / "two", change=second, **flat)
    write_series(tmp_path / "one", change=shuttle, **flat)
    (said,) = (n for n in wb.read(tmp_path / "two").notes if "KVP" in n)
    assert "120" in said
    assert "80" in said
    assert "from slice 5 on" in said
    assert not any("differ" in n for n in wb.read(tmp_path / "one").notes)


def test_a_picture_of_a_screen_among_the_slices_is_said(tmp_path):
    def screen(k, ds):
        ds.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"] if k == 2 else ["ORIGINAL", "PRIMARY", "AXIAL"]

    write_series(tmp_path / "ct", change=screen)
    write_series(tmp_path / "right")
    assert any("ImageType of s002.dcm says SCREEN SAVE" in n for n in wb.read(tmp_path / "ct").notes)
    assert not any("SCREEN" in n for n in wb.read(tmp_path / "right").notes)


def test_nuclear_medicine_is_said_not_to_be_read(tmp_path):
    def frames(k, ds):
        ds.Modality, ds.NumberOfFrames, ds.PixelData = "NM", 4, ds.PixelData * 4
        del ds.ImagePositionPatient, ds.ImageOrientationPatient

    write_series(tmp_path / "nm", n=1, change=frames)
    with pytest.raises(InputError, match="NM is not read"):
        wb.read(tmp_path / "nm")
