import lzma
import warnings

import numpy as np
import pytest
import rasterio
import tifffile
from rasterio.transform import Affine

from tests.scene_maker import cube
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError
from workbench.core.types import Labels
from workbench.data import formats
from workbench.data.write import write
from workbench.scene.data.scene import open_blocks

PLACE = Affine(20.0, 0.0, 565000.0, 0.0, -20.0, 4150000.0)
LAYOUTS = {
    "strips": {},
    "tiles": {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
    "bands": {"interleave": "band", "compress": "lzw"},
}


def save(path, data, tags=None, descriptions=None, colormap=None, **profile):
    profile = {"crs": "EPSG:32610", "transform": PLACE, **profile}
    profile = {k: v for k, v in profile.items() if v is not None}
    bands, rows, columns = data.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", count=bands, height=rows, width=columns, dtype=data.dtype, **profile
        ) as out:
            out.write(data)
            for i in range(bands):
                if tags:
                    out.update_tags(i + 1, **{k: v[i] for k, v in tags.items()})
                if descriptions:
                    out.set_band_description(i + 1, descriptions[i])
            if colormap:
                out.write_colormap(1, colormap)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 12, 13])
def test_rasterio_and_we_read_the_same(tmp_path, layout, code):
    path = save(tmp_path / "a.tif", cube(code), **LAYOUTS[layout])
    image = formats.read(path)
    assert (image.kind, image.format, image.dtype) == ("scene", "geotiff", cube(code).dtype)
    np.testing.assert_array_equal(image.data, cube(code))
    blocks = open_blocks(formats.read(path))
    np.testing.assert_array_equal(
        blocks.read(slice(2, 8, 3), slice(1, 9, 2), slice(1, 6, 2)), cube(code)[1:6:2, 2:8:3, 1:9:2]
    )
    np.testing.assert_array_equal(blocks.read(bands=[6, 2]), cube(code)[[6, 2]])
    assert blocks.read(slice(3, 3)).shape == (7, 0, 11)
    assert (image.geometry.spacing, image.geometry.unit, image.header["crs"]) == ((20.0, 20.0), "m", "EPSG:32610")
    with rasterio.open(path) as src:
        assert tuple(image.geometry.affine @ [2, 3, 1])[:2] == src.xy(2, 3)


@pytest.mark.parametrize(
    ("tags", "descriptions"),
    [
        ({"wavelength": [0.4 + 0.1 * i for i in range(7)], "wavelength_units": ["Micrometers"] * 7}, None),
        ({"wavelength": [400 + 100 * i for i in range(7)], "wavelength_units": ["Nanometers"] * 7}, None),
        ({"WAVELENGTH": [400 + 100 * i for i in range(7)]}, None),
        (None, [f"Band {i + 1} ({400 + 100 * i}.0 nm)" for i in range(7)]),
        (None, [f"{0.4 + 0.1 * i:.1f} um" for i in range(7)]),
    ],
)
def test_wavelengths_from_tags_and_names(tmp_path, tags, descriptions):
    image = formats.read(save(tmp_path / "a.tif", cube(), tags=tags, descriptions=descriptions))
    np.testing.assert_allclose(image.header["wavelengths_nm"], np.arange(400, 1001, 100))


def test_wavelengths_from_an_envi_header_beside(tmp_path):
    path = save(tmp_path / "a.tif", cube())
    (tmp_path / "a.hdr").write_text("ENVI\nwavelength units = um\nwavelength = {0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0}\n")
    np.testing.assert_allclose(formats.read(path).header["wavelengths_nm"], np.arange(400, 1001, 100))
    (tmp_path / "a.hdr").write_text("ENVI\nwavelength = {400, 500}\n")
    with pytest.raises(InputError, match="a.hdr: lists 2 wavelengths, a.tif has 7 bands"):
        formats.read(path)


def test_pages_and_plain_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "pages.tif", cube(12), photometric="minisblack")
    tifffile.imwrite(
        tmp_path / "plain.tiff", cube(12).transpose(1, 2, 0), photometric="minisblack", planarconfig="contig"
    )
    for name in ("pages.tif", "plain.tiff"):
        image = formats.read(tmp_path / name)
        assert image.geometry.affine is None
        np.testing.assert_array_equal(image.data, cube(12))
        part = open_blocks(formats.read(tmp_path / name)).read(slice(1, 4), slice(2, 9, 3), slice(2, 7, 2))
        np.testing.assert_array_equal(part, cube(12)[2:7:2, 1:4, 2:9:3])


def test_scales_and_nodata(tmp_path):
    path = save(tmp_path / "a.tif", cube(2), nodata=-7)
    with rasterio.open(path, "r+") as out:
        out.scales, out.offsets = [0.5] * 7, [1.0] * 7
    image = formats.read(path)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image.data, cube(2) * 0.5 + 1)
    assert image.header["ignore_value"] is None  # such samples are NaN: see test_validity
    assert image.header["stored_ignore"] == -7


def test_notes_of_gdal_beside_are_one_of_the_files(tmp_path):
    path = save(tmp_path / "a.tif", cube(2))
    beside = tmp_path / "a.tif.aux.xml"
    beside.write_text('<PAMDataset><PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>')
    image = formats.read(path)
    assert image.header["ignore_value"] == 7
    assert image.all_files == formats.input_files(path) == (path, beside)


def test_photos_and_broken_files_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "photo.tif", np.zeros((9, 11, 3), "u1"), photometric="rgb")
    with pytest.raises(InputError, match="colour picture of 8 bits without a map position"):
        formats.read(tmp_path / "photo.tif", kind="scene")
    ok = save(tmp_path / "rgb.tif", np.zeros((3, 9, 11), "u1"), photometric="RGB")
    assert len(formats.read(ok).channels) == 3
    (tmp_path / "junk.tif").write_bytes(b"II*\x00" + bytes(40))
    with pytest.raises(InputError, match="junk.tif: not a readable TIFF"):
        formats.read(tmp_path / "junk.tif")
    save(tmp_path / "c.tif", np.ones((2, 9, 11), "c8"))
    with pytest.raises(InputError, match="complex samples"):
        formats.read(tmp_path / "c.tif")
    path = save(tmp_path / "cut.tif", np.random.default_rng(0).integers(0, 9999, (7, 90, 110)).astype("u2"))
    path.write_bytes(path.read_bytes()[:40000])
    with pytest.raises(InputError, match=r"cut.tif"):
        _ = formats.read(path).data


def test_impossible_positions_are_refused(tmp_path):
    for transform in (Affine(1e300, 0, 0, 0, -20, 0), Affine(20, 20, 0, 20, 20, 0)):
        path = save(tmp_path / "a.tif", cube(), transform=transform)
        with pytest.raises(GeometryError, match="is no position"):
            formats.read(path)


def test_class_maps_keep_palette_names_and_place(tmp_path):
    scene = formats.read(save(tmp_path / "scene.tif", cube()))
    classes = ClassTable.from_names(["water, deep", "soil", "tree"])
    labels = Labels(np.arange(99).reshape(9, 11) % 4, scene.geometry, classes)
    path, names = write(labels, tmp_path / "out", source=scene)
    assert sorted((tmp_path / "out").iterdir()) == [path, names]
    assert (path.name, names.name) == ("labels.tif", "labels.tif.aux.xml")
    with rasterio.open(path) as theirs:
        np.testing.assert_array_equal(theirs.read(1), labels.data)
        assert theirs.crs.to_epsg() == 32610
        assert theirs.transform == PLACE
        assert theirs.colormap(1)[2][:3] == classes.classes[1].color
        assert theirs.dtypes == ("uint8",)
    again = formats.read_labels(path, reference=scene.geometry)
    np.testing.assert_array_equal(again.data, labels.data)
    assert list(again.classes) == list(classes)


def test_foreign_palettes_give_their_colours(tmp_path):
    data = (np.arange(99).reshape(1, 9, 11) % 3).astype("u1")
    path = save(tmp_path / "a.tif", data, colormap={0: (0, 0, 0, 255), 1: (10, 20, 30, 255), 2: (7, 8, 9, 255)})
    assert [c.color for c in formats.read_labels(path).classes] == [(10, 20, 30), (7, 8, 9)]


@pytest.mark.parametrize("tiled", [False, True])
def test_lzma_is_held_against_its_own_checksum(tmp_path, tiled):
    """GDAL stops where it has the samples; what it writes itself has no checksum, what others write has one."""
    values = np.random.default_rng(0).integers(0, 50, (32, 48)).astype("u2")
    blocks = [values[r : r + 16, c : c + 16] for r in (0, 16) for c in (0, 16, 32)] if tiled else [values]
    packed = [lzma.compress(b.astype("<u2").tobytes(), check=lzma.CHECK_CRC32) for b in blocks]
    path = tmp_path / "a.tif"
    sides = {"tile": (16, 16)} if tiled else {"rowsperstrip": 32}
    with tifffile.TiffWriter(path, byteorder="<") as file:
        file.write(iter(packed), shape=values.shape, dtype="<u2", compression=34925, photometric="minisblack", **sides)
    np.testing.assert_array_equal(formats.read(path, kind="scene").data[0], values)
    content = bytearray(path.read_bytes())
    at = content.index(packed[-1]) + len(packed[-1]) // 2
    content[at] ^= 4
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif: damaged: block \d of its samples"):
        _ = formats.read(path, kind="scene").data


@pytest.mark.parametrize(("scale", "offset"), [(0, 0), (np.nan, 0), (np.inf, 0), (1, np.nan), (1e-60, 0)])
def test_scales_that_leave_no_samples_are_refused(tmp_path, scale, offset):
    path = save(tmp_path / "a.tif", cube(2))
    with rasterio.open(path, "r+") as out:
        out.scales, out.offsets = [1.0] * 6 + [scale], [0.0] * 6 + [offset]
    with pytest.raises(InputError, match=r"a\.tif: band 7 has the scale"):
        formats.read(path)


WAVES = [400 + 100 * i for i in range(7)]


@pytest.mark.parametrize(
    ("tags", "first", "note"),
    [
        ({"wavelength": ["nan", *WAVES[1:]]}, None, "no number above 0 in 1 of 7 bands: taken as not given"),
        ({"wavelength": ["", *WAVES[1:]]}, None, "in 1 of 7 bands"),
        ({"wavelength": WAVES, "CENTRAL_WAVELENGTH_UM": [2 - 0.1 * i for i in range(7)]}, 400, "differ from those of"),
        ({"wavelength": WAVES, "CENTRAL_WAVELENGTH_UM": [w / 1000 for w in WAVES]}, 400, None),
        ({"wavelength": WAVES, "wavelength_units": ["parsec"] * 7}, None, "'parsec', which is no known unit"),
        ({"wavelength": WAVES, "wavelength_units": ["um"] * 7}, 400, "read as nanometers"),
        ({"wavelength": [400, *WAVES[:-1]]}, 400, "bands 1 and 2 have the same wavelength"),
    ],
)
def test_doubtful_tags_of_bands_are_noted(tmp_path, tags, first, note):
    image = formats.read(save(tmp_path / "a.tif", cube(), tags=tags))
    assert (image.header["wavelengths_nm"] or [None])[0] == first
    assert [note in n for n in image.notes] == [True] if note else image.notes == ()


def test_a_file_beside_that_differs_from_the_tags_is_noted(tmp_path):
    path = save(tmp_path / "a.tif", cube(), tags={"wavelength": WAVES})
    (tmp_path / "a_wavelengths.csv").write_text("\n".join(str(w) for w in WAVES))
    assert formats.read(path).notes == ()
    (tmp_path / "a_wavelengths.csv").write_text("\n".join(str(w + 9) for w in WAVES))
    assert "a_wavelengths.csv differ from those of the tags 'wavelength'" in formats.read(path).notes[0]
