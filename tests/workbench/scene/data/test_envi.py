import subprocess
import sys

import numpy as np
import pytest
import rasterio
import spectral.io.envi as spy

import workbench as wb
from tests.scene_maker import MAP_INFO, TYPES, cube, save_envi
from workbench.core.errors import GeometryError, InputError
from workbench.data import formats
from workbench.data.write import write
from workbench.scene.data import envi
from workbench.scene.data.scene import open_blocks

INTERLEAVES = ("bsq", "bil", "bip")


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("interleave", INTERLEAVES)
@pytest.mark.parametrize("code", TYPES)
def test_what_the_package_spectral_writes_is_read(tmp_path, code, interleave, big):
    data = cube(code)
    path = tmp_path / "scene.hdr"
    wavelengths = np.linspace(0.4, 2.4, len(data)).tolist()
    spy.save_image(
        str(path), data.transpose(1, 2, 0), dtype=data.dtype, interleave=interleave, byteorder=int(big),
        metadata={"wavelength": wavelengths, "wavelength units": "Micrometers", "fwhm": [0.01] * 7,
                  "bbl": [1, 0, 1, 1, 1, 1, 1], "map info": MAP_INFO.strip("{}").split(",")},
    )  # fmt: skip
    image = formats.read(path)
    assert image.kind == "scene"
    assert image.dtype == data.dtype
    np.testing.assert_array_equal(image.data, data)
    part = open_blocks(formats.read(path)).read(slice(2, 8, 2), slice(3, 4), slice(1, 6))
    np.testing.assert_array_equal(part, data[1:6, 2:8:2, 3:4])
    np.testing.assert_allclose(image.header["wavelengths_nm"], np.array(wavelengths) * 1000)
    np.testing.assert_allclose(image.header["fwhm_nm"], 10.0)
    assert image.header["good_bands"] == [True, False, True, True, True, True, True]
    assert image.geometry.spacing == (20.0, 20.0)
    assert image.geometry.unit == "m"


@pytest.mark.parametrize("interleave", INTERLEAVES)
@pytest.mark.parametrize("code", TYPES)
def test_what_is_written_the_package_spectral_reads(tmp_path, code, interleave):
    data = cube(code)
    save_envi(
        tmp_path / "in", data, interleave=interleave, map_info=MAP_INFO, bbl="{1, 0, 1, 1, 1, 1, 1}",
        wavelength="{" + ", ".join(str(400 + 10.5 * i) for i in range(7)) + "}", wavelength_units="nm",
    )  # fmt: skip
    samples, header = write(formats.read(tmp_path / "in" / "scene.hdr"), tmp_path / "out", name="again")
    assert (samples.name, header.name) == ("again.dat", "again.hdr")
    theirs = spy.open(str(header))
    np.testing.assert_array_equal(np.asarray(theirs.load(dtype=data.dtype)), data.transpose(1, 2, 0))
    assert theirs.metadata["interleave"] == interleave
    assert [float(v) for v in theirs.metadata["wavelength"]] == [400 + 10.5 * i for i in range(7)]
    assert theirs.metadata["bbl"] == [1, 0, 1, 1, 1, 1, 1]
    assert theirs.metadata["map info"] == MAP_INFO.strip("{}").split(", ")


def test_gdal_reads_the_same_numbers_and_place(tmp_path):
    data = cube(12)
    for interleave in INTERLEAVES:
        header = save_envi(tmp_path / interleave, data, interleave=interleave, big=True, map_info=MAP_INFO)
        written = write(formats.read(header), tmp_path / interleave / "out")[0]
        with rasterio.open(written, driver="ENVI") as theirs:
            np.testing.assert_array_equal(theirs.read(), data)
            assert theirs.crs.to_epsg() == 32610
            assert tuple(theirs.transform)[:6] == (20.0, 0.0, 565000.0, 0.0, -20.0, 4150000.0)
        # Column 3, row 2: the centre of that pixel.
        x, y, _ = formats.read(written).geometry.affine @ [2, 3, 1]
        assert (x, y) == (565070.0, 4149950.0)


@pytest.mark.parametrize("suffix", ["", ".dat", ".img", ".raw", ".bsq", ".bil", ".bip", ".DAT", ".rfl"])
def test_samples_are_found_by_any_usual_name(tmp_path, suffix):
    header = save_envi(tmp_path, cube(), suffix=suffix)
    for path in (header, tmp_path / f"scene{suffix}"):
        assert formats.is_readable(path)
        image = formats.read(path)
        assert image.source == tmp_path / f"scene{suffix}"
        np.testing.assert_array_equal(image.data, cube())


def test_a_header_named_after_the_whole_file_wins(tmp_path):
    save_envi(tmp_path, cube(seed=1), suffix=".img")
    (tmp_path / "scene.hdr").rename(tmp_path / "scene.img.hdr")
    save_envi(tmp_path, cube(seed=2), suffix=".dat")
    np.testing.assert_array_equal(formats.read(tmp_path / "scene.img").data, cube(seed=1))
    np.testing.assert_array_equal(formats.read(tmp_path / "scene.hdr").data, cube(seed=2))
    np.testing.assert_array_equal(formats.read(tmp_path / "scene.img.hdr").data, cube(seed=1))


def test_missing_halves_are_named(tmp_path):
    header = save_envi(tmp_path, cube())
    (tmp_path / "scene.dat").rename(tmp_path / "lonely.dat")
    with pytest.raises(
        InputError, match=r"scene.hdr: no file with its samples beside it, expected scene without suffix"
    ):
        formats.read(header)
    assert not formats.is_readable(tmp_path / "lonely.dat")
    with pytest.raises(
        InputError, match=r"lonely.dat: no ENVI header beside it, expected lonely.hdr or lonely.dat.hdr"
    ):
        formats.read(tmp_path / "lonely.dat")
    save_envi(tmp_path, cube())
    save_envi(tmp_path, cube(), suffix=".img")
    with pytest.raises(InputError, match=r"several files could hold its samples: scene.dat, scene.img. Give the one"):
        formats.read(header)


def test_other_headers_of_the_same_suffix_are_left_alone(tmp_path):
    (tmp_path / "brain.hdr").write_bytes(b"\x5c\x01\x00\x00" + bytes(344))
    (tmp_path / "brain.img").write_bytes(bytes(1000))
    assert not envi.is_scene(tmp_path / "brain.hdr")
    assert not envi.is_scene(tmp_path / "brain.img")


def test_a_pass_over_a_large_scene_takes_little_memory(tmp_path):
    """750 MB on paper (a sparse file), read once from end to end."""
    rows, columns, bands = 1500, 1000, 250
    path = tmp_path / "big.hdr"
    with (tmp_path / "big.dat").open("wb") as f:
        f.truncate(rows * columns * bands * 2)
    path.write_text(
        f"ENVI\nsamples = {columns}\nlines = {rows}\nbands = {bands}\ndata type = 12\ninterleave = bil\n"
        "byte order = 0\n"
    )
    code = (
        "import sys, workbench as wb\n"
        "from workbench.scene.data.scene import open_blocks\n"
        "image = wb.read(sys.argv[1]); blocks = open_blocks(image)\n"
        "for rows, columns in blocks.windows(): blocks.read(rows, columns)\n"
        "from workbench.core.provenance import peak_memory_mb\n"
        "print(blocks.shape, int(peak_memory_mb()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("(250, 1500, 1000)")
    assert int(done.stdout.split()[-1]) < 350, done.stdout


def test_scale_factors_gains_and_offsets(tmp_path):
    data = cube(2)
    plain = formats.read(save_envi(tmp_path / "a", data, reflectance_scale_factor=10000, data_ignore_value=-5))
    assert plain.dtype == np.float32
    assert plain.value_unit == "reflectance"
    np.testing.assert_allclose(plain.data, data / 10000.0, rtol=1e-6)
    theirs = spy.open(str(tmp_path / "a" / "scene.hdr")).load()
    np.testing.assert_allclose(plain.data, np.asarray(theirs).transpose(2, 0, 1), rtol=1e-6)
    assert plain.header["ignore_value"] is None  # such samples are NaN: see test_validity
    assert plain.header["stored_ignore"] == -5
    inverse = formats.read(save_envi(tmp_path / "b", data, data_scale_factor=0.0001))
    np.testing.assert_allclose(inverse.data, data / 10000.0, rtol=1e-6)
    gains = formats.read(
        save_envi(tmp_path / "c", data, data_gain_values="{1, 2, 3, 4, 5, 6, 7}", data_offset_values="{0,0,0,0,0,0,-9}")
    )
    np.testing.assert_allclose(gains.data[6], data[6] * 7.0 - 9, rtol=1e-6)
    np.testing.assert_allclose(open_blocks(gains).read(bands=[2])[0], data[2] * 3.0)
    one = formats.read(save_envi(tmp_path / "d", data, reflectance_scale_factor=1))
    assert one.dtype == np.int16
    wide = formats.read(save_envi(tmp_path / "e", cube(3), reflectance_scale_factor=10000))
    assert wide.dtype == np.float64


def test_header_offset(tmp_path):
    image = formats.read(save_envi(tmp_path, cube(), header_offset=517))
    np.testing.assert_array_equal(image.data, cube())


def test_class_maps_bring_their_table(tmp_path):
    labels = np.array([[[0, 1, 2], [2, 2, 0]]], dtype="u1")
    path = save_envi(
        tmp_path, labels, file_type="ENVI Classification", classes=3, class_names="{Unclassified, water,\n dry soil}",
        class_lookup="{0, 0, 0, 10, 20, 30, 40, 50, 60}",
    )  # fmt: skip
    found = formats.read_labels(path)
    np.testing.assert_array_equal(found.data, labels[0])
    assert [(c.value, c.name, c.color) for c in found.classes] == [
        (1, "water", (10, 20, 30)),
        (2, "dry soil", (40, 50, 60)),
    ]
    save_envi(tmp_path / "b", labels + 5, file_type="ENVI Classification", classes=3, class_names="{none, a, b}")
    with pytest.raises(InputError, match="holds the class 7, its header names only 2 classes"):
        formats.read_labels(tmp_path / "b" / "scene.hdr")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"samples": None}, "the field 'samples' is missing"),
        ({"lines": 0}, "field 'lines' is 0, expected a number of at least 1"),
        ({"bands": "many"}, "field 'bands' is 'many', expected a whole number"),
        ({"data type": 7}, "data type = 7 is unknown, expected one of 1, 2, 3"),
        ({"data type": 6}, "data type = 6 means complex samples"),
        ({"data type": 9}, "data type = 9 means complex samples"),
        ({"byte order": 2}, r"byte order = 2, expected 0 \(little endian\)"),
        ({"interleave": "bqs"}, "interleave = 'bqs', expected one of bsq, bil, bip"),
        ({"interleave": None}, "the field 'interleave' is missing"),
        ({"wavelength": "{1, 2, 3}"}, "wavelength lists 3 values, the file has 7 bands"),
        ({"fwhm": "{1, 2}", "wavelength": "{1,2,3,4,5,6,7}"}, "fwhm lists 2 values"),
        ({"wavelength": "{a, b}"}, "field 'wavelength' holds 'a', expected numbers"),
        ({"bbl": "{1, 1}"}, "bbl lists 2 values"),
        ({"data gain values": "{1, 2}"}, "'data gain values' lists 2 values, the file has 7 bands"),
        ({"reflectance scale factor": 0}, "'reflectance scale factor' is '0', expected one number above 0"),
        ({"wavelength": "{1, 2"}, "the brace of 'wavelength' is never closed"),
        ({"file compression": 1}, "file compression = 1"),
        ({"major frame offsets": "{12, 0}"}, "gaps between lines"),
        ({"file type": "ENVI Spectral Library"}, "this is a spectral library"),
    ],
)
def test_wrong_fields_are_named(tmp_path, fields, message):
    path = save_envi(tmp_path, cube(), edit=fields)
    with pytest.raises(InputError, match=message):
        formats.read(path)


@pytest.mark.parametrize("info", ["{UTM, 1, 1, 5}", "{UTM, 1, 1, x, 2, 3, 4}", "{UTM, 1, 1, 5, 5, 0, 20}"])
def test_wrong_map_info_is_named(tmp_path, info):
    with pytest.raises(GeometryError, match="map info"):
        formats.read(save_envi(tmp_path, cube(), map_info=info))


def test_info_reads_headers_only(tmp_path):
    path = save_envi(tmp_path, cube(), map_info=MAP_INFO)
    code = (
        "import sys, json, workbench as wb; rows = wb.info(sys.argv[1]); print(json.dumps(rows));"
        "print({m.split('.')[0] for m in sys.modules} & {'torch', 'monai', 'napari', 'rasterio', 'h5py', 'dask'})"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    (row,) = wb.info(path)
    assert row["kind"] == "scene"
    assert row["shape"] == [9, 11]
    assert row["spacing"] == [20.0, 20.0]
    assert row["header"]["crs"] == "UTM 10 North, WGS-84"


WAVES = "400, 450, 500, 550, 600, 650, 700"
PLACED = "{{UTM, 1, 1, 565000, 4150000, 20, 20, {}, WGS-84{}}}"
WKT = '{PROJCS["WGS_1984_UTM_Zone_10N",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984"]]]}'


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Wavelength": f"{{{WAVES}}}", "wavelength": "{7, 6, 5, 4, 3, 2, 1}"}, "'wavelength' is there twice"),
        ({"Data Ignore Value": 0, "data ignore value": 1}, "'data ignore value' is there twice, as '0' and as '1'"),
        ({"data gain values": "{1, 0, 1, 1, 1, 1, 1}"}, "holds 0, which leaves no samples"),
        ({"data gain values": "{1, nan, 1, 1, 1, 1, 1}"}, "expected finite numbers"),
        ({"wavelength": "{-400, 450, 500, 550, 600, 650, 700}"}, "holds -400, expected numbers above 0"),
        ({"wavelength": "{0, 450, 500, 550, 600, 650, 700}"}, "holds 0, expected numbers above 0"),
        ({"map info": PLACED.format("11, North", ""), "coordinate system string": WKT}, "says UTM 11 North, 'coord"),
        ({"map info": PLACED.format("10, South", ""), "coordinate system string": WKT}, "says UTM 10 South, 'coord"),
        ({"map info": "{Geographic Lat/Lon, 1, 1, 9, 48, 1, 1}", "coordinate system string": WKT}, "says Geographic"),
        ({"map info": PLACED.format("99, North", "")}, "the UTM zone 99 North, expected 1 to 60"),
        ({"map info": PLACED.format("10, Sorth", "")}, "the UTM zone 10 Sorth"),
        ({"map info": PLACED.format("10, North", ", rotation=1, Rotation=2")}, "gives 'rotation' twice"),
    ],
)
def test_fields_that_contradict_or_destroy_are_refused(tmp_path, fields, message):
    with pytest.raises((InputError, GeometryError), match=message):
        formats.read(save_envi(tmp_path, cube(), edit=fields))


@pytest.mark.parametrize(
    ("fields", "first", "note"),
    [
        ({"wavelength units": "parsec", "wavelength": f"{{{WAVES}}}"}, None, "units are 'parsec', which is no known"),
        ({"wavelength units": "Micrometers", "wavelength": f"{{{WAVES}}}"}, 400, "400 to 700 cannot be: read as nano"),
        ({"wavelength units": "nm", "wavelength": "{.4, .5, .6, .7, .8, .9, 1}"}, 400, "read as micrometers"),
        ({"wavelength": "{0, 0, 0, 0, 0, 0, 0}"}, None, "all wavelengths of the header are 0"),
        ({"wavelength": "{400, 450, 450, 550, 600, 650, 700}"}, 400, "bands 2 and 3 have the same wavelength, 450 nm"),
        ({"reflectance scale factor": 10, "data gain values": "{.1}"}, "-", "the samples were scaled by both"),
        ({"Wavelength": f"{{{WAVES}}}", "wavelength": "{" + WAVES.replace(" ", "") + "}"}, 400, None),
        ({"map info": PLACED.format("10, North", ""), "coordinate system string": WKT}, "-", None),
        ({"wavelength units": "Index", "wavelength": "{0, 1, 2, 3, 4, 5, 6}"}, None, None),
    ],
)
def test_notes_say_what_was_believed(tmp_path, fields, first, note):
    image = formats.read(save_envi(tmp_path, cube(), edit=fields))
    assert [note in n for n in image.notes] == [True] if note else image.notes == ()
    if first != "-":
        assert (image.header["wavelengths_nm"] or [None])[0] == first


def test_names_of_several_classes_are_noted(tmp_path):
    labels = np.array([[[0, 1, 2]]], dtype="u1")
    named = {"file_type": "ENVI Classification", "classes": 3, "class_names": "{none, corn, corn}"}
    assert "'corn' to several classes" in formats.read_labels(save_envi(tmp_path, labels, **named)).notes[0]
