"""What a slide gives: embeddings with their places, the table and the maps of its tiles, and areas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench import __version__
from workbench.core import settings
from workbench.core.types import Embeddings, Heatmap, Image, Labels, Part, Scores
from workbench.slide.data.scale import GIVEN
from workbench.slide.data.tiles import Lattice
from workbench.slide.predict.area import Area
from workbench.slide.predict.chosen import coarse_geometry
from workbench.slide.predict.found import Found
from workbench.slide.tile_grid import TileGrid

if TYPE_CHECKING:
    from workbench.slide.predict.model import Model
    from workbench.slide.settings import Config


def parts_of(
    model: Model,
    slide: Image,
    config: Config,
    tiles: Lattice,
    area: Area,
    share: npt.NDArray[np.float32],
    found: Found,
) -> dict[str, Part]:
    """All parts of the result of a slide; see `workbench.slide.predict.slide.embed_slide`."""
    places = tiles.places()[found.numbers]
    parts: dict[str, Part] = {
        "embeddings": Embeddings(
            found.features,
            _names(tiles, found),
            places=places,
            about=_about(model, slide, config, tiles)
            | {"scores": {"tissue share": share[found.numbers], "sharpness": found.sharpness}},
        ),
        "tiles": tile_table(slide, tiles, found, share),
        "tissue": Labels(
            area.labels(), coarse_geometry(slide, area.mask.shape, (0.0, 0.0), area.step), area.classes, "tissue"
        ),
        "sharpness": tile_map(slide, tiles, found.numbers, found.sharpness, "sharpness"),
        "areas": areas(slide, area, tiles, found),
    }
    if len(found.numbers) >= 4:
        parts["structure"] = tile_map(slide, tiles, found.numbers, first_component(found.features), "structure")
    return parts


def _names(tiles: Lattice, found: Found) -> tuple[str, ...]:
    """The row and column of each tile in the lattice, e.g. ``r3_c17``: how tables and embeddings name it."""
    return tuple(f"r{i // tiles.count[1]}_c{i % tiles.count[1]}" for i in found.numbers.tolist())


def _about(model: Model, slide: Image, config: Config, tiles: Lattice) -> dict[str, Any]:
    """What readers of the file of embeddings need."""
    assert slide.pyramid is not None
    assert slide.pyramid.mpp is not None
    rows, columns = slide.pyramid.levels[0].shape
    mpp = math.sqrt(slide.pyramid.mpp[0] * slide.pyramid.mpp[1])
    # Where a person gives the size of a pixel, what the file says of the objective does not go with it.
    own = slide.pyramid.mpp_source != GIVEN
    objective = str(slide.header.get("objective", "")).rstrip("x") if own else ""
    return {
        "patch_size": tiles.size, "patch_size_level0": round(tiles.side),
        "level0_magnification": float(objective) if objective else round(10 / mpp, 3),
        "level0_magnification_source": "objective" if objective else "10 / mpp",
        "target_magnification": round(10 / config.target_mpp, 3), "overlap": tiles.size - tiles.stride,
        "name": slide.name, "level0_width": columns, "level0_height": rows, "mpp_x": slide.pyramid.mpp[0],
        "mpp_y": slide.pyramid.mpp[1], "target_mpp": config.target_mpp, "encoder": model.encoder.name,
        "weights_sha256": model.encoder.sha256, "pooling": model.pooling,
        "stain_profile": settings.file_hashes(config).get("stain_profile", ""), "icc": "applied" if config.icc else "",
        "version": f"napari-workbench {__version__}",
        "also": [kind for kind, wanted in (("parquet", config.parquet), ("anndata", config.anndata)) if wanted],
    }  # fmt: skip


def tile_table(slide: Image, tiles: Lattice, found: Found, share: npt.NDArray[np.float32]) -> Scores:
    """A row per tile: its name, its corner in pixels of level 0 and in micrometres, share of tissue, sharpness."""
    places = tiles.places()[found.numbers]
    assert slide.pyramid is not None
    assert slide.pyramid.mpp is not None
    um = places * np.array(slide.pyramid.mpp)
    rows = zip(
        _names(tiles, found), np.round(places[:, 0], 2).tolist(), np.round(places[:, 1], 2).tolist(),
        np.round(um[:, 0], 3).tolist(), np.round(um[:, 1], 3).tolist(),
        np.round(share[found.numbers].astype(float), 4).tolist(), np.round(found.sharpness.astype(float), 2).tolist(),
        strict=True,
    )  # fmt: skip
    columns = ("tile", "x [px of level 0]", "y [px of level 0]", "x [um]", "y [um]", "tissue share", "sharpness")
    return Scores(columns, tuple(rows), "tiles")


def tile_map(
    slide: Image, tiles: Lattice, numbers: npt.NDArray[np.int64], values: npt.NDArray[np.floating[Any]], name: str
) -> Heatmap:
    """One value per tile as a map with a pixel per step of the lattice, NaN where there is no tile."""
    return TileGrid.of_lattice(tiles, numbers).heat(slide, values, name)


def first_component(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The first principal component of embeddings ``(N,)``, deviation 1; its largest loading is positive."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    first = vectors[:, -1]
    first = first * np.sign(first[np.argmax(np.abs(first))])
    values = centred @ first
    deviation = values.std()
    scaled_: npt.NDArray[np.float32] = (values / deviation if deviation > 0 else values).astype(np.float32)
    return scaled_


def areas(slide: Image, area: Area, tiles: Lattice, found: Found) -> Scores:
    """How much tissue there is, from the pixels of the mask, or how large outlines are; and the area of tiles [mm2]."""
    assert slide.pyramid is not None
    assert slide.pyramid.mpp is not None
    pixel = slide.pyramid.mpp[0] * slide.pyramid.mpp[1] * 1e-6
    data, whole = area.labels(), slide.geometry.shape
    rows: list[tuple[Any, ...]] = []
    for c in area.classes:
        exact = area.size if c.value == area.value else None
        size = area.area_of(data == c.value, whole) if exact is None else exact
        rows.append((c.name, round(size * pixel, 6), ""))
    rows.append(("tiles", round(covered(tiles, found.numbers) * pixel, 6), len(found.numbers)))
    return Scores(("class", "area [mm2]", "tiles"), tuple(rows), "areas")


def covered(tiles: Lattice, numbers: npt.NDArray[np.int64]) -> float:
    """What tiles cover together, in pixels of level 0; where they overlap, it counts once."""
    if tiles.stride >= tiles.size:
        return len(numbers) * tiles.side**2
    # Lines of the lattice cut the plane into cells that lie wholly within a tile or wholly outside of it.
    lines = [np.unique(np.add.outer(np.arange(n) * tiles.stride, (0, tiles.size))) for n in tiles.count]
    area = np.zeros([len(one) - 1 for one in lines], bool)
    for number in numbers.tolist():
        starts = np.array(divmod(number, tiles.count[1])) * tiles.stride
        rows, columns = (
            slice(*np.searchsorted(one, (at, at + tiles.size))) for one, at in zip(lines, starts, strict=True)
        )
        area[rows, columns] = True
    cells = np.multiply.outer(*(np.diff(one) for one in lines))
    return float(cells[area].sum()) * tiles.factor**2
