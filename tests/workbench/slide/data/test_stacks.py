"""Many pictures in one NumPy file, as PanNuke and CoNIC give them; and what belongs to none."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import workbench as wb
from workbench.core.errors import InputError
from workbench.data.cases import load_cases, load_study, open_case
from workbench.slide.data.nuclei_labels import read_reference

COUNT, SIDE = 3, 48


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (COUNT, SIDE, SIDE, 3)).astype(np.uint8)


@pytest.fixture
def numbers():
    found = np.zeros((COUNT, SIDE, SIDE), np.int64)
    for i in range(COUNT):
        found[i, 4 : 10 + i, 5:12], found[i, 20:30, 22:33] = 1, 2
    return found


@pytest.fixture
def pannuke(pictures, numbers, tmp_path):
    """A fold as it is unpacked: float64 throughout, a channel for each class and one for none."""
    images, masks = tmp_path / "Fold 1" / "images" / "fold1", tmp_path / "Fold 1" / "masks" / "fold1"
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    np.save(images / "images.npy", pictures.astype(np.float64))
    np.save(images / "types.npy", np.array(["Breast", "Colon", "Kidney"]))
    channels = np.zeros((COUNT, SIDE, SIDE, 6))
    channels[..., 0], channels[..., 2] = numbers == 1, 7 * (numbers == 2)
    channels[..., 5] = numbers == 0
    np.save(masks / "masks.npy", channels)
    return tmp_path / "Fold 1"


@pytest.fixture
def conic(pictures, numbers, tmp_path):
    np.save(tmp_path / "images.npy", pictures)
    np.save(tmp_path / "labels.npy", np.stack([numbers, 3 * (numbers > 0)], -1).astype(np.uint16))
    with (tmp_path / "patch_info.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["patch_info"], ["consep_1-0000"], ["consep_1-0001"], ["glas-2-0000"]])
    (tmp_path / "counts.csv").write_text("neutrophil,epithelial\n1,2\n", encoding="utf-8")
    return tmp_path


def test_a_fold_of_pannuke(pannuke, pictures, numbers):
    study = load_study(pannuke, kind="slide")
    assert not study.faults
    assert not study.skipped
    assert [c.id for c in study.cases] == [f"fold1_images_{i:04d}" for i in range(COUNT)]
    assert [c.options["tissue"] for c in study.cases] == ["Breast", "Colon", "Kidney"]
    for i, case in enumerate(study.cases):
        image = open_case(case)
        assert image.kind == "slide"
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image.pyramid.read(0, 3, 4, 20, 30), pictures[i, 3:23, 4:34])
        found = read_reference(case.labels, (SIDE, SIDE))
        np.testing.assert_array_equal(found.labels > 0, numbers[i] > 0)
        assert set(np.unique(found.types)) == {0, 1, 3}
        assert len(found) == 2


def test_conic_says_what_was_cut_out_of_what(conic, pictures, numbers):
    study = load_study(conic, kind="slide")
    assert not study.faults
    assert [c.group for c in study.cases] == ["consep_1", "consep_1", "glas-2"]
    found = read_reference(study.cases[2].labels, (SIDE, SIDE))
    np.testing.assert_array_equal(found.labels, numbers[2])
    assert set(np.unique(found.types)) == {0, 3}


def test_a_file_by_itself_and_with_labels_of_another_name(conic, tmp_path):
    (tmp_path / "images.npy").rename(tmp_path / "all.npy")
    (tmp_path / "labels.npy").rename(tmp_path / "right.npy")
    assert [c.labels for c in load_cases(tmp_path / "all.npy")] == [None] * COUNT
    cases = load_cases(tmp_path / "all.npy", tmp_path / "right.npy")
    assert [str(c.labels).rpartition(":")[2] for c in cases] == ["0", "1", "2"]
    np.save(tmp_path / "fewer.npy", np.load(tmp_path / "right.npy")[:2])
    with pytest.raises(InputError, match="all.npy holds 3 pictures"):
        load_cases(tmp_path / "all.npy", tmp_path / "fewer.npy")


def test_one_picture_is_named(conic, pictures, numbers):
    image = wb.read(f"{conic / 'images.npy'}:1")
    np.testing.assert_array_equal(image.pyramid.read(0, 0, 0, SIDE, SIDE), pictures[1])
    for wrong in ("", ":3", ":-1", ":x"):
        with pytest.raises(InputError, match="holds 3 pictures.*images.npy:0 to images.npy:2"):
            wb.read(f"{conic / 'images.npy'}{wrong}")
    with pytest.raises(InputError, match="holds 3 pictures"):
        read_reference(conic / "labels.npy", (SIDE, SIDE))
    (row,) = wb.info(conic / "images.npy")
    assert row["n_series"] == COUNT
    assert row["kind"] == "slide"


def test_what_is_no_colour_is_refused(tmp_path):
    for values in (
        np.random.default_rng(0).random((2, 8, 8, 3)),
        np.full((2, 8, 8, 3), 300.0),
        np.full((2, 8, 8, 3), -1.0),
    ):
        np.save(tmp_path / "images.npy", values)
        image = wb.read(f"{tmp_path / 'images.npy'}:0")
        with pytest.raises(InputError, match="whole numbers from 0 to 255"):
            image.pyramid.read(0, 0, 0, 8, 8)


def test_other_arrays_are_no_pictures(tmp_path):
    """Nothing that a scene or a recording was before is a slide now."""
    np.save(tmp_path / "cube.npy", np.zeros((5, 6, 7)))
    np.save(tmp_path / "channels.npy", np.zeros((2, 5, 6, 7)))
    assert wb.info(tmp_path / "cube.npy", kind="scene")[0]["kind"] == "scene"
    for name in ("cube.npy", "channels.npy"):
        from workbench.core import kinds

        assert "slide" not in kinds.candidates(tmp_path / name)


def test_what_else_lies_in_the_folder_is_not_lost(conic, pictures):
    from PIL import Image as Pillow

    Pillow.fromarray(pictures[0]).save(conic / "other.png")
    study = load_study(conic, kind="slide")
    assert [c.id for c in study.cases] == [*(f"images_{i:04d}" for i in range(COUNT)), "other"]
    assert not study.faults


def test_rows_of_another_file_are_refused(conic):
    (conic / "patch_info.csv").write_text("patch_info\nconsep_1-0000\n", encoding="utf-8")
    with pytest.raises(InputError, match="1 rows for 3 pictures"):
        load_study(conic, kind="slide")


def test_pickled_tissues_are_left_alone(pannuke):
    path = pannuke / "images" / "fold1" / "types.npy"
    np.save(path, np.array(["Breast", 1, None], object), allow_pickle=True)
    assert [c.options for c in load_study(pannuke, kind="slide").cases] == [{}] * COUNT
