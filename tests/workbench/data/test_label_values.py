"""Label values: the smallest type that holds them, never a value changed."""

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.data.label_values import smallest_unsigned, whole_numbers


@pytest.mark.parametrize(
    ("highest", "dtype"),
    [(0, "u1"), (255, "u1"), (256, "u2"), (65535, "u2"), (65536, "u4"), (2**32 - 1, "u4")],
)
@pytest.mark.parametrize("stored", ["f8", "i8"])
def test_the_smallest_type_that_holds_every_value(highest, dtype, stored) -> None:
    data = np.array([[0, 3], [highest, 1]], stored)
    found = smallest_unsigned(data, "map") if stored == "i8" else whole_numbers(data, "map.nii")
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, data)


def test_integers_are_taken_as_they_are() -> None:
    data = np.array([0, 70000], np.int64)
    assert whole_numbers(data, "map.nii") is data
    small = np.array([1, 2], np.uint8)
    assert smallest_unsigned(small, "map") is small
    for convert in (whole_numbers, smallest_unsigned):
        np.testing.assert_array_equal(convert(np.array([True, False]), "map"), [1, 0])
        assert convert(np.array([True, False]), "map").dtype == np.uint8
        assert convert(np.zeros((0, 3), np.int16), "map").size == 0
    assert whole_numbers(np.zeros((0, 3), np.float32), "map").size == 0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([0.0, 0.5], "fractions or NaN"),
        ([0.0, np.nan], "fractions or NaN"),
        ([0.0, -1.0], "from -1 to 0"),
        ([0.0, 2.0**32], r"to 4\.29497e\+09"),
        ([0.0, np.inf], "to inf"),
        ([0, -1], "negative value -1"),
    ],
)
def test_what_is_no_label_map_is_refused_by_name(data, words) -> None:
    with pytest.raises(InputError, match=rf"map\.nii: holds .*{words}"):
        whole_numbers(np.array(data), "map.nii")


@pytest.mark.parametrize("data", [[0.0, 1.0], [0, -1], [0, 2**32], [0j, 1j]])
def test_what_cannot_be_written_is_refused_by_name(data) -> None:
    with pytest.raises(InputError, match=r"label map 'mine' .* Nothing was written"):
        smallest_unsigned(np.array(data), "mine")


def test_negative_values_can_be_looked_at() -> None:
    np.testing.assert_array_equal(whole_numbers(np.array([-1.0, 7.0]), "a", negative=True), [-1, 7])
    data = np.array([-1, 7], np.int16)
    assert whole_numbers(data, "a", negative=True) is data
    ends = np.array([-(2.0**31), 2.0**31 - 1])
    np.testing.assert_array_equal(whole_numbers(ends, "a", negative=True), ends)


@pytest.mark.parametrize("data", [[-np.inf, 1.0], [-1.0, np.inf], [-1.0, 2.0**31], [-(2.0**31) - 1, 0.0]])
def test_what_no_integer_holds_is_refused_even_to_look_at(data) -> None:
    with pytest.raises(InputError, match=r"a: holds values from"):
        whole_numbers(np.array(data), "a", negative=True)
