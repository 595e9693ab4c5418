"""What layers of every kind share: label maps told from images, contrast, colours, counts."""

import json

import numpy as np
import pytest

from workbench.core.classes import ClassTable
from workbench.core.layers import CT_WINDOW, colormap, contrast_limits, count_labels, is_label_map, map_labels, token
from workbench.core.types import Geometry, Image


def image(name="scan.nii.gz", dtype="u1", channels=1, classes=None) -> Image:
    from pathlib import Path

    names = tuple(f"c{i}" for i in range(channels))
    return Image(
        Geometry((2, 2, 2)), np.dtype(dtype), names, lambda: np.zeros((channels, 2, 2, 2), dtype),
        source=Path(name), classes=classes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("scan_labels.nii.gz", True), ("labels.nii.gz", True), ("scan-seg.nii.gz", True), ("a.mask.nii.gz", True),
        ("SCAN_SEG.nii.gz", True), ("organs.nii.gz", True), ("sub-01_dseg.nii.gz", True), ("masked.nii.gz", False),
        ("segway.nii.gz", False), ("unlabelled.nii.gz", False), ("scan.nii.gz", False),
    ],
)  # fmt: skip
def test_a_label_map_by_its_name(name, said) -> None:
    assert is_label_map(image(name), None) == said


def test_a_name_alone_makes_no_label_map() -> None:
    assert not is_label_map(image("scan_labels.nii.gz", "f4"), None)  # fractions are possible
    assert not is_label_map(image("scan_labels.nii.gz", channels=2), None)
    assert is_label_map(image("scan.nii.gz", classes=ClassTable()), None)
    assert not is_label_map(image("scan.nii.gz", channels=2, classes=ClassTable()), None)
    assert is_label_map(image("scan.nii.gz", "f4", channels=2), True)
    assert not is_label_map(image("scan_labels.nii.gz"), False)


@pytest.mark.parametrize(
    ("low", "high", "more", "window"),
    [
        (-1000, 1500, {}, True), (-1024, 40, {}, True), (-1000, 39, {}, False), (-899, 1500, {}, False),
        (-1000, 32000, {}, False), (-9001, 1500, {}, False),  # the padding of some scanners is no air
        (0, 255, {"modality": "CT"}, True), (0, 255, {"value_unit": "HU"}, True), (0, 255, {"modality": "MR"}, False),
    ],
)  # fmt: skip
def test_the_soft_tissue_window_is_for_hounsfield_units(low, high, more, window) -> None:
    data = np.linspace(low, high, 1000).reshape(10, 10, 10)
    limits, full = contrast_limits(data, **more)
    assert (limits == CT_WINDOW) == window
    assert full[0] <= min(low, limits[0])
    assert full[1] >= max(high, limits[1])


def test_outliers_do_not_darken_a_picture() -> None:
    data = np.ones((10, 100))
    data[0, :50] = 0
    data[5, 5] = 1e6
    limits, full = contrast_limits(data)
    assert limits == (0.0, 1.0)
    assert full == (0.0, 1e6)


@pytest.mark.parametrize("data", [np.full((3, 3), 7.0), np.full((3, 3), np.nan), np.zeros((0, 3))])
def test_limits_of_nothing_or_of_one_value_still_differ(data) -> None:
    (low, high), full = contrast_limits(data)
    assert low < high
    assert full[0] <= low < high <= full[1]
    assert np.isfinite([low, high]).all()


@pytest.mark.parametrize("values", [[0, 1, 5], [0, 70000, 3], [-5, 0, 2], [65535, 65536, 0]])
def test_labels_are_counted_over_slabs(values) -> None:
    rng = np.random.default_rng(0)
    data = rng.choice(np.array(values), (7, 1500, 1500))  # more than one slab
    found = count_labels(data)
    assert found == {v: int((data == v).sum()) for v in values}
    assert count_labels(data[::-1, :, ::-1]) == found
    assert count_labels(np.zeros((0, 3), np.uint8)) == {}


def test_colours_hide_the_background_alone() -> None:
    table = ClassTable.from_names(["a", "b"])
    colors = colormap(table)
    assert colors[0][3] == 0
    assert all(colors[k][3] == 1 for k in (None, 1, 2))
    assert colors[1][:3] == tuple(v / 255 for v in table.classes[0].color)


def test_tokens_differ_even_for_one_object() -> None:
    item = object()
    assert len({token(item) for _ in range(50)}) == 50
    json.dumps(token(item))


@pytest.mark.parametrize("low", [0, -3, 70_000])
def test_values_are_changed_slab_by_slab_as_at_once(low):
    """Of every size: small numbers go through a table, others are sorted; the memory is that of a slab."""
    rng = np.random.default_rng(0)
    data = np.asfortranarray(rng.integers(low, low + 9, (9, 800, 900)))
    values = {low + 1: 3, low + 4: 200, 5_000_000: 7}
    found = map_labels(data, values, np.uint8)
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.vectorize(lambda v: values.get(v, 0))(data))
