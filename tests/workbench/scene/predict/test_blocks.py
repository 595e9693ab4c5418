"""Rectangles and patches with a continuation beyond the border."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.scene.data.scene import from_array
from workbench.scene.predict.blocks import Scene


@pytest.mark.parametrize("border", ["reflect", "zero"])
@pytest.mark.parametrize("shape", [(20, 30), (4, 30), (1, 6)])
def test_any_rectangle_is_a_cut_of_the_padded_scene(border: str, shape: tuple[int, int]) -> None:
    data = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    scene = Scene(from_array(data), border=border)
    margin = 7
    pads = [(0, 0), (margin, margin), (margin, margin)]
    whole = np.pad(data, pads, mode="reflect") if border == "reflect" else np.pad(data, pads)
    assert scene.shape == shape
    for top in range(0, shape[0], 3):
        for left in range(0, shape[1], 5):
            rows, columns = slice(top, min(top + 3, shape[0])), slice(left, min(left + 5, shape[1]))
            found = scene.read(rows, columns, margin)
            expected = whole[:, rows.start : rows.stop + 2 * margin, columns.start : columns.stop + 2 * margin]
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == np.float32


@pytest.mark.parametrize("spread", [1, 40])
def test_patches_around_single_pixels(spread: int) -> None:
    data = np.arange(2 * 50 * 60, dtype=np.float64).reshape(2, 50, 60)
    scene = Scene(from_array(data), prepare=lambda block: block[:1] + 1)
    rows, columns = np.array([3, 3 + spread, 3]), np.array([4, 4 + spread, 4 + spread])
    patches = scene.patches(rows, columns, 5)
    assert patches.shape == (3, 1, 5, 5)
    for patch, row, column in zip(patches, rows, columns, strict=True):
        np.testing.assert_array_equal(patch[0], data[0, row - 2 : row + 3, column - 2 : column + 3] + 1)
