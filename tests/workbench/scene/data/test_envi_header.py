import warnings

import numpy as np
import pytest
import rasterio

from tests.scene_maker import cube, save_envi
from workbench.core.errors import InputError
from workbench.data import formats
from workbench.scene.data import envi_header as eh
from workbench.scene.data.scene import open_blocks


def write(tmp_path, text):
    path = tmp_path / "a.hdr"
    path.write_bytes(text.encode())
    return path


def test_fields_comments_and_long_lists(tmp_path):
    text = (
        "ENVI\r\ndescription = {two\r\n  lines = of text}\r\n; a comment = 3\r\nSamples   = 5\r\n"
        "wavelength = {\r\n 1.0, 2.0,\r\n 3.0\r\n}\r\n\r\nband  names={a, b c,d}\r\nsensor type = Unknown\r\n"
    )
    fields = eh.parse(write(tmp_path, text))
    assert fields["samples"] == "5"
    assert "a comment" not in fields
    assert eh.items(fields["wavelength"]) == ("1.0", "2.0", "3.0")
    assert eh.items(fields["band names"]) == ("a", "b c", "d")
    assert fields["sensor type"] == "Unknown"
    assert eh.items(fields["description"]) == ("two lines = of text",)


@pytest.mark.parametrize(
    ("unit", "values", "expected", "noted"),
    [
        ("Nanometers", "400, 500", [400, 500], False),
        ("Micrometers", "0.4, 0.5", [400, 500], False),
        ("um", "0.4, 0.5", [400, 500], False),
        ("Wavenumber", "25000, 20000", [400, 500], False),
        ("Unknown", "0.4, 0.5", [400, 500], True),
        (None, "400, 500", [400, 500], True),
        ("Index", "1, 2", None, True),
    ],
)
def test_wavelengths_become_nanometres(tmp_path, unit, values, expected, noted):
    units = "" if unit is None else f"wavelength units = {unit}\n"
    path = write(tmp_path, f"ENVI\n{units}wavelength = {{{values}}}\nfwhm = {{1, 1}}\n")
    found, _, note, _ = eh.wavelengths_nm(eh.parse(path), path)
    assert (found is None) == (expected is None)
    if expected:
        np.testing.assert_allclose(found, expected)
    assert (note is not None) == noted


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="an ENVI header begins with 'ENVI'"):
        eh.parse(write(tmp_path, "hello\nsamples = 3\n"))
    with (tmp_path / "a.hdr").open("wb") as f:
        f.truncate(eh.MAX_HEADER + 1)
    with pytest.raises(InputError, match="an ENVI header is a short text"):
        eh.parse(tmp_path / "a.hdr")
    assert not eh.is_header(tmp_path / "none.hdr")


def test_types_that_envi_does_not_have():
    assert [eh.type_number(np.dtype(t)) for t in ("u1", "<i2", ">f4", "u8")] == [1, 2, 4, 15]
    for name in ("i1", "f2", "?"):
        with pytest.raises(InputError, match="convert to float32"):
            eh.type_number(np.dtype(name))


def test_rendered_headers_are_parsed_again(tmp_path):
    text = eh.render({"samples": 3, "wavelength": [1.5, 2.5], "nothing": None, "class names": ["a b", "c"]})
    fields = eh.parse(write(tmp_path, text))
    assert fields == {"samples": "3", "wavelength": "{1.5, 2.5}", "class names": "{a b, c}"}
    with pytest.raises(InputError, match="line break"):
        eh.render({"description": "two\nlines"})


@pytest.mark.parametrize(
    ("first", "end", "said"),
    [
        ("ENVI", "\n", ()),
        ("ENVI", "\r\n", ()),
        ("ENVI Standard", "\n", ("first line",)),
        ("ENVI", "\r", ("CR alone",)),
        ("ENVI Standard", "\r", ("first line", "CR alone")),
    ],
)
def test_texts_that_spy_and_gdal_open_are_opened_and_what_is_odd_is_noted(tmp_path, first, end, said):
    path = save_envi(tmp_path, cube(2), data_ignore_value="None")
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_bytes(end.join([first, *lines[1:]]).encode() + end.encode())
    image = formats.read(path)
    np.testing.assert_array_equal(image.data, cube(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(tmp_path / "scene.dat") as src:
            np.testing.assert_array_equal(src.read(), cube(2))
    assert len(image.notes) == len(said)
    assert all(word in note for word, note in zip(said, image.notes, strict=True))


def test_a_number_that_is_left_out_is_named_by_its_place(tmp_path):
    for key in ("wavelength", "fwhm", "bbl", "data_gain_values", "data_offset_values"):
        more = {} if key != "fwhm" else {"wavelength": "{1, 2, 3, 4, 5, 6, 7}"}
        path = save_envi(tmp_path, cube(2), **more, **{key: "{1, 2, , 4, 5, 6, 7}"})
        with pytest.raises(InputError, match=f"'{key.replace('_', ' ')}' holds nothing at place 3"):
            formats.read(path)
        path = save_envi(tmp_path, cube(2), **more, **{key: "{1, 2, 3, 4, 5, 6, 7, }"})
        np.testing.assert_array_equal(open_blocks(formats.read(path)).shape, cube(2).shape)


def test_what_map_info_leaves_out_keeps_its_place(tmp_path):
    """The zone is left out, or the name: the position stays the one that GDAL reads."""
    for info in (
        "{UTM, 1, 1, 565000.0, 4150000.0, 20.0, 20.0, , North, WGS-84, units=Meters}",
        "{, 1, 1, 565000.0, 4150000.0, 20.0, 20.0}",
    ):
        image = formats.read(save_envi(tmp_path, cube(2), map_info=info))
        np.testing.assert_allclose(image.geometry.affine[:2], [[0, 20, 565010], [-20, 0, 4149990]])
