"""EMIT, PRISMA and NEON files by their layouts, and ERDAS 7 rasters as SPy and GDAL read them."""

import struct
import warnings

import h5py
import numpy as np
import pytest
import rasterio
import spectral.io.erdas

from tests.scene_maker import BANDS, COLUMNS, ROWS, cube
from workbench.core.errors import InputError
from workbench.data import formats
from workbench.data.write import write
from workbench.scene.data.scene import ignore_of, open_blocks, valid_pixels

NM = [450.0 + 100 * i for i in range(BANDS)]
EMPTY = np.zeros((ROWS, COLUMNS), bool)
EMPTY[:2] = True


def emit(path, name="reflectance"):
    data = cube(4)
    data[:, EMPTY] = -9999
    with h5py.File(path, "w") as f:
        stored = f.create_dataset(name, data=data.transpose(1, 2, 0), chunks=(4, 4, BANDS))
        stored.attrs["_FillValue"] = np.array([-9999.0], "f4")
        f["sensor_band_parameters/wavelengths"] = np.array(NM, "f4")
        f["sensor_band_parameters/fwhm"] = np.full(BANDS, 8.5, "f4")
        f["sensor_band_parameters/good_wavelengths"] = np.array([1, 1, 0, 1, 1, 1, 1], "f4")
        r, c = np.mgrid[:ROWS, :COLUMNS]
        f["location/lat"], f["location/lon"] = 34.0 - r / 100 - c / 1000, -118.0 + c / 100
    return data


def test_emit(tmp_path):
    data = emit(tmp_path / "EMIT_L2A_RFL.nc")
    image = formats.read(tmp_path / "EMIT_L2A_RFL.nc")
    assert image.kind == "scene"
    np.testing.assert_array_equal(image.data, data)
    assert image.header["wavelengths_nm"] == NM
    assert image.header["good_bands"] == [True, True, False, True, True, True, True]
    np.testing.assert_array_equal(~valid_pixels(image.data, ignore_of(image)), EMPTY)
    part = open_blocks(formats.read(tmp_path / "EMIT_L2A_RFL.nc")).read(slice(1, 8, 3), slice(2, 9, 2), [5, 1])
    np.testing.assert_array_equal(part, data[[5, 1], 1:8:3, 2:9:2])
    assert "ground control points" in image.notes[0]
    made = write(image, tmp_path / "out", format="geotiff")[0]
    with rasterio.open(made) as src:
        points = {(p.row, p.col): (p.x, p.y) for p in src.gcps[0]}
    np.testing.assert_allclose(points[ROWS - 0.5, 0.5], (-118.0, 34.0 - (ROWS - 1) / 100))
    np.testing.assert_allclose(points[0.5, COLUMNS - 0.5], (-118.0 + (COLUMNS - 1) / 100, 34.0 - (COLUMNS - 1) / 1000))


def test_neon(tmp_path):
    data = np.abs(cube(2)) // 4
    data[:, EMPTY] = -9999
    with h5py.File(tmp_path / "NEON_D17.h5", "w") as f:
        base = f.create_group("SJER/Reflectance")
        base.attrs["Band_Window_1_Nanometers"] = [740, 760]
        stored = base.create_dataset("Reflectance_Data", data=data.transpose(1, 2, 0))
        stored.attrs["Scale_Factor"], stored.attrs["Data_Ignore_Value"] = 10000.0, -9999.0
        base["Metadata/Spectral_Data/Wavelength"], base["Metadata/Spectral_Data/FWHM"] = NM, np.full(BANDS, 5.8)
        place = base.create_group("Metadata/Coordinate_System")
        info = "UTM,  1.000,  1.000,  257000.000,  4112000.000,  1.000,  1.000,  11,  North,  WGS-84,  units=Meters, 0"
        place["Map_Info"], place["EPSG Code"] = np.bytes_(info), np.bytes_("32611")
    image = formats.read(tmp_path / "NEON_D17.h5")
    np.testing.assert_allclose(image.data[:, ~EMPTY], data[:, ~EMPTY] / 10000, rtol=1e-6)
    np.testing.assert_array_equal(~valid_pixels(image.data, ignore_of(image)), EMPTY)
    assert image.value_unit == "reflectance"
    assert image.header["good_bands"] == [True, True, True, False, True, True, True]
    np.testing.assert_allclose(image.geometry.affine[:2], [[0, 1, 257000.5], [-1, 0, 4111999.5]])
    with rasterio.open(write(image, tmp_path / "out", format="geotiff")[0]) as src:
        assert src.crs.to_epsg() == 32611
        assert src.transform == rasterio.Affine(1, 0, 257000, 0, -1, 4112000)


def test_prisma(tmp_path):
    rng = np.random.default_rng(0)
    vnir, swir = (rng.integers(1, 65535, (ROWS, n, COLUMNS)).astype(np.uint16) for n in (4, 3))
    vnir[:2], swir[:2] = 0, 0
    names = {"Vnir": [980.0, 700.0, 450.0, 0.0], "Swir": [1600.0, 1000.0, 950.0]}
    with h5py.File(tmp_path / "PRS_L2D.he5", "w") as f:
        for part, stored in (("VNIR", vnir), ("SWIR", swir)):
            f[f"HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields/{part}_Cube"] = stored
            f.attrs[f"List_Cw_{part.title()}"] = np.array(names[part.title()], "f4")
            f.attrs[f"List_Fwhm_{part.title()}"] = np.full(len(names[part.title()]), 10, "f4")
        f.attrs["L2ScaleVnirMin"], f.attrs["L2ScaleVnirMax"] = 0.0, 1.0
        f.attrs["L2ScaleSwirMin"], f.attrs["L2ScaleSwirMax"] = 0.1, 0.6
    image = formats.read(tmp_path / "PRS_L2D.he5")
    nm = image.header["wavelengths_nm"]
    assert sorted(nm) == [450.0, 700.0, 950.0, 980.0, 1000.0, 1600.0]  # the band that is absent is left out
    wanted = {
        **{w: vnir[:, i] / 65535 for i, w in enumerate(names["Vnir"])},
        **{w: swir[:, i] / 65535 * 0.5 + 0.1 for i, w in enumerate(names["Swir"])},
    }
    for band, w in zip(image.data, nm, strict=True):
        np.testing.assert_allclose(band[~EMPTY], wanted[w][~EMPTY], rtol=1e-5)
    np.testing.assert_array_equal(~valid_pixels(image.data, ignore_of(image)), EMPTY)
    one = open_blocks(formats.read(tmp_path / "PRS_L2D.he5")).read(slice(0, 5), slice(None), [5])
    np.testing.assert_array_equal(one[0], image.data[5, :5])


def test_other_files_are_named_with_the_way_out(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["features"], f["coords"] = np.zeros((3, 4)), np.zeros((3, 2))
    (tmp_path / "classic.nc").write_bytes(b"CDF\x01" + b"\0" * 40)
    (tmp_path / "cut.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 40)
    emit(tmp_path / "flat.nc")
    with h5py.File(tmp_path / "flat.nc", "a") as f:
        del f["reflectance"]
        f["reflectance"] = np.zeros((3, 4))
    for name, said in (
        ("other.h5", "neither an EMIT, PRISMA nor NEON product; it holds coords, features.*gdal_translate"),
        ("classic.nc", "classic kind.*gdal_translate"),
        ("cut.nc", "not a readable HDF5 file"),
        ("flat.nc", "no cube of numbers with three axes"),
    ):
        with pytest.raises(InputError, match=said):
            formats.read(tmp_path / name)
        assert formats.is_readable(tmp_path / name) == (name == "flat.nc")


def lan(path, data, *, word=b"HEADER", order="<", place=(500015.0, 4999985.0, 30.0, 30.0)):
    head = bytearray(128)
    head[:6] = word
    head[6:10] = struct.pack(f"{order}2h", {1: 0, 2: 2}[data.dtype.itemsize], len(data))
    head[16:24] = struct.pack(f"{order}2f" if word == b"HEADER" else f"{order}2i", data.shape[2], data.shape[1])
    head[112:128] = struct.pack(f"{order}4f", *place)
    path.write_bytes(bytes(head) + data.transpose(1, 0, 2).astype(data.dtype.newbyteorder(order)).tobytes())
    return path


@pytest.mark.parametrize("word", [b"HEADER", b"HEAD74"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("code", [1, 2])
def test_erdas_files_are_read_as_spy_and_gdal_read_them(tmp_path, word, order, code):
    data = cube(code)
    path = lan(tmp_path / "92AV3C.lan", data, word=word, order=order)
    image = formats.read(path)
    np.testing.assert_array_equal(image.data, data)
    part = open_blocks(formats.read(path)).read(slice(1, 8, 3), slice(2, 9, 2), slice(1, 6, 2))
    np.testing.assert_array_equal(part, data[1:6:2, 1:8:3, 2:9:2])
    if order == "<":
        theirs = np.asarray(spectral.io.erdas.open(str(path)).load())
        if code == 1:
            theirs = theirs.astype(int) % 256  # SPy takes 8 bits as signed, GDAL and ERDAS do not
        np.testing.assert_array_equal(theirs.transpose(2, 0, 1), data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            src = rasterio.open(path, driver="LAN")
        except rasterio.errors.RasterioError:
            return  # a GDAL without this driver
        with src:
            np.testing.assert_array_equal(src.read(), data)
            (b, a, c), (e, d, f) = image.geometry.affine[:2]
            t = src.transform
            np.testing.assert_allclose((t.a, t.b, t.d, t.e), (a, b, d, e))
            np.testing.assert_allclose((t.c + (t.a + t.b) / 2, t.f + (t.d + t.e) / 2), (c, f))


def test_erdas_files_that_lie_are_one_line(tmp_path):
    path = lan(tmp_path / "a.lan", cube(2))
    whole = path.read_bytes()
    for content, said in ((whole[:-9], "bytes"), (whole[:100], "not an ERDAS 7 file"), (b"x" * 200, "begins with")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=said):
            formats.read(path)
    head = bytearray(whole)
    head[6:8] = struct.pack("<h", 1)
    path.write_bytes(bytes(head))
    with pytest.raises(InputError, match="4 bits"):
        formats.read(path)
