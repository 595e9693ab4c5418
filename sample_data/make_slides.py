"""Make two small sample slides: real immunohistochemistry put together anew, and a painted special stain with regions.

    python sample_data/make_slides.py                   # writes the sample files beside this script again
    python sample_data/make_slides.py -o DIR

``slide_9301.tif`` (pyramidal TIFF, JPEG) shows the picture "immunohistochemistry" of scikit-image: colonic glands,
FHL2 revealed with DAB, haematoxylin as counterstain, acquired at the Center for Microscopy And Molecular Imaging
(CMMI), no known copyright restrictions. Its 512 x 512 pixels are mirrored, turned and stained stronger or weaker to
make three pieces of tissue on glass. The left pieces show the left part of the picture, the right piece what the left
ones never show: `HELD_OUT` is for testing. How large its pixels are is not known; 0.5 um is what the size of its nuclei
suggests.

``slide_9302.ome.tif`` (OME-TIFF, JPEG) is painted by formulas after Masson's trichrome: blue collagen, red muscle,
tubules, glomeruli, vessels, in three sections of unequal staining. ``slide_9302_regions.geojson`` has its regions as
QuPath writes them; section three is `HELD_OUT`. It looks like kidney and is none.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

IHC, SPECIAL = "slide_9301", "slide_9302"
SEED = 9301
MPP = 0.5
QUALITY = 72
UUID = "urn:uuid:00000000-0000-4000-8000-000000009302"
Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Area = tuple[int, int, int, int]

IHC_SHAPE = (2560, 3840)
IHC_PIECES: tuple[Area, ...] = ((320, 256, 1920, 960), (320, 1440, 1920, 960), (320, 2624, 1920, 960))
"""(row, column, height, width) of the pieces of tissue of slide 9301; the last is held out."""
SECTION = (2048, 1280)
SPECIAL_SHAPE = (2432, 4480)
SECTIONS: tuple[Area, ...] = tuple((192, 192 + i * 1408, *SECTION) for i in range(3))
"""The same of slide 9302."""
TRAINING: dict[str, Area] = {IHC: (0, 0, 2560, 2496), SPECIAL: (0, 0, 2432, 2944)}
HELD_OUT: dict[str, Area] = {IHC: (0, 2560, 2560, 1280), SPECIAL: (0, 2944, 2432, 1536)}
"""(row, column, height, width) to learn from and to test on: they share no tissue."""

CLASSES: dict[str, tuple[int, int, int]] = {
    "collagen": (60, 90, 200),
    "muscle": (200, 50, 70),
    "tubules": (230, 150, 60),
    "glomerulus": (130, 70, 160),
    "vessel": (40, 160, 120),
}
BLUE, RED, DARK = (np.array(v, np.float32) for v in ((0.82, 0.46, 0.13), (0.10, 0.74, 0.52), (0.62, 0.66, 0.50)))
"""Optical density of aniline blue, scarlet and iron haematoxylin in red, green and blue."""


@dataclass
class Dyes:
    """How much of each dye lies in every pixel, ``(rows, columns)`` float32."""

    blue: Floats
    red: Floats
    dark: Floats

    def put(self, where: npt.NDArray[Any], blue: Any, red: Any, dark: Any) -> None:
        """Replace the dyes by others, as far as `where` (0 to 1) says."""
        for mine, other in ((self.blue, blue), (self.red, red), (self.dark, dark)):
            mine *= 1 - where
            mine += where * other

    def pixels(self, gains: tuple[float, float, float], rng: np.random.Generator) -> Pixels:
        """The picture in transmitted light (Beer-Lambert), dyes multiplied by `gains`, with a little noise."""
        amounts = [m * g for m, g in zip((self.blue, self.red, self.dark), gains, strict=True)]
        density = sum(a[..., None] * dye for a, dye in zip(amounts, (BLUE, RED, DARK), strict=True))
        light = 243 * np.exp(-np.asarray(density))
        light += rng.standard_normal((*light.shape[:2], 1)) * 2.0
        return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def smooth(shape: tuple[int, int], size: float | tuple[float, float], rng: np.random.Generator) -> Floats:
    """A smooth random field with mean 0 and deviation 1."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape).astype(np.float32), size, mode="wrap")
    found: Floats = (field - field.mean()) / field.std()
    return found


def step(values: Any, width: float) -> Floats:
    """0 below 0, 1 above, over `width`."""
    return np.clip(np.asarray(values, np.float32) / np.float32(width) + np.float32(0.5), 0, 1)


def fibres(shape: tuple[int, int], period: float, waviness: float, rng: np.random.Generator) -> Floats:
    """Wavy fibres along the rows, 0 between and 1 within them."""
    rows = np.arange(shape[0], dtype=np.float32)[:, None]
    phase = rows + waviness * smooth(shape, (60, 140), rng) + 3 * smooth(shape, (6, 40), rng)
    return step(np.sin(2 * np.pi * phase / period) + 0.35 * smooth(shape, (2, 14), rng) + 0.3, 0.9)


def spots(shape: tuple[int, int], count: int, axes: tuple[float, float], rng: np.random.Generator) -> Floats:
    """Elliptic nuclei at random places, half axes along rows and columns [pixels], 0 to 1."""
    found = np.zeros(shape, np.float32)
    for y, x in rng.uniform((0, 0), shape, (count, 2)):
        a, b = axes * rng.uniform(0.8, 1.25, 2)
        _stamp(found, y, x, a, b)
    return found


def _stamp(field: Floats, y: float, x: float, a: float, b: float) -> None:
    top, left = max(0, int(y - a) - 2), max(0, int(x - b) - 2)
    part = field[top : int(y + a) + 3, left : int(x + b) + 3]
    if not part.size:
        return
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    inside = step(1 - np.hypot((rows + top - y) / a, (columns + left - x) / b), 0.35)
    np.maximum(part, inside, out=part)


def paint_section(rng: np.random.Generator) -> tuple[Dyes, list[tuple[str, npt.NDArray[np.float64]]]]:
    """One section of painted tissue, and its regions: name and outline ``(V, 2)`` as (x, y) from its corner."""
    rows = SECTION[0]
    zeros = np.zeros(SECTION, np.float32)
    dyes = Dyes(zeros.copy(), zeros.copy(), zeros.copy())
    _tubules(dyes, rng)
    regions = []
    bands = ["collagen", "muscle"] if rng.random() < 0.5 else ["muscle", "collagen"]
    edges = int(rng.integers(400, 460)), rows - int(rng.integers(400, 460))
    for name, (top, bottom) in zip(bands, ((0, edges[0]), (edges[1], rows)), strict=True):
        regions.append((name, _band(dyes, name, top, bottom, rng)))
    placed: list[tuple[float, float, float]] = []
    for name, count in (("vessel", 1), ("glomerulus", 3)):
        for _ in range(count):
            spot = _free_place(edges, placed, rng)
            if spot is None:
                continue
            placed.append(spot)
            regions.append((name, (_glomerulus if name == "glomerulus" else _vessel)(dyes, *spot, rng)))
    regions += [("tubules", box) for box in _free_boxes(edges, placed)]
    return dyes, regions


def _tubules(dyes: Dyes, rng: np.random.Generator) -> None:
    """Red rings with dark nuclei around white lumina, on a jittered lattice in thin blue matrix."""
    shape = dyes.blue.shape
    spacing = 74
    y, x = (
        v.ravel().astype(np.float64) for v in np.mgrid[-40 : shape[0] + 40 : spacing, -40 : shape[1] + 40 : spacing]
    )
    x += np.where((y // spacing) % 2, spacing / 2, 0)
    y, x = y + rng.uniform(-9, 9, y.size), x + rng.uniform(-9, 9, x.size)
    wall, lumen, nuclei = (np.zeros(shape, np.float32) for _ in range(3))
    for cy, cx in zip(y, x, strict=True):
        a, b = rng.uniform(29, 36, 2)
        _stamp(wall, cy, cx, a, b)
        _stamp(lumen, cy, cx, a * 0.42, b * 0.42)
        for angle in rng.uniform(0, 2 * np.pi, 7):
            _stamp(nuclei, cy + 0.72 * a * np.sin(angle), cx + 0.72 * b * np.cos(angle), 5.5, 5.5)
    grain = smooth(shape, 1.5, rng)
    dyes.put(np.ones(shape, np.float32), 0.45 + 0.08 * grain, 0.08, 0.0)
    dyes.put(wall, 0.06, 0.62 + 0.08 * grain, 0.0)
    dyes.put(lumen, 0.03, 0.02, 0.0)
    dyes.put(nuclei * wall, 0.05, 0.25, 0.85)


def _band(dyes: Dyes, name: str, top: int, bottom: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Collagen or muscle across the section between two rows; returns its outline, 12 pixels within."""
    shape = (bottom - top, SECTION[1])
    part = Dyes(dyes.blue[top:bottom], dyes.red[top:bottom], dyes.dark[top:bottom])
    grain = smooth(shape, 1.5, rng)
    if name == "collagen":
        within = fibres(shape, float(rng.uniform(26, 36)), 40, rng)
        part.put(np.ones(shape, np.float32), 0.10, 0.03, 0.0)
        part.put(within, 0.95 + 0.12 * grain, 0.10, 0.0)
        nuclei = spots(shape, 130, (3.0, 10.0), rng)
    else:
        within = fibres(shape, float(rng.uniform(40, 54)), 25, rng)
        part.put(np.ones(shape, np.float32), 0.30, 0.10, 0.0)
        part.put(within, 0.05, 0.85 + 0.10 * grain, 0.0)
        nuclei = spots(shape, 170, (3.5, 13.0), rng)
    part.put(nuclei, 0.1, 0.2, 0.8)
    return _box(12, top + 12, SECTION[1] - 12, bottom - 12)


def _box(left: float, top: float, right: float, bottom: float) -> npt.NDArray[np.float64]:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def _free_place(
    edges: tuple[int, int], placed: list[tuple[float, float, float]], rng: np.random.Generator
) -> tuple[float, float, float] | None:
    """(y, x, radius) of a circle between the bands that touches no other, or ``None`` where none is found."""
    for _ in range(400):
        radius = float(rng.uniform(175, 205))
        y = float(rng.uniform(edges[0] + radius + 10, edges[1] - radius - 10))
        x = float(rng.uniform(radius + 10, SECTION[1] - radius - 10))
        if all(np.hypot(y - b, x - a) > radius + r + 20 for b, a, r in placed):
            return y, x, radius
    return None


def _free_boxes(edges: tuple[int, int], placed: list[tuple[float, float, float]]) -> list[npt.NDArray[np.float64]]:
    """Squares of 320 pixels between the bands that no circle reaches into."""
    found: list[npt.NDArray[np.float64]] = []
    side, taken = 320, np.zeros(SECTION, bool)
    rows, columns = np.ogrid[: SECTION[0], : SECTION[1]]
    for y, x, radius in placed:
        taken |= np.hypot(rows - y, columns - x) < radius + 8
    for top in range(edges[0] + 8, edges[1] - side - 8, 40):
        for left in range(8, SECTION[1] - side - 8, 40):
            part = taken[top : top + side, left : left + side]
            if not part.any():
                part[...] = True
                found.append(_box(left, top, left + side, top + side))
    return found


def _circle(y: float, x: float, radius: float) -> npt.NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return np.round(np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], 1), 1)


def _around(
    dyes: Dyes, y: float, x: float, radius: float
) -> tuple[Dyes, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The dyes around a place, distance from it, and direction."""
    top, left, reach = int(y - radius) - 6, int(x - radius) - 6, 2 * int(radius) + 14
    here = np.s_[max(0, top) : top + reach, max(0, left) : left + reach]
    part = Dyes(dyes.blue[here], dyes.red[here], dyes.dark[here])
    rows, columns = np.mgrid[here]
    return part, np.hypot(rows - y, columns - x), np.arctan2(rows - y, columns - x)


def _glomerulus(dyes: Dyes, y: float, x: float, radius: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A tuft of capillary loops within a white space and a blue capsule; returns its outline."""
    part, distance, angle = _around(dyes, y, x, radius)
    shape = part.blue.shape
    lobes = 1 + 0.05 * np.sin(5 * angle + rng.uniform(0, 6)) + 0.03 * np.sin(9 * angle)
    loops = step(smooth(shape, 7, rng), 0.8)
    grain = smooth(shape, 1.5, rng)
    part.put(step(radius - distance, 2), 0.9, 0.05, 0.0)
    part.put(step(0.955 * radius - distance, 2), 0.02, 0.02, 0.0)
    tuft = step(0.86 * radius * lobes - distance, 3)
    part.put(tuft, 0.40 * loops + 0.10, 0.40 * (1 - loops) + 0.08 + 0.04 * grain, 0.0)
    part.put(tuft * spots(shape, int(radius * 1.1), (6, 6), rng), 0.1, 0.15, 0.8)
    return _circle(y, x, radius)


def _vessel(dyes: Dyes, y: float, x: float, radius: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A white lumen within a wall of muscle and a coat of collagen; returns its outline."""
    part, distance, _ = _around(dyes, y, x, radius)
    shape = part.blue.shape
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (distance + 4 * smooth(shape, 12, rng)) / 17)
    part.put(step(radius - distance, 4), 0.55 + 0.25 * rings, 0.05, 0.0)
    part.put(step(0.80 * radius - distance, 3), 0.06, 0.50 + 0.35 * rings, 0.0)
    part.put(step(0.80 * radius - distance, 3) * spots(shape, int(radius), (3.5, 8), rng), 0.1, 0.2, 0.8)
    part.put(step(0.46 * radius - distance, 3), 0.02, 0.02, 0.0)
    return _circle(y, x, radius)


def special_stain(seed: int = SEED) -> tuple[Pixels, list[tuple[str, npt.NDArray[np.float64]]]]:
    """The pixels ``(rows, columns, 3)`` of slide 9302, and its regions in pixels of the slide."""
    found = _glass(SPECIAL_SHAPE, seed + 1)
    regions: list[tuple[str, npt.NDArray[np.float64]]] = []
    for number, (row, column, height, width) in enumerate(SECTIONS):
        rng = np.random.default_rng([seed, 2, number])
        dyes, own = paint_section(rng)
        gains = tuple(float(g) for g in rng.uniform(0.75, 1.25, 3))
        found[row : row + height, column : column + width] = dyes.pixels((gains[0], gains[1], gains[2]), rng)
        regions += [(name, outline + np.array([column, row])) for name, outline in own]
    return found, regions


def ihc(seed: int = SEED) -> Pixels:
    """The pixels ``(rows, columns, 3)`` of slide 9301."""
    from skimage import data

    picture = data.immunohistochemistry()
    parts = picture[:, :312], picture[:, :312], picture[:, 320:]  # eight columns between them are in no piece
    found = _glass(IHC_SHAPE, seed)
    for number, (part, (row, column, height, width)) in enumerate(zip(parts, IHC_PIECES, strict=True)):
        rng = np.random.default_rng([seed, 1, number])
        piece = np.rot90(part, 2 * (number % 2))
        tall, wide = piece.shape[:2]
        piece = np.pad(piece, ((0, height), (0, width), (0, 0)), mode="symmetric")[:height, :width]
        density = -np.log(np.maximum(piece, 1) / np.float32(255))
        # Every copy of the picture has a strength of its own, that changes slowly over the piece.
        strength = 1 + 0.15 * smooth((height, width), (tall / 2, wide / 2), rng)
        strength *= rng.uniform(0.85, 1.2)
        light = 255 * np.exp(-density * strength[..., None]) * rng.uniform(0.96, 1.0)
        inside = _ragged((height, width), rng)[..., None]
        old = found[row : row + height, column : column + width]
        old[...] = np.clip(np.rint(light * inside + old * (1 - inside)), 0, 255).astype(np.uint8)
    return found


def _glass(shape: tuple[int, int], seed: int) -> Pixels:
    """Empty glass: nearly white, hardly any noise."""
    rng = np.random.default_rng([seed, 0])
    low = 243 + 0.7 * smooth((shape[0] // 16, shape[1] // 16), 3, rng)
    grey = ndimage.zoom(low, 16, order=1)
    return np.repeat(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _ragged(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """1 within a piece of tissue and 0 on its torn edge."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    edge = np.minimum(np.minimum(rows, shape[0] - 1 - rows), np.minimum(columns, shape[1] - 1 - columns))
    return step(edge - 36 + 12 * smooth(shape, 25, rng), 3)


def levels_of(pixels: Pixels, steps: int) -> list[Pixels]:
    """The slide and its means over squares of 4 x 4 pixels, again and again."""
    found = [pixels]
    for _ in range(steps):
        rows, columns = (n // 4 for n in found[-1].shape[:2])
        squares = found[-1][: rows * 4, : columns * 4].reshape(rows, 4, columns, 4, 3)
        found.append(np.rint(squares.mean(axis=(1, 3))).astype(np.uint8))
    return found


_HOW: dict[str, Any] = {
    "photometric": "rgb",
    "tile": (256, 256),
    "compression": "jpeg",
    "compressionargs": {"level": QUALITY},
    "resolution": (10_000 / MPP, 10_000 / MPP),
    "resolutionunit": "CENTIMETER",
    "software": False,
}


def write_tiff(pixels: Pixels, path: Path) -> Path:
    """A tiled pyramid in pages, as OpenSlide reads it (generic tiled TIFF); the scale stands in its resolution."""
    import tifffile

    with tifffile.TiffWriter(path) as tiff:
        for number, level in enumerate(levels_of(pixels, 2)):
            scale = 10_000 / MPP / 4**number
            how = {**_HOW, "resolution": (scale, scale)}
            tiff.write(level, subfiletype=1 if number else 0, metadata=None, **how)
    return path


def write_ome(pixels: Pixels, path: Path) -> Path:
    """The same as OME-TIFF: the scale stands in OME-XML, the pyramid in SubIFDs."""
    import tifffile

    size = {"PhysicalSizeX": MPP, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": MPP, "PhysicalSizeYUnit": "µm"}
    levels = levels_of(pixels, 2)
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(levels[0], subifds=len(levels) - 1, metadata={"axes": "YXS", "UUID": UUID, **size}, **_HOW)
        for level in levels[1:]:
            tiff.write(level, subfiletype=1, metadata=None, **_HOW)
    return path


def write_regions(regions: list[tuple[str, npt.NDArray[np.float64]]], path: Path) -> Path:
    """Annotations of QuPath: a FeatureCollection of polygons in pixels of the slide."""
    features = []
    for name, outline in regions:
        ring = [[float(x), float(y)] for x, y in (*outline, outline[0])]
        what = {"objectType": "annotation", "classification": {"name": name, "color": list(CLASSES[name])}}
        features.append({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": what})
    lines = ",\n".join(json.dumps(f, separators=(",", ":")) for f in features)
    path.write_text(f'{{"type":"FeatureCollection","features":[\n{lines}\n]}}\n', encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "files")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    pixels, regions = special_stain()
    for file in (
        write_tiff(ihc(), folder / f"{IHC}.tif"),
        write_ome(pixels, folder / f"{SPECIAL}.ome.tif"),
        write_regions(regions, folder / f"{SPECIAL}_regions.geojson"),
    ):
        print(file)


if __name__ == "__main__":
    main()
