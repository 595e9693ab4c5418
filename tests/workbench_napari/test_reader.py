"""Opening and saving through napari's own dialogs: every format, right place, nothing dropped, clear refusals."""

from __future__ import annotations

import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from workbench_napari.shared.reader import get_reader, read
from workbench_napari.volume.writer import write_image, write_labels

import workbench as wb
from tests.dicom_maker import write_series
from tests.study_maker import write_ct, write_report, zipped
from tests.tiny import make_volume
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError
from workbench.core.layers import KEY
from workbench.core.types import Labels
from workbench.volume.placement import layer_world

OBLIQUE = np.array([[2.9, -0.5, 0.3, -31.3], [0.6, 2.8, -0.4, 12.7], [-0.2, 0.5, 3.9, 5.5], [0, 0, 0, 1]])
LEFT_HANDED = np.array([[0, 0, -2.0, 30], [-1.5, 0, 0, 20], [0, -3.0, 0, 10], [0, 0, 0, 1]])


@pytest.fixture(params=["plain", "oblique", "left-handed"])
def volume(request, tmp_path):
    affine = {"plain": None, "oblique": OBLIQUE, "left-handed": LEFT_HANDED}[request.param]
    return make_volume(tmp_path / "scan.nii.gz", shape=(12, 13, 14), affine=affine)


def test_decides_cheaply(tmp_path, ct_file, only_ours):
    assert get_reader(str(ct_file)) is not None
    assert get_reader([str(ct_file), str(ct_file)]) is not None
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG")
    assert get_reader(str(picture)) is None
    empty = tmp_path / "folder"
    empty.mkdir()
    (empty / "notes.txt").write_text("no DICOM here")
    assert get_reader(str(empty)) is None
    assert get_reader([str(ct_file), str(picture)]) is None


def test_several_files(ct_file):
    layers = read([str(ct_file), str(ct_file)])
    assert [kind for _, _, kind in layers] == ["image", "image"]


def test_broken_file_is_one_clear_line(tmp_path):
    path = tmp_path / "broken.nii.gz"
    path.write_bytes(b"not a NIfTI")
    with pytest.raises(InputError) as caught:
        read(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_labels_round_trip(volume, tmp_path, suffix):
    image = wb.read(volume)
    data = np.random.default_rng(0).integers(0, 3, image.geometry.shape).astype(np.uint8)
    (source,) = wb.write(
        Labels(data, image.geometry, ClassTable.from_names(["a", "b"])), tmp_path / "in", name="my_labels"
    )
    ((layer, attributes, kind),) = read(str(source))
    assert kind == "labels"
    layer[3, 4, 5] = 2
    target = tmp_path / f"out_labels{suffix}"
    assert write_labels(str(target), layer, attributes) == [str(target)]
    ((again, back, _),) = read(str(target))
    assert np.array_equal(again, layer)
    assert np.allclose(layer_world(back), layer_world(attributes), atol=1e-5)
    if suffix.startswith(".nii"):
        assert nib.load(target).affine.tobytes() == nib.load(volume).affine.tobytes()


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_image_round_trip(volume, tmp_path, suffix):
    ((layer, attributes, _),) = read(str(volume))
    target = tmp_path / f"out{suffix}"
    write_image(str(target), layer, attributes)
    ((again, back, _),) = read(str(target))
    assert np.array_equal(again, layer)
    assert np.allclose(layer_world(back), layer_world(attributes), atol=1e-5)


def test_labels_may_replace_their_own_file_but_an_image_not(volume, tmp_path):
    image = wb.read(volume)
    labels = Labels(np.ones(image.geometry.shape, np.uint8), image.geometry, ClassTable.from_names(["a"]))
    (source,) = wb.write(labels, tmp_path, name="x_labels")
    ((layer, attributes, _),) = read(str(source))
    layer[0] = 0
    write_labels(str(source), layer, attributes)
    assert np.array_equal(read(str(source))[0][0], layer)
    before = volume.read_bytes()
    ((layer, attributes, _),) = read(str(volume))
    with pytest.raises(InputError, match="not overwritten"):
        write_image(str(volume), layer, attributes)
    assert volume.read_bytes() == before


def test_no_position_no_file(tmp_path):
    attributes = {"name": "bare", "scale": (1, 1, 1), "units": ("pixel",) * 3, "metadata": {}}
    for write in (write_labels, write_image):
        with pytest.raises(GeometryError, match="units to mm"):
            write(str(tmp_path / "x.nii.gz"), np.zeros((3, 4, 5), np.uint8), attributes)
    with pytest.raises(InputError, match="use .nii.gz"):
        write_labels(str(tmp_path / "x.tif"), np.zeros((3, 4, 5), np.uint8), {**attributes, "units": ("mm",) * 3})
    assert not list(tmp_path.iterdir())


def test_source_file_that_is_gone_costs_nothing(volume, tmp_path):
    ((layer, attributes, _),) = read(str(volume))
    affine = nib.load(volume).affine
    volume.unlink()
    write_image(str(tmp_path / "copy.nii.gz"), layer, attributes)
    assert nib.load(tmp_path / "copy.nii.gz").affine == pytest.approx(affine, abs=1e-5)


def test_real_dicom_folder(shared_data):
    folder = shared_data / "volume" / "ct_dicom"
    assert get_reader(str(folder)) is not None
    ((layer, attributes, kind),) = read(str(folder))
    assert kind == "image"
    assert attributes["contrast_limits"] == (-160.0, 240.0)
    assert attributes["metadata"][KEY]["modality"] == "CT"
    ((organs, theirs, what),) = read(str(shared_data / "volume" / "ct_dicom_organs.nii.gz"))
    assert what == "labels"
    # The organ labels lie on the same grid, though the two formats store it in different orders.
    assert organs.shape == layer.shape
    assert np.allclose(layer_world(attributes), layer_world(theirs), atol=1e-2)


@pytest.fixture
def two_series(tmp_path):
    folder = tmp_path / "study"
    first, _ = write_series(folder, uid="1.2.3.10", seed=1, prefix="a", Modality="CT")
    second, _ = write_series(folder, uid="1.2.3.20", seed=2, n=8, prefix="b", Modality="CT")
    return folder, first, second


@pytest.mark.gui
@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")
def test_several_series_are_a_question(two_series, window, monkeypatch):
    from qtpy.QtWidgets import QInputDialog

    folder, _, second = two_series
    asked = []

    def answer(parent, title, text, names, *rest):
        asked.extend(names)
        return names[1], True

    viewer = window()
    monkeypatch.setattr(QInputDialog, "getItem", answer)
    (layer,) = viewer.open(str(folder), plugin="napari-workbench")
    assert len(asked) == 2
    assert "7 x 5 x 8" in asked[1]
    record = layer.metadata[KEY]
    assert record["series"] == "1.2.3.20"
    assert layer.data.size == second.size
    monkeypatch.setattr(QInputDialog, "getItem", lambda *a: ("", False))
    assert not viewer.open(str(folder), plugin="napari-workbench")
    assert len(viewer.layers) == 1


def test_several_series_without_a_window_are_listed(two_series):
    code = "import sys; from workbench_napari.shared.reader import read; read(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(two_series[0])], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "[1]" in last
    assert "[2]" in last


@pytest.fixture
def patients(tmp_path):
    """A tree of two patients with one CT each, and a third with two."""
    for name in ("P1", "P2", "P3"):
        write_ct(tmp_path / "in" / name / "study" / "series", name)
    write_ct(tmp_path / "in" / "P3" / "study" / "series", "P3", 2, n=6)
    write_report(tmp_path / "in" / "P1" / "study" / "report.dcm", "P1")
    return tmp_path / "in"


def test_trees_and_archives_are_ours(patients, tmp_path):
    assert get_reader(str(patients)) is not None
    zipped(patients / "P1", tmp_path / "P1.zip")
    assert get_reader(str(tmp_path / "P1.zip")) is not None
    ((layer, attributes, kind),) = read(str(tmp_path / "P1.zip"))
    ((same, theirs, _),) = read(str(patients / "P1"))
    assert kind == "image"
    np.testing.assert_array_equal(layer, same)
    assert np.allclose(layer_world(attributes), layer_world(theirs))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("x")
    zipped(tmp_path / "texts", tmp_path / "texts.zip")
    assert get_reader(str(tmp_path / "texts.zip")) is None


def test_several_patients_without_a_window_are_named(patients):
    code = "import sys; from workbench_napari.shared.reader import read; read(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(patients)], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "holds 3 images: P1_study_series, P2_study_series, P3_study_series" in done.stderr.splitlines()[-1]


@pytest.mark.gui
@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")
def test_the_window_asks_for_the_patient_and_then_for_the_series(patients, window, monkeypatch):
    from qtpy.QtWidgets import QInputDialog

    asked, answers = [], [1, 2, 1]

    def answer(parent, title, text, names, *rest):
        asked.append((text, list(names)))
        return names[answers.pop(0)], True

    viewer = window()
    monkeypatch.setattr(QInputDialog, "getItem", answer)
    (layer,) = viewer.open(str(patients), plugin="napari-workbench")
    assert layer.metadata[KEY]["source"].endswith("P2/study/series")
    cases = [c.id for c in wb.study(patients).cases]
    assert asked == [("in holds 3 images, 1 skipped:", cases)]
    assert layer.name == cases[1] == "P2_study_series"
    (layer,) = viewer.open(str(patients), plugin="napari-workbench")
    assert len(asked) == 3
    assert "series holds 2:" in asked[2][0]
    assert 6 in layer.data.shape
    assert layer.name == cases[2]
    monkeypatch.setattr(QInputDialog, "getItem", lambda *a: ("", False))
    assert not viewer.open(str(patients), plugin="napari-workbench")


def test_reader_needs_neither_torch_nor_monai(ct_file):
    code = (
        "import sys; from workbench_napari.shared.reader import get_reader; get_reader(sys.argv[1])(sys.argv[1]); "
        "heavy = {'torch', 'monai', 'napari', 'qtpy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, str(ct_file)], check=True, timeout=60)
