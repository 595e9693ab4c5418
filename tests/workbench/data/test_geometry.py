"""Words and checks for geometry, against nibabel."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workbench.core.errors import GeometryError
from workbench.core.types import Geometry
from workbench.data import geometry


@given(st.lists(st.floats(-3, 3), min_size=9, max_size=9))
def test_orientation_agrees_with_nibabel(numbers):
    m = np.array(numbers).reshape(3, 3)
    assume(np.linalg.norm(m, axis=0).min() > 0.1)
    unit = m / np.linalg.norm(m, axis=0)
    assume(abs(np.linalg.det(unit)) > 0.3)
    affine = np.eye(4)
    affine[:3, :3] = m
    u, _, vt = np.linalg.svd(unit)
    r = np.sort(np.abs(u @ vt), axis=0)
    assume((r[2] - r[1]).min() > 0.05)  # two directions equally near: either name is right
    assume(len(set(np.abs(u @ vt).argmax(axis=0))) == 3)
    assert geometry.orientation(affine) == "".join(nib.aff2axcodes(affine))


def test_every_permutation_and_flip():
    for codes in ("RAS", "LPS", "LAS", "SRP", "AIL", "IPR"):
        affine = np.eye(4)
        affine[:3, :3] = 0
        for axis, (world, sign) in enumerate(nib.orientations.axcodes2ornt(codes)):
            affine[int(world), axis] = 2 * sign
        assert geometry.orientation(affine) == codes
    assert geometry.orientation(None) is None


def test_checked_affine_names_the_field():
    for affine, message in (
        (np.diag([1.0, 0, 1, 1]), "zero spacing along axis j"),
        (np.diag([np.nan, 1, 1, 1]), "NaN"),
        (np.array([[1, 2, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "singular"),
        (np.eye(3), r"shape \(3, 3\)"),
    ):
        with pytest.raises(GeometryError, match=f"^scan.nii: my field .*{message}"):
            geometry.checked_affine(affine, "scan.nii", "my field")
    tiny = np.diag([1e-3, 1e-3, 1e-3, 1])  # micrometres are not singular
    np.testing.assert_array_equal(geometry.checked_affine(tiny, "a", "b"), tiny)


def test_descriptions_and_places():
    g = Geometry((4, 5, 6), np.array([[-2.0, 0, 0, 10], [0, 1, 0, -3], [0, 0, 0.5, 7], [0, 0, 0, 1]]))
    assert geometry.describe(g) == "4 x 5 x 6, 2 x 1 x 0.5 mm, LAS"
    assert geometry.world(g.affine, [(0, 0, 0), (3, 4, 5)]).tolist() == [[10, -3, 7], [4, 1, 9.5]]
    assert geometry.describe(Geometry((4, 5, 6))) == "4 x 5 x 6, no spacing"
