"""The sample scene: the seed decides, spectra look like their materials, files say what was drawn."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from workbench.core.samples import sample_files
from workbench.data import formats

SCRIPT = Path(__file__).resolve().parents[2] / "sample_data" / "make_scene.py"


@pytest.fixture(scope="module")
def made():
    return runpy.run_path(str(SCRIPT))


def test_a_seed_decides_everything(made) -> None:
    a, b, c = (made["make_scene"](s, shape=(40, 48), bands=30) for s in (3, 3, 4))
    assert np.array_equal(a.cube, b.cube)
    assert np.array_equal(a.painted, b.painted)
    assert not np.array_equal(a.labels, c.labels)


def test_spectra_have_the_marks_of_their_materials(made) -> None:
    nm = np.linspace(400, 2450, 500)

    def at(name, wavelength):
        return made["end_member"](name, nm)[np.abs(nm - wavelength).argmin()]

    for name in made["NAMES"]:
        spectrum = made["end_member"](name, nm)
        assert spectrum.min() > 0
        assert spectrum.max() < 0.8
    assert at("vegetation", 860) > 5 * at("vegetation", 672)
    assert at("vegetation", 552) > at("vegetation", 672)
    assert at("water", 860) < 0.1 * at("water", 480)
    assert at("soil", 2205) < at("soil", 2120)
    assert at("roof", 700) > 3 * at("roof", 450)
    assert abs(at("asphalt", 1600) - at("asphalt", 600)) < 0.06


def test_twenty_pixels_of_each_class_are_painted_where_they_lie(made) -> None:
    scene = made["make_scene"](made["SAMPLE_SEED"])
    assert np.bincount(scene.painted.ravel())[1:].tolist() == [20] * 6
    here = scene.painted > 0
    assert np.array_equal(scene.painted[here], scene.labels[here])
    assert np.bincount(scene.labels.ravel())[1:].min() > 100


def test_files_are_what_the_script_makes_and_read_back(made, tmp_path) -> None:
    scene = made["make_scene"](made["SAMPLE_SEED"])
    written = made["write_scene"](scene, tmp_path, "scene_9101")
    shipped = sample_files()["scene_9101"].parent
    for file in written:
        assert file.read_bytes() == (shipped / file.name).read_bytes()
    image = formats.read(tmp_path / "scene_9101.hdr")
    assert image.kind == "scene"
    assert image.geometry.spacing == pytest.approx((3, 3))
    assert image.geometry.unit == "m"
    assert np.allclose(image.data, scene.cube / 10000, atol=1e-6)
    assert sum(image.header["good_bands"]) == scene.good_bands.sum() < 120
    labels = formats.read_labels(tmp_path / "scene_9101_labels.hdr", reference=image.geometry)
    assert np.array_equal(labels.data, scene.labels)
    assert labels.classes.names[0] == "vegetation"
