import numpy as np
import pytest
import rasterio
import scipy.io
import tifffile

from tests.scene_maker import cube
from tests.workbench.scene.data.test_products import lan
from workbench.core.errors import InputError
from workbench.core.provenance import input_hash
from workbench.data import formats
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


def of_one_page(path):
    data = cube(2)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(data),
        height=data.shape[1],
        width=data.shape[2],
        dtype=data.dtype,
        crs="EPSG:32632",
        transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6),
    ) as out:
        out.write(data)  # fmt: skip


WRITERS = {
    "a.npy": lambda path: np.save(path, cube().transpose(1, 2, 0)),
    "a.npz": lambda path: np.savez(path, cube=cube().transpose(1, 2, 0)),
    "a.mat": lambda path: scipy.io.savemat(path, {"cube": cube().transpose(1, 2, 0)}),
    "a.tif": of_one_page,
    "pages.tif": lambda path: tifffile.imwrite(path, cube(), photometric="minisblack"),
    "a.lan": lambda path: lan(path, cube(2)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_list_beside_is_one_of_the_files_of_the_scene(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    assert formats.read(path).all_files == (path,)
    listed, other = (tmp_path / f"{path.stem}_wavelengths{end}" for end in (".csv", ".txt"))
    listed.write_text("\n".join(str(400 + 50 * i) for i in range(len(cube()))))
    other.write_text("\n".join(str(900 + 50 * i) for i in range(len(cube()))))
    image = formats.read(path)
    assert image.all_files == (path, listed)
    assert [n for n in image.notes if "differ from those" in n], "a note on the list is one on the scene"
    before = input_hash(image)
    listed.write_text("\n".join(str(401 + 50 * i) for i in range(len(cube()))))
    assert input_hash(image) is None  # no longer what was opened
    assert before != input_hash(formats.read(path)) is not None
