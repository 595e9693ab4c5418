"""Slides of which some hold a rare region: for labels of slides, whose tiles nobody labelled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from workbench import weights
from workbench.slide.data.embedding_files import TileEmbeddings, write_hdf5

MPP, TILE, ACROSS = 0.5, 256, 6
PINK, PURPLE = np.array([0.10, 0.32, 0.18]), np.array([0.62, 0.70, 0.36])
"""Density of red, green and blue of stroma and of nuclei."""


def rare_slide(seed: int, is_rare: bool, tiles: int = 2) -> tuple[npt.NDArray[np.uint8], list[tuple[int, int]]]:
    """A section of stroma with scattered nuclei, pale and dark patches, and some tiles with more and larger nuclei; a
    rare one has a few tiles of crowded small nuclei, besides, of which some are barely crowded. Strengths of staining
    differ from slide to slide.

    Returns
    -------
    pixels, places
        ``(1536, 1536, 3)`` uint8, and (row, column) of the tiles with crowded nuclei.
    """
    rng = np.random.default_rng([seed, 41])
    size = TILE * ACROSS
    density = np.zeros((size, size, 3), np.float32)
    strength = rng.uniform(0.8, 1.25, 2)
    coarse = rng.random((ACROSS * 2, ACROSS * 2))
    waves = np.kron(coarse, np.ones((TILE // 2, TILE // 2)))
    density += (strength[0] * (0.6 + 0.8 * waves))[..., None] * PINK
    _dots(density, rng, rng.uniform(0, size, (260, 2)), rng.uniform(5, 9, 260), strength[1])
    for row, column in rng.integers(0, ACROSS, (3, 2)).tolist():
        many = int(rng.integers(40, 120))
        spots = rng.uniform(0, TILE, (many, 2)) + np.array([row, column]) * TILE
        _dots(density, rng, spots, rng.uniform(4, 8, many), strength[1])
    places: list[tuple[int, int]] = []
    if is_rare:
        first = rng.integers(0, (ACROSS, ACROSS - tiles + 1))
        places = [(int(first[0]), int(first[1]) + k) for k in range(tiles)]
        for row, column in places:
            many = int(rng.integers(90, 300))
            spots = rng.uniform(0, TILE, (many, 2)) + np.array([row, column]) * TILE
            _dots(density, rng, spots, rng.uniform(3, 5, many), strength[1])
    noise = rng.normal(0, 0.015, density.shape)
    return np.clip(np.exp(-np.log(10) * np.maximum(density + noise, 0)) * 245, 0, 255).astype(np.uint8), places


def _dots(
    density: npt.NDArray[np.float32], rng: np.random.Generator, spots: npt.NDArray[np.float64],
    radii: npt.NDArray[np.float64], strength: float,
) -> None:  # fmt: skip
    for (y, x), radius in zip(spots, radii, strict=True):
        top, left = max(0, int(y - radius)), max(0, int(x - radius))
        box = density[top : int(y + radius) + 2, left : int(x + radius) + 2]
        rows, columns = np.mgrid[: box.shape[0], : box.shape[1]]
        inside = np.hypot(rows + top - y, columns + left - x) < radius
        box[inside] = strength * rng.uniform(0.8, 1.1) * PURPLE


def write_study(folder: Path, slides: int, first: int = 0) -> tuple[Path, dict[str, list[tuple[int, int]]]]:
    """Slides, two of each patient, half of whom have the disease, with their list; and where the rare tiles are."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, places = ["id,image,patient,age,diagnosis"], {}
    for number in range(first, first + slides):
        patient = number // 2
        is_rare = patient % 2 == 1
        pixels, places[f"s{number:03d}"] = rare_slide(number, is_rare)
        about = {"axes": "YXS", "PhysicalSizeX": MPP, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": MPP,
                 "PhysicalSizeYUnit": "µm"}  # fmt: skip
        tifffile.imwrite(folder / f"s{number:03d}.ome.tif", pixels, ome=True, photometric="rgb", tile=(256, 256),
                         compression="zlib", metadata=about)  # fmt: skip
        word = "tumour" if is_rare else "healthy"
        rows.append(f"s{number:03d},s{number:03d}.ome.tif,p{patient:02d},{40 + patient},{word}")
    path = folder / "study.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path, places


def facts_of(encoder: Path) -> dict[str, Any]:
    """What a file of embeddings says of 8 x 8 tiles that these weights embedded."""
    found = weights.find(encoder, "stainnet")
    return {
        "patch_size": TILE, "patch_size_level0": TILE, "overlap": 0, "level0_width": 8 * TILE,
        "level0_height": 8 * TILE, "mpp_x": MPP, "mpp_y": MPP, "target_mpp": MPP, "encoder": found.name,
        "weights_sha256": found.sha256,
    }  # fmt: skip


def bag_file(path: Path, facts: Mapping[str, Any], seed: int, rare: int = 0, width: int = 16) -> npt.NDArray[np.int64]:
    """Embeddings of 64 tiles, of which some are of a rare kind; no file of a slide behind them. Returns which."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (64, width)).astype(np.float32)
    places = rng.permutation(64)[:rare]
    features[places, :4] += 4.0
    corners = np.stack(np.meshgrid(np.arange(8), np.arange(8)), -1).reshape(-1, 2) * TILE
    write_hdf5(path, TileEmbeddings(features, corners.astype(np.int64), {**facts, "name": path.stem}))
    return places
