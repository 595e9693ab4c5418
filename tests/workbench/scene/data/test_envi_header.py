import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.scene.data import envi_header as eh


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
