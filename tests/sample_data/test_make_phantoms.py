"""Phantoms: the same seed gives the same patient, and every organ lies and shines as in one."""

import runpy
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "sample_data" / "make_phantoms.py"
CLASSES = ("liver", "spleen", "kidneys", "aorta", "vertebrae", "lungs")
COARSE = (5.0, 5.0, 5.0)


@pytest.fixture(scope="module")
def made():
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def torso(made):
    return [made["make_phantom"](seed, field="torso", spacing_mm=COARSE) for seed in (1, 2, 3)]


def centre(phantom, name: str) -> np.ndarray:
    """Centre of mass of an organ in RAS+ mm."""
    index = np.argwhere(phantom.labels == CLASSES.index(name) + 1).mean(axis=0)
    return phantom.affine[:3, :3] @ index + phantom.affine[:3, 3]


def test_a_seed_decides_everything(made) -> None:
    a, b, c = (made["make_phantom"](s, spacing_mm=COARSE) for s in (5, 5, 6))
    assert np.array_equal(a.hu, b.hu)
    assert np.array_equal(a.labels, b.labels)
    assert np.array_equal(a.affine, b.affine)
    assert a.facts == b.facts
    assert a.hu.shape != c.hu.shape or not np.array_equal(a.hu, c.hu)


def test_organs_lie_where_they_do_in_a_patient(torso) -> None:
    for p in torso:
        spine = centre(p, "vertebrae")
        assert centre(p, "liver")[0] > spine[0] + 30  # on the right (RAS+)
        assert centre(p, "spleen")[0] < spine[0] - 50  # on the left
        assert spine[1] < centre(p, "aorta")[1]  # in front of the spine
        assert -40 < centre(p, "aorta")[0] - spine[0] < 5  # and a little to the left
        assert centre(p, "lungs")[2] > centre(p, "liver")[2] > centre(p, "kidneys")[2]


def test_densities_are_those_of_tissue(torso) -> None:
    ranges = {"liver": (5, 140), "spleen": (20, 150), "kidneys": (0, 230), "aorta": (10, 400),
              "vertebrae": (120, 420), "lungs": (-930, -600)}  # fmt: skip
    for p in torso:
        for value, name in enumerate(CLASSES, start=1):
            inside = p.hu[p.labels == value]
            assert inside.size > 0, name
            low, high = ranges[name]
            assert low < inside.mean() < high, (name, inside.mean())
        assert p.hu.dtype == np.int16
        assert -1024 <= p.hu.min() < -950  # air
        outside = p.hu[:4, -4:, :]
        assert 2 < outside.std() < 30  # noise, also in air


def test_volumes_are_those_of_adults(torso) -> None:
    ranges = {"liver": (700, 3000), "spleen": (30, 500), "kidneys": (100, 600), "lungs": (1500, 8000)}
    for p in torso:
        ml = abs(np.linalg.det(p.affine[:3, :3])) / 1000
        for name, (low, high) in ranges.items():
            volume = (p.labels == CLASSES.index(name) + 1).sum() * ml
            assert low < volume < high, (name, volume)


def test_edges_are_mixed_over_a_voxel(made) -> None:
    p = made["make_phantom"](4, field="abdomen", spacing_mm=COARSE)
    edge = (p.hu > -850) & (p.hu < -250)  # between air and skin, lung and muscle
    assert edge.mean() > 0.005


def test_patients_differ(torso) -> None:
    volumes = [int((p.labels == 1).sum()) for p in torso]
    assert max(volumes) > 1.05 * min(volumes)
    assert len({p.facts["liver [HU]"] for p in torso}) == 3


def test_files_carry_geometry_and_class_names(made, tmp_path: Path) -> None:
    from workbench.data import formats

    p = made["make_phantom"](7, spacing_mm=COARSE)
    made["save_phantom"](p, tmp_path / "a.nii.gz", tmp_path / "a_labels.nii.gz")
    image = formats.read(tmp_path / "a.nii.gz")
    labels = formats.read_labels(tmp_path / "a_labels.nii.gz", reference=image.geometry)
    assert np.allclose(image.geometry.affine, p.affine)
    assert labels.classes.names == CLASSES
    assert np.array_equal(image.data[0], p.hu)
    assert nib.load(tmp_path / "a.nii.gz").header.get_xyzt_units()[0] == "mm"


def test_the_committed_sample_files_can_be_made_again(made, tmp_path: Path) -> None:
    from workbench.core.samples import sample_files

    seed = next(iter(made["SAMPLE_SEEDS"]))
    p = made["make_phantom"](seed, field=made["SAMPLE_SEEDS"][seed], spacing_mm=(3.0, 3.0, 3.0))
    committed = nib.load(sample_files()[f"phantom_{seed}"])
    # Equal up to rounding on another processor.
    assert np.abs(np.asarray(committed.dataobj).astype(int) - p.hu).max() <= 1
    assert (np.asarray(nib.load(sample_files()[f"phantom_{seed}_labels"]).dataobj) != p.labels).mean() < 1e-4
    assert sum(f.stat().st_size for name, f in sample_files().items() if name.startswith("phantom")) < 6_000_000
