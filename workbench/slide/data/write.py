"""Results of slides to files: embeddings as HDF5 (and Parquet, AnnData), maps as OME-TIFF on their own coarse grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.core.errors import UsageError
from workbench.core.objects import Objects
from workbench.core.types import Embeddings, Heatmap, Image, Labels
from workbench.data.parts import Job
from workbench.slide.annotations.write import write_annotations
from workbench.slide.data import embedding_files, heat_maps
from workbench.slide.region_counts import REGION_OUTLINES, annotations_of

FORMATS = ("hdf5", "geoparquet", "ome-zarr")


def family(format: str, source: Image | None) -> str:
    """Embeddings are HDF5; maps OME-TIFF, or OME-Zarr if asked for; outlines GeoJSON, or GeoParquet if asked for."""
    if format not in ("auto", *FORMATS):
        raise UsageError(f"format {format} holds no result of a slide: choose {', '.join(FORMATS)}.")
    return "hdf5" if format == "auto" else format


def jobs(part: Any, target: Path, family: str, source: Image | None) -> list[Job] | None:
    """Files to write for embeddings and maps; ``None`` for tables and outlines, which all kinds write alike.

    Parameters
    ----------
    target
        Folder and name, without suffix.
    """
    if isinstance(part, Embeddings) and part.places is not None:
        return _embeddings(part, target)
    if isinstance(part, Objects) and part.name == REGION_OUTLINES:
        return [(target.with_name(f"{target.name}.geojson"), lambda to: _write_regions(part, to))]
    if isinstance(part, Objects) and family == "geoparquet":
        from workbench.data.geoparquet import SUFFIX, write_geoparquet

        return [(target.with_name(f"{target.name}{SUFFIX}"), lambda to: write_geoparquet(part, to))]
    if isinstance(part, Labels | Heatmap) and family == "ome-zarr":
        from workbench.slide.data.map_zarr import ZIPPED, write_zipped

        return [(target.with_name(f"{target.name}{ZIPPED}"), lambda to: write_zipped(to, part))]
    if isinstance(part, Labels | Heatmap):
        path = target.with_name(f"{target.name}.ome.tif")
        return [(path, lambda to: heat_maps.write_map(to, part))]
    return None


def _write_regions(part: Objects, path: Path) -> None:
    """Regions are annotations for other programs: with names, and no objects to be counted."""
    write_annotations(annotations_of(part), path)


def _embeddings(part: Embeddings, target: Path) -> list[Job]:
    tiles = embedding_files.TileEmbeddings.of(part)
    made: list[Job] = [(target.with_name(f"{target.name}.h5"), lambda to: embedding_files.write_hdf5(to, tiles))]
    also = part.about.get("also", ())
    if "parquet" in also:
        made.append((target.with_name(f"{target.name}.parquet"), lambda to: embedding_files.write_parquet(to, tiles)))
    if "anndata" in also:
        made.append((target.with_name(f"{target.name}.h5ad"), lambda to: embedding_files.write_h5ad(to, tiles)))
    return made
