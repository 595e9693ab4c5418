"""Make a synthetic hyperspectral scene: spectra, abundances, light, noise and a place on the map, with its class map.

    python sample_data/make_scene.py                    # writes the sample files beside this script again
    python sample_data/make_scene.py -o DIR --seed 5    # another scene

A river with wet banks, fields of crops, dry grass and bare soil, roads and houses, seen by an imaging spectrometer:
neighbouring materials mix in pixels, slopes are lit differently, plants differ in vigour, and in the two wide bands
where water vapour absorbs there is nothing but noise (marked as bad bands). A scene is decided by its seed alone.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SAMPLE_SEED = 9101
NAMES = ("vegetation", "dry grass", "soil", "water", "asphalt", "roof")
COLORS = ((0, 158, 115), (240, 228, 66), (176, 110, 60), (0, 114, 178), (110, 110, 110), (213, 94, 0))
WATER_NM = ((1340.0, 1450.0), (1790.0, 1970.0))
PURE = 0.6  # pixels whose largest abundance is lower get no label
PAINTED = 20


@dataclass(frozen=True)
class Scene:
    """A cube (bands, rows, columns) uint16 [reflectance x 10000], labels and painted pixels (rows, columns) uint8."""

    cube: NDArray[np.uint16]
    labels: NDArray[np.uint8]
    painted: NDArray[np.uint8]
    wavelengths_nm: NDArray[np.float64]
    good_bands: NDArray[np.bool_]
    abundances: NDArray[np.float32]


def make_scene(seed: int, *, shape: tuple[int, int] = (96, 96), bands: int = 120) -> Scene:
    """Draw one scene; the same seed gives the same arrays."""
    rng = np.random.default_rng(seed)
    nm = np.linspace(405.0, 2445.0, bands)
    abundances = _abundances(shape, rng)
    vigour, moisture = _smooth(shape, 9, rng), _smooth(shape, 12, rng)
    spectra = np.stack([end_member(name, nm) for name in NAMES])
    cube = np.einsum("krc,kb->brc", abundances, spectra)
    # Plants differ in their depth of red absorption and their height of near infrared, soils in their moisture.
    lush = end_member("vegetation", nm, vigour=1.35) - spectra[0]
    wet = 0.62 * spectra[2] - spectra[2]
    cube += abundances[0] * 0.7 * vigour * lush[:, None, None]
    cube += abundances[2] * np.clip(0.5 * moisture, 0, 1) * wet[:, None, None]
    light = np.clip(0.95 + 0.16 * _smooth(shape, 7, rng) + 0.03 * rng.standard_normal(shape), 0.45, 1.4)
    cube = cube * light + 0.003 * (nm[:, None, None] / 500.0) ** -3  # a little path radiance in the blue
    bad = np.logical_or.reduce([(nm >= low) & (nm <= high) for low, high in WATER_NM])
    cube[bad] *= 0.01
    noise = 0.004 + 0.006 * (nm / 2445.0) ** 2
    noise[bad] = 0.02
    cube = cube + noise[:, None, None] * rng.standard_normal(cube.shape)
    digital = np.clip(np.rint(cube * 10000), 0, 65535).astype(np.uint16)
    labels = np.where(abundances.max(0) < PURE, 0, abundances.argmax(0) + 1).astype(np.uint8)
    return Scene(digital, labels, _painted(labels, rng), nm, ~bad, abundances.astype(np.float32))


def end_member(name: str, nm: NDArray[np.float64], *, vigour: float = 1.0) -> NDArray[np.float64]:
    """Reflectance (0 to 1) of a material at wavelengths [nm], after the well-known features of such spectra."""

    def dip(centre: float, width: float, depth: float) -> NDArray[np.float64]:
        return 1 - depth * np.exp(-0.5 * ((nm - centre) / width) ** 2)

    def rise(centre: float, width: float) -> NDArray[np.float64]:
        return 1 / (1 + np.exp(-(nm - centre) / width))

    liquid = dip(970, 25, 0.10) * dip(1190, 35, 0.16) * dip(1450, 60, 0.55) * dip(1940, 80, 0.70)
    if name == "vegetation":
        visible = 0.045 / vigour + 0.06 * np.exp(-0.5 * ((nm - 552) / 28) ** 2) - 0.012 * vigour * dip(672, 22, 1.0)
        return np.clip(visible, 0.01, 1) + 0.42 * vigour * rise(716, 13) * liquid * (1 - 0.62 * rise(1750, 380))
    if name == "dry grass":
        return (0.07 + 0.30 * rise(690, 110)) * dip(2100, 60, 0.16) * dip(1730, 30, 0.05) * dip(1940, 60, 0.30)
    if name == "soil":
        return (0.05 + 0.36 * rise(870, 300)) * dip(2205, 25, 0.14) * dip(1415, 35, 0.15) * dip(1915, 45, 0.25)
    if name == "water":
        return 0.004 + 0.075 * np.exp(-(((nm - 480) / 190.0) ** 2))
    if name == "asphalt":
        return 0.075 + 0.055 * rise(1300, 500) - 0.01 * np.exp(-0.5 * ((nm - 430) / 60) ** 2)
    if name == "roof":
        return (0.06 + 0.34 * rise(600, 32) + 0.10 * rise(1400, 200)) * dip(870, 70, 0.20) * dip(2205, 28, 0.10)
    raise ValueError(f"no end-member '{name}'; known: {', '.join(NAMES)}")


def _smooth(shape: tuple[int, int], size: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Smooth random field with mean 0 and deviation 1."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), size, mode="wrap")
    return (field - field.mean()) / field.std()


def _abundances(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """(materials, rows, columns): patches of fields, a river, roads and houses, mixed at their borders."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float)
    fields = np.stack([_smooth(shape, 8, rng) + bias for bias in (0.35, 0.0, 0.0)])
    material = fields.argmax(0)
    middle = 0.3 * shape[1] + 9 * np.sin(rows / 14 + rng.uniform(0, 6)) + 0.12 * rows
    material[np.abs(columns - middle) < 5.5 + 1.5 * np.sin(rows / 9)] = NAMES.index("water")
    for _ in range(2):
        slope, start = rng.uniform(-0.5, 0.5), rng.uniform(0.15, 0.85) * shape[0]
        material[(np.abs(rows - start - slope * (columns - shape[1] / 2)) < 1.9) & (columns > middle + 7)] = 4
    material[(np.abs(columns - 0.78 * shape[1] - 3 * np.sin(rows / 25)) < 1.9)] = 4
    for _ in range(26):
        r, c = rng.integers(3, shape[0] - 9), rng.integers(int(0.5 * shape[1]), shape[1] - 9)
        h, w = rng.integers(4, 8, 2)
        if not (material[r - 1 : r + h + 1, c - 1 : c + w + 1] >= 3).any():
            material[r : r + h, c : c + w] = 5
    pure = np.stack([(material == k).astype(float) for k in range(len(NAMES))])
    mixed = ndimage.gaussian_filter(pure, (0, 0.75, 0.75))
    # Everywhere a little of something else: weeds in fields, dust on roads.
    weeds = np.stack([0.10 * np.exp(0.6 * _smooth(shape, 2, rng)) for _ in NAMES]) * (mixed > 0.02)
    mixed = mixed + weeds * rng.random(mixed.shape)
    return np.asarray(mixed / mixed.sum(0))


def _painted(labels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """What somebody might paint: short strokes inside each class, 20 pixels per class."""
    painted = np.zeros_like(labels)
    for value in range(1, len(NAMES) + 1):
        inside = ndimage.binary_erosion(labels == value, iterations=1)
        inside = inside if inside.sum() >= PAINTED else labels == value
        left = PAINTED
        while left > 0 and (inside & (painted == 0)).any():
            r, c = rng.choice(np.argwhere(inside & (painted == 0)))
            for _ in range(min(left, 7)):
                painted[r, c] = value
                left -= 1
                near = [(r + a, c + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
                near = [
                    p for p in near
                    if 0 <= p[0] < labels.shape[0] and 0 <= p[1] < labels.shape[1] and inside[p] and not painted[p]
                ]  # fmt: skip
                if not near:
                    break
                r, c = near[rng.integers(len(near))]
    return painted


def write_scene(scene: Scene, folder: Path, name: str) -> list[Path]:
    """ENVI files: the cube (bil), and as classifications the class map and the painted pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    place = "map info = {UTM, 1, 1, 612340, 5201860, 3, 3, 33, North, WGS-84, units=Meters}"
    bands, rows, columns = scene.cube.shape
    head = f"ENVI\nsamples = {columns}\nlines = {rows}\nheader offset = 0\nbyte order = 0\n{place}\n"
    written = []
    listed = ", ".join(f"{v:.2f}" for v in scene.wavelengths_nm)
    text = head + (
        f"description = {{Synthetic scene {name}, made by make_scene.py}}\nbands = {bands}\ndata type = 12\n"
        "interleave = bil\nfile type = ENVI Standard\nreflectance scale factor = 10000\nwavelength units = Nanometers\n"
        f"wavelength = {{{listed}}}\nbbl = {{{', '.join(str(int(g)) for g in scene.good_bands)}}}\n"
    )
    written += _pair(folder / name, scene.cube.transpose(1, 0, 2).astype("<u2").tobytes(), text)
    names = ", ".join(("unlabelled", *NAMES))
    lookup = ", ".join(str(v) for rgb in ((0, 0, 0), *COLORS) for v in rgb)
    for ending, data in (("labels", scene.labels), ("painted", scene.painted)):
        text = head + (
            f"bands = 1\ndata type = 1\ninterleave = bsq\nfile type = ENVI Classification\nclasses = {len(NAMES) + 1}\n"
            f"class names = {{{names}}}\nclass lookup = {{{lookup}}}\n"
        )
        written += _pair(folder / f"{name}_{ending}", data.tobytes(), text)
    return written


def _pair(stem: Path, data: bytes, header: str) -> list[Path]:
    files = stem.with_name(stem.name + ".dat"), stem.with_name(stem.name + ".hdr")
    files[0].write_bytes(data)
    files[1].write_text(header, encoding="ascii")
    return list(files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "files")
    parser.add_argument("--seed", type=int, default=SAMPLE_SEED)
    arguments = parser.parse_args()
    for file in write_scene(make_scene(arguments.seed), arguments.output, f"scene_{arguments.seed}"):
        print(file)


if __name__ == "__main__":
    main()
