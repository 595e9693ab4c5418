"""From planes to a grid: thickness of a single slice, order, shear; irregular stacks are refused with their places."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from workbench.core.errors import GeometryError
from workbench.volume.data.dicom_stack import Plane, stack_planes

ONE = Plane(
    Path("a.dcm"), None, 4, 6, (1.0, 0, 0, 0, 1.0, 0), (10.0, 20.0, 30.0), (0.8, 0.5), 1.0, 0.0, 12, False, 16,
    thickness=(5.0,),
)  # fmt: skip


def stack(heights, **changes):
    planes = [
        replace(ONE, path=Path(f"{i}.dcm"), position=(10.0, 20.0, z), **changes) for i, z in enumerate(heights)
    ]  # fmt: skip
    return stack_planes(planes, Path("series"))


def test_a_single_slice_is_as_thick_as_it_says() -> None:
    """Its class volumes in millilitres depend on nothing else."""
    found = stack_planes([ONE], Path("a.dcm"))
    np.testing.assert_allclose(found.affine[:3, :3], np.diag([-0.5, -0.8, 5.0]))
    assert abs(np.linalg.det(found.affine)) == pytest.approx(0.5 * 0.8 * 5.0)
    assert not found.sheared


@pytest.mark.parametrize("missing", ["position", "orientation", "spacing", "thickness"])
def test_a_single_picture_without_a_place_has_no_made_up_one(missing) -> None:
    assert stack_planes([replace(ONE, **{missing: None})], Path("a.dcm")).affine is None


def test_slices_are_sorted_and_their_step_is_that_of_positions_not_of_thickness() -> None:
    found = stack([36.0, 30.0, 33.0])
    assert [p.path.name for p in found.planes] == ["1.dcm", "2.dcm", "0.dcm"]
    np.testing.assert_allclose(found.affine, [[-0.5, 0, 0, -10], [0, -0.8, 0, -20], [0, 0, 3.0, 30], [0, 0, 0, 1]])


def test_a_tilted_gantry_stays_in_the_affine() -> None:
    planes = [replace(ONE, path=Path(f"{i}.dcm"), position=(10.0, 20.0 + i, 30.0 + 3 * i)) for i in range(4)]
    found = stack_planes(planes, Path("series"))
    assert found.sheared
    np.testing.assert_allclose(found.affine[:3, 2], (0, -1.0, 3.0))
    assert abs(np.linalg.det(found.affine)) == pytest.approx(0.5 * 0.8 * 3.0)


@pytest.mark.parametrize(
    ("heights", "words"),
    [
        ([0, 1, 2, 4, 5], r"about 1 slice\(s\) missing between 2 to 4 mm"),
        ([0, 1, 1, 2], r"1 slice position\(s\) occur twice, first 1 mm \(1\.dcm and 2\.dcm\)"),
        ([0, 1, 2, 3.4, 4], "uneven slice spacing, 0.6 mm"),
    ],
)
def test_what_is_no_regular_stack_is_refused_with_its_place(heights, words) -> None:
    with pytest.raises(GeometryError, match=words):
        stack([float(h) for h in heights])


def test_positions_rounded_to_few_decimals_are_regular() -> None:
    heights = [math.floor(6.25 * i + 0.5) / 10 for i in range(20)]
    assert stack(heights).affine[2, 2] == pytest.approx(0.625, abs=0.01)
