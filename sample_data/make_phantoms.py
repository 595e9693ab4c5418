"""Make torso CT phantoms: volumes with known organs, for the demo weights, the demo and the tests.

    python sample_data/make_phantoms.py                      # writes the sample files beside this script again
    python sample_data/make_phantoms.py -o DIR --seeds 1-30  # a training set

A phantom is decided by its seed alone: habitus, organ sizes and places, contrast phase, densities, noise, field of
view and voxel size. Every phantom is written as a NIfTI volume [HU] with a label map of the same geometry.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parent))  # the script may be run from anywhere
from phantom_anatomy import CLASSES, PHASES, Canvas, draw_densities, paint_torso, rotation, smooth_noise

# Heights in patient millimetres (origin: first lumbar vertebra) of common examinations.
FIELDS: dict[str, tuple[float, float]] = {
    "torso": (-250, 270),
    "abdomen and pelvis": (-280, 130),
    "abdomen": (-130, 130),
    "upper abdomen": (-60, 150),
    "chest": (20, 290),
    "slab": (-45, 55),
}
SAMPLE_SEEDS = {9001: "abdomen", 9002: "upper abdomen", 9003: "abdomen"}


@dataclass(frozen=True)
class Phantom:
    """A volume (i, j, k) int16 [HU], labels uint8 of the same shape, RAS+ affine [mm], and how it was drawn."""

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]
    facts: dict[str, Any]


def make_phantom(
    seed: int, *, field: str | None = None, spacing_mm: tuple[float, float, float] | None = None
) -> Phantom:
    """Draw one phantom.

    Parameters
    ----------
    seed
        Decides everything; the same seed gives the same arrays.
    field
        Name of the examined region (a key of `FIELDS`); drawn from the seed if None.
    spacing_mm
        Voxel size along x, y, z; drawn from the seed if None (2.6-3.4 mm in plane, 2.5-5 mm between slices).
    """
    rng = np.random.default_rng([seed, 3])
    drawn_field = str(rng.choice(list(FIELDS), p=[0.27, 0.2, 0.2, 0.13, 0.08, 0.12]))
    drawn_step = (float(rng.uniform(2.6, 3.4)), float(rng.choice([2.5, 3.0, 3.0, 4.0, 5.0])))
    field = field or drawn_field
    step = np.array(spacing_mm if spacing_mm else (drawn_step[0], drawn_step[0], drawn_step[1]))
    phase = str(rng.choice(PHASES, p=[0.5, 0.35, 0.15]))
    low, high = np.add(FIELDS[field], rng.uniform(-25, 25, 2)) + (rng.uniform(-120, 180) if field == "slab" else 0)
    reach = rng.uniform(345, 410), rng.uniform(285, 330)
    shape = (int(reach[0] / step[0]), int(reach[1] / step[1]), int((high - low) / step[2]))
    affine = np.diag([*step, 1.0])
    affine[:3, 3] = (-reach[0] / 2 + rng.normal(0, 6), -reach[1] / 2 + rng.uniform(15, 40), low)

    scale = rng.normal(1, 0.05, 3).clip(0.88, 1.14)
    world = [
        np.asarray(affine[a, a] * np.arange(shape[a]) + affine[a, 3], np.float32).reshape(
            [-1 if b == a else 1 for b in range(3)]
        )
        for a in range(3)
    ]
    x, y, z = _patient_coordinates(world, shape, step, scale, rng)
    bumps = tuple(smooth_noise(shape, tuple(mm / step), rng) for mm in (34.0, 22.0, 9.0))
    canvas = Canvas(
        x, y, z, float(step.mean() / scale.mean()), np.full(shape, -1000, np.float32), np.zeros(shape, np.uint8),
        (bumps[0], bumps[1], bumps[2]), rng,
    )  # fmt: skip
    densities = draw_densities(phase, rng)
    paint_torso(canvas, densities, rng)
    _paint_surroundings(canvas, world, rng)
    hu = _scan(canvas.hu, step, rng)
    facts = {"seed": seed, "field": field, "phase": phase, "spacing_mm": [round(float(s), 3) for s in step]}
    return Phantom(hu, canvas.labels, affine, facts | {f"{k} [HU]": round(v, 1) for k, v in densities.items()})


def _patient_coordinates(
    world: list[NDArray[np.float32]], shape: tuple[int, int, int], step: NDArray[np.float64],
    scale: NDArray[np.float64], rng: np.random.Generator,
) -> tuple[NDArray[np.float32], ...]:  # fmt: skip
    """World to patient: body size, a few degrees of tilt, and a smooth deformation of several millimetres."""
    tilt = rotation(*rng.normal(0, (2.5, 2.0, 4.0))).astype(np.float32)
    amount = rng.uniform(1.5, 5.0)
    return tuple(
        np.asarray(
            sum(tilt[a, b] * world[b] for b in range(3)) / scale[a]
            + amount * smooth_noise(shape, tuple(65 / step), rng),
            np.float32,
        )
        for a in range(3)
    )


def _paint_surroundings(c: Canvas, world: list[NDArray[np.float32]], rng: np.random.Generator) -> None:
    """The scanner's table under the patient, and in some cases arms beside the body."""
    body = ndimage.binary_fill_holes(c.hu[:, :, c.hu.shape[2] // 2] > -300)
    back = world[1].ravel()[np.nonzero(body.any(axis=0))[0][0]] if body.any() else -100.0
    bow = rng.uniform(0, 0.0008)
    surface = world[1] - (back - rng.uniform(4, 14)) - bow * world[0] ** 2 + 0 * world[2]
    free = c.hu < -500
    for thickness, density in ((9.0, -850.0), (2.0, rng.uniform(-350, 0))):
        share = np.clip(0.5 - (np.abs(surface) - thickness / 2) / c.step, 0, 1) * free * (np.abs(world[0]) < 210)
        c.hu += share * (density - c.hu)
    if rng.random() < 0.25:
        free = (c.hu < -500) & (c.labels == 0)
        for side in (-1, 1):
            away = np.hypot(world[0] - side * rng.uniform(178, 195), world[1] - rng.uniform(0, 40)) + 0 * world[2]
            for radius, density in ((42, -100.0), (36, 50.0), (12, 380.0), (6, 60.0)):
                share = np.clip(0.5 - (away - radius) / c.step, 0, 1) * free
                c.hu += share * (density - c.hu)


def _scan(hu: NDArray[np.float32], step: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int16]:
    """Blur of the reconstruction kernel and noise that is correlated within slices and stronger in the middle."""
    blurred = ndimage.gaussian_filter(hu, rng.uniform(0.6, 1.6) / step)
    noise = ndimage.gaussian_filter(
        rng.normal(0, 1, hu.shape).astype(np.float32), (rng.uniform(0.4, 0.9),) * 2 + (0.3,)
    )
    noise /= noise.std()
    water = ndimage.gaussian_filter((hu > -300).astype(np.float32), 40 / step)
    level = rng.uniform(5, 22)
    return np.clip(np.rint(blurred + level * (0.6 + 0.8 * water) * noise), -1024, 3071).astype(np.int16)


def save_phantom(phantom: Phantom, image: Path, labels: Path) -> None:
    """Write both volumes as NIfTI with the same millimetre geometry; class names go into the header."""
    for path, array, kind in ((image, phantom.hu, "CT phantom"), (labels, phantom.labels, "labels")):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = nib.Nifti1Image(array, phantom.affine)
        picture.set_sform(phantom.affine, 2)
        picture.set_qform(phantom.affine, 2)
        picture.header.set_xyzt_units("mm")
        picture.header["descrip"] = f"{kind}, seed {phantom.facts['seed']}".encode()
        if kind == "labels":
            picture.header.extensions.append(nib.nifti1.Nifti1Extension(0, _label_table().encode()))
        nib.save(picture, path)


def _label_table() -> str:
    """Class names and colours as the CaretExtension XML that label viewers read."""
    from workbench.core.classes import ClassTable

    rows = "".join(
        f'<Label Key="{k.value}" Red="{k.color[0] / 255:.4f}" Green="{k.color[1] / 255:.4f}" '
        f'Blue="{k.color[2] / 255:.4f}" Alpha="1"><![CDATA[{k.name}]]></Label>'
        for k in ClassTable.from_names(CLASSES)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><CaretExtension><VolumeInformation Index="0">'
        f"<LabelTable>{rows}</LabelTable></VolumeInformation></CaretExtension>"
    )


def make_set(seeds: list[int], folder: Path, *, sample: bool = False) -> Path:
    """Write a set of phantoms and its ``cases.csv`` (id, image, labels, group); files that exist are kept."""
    rows = []
    for seed in seeds:
        name = f"phantom_{seed}"
        image, labels = folder / f"{name}.nii.gz", folder / f"{name}_labels.nii.gz"
        if not (image.exists() and labels.exists()):
            options: dict[str, Any] = {"field": SAMPLE_SEEDS[seed], "spacing_mm": (3.0, 3.0, 3.0)} if sample else {}
            save_phantom(make_phantom(seed, **options), image, labels)
        rows.append({"id": name, "image": image.name, "labels": labels.name, "group": name})
    table = folder / "cases.csv"
    with table.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, ["id", "image", "labels", "group"])
        writer.writeheader()
        writer.writerows(rows)
    return table


def _seeds(text: str) -> list[int]:
    """``1-4,9`` -> [1, 2, 3, 4, 9]."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "files")
    parser.add_argument("--seeds", default=None, help="e.g. 1-30; the sample files if left out")
    options = parser.parse_args()
    if options.seeds is None:
        table = make_set(list(SAMPLE_SEEDS), options.output, sample=True)
    else:
        table = make_set(_seeds(options.seeds), options.output)
    print(table)


if __name__ == "__main__":
    main()
