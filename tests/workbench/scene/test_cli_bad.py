"""Bad scenes: one clear line that names the field, the documented exit code, and nothing written."""

import numpy as np
import pytest

from tests.one_line import one_error_line
from tests.scene_maker import MAP_INFO, cube, save_envi
from workbench.cli import run

TRUTH = np.repeat(np.array([[1], [2], [3]], "u1"), 3, axis=0) * np.ones((1, 11), "u1")


@pytest.fixture
def fails(tmp_path, capsys):
    """Run `workbench` and check that it ends with `code`, one line with `words`, and without output."""

    def go(code, arguments, *words):
        out = tmp_path / "out"
        assert run([str(a) for a in arguments]) == code
        one_error_line(capsys.readouterr(), *words)
        assert not out.exists()

    return go


@pytest.fixture
def train(fails, tmp_path):
    def go(code, scene, labels, *words):
        out = tmp_path / "out" / "m.safetensors"
        fails(
            code,
            [
                "train",
                "lola_specvit",
                "-i",
                scene,
                "--labels",
                labels,
                "-o",
                out,
                "-q",
                "--components",
                3,
                "--steps",
                1,
            ],
            *words,
        )

    return go


@pytest.fixture
def labels(tmp_path):
    np.save(tmp_path / "gt.npy", TRUTH)
    return tmp_path / "gt.npy"


def test_header_and_file_of_different_size(fails, train, labels, tmp_path):
    path = save_envi(tmp_path, cube(), edit={"lines": 8})
    words = ("scene.dat", "11 samples x 8 lines x 7 bands x 2 bytes = 1232", "lines = 9")
    fails(3, ["info", path], *words)
    train(3, path, labels, *words)


def test_missing_header_and_missing_samples(fails, train, labels, tmp_path):
    path = save_envi(tmp_path, cube())
    path.rename(tmp_path / "else.hdr")
    fails(3, ["info", tmp_path / "scene.dat"], "no ENVI header beside it", "scene.hdr")
    train(3, tmp_path / "else.hdr", labels, "no file with its samples beside it")
    fails(4, ["info", tmp_path / "none.dat"], "no such file")


def test_wrong_byte_order(train, labels, tmp_path):
    path = save_envi(tmp_path, cube(4), edit={"byte order": 1})
    train(3, path, labels, "byte order = 1 gives samples from", "Set byte order = 0")


def test_bands_without_numbers(train, labels, tmp_path):
    data = cube(4)
    data[[2, 5]] = np.nan
    train(3, save_envi(tmp_path, data), labels, "scene.dat", "2 band(s)", "3, 6", "bbl")


def test_labels_of_another_size_or_place(train, tmp_path):
    scene = save_envi(tmp_path / "scene", cube(), map_info=MAP_INFO)
    np.save(tmp_path / "gt.npy", TRUTH.T)
    train(3, scene, tmp_path / "gt.npy", "11 rows x 9 columns, the scene has 9 rows x 11 columns", "transposed")
    moved = save_envi(tmp_path / "gt", TRUTH[None], map_info=MAP_INFO.replace("565000", "0"))
    train(3, scene, moved, "does not lie on the grid")


def test_one_class_only(train, tmp_path):
    scene = save_envi(tmp_path / "scene", cube())
    np.save(tmp_path / "gt.npy", np.ones((9, 11), "u1"))
    train(2, scene, tmp_path / "gt.npy", "only class 1", "two classes")


def test_several_cubes_in_one_file(fails, train, labels, tmp_path):
    import scipy.io

    scene = cube().transpose(1, 2, 0)
    scipy.io.savemat(tmp_path / "two.mat", {"first": scene, "second": scene})
    words = ("two.mat", "holds 2 cubes: first (9 x 11 x 7 int16), second (9 x 11 x 7 int16)", "two.mat:first")
    fails(3, ["info", tmp_path / "two.mat"], *words)
    train(3, tmp_path / "two.mat", labels, *words)
    fails(3, ["info", f"{tmp_path / 'two.mat'}:third"], "no numeric array 'third'", "first")
    train(4, tmp_path / "two.mat", tmp_path / "none.mat:gt", "none.mat: no such label file")


def test_info_shortens_the_bands(tmp_path, capsys):
    wavelengths = "{" + ", ".join(str(400 + 10 * i) for i in range(21)) + "}"
    path = save_envi(
        tmp_path, np.repeat(cube(), 3, axis=0), wavelength=wavelengths, wavelength_units="nm", map_info=MAP_INFO
    )
    assert run(["info", str(path)]) == 0
    text = capsys.readouterr().out
    assert "band 1 (400.0 nm) to band 21 (600.0 nm) (21)" in text
    assert "wavelengths_nm=400.0 to 600.0 (21)" in text
    assert "4149990" in text
