"""Which pixels hold data is asked of the samples as they are stored: GDAL's masks of the same files say the same."""

import warnings

import numpy as np
import pytest
import rasterio

from tests.scene_maker import COLUMNS, ROWS, cube, save_envi
from workbench.data import formats
from workbench.scene.data.conversion import Conversion, Scale
from workbench.scene.data.scene import from_array, ignore_of, open_blocks, valid_pixels
from workbench.scene.data.spectra import SpectralRecipe, fit, valid_map
from workbench.scene.display import composite, sample_spectra

GAINS = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07]
EMPTY = np.zeros((ROWS, COLUMNS), bool)
EMPTY[:2], EMPTY[5, 7] = True, True


def listed(values):
    return "{" + ", ".join(str(v) for v in values) + "}"


def of_gdal(path):
    """Valid pixels by GDAL: those whose every band is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path) as src:
            return np.all([src.read_masks(i) > 0 for i in src.indexes], axis=0)


def empty_of(image):
    return ~valid_pixels(open_blocks(image).read(), ignore_of(image))


@pytest.mark.parametrize("value", [-9999, -32768])
@pytest.mark.parametrize(
    "header",
    [
        {},
        {"data_gain_values": listed(GAINS)},
        {"data_gain_values": listed(GAINS), "data_offset_values": listed(range(7))},
        {"data_offset_values": listed(range(7))},
        {"reflectance_scale_factor": 10000},
    ],
    ids=["plain", "gains", "gains and offsets", "offsets", "one factor"],
)
def test_empty_pixels_of_envi_files_whatever_the_gains(tmp_path, header, value):
    data = cube(2)
    data[:, EMPTY] = value
    path = save_envi(tmp_path, data, data_ignore_value=value, **header)
    image = formats.read(path)
    np.testing.assert_array_equal(empty_of(image), EMPTY)
    np.testing.assert_array_equal(~EMPTY, of_gdal(tmp_path / "scene.dat"))
    fitted = fit(image, SpectralRecipe(components=3))
    np.testing.assert_array_equal(valid_map(image, fitted), ~EMPTY)
    full = sample_spectra(open_blocks(image), ignore=ignore_of(image))
    assert len(full) == (~EMPTY).sum()
    assert (composite(open_blocks(image), (0, 1, 2), ignore=ignore_of(image))[EMPTY] == 0).all()


def test_empty_samples_of_single_bands_are_found_in_pieces_as_in_the_whole(tmp_path):
    data = cube(2)
    data[3, EMPTY] = -9999
    image = formats.read(save_envi(tmp_path, data, data_ignore_value=-9999, data_gain_values=listed(GAINS)))
    np.testing.assert_array_equal(np.isnan(image.data), data == -9999)
    part = open_blocks(formats.read(tmp_path / "scene.hdr")).read(slice(0, 6, 2), slice(1, 9, 3), slice(2, 5))
    np.testing.assert_array_equal(part, image.data[2:5, 0:6:2, 1:9:3])


def test_zero_is_no_data_only_where_every_band_is_zero_even_below_an_offset(tmp_path):
    data = np.abs(cube(2)) + 1
    data[:, EMPTY] = 0
    data[2, 4, 4] = 0  # a dark pixel
    header = {"data_gain_values": listed(GAINS), "data_offset_values": listed([-0.2] * 7), "data_ignore_value": 0}
    image = formats.read(save_envi(tmp_path, data, **header))
    np.testing.assert_array_equal(empty_of(image), EMPTY)
    one = open_blocks(formats.read(tmp_path / "scene.hdr")).read(bands=[2])[0]
    np.testing.assert_array_equal(np.isnan(one), EMPTY)
    assert one[4, 4] == np.float32(-0.2)


def test_scales_of_geotiff_bands(tmp_path):
    data = cube(2)
    data[:, EMPTY] = -9999
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": COLUMNS, "height": ROWS, "count": 7, "dtype": "int16", "nodata": -9999}
    with rasterio.open(path, "w", **profile, transform=rasterio.Affine(20, 0, 5e5, 0, -20, 5e6)) as out:
        out.write(data)
        out.scales, out.offsets = GAINS, list(range(7))
    image = formats.read(path)
    np.testing.assert_array_equal(empty_of(image), EMPTY)
    np.testing.assert_array_equal(~EMPTY, of_gdal(path))
    expected = data * np.array(GAINS)[:, None, None] + np.arange(7)[:, None, None]
    np.testing.assert_allclose(image.data[:, ~EMPTY], expected[:, ~EMPTY], rtol=1e-5)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (np.float32(-3.4028235e38), "-3.4e+38"),
        (np.float32(-3.4028235e38), "-3.40282e+38"),
        (np.float32(-3.4028235e38), "-1.7976931348623157e+308"),
        (np.float32(9.96921e36), "9.97e+36"),
        (np.float32(-3.4028235e38), None),
        (np.float64(-1.7976931348623157e308), "-1.79e+308"),
        (np.float32(-9999.9), "-9999.9"),
    ],
)
def test_fill_values_are_known_by_a_few_of_their_digits(tmp_path, stored, said):
    data = cube(4 if stored.dtype == np.float32 else 5)
    data[:, EMPTY] = stored
    fields = {} if said is None else {"data_ignore_value": said}
    for folder, more in (("plain", {}), ("scaled", {"data_gain_values": listed(GAINS)})):
        image = formats.read(save_envi(tmp_path / folder, data, **fields, **more))
        np.testing.assert_array_equal(empty_of(image), EMPTY)
        fitted = fit(image, SpectralRecipe(components=3))
        assert np.isfinite(fitted.basis).all()
        np.testing.assert_array_equal(valid_map(image, fitted), ~EMPTY)


def test_an_empty_pixel_stays_empty_on_another_scale():
    data = cube(2)
    data[:, EMPTY] = -9999
    scale = Scale("multiply", np.array(GAINS), np.arange(7.0), False, np.dtype(np.float32), "")
    every = np.arange(7)
    found = Conversion(7, every, every, scale, empty=-9999.0).block(from_array(data).read())
    np.testing.assert_array_equal(np.isnan(found).all(axis=0), EMPTY)
    assert not np.isnan(found[:, ~EMPTY]).any()
