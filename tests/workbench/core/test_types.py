"""Geometry, classes and names: what is taken as the same, and what never is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError
from workbench.core.types import (
    Geometry,
    Image,
    Provenance,
    Result,
    Scores,
    Signals,
    case_name,
    plain_name,
    sampling_rate_of,
    time_base,
)


def _affine(*spacing, offset=0.0):
    affine = np.diag([*spacing, 1.0])
    affine[:-1, -1] = offset
    return affine


def test_grids_match_within_a_thousandth_of_the_smallest_voxel_side() -> None:
    """Thick slices must not excuse what lies beside the pixel."""
    grid = Geometry((10, 10, 10), _affine(0.5, 0.5, 10.0))
    assert grid.matches(Geometry((10, 10, 10), _affine(0.5, 0.5, 10.0, offset=0.0004)))
    assert not grid.matches(Geometry((10, 10, 10), _affine(0.5, 0.5, 10.0, offset=0.004)))
    assert grid.matches(Geometry((10, 10, 10), _affine(0.5, 0.5, 10.0, offset=0.004)), tolerance=0.01)


def test_grids_that_part_at_their_far_corner_do_not_match() -> None:
    one, other = Geometry((100, 100, 100), _affine(1, 1, 1)), Geometry((100, 100, 100), _affine(1, 1, 1.0001))
    assert not one.matches(other)
    assert Geometry((2, 2, 2), one.affine).matches(Geometry((2, 2, 2), other.affine))


def test_size_and_presence_of_a_position_count() -> None:
    grid = Geometry((4, 4, 4), _affine(1, 1, 1))
    assert not grid.matches(Geometry((4, 4, 5), _affine(1, 1, 1)))
    assert not grid.matches(Geometry((4, 4, 4), None))
    assert not Geometry((4, 4, 4), None).matches(grid)
    assert Geometry((4, 4, 4), None).matches(Geometry((4, 4, 4), None))


def test_the_volume_of_a_voxel_is_that_of_a_sheared_one() -> None:
    sheared = _affine(2.0, 3.0, 4.0)
    sheared[0, 2] = 3.0
    grid = Geometry((4, 4, 4), sheared)
    assert grid.spacing == (2.0, 3.0, 5.0)
    assert grid.sample_volume == pytest.approx(24.0)
    assert Geometry((4, 4, 4), np.diag([-2.0, 3.0, 4.0, 1.0])).sample_volume == pytest.approx(24.0)
    assert Geometry((4, 4, 4), None).spacing is None
    assert Geometry((4, 4, 4), None).sample_volume is None


@pytest.mark.parametrize("values", [(1, 1), (0,), (-1,)])
def test_class_values_are_unique_and_positive(values) -> None:
    with pytest.raises(ValueError, match="unique and positive"):
        ClassTable(tuple(ClassInfo(v, "x", (0, 0, 0)) for v in values))


def test_classes_survive_json_and_keep_their_colours() -> None:
    table = ClassTable.from_values([1, 5, 21])
    assert ClassTable.from_json(table.to_json()) == table
    assert table.names == ("class 1", "class 5", "class 21")
    assert table.classes[0].color == table.classes[2].color  # twenty colours, then again
    assert ClassTable.from_names(["a"]).classes[0].color == table.classes[0].color


def test_pixels_are_loaded_once_and_must_be_what_the_header_promised() -> None:
    calls = []

    def load():
        calls.append(1)
        return np.zeros((1, 2, 3), np.uint8)

    image = Image(Geometry((2, 3), axes=("row", "column")), np.dtype("u1"), ("a",), load, source=Path("x.hdr"))
    assert image.data is image.data
    assert calls == [1]
    with pytest.raises(InputError, match=r"x\.hdr: pixels have shape \(1, 2, 3\), the header promised \(2, 2, 3\)"):
        _ = replace(image, channels=("a", "b")).data


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("scan.nii.gz", "scan"), ("SCAN.NII.GZ", "SCAN"), ("a.b.nii", "a.b"), ("tumour.seg.nrrd", "tumour"),
        ("slide.ome.tiff", "slide"), ("slide.ome.tif", "slide"), ("rest_raw.fif.gz", "rest_raw"), ("rest.ds", "rest"),
        ("folder/scene.hdr", "scene"), ("plain", "plain"), (".hidden", ".hidden"),
    ],
)  # fmt: skip
def test_the_name_of_a_case_is_without_its_suffixes(path, name) -> None:
    assert case_name(Path(path)) == name


def test_the_name_of_a_folder_is_whole(tmp_path) -> None:
    (tmp_path / "v1.2").mkdir()
    assert case_name(tmp_path / "v1.2") == "v1.2"


@pytest.mark.parametrize(
    ("text", "name"),
    [("a/b:c", "a_b_c"), (" x. ", "x"), ("", "case"), ("..", "case"), ("a\nb", "a_b"), ("Größe", "Größe")],
)
def test_any_text_becomes_one_file_name(text, name) -> None:
    assert plain_name(text) == name


def test_the_clock_of_signals() -> None:
    base = time_base(5, 250.0, 1.5)
    assert sampling_rate_of(base) == pytest.approx(250.0)
    signals = Signals(np.zeros((2, 5)), ("a", "b"), base, "x")
    assert (signals.sampling_rate, signals.start) == (pytest.approx(250.0), 1.5)
    with pytest.raises(ValueError, match=r"have shape \(2, 5\), expected \(3, 5\)"):
        Signals(np.zeros((2, 5)), ("a", "b", "c"), base, "x")
    with pytest.raises(ValueError, match="no sampling rate"):
        sampling_rate_of(Geometry((5,), None))


def test_a_result_without_a_map_says_what_it_has() -> None:
    image = Image(Geometry((2, 2)), np.dtype("u1"), ("a",), lambda: np.zeros((1, 2, 2), "u1"))
    result = Result({"areas": Scores((), ())}, image, Provenance("b", "w", None, {}))
    assert result["areas"].columns == ()
    with pytest.raises(KeyError, match="its parts are \\['areas'\\]"):
        _ = result.labels
