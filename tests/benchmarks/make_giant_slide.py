"""A slide of 100,000 x 80,000 pixels for measurements: ``python tests/benchmarks/make_giant_slide.py FILE [SIDE]``.

An Aperio SVS in look (tiled JPEG, 0.25 um per pixel): tissue in round pieces on glass, made of a few dozen tiles that
come again and again, in levels down to some 1,500 pixels. It takes half a gigabyte and about a minute, and is not kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

TILE = 512
POOL = 48
MPP = 0.25


def main() -> int:
    """Write the file that is named."""
    path = Path(sys.argv[1])
    width, height = (100_000, 80_000) if len(sys.argv) < 3 else (int(sys.argv[2]), int(sys.argv[2]) * 4 // 5)
    make(path, width, height)
    print(f"{path}: {width} x {height} pixels, {path.stat().st_size / 1e6:.0f} MB")
    return 0


def make(path: Path, width: int, height: int, seed: int = 0) -> Path:
    """Write the slide."""
    import tifffile

    rng = np.random.default_rng(seed)
    stained = [_stained(rng) for _ in range(POOL)]
    pools = {1: [_jpeg(t) for t in stained]}
    glass = np.full((TILE, TILE, 3), 243, np.uint8)
    empty = _jpeg(glass)
    centres = rng.uniform(0.15, 0.85, (7, 2)) * (height, width)
    radii = rng.uniform(0.06, 0.14, 7) * height
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        step, first = 1, True
        while True:
            rows, columns = -(-height // step), -(-width // step)
            pool = pools.setdefault(step, [_jpeg(_coarser(t, step)) for t in stained])
            text = f"Aperio Image Library v12\r\n{columns}x{rows} (512x512) JPEG/RGB Q=80|MPP = {MPP}|AppMag = 40"
            file.write(
                _tiles(rows, columns, step, pool, empty, centres, radii, seed), shape=(rows, columns, 3),
                dtype=np.uint8, tile=(TILE, TILE), photometric="rgb", compression="jpeg", description=text,
                metadata=None, subfiletype=0 if first else 1,
            )  # fmt: skip
            first = False
            if max(rows, columns) < 2000:
                return path
            step *= 4


def _tiles(
    rows: int, columns: int, step: int, pool: list[bytes], empty: bytes, centres: npt.NDArray[np.float64],
    radii: npt.NDArray[np.float64], seed: int,
) -> Iterator[bytes]:  # fmt: skip
    rng = np.random.default_rng(seed + step)
    for r in range(-(-rows // TILE)):
        for c in range(-(-columns // TILE)):
            y, x = (r + 0.5) * TILE * step, (c + 0.5) * TILE * step
            inside = (((centres - (y, x)) ** 2).sum(axis=1) < radii**2).any()
            yield pool[int(rng.integers(len(pool)))] if inside else empty


def _stained(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Eosin with nuclei in haematoxylin."""
    ground = ndimage.gaussian_filter(rng.normal(0, 1, (TILE, TILE)), 6, mode="wrap")
    nuclei = ndimage.gaussian_filter(rng.normal(0, 1, (TILE, TILE)), 4, mode="wrap") > 0.045
    pixels = np.array([222, 160, 196]) + 400 * ground[..., None]
    pixels[nuclei] = np.array([96, 66, 140]) + 300 * ground[nuclei][:, None]
    return np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)


def _coarser(tile: npt.NDArray[np.uint8], step: int) -> npt.NDArray[np.uint8]:
    """What it looks like from farther: the same, repeated."""
    from PIL import Image

    if step == 1:
        return tile
    side = max(1, TILE // step)
    small = np.asarray(Image.fromarray(tile).resize((side, side), Image.Resampling.BOX))
    return np.tile(small, (-(-TILE // side), -(-TILE // side), 1))[:TILE, :TILE]


def _jpeg(tile: npt.NDArray[np.uint8]) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpeg8_encode(tile, level=80, colorspace="rgb", outcolorspace="ycbcr", subsampling="444"))


if __name__ == "__main__":
    sys.exit(main())
