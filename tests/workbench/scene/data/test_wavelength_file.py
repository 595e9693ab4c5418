import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.scene.data.wavelength_file import wavelengths_beside


@pytest.mark.parametrize(
    "text",
    [
        "400\n500\n600\n",
        "0.4\n0.5\n0.6",
        "# centre\n400\n500\n600\n",
        "400, 500, 600",
        "wavelength\n0.4\n0.5\n0.6\n",
        "band,wavelength_nm\n1,400\n2,500\n3,600\n",
        "wavelength [um];fwhm\n0.4;0.01\n0.5;0.01\n0.6;0.01\n",
        "wavelength_nm\tfwhm\tgood\n400\t10\t1\n500\t10\t0\n600\t10\t1\n",
    ],
)
@pytest.mark.parametrize("name", ["scene_wavelengths.csv", "scene.wavelengths.txt"])
def test_lists_and_tables(tmp_path, text, name):
    (tmp_path / name).write_text(text)
    found = wavelengths_beside(tmp_path / "scene.npy", 3)
    np.testing.assert_allclose(found.wavelengths_nm, [400, 500, 600])
    if "fwhm" in text:
        np.testing.assert_allclose(found.fwhm_nm, 10)
    if "good" in text:
        assert found.good_bands == [True, False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("400\n500\n", "lists 2 wavelengths, scene.npy has 3 bands"),
        ("400\nhello\n600\n", "expected one wavelength per line"),
        ("400\n-1\n600\n", "not above 0"),
        ("400\nnan\n600\n", "not above 0"),
        ("", "expected one wavelength per line"),
        ("name,value\n1,2\n", "a column 'wavelength'"),
    ],
)
def test_wrong_lists_are_named(tmp_path, text, message):
    (tmp_path / "scene_wavelengths.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        wavelengths_beside(tmp_path / "scene.npy", 3)


def test_nothing_beside(tmp_path):
    assert wavelengths_beside(tmp_path / "scene.npy", 3) is None


def test_a_second_list_that_differs_is_noted(tmp_path):
    (tmp_path / "scene_wavelengths.csv").write_text("400\n500\n600\n")
    (tmp_path / "scene_wavelengths.txt").write_text("400.01\n500\n600\n")
    assert wavelengths_beside(tmp_path / "scene.npy", 3).notes == ()
    (tmp_path / "scene_wavelengths.txt").write_text("900\n1000\n1100\n")
    found = wavelengths_beside(tmp_path / "scene.npy", 3)
    assert found.wavelengths_nm == [400, 500, 600]
    assert found.notes == (
        "the wavelengths of scene_wavelengths.txt differ from those of scene_wavelengths.csv, which were taken",
    )
