"""MATLAB matrices that are scenes, one spectrum per pixel: told by named sides, or by a square number of pixels."""

import numpy as np
import pytest
import scipy.io

from workbench.data.mat_files import Variable, open_store
from workbench.data.mat_lists import Layout, as_list, looks_like_list, sides_of, wavelength_values


def _matrix(*shape, dtype="f8") -> Variable:
    return Variable("Y", shape, np.dtype(dtype))


@pytest.mark.parametrize(
    ("scalars", "sides"),
    [
        ({"nrow": 100.0, "ncol": 95.0}, (100, 95)), ({"m": 3.0, "n": 4.0}, (3, 4)), ({"nrow": 100.0}, None),
        ({"rows": 0.0, "cols": 5.0}, None), ({"rows": 2.5, "cols": 4.0}, None), ({}, None),
        ({"rows": float("nan"), "cols": 4.0}, None), ({"rows": float("inf"), "cols": 4.0}, None),
    ],
)  # fmt: skip
def test_named_sides(scalars, sides) -> None:
    assert sides_of(scalars) == sides


@pytest.mark.parametrize(
    ("shape", "scalars", "layout"),
    [
        ((198, 9500), {"nrow": 100.0, "ncol": 95.0}, Layout(0, (100, 95))),
        ((9500, 198), {"nrow": 100.0, "ncol": 95.0}, Layout(1, (100, 95))),
        ((198, 9501), {"nrow": 100.0, "ncol": 95.0}, None),
        ((198, 10000), {}, Layout(0, (100, 100))),
        ((10000, 198), {}, Layout(1, (100, 100))),
        ((198, 9999), {}, None),
        ((20, 144), {}, None),  # 7.2 pixels per band
        ((18, 144), {}, Layout(0, (12, 12))),  # 8 are enough
    ],
)
def test_bands_and_pixels(shape, scalars, layout) -> None:
    assert as_list(_matrix(*shape), scalars) == layout


def test_a_square_map_of_bytes_is_no_list_of_spectra() -> None:
    assert as_list(_matrix(10000, 3, dtype="u1"), {}) is None
    assert as_list(_matrix(10000, 3, dtype="u1"), {"nrow": 100.0, "ncol": 100.0}) == Layout(1, (100, 100))


@pytest.mark.parametrize(
    ("layout", "stored", "shape"),
    [
        (Layout(2), (3, 4, 5), (5, 3, 4)), (Layout(0), (5, 3, 4), (5, 3, 4)), (Layout(1), (3, 5, 4), (5, 3, 4)),
        (Layout(-1), (3, 4), (1, 3, 4)), (Layout(0, (2, 6)), (7, 12), (7, 2, 6)),
        (Layout(1, (2, 6)), (12, 7), (7, 2, 6)),
    ],
)  # fmt: skip
def test_the_shape_of_a_layout(layout, stored, shape) -> None:
    assert layout.shape(stored) == shape


@pytest.mark.parametrize("form", ["5", "7.3"])
def test_wavelengths_by_their_name_if_they_can_be_some(tmp_path, form) -> None:
    arrays = {"other": np.arange(5.0), "Wavelengths": np.array([[400.0, 500.0, 600.0]])}
    path = tmp_path / "a.mat"
    if form == "5":
        scipy.io.savemat(path, arrays)
    else:
        import h5py

        with h5py.File(path, "w", userblock_size=512) as f:
            for name, values in arrays.items():
                f[name] = np.atleast_2d(values).T
    store = open_store(path)
    assert store.version == form
    assert wavelength_values(store, store.variables) == [400.0, 500.0, 600.0]


@pytest.mark.parametrize("values", [[400.0, np.nan], [400.0, 0.0], [-1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]], [500.0]])
def test_values_that_are_no_wavelengths_are_passed_over(tmp_path, values) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"lambda": np.array(values)})
    store = open_store(tmp_path / "a.mat")
    assert wavelength_values(store, store.variables) is None


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"Y": np.ones((5, 60)), "nRow": 6, "nCol": 10}, True),
        ({"Y": np.ones((5, 60)), "nRow": 6, "nCol": 11}, True),  # sides are named: a scene, if a damaged one
        ({"Y": np.ones((5, 60))}, False),
        ({"Y": np.ones((5, 64))}, True),
        ({"Y": np.ones((5, 60)), "wl": np.arange(1.0, 6)}, True),
        ({"parcels": np.ones((52, 5000))}, False),
    ],
)
def test_a_scene_in_a_matrix_or_another_thing(tmp_path, arrays, said) -> None:
    scipy.io.savemat(tmp_path / "a.mat", arrays)
    assert looks_like_list(tmp_path / "a.mat") == said
