"""Label maps stored otherwise on the lattice of their image are brought onto it voxel for voxel, nothing else is."""

from itertools import permutations, product
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

import workbench as wb
from tests.workbench.volume.geometry_table import (
    EVERY,
    GRIDS,
    LIBRARIES,
    MAP,
    SHAPE,
    TURNED,
    affine,
    row,
    stored_otherwise,
)  # fmt: skip
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError
from workbench.core.types import Geometry, Labels
from workbench.data import formats
from workbench.volume.data import lattice

TURNS = list(product(permutations(range(3)), product((1, -1), repeat=3)))


def write(path, data, at):
    nib.save(nib.Nifti1Image(data, at), path)
    return path


@pytest.mark.parametrize("grid", [g for g in GRIDS if g != "tilted"])
def test_every_way_to_store_a_map_gives_the_same_map(tmp_path, grid):
    """All 48 orientations, written by nibabel, read onto the image's own grid."""
    plain = nib.Nifti1Image(MAP, GRIDS[grid])
    reference = wb.read(write(tmp_path / "image.nii.gz", MAP, GRIDS[grid])).geometry
    for number, (order, signs) in enumerate(TURNS):
        path = tmp_path / f"{number}_labels.nii.gz"
        nib.save(stored_otherwise(plain, order, signs), path)
        found = formats.read_labels(path, reference=reference)
        assert np.array_equal(found.data, MAP), (order, signs)
        assert found.geometry.matches(reference)
        assert bool(found.notes) == (found.notes != ())
        assert ("turned" in "".join(found.notes)) == (number != 0)


def test_there_are_twenty_geometries():
    assert len(EVERY) == 20


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", EVERY)
def test_labels_meet_their_image_in_world_space(tmp_path, name, library):
    """Each labelled voxel lies where NiBabel (of NIfTI) and SimpleITK (of NRRD) say that it lies in the image."""
    said, is_right = row(name, library, tmp_path)
    assert is_right, said


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_table_would_notice_a_flip_that_is_not_done(tmp_path, monkeypatch, library):
    monkeypatch.setattr(lattice, "np", SimpleNamespace(**{**vars(np), "flip": lambda array, axis: array}))
    wrong = {name for name in EVERY if not row(name, library, tmp_path)[1]}
    assert wrong == {name for name, (_, _, signs, _) in EVERY.items() if -1 in signs}


@pytest.mark.parametrize(("low", "high"), [((0, 0, 2), (9, 7, 4)), ((3, 1, 0), (8, 6, 5))])
def test_a_cropped_map_is_filled_with_nothing(tmp_path, low, high):
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    at = GRIDS["oblique"].copy()
    at[:3, 3] += at[:3, :3] @ low
    path = write(tmp_path / "labels.nii.gz", MAP[box], at)
    found = formats.read_labels(path, reference=Geometry(SHAPE, GRIDS["oblique"]))
    wanted = np.zeros_like(MAP)
    wanted[box] = MAP[box]
    assert np.array_equal(found.data, wanted)
    assert "filled with 0" in found.notes[0]
    assert "outside" not in found.notes[0]


def test_a_map_that_goes_beyond_its_image_is_refused_unless_resampling_is_asked_for(tmp_path):
    padded = np.pad(MAP, 2, constant_values=0)
    padded[0, 0, 0] = padded[-1, -1, -1] = 3
    at = GRIDS["sheared"].copy()
    at[:3, 3] -= at[:3, :3] @ (2, 2, 2)
    path, reference = write(tmp_path / "labels.nii.gz", padded, at), Geometry(SHAPE, GRIDS["sheared"])
    with pytest.raises(GeometryError, match=r"labels\.nii\.gz: 2 of \d+ labelled voxels lie outside of the image"):
        formats.read_labels(path, reference=reference)
    found = formats.read_labels(path, reference=reference, resample=True)
    assert np.array_equal(found.data, MAP)
    assert "2 labelled voxel(s) lie outside of the image" in found.notes[0]


def test_a_map_beside_its_image_is_another_ones(tmp_path):
    at = GRIDS["plain"].copy()
    at[0, 3] += 100
    all_of_it = np.count_nonzero(MAP)
    with pytest.raises(GeometryError, match=f"{all_of_it} of {all_of_it} labelled voxels lie outside of the image"):
        formats.read_labels(write(tmp_path / "labels.nii.gz", MAP, at), reference=Geometry(SHAPE, GRIDS["plain"]))


OTHER = {
    "half a voxel off": lambda a: a @ np.array([[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
    "other spacing": lambda a: a @ np.diag([1.9, 1, 1, 1]),
    "another angle": lambda a: affine(TURNED) @ a,
}


@pytest.mark.parametrize("how", OTHER)
def test_another_lattice_is_refused_unless_resampling_is_asked_for(tmp_path, how):
    reference = Geometry(SHAPE, GRIDS["anisotropic"])
    path = write(tmp_path / "labels.nii.gz", MAP, OTHER[how](GRIDS["anisotropic"]))
    with pytest.raises(GeometryError, match="does not lie on the grid"):
        formats.read_labels(path, reference=reference)
    found = formats.read_labels(path, reference=reference, resample=True)
    assert found.data.shape == SHAPE
    assert "was resampled to the grid of its image" in found.notes[-1]
    source = sitk.ReadImage(str(path))
    write(tmp_path / "image.nii.gz", MAP, GRIDS["anisotropic"])
    theirs = sitk.Resample(
        source, sitk.ReadImage(str(tmp_path / "image.nii.gz")), sitk.Transform(), sitk.sitkNearestNeighbor
    )
    theirs = sitk.GetArrayFromImage(theirs).transpose(2, 1, 0)
    differing = found.data != theirs
    # Centres half-way between two voxels may go either way.
    assert how == "half a voxel off" or differing.mean() < 0.03


def test_a_header_in_float32_is_the_same_lattice():
    at = GRIDS["oblique"]
    found = lattice.steps_between(Geometry(SHAPE, at.astype(np.float32).astype(np.float64)), Geometry(SHAPE, at))
    assert np.array_equal(found, np.eye(3, 4))


def test_no_affine_is_no_lattice():
    assert lattice.steps_between(Geometry(SHAPE, None), Geometry(SHAPE, GRIDS["plain"])) is None
    labels = Labels(MAP, Geometry(SHAPE, None), ClassTable.from_values([1]))
    assert lattice.onto(labels, Geometry(SHAPE, GRIDS["plain"])) is None


@pytest.mark.parametrize("labelled", [True, False])
def test_labels_that_reach_the_end_of_a_smaller_map_are_said(tmp_path, labelled):
    part = np.zeros((9, 7, 3), np.uint8)
    part[2:5, 2:5, 0 if labelled else 1] = 2
    at = GRIDS["plain"].copy()
    at[:3, 3] += at[:3, 2]
    found = formats.read_labels(write(tmp_path / "labels.nii.gz", part, at), reference=Geometry(SHAPE, GRIDS["plain"]))
    assert ("all that lies beyond it counts as background" in found.notes[0]) is labelled
