"""Label maps stored otherwise on the lattice of their image are brought onto it voxel for voxel, nothing else is."""

from itertools import permutations, product

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

import workbench as wb
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError
from workbench.core.types import Geometry, Labels
from workbench.data import formats
from workbench.volume.data import lattice

SHAPE = (9, 7, 5)
RNG = np.random.default_rng(3)
MAP = RNG.integers(0, 4, SHAPE).astype(np.uint8)
ANGLE = np.deg2rad(17)
TURNED = np.array([[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0], [0, 0, 1.0]])


def affine(matrix):
    return np.block(
        [[np.asarray(matrix, float), np.array([[-30.0], [12.5], [7.0]])], [np.zeros((1, 3)), np.ones((1, 1))]]
    )


GRIDS = {
    "plain": affine(np.diag([1.0, 1, 1])),
    "anisotropic": affine(np.diag([0.7, 0.7, 5.0])),
    "LPS": affine(np.diag([-0.8, -0.8, 3.0])),
    "oblique": affine(TURNED @ np.diag([0.7, 0.9, 4.0])),
    "sheared": affine(np.array([[1.0, 0, 0.2], [0, 1.2, 0], [0, 0.1, 2.5]])),
}
TURNS = list(product(permutations(range(3)), product((1, -1), repeat=3)))


def write(path, data, at):
    nib.save(nib.Nifti1Image(data, at), path)
    return path


def stored_otherwise(image, order, signs):
    """The same volume with other axes, by nibabel."""
    target = np.array([[order[i], signs[i]] for i in range(3)])
    return image.as_reoriented(target)


@pytest.mark.parametrize("grid", GRIDS)
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


def padded(low, high):
    """The stored map has empty voxels around it (or, where negative, lacks some of the image)."""
    return lambda data, at: _boxed(data, at, low, high)


def _boxed(data, at, low, high):
    grown = np.pad(data, [(max(a, 0), max(b, 0)) for a, b in zip(low, high, strict=True)])
    cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for a, b, n in zip(low, high, grown.shape, strict=True))
    moved = at.copy()
    moved[:3, 3] -= at[:3, :3] @ low
    return grown[cut], moved


TILTED = affine(np.array([[0.5, 0, 0], [0, 0.5, -0.9], [0, 0, 2.5]]))
EVERY = {
    "as it is": ("plain", (0, 1, 2), (1, 1, 1), None),
    "left and right flipped": ("plain", (0, 1, 2), (-1, 1, 1), None),
    "front and back flipped": ("LPS", (0, 1, 2), (1, -1, 1), None),
    "upside down": ("anisotropic", (0, 1, 2), (1, 1, -1), None),
    "all flipped": ("oblique", (0, 1, 2), (-1, -1, -1), None),
    "sagittal": ("plain", (1, 2, 0), (1, 1, 1), None),
    "coronal": ("anisotropic", (0, 2, 1), (1, 1, 1), None),
    "coronal, flipped": ("LPS", (0, 2, 1), (1, -1, 1), None),
    "permuted and flipped, oblique": ("oblique", (2, 0, 1), (-1, 1, -1), None),
    "rows and columns swapped, oblique": ("oblique", (1, 0, 2), (1, 1, 1), None),
    "sheared": ("sheared", (0, 1, 2), (1, 1, 1), None),
    "sheared, flipped": ("sheared", (0, 1, 2), (-1, 1, -1), None),
    "sheared, permuted": ("sheared", (2, 1, 0), (1, -1, 1), None),
    "tilted gantry": ("tilted", (0, 1, 2), (1, 1, 1), None),
    "tilted gantry, flipped": ("tilted", (0, 1, 2), (1, -1, -1), None),
    "anisotropic, permuted": ("anisotropic", (2, 0, 1), (1, -1, 1), None),
    "padded": ("oblique", (0, 1, 2), (1, 1, 1), padded((2, 1, 0), (0, 3, 4))),
    "cropped": ("LPS", (0, 1, 2), (1, 1, 1), padded((-2, -1, -1), (-1, -2, 0))),
    "cropped, flipped": ("oblique", (0, 1, 2), (-1, 1, 1), padded((-3, 0, -1), (0, -1, -1))),
    "padded here, cropped there, permuted": ("tilted", (1, 2, 0), (-1, 1, -1), padded((2, -1, 0), (-2, 3, -1))),
}


def test_there_are_twenty_geometries():
    assert len(EVERY) == 20


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_labels_meet_their_image_in_world_space(tmp_path, name, suffix):
    """Each labelled voxel lies where NiBabel (of NIfTI) or SimpleITK (of NRRD) says that the stored map has it."""
    grid, order, signs, box = EVERY[name]
    at = TILTED if grid == "tilted" else GRIDS[grid]
    image = wb.read(write(tmp_path / "image.nii.gz", MAP, at))
    data, moved = (MAP, at) if box is None else box(MAP, at)
    stored = stored_otherwise(nib.Nifti1Image(data, moved), order, signs)
    path = tmp_path / f"labels{suffix}"
    if suffix == ".nrrd":
        lps = np.diag([-1.0, -1, 1, 1]) @ stored.affine
        # pynrrd, as SimpleITK refuses to make a volume whose axes are not at right angles.
        space = {"space": "left-posterior-superior", "space directions": lps[:3, :3].T, "space origin": lps[:3, 3]}
        nrrd.write(str(path), np.asarray(stored.dataobj), space)
    else:
        nib.save(stored, path)
    found = formats.read_labels(path, reference=image.geometry)
    assert found.data.shape == SHAPE
    values, places = voxels_of(path)
    inside = np.linalg.solve(at, np.c_[places, np.ones(len(places))].T)[:3].T
    assert np.abs(inside - np.rint(inside)).max() < 2e-3
    index = np.rint(inside).astype(int)
    assert np.array_equal(found.data[tuple(index.T)], values)
    assert np.count_nonzero(found.data) == len(values)  # nothing else is labelled
    kept = np.zeros_like(MAP)
    kept[tuple(index.T)] = values
    assert np.array_equal(found.data, kept)
    assert (kept == MAP)[kept > 0].all()


def voxels_of(path):
    """Values and RAS positions of all labelled voxels of a file, by the library of its format."""
    if path.name.endswith(".nii.gz"):
        theirs = nib.load(path)
        data = np.asarray(theirs.dataobj)
        index = np.argwhere(data)
        return data[tuple(index.T)], nib.affines.apply_affine(theirs.affine, index)
    itk = sitk.ReadImage(str(path))
    data = sitk.GetArrayFromImage(itk).transpose(2, 1, 0)
    index = np.argwhere(data)
    places = [np.array(itk.TransformIndexToPhysicalPoint(tuple(map(int, i)))) * (-1, -1, 1) for i in index]
    return data[tuple(index.T)], np.array(places)


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
