"""The table of 20 geometries in which a label map is stored otherwise than its image: both meet in world space.

Each pair is read by us, and by NiBabel (as NIfTI) and by SimpleITK (as NRRD), which say where each labelled voxel lies.

python -m tests.workbench.volume.geometry_table
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import SimpleITK as sitk

import workbench as wb
from workbench.core.errors import WorkbenchError
from workbench.data import formats
from workbench.data.geometry import orientation

SHAPE = (9, 7, 5)
MAP = np.random.default_rng(3).integers(0, 4, SHAPE).astype(np.uint8)
ANGLE = np.deg2rad(17)
TURNED = np.array([[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0], [0, 0, 1.0]])
LPS = np.diag([-1.0, -1, 1, 1])
NEAR = 2e-3
"""Part of a voxel by which headers in float32 may be off."""


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
    "tilted": affine(np.array([[0.5, 0, 0], [0, 0.5, -0.9], [0, 0, 2.5]])),
}


def padded(low, high):
    """The stored map has empty voxels around it (or, where negative, lacks some of the image)."""

    def boxed(data, at):
        grown = np.pad(data, [(max(a, 0), max(b, 0)) for a, b in zip(low, high, strict=True)])
        cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for a, b, n in zip(low, high, grown.shape, strict=True))
        moved = at.copy()
        moved[:3, 3] -= at[:3, :3] @ low
        return grown[cut], moved

    return boxed


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


def stored_otherwise(image, order, signs):
    """The same volume with other axes, by NiBabel."""
    return image.as_reoriented(np.array([[order[i], signs[i]] for i in range(3)]))


def save(image, path):
    """A volume of NiBabel as NIfTI or NRRD."""
    if not path.name.endswith(".nrrd"):
        nib.save(image, path)
        return
    lps = LPS @ image.affine
    # pynrrd, as SimpleITK refuses to make a volume whose axes are not at right angles; it reads them.
    space = {"space": "left-posterior-superior", "space directions": lps[:3, :3].T, "space origin": lps[:3, 3]}
    nrrd.write(str(path), np.asarray(image.dataobj), space)


def by_nibabel(image, labels):
    """Values of all labelled voxels, and where they lie in the image [voxels, (n, 3)]."""
    scan, theirs = nib.load(image), nib.load(labels)
    data = np.asarray(theirs.dataobj)
    index = np.argwhere(data)
    return data[tuple(index.T)], nib.affines.apply_affine(np.linalg.inv(scan.affine) @ theirs.affine, index)


def by_simpleitk(image, labels):
    """As `by_nibabel`."""
    scan, theirs = sitk.ReadImage(str(image)), sitk.ReadImage(str(labels))
    data = sitk.GetArrayFromImage(theirs).transpose(2, 1, 0)
    index = np.argwhere(data)
    points = (theirs.TransformIndexToPhysicalPoint(tuple(map(int, i))) for i in index)
    return data[tuple(index.T)], np.array([scan.TransformPhysicalPointToContinuousIndex(p) for p in points])


LIBRARIES: dict[str, tuple[str, Callable]] = {"NiBabel": (".nii.gz", by_nibabel), "SimpleITK": (".nrrd", by_simpleitk)}


def row(name: str, library: str, folder: Path) -> tuple[str, bool]:
    """What we say of a geometry beside what a library says of the same files, and whether both are the same."""
    grid, order, signs, box = EVERY[name]
    suffix, asked = LIBRARIES[library]
    image, labels = folder / f"image{suffix}", folder / f"labels{suffix}"
    save(nib.Nifti1Image(MAP, GRIDS[grid]), image)
    data, at = (MAP, GRIDS[grid]) if box is None else box(MAP, GRIDS[grid])
    save(stored_otherwise(nib.Nifti1Image(data, at), order, signs), labels)
    try:
        found = formats.read_labels(labels, reference=wb.read(image).geometry)
    except WorkbenchError as error:
        return str(error), False
    values, places = asked(image, labels)
    index = np.rint(places).astype(int)
    off = float(np.abs(places - index).max())
    wanted = np.zeros(SHAPE, np.uint8)
    inside = ((index >= 0) & (index < SHAPE)).all()
    if inside:
        wanted[tuple(index.T)] = values
    same = inside and found.data.shape == SHAPE and np.array_equal(found.data, wanted)
    # What is stored of the map is that of the image it was made of, voxel for voxel.
    own = bool((wanted == MAP)[wanted > 0].all()) and np.count_nonzero(wanted) == len(values)
    said = f"{np.count_nonzero(found.data == wanted)} of {MAP.size} voxels equal, {len(values)} labelled"
    return f"{said}, centres within {off:.0e} voxels", same and own and off < NEAR


def main() -> int:
    """Print the table; 1 if a row is wrong."""
    wrong = 0
    for name, (grid, order, signs, box) in EVERY.items():
        stored = stored_otherwise(nib.Nifti1Image(MAP, GRIDS[grid]), order, signs)
        how = f"{grid}, {orientation(GRIDS[grid])} and {orientation(stored.affine)}{', another box' if box else ''}"
        for library in LIBRARIES:
            with tempfile.TemporaryDirectory() as folder:
                said, is_right = row(name, library, Path(folder))
            wrong += not is_right
            print(f"{'right' if is_right else 'WRONG'} | {name} | {how} | {library} | {said}")
    print(f"{len(EVERY)} geometries, {len(LIBRARIES)} libraries, {wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
