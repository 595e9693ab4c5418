"""Working grids: exact turning, edge-aligned resampling, exact affines, and the way back."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.errors import GeometryError, UsageError
from workbench.core.types import Geometry
from workbench.volume.data.grid import Grid, axis_matrix, bands, resize, world_axes

ORIENTATIONS = [
    "".join(codes)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for codes in itertools.product(*order)
]  # fmt: skip


def oblique_affine(seed: int, spacing: tuple[float, ...] = (0.7, 1.2, 3.0)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = rotation * spacing
    affine[:3, 3] = rng.normal(size=3) * 100
    return affine


def world_of(affine: np.ndarray, index: np.ndarray) -> np.ndarray:
    return index @ affine[:3, :3].T + affine[:3, 3]


@given(seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_nearest_axes_are_nibabels(seed: int) -> None:
    affine = oblique_affine(seed)
    expected = nib.orientations.io_orientation(affine)
    assert [(int(w), s > 0) for w, s in expected] == world_axes(affine)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turning_is_exact_and_undone(orientation: str) -> None:
    affine = oblique_affine(len(orientation) + ORIENTATIONS.index(orientation))
    native = np.arange(2 * 4 * 5 * 6).reshape(2, 4, 5, 6)
    grid = Grid.plan(Geometry((4, 5, 6), affine), orientation)
    turned = grid.orient(native)
    assert turned.shape == (2, *grid.shape) == (2, *grid.oriented_shape)
    assert grid.affine is not None
    assert "".join(nib.aff2axcodes(grid.affine)) == orientation
    np.testing.assert_array_equal(grid.unorient(turned), native)
    np.testing.assert_array_equal(grid.unorient(turned[0]), native[0])
    # Every voxel keeps its place in the world.
    for index in np.ndindex(*grid.shape):
        value = turned[0][index]
        home = np.argwhere(native[0] == value)[0]
        np.testing.assert_allclose(world_of(grid.affine, np.array(index)), world_of(affine, home), atol=1e-9)


def test_nibabel_turns_the_same_way() -> None:
    affine = oblique_affine(5)
    data = np.random.default_rng(0).normal(size=(5, 6, 7))
    expected = nib.as_closest_canonical(nib.Nifti1Image(data, affine))
    grid = Grid.plan(Geometry((5, 6, 7), affine), "RAS")
    np.testing.assert_array_equal(grid.orient(data), expected.get_fdata())
    np.testing.assert_allclose(grid.affine, expected.affine, atol=1e-6)


@pytest.mark.parametrize("spacing", [(1.5, 1.5, 1.5), (0.5, 2.0, 7.0), (0.7, 1.2, 3.0)])
def test_both_ends_of_the_field_of_view_stay(spacing: tuple[float, float, float]) -> None:
    affine = oblique_affine(2)
    grid = Grid.plan(Geometry((40, 30, 20), affine), "LPS", spacing)
    unresampled = Grid.plan(Geometry((40, 30, 20), affine), "LPS")
    for corner in itertools.product((0, 1), repeat=3):
        a = np.where(corner, np.array(grid.shape) - 0.5, -0.5)
        b = np.where(corner, np.array(unresampled.shape) - 0.5, -0.5)
        np.testing.assert_allclose(world_of(grid.affine, a), world_of(unresampled.affine, b), atol=1e-9)
    np.testing.assert_allclose(grid.spacing, spacing, rtol=0.06)


def test_a_linear_ramp_in_the_world_stays_where_it_is() -> None:
    """Resampling must not shift: intensities that are a linear function of world position keep it (inside)."""
    affine = oblique_affine(3)
    shape = (30, 26, 22)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    ramp = world_of(affine, index) @ np.array([0.3, -0.2, 0.5])
    for spacing in [(1.0, 1.0, 1.0), (2.0, 2.5, 4.0), (0.4, 0.4, 0.4)]:
        grid = Grid.plan(Geometry(shape, affine), "RAS", spacing)
        got = grid.resample(grid.orient(ramp[None]))[0]
        assert got.dtype == np.float32
        new = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
        expected = world_of(grid.affine, new) @ np.array([0.3, -0.2, 0.5])
        margin = tuple(slice(5, -5) if n > 12 else slice(2, -2) for n in grid.shape)
        np.testing.assert_allclose(got[margin], expected[margin], atol=2e-4)


def test_upsampling_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 7)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(x)[None], size=(13, 24, 7), mode="trilinear")
    np.testing.assert_allclose(resize(x, (13, 24, 7)), expected[0].numpy(), atol=1e-5)


def test_downsampling_averages() -> None:
    x = np.zeros((1, 40, 8, 8), np.float32)
    x[:, ::2] = 1.0
    small = resize(x, (10, 8, 8))
    np.testing.assert_allclose(small[:, 1:-1], 0.5, atol=0.05)  # plain interpolation would alias


@given(n=st.integers(1, 60), m=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_matrix_keeps_constants_and_bands_lose_nothing(n: int, m: int) -> None:
    matrix = axis_matrix(n, m)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-5)
    rebuilt = np.zeros_like(matrix)
    for rows, columns in bands(matrix, 7):
        rebuilt[rows, columns] = matrix[rows, columns]
    np.testing.assert_array_equal(rebuilt, matrix)
    np.testing.assert_allclose(axis_matrix(n, n), np.eye(n), atol=1e-6)


def test_labels_keep_their_type_and_values() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.integers(0, 4, (1, 20, 16, 12)) * 50).astype(np.uint8)
    grid = Grid.plan(Geometry((20, 16, 12), oblique_affine(1)), "RAS", (0.4, 0.4, 0.4))
    working = grid.resample(grid.orient(labels), order="nearest")
    assert working.dtype == np.uint8
    assert set(np.unique(working)) <= {0, 50, 100, 150}
    # To a finer grid and back nothing is lost.
    np.testing.assert_array_equal(grid.restore(working[0]), labels[0])


def test_without_affine() -> None:
    grid = Grid.plan(Geometry((4, 5, 6), None))
    x = np.zeros((1, 4, 5, 6))
    assert grid.orient(x).shape == (1, 4, 5, 6)
    assert grid.affine is None
    assert grid.spacing is None
    with pytest.raises(GeometryError, match="no spacing"):
        Grid.plan(Geometry((4, 5, 6), None), "RAS", (1, 1, 1))


def test_refusals() -> None:
    singular = np.diag([1.0, 1.0, 0.0, 1.0])
    flat = np.eye(4)
    flat[:3, 2] = flat[:3, 1]
    broken = np.full((4, 4), np.nan)
    for affine in (singular, flat, broken):
        with pytest.raises(GeometryError, match="singular"):
            Grid.plan(Geometry((4, 5, 6), affine))
    with pytest.raises(GeometryError, match="3 axes"):
        Grid.plan(Geometry((4, 5), np.eye(3)))
    for codes in ("RAR", "RA", "XYZ", "ras"):
        with pytest.raises(UsageError, match="orientation"):
            Grid.plan(Geometry((4, 5, 6), np.eye(4)), codes)
    with pytest.raises(UsageError, match="spacing_mm"):
        Grid.plan(Geometry((4, 5, 6), np.eye(4)), "RAS", (1, 0, 1))
    grid = Grid.plan(Geometry((4, 5, 6), np.eye(4)))
    with pytest.raises(GeometryError, match="does not lie on the grid"):
        grid.orient(np.zeros((1, 5, 4, 6)))
