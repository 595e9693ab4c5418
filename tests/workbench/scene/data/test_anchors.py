"""Positions that are no affine travel with the maps, as GDAL reads them, or their loss is said."""

import shutil
import warnings

import numpy as np
import pytest
import rasterio
import rasterio.warp
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from tests.scene_maker import COLUMNS, ROWS, cube, save_envi
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError, WorkbenchWarning
from workbench.core.types import Labels
from workbench.data import formats
from workbench.data.write import write

GEO_POINTS = "{1.0, 1.0, 47.0, 11.0, 11.0, 1.0, 47.0, 11.01, 1.0, 9.0, 46.99, 11.0, 11.0, 9.0, 46.99, 11.01}"
CORNERS = [(0.0, 0.0), (0.0, 10.0), (8.0, 0.0), (8.0, 10.0)]


def rpc(shift=0.0):
    series = [[float(f"{np.sin(i + 20 * k + shift):.9g}") for i in range(20)] for k in range(4)]
    return RPC(
        height_off=300.0, height_scale=500.0, lat_off=47.0, lat_scale=0.1, line_off=4.0, line_scale=5.0, long_off=11.0,
        long_scale=0.2, samp_off=5.0, samp_scale=6.0, line_num_coeff=series[0], line_den_coeff=series[1],
        samp_num_coeff=series[2], samp_den_coeff=series[3],
    )  # fmt: skip


def tif(path, **profile):
    kept = {"driver": "GTiff", "width": COLUMNS, "height": ROWS, "count": 7, "dtype": "int16"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path, "w", **kept, **profile) as out:
            out.write(cube(2))
    return path


def of_gdal(path):
    """Ground control points, their system, coefficients, transform and system, by rasterio."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path) as src:
            points, crs = src.gcps
            return [(p.row, p.col, p.x, p.y) for p in points], crs, src.rpcs, src.transform, src.crs


def labels_on(image, folder, format):
    data = np.ones(image.geometry.shape, np.uint8)
    made = write(Labels(data, image.geometry, ClassTable.from_names(["a"])), folder, format=format, source=image)
    return made[0]


def gcps(crs="EPSG:4326"):
    points = [GroundControlPoint(r, c, 11.0 + c / 1000, 47.0 - r / 800) for r, c in CORNERS]
    return {"gcps": points, "crs": crs}


@pytest.mark.parametrize("format", ["envi", "geotiff"])
def test_ground_control_points_of_either_format_reach_either_format(tmp_path, format):
    for source in (tif(tmp_path / "a.tif", **gcps()), save_envi(tmp_path, cube(2), geo_points=GEO_POINTS)):
        image = formats.read(source)
        assert image.geometry.affine is None
        assert image.notes == (
            "placed by 4 ground control points, not by a grid on the map: areas are counted in pixels",
        )
        wanted = of_gdal(source if source.suffix == ".tif" else source.with_suffix(".dat"))
        found = of_gdal(labels_on(image, tmp_path / format / source.stem, format))
        assert [p[:2] for p in wanted[0]] == CORNERS
        np.testing.assert_allclose(found[0], wanted[0], rtol=0, atol=1e-12)
        # Of ENVI's points, which are longitudes and latitudes, GDAL gives no system.
        assert (found[1] is None) if format == "envi" else found[1].to_epsg() == 4326
        again = formats.read(labels_on(image, tmp_path / "again" / format / source.stem, format))
        assert again.notes == image.notes


@pytest.mark.parametrize("format", ["envi", "geotiff"])
def test_camera_models_reach_either_format(tmp_path, format):
    image = formats.read(tif(tmp_path / "a.tif", rpcs=rpc()))
    assert "rational polynomial" in image.notes[0]
    first = labels_on(image, tmp_path / "first", "envi")
    for source in (image, formats.read(first)):  # from GeoTIFF, and from ENVI
        found = of_gdal(labels_on(source, tmp_path / format / source.name, format))[2].to_dict()
        for key, value in rpc().to_dict().items():
            if value is not None:
                np.testing.assert_allclose(found[key], value, rtol=1e-12)


def test_points_on_a_projected_map_are_lost_in_envi_and_that_is_said(tmp_path):
    image = formats.read(tif(tmp_path / "a.tif", **gcps("EPSG:32632")))
    with pytest.warns(WorkbenchWarning, match="labels.dat: the position .* is lost.*geotiff"):
        labels_on(image, tmp_path / "envi", "envi")
    assert of_gdal(labels_on(image, tmp_path / "tif", "geotiff"))[1].to_epsg() == 32632
    with pytest.warns(WorkbenchWarning, match="labels.npy: the position .* is lost.*envi or geotiff"):
        labels_on(image, tmp_path / "npy", "npy")


ALBERS = "{9, 6378206.4, 6356583.8, 23.0, -96.0, 0., 0., 29.5, 45.5, Albers Example}"
OTHERS = {
    "albers": (ALBERS, "Albers Example"),
    "transverse mercator": ("{3, 6378137.0, 6356752.3, 0.0, 9.0, 500000.0, 0.0, 0.9996, WGS-84, TM 9}", "TM 9"),
    "lambert": ("{4, 6378137.0, 6356752.3, 46.5, 3.0, 700000.0, 6600000.0, 44.0, 49.0, WGS-84, L93}", "L93"),
    "equal area": ("{11, 6378137.0, 6356752.3, 52.0, 10.0, 4321000.0, 3210000.0, WGS-84, LAEA}", "LAEA"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_projection_of_envis_own_is_kept_and_translated(tmp_path, name):
    projection, called = OTHERS[name]
    info = f"{{{called}, 1, 1, 100000.0, 200000.0, 30.0, 30.0}}"
    image = formats.read(save_envi(tmp_path, cube(2), map_info=info, projection_info=projection))
    assert image.geometry.unit == "m"
    wanted = of_gdal(tmp_path / "scene.dat")
    as_envi = labels_on(image, tmp_path / "envi", "envi")
    assert f"projection info = {projection}" in as_envi.with_suffix(".hdr").read_text(encoding="utf-8")
    assert of_gdal(as_envi)[3:] == wanted[3:]
    placed = of_gdal(labels_on(image, tmp_path / "tif", "geotiff"))
    assert placed[3] == wanted[3]
    corner, there = (rasterio.warp.transform(w, "EPSG:4326", [100000.0], [200000.0]) for w in (placed[4], wanted[4]))
    np.testing.assert_allclose(corner, there, atol=2e-4)  # the datum of a bare ellipsoid may be another


def test_a_projection_that_cannot_be_translated_is_said(tmp_path):
    other = "{99, 6378137.0, 6356752.3, 1.0, 2.0, Strange}"
    info = "{Strange, 1, 1, 100000.0, 200000.0, 30.0, 30.0}"
    image = formats.read(save_envi(tmp_path, cube(2), map_info=info, projection_info=other))
    with pytest.warns(WorkbenchWarning, match="its projection {99.* is lost.*envi"):
        labels_on(image, tmp_path / "tif", "geotiff")


def test_points_that_are_none_are_one_line(tmp_path):
    for field, value in (("geo_points", "{1, 2, 3}"), ("rpc_info", "{1, 2, 3}"), ("geo_points", "{1, , 3, 4}")):
        path = save_envi(tmp_path, cube(2), **{field: value})
        with pytest.raises(InputError, match=field.replace("_", " ")):
            formats.read(path)


def test_the_shared_cases_keep_their_position(tmp_path, shared_cases):
    scenes = shared_cases / "scenes"
    for name in ("gcp_only.tif", "geo_points.hdr"):
        image = formats.read(scenes / name)
        wanted = of_gdal(scenes / name.replace(".hdr", ".dat"))
        found = of_gdal(labels_on(image, tmp_path / name, "auto"))
        assert len(found[0]) == 4
        np.testing.assert_allclose(found[0], wanted[0])
        assert found[1] == wanted[1]
        assert len(image.notes) == 1
    for suffix in (".hdr", ".dat"):
        shutil.copy(scenes / f"aea{suffix}", tmp_path)
    image = formats.read(tmp_path / "aea.hdr")
    assert image.geometry.unit == "m"
    made = labels_on(image, tmp_path / "aea", "auto")
    assert "projection info = {9, 6378206.4" in made.with_suffix(".hdr").read_text(encoding="utf-8")
    assert of_gdal(made)[3:] == of_gdal(tmp_path / "aea.dat")[3:]
